//! Mistakes on the command line, in docker's words and with its exit codes.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::error::CliError;
use super::output;

/// Commands of docker that belong to later versions.
const LATER: &[&str] = &[
    "attach",
    "bake",
    "commit",
    "compose",
    "container",
    "context",
    "cp",
    "create",
    "diff",
    "events",
    "exec",
    "export",
    "kill",
    "login",
    "logout",
    "logs",
    "manifest",
    "network",
    "node",
    "pause",
    "plugin",
    "port",
    "ps",
    "pull",
    "push",
    "registry",
    "rename",
    "restart",
    "rm",
    "search",
    "secret",
    "service",
    "stack",
    "start",
    "stats",
    "stop",
    "swarm",
    "top",
    "unpause",
    "update",
    "volume",
    "wait",
];

/// Turns clap's error into what docker says; help is printed and is no failure.
pub fn report(error: &clap::Error, program: &str, words: &[String]) -> Result<(), CliError> {
    let path = command_path(program, words);
    let hint = format!("\n\nRun '{path} --help' for more information");
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            return output::data(&error.render().to_string());
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            output::talk(&error.render().to_string());
            return Err(CliError::silent(1));
        }
        ErrorKind::InvalidSubcommand => {
            let typed = text(error, ContextKind::InvalidSubcommand).unwrap_or_default();
            if LATER.contains(&typed.as_str()) {
                return Err(CliError::new(format!("{program}: '{typed}' is not available in this version")));
            }
            let parent = command_path(program, &words[..words.iter().position(|w| *w == typed).unwrap_or(0)]);
            return Err(CliError::new(format!(
                "{program}: unknown command: {parent} {typed}\n\nRun '{parent} --help' for more information"
            )));
        }
        ErrorKind::UnknownArgument => {
            let typed = text(error, ContextKind::InvalidArg).unwrap_or_default();
            let what = match typed.strip_prefix("--") {
                Some(name) => {
                    let name = name.split('=').next().unwrap_or(name);
                    let near = text(error, ContextKind::SuggestedArg);
                    let near = near.map(|flag| format!(" (did you mean {flag}?)")).unwrap_or_default();
                    format!("unknown flag: --{name}{near}")
                }
                None if typed.starts_with('-') => {
                    let flag = typed.chars().nth(1).unwrap_or('-');
                    let whole =
                        words.iter().find(|w| w.starts_with('-') && w.contains(flag)).unwrap_or(&typed);
                    format!("unknown shorthand flag: '{flag}' in {whole}")
                }
                None => {
                    let text = format!("{program}: '{path}' accepts no further argument: {typed}");
                    return Err(CliError::new(format!("{text}{hint}")));
                }
            };
            return Err(CliError::new(format!("{what}{}{hint}", usage(error))).code(125));
        }
        ErrorKind::MissingRequiredArgument | ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => {
            let usage_line = usage(error);
            let wanted = usage_line.matches(" <").count().max(1);
            let plural = if wanted == 1 { "argument" } else { "arguments" };
            let least =
                if usage_line.contains("...") || usage_line.contains("> [") { "at least " } else { "" };
            let text = format!("{program}: '{path}' requires {least}{wanted} {plural}");
            return Err(CliError::new(format!("{text}{}{hint}", usage(error))));
        }
        _ => {}
    }
    let reason = error.render().to_string();
    let reason = reason.strip_prefix("error: ").unwrap_or(&reason);
    let reason = reason.split("\n\n").next().unwrap_or(reason).trim_end();
    Err(CliError::new(format!("{reason}{hint}")).code(125))
}

fn text(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => texts.first().cloned(),
        other => Some(other.to_string()),
    }
}

fn usage(error: &clap::Error) -> String {
    match error.get(ContextKind::Usage) {
        // Options that happened to be given say nothing here.
        Some(ContextValue::StyledStr(usage)) => {
            format!("\n\n{}", usage.to_string().trim_end().replace(" --root <DIR>", " [OPTIONS]"))
        }
        _ => String::new(),
    }
}

/// The program and the words that name commands: `docker image ls`.
fn command_path(program: &str, words: &[String]) -> String {
    let mut path = program.to_owned();
    let groups = ["image", "builder", "buildx", "container", "system"];
    for word in words.iter().filter(|word| !word.starts_with('-')) {
        path.push(' ');
        path.push_str(word);
        if !groups.contains(&word.as_str()) {
            break;
        }
    }
    path
}
