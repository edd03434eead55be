//! What git knows of a local context: labels for `BUILDX_GIT_LABELS`, facts for attestations.

use std::path::Path;
use std::process::{Command, Stdio};

/// The state of the repository around a context.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vcs {
    /// The commit, with `-dirty` where that was asked for and is so.
    pub revision: Option<String>,
    /// Where the repository comes from, without credentials.
    pub source: Option<String>,
    /// The Dockerfile's path in the repository.
    pub entrypoint: Option<String>,
}

/// Asks git about a directory; nothing is known where git is not there, or no repository.
pub fn look(context: &Path, dockerfile: Option<&Path>, check_dirty: bool) -> Vcs {
    let git = |args: &[&str]| {
        let output = Command::new("git")
            .arg("-C")
            .arg(context)
            .args(args)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        output.status.success().then_some(text)
    };
    let Some(top) = git(&["rev-parse", "--show-toplevel"]) else { return Vcs::default() };
    let mut revision = git(&["show", "--format=%H", "HEAD", "--quiet", "--"]).filter(|text| !text.is_empty());
    if let Some(revision) = &mut revision
        && check_dirty
        && git(&["status", "--porcelain", "--ignored=no"]).is_some_and(|text| !text.is_empty())
    {
        revision.push_str("-dirty");
    }
    let tracked = || {
        let branch = git(&["symbolic-ref", "-q", "--short", "HEAD"])?;
        git(&["config", &format!("branch.{branch}.remote")])
    };
    let remotes = [tracked(), Some("origin".to_owned()), Some("upstream".to_owned())];
    let remote = remotes.into_iter().flatten().find_map(|name| git(&["remote", "get-url", &name]));
    let file = dockerfile.map_or_else(|| context.join("Dockerfile"), Path::to_owned);
    let file = crate::fs::canonical(&file).ok();
    let entrypoint = file.and_then(|file| Some(file.strip_prefix(&top).ok()?.display().to_string()));
    Vcs { revision, source: remote.map(|url| without_credentials(&url)), entrypoint }
}

impl Vcs {
    /// Returns the labels that docker puts for them.
    pub fn labels(&self) -> impl Iterator<Item = (String, String)> {
        let pairs = [
            ("org.opencontainers.image.revision", &self.revision),
            ("org.opencontainers.image.source", &self.source),
            ("com.docker.image.source.entrypoint", &self.entrypoint),
        ];
        pairs.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?)))
    }
}

fn without_credentials(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(mut parsed) if parsed.scheme().starts_with("http") => {
            let _ = parsed.set_username("");
            let _ = parsed.set_password(None);
            parsed.to_string()
        }
        _ => url.to_owned(),
    }
}

/// Whether the environment asks for labels: `full` is the older word for it.
pub fn wants_labels(value: Option<&str>) -> bool {
    value.is_some_and(|value| value == "full" || crate::builder::is_true(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_stay_here() {
        for (url, expected) in [
            ("https://user:pass@h/x.git", "https://h/x.git"),
            ("git@github.com:x/y.git", "git@github.com:x/y.git"),
            ("/some/path", "/some/path"),
        ] {
            assert_eq!(without_credentials(url), expected);
        }
        assert!(wants_labels(Some("full")) && wants_labels(Some("1")) && !wants_labels(Some("0")));
    }
}
