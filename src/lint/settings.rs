//! Which rules are on: `skip=A,B|all`, `error=true|false`, `experimental=A,B|all`, joined by `;`.

use std::collections::BTreeSet;

use super::rule::Rule;

/// Which rules are on, and whether what they find is an error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Whether what is found fails a build.
    pub error: bool,
    skip: Names,
    experimental: Names,
}

/// Rules by name, or all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Names {
    all: bool,
    some: BTreeSet<String>,
}

impl Names {
    fn read(text: &str) -> Self {
        match text.trim() {
            "all" => Self { all: true, some: BTreeSet::new() },
            list => Self { all: false, some: list.split(',').map(|name| name.trim().to_owned()).collect() },
        }
    }

    fn has(&self, rule: &Rule) -> bool {
        self.all || self.some.contains(rule.name)
    }
}

/// A `check` directive that cannot be understood, in docker's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A part that is none of the three.
    #[error("invalid check option {}", crate::parser::quoted(.0))]
    Option(String),
    /// `error=` with something else than a boolean.
    #[error(
        "failed to parse check option {}: strconv.ParseBool: parsing {}: invalid syntax",
        crate::parser::quoted(.option),
        crate::parser::quoted(.value)
    )]
    Boolean {
        /// The whole part.
        option: String,
        /// Its value.
        value: String,
    },
}

impl Settings {
    /// Reads the value of a `check` directive.
    ///
    /// # Errors
    /// A part is none of the three, or `error` is no boolean.
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        let mut settings = Self::default();
        if text.trim().is_empty() {
            return Ok(settings);
        }
        for part in text.trim().splitn(3, ';') {
            let (key, value) = part.split_once('=').ok_or_else(|| SettingsError::Option(part.to_owned()))?;
            match key.trim() {
                "skip" => settings.skip = Names::read(value),
                "experimental" => settings.experimental = Names::read(value),
                "error" => {
                    let value = value.trim();
                    let wrong =
                        || SettingsError::Boolean { option: part.to_owned(), value: value.to_owned() };
                    settings.error = boolean(value).ok_or_else(wrong)?;
                }
                other => return Err(SettingsError::Option(other.to_owned())),
            }
        }
        Ok(settings)
    }

    /// Whether a rule is on for an instruction with these comments above it.
    pub(super) fn allows(&self, rule: &Rule, comments: &[String]) -> bool {
        let own = || comments.iter().filter_map(|comment| of_comment(comment));
        if rule.experimental {
            self.experimental.has(rule) || own().any(|own| own.experimental.has(rule))
        } else {
            !self.skip.has(rule) && !own().any(|own| own.skip.has(rule))
        }
    }
}

/// Reads `check=…` at the start of a comment; what follows a blank is free text.
fn of_comment(comment: &str) -> Option<Settings> {
    let options = comment.trim().strip_prefix("check=")?;
    Settings::parse(options.split_whitespace().next().unwrap_or_default()).ok()
}

/// Reads a boolean as Go does.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::rule::{FROM_AS_CASING, INVALID_DEFINITION_DESCRIPTION, UNDEFINED_VAR};
    use super::*;

    #[test]
    fn parts_switch_rules() {
        for (text, error, from_as, undefined, description) in [
            ("", false, true, true, false),
            (" skip=all ", false, false, false, false),
            ("skip=FromAsCasing, X", false, false, true, false),
            ("skip=fromascasing", false, true, true, false),
            ("error=true;skip=UndefinedVar", true, true, false, false),
            ("experimental=all;skip=all", false, false, false, true),
            ("error=F;experimental=InvalidDefinitionDescription", false, true, true, true),
        ] {
            let settings = Settings::parse(text).expect(text);
            assert_eq!(settings.error, error, "{text}");
            assert_eq!(settings.allows(&FROM_AS_CASING, &[]), from_as, "{text}");
            assert_eq!(settings.allows(&UNDEFINED_VAR, &[]), undefined, "{text}");
            assert_eq!(settings.allows(&INVALID_DEFINITION_DESCRIPTION, &[]), description, "{text}");
        }
    }

    #[test]
    fn what_is_no_option_is_refused_in_dockers_words() {
        for (text, expected) in [
            ("nothing", r#"invalid check option "nothing""#),
            ("skip=all;", r#"invalid check option """#),
            ("foo = bar", r#"invalid check option "foo""#),
            (
                "error=maybe",
                r#"failed to parse check option "error=maybe": strconv.ParseBool: parsing "maybe": invalid syntax"#,
            ),
        ] {
            assert_eq!(Settings::parse(text).expect_err(text).to_string(), expected);
        }
    }

    #[test]
    fn a_comment_holds_for_its_instruction() {
        let settings = Settings::default();
        let with = |comment: &str| settings.allows(&UNDEFINED_VAR, &["a".to_owned(), comment.to_owned()]);
        assert!(with("skip=UndefinedVar") && with("check=skip=Other"));
        assert!(!with("check=skip=UndefinedVar") && !with("check=skip=all for a reason"));
    }
}
