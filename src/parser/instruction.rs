//! The typed instructions of a Dockerfile.
//!
//! Values are as written: nothing is expanded, looked up or resolved. Words
//! that the language expands later are [`Word`]s, kept with their quotes.

use std::borrow::Cow;

use super::source::Span;

/// Text in which variables are still to be expanded, quotes and escapes included.
pub type Word = String;

/// A parsed Dockerfile.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dockerfile {
    /// The parser directives.
    pub directives: Directives,
    /// Every instruction in order, those before the first `FROM` included.
    pub instructions: Vec<Instruction>,
    /// Continuations that hold a blank line: which instruction, and the line where the continuation ends.
    pub blank_continuations: Vec<(usize, Span)>,
}

/// The parser directives at the top of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directives {
    /// `# syntax=`: frontend image and its arguments, with its line.
    pub syntax: Option<(String, Span)>,
    /// `# escape=`: `\` or a backtick.
    pub escape: char,
    /// `# check=`, unparsed, with its line.
    pub check: Option<(String, Span)>,
}

impl Default for Directives {
    fn default() -> Self {
        Self { syntax: None, escape: '\\', check: None }
    }
}

/// One instruction with where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Instruction {
    /// All physical lines it covers, heredoc bodies included.
    pub span: Span,
    /// The keyword as typed.
    pub keyword: String,
    /// The logical line: keyword and arguments with continuations joined, without heredoc bodies.
    pub text: String,
    /// Comment lines directly above it, without `#`.
    pub comments: Vec<String>,
    /// What it says.
    pub kind: InstructionKind,
}

impl Instruction {
    /// Returns what the comment above says about `name`, a stage or an argument: `# NAME text`.
    pub fn description(&self, name: &str) -> Option<&str> {
        self.comments.iter().find_map(|comment| comment.strip_prefix(name)?.strip_prefix(' '))
    }
}

/// What an instruction says.
#[derive(Debug, Clone, PartialEq)]
pub enum InstructionKind {
    /// `FROM [--platform=P] IMAGE [AS NAME]`
    From(From),
    /// `RUN`
    Run(Run),
    /// `CMD`
    Cmd(Command),
    /// `ENTRYPOINT`
    Entrypoint(Command),
    /// `SHELL ["..."]`
    Shell(Vec<String>),
    /// `ENV`
    Env(KeyValues),
    /// `LABEL`
    Label(KeyValues),
    /// `ARG NAME[=DEFAULT]...`
    Arg(Vec<Arg>),
    /// `MAINTAINER`
    Maintainer(String),
    /// `EXPOSE PORT...`
    Expose(Vec<Word>),
    /// `VOLUME PATH...`
    Volume(Vec<Word>),
    /// `USER`
    User(Word),
    /// `WORKDIR`
    Workdir(Word),
    /// `STOPSIGNAL`
    StopSignal(Word),
    /// `HEALTHCHECK`
    Healthcheck(Healthcheck),
    /// `ONBUILD`: the trigger's text, heredocs appended, as the image stores it;
    /// [`super::parse_trigger`] reads it.
    Onbuild(String),
    /// `COPY`
    Copy(CopyInstruction),
    /// `ADD`
    Add(AddInstruction),
}

/// `FROM`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct From {
    /// `--platform`
    pub platform: Option<Word>,
    /// Image, stage or `scratch`.
    pub image: Word,
    /// Name after `AS`, lowered.
    pub name: Option<String>,
    /// Name after `AS` as typed.
    pub typed_name: Option<String>,
}

/// Words of `RUN`, `CMD`, `ENTRYPOINT` and `HEALTHCHECK CMD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Text for the shell.
    Shell(String),
    /// JSON words.
    Exec(Vec<String>),
}

/// `RUN`
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// What to run; of a pure heredoc, the opener's text.
    pub command: Command,
    /// `--mount`, in order; [`MountFlag::resolve`] reads one.
    pub mounts: Vec<MountFlag>,
    /// `--network`
    pub network: Option<Network>,
    /// `--security`
    pub security: Option<Security>,
    /// `--device`, unparsed.
    pub devices: Vec<String>,
    /// Heredoc bodies in order.
    pub heredocs: Vec<Heredoc>,
}

impl Run {
    /// Returns the heredoc that is the whole script: the only one, where the command is nothing but its opener.
    pub fn script(&self) -> Option<&Heredoc> {
        let Command::Shell(text) = &self.command else { return None };
        match self.heredocs.as_slice() {
            [script] if super::heredoc::is_opener(text) => Some(script),
            _ => None,
        }
    }
}

/// `RUN --network`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// The build's choice.
    Default,
    /// Loopback only.
    None,
    /// The host's.
    Host,
}

