//! Instructions back to text, in one canonical form.
//!
//! Reading the text again gives the same instructions but for spans and layout.

use super::heredoc;
use super::instruction::{
    AddInstruction, Arg, Command, CopyInstruction, Dockerfile, From, Healthcheck, Heredoc, Instruction,
    InstructionKind, KeyValues, Network, Run, Security, SourceSpec, Transfer,
};
use super::json;
use super::line::MAX_LINE;

/// Returns the canonical text of a Dockerfile.
pub fn print(file: &Dockerfile) -> String {
    let mut out = String::new();
    for (key, value) in [("syntax", &file.directives.syntax), ("check", &file.directives.check)] {
        if let Some((value, _)) = value {
            out.push_str(&format!("# {key}={value}\n"));
        }
    }
    if file.directives.escape != '\\' {
        out.push_str(&format!("# escape={}\n", file.directives.escape));
    }
    // A blank line ends the directives, so that no comment becomes one.
    if !out.is_empty() || file.instructions.first().is_some_and(|first| !first.comments.is_empty()) {
        out.push('\n');
    }
    for instruction in &file.instructions {
        for comment in &instruction.comments {
            out.push_str(&format!("# {comment}\n"));
        }
        out.push_str(&print_instruction(instruction, file.directives.escape));
    }
    out
}

/// Returns the canonical text of one instruction with its heredocs, ended by a newline.
pub fn print_instruction(instruction: &Instruction, escape: char) -> String {
    let mut line = Line { text: instruction.keyword.clone(), escape };
    let bodies = line.kind(&instruction.kind);
    let mut out = line.wrapped();
    out.push('\n');
    out.push_str(&bodies);
    out
}

struct Line {
    text: String,
    escape: char,
}

impl Line {
    /// Adds an instruction's arguments and returns what stands on the lines below.
    fn kind(&mut self, kind: &InstructionKind) -> String {
        match kind {
            InstructionKind::From(from) => self.from(from),
            InstructionKind::Run(run) => return self.run(run),
            InstructionKind::Cmd(command) | InstructionKind::Entrypoint(command) => self.command(command),
            InstructionKind::Shell(words) => self.word(&json::write(words)),
            InstructionKind::Env(pairs) | InstructionKind::Label(pairs) => self.pairs(pairs),
            InstructionKind::Arg(items) => self.rest(&arguments(items)),
            InstructionKind::Expose(ports) => self.rest(&ports.join(" ")),
            InstructionKind::Volume(paths) => self.words(paths),
            InstructionKind::Maintainer(text)
            | InstructionKind::User(text)
            | InstructionKind::Workdir(text)
            | InstructionKind::StopSignal(text) => self.rest(text),
            InstructionKind::Healthcheck(check) => self.healthcheck(check),
            InstructionKind::Onbuild(text) => {
                let (line, bodies) = text.split_once('\n').unwrap_or((text, ""));
                self.rest(line);
                let end = if bodies.is_empty() { "" } else { "\n" };
                return format!("{bodies}{end}");
            }
            InstructionKind::Copy(copy) => return self.copy(copy),
            InstructionKind::Add(add) => return self.add(add),
        }
        String::new()
    }

    fn word(&mut self, word: &str) {
        self.text.push(' ');
        self.text.push_str(word);
    }

    /// Adds arguments, kept apart from flags where they look like one.
    fn rest(&mut self, text: &str) {
        if text.starts_with("--") {
            self.word("--");
        }
        if !text.is_empty() {
            self.word(text);
        }
    }

