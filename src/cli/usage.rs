//! Mistakes on the command line, in docker's words and with its exit codes.

use clap::Arg;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::error::CliError;
use super::help;
use super::words::Level;
use crate::parser::suggestion;

/// Exit code of a wrong flag.
const BAD_FLAG: u8 = 125;

/// Commands of docker that belong to later versions, and the groups in which they stand.
pub const LATER: &[(&str, &[&str])] = &[
    ("", &["compose", "node", "plugin", "secret", "service", "stack", "swarm", "trust"]),
    ("builder", &["dap", "debug", "dial-stdio", "history", "policy"]),
    ("buildx", &["dap", "debug", "dial-stdio", "history", "policy"]),
];

/// The error for a word that names no command here.
pub fn unknown_command(level: &Level<'_>, name: &str) -> CliError {
    let program = program(level);
    let group = level.path.split_once(' ').map_or("", |(_, group)| group);
    if LATER.iter().any(|(at, names)| *at == group && names.contains(&name)) {
        return CliError::new(format!("{program}: '{} {name}' is not available in this version", level.path));
    }
    let near = suggestion(name, level.command.get_subcommands().map(clap::Command::get_name));
    CliError::new(format!(
        "{program}: unknown command: {} {name}{near}\n\nRun '{} --help' for more information",
        level.path, level.path
    ))
}

/// The error for a flag that is none here.
pub fn unknown_flag(level: &Level<'_>, name: &str) -> CliError {
    let near = suggestion(name, level.flags().filter(|arg| !arg.is_hide_set()).filter_map(Arg::get_long));
    let near = near.replace("mean ", "mean --");
    flag_error(level, &format!("unknown flag: --{name}{near}"))
}

/// The error for a flag's value.
pub fn invalid_value(level: &Level<'_>, arg: &Arg, value: &str, why: &str) -> CliError {
    explained(CliError::flag(&flag_name(arg), value, why), level)
}

/// A flag's name as errors write it.
fn flag_name(arg: &Arg) -> String {
    let name = arg.get_long().unwrap_or_default();
    match arg.get_short() {
        Some(letter) => format!("-{letter}, --{name}"),
        None => format!("--{name}"),
    }
}

/// Adds how the command is used to an error about its flags.
pub fn explained(error: CliError, level: &Level<'_>) -> CliError {
    match error.usage {
        true => CliError { usage: false, ..flag_error(level, &error.text) },
        false => error,
    }
}

/// An error about flags, with what shows how it is right.
pub fn flag_error(level: &Level<'_>, text: &str) -> CliError {
    let text =
        format!("{text}\n\n{}\n\nRun '{} --help' for more information", help::usage(level), level.path);
    CliError::new(text).code(BAD_FLAG)
}

/// Checks the number of arguments; `hint` says what became of the last word if it is none.
///
/// # Errors
/// There are too few or too many.
pub fn check_count(level: &Level<'_>, count: usize, hint: Option<&str>) -> Result<(), CliError> {
    let least = level.command.get_positionals().filter(|arg| arg.is_required_set()).count();
    let most = match level.command.get_positionals().any(help::is_list) {
        true => usize::MAX,
        false => level.command.get_positionals().count(),
    };
    if (least..=most).contains(&count) {
        return Ok(());
    }
    let plural = |n: usize| if n == 1 { "argument" } else { "arguments" };
    let wanted = match (least, most) {
        (_, 0) => "accepts no arguments".to_owned(),
        (least, usize::MAX) => format!("requires at least {least} {}", plural(least)),
        (least, most) if least == most => format!("requires {least} {}", plural(least)),
        (0, most) => format!("requires at most {most} {}", plural(most)),
        (least, most) => format!("requires at least {least} and at most {most} {}", plural(most)),
    };
    let hint = hint.filter(|_| count < least).map(|hint| format!("\n{hint}")).unwrap_or_default();
    // Two functions of docker's count, and each has its own word.
    let see = if wanted.starts_with("requires at least") && most == usize::MAX { "See" } else { "Run" };
    Err(CliError::new(format!(
        "{}: '{}' {wanted}{hint}\n\n{}\n\n{see} '{} --help' for more information",
        program(level),
        level.path,
        help::usage(level),
        level.path
    )))
}

/// Turns what clap still finds, values of the wrong type, into docker's words.
pub fn report(error: &clap::Error, level: &Level<'_>) -> CliError {
    let text = |kind: ContextKind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    match (error.kind(), text(ContextKind::InvalidArg), text(ContextKind::InvalidValue)) {
        (ErrorKind::ValueValidation | ErrorKind::InvalidValue, Some(arg), Some(value)) => {
            let flag = arg.split([' ', '=']).next().unwrap_or(&arg).trim_start_matches('-').to_owned();
            let known = level.flags().find(|arg| arg.get_long() == Some(&flag));
            let flag = known.map_or(format!("--{flag}"), flag_name);
            let why = std::error::Error::source(error).map(ToString::to_string);
            let why = why.or_else(|| match error.get(ContextKind::ValidValue) {
                Some(ContextValue::Strings(valid)) => Some(format!("use one of {}", valid.join(", "))),
                _ => None,
            });
            let why = why.map(|why| go_words(&why, &value));
            explained(CliError::flag(&flag, &value, why.as_deref().unwrap_or("invalid syntax")), level)
        }
        _ => {
            let whole = error.render().to_string();
            let whole = whole.strip_prefix("error: ").unwrap_or(&whole);
            flag_error(level, whole.split("\n\n").next().unwrap_or(whole).trim_end())
        }
    }
}

/// Says of a number what docker's language says of it.
fn go_words(why: &str, value: &str) -> String {
    match why {
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            format!("strconv.ParseInt: parsing \"{value}\": invalid syntax")
        }
        "invalid float literal" | "cannot parse float from empty string" => {
            format!("failed to parse {value} as a rational number")
        }
        "invalid IP address syntax" => format!("IP address is not correctly formatted: {value}"),
        why if why.contains("too large to fit") || why.contains("too small to fit") => {
            format!("strconv.ParseInt: parsing \"{value}\": value out of range")
        }
        why => why.to_owned(),
    }
}

fn program<'a>(level: &'a Level<'_>) -> &'a str {
    level.path.split(' ').next().unwrap_or(&level.path)
}
