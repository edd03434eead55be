//! Instructions that set one field of the configuration, and `ONBUILD`.

use super::super::error::Problem;
use super::super::flags::Hinted;
use super::super::instruction::{Arg, KeyValues};
use super::super::keyvalue;
use super::super::statement::{Form, Keyword, Statement};
use super::as_words;

pub(super) fn pairs(statement: &Statement) -> Result<KeyValues, Hinted> {
    statement.no_flags()?;
    let Form::Pairs(pairs) = &statement.form else { return Err(statement.at_least_one()) };
    if pairs.pairs.iter().any(|(key, _)| key.is_empty()) {
        return Err((Problem::BlankName { keyword: statement.name() }, None));
    }
    Ok(pairs.clone())
}

pub(super) fn arg(statement: &Statement) -> Result<Vec<Arg>, Hinted> {
    statement.no_flags()?;
    match &statement.form {
        Form::Arguments(items) => Ok(items.clone()),
        // The first stage kept the text because of what is wrong with it; the escape
        // character plays no part in that.
        Form::Text(text) => keyvalue::arguments(text, '\\').map_err(|problem| (problem, None)),
        _ => Err(statement.at_least_one()),
    }
}

pub(super) fn expose(statement: &Statement) -> Result<Vec<String>, Hinted> {
    let mut ports = as_words(&statement.form);
    if ports.is_empty() {
        return Err(statement.at_least_one());
    }
    statement.no_flags()?;
    ports.sort();
    Ok(ports)
}

pub(super) fn volume(statement: &Statement) -> Result<Vec<String>, Hinted> {
    let paths = as_words(&statement.form);
    if paths.is_empty() {
        return Err(statement.at_least_one());
    }
    statement.no_flags()?;
    let paths: Vec<String> = paths.iter().map(|path| path.trim().to_owned()).collect();
    if paths.iter().any(String::is_empty) {
        return Err((Problem::EmptyVolume, None));
    }
    Ok(paths)
}

/// An instruction whose one argument is the rest of the line.
pub(super) fn one(statement: &Statement) -> Result<String, Hinted> {
    let Form::Text(text) = &statement.form else {
        return Err((Problem::ExactlyOne { keyword: statement.name() }, None));
    };
    statement.no_flags()?;
    Ok(text.clone())
}

pub(super) fn onbuild(statement: &Statement) -> Result<String, Hinted> {
    let Form::Trigger(line, trigger) = &statement.form else { return Err(statement.at_least_one()) };
    statement.no_flags()?;
    match trigger.keyword {
        Some(Keyword::Onbuild) => return Err((Problem::ChainedOnbuild, None)),
        Some(keyword @ (Keyword::From | Keyword::Maintainer)) => {
            return Err((Problem::NotTrigger { keyword: keyword.name() }, None));
        }
        _ => {}
    }
    let bodies = statement.heredocs.iter().map(|heredoc| heredoc.text());
    Ok(std::iter::once(line.clone()).chain(bodies).collect())
}
