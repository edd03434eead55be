//! Sources of `COPY` and `ADD` that the ignore file leaves out.

use super::LintOptions;
use super::findings::Findings;
use super::rule::COPY_IGNORED_FILE;
use super::variables::Form;
use crate::parser::instruction::{SourceSpec, Transfer};
use crate::parser::{Instruction, WordError, quoted};

/// Expands all words of an instruction in BuildKit's order and returns its sources that are paths.
pub(super) fn sources(
    transfer: &Transfer,
    checksum: Option<&str>,
    mut word: impl FnMut(&str, Form) -> Result<Vec<String>, WordError>,
) -> Result<Vec<String>, WordError> {
    for text in [transfer.chown.as_deref(), transfer.chmod.as_deref(), checksum].into_iter().flatten() {
        word(text, Form::Word)?;
    }
    let mut paths = Vec::new();
    for source in &transfer.sources {
        if let SourceSpec::Path(text) = source {
            paths.extend(word(text, Form::Word)?);
        }
    }
    word(&transfer.destination, Form::Word)?;
    for source in &transfer.sources {
        if let SourceSpec::Heredoc(heredoc) = source
            && heredoc.expand
        {
            word(&heredoc.content(), Form::Heredoc)?;
        }
    }
    Ok(paths)
}

/// Says which paths are left out.
pub(super) fn ignored(
    verb: &str,
    sources: &[String],
    about: &Instruction,
    options: &LintOptions<'_>,
    findings: &mut Findings<'_>,
) {
    let Some(ignored) = options.ignored else { return };
    for source in sources.iter().filter(|source| !is_remote(source)) {
        let path = clean(source);
        if ignored(&path) {
            let text =
                format!("Attempting to {verb} file {} that is excluded by .dockerignore", quoted(&path));
            findings.add(&COPY_IGNORED_FILE, about, text);
        }
    }
}

fn is_remote(source: &str) -> bool {
    source.contains("://") || source.starts_with("git@")
}

/// Returns a path without `.`, `..` and doubled slashes, as Go's `filepath.Clean`.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    match (rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}