/// `RUN --security`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// The usual confinement.
    Sandbox,
    /// None.
    Insecure,
}

/// `RUN --mount` as typed. Its values may hold variables, so it is read when the step is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountFlag {
    /// The value of the flag.
    pub text: String,
    /// `from`: stage, named context or image; never holds variables.
    pub from: Option<String>,
}

/// What a `RUN --mount` says; values are expanded, defaults are not filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// `type`
    pub kind: MountKind,
    /// `from`: stage, named context or image.
    pub from: Option<String>,
    /// `source`
    pub source: Option<String>,
    /// `target`
    pub target: Option<String>,
    /// `ro`/`rw`; none is the type's default.
    pub read_only: Option<bool>,
    /// `id`
    pub id: Option<String>,
    /// `sharing` of a cache.
    pub sharing: Option<Sharing>,
    /// `mode`, octal.
    pub mode: Option<u32>,
    /// `uid`
    pub uid: Option<u32>,
    /// `gid`
    pub gid: Option<u32>,
    /// `size` of a tmpfs, in bytes.
    pub size: Option<u64>,
    /// `required` of a secret or ssh.
    pub required: bool,
    /// `env` of a secret.
    pub env: Option<String>,
}

/// Type of a `RUN --mount`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MountKind {
    /// Files of the context, a stage or an image.
    Bind,
    /// A directory that outlives the build.
    Cache,
    /// Memory.
    Tmpfs,
    /// A secret file or variable.
    Secret,
    /// An ssh agent's socket.
    Ssh,
}

/// How builds share a cache mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sharing {
    /// All at once.
    Shared,
    /// A fresh copy where busy.
    Private,
    /// One after the other.
    Locked,
}

/// `ENV` and `LABEL` pairs, unexpanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyValues {
    /// Pairs in order.
    pub pairs: Vec<(Word, Word)>,
    /// Whether the form was `KEY rest of line`.
    pub legacy: bool,
}

/// One item of `ARG`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arg {
    /// Name.
    pub name: String,
    /// Default; `ARG X=` has an empty one.
    pub default: Option<Word>,
}

/// `HEALTHCHECK`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Healthcheck {
    /// `NONE`
    None,
    /// `CMD`, times in nanoseconds, 0 where not given.
    Probe {
        /// The command.
        command: Command,
        /// `--interval`
        interval: i64,
        /// `--timeout`
        timeout: i64,
        /// `--start-period`
        start_period: i64,
        /// `--start-interval`
        start_interval: i64,
        /// `--retries`
        retries: i64,
    },
}

/// What `COPY` and `ADD` share.
#[derive(Debug, Clone, PartialEq)]
pub struct Transfer {
    /// Sources in order.
    pub sources: Vec<SourceSpec>,
    /// Destination.
    pub destination: Word,
    /// `--chown`
    pub chown: Option<Word>,
    /// `--chmod`
    pub chmod: Option<Word>,
    /// `--link`
    pub link: bool,
    /// `--exclude`, in order.
    pub excludes: Vec<String>,
}

/// A source of `COPY` or `ADD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceSpec {
    /// A path, wildcard or URL.
    Path(Word),
    /// A file given in the Dockerfile.
    Heredoc(Heredoc),
}

/// `COPY`
#[derive(Debug, Clone, PartialEq)]
pub struct CopyInstruction {
    /// Sources, destination, ownership.
    pub transfer: Transfer,
    /// `--from`
    pub from: Option<String>,
    /// `--parents`
    pub parents: bool,
}

/// `ADD`
#[derive(Debug, Clone, PartialEq)]
pub struct AddInstruction {
    /// Sources, destination, ownership.
    pub transfer: Transfer,
    /// `--checksum`
    pub checksum: Option<Word>,
    /// `--keep-git-dir`
    pub keep_git_dir: Option<bool>,
    /// `--unpack`
    pub unpack: Option<bool>,
}

/// A heredoc.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// Name without quotes; the file's name in `COPY` and `ADD`.
    pub name: String,
    /// Body as it stands in the file, every line with its end.
    pub body: String,
    /// Whether variables of the body are expanded in `COPY` and `ADD`.
    pub expand: bool,
    /// Whether the opener was `<<-`.
    pub chomp: bool,
    /// File descriptor before `<<`.
    pub fd: Option<u32>,
}

impl Heredoc {
    /// Returns the body without the leading tabs that `<<-` drops: what a file holds, and a script.
    pub fn content(&self) -> Cow<'_, str> {
        if !self.chomp {
            return Cow::Borrowed(&self.body);
        }
        self.body.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect()
    }
}
