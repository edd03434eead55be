//! Flags of instructions: `--name[=value]` right behind the keyword.

use nom::branch::alt;
use nom::bytes::complete::take_while1;
use nom::character::complete::{anychar, char, one_of};
use nom::combinator::opt;
use nom::multi::{fold_many0, fold_many1};
use nom::sequence::preceded;
use nom::{IResult, Parser};

use super::error::Problem;
use super::suggest::suggest;

/// A flag as typed, quotes removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flag {
    name: String,
    value: Option<String>,
}

/// Splits the flags off the front of an instruction's arguments; a lone `--` ends them.
pub(super) fn split(arguments: &str) -> (Vec<Flag>, &str) {
    let mut flags = Vec::new();
    let mut rest = arguments.trim();
    while rest.starts_with("--") {
        let (after, word) = word(rest).expect("the word has two characters at least");
        rest = after.trim_start();
        if word == "--" {
            break;
        }
        let word = &word[2..];
        flags.push(match word.split_once('=') {
            Some((name, value)) => Flag { name: name.into(), value: Some(value.into()) },
            None => Flag { name: word.into(), value: None },
        });
    }
    (flags, rest)
}

/// A word up to the next blank, with quotes and backslashes resolved. A quote may stay open.
fn word(input: &str) -> IResult<&str, String> {
    let plain = take_while1(|c: char| !c.is_whitespace() && !matches!(c, '\'' | '"' | '\\'));
    let part = alt((plain.map(str::to_owned), escaped, quoted));
    fold_many1(part, String::new, |word, part| word + &part).parse(input)
}

/// A backslash (docker knows no other escape here) with what it protects.
fn escaped(input: &str) -> IResult<&str, String> {
    preceded(char('\\'), opt(anychar)).map(|c| c.map(String::from).unwrap_or_default()).parse(input)
}

fn quoted(input: &str) -> IResult<&str, String> {
    let (rest, quote) = one_of("'\"").parse(input)?;
    let plain = take_while1(move |c: char| c != quote && c != '\\');
    let part = alt((plain.map(str::to_owned), escaped));
    let (rest, text) = fold_many0(part, String::new, |text, part| text + &part).parse(rest)?;
    let (rest, _) = opt(char(quote)).parse(rest)?;
    Ok((rest, text))
}

/// Whether and how often a flag takes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Bare, or `=true`, or `=false`.
    Switch,
    /// One value.
    Value,
    /// Values, as often as wanted.
    List,
}

/// The checked flags of one instruction.
#[derive(Debug)]
pub(super) struct Flags {
    given: Vec<Flag>,
}

/// A problem with the word that was probably meant.
pub(super) type Hinted = (Problem, Option<String>);

