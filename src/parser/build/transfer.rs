//! `COPY` and `ADD`

use super::super::error::Problem;
use super::super::flags::{Flags, Hinted, Kind};
use super::super::instruction::{AddInstruction, CopyInstruction, SourceSpec, Transfer};
use super::super::mount::is_variable;
use super::super::statement::{Argument, Form, Statement};

const COPY_FLAGS: [(&str, Kind); 6] = [
    ("chown", Kind::Value),
    ("from", Kind::Value),
    ("chmod", Kind::Value),
    ("link", Kind::Switch),
    ("parents", Kind::Switch),
    ("exclude", Kind::List),
];

const ADD_FLAGS: [(&str, Kind); 7] = [
    ("chown", Kind::Value),
    ("chmod", Kind::Value),
    ("link", Kind::Switch),
    ("keep-git-dir", Kind::Switch),
    ("checksum", Kind::Value),
    ("unpack", Kind::Switch),
    ("exclude", Kind::List),
];

pub(super) fn copy(statement: &Statement) -> Result<CopyInstruction, Hinted> {
    let arguments = arguments(statement)?;
    let flags = statement.flags(&COPY_FLAGS)?;
    let transfer = transfer(statement, arguments, &flags)?;
    let from = filled(&flags, "from");
    if from.as_deref().is_some_and(is_variable) {
        return Err((Problem::VariableFrom, None));
    }
    Ok(CopyInstruction { transfer, from, parents: flags.switch("parents").unwrap_or(false) })
}

pub(super) fn add(statement: &Statement) -> Result<AddInstruction, Hinted> {
    let arguments = arguments(statement)?;
    let flags = statement.flags(&ADD_FLAGS)?;
    Ok(AddInstruction {
        transfer: transfer(statement, arguments, &flags)?,
        checksum: filled(&flags, "checksum"),
        keep_git_dir: flags.switch("keep-git-dir"),
        unpack: flags.switch("unpack"),
    })
}

/// Returns the value of a flag; an empty one is as good as none.
fn filled(flags: &Flags, name: &str) -> Option<String> {
    flags.value(name).filter(|value| !value.is_empty())
}

fn arguments(statement: &Statement) -> Result<Vec<Argument>, Hinted> {
    let arguments = match &statement.form {
        Form::Words(words) => words.clone(),
        Form::Json(words) => words.iter().cloned().map(Argument::Word).collect(),
        _ => Vec::new(),
    };
    if arguments.len() < 2 {
        return Err((Problem::NoDestination { keyword: statement.name() }, None));
    }
    Ok(arguments)
}

fn transfer(statement: &Statement, mut arguments: Vec<Argument>, flags: &Flags) -> Result<Transfer, Hinted> {
    let Some(Argument::Word(destination)) = arguments.pop() else {
        return Err((Problem::HeredocDestination { keyword: statement.name() }, None));
    };
    let source = |argument| match argument {
        Argument::Word(path) => Some(SourceSpec::Path(path)),
        Argument::Heredoc(index) => Some(SourceSpec::Heredoc(statement.heredocs.get(index)?.finish())),
    };
    Ok(Transfer {
        sources: arguments.into_iter().filter_map(source).collect(),
        destination,
        chown: filled(flags, "chown"),
        chmod: filled(flags, "chmod"),
        link: flags.switch("link").unwrap_or(false),
        excludes: flags.list("exclude"),
    })
}
