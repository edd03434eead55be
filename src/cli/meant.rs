//! Guesses at what was meant by a line that names no command.

use std::borrow::Cow;

use clap::Command;

use super::words::{Read, read};

/// Commands that people leave out most.
const FIRST: &[&str] = &["run", "logs", "ps", "exec", "images", "build"];

/// Returns the line with the command that is missing: one that takes all of the flags, or one that got a dash.
pub fn missing_command(root: &Command, program: &str, words: &[String]) -> Option<String> {
    let (first, rest) = words.split_first()?;
    let dashed = first.trim_start_matches('-');
    if root.find_subcommand(dashed).is_some() {
        return Some(line(program, dashed, rest));
    }
    let fits = |name: &&str| {
        let mut whole = vec![(*name).to_owned()];
        whole.extend_from_slice(words);
        let read = read(root, program, &whole);
        matches!(read, Ok(Read::Command(words)) if root.clone().try_get_matches_from(&words).is_ok())
    };
    let leaves = root.get_subcommands().filter(|command| !command.has_subcommands());
    let name = FIRST.iter().copied().chain(leaves.map(Command::get_name)).find(fits)?;
    Some(line(program, name, words))
}

fn line(program: &str, name: &str, rest: &[String]) -> String {
    let rest = rest.iter().map(|word| format!(" {}", quoted(word)));
    format!("{program} {name}{}", rest.collect::<String>())
}

/// A word as a shell takes it.
fn quoted(word: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.into(),
        false => format!("'{}'", word.replace('\'', "'\\''")).into(),
    }
}

/// Returns a hint for a name that is the text of a command, whose output was meant.
pub fn command_as_name(name: &str) -> Option<String> {
    let bare = name.strip_prefix("sudo ").unwrap_or(name);
    let command = ["docker ", "skiff "].iter().any(|program| bare.starts_with(program));
    command.then(|| format!("quotes keep the shell from running {name:?}: did you mean $({name})?"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::super::commands::Cli;
    use super::*;

    #[test]
    fn commands_are_found_by_their_flags() {
        for (words, expected) in [
            ("-d -P --name n -v a:/b:ro nginx", Some("docker run -d -P --name n -v a:/b:ro nginx")),
            ("--tail 0 -f dave", Some("docker logs --tail 0 -f dave")),
            ("-rm x", Some("docker rm x")),
            ("-aq", Some("docker ps -aq")),
            ("--nonsense", None),
        ] {
            let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
            assert_eq!(missing_command(&Cli::command(), "docker", &words).as_deref(), expected);
        }
        assert_eq!(quoted("a b'c"), "'a b'\\''c'");
    }

    #[test]
    fn a_quoted_command_is_told_from_a_name() {
        let hint = command_as_name("sudo docker ps -a -q").expect("a command");
        assert!(hint.ends_with("did you mean $(sudo docker ps -a -q)?"), "{hint}");
        assert_eq!(command_as_name("dockerish"), None);
    }
}