impl Flags {
    /// Checks flags against those the instruction has.
    pub(super) fn check(given: &[Flag], known: &[(&'static str, Kind)]) -> Result<Self, Hinted> {
        for (index, flag) in given.iter().enumerate() {
            let name = || flag.name.clone();
            let Some((_, kind)) = known.iter().find(|(known, _)| *known == flag.name) else {
                let hint = suggest(&flag.name, known.iter().map(|(known, _)| *known), true);
                return Err((Problem::UnknownFlag { name: name() }, hint));
            };
            // Only as many flags as are known come this far without being repeated.
            let repeated =
                *kind != Kind::List && given[..index].iter().any(|earlier| earlier.name == flag.name);
            if repeated {
                return Err((Problem::DuplicateFlag { name: name() }, None));
            }
            check_value(*kind, flag)?;
        }
        Ok(Self { given: given.to_vec() })
    }

    /// Returns the value of a [`Kind::Value`].
    pub(super) fn value(&self, name: &str) -> Option<String> {
        self.given.iter().find(|flag| flag.name == name)?.value.clone()
    }

    /// Returns the values of a [`Kind::List`].
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        self.given.iter().filter(|flag| flag.name == name).filter_map(|flag| flag.value.clone()).collect()
    }

    /// Returns the state of a [`Kind::Switch`] if it was given.
    pub(super) fn switch(&self, name: &str) -> Option<bool> {
        let flag = self.given.iter().find(|flag| flag.name == name)?;
        Some(flag.value.as_ref().is_none_or(|value| value.eq_ignore_ascii_case("true")))
    }
}

fn check_value(kind: Kind, flag: &Flag) -> Result<(), Hinted> {
    let name = flag.name.clone();
    match (kind, flag.value.as_deref()) {
        (Kind::Switch, None) => Ok(()),
        (Kind::Switch, Some("")) | (Kind::Value | Kind::List, None) => {
            Err((Problem::MissingFlagValue { name }, None))
        }
        (Kind::Switch, Some(value))
            if !value.eq_ignore_ascii_case("true") && !value.eq_ignore_ascii_case("false") =>
        {
            Err((Problem::NotBoolean { name, value: value.into() }, None))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_flags_from_arguments() {
        for (text, flags, rest) in [
            ("a --b", vec![], "a --b"),
            ("--a --b=c  d e", vec![("a", None), ("b", Some("c"))], "d e"),
            ("--a= x", vec![("a", Some(""))], "x"),
            ("--a=b=c", vec![("a", Some("b=c"))], ""),
            ("-- --a", vec![], "--a"),
            ("--a --", vec![("a", None)], ""),
            ("--a='b c' d", vec![("a", Some("b c"))], "d"),
            ("--a=\"b \\\" c\" d", vec![("a", Some("b \" c"))], "d"),
            ("--a=b\\ c d", vec![("a", Some("b c"))], "d"),
            ("--a=b\\", vec![("a", Some("b"))], ""),
            ("--a=é'ü", vec![("a", Some("éü"))], ""),
            ("-a", vec![], "-a"),
            ("", vec![], ""),
        ] {
            let (got, left) = split(text);
            let got: Vec<_> = got.iter().map(|f| (f.name.as_str(), f.value.as_deref())).collect();
            assert_eq!((got, left), (flags, rest), "{text}");
        }
    }

    #[test]
    fn checks_flags() {
        let known = [("link", Kind::Switch), ("from", Kind::Value), ("exclude", Kind::List)];
        for (text, expected) in [
            ("--link --from=x --exclude=a --exclude=b", None),
            ("--link=TRUE", None),
            ("--from=", None),
            ("--link=", Some("missing a value on flag: --link")),
            ("--from", Some("missing a value on flag: --from")),
            ("--exclude", Some("missing a value on flag: --exclude")),
            ("--link=yes", Some("expecting boolean value for flag --link, not: yes")),
            ("--link --link", Some("duplicate flag specified: --link")),
            ("--form=x", Some("unknown flag: --form (from)")),
            ("--something", Some("unknown flag: --something")),
        ] {
            let got = Flags::check(&split(text).0, &known).err();
            let got = got.map(|(p, hint)| match hint {
                Some(hint) => format!("{p} ({hint})"),
                None => p.to_string(),
            });
            assert_eq!(got.as_deref(), expected, "{text}");
        }
    }

    /// A value in quotes, with what would end it protected.
    fn quoted_text(value: &str, quote: char) -> String {
        let mut text = String::from(quote);
        for c in value.chars() {
            if c == quote || c == '\\' {
                text.push('\\');
            }
            text.push(c);
        }
        text.push(quote);
        text
    }

    proptest::proptest! {
        /// However a value is written, the flag has it, and what follows is left alone.
        #[test]
        fn any_value_comes_back(
            values in proptest::collection::vec("[ -~\\téß]{0,12}", 0..4),
            how in proptest::collection::vec(0usize..3, 4),
            rest in "[a-z\\[\"$][ -~]{0,10}[a-z]",
        ) {
            let mut text = String::new();
            for (value, how) in values.iter().zip(&how) {
                let written = match how {
                    0 => quoted_text(value, '\''),
                    1 => quoted_text(value, '"'),
                    _ => value.chars().flat_map(|c| ['\\', c]).collect(),
                };
                text += &format!("--name={written} ");
            }
            text += &rest;
            let (flags, left) = split(&text);
            proptest::prop_assert_eq!(left, rest.trim());
            let got: Vec<_> = flags.iter().map(|flag| flag.value.clone().unwrap_or_default()).collect();
            proptest::prop_assert_eq!(got, values);
        }

        /// Any text splits, loses nothing behind the flags, and is judged.
        #[test]
        fn any_text_is_an_answer(text in "(--[a-z=]{0,6}[ -~\u{a0}é]{0,10} ?){0,4}[ -~]{0,8}") {
            let (flags, left) = split(&text);
            proptest::prop_assert!(text.ends_with(left) || text.trim_end().ends_with(left));
            let known = [("a", Kind::Switch), ("b", Kind::Value), ("c", Kind::List)];
            let _ = Flags::check(&flags, &known);
        }
    }
}
