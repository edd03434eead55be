//! What can be wrong with a Dockerfile, in docker's words.

use std::error::Error;
use std::fmt;

use super::quote::quoted;
use super::source::Span;
use super::words::WordError;

/// A Dockerfile that cannot be used, with the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// What is wrong.
    pub problem: Problem,
    /// The lines at fault; none where the whole file is.
    pub span: Option<Span>,
    /// The word that was probably meant.
    pub hint: Option<String>,
    /// Whether docker's `dockerfile parse error on line N: ` goes in front.
    pub named_line: bool,
}

impl ParseError {
    /// Takes a problem of the lines `span` that docker reports without a line number in the text.
    pub fn new(problem: Problem, span: impl Into<Option<Span>>) -> Self {
        Self { problem, span: span.into(), hint: None, named_line: false }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (true, Some(span)) = (self.named_line, self.span) {
            write!(f, "dockerfile parse error on line {}: ", span.first)?;
        }
        write!(f, "{}", self.problem)?;
        match &self.hint {
            Some(hint) => write!(f, " (did you mean {hint}?)"),
            None => Ok(()),
        }
    }
}

impl Error for ParseError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.problem.source()
    }
}

/// What is wrong with a Dockerfile, without the place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// No byte at all.
    #[error("the Dockerfile cannot be empty")]
    Empty,
    /// Blank lines and comments only.
    #[error("file with no instructions")]
    NoInstructions,
    /// Nothing but `ARG`.
    #[error("dockerfile contains no stages to build")]
    NoStages,
    /// An instruction other than `ARG` before the first `FROM`.
    #[error("no build stage in current context")]
    NoCurrentStage,
    /// A physical line beyond the limit.
    #[error("dockerfile line greater than max allowed size of {}", super::line::MAX_LINE)]
    LineTooLong,
    /// A byte that is not UTF-8; the column counts bytes from 1.
    #[error("the Dockerfile is not valid UTF-8: byte {byte:#04x} at column {column}")]
    InvalidUtf8 {
        /// The byte.
        byte: u8,
        /// Its place in the line.
        column: usize,
    },
    /// A directive twice.
    #[error("only one {name} parser directive can be used")]
    RepeatedDirective {
        /// Its key.
        name: &'static str,
    },
    /// `# escape=` with anything but a backslash or backtick.
    #[error("invalid escape token '{token}' does not match ` or \\")]
    EscapeToken {
        /// The value.
        token: String,
    },
    /// A heredoc whose terminator is missing.
    #[error("unterminated heredoc")]
    UnterminatedHeredoc,
    /// A keyword that does not exist.
    #[error("unknown instruction: {name}")]
    UnknownInstruction {
        /// As typed.
        name: String,
    },
    /// A JSON array with something else than strings.
    #[error("when using JSON array syntax, arrays must be comprised of strings only")]
    NotStrings,
    /// `ENV NAME` alone.
    #[error("{keyword} must have two arguments")]
    TwoArguments {
        /// The keyword.
        keyword: &'static str,
    },
    /// A later word of `ENV` or `LABEL` without `=`.
    #[error("Syntax error - can't find = in {}. Must be of the form: name=value", quoted(word))]
    NoEquals {
        /// The word.
        word: String,
    },
    /// `=value`
    #[error("{keyword} names can not be blank")]
    BlankName {
        /// The keyword.
        keyword: &'static str,
    },
    /// No argument.
    #[error("{keyword} requires at least one argument")]
    AtLeastOne {
        /// The keyword.
        keyword: &'static str,
    },
    /// None or several arguments.
    #[error("{keyword} requires exactly one argument")]
    ExactlyOne {
        /// The keyword.
        keyword: &'static str,
    },
    /// `COPY` or `ADD` with a source only.
    #[error(
        "{keyword} requires at least two arguments, but only one was provided. Destination could not be determined"
    )]
    NoDestination {
        /// The keyword.
        keyword: &'static str,
    },
    /// A heredoc as the last argument.
    #[error("{keyword} cannot accept a heredoc as a destination")]
    HeredocDestination {
        /// The keyword.
        keyword: &'static str,
    },
    /// `FROM` with another number of arguments.
    #[error("FROM requires either one or three arguments")]
    FromArguments,
    /// A stage name with other characters than allowed.
    #[error(
        "invalid name for build stage: {}, name can't start with a number or contain symbols",
        quoted(name)
    )]
    StageName {
        /// As typed.
        name: String,
    },
    /// `SHELL` in shell form.
    #[error("SHELL requires the arguments to be in JSON form")]
    ShellNotJson,
    /// `VOLUME [""]`
    #[error("VOLUME specified can not be an empty string")]
    EmptyVolume,
    /// `HEALTHCHECK NONE x`
    #[error("HEALTHCHECK NONE takes no arguments")]
    HealthNoneArguments,
    /// `HEALTHCHECK CMD`
    #[error("Missing command after HEALTHCHECK CMD")]
    HealthNoCommand,
    /// Neither `NONE` nor `CMD`.
    #[error("Unknown type {} in HEALTHCHECK (try CMD)", quoted(kind))]
    HealthType {
        /// In upper case.
        kind: String,
    },
    /// A time of `HEALTHCHECK` that is not one.
    #[error(transparent)]
    Duration(#[from] super::duration::DurationError),
    /// A time below the minimum.
    #[error("Interval {} cannot be less than 1ms", quoted(flag))]
    IntervalTooShort {
        /// The flag.
        flag: &'static str,
    },
    /// `--retries` that is no number, in Go's words.
    #[error("strconv.ParseInt: parsing {}: {reason}", quoted(value))]
    Retries {
        /// The value.
        value: String,
        /// `invalid syntax` or `value out of range`.
        reason: &'static str,
    },
    /// `--retries` below zero.
    #[error("--retries cannot be negative ({value})")]
    NegativeRetries {
        /// The value.
        value: i64,
    },
    /// A flag that the instruction does not have.
    #[error("unknown flag: --{name}")]
    UnknownFlag {
        /// Without dashes.
        name: String,
    },
    /// A flag twice.
    #[error("duplicate flag specified: --{name}")]
    DuplicateFlag {
        /// Without dashes.
        name: String,
    },
    /// A flag without its value.
    #[error("missing a value on flag: --{name}")]
    MissingFlagValue {
        /// Without dashes.
        name: String,
    },
    /// A switch with another value than `true` or `false`.
    #[error("expecting boolean value for flag --{name}, not: {value}")]
    NotBoolean {
        /// Without dashes.
        name: String,
        /// The value.
        value: String,
    },
    /// `RUN --network=x`
    #[error("invalid network mode {}", quoted(value))]
    Network {
        /// The value.
        value: String,
    },
    /// `RUN --security=x`
    #[error("security {} is not valid", quoted(value))]
    Security {
        /// The value.
        value: String,
    },
    /// `COPY --from=$x`
    #[error(
        "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround"
    )]
    VariableFrom,
    /// `RUN --mount=from=$x`
    #[error("'from' doesn't support variable expansion, define alias stage instead")]
    MountVariableFrom,
    /// `RUN --mount` that is not CSV.
    #[error("failed to parse csv mounts: {reason}")]
    MountCsv {
        /// In Go's words.
        reason: &'static str,
    },
    /// A mount key without the value that it needs.
    #[error("invalid field '{field}' must be a key=value pair")]
    MountField {
        /// The field.
        field: String,
    },
    /// A mount key that does not exist.
    #[error("unexpected key '{key}' in '{field}'")]
    MountKey {
        /// In lower case.
        key: String,
        /// The field.
        field: String,
    },
    /// A mount key that this type does not have.
    #[error("unexpected key '{key}' for mount type '{kind}'")]
    MountKeyForType {
        /// In lower case.
        key: String,
        /// The type.
        kind: &'static str,
    },
    /// A mount type that does not exist.
    #[error("unsupported mount type {}", quoted(value))]
    MountType {
        /// The value.
        value: String,
    },
    /// A sharing mode that does not exist.
    #[error("unsupported sharing value {}", quoted(value))]
    MountSharing {
        /// The value.
        value: String,
    },
    /// A mount value that is no boolean or size.
    #[error("invalid value for {key}: {value}")]
    MountValue {
        /// In lower case.
        key: String,
        /// The value.
        value: String,
    },
    /// A mount value that is no number.
    #[error("invalid value {value} for {key}")]
    MountNumber {
        /// `mode`, `uid` or `gid`.
        key: &'static str,
        /// The value.
        value: String,
    },
    /// `mode`, `uid` or `gid` of a mount that cannot have it.
    #[error("{key} not allowed for {} type mounts", quoted(kind))]
    MountOwner {
        /// `mode`, `uid` or `gid`.
        key: &'static str,
        /// The type.
        kind: &'static str,
    },
    /// `from` of a secret.
    #[error("secret mount should not have a from")]
    SecretFrom,
    /// `sharing` of a secret.
    #[error("secret mount should not define sharing")]
    SecretSharing,
    /// A secret without a name.
    #[error("invalid secret mount. one of source, target required")]
    SecretUnnamed,
    /// A secret with two names.
    #[error("both source and id can't be set")]
    SecretTwoNames,
    /// `sharing` of anything but a cache.
    #[error("invalid cache sharing set for {kind} mount")]
    SharingForType {
        /// The type.
        kind: &'static str,
    },
    /// `ONBUILD ONBUILD`
    #[error("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")]
    ChainedOnbuild,
    /// `ONBUILD FROM` and `ONBUILD MAINTAINER`.
    #[error("{keyword} isn't allowed as an ONBUILD trigger")]
    NotTrigger {
        /// In upper case.
        keyword: &'static str,
    },
    /// A trigger's text that is none or several instructions.
    #[error("onbuild trigger should be a single expression")]
    TriggerCount,
    /// An expansion that failed.
    #[error("failed to process {}", quoted(word))]
    Word {
        /// The word.
        word: String,
        /// Why.
        source: WordError,
    },
}
