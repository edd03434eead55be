//! The first stage: a logical line split into keyword, flags and arguments in their form,
//! with the heredocs below it. What it finds wrong, docker reports without a line number.

use nom::bytes::complete::{take_till, take_while};
use nom::{IResult, Parser};

use super::error::{ParseError, Problem};
use super::flags::{self, Flag};
use super::heredoc::{self, RawHeredoc};
use super::instruction::{Arg, KeyValues};
use super::json::{self, Json};
use super::keyvalue::{self, is_blank};
use super::line::{Logical, Reader};
use super::source::Span;

macro_rules! keywords {
    ($($variant:ident $name:literal),* $(,)?) => {
        /// A keyword of the language.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Keyword { $($variant),* }

        /// All keywords, in upper case.
        pub(super) const KEYWORDS: &[&str] = &[$($name),*];

        impl Keyword {
            /// Returns the keyword that `text` spells in any case.
            pub(super) fn read(text: &str) -> Option<Self> {
                $(if text.eq_ignore_ascii_case($name) { return Some(Self::$variant); })*
                None
            }

            /// Returns the keyword in upper case.
            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

keywords! {
    Add "ADD", Arg "ARG", Cmd "CMD", Copy "COPY", Entrypoint "ENTRYPOINT", Env "ENV", Expose "EXPOSE",
    From "FROM", Healthcheck "HEALTHCHECK", Label "LABEL", Maintainer "MAINTAINER", Onbuild "ONBUILD",
    Run "RUN", Shell "SHELL", StopSignal "STOPSIGNAL", User "USER", Volume "VOLUME", Workdir "WORKDIR",
}

/// Arguments in the form of their instruction.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Form {
    /// Nothing behind the keyword, or the keyword is unknown.
    Nothing,
    /// The rest of the line.
    Text(String),
    /// Words split at blanks, each with its place among the arguments' openers, if it is one.
    Words(Vec<Argument>),
    /// A JSON array.
    Json(Vec<String>),
    /// `ENV` and `LABEL`.
    Pairs(KeyValues),
    /// `ARG`
    Arguments(Vec<Arg>),
    /// `HEALTHCHECK`: the type and what follows, as text or JSON.
    Health(String, Box<Form>),
    /// `ONBUILD`: the trigger's line and the trigger.
    Trigger(String, Box<Statement>),
}

/// A word of `ADD` and `COPY`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Argument {
    /// A path.
    Word(String),
    /// The heredoc of this index.
    Heredoc(usize),
}

/// An instruction before its own rules are applied.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Statement {
    /// The keyword as typed.
    pub(super) typed: String,
    pub(super) keyword: Option<Keyword>,
    pub(super) flags: Vec<Flag>,
    pub(super) form: Form,
    pub(super) heredocs: Vec<RawHeredoc>,
    /// The logical line.
    pub(super) text: String,
    pub(super) comments: Vec<String>,
    pub(super) span: Span,
    /// The last line before heredoc bodies, if a continuation held a blank line.
    pub(super) blank: Option<u32>,
}

/// Reads the next statement with its heredocs.
pub(super) fn next(reader: &mut Reader<'_>) -> Result<Option<Statement>, ParseError> {
    let Some(line) = reader.next_logical()? else { return Ok(None) };
    let Logical { text, span, comments, blank } = line;
    let text = text.trim();
    let mut statement = split(text, reader.escape).map_err(|problem| ParseError::new(problem, span))?;
    let openers = heredocs_of(&statement.form, statement.keyword, text);
    for opener in openers {
        statement.heredocs.push(heredoc::read_body(reader, opener, span.first)?);
    }
    statement.span = Span { first: span.first, last: reader.number() };
    statement.comments = comments;
    statement.blank = blank.then_some(span.last);
    Ok(Some(statement))
}

/// Returns the openers of a statement that may have heredocs.
fn heredocs_of(form: &Form, keyword: Option<Keyword>, text: &str) -> Vec<heredoc::Opener> {
    match (keyword, form) {
        (Some(Keyword::Onbuild), Form::Trigger(line, trigger)) => {
            heredocs_of(&trigger.form, trigger.keyword, line)
        }
        (Some(Keyword::Run), Form::Text(arguments)) => heredoc::openers(arguments),
        (Some(Keyword::Add | Keyword::Copy), Form::Words(_)) => {
            let (arguments, _) = keyword_and_rest(text).unwrap_or_default();
            heredoc::openers(flags::split(arguments).1)
        }
        _ => Vec::new(),
    }
}

