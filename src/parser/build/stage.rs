//! `FROM`

use super::super::error::Problem;
use super::super::flags::{Hinted, Kind};
use super::super::instruction::From;
use super::super::statement::Statement;
use super::as_words;

pub(super) fn from(statement: &Statement) -> Result<From, Hinted> {
    let words = as_words(&statement.form);
    let (image, typed_name) = match words.as_slice() {
        [image] => (image, None),
        [image, keyword, name] if keyword.eq_ignore_ascii_case("as") => (image, Some(name.clone())),
        _ => return Err((Problem::FromArguments, None)),
    };
    let name = typed_name.as_deref().map(stage_name).transpose()?;
    let flags = statement.flags(&[("platform", Kind::Value)])?;
    let platform = flags.value("platform").filter(|platform| !platform.is_empty());
    Ok(From { platform, image: image.clone(), name, typed_name })
}

fn stage_name(typed: &str) -> Result<String, Hinted> {
    let name = typed.to_lowercase();
    let good = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c));
    if good { Ok(name) } else { Err((Problem::StageName { name: typed.to_owned() }, None)) }
}
