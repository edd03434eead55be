//! The words of the command line, read by docker's rules and rewritten so that clap can't read them otherwise.
//!
//! What differs from clap: a switch takes `=true|false|1|0|t|f`, a flag that is
//! given twice has its last value, a value may begin with a dash, `run` stops
//! reading flags at the image, and mistakes have docker's words and exit codes.

use std::cell::OnceCell;
use std::collections::VecDeque;

use clap::{Arg, ArgAction, Command};

use super::error::CliError;
use super::help;
use super::later;
use super::meant;
use super::usage;

/// What the command line asks for.
#[derive(Debug)]
pub enum Read {
    /// To run a command: the words for clap, the program's name first.
    Command(Vec<String>),
    /// To show a text.
    Help(String),
}

/// Reads the words after the program's name.
///
/// # Errors
/// A mistake, in docker's words.
pub fn read(root: &Command, program: &str, words: &[String]) -> Result<Read, CliError> {
    let mut out = vec![program.to_owned()];
    let leaf = OnceCell::new();
    let mut level = Level { command: root, path: program.to_owned(), above: Vec::new() };
    let mut rest: VecDeque<&str> = words.iter().map(String::as_str).collect();
    // `help a b` is `a b --help`.
    let asks = rest.front() == Some(&"help");
    if asks {
        rest.pop_front();
        rest.push_back("--help");
    }
    loop {
        let mut scan =
            Scan { level: &level, given: Vec::new(), words: Vec::new(), help: false, swallowed: None };
        let scanned = scan.all(&mut rest);
        if level.path == program {
            scanned.map_err(|error| with_command(error, root, program, words))?;
        } else {
            scanned?;
        }
        if scan.help {
            return Ok(Read::Help(help::text(&level)));
        }
        out.extend(scan.given.iter().flat_map(Given::words));
        let words = scan.words;
        if !level.is_group() {
            usage::check_count(&level, words.len(), scan.swallowed.as_deref())?;
            out.push("--".to_owned());
            out.extend(words.into_iter().map(str::to_owned));
            return Ok(Read::Command(out));
        }
        let Some(name) = words.first() else {
            let quits = level.above.is_empty() && out.len() > 1 && out[1..].contains(&"--version".to_owned());
            return Ok(if quits { Read::Command(out) } else { Read::Help(help::text(&level)) });
        };
        let next = level.command.find_subcommand(name);
        let next = next.ok_or_else(|| usage::unknown_command(&level, name))?;
        out.push(next.get_name().to_owned());
        level = level.below(next, name, &leaf);
    }
}

/// Adds the command that was left out to an error about flags before any command, if one would take them.
fn with_command(mut error: CliError, root: &Command, program: &str, words: &[String]) -> CliError {
    if !error.text.contains("did you mean")
        && let Some(line) = meant::missing_command(root, program, words)
    {
        error.text = error.text.replacen("\n\n", &format!("\ndid you mean: {line}\n\n"), 1);
    }
    error
}

/// A command and the way to it.
#[derive(Debug, Clone)]
pub struct Level<'a> {
    /// The command.
    pub command: &'a Command,
    /// The program and the words that lead to the command.
    pub path: String,
    /// Flags of the commands above that may stand here too.
    pub above: Vec<&'a Arg>,
}

impl<'a> Level<'a> {
    /// Returns the level of a program, or of a command of it that is named by its whole path.
    pub fn of(path: &str, root: &'a Command, leaf: &'a OnceCell<Command>) -> Self {
        let mut names = path.split(' ');
        let program = names.next().unwrap_or_default();
        let mut level = Self { command: root, path: program.to_owned(), above: Vec::new() };
        for name in names {
            let Some(next) = level.command.find_subcommand(name) else { break };
            level = level.below(next, name, leaf);
        }
        level
    }

    /// Returns the level of a command that stands below this one.
    fn below(self, next: &'a Command, name: &str, leaf: &'a OnceCell<Command>) -> Self {
        let mut above = self.above;
        above.extend(self.command.get_arguments().filter(|arg| arg.is_global_set()));
        let next = if next.has_subcommands() { next } else { leaf.get_or_init(|| later::whole(next)) };
        Self { command: next, path: format!("{} {name}", self.path), above }
    }

