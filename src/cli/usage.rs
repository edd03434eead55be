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
    ("", &["compose", "context", "node", "plugin", "secret", "service", "stack", "swarm", "trust"]),
    ("system", &["dial-stdio", "service"]),
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
    if level.above.is_empty() && matches!(name, "daemon" | "dockerd") {
        return CliError::new(format!(
            "{program}: '{program} daemon' is '{program} system service', which is not available in this version: every \
             command works without a service"
        ));
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
    let name = arg.get_long().unwrap_or_default();
    let name = match arg.get_short() {
        Some(letter) => format!("-{letter}, --{name}"),
        None => format!("--{name}"),
    };
    flag_error(level, &format!("invalid argument \"{value}\" for \"{name}\" flag: {why}"))
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
    Err(CliError::new(format!(
        "{}: '{}' {wanted}{hint}\n\n{}\n\nRun '{} --help' for more information",
        program(level),
        level.path,
        help::usage(level),
        level.path
    )))
}

/// Turns what clap still finds, values of the wrong type, into docker's words.
pub fn report(error: &clap::Error, path: &str) -> CliError {
    let hint = format!("\n\nRun '{path} --help' for more information");
    let text = |kind: ContextKind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let said = match (error.kind(), text(ContextKind::InvalidArg), text(ContextKind::InvalidValue)) {
        (ErrorKind::ValueValidation | ErrorKind::InvalidValue, Some(arg), Some(value)) => {
            let flag = arg.split([' ', '=']).next().unwrap_or(&arg).to_owned();
            let why = std::error::Error::source(error).map(ToString::to_string);
            let why = why.or_else(|| match error.get(ContextKind::ValidValue) {
                Some(ContextValue::Strings(valid)) => Some(format!("use one of {}", valid.join(", "))),
                _ => None,
            });
            let why = why.unwrap_or_else(|| "invalid syntax".to_owned());
            format!("invalid argument \"{value}\" for \"{flag}\" flag: {why}")
        }
        _ => {
            let whole = error.render().to_string();
            let whole = whole.strip_prefix("error: ").unwrap_or(&whole);
            whole.split("\n\n").next().unwrap_or(whole).trim_end().to_owned()
        }
    };
    CliError::new(format!("{said}{hint}")).code(BAD_FLAG)
}

fn program<'a>(level: &'a Level<'_>) -> &'a str {
    level.path.split(' ').next().unwrap_or(&level.path)
}