/// The rest of a line behind its keyword, and the keyword.
fn keyword_and_rest(line: &str) -> IResult<&str, &str> {
    let (rest, keyword) = take_till(is_blank).parse(line)?;
    let (rest, _) = take_while(is_blank).parse(rest)?;
    Ok((rest, keyword))
}

/// Splits a trimmed line.
fn split(line: &str, escape: char) -> Result<Statement, Problem> {
    let (rest, typed) = keyword_and_rest(line).unwrap_or((line, ""));
    let (flags, arguments) = flags::split(rest);
    let keyword = Keyword::read(typed);
    let form = match keyword {
        None => Form::Nothing,
        Some(Keyword::Onbuild) if !arguments.is_empty() => {
            Form::Trigger(arguments.to_owned(), Box::new(split_trigger(arguments, escape)?))
        }
        Some(keyword) => form_of(keyword, arguments, escape)?,
    };
    Ok(Statement {
        typed: typed.to_owned(),
        keyword,
        flags,
        form,
        heredocs: Vec::new(),
        text: line.to_owned(),
        comments: Vec::new(),
        span: Span::line(0),
        blank: None,
    })
}

/// Splits a trigger. A chain of `ONBUILD` is not followed, so that it costs no stack.
fn split_trigger(line: &str, escape: char) -> Result<Statement, Problem> {
    match keyword_and_rest(line) {
        Ok((_, typed)) if Keyword::read(typed) == Some(Keyword::Onbuild) => split(typed, escape),
        _ => split(line, escape),
    }
}

fn form_of(keyword: Keyword, arguments: &str, escape: char) -> Result<Form, Problem> {
    if arguments.is_empty() {
        return Ok(Form::Nothing);
    }
    match keyword {
        Keyword::Run | Keyword::Cmd | Keyword::Entrypoint | Keyword::Shell => text_or_json(arguments),
        Keyword::Add | Keyword::Copy | Keyword::Volume => match json::read(arguments) {
            Json::Strings(strings) => Ok(Form::Json(strings)),
            Json::Mixed => Err(Problem::NotStrings),
            Json::None if keyword == Keyword::Volume => Ok(Form::Words(words(arguments))),
            Json::None => Ok(Form::Words(words_and_heredocs(arguments))),
        },
        Keyword::Env | Keyword::Label => {
            let pairs = keyvalue::pairs(arguments, keyword.name(), escape)?;
            Ok(pairs.map_or(Form::Nothing, Form::Pairs))
        }
        Keyword::Arg => match keyvalue::arguments(arguments, escape) {
            Ok(items) => Ok(Form::Arguments(items)),
            // Docker looks at names in its second stage.
            Err(_) => Ok(Form::Text(arguments.to_owned())),
        },
        Keyword::From => Ok(Form::Words(words(arguments))),
        Keyword::Expose => {
            Ok(Form::Words(arguments.split_whitespace().map(|w| Argument::Word(w.to_owned())).collect()))
        }
        Keyword::Healthcheck => {
            let (kind, rest) = arguments.split_once(char::is_whitespace).unwrap_or((arguments, ""));
            let rest = rest.trim_start();
            let command = if rest.is_empty() { Form::Nothing } else { text_or_json(rest)? };
            Ok(Form::Health(kind.to_owned(), Box::new(command)))
        }
        Keyword::Maintainer | Keyword::Onbuild | Keyword::StopSignal | Keyword::User | Keyword::Workdir => {
            Ok(Form::Text(arguments.to_owned()))
        }
    }
}

fn text_or_json(arguments: &str) -> Result<Form, Problem> {
    match json::read(arguments) {
        Json::Strings(strings) => Ok(Form::Json(strings)),
        Json::Mixed => Err(Problem::NotStrings),
        Json::None => Ok(Form::Text(arguments.to_owned())),
    }
}

fn words(text: &str) -> Vec<Argument> {
    text.split(is_blank).filter(|word| !word.is_empty()).map(|w| Argument::Word(w.to_owned())).collect()
}

/// Splits at blanks, but keeps each heredoc opener whole, whose quoted word may hold blanks.
///
/// With a blank behind `<<`, the lines below are still the body, yet the words are paths.
fn words_and_heredocs(text: &str) -> Vec<Argument> {
    let mut all = Vec::new();
    let mut at = 0;
    for (index, opener) in heredoc::openers(text).into_iter().enumerate() {
        all.extend(words(&text[at..opener.range.start]));
        if opener.is_loose(text) {
            all.extend(words(&text[opener.range.clone()]));
        } else {
            all.push(Argument::Heredoc(index));
        }
        at = opener.range.end;
    }
    all.extend(words(&text[at..]));
    all
}