    /// Whether this command only holds others.
    pub fn is_group(&self) -> bool {
        self.command.has_subcommands()
    }

    /// Returns the flags that may be given here.
    pub fn flags(&self) -> impl Iterator<Item = &'a Arg> {
        self.command.get_arguments().chain(self.above.iter().copied()).filter(|arg| !arg.is_positional())
    }

    fn long(&self, name: &str) -> Option<&'a Arg> {
        self.flags().find(|arg| {
            arg.get_long() == Some(name)
                || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
        })
    }

    fn short(&self, name: char) -> Option<&'a Arg> {
        self.flags().find(|arg| arg.get_short() == Some(name))
    }

    /// Whether what follows the first argument belongs to somebody else.
    fn stops(&self) -> bool {
        self.is_group() || self.command.get_positionals().any(Arg::is_trailing_var_arg_set)
    }

    /// Whether `-h` asks for help here.
    fn help_has_letter(&self) -> bool {
        self.short('h').is_none()
    }
}

/// Whether a flag is on or off and needs no value.
pub fn is_switch(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue) || has_optional_value(arg)
}

fn has_optional_value(arg: &Arg) -> bool {
    arg.get_num_args().is_some_and(|range| range.min_values() == 0)
}

/// Whether a flag that needs no value may have one that is more than on or off.
fn takes_text(arg: &Arg) -> bool {
    has_optional_value(arg)
        && arg.get_value_names().is_some_and(|names| names.iter().any(|name| name == "FILE"))
}

/// A flag and its values so far.
struct Given<'a> {
    arg: &'a Arg,
    values: Vec<String>,
}

impl Given<'_> {
    /// Returns words that mean the flag and nothing else.
    fn words(&self) -> Vec<String> {
        let name = self.arg.get_long().expect("every flag has a long name");
        let last = self.values.last().map_or("", String::as_str);
        match self.arg.get_action() {
            ArgAction::SetTrue if last == "true" => vec![format!("--{name}")],
            ArgAction::SetTrue => Vec::new(),
            ArgAction::Append => self.values.iter().map(|value| format!("--{name}={value}")).collect(),
            _ => vec![format!("--{name}={last}")],
        }
    }
}

/// One command's words being read.
struct Scan<'a, 'l, 'w> {
    level: &'l Level<'a>,
    given: Vec<Given<'a>>,
    words: Vec<&'w str>,
    help: bool,
    /// What says that the last word of all was taken as a flag's value.
    swallowed: Option<String>,
}

impl<'w> Scan<'_, '_, 'w> {
    /// Reads to the end, or in a group up to the name of a command.
    fn all(&mut self, rest: &mut VecDeque<&'w str>) -> Result<(), CliError> {
        while let Some(word) = rest.pop_front() {
            if word == "--" {
                self.words.extend(rest.drain(..));
            } else if let Some(flag) = word.strip_prefix("--") {
                self.long(flag, rest)?;
            } else if word.len() > 1 && word.starts_with('-') {
                self.letters(word, rest)?;
            } else {
                self.words.push(word);
                if self.level.is_group() {
                    return Ok(());
                }
                if self.level.stops() {
                    self.words.extend(rest.drain(..));
                }
            }
            if self.help {
                return Ok(());
            }
        }
        Ok(())
    }