    fn flag(&mut self, name: &str, value: Option<&str>) {
        let Some(value) = value else { return };
        let plain = !value.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '\\'));
        let value = if plain {
            value.to_owned()
        } else {
            format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
        };
        self.word(&format!("--{name}={value}"));
    }

    fn switch(&mut self, name: &str, on: bool) {
        if on {
            self.word(&format!("--{name}"));
        }
    }

    fn from(&mut self, from: &From) {
        self.flag("platform", from.platform.as_deref());
        self.rest(&from.image);
        if let Some(name) = &from.typed_name {
            self.word("AS");
            self.word(name);
        }
    }

    fn command(&mut self, command: &Command) {
        match command {
            Command::Shell(text) => self.rest(text),
            Command::Exec(words) => self.word(&json::write(words)),
        }
    }

    fn run(&mut self, run: &Run) -> String {
        for mount in &run.mounts {
            self.flag("mount", Some(&mount.text));
        }
        let network = run.network.map(|network| match network {
            Network::Default => "default",
            Network::None => "none",
            Network::Host => "host",
        });
        self.flag("network", network);
        let security = run.security.map(|security| match security {
            Security::Sandbox => "sandbox",
            Security::Insecure => "insecure",
        });
        self.flag("security", security);
        for device in &run.devices {
            self.flag("device", Some(device));
        }
        self.command(&run.command);
        run.heredocs.iter().map(below).collect()
    }

    fn pairs(&mut self, pairs: &KeyValues) {
        let item = |(key, value): &(String, String)| {
            // One blank behind the escape character would belong to the key.
            let between = match pairs.legacy {
                true if key.ends_with(self.escape) => "  ",
                true => " ",
                false => "=",
            };
            format!("{key}{between}{value}")
        };
        let all: Vec<String> = pairs.pairs.iter().map(item).collect();
        self.rest(&all.join(" "));
    }

    /// Adds words, as JSON where blanks or looks would change them.
    fn words(&mut self, words: &[String]) {
        if words.iter().all(|word| is_plain(word)) {
            self.rest(&words.join(" "));
        } else {
            self.word(&json::write(words));
        }
    }

    fn healthcheck(&mut self, check: &Healthcheck) {
        let Healthcheck::Probe { command, interval, timeout, start_period, start_interval, retries } = check
        else {
            return self.word("NONE");
        };
        for (name, time) in [
            ("interval", interval),
            ("timeout", timeout),
            ("start-period", start_period),
            ("start-interval", start_interval),
        ] {
            self.flag(name, (*time != 0).then(|| format!("{time}ns")).as_deref());
        }
        self.flag("retries", (*retries != 0).then(|| retries.to_string()).as_deref());
        self.word("CMD");
        match command {
            Command::Shell(text) => self.word(text),
            Command::Exec(words) => self.word(&json::write(words)),
        }
    }

    fn copy(&mut self, copy: &CopyInstruction) -> String {
        self.flag("from", copy.from.as_deref());
        self.switch("parents", copy.parents);
        self.transfer(&copy.transfer)
    }

    fn add(&mut self, add: &AddInstruction) -> String {
        self.flag("checksum", add.checksum.as_deref());
        for (name, value) in [("keep-git-dir", add.keep_git_dir), ("unpack", add.unpack)] {
            self.flag(name, value.map(|on| if on { "true" } else { "false" }));
        }
        self.transfer(&add.transfer)
    }

    fn transfer(&mut self, transfer: &Transfer) -> String {
        self.flag("chown", transfer.chown.as_deref());
        self.flag("chmod", transfer.chmod.as_deref());
        self.switch("link", transfer.link);
        for pattern in &transfer.excludes {
            self.flag("exclude", Some(pattern));
        }
        let (mut words, mut bodies) = (Vec::new(), Vec::new());
        for source in &transfer.sources {
            match source {
                SourceSpec::Path(path) => words.push(path.clone()),
                SourceSpec::Heredoc(heredoc) => {
                    words.push(opener(heredoc));
                    bodies.push(below(heredoc));
                }
            }
        }
        words.push(transfer.destination.clone());
        if bodies.is_empty() {
            self.words(&words);
            return String::new();
        }
        // Only words can be openers; what stood beside one has no blanks.
        let line = words.join(" ");
        self.rest(&line);
        let mut bodies = bodies.into_iter();
        let body = |opener: heredoc::Opener| match opener.is_loose(&line) {
            true => format!("{}\n", opener.terminator()),
            false => bodies.next().unwrap_or_default(),
        };
        heredoc::openers(&line).into_iter().map(body).collect()
    }

    /// Returns the text with continuations where a physical line would be too long.
    fn wrapped(self) -> String {
        let Self { mut text, escape } = self;
        if text.ends_with(escape) && !text.ends_with(&[escape, escape].iter().collect::<String>()) {
            // An argument's last character, not a continuation: a blank that is none of those after one.
            text.push('\u{b}');
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while rest.len() > MAX_LINE - 1 {
            let Some(at) = break_point(rest, escape) else { break };
            out.push_str(&rest[..at]);
            out.push(escape);
            out.push('\n');
            rest = &rest[at..];
        }
        out + rest
    }
}

/// Returns the last place where a continuation changes nothing.
fn break_point(text: &str, escape: char) -> Option<usize> {
    let mut end = MAX_LINE - 1;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut next = text[end..].chars().next();
    for (at, c) in text[..end].char_indices().rev() {
        let free = next.is_some_and(|next| !next.is_whitespace() && next != '#' && next != escape);
        if free && c != escape && at + c.len_utf8() < text.len() {
            return Some(at + c.len_utf8());
        }
        next = Some(c);
    }
    None
}

fn arguments(items: &[Arg]) -> String {
    let item = |arg: &Arg| match &arg.default {
        Some(default) => format!("{}={default}", arg.name),
        None => arg.name.clone(),
    };
    items.iter().map(item).collect::<Vec<_>>().join(" ")
}

fn is_plain(word: &str) -> bool {
    !word.is_empty()
        && !word.starts_with(['-', '['])
        && word.chars().all(|c| c.is_alphanumeric() || "_./:@%+,=~${}*?-[]".contains(c))
}

/// Returns the words that open a heredoc with this name.
fn opener(heredoc: &Heredoc) -> String {
    let fd = heredoc.fd.map(|fd| fd.to_string()).unwrap_or_default();
    let dash = if heredoc.chomp { "-" } else { "" };
    let name = &heredoc.name;
    let name = if heredoc.expand {
        let special = |c: char| c.is_whitespace() || matches!(c, '\'' | '"' | '\\');
        let dashed = name.starts_with('-').then_some('\\');
        let escaped = name.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c]));
        dashed.into_iter().chain(escaped).collect()
    } else {
        format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
    };
    format!("{fd}<<{dash}{name}")
}

/// Returns body and terminator.
fn below(heredoc: &Heredoc) -> String {
    format!("{}{}\n", heredoc.body, heredoc.name)
}
