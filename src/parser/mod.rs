//! Dockerfile text to typed instructions; pure, with a span on everything.
//!
//! Owns the language: lines, directives, heredocs, flags, JSON forms, words and their
//! expansion, docker's wording of what can be wrong, and how a place is shown. It opens
//! no file, knows no image and resolves nothing.
//!
//! ```text
//! text --line, directive--> logical lines --statement--> keyword, flags, form, heredocs
//!                                                             | build/ (rules by instruction)
//! words (expansion, at build time) <-- unexpanded words <-- Instruction
//! ```
//!
//! The two stages mirror docker's: all lines are split before any instruction is checked,
//! so of several mistakes the same one is reported.
//!
//! **Invariants:** work is linear in the text; hostile text costs no stack; an error has
//! docker's wording and the lines at fault; `parse(print(x))` is `x` but for spans and layout.

mod build;
mod directive;
mod duration;
mod error;
mod excerpt;
mod flags;
mod heredoc;
pub mod instruction;
mod json;
mod keyvalue;
mod line;
mod mount;
mod pattern;
mod print;
mod quote;
pub mod source;
mod statement;
mod suggest;
pub mod words;

pub use directive::{detect_check, detect_syntax};
pub use duration::{DurationError, parse_duration, parse_size};
pub use error::{ParseError, Problem};
pub use excerpt::excerpt;
pub use instruction::{Dockerfile, Instruction, InstructionKind};
pub use print::{print, print_instruction};
pub use quote::quoted;
pub use source::{Source, Span};
pub use suggest::{suggest, suggestion};
pub use words::WordError;

use line::Reader;
use statement::Statement;

/// Parses a whole Dockerfile.
///
/// # Errors
/// The first mistake that docker's parser would name, at its lines.
pub fn parse(source: &Source) -> Result<Dockerfile, ParseError> {
    match parse_partly(source) {
        (file, None) => Ok(file),
        (_, Some(error)) => Err(error),
    }
}

/// Parses as far as the first mistake, and returns it with the instructions before it.
///
/// What is wrong with a line as such (a quote, a heredoc without end) leaves no instruction.
pub fn parse_partly(source: &Source) -> (Dockerfile, Option<ParseError>) {
    let mut file = Dockerfile::default();
    if source.text().is_empty() {
        return (file, Some(ParseError::new(Problem::Empty, None)));
    }
    let mut reader = Reader::new(source.text());
    let statements = match statements(&mut reader) {
        Ok(statements) => statements,
        Err(error) => return (file, Some(error)),
    };
    if let Some(error) = statements.iter().find_map(|statement| mended(statement, source)) {
        return (file, Some(error));
    }
    file.directives = directive::directives(source.text(), reader.escape);
    for (index, statement) in statements.iter().enumerate() {
        file.blank_continuations.extend(statement.blank.map(|line| (index, Span::line(line))));
    }
    let error = instructions(statements, &mut file.instructions).err();
    (file, error)
}

/// Returns what is wrong with a heredoc whose lines were taken for comments of another encoding.
fn mended(statement: &Statement, source: &Source) -> Option<ParseError> {
    let replaced = |heredoc: &heredoc::RawHeredoc| heredoc.body.contains(char::REPLACEMENT_CHARACTER);
    statement.heredocs.iter().any(replaced).then(|| source.mended_in(statement.span))?
}

/// Runs the second stage to the end, or to the first mistake.
fn instructions(statements: Vec<Statement>, into: &mut Vec<Instruction>) -> Result<(), ParseError> {
    let mut in_stage = false;
    for statement in statements {
        let instruction = build::instruction(statement)?;
        in_stage |= matches!(instruction.kind, InstructionKind::From(_));
        if !in_stage && !matches!(instruction.kind, InstructionKind::Arg(_)) {
            return Err(ParseError::new(Problem::NoCurrentStage, instruction.span));
        }
        into.push(instruction);
    }
    match in_stage {
        true => Ok(()),
        false => Err(ParseError::new(Problem::NoStages, None)),
    }
}

/// Parses the text of an `ONBUILD` trigger as an image's config holds it; the escape character
/// is the default one. The span counts lines of the trigger.
///
/// # Errors
/// As [`parse`], and for what must not be a trigger.
pub fn parse_trigger(text: &str) -> Result<Instruction, ParseError> {
    let mut reader = Reader::new(text);
    let mut statements = statements(&mut reader)?;
    let (Some(statement), true) = (statements.pop(), statements.is_empty()) else {
        return Err(ParseError::new(Problem::TriggerCount, None));
    };
    let instruction = build::instruction(statement)?;
    let problem = match instruction.kind {
        InstructionKind::From(_) => Problem::NotTrigger { keyword: "FROM" },
        InstructionKind::Maintainer(_) => Problem::NotTrigger { keyword: "MAINTAINER" },
        InstructionKind::Onbuild(_) => Problem::ChainedOnbuild,
        _ => return Ok(instruction),
    };
    Err(ParseError::new(problem, instruction.span))
}

/// Runs the first stage to the end.
fn statements(reader: &mut Reader<'_>) -> Result<Vec<Statement>, ParseError> {
    let mut statements = Vec::new();
    while let Some(statement) = statement::next(reader)? {
        statements.push(statement);
    }
    if statements.is_empty() {
        let last = (reader.number() > 0).then(|| Span::line(reader.number()));
        return Err(ParseError::new(Problem::NoInstructions, last));
    }
    Ok(statements)
}
