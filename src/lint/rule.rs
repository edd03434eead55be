//! The rules: names and descriptions are BuildKit's.

/// A build check.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name, as directives and messages give it.
    pub name: &'static str,
    /// What it is about.
    pub description: &'static str,
    /// Whether it is off unless asked for.
    pub experimental: bool,
    /// Whether there is a page about it.
    documented: bool,
}

impl Rule {
    const fn new(name: &'static str, description: &'static str) -> Self {
        Self { name, description, experimental: false, documented: true }
    }

    /// Returns the address of the page about it, e.g. `…/rule/stage-name-casing/`; empty where there is none.
    pub fn url(&self) -> String {
        if !self.documented {
            return String::new();
        }
        let mut page = String::new();
        let letters: Vec<char> = self.name.chars().collect();
        for (at, letter) in letters.iter().enumerate() {
            let begins = letter.is_uppercase()
                && (at > 0)
                && (letters[at - 1].is_lowercase() || letters.get(at + 1).is_some_and(|c| c.is_lowercase()));
            if begins {
                page.push('-');
            }
            page.push(letter.to_ascii_lowercase());
        }
        format!("https://docs.docker.com/go/dockerfile/rule/{page}/")
    }
}

macro_rules! rules {
    ($($id:ident = $rule:expr;)*) => {
        $(pub(super) static $id: Rule = $rule;)*

        /// Every rule.
        pub static RULES: &[&Rule] = &[$(&$id),*];
    };
}

rules! {
    STAGE_NAME_CASING = Rule::new("StageNameCasing", "Stage names should be lowercase");
    FROM_AS_CASING = Rule::new("FromAsCasing", "The 'as' keyword should match the case of the 'from' keyword");
    NO_EMPTY_CONTINUATION = Rule::new(
        "NoEmptyContinuation",
        "Empty continuation lines will become errors in a future release",
    );
    CONSISTENT_INSTRUCTION_CASING = Rule::new(
        "ConsistentInstructionCasing",
        "All commands within the Dockerfile should use the same casing (either upper or lower)",
    );
    DUPLICATE_STAGE_NAME = Rule::new("DuplicateStageName", "Stage names should be unique");
    RESERVED_STAGE_NAME = Rule::new("ReservedStageName", "Reserved words should not be used as stage names");
    JSON_ARGS_RECOMMENDED = Rule::new(
        "JSONArgsRecommended",
        "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
    );
    MAINTAINER_DEPRECATED = Rule::new(
        "MaintainerDeprecated",
        "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
    );
    UNDEFINED_ARG_IN_FROM = Rule::new("UndefinedArgInFrom", "FROM command must use declared ARGs");
    WORKDIR_RELATIVE_PATH = Rule::new(
        "WorkdirRelativePath",
        "Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes",
    );
    UNDEFINED_VAR = Rule::new("UndefinedVar", "Variables should be defined before their use");
    MULTIPLE_INSTRUCTIONS_DISALLOWED = Rule::new(
        "MultipleInstructionsDisallowed",
        "Multiple instructions of the same type should not be used in the same stage",
    );
    LEGACY_KEY_VALUE_FORMAT = Rule::new(
        "LegacyKeyValueFormat",
        "Legacy key/value format with whitespace separator should not be used",
    );
    INVALID_BASE_IMAGE_PLATFORM = Rule {
        documented: false,
        ..Rule::new("InvalidBaseImagePlatform", "Base image platform does not match expected target platform")
    };
    REDUNDANT_TARGET_PLATFORM = Rule::new(
        "RedundantTargetPlatform",
        "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
    );
    SECRETS_USED_IN_ARG_OR_ENV = Rule::new(
        "SecretsUsedInArgOrEnv",
        "Sensitive data should not be used in the ARG or ENV commands",
    );
    INVALID_DEFAULT_ARG_IN_FROM = Rule::new(
        "InvalidDefaultArgInFrom",
        "Default value for global ARG results in an empty or invalid base image name",
    );
    FROM_PLATFORM_FLAG_CONST_DISALLOWED = Rule::new(
        "FromPlatformFlagConstDisallowed",
        "FROM --platform flag should not use a constant value",
    );
    COPY_IGNORED_FILE = Rule::new("CopyIgnoredFile", "Attempting to Copy file that is excluded by .dockerignore");
    INVALID_DEFINITION_DESCRIPTION = Rule {
        experimental: true,
        ..Rule::new(
            "InvalidDefinitionDescription",
            "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not intended to be a description comment, add an empty line or comment between the instruction and the comment.",
        )
    };
    EXPOSE_PROTO_CASING = Rule::new("ExposeProtoCasing", "Protocol in EXPOSE instruction should be lowercase");
    EXPOSE_INVALID_FORMAT = Rule::new(
        "ExposeInvalidFormat",
        "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future release",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_named_after_their_rules() {
        for (rule, page) in [
            (&STAGE_NAME_CASING, "stage-name-casing/"),
            (&JSON_ARGS_RECOMMENDED, "json-args-recommended/"),
            (&SECRETS_USED_IN_ARG_OR_ENV, "secrets-used-in-arg-or-env/"),
            (&UNDEFINED_VAR, "undefined-var/"),
        ] {
            assert_eq!(rule.url(), format!("https://docs.docker.com/go/dockerfile/rule/{page}"));
        }
        assert_eq!(INVALID_BASE_IMAGE_PLATFORM.url(), "");
        assert_eq!(RULES.len(), 22);
    }
}
