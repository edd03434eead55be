//! The second stage: statements to typed instructions, by groups.
//!
//! What is found wrong here, docker reports with `dockerfile parse error on line N`.

mod command;
mod config;
mod stage;
mod transfer;

use super::error::{ParseError, Problem};
use super::flags::{Flags, Hinted, Kind};
use super::instruction::{Command, Instruction, InstructionKind};
use super::statement::{Argument, Form, KEYWORDS, Keyword, Statement};
use super::suggest::suggest;

/// Applies the rules of the statement's instruction.
pub(super) fn instruction(statement: Statement) -> Result<Instruction, ParseError> {
    let kind = match kind(&statement) {
        Ok(kind) => kind,
        Err((problem, hint)) => {
            // The check of `--from` comes after docker's parser, so it bears no line.
            let named_line = problem != Problem::VariableFrom;
            return Err(ParseError { problem, span: Some(statement.span), hint, named_line });
        }
    };
    let Statement { typed, text, comments, span, .. } = statement;
    Ok(Instruction { span, keyword: typed, text, comments, kind })
}

fn kind(statement: &Statement) -> Result<InstructionKind, Hinted> {
    let Some(keyword) = statement.keyword else {
        let hint = suggest(&statement.typed, KEYWORDS.iter().copied(), false);
        return Err((Problem::UnknownInstruction { name: statement.typed.clone() }, hint));
    };
    match keyword {
        Keyword::From => stage::from(statement).map(InstructionKind::From),
        Keyword::Arg => config::arg(statement).map(InstructionKind::Arg),
        Keyword::Run => command::run(statement).map(InstructionKind::Run),
        Keyword::Cmd => command::plain_command(statement).map(InstructionKind::Cmd),
        Keyword::Entrypoint => command::plain_command(statement).map(InstructionKind::Entrypoint),
        Keyword::Shell => command::shell(statement).map(InstructionKind::Shell),
        Keyword::Healthcheck => command::healthcheck(statement).map(InstructionKind::Healthcheck),
        Keyword::Copy => transfer::copy(statement).map(InstructionKind::Copy),
        Keyword::Add => transfer::add(statement).map(InstructionKind::Add),
        Keyword::Env => config::pairs(statement).map(InstructionKind::Env),
        Keyword::Label => config::pairs(statement).map(InstructionKind::Label),
        Keyword::Expose => config::expose(statement).map(InstructionKind::Expose),
        Keyword::Volume => config::volume(statement).map(InstructionKind::Volume),
        Keyword::User => config::one(statement).map(InstructionKind::User),
        Keyword::Workdir => config::one(statement).map(InstructionKind::Workdir),
        Keyword::StopSignal => config::one(statement).map(InstructionKind::StopSignal),
        Keyword::Maintainer => config::one(statement).map(InstructionKind::Maintainer),
        Keyword::Onbuild => config::onbuild(statement).map(InstructionKind::Onbuild),
    }
}

impl Statement {
    /// Returns the keyword in upper case, for messages.
    fn name(&self) -> &'static str {
        self.keyword.map_or("", Keyword::name)
    }

    fn flags(&self, known: &[(&'static str, Kind)]) -> Result<Flags, Hinted> {
        Flags::check(&self.flags, known)
    }

    fn no_flags(&self) -> Result<(), Hinted> {
        self.flags(&[]).map(drop)
    }

    fn at_least_one(&self) -> Hinted {
        (Problem::AtLeastOne { keyword: self.name() }, None)
    }
}

/// Returns text and JSON arguments as a command; nothing is an empty text.
fn as_command(form: &Form) -> Command {
    match form {
        Form::Json(words) => Command::Exec(words.clone()),
        Form::Text(text) => Command::Shell(text.clone()),
        _ => Command::Shell(String::new()),
    }
}

/// Returns word and JSON arguments; heredocs do not come here.
fn as_words(form: &Form) -> Vec<String> {
    match form {
        Form::Json(words) => words.clone(),
        Form::Words(words) => words
            .iter()
            .filter_map(|word| match word {
                Argument::Word(word) => Some(word.clone()),
                Argument::Heredoc(_) => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}
