//! `--help`, laid out as docker's.

use clap::{Arg, Command};

use super::words::{Level, is_switch};

/// Commands that are the same under several names.
const ALIASES: &[&[&str]] = &[
    &["image build", "build", "buildx build", "buildx b", "builder build"],
    &["image ls", "image list", "images"],
    &["image rm", "image remove", "rmi"],
    &["image tag", "tag"],
    &["image history", "history"],
    &["image save", "save"],
    &["image load", "load"],
    &["image import", "import"],
    &["container run", "run"],
    &["system info", "info"],
    &["builder prune", "buildx prune"],
];

/// Widest line where the terminal does not say.
const WIDTH: usize = 80;

/// Returns the help of a command.
pub fn text(level: &Level<'_>) -> String {
    let command = level.command;
    let mut text = format!("\n{}\n", usage(level));
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string);
    if let Some(about) = about {
        text.push_str(&format!("\n{about}\n"));
    }
    if let Some(names) = aliases(level) {
        text.push_str(&format!("\nAliases:\n  {names}\n"));
    }
    if let Some(more) = command.get_after_help() {
        text.push_str(&format!("\n{more}\n"));
    }
    let (groups, leaves): (Vec<&Command>, Vec<&Command>) =
        command.get_subcommands().filter(|c| !c.is_hide_set()).partition(|c| c.has_subcommands());
    text.push_str(&section("Management Commands", groups.iter().map(|c| row(c)).collect()));
    text.push_str(&section("Commands", leaves.iter().map(|c| row(c)).collect()));
    let (own, above): (Vec<&Arg>, Vec<&Arg>) =
        level.flags().filter(|arg| !arg.is_hide_set()).partition(|arg| !arg.is_global_set());
    let title = if level.above.is_empty() { "Global Options" } else { "Options" };
    if level.above.is_empty() {
        text.push_str(&section(title, own.into_iter().chain(above).map(flag).collect()));
    } else {
        text.push_str(&section(title, own.into_iter().map(flag).collect()));
        text.push_str(&section("Global Options", above.into_iter().map(flag).collect()));
    }
    if level.is_group() {
        text.push_str(&format!("\nRun '{} COMMAND --help' for more information on a command.\n", level.path));
    }
    text
}

/// Returns the line that shows how a command is called.
pub fn usage(level: &Level<'_>) -> String {
    let mut line = format!("Usage:  {}", level.path);
    if level.is_group() {
        let options = if level.above.is_empty() { " [OPTIONS]" } else { "" };
        return format!("{line}{options} COMMAND");
    }
    if level.command.get_arguments().any(|arg| !arg.is_positional() && !arg.is_hide_set()) {
        line.push_str(" [OPTIONS]");
    }
    for arg in level.command.get_positionals() {
        let names = arg.get_value_names().map(|names| names.join(" "));
        let name = names.unwrap_or_else(|| arg.get_id().as_str().to_uppercase());
        let word = match (arg.is_required_set(), is_list(arg)) {
            // The command of a container is one word and its arguments.
            (false, true) if arg.is_trailing_var_arg_set() => format!("[{name}] [ARG...]"),
            (true, true) if arg.is_trailing_var_arg_set() => format!("{name} [ARG...]"),
            (true, true) => format!("{name} [{name}...]"),
            (false, true) => format!("[{name}...]"),
            (true, false) => name,
            (false, false) => format!("[{name}]"),
        };
        line.push(' ');
        line.push_str(&word);
    }
    line
}

/// Whether an argument may be given many times.
pub fn is_list(arg: &Arg) -> bool {
    matches!(arg.get_action(), clap::ArgAction::Append)
        || arg.get_num_args().is_some_and(|range| range.max_values() > 1)
}

fn aliases(level: &Level<'_>) -> Option<String> {
    let (program, path) = level.path.split_once(' ')?;
    let names = ALIASES.iter().find(|names| names.contains(&path))?;
    Some(names.iter().map(|name| format!("{program} {name}")).collect::<Vec<_>>().join(", "))
}

fn row(command: &Command) -> (String, String) {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    (command.get_name().to_owned(), about)
}

fn flag(arg: &Arg) -> (String, String) {
    let short = arg.get_short().map_or("    ".to_owned(), |letter| format!("-{letter}, "));
    let mut left = format!("{short}--{}", arg.get_long().unwrap_or_default());
    if !is_switch(arg) {
        let names = arg.get_value_names().map(|names| names.join(" "));
        left.push(' ');
        left.push_str(&names.unwrap_or_else(|| arg.get_id().as_str().to_uppercase()));
    }
    let mut right = arg.get_help().map(ToString::to_string).unwrap_or_default();
    if let Some(variable) = arg.get_env() {
        right.push_str(&format!(" [${}]", variable.to_string_lossy()));
    }
    (left, right)
}

/// Two columns under a title, sorted, the right one wrapped; nothing for no rows.
fn section(title: &str, mut rows: Vec<(String, String)>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    rows.sort_by(|a, b| long_name(&a.0).cmp(long_name(&b.0)));
    let left = rows.iter().map(|(left, _)| left.len()).max().unwrap_or(0).min(34) + 3;
    let terminal = console::Term::stdout().size_checked().map_or(WIDTH, |(_, columns)| usize::from(columns));
    let room = terminal.clamp(60, 120).saturating_sub(left + 2).max(24);
    let mut text = format!("\n{title}:\n");
    for (name, about) in rows {
        let mut lines = wrap(&about, room).into_iter();
        let gap = left.saturating_sub(name.len()).max(2);
        text.push_str(&format!("  {name}{}{}\n", " ".repeat(gap), lines.next().unwrap_or_default()));
        for line in lines {
            text.push_str(&format!("  {}{line}\n", " ".repeat(left)));
        }
    }
    text
}

/// Returns what a row is sorted by: a flag's long name, or a command's.
fn long_name(left: &str) -> &str {
    left.split_once("--").map_or(left, |(_, name)| name)
}

fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is a line");
        if !line.is_empty() && line.len() + 1 + word.len() > room {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