    /// `--name`, `--name=value`, `--name value`
    fn long(&mut self, flag: &str, rest: &mut VecDeque<&str>) -> Result<(), CliError> {
        let (name, value) = flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value)));
        if name == "help" {
            self.help = true;
            return Ok(());
        }
        let arg = self.level.long(name).ok_or_else(|| usage::unknown_flag(self.level, name))?;
        let value = match value {
            Some(value) => value,
            None if takes_text(arg) => "",
            None if is_switch(arg) => "true",
            None => {
                let value = rest.pop_front().ok_or_else(|| {
                    usage::flag_error(self.level, &format!("flag needs an argument: --{name}"))
                })?;
                self.swallow(value, &format!("--{name}"), rest);
                value
            }
        };
        self.take(arg, value)
    }

    /// `-abc`, `-n5`, `-n=5`, `-n 5`
    fn letters(&mut self, word: &str, rest: &mut VecDeque<&str>) -> Result<(), CliError> {
        let mut left = &word[1..];
        while let Some(letter) = left.chars().next() {
            let after = &left[letter.len_utf8()..];
            let Some(arg) = self.level.short(letter) else {
                if letter == 'h' && self.level.help_has_letter() {
                    self.help = true;
                    return Ok(());
                }
                return Err(usage::flag_error(
                    self.level,
                    &format!("unknown shorthand flag: '{letter}' in -{left}"),
                ));
            };
            if let Some(value) = after.strip_prefix('=') {
                return self.take(arg, value);
            }
            if is_switch(arg) {
                self.take(arg, "true")?;
                left = after;
                continue;
            }
            if !after.is_empty() {
                return self.take(arg, after);
            }
            let value = rest.pop_front().ok_or_else(|| {
                usage::flag_error(self.level, &format!("flag needs an argument: '{letter}' in -{left}"))
            })?;
            self.swallow(value, &format!("-{letter}"), rest);
            return self.take(arg, value);
        }
        Ok(())
    }

    fn swallow(&mut self, value: &str, flag: &str, rest: &VecDeque<&str>) {
        if rest.is_empty() {
            self.swallowed = Some(format!("{value:?} was taken as the value of {flag}"));
        }
    }

    fn take(&mut self, arg: &Arg, value: &str) -> Result<(), CliError> {
        if let Some(why) = odd(arg, value) {
            return Err(usage::invalid_value(self.level, arg, value, &why));
        }
        let value = match is_switch(arg) && !takes_text(arg) {
            true => truth(value)
                .ok_or_else(|| {
                    let why = format!("strconv.ParseBool: parsing \"{value}\": invalid syntax");
                    usage::invalid_value(self.level, arg, value, &why)
                })?
                .to_string(),
            false => value.to_owned(),
        };
        let arg = self.level.flags().find(|known| known.get_id() == arg.get_id());
        let arg = arg.expect("the flag was found here");
        match self.given.iter_mut().find(|given| given.arg.get_id() == arg.get_id()) {
            Some(given) => given.values.push(value),
            None => self.given.push(Given { arg, values: vec![value] }),
        }
        Ok(())
    }
}

