//! The repository that a context lies in, as buildx notes it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::attest::without_credentials;

/// Returns the source and the revision of the work tree that a directory lies in; nothing where there is none.
pub(super) fn facts(context: &str) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    let context = Path::new(context);
    let inside = crate::fs::canonical(context)
        .is_ok_and(|path| path.ancestors().any(|dir| crate::fs::is_there(&dir.join(".git"))));
    if !crate::fs::is_directory(context) || !inside {
        return facts;
    }
    if let Some(revision) = git(context, &["rev-parse", "HEAD"]) {
        facts.insert("revision".to_owned(), revision);
    }
    if let Some(source) = git(context, &["remote", "get-url", "origin"]) {
        facts.insert("source".to_owned(), without_credentials(&source));
    }
    facts
}

fn git(dir: &Path, words: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(dir).args(words).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