/// Go's `strconv.ParseBool`.
fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Says what docker says of a value that a flag of its kind can't have.
fn odd(arg: &Arg, value: &str) -> Option<String> {
    if arg.get_long() == Some("filter") && !value.is_empty() && !value.contains('=') {
        return Some("bad format of filter (expected name=value)".to_owned());
    }
    let whole = arg.get_value_parser().type_id() == std::any::TypeId::of::<i64>();
    match value.parse::<i64>() {
        Err(error) if whole => {
            use std::num::IntErrorKind::{NegOverflow, PosOverflow};
            let far = matches!(error.kind(), PosOverflow | NegOverflow);
            let why = if far { "value out of range" } else { "invalid syntax" };
            Some(format!("strconv.ParseInt: parsing \"{value}\": {why}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::super::commands::Cli;
    use super::*;

    fn words(line: &str) -> Result<String, CliError> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        match read(&Cli::command(), "docker", &words)? {
            Read::Command(words) => Ok(words[1..].join(" ")),
            Read::Help(text) => Ok(text.trim_start().lines().next().unwrap_or_default().to_owned()),
        }
    }

    #[test]
    fn flags_are_read_as_dockers() {
        for (line, expected) in [
            ("run --rm -it img sh -c -x --rm", "run --rm --interactive --tty -- img sh -c -x --rm"),
            ("run -ti=false --rm=0 img", "run --tty -- img"),
            ("run -eA=1 -e B=2 --env=C -e -x img", "run --env=A=1 --env=B=2 --env=C --env=-x -- img"),
            ("run -h name img -h", "run --hostname=name -- img -h"),
            ("run --net none -- img -- x", "run --network=none -- img -- x"),
            ("-D images -q --no-trunc=true x", "--debug images --quiet --no-trunc -- x"),
            ("images x -q", "images --quiet -- x"),
            ("image ls", "image ls --"),
            ("image list -q", "image ls --quiet --"),
            ("rmi -f -f=false a b", "rmi -- a b"),
            ("save -ofile a", "save --output=file -- a"),
            ("load -i - -q", "load --input=- --quiet --"),
            ("tag -- -a b", "tag -- -a b"),
            ("--version", "--version"),
            ("history --human=false x", "history --human=false -- x"),
            ("help image ls", "Usage:  docker image ls [OPTIONS] [REPOSITORY[:TAG]]"),
            ("rmi -h", "Usage:  docker rmi [OPTIONS] IMAGE [IMAGE...]"),
            ("run --help", "Usage:  docker run [OPTIONS] IMAGE [COMMAND] [ARG...]"),
            ("image", "Usage:  docker image COMMAND"),
        ] {
            assert_eq!(words(line).map_err(|e| e.text).as_deref(), Ok(expected), "{line}");
        }
    }

    #[test]
    fn mistakes_have_dockers_words_and_codes() {
        for (line, code, said) in [
            (
                "rmi",
                1,
                "docker: 'docker rmi' requires at least 1 argument\n\nUsage:  docker rmi [OPTIONS] IMAGE [IMAGE...]\n\nSee 'docker rmi --help' for more information",
            ),
            ("tag a", 1, "docker: 'docker tag' requires 2 arguments"),
            ("images a b", 1, "docker: 'docker images' requires at most 1 argument"),
            ("image ls a b", 1, "docker: 'docker image ls' requires at most 1 argument"),
            ("import", 1, "docker: 'docker import' requires at least 1 and at most 2 arguments"),
            ("import a b c", 1, "docker: 'docker import' requires at least 1 and at most 2 arguments"),
            ("version x", 1, "docker: 'docker version' accepts no arguments"),
            (
                "nosuch x",
                1,
                "docker: unknown command: docker nosuch\n\nRun 'docker --help' for more information",
            ),
            (
                "image nosuch",
                1,
                "docker: unknown command: docker image nosuch\n\nRun 'docker image --help' for more information",
            ),
            ("compose ls", 1, "docker: 'docker compose' is not available in this version"),
            (
                "images --nosuch=1",
                125,
                "unknown flag: --nosuch\n\nUsage:  docker images [OPTIONS] [REPOSITORY[:TAG]]\n\nRun 'docker images --help' for more information",
            ),
            ("images --no-trunk", 125, "unknown flag: --no-trunk (did you mean --no-trunc?)"),
            ("run -itz img", 125, "unknown shorthand flag: 'z' in -z"),
            ("run -ze img", 125, "unknown shorthand flag: 'z' in -ze"),
            ("run --env", 125, "flag needs an argument: --env"),
            ("run -ie", 125, "flag needs an argument: 'e' in -e"),
            (
                "images -q=maybe",
                125,
                "invalid argument \"maybe\" for \"-q, --quiet\" flag: strconv.ParseBool: parsing \"maybe\": invalid syntax",
            ),
        ] {
            let error = words(line).expect_err(line);
            assert_eq!(error.code, code, "{line}");
            assert!(error.text.starts_with(said), "{line}: {}", error.text);
        }
    }

    #[test]
    fn what_is_there_is_not_called_missing() {
        let tree = Cli::command();
        for (group, names) in usage::LATER {
            let commands = if group.is_empty() { Some(&tree) } else { tree.find_subcommand(group) };
            let commands = commands.expect("a group");
            for name in *names {
                assert!(commands.find_subcommand(name).is_none(), "{group} {name}");
            }
        }
    }

    #[test]
    fn every_command_is_sound_and_has_a_help() {
        fn walk(command: &Command, path: &str) {
            for next in command.get_subcommands() {
                let path = format!("{path} {}", next.get_name());
                let words: Vec<String> =
                    path.split(' ').skip(1).chain(["--help"]).map(str::to_owned).collect();
                let Ok(Read::Help(text)) = read(&Cli::command(), "docker", &words) else {
                    panic!("{path} has no help")
                };
                assert!(text.contains(&format!("Usage:  {path}")), "{text}");
                for arg in next.get_arguments().filter(|arg| !arg.is_positional()) {
                    assert!(arg.get_long().is_some(), "{path}: {} has no long name", arg.get_id());
                    assert!(arg.get_help().is_some(), "{path}: {} has no help", arg.get_id());
                }
                walk(next, &path);
            }
        }
        Cli::command().debug_assert();
        walk(&Cli::command(), "docker");
    }
}
