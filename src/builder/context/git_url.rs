//! Git URLs: which repository, and what of it.

use super::error::ContextError;

/// A repository, and what of it is meant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GitSource {
    /// What git fetches from.
    pub remote: String,
    /// Branch, tag or full commit; none is the remote's HEAD.
    pub reference: Option<String>,
    /// A commit, or the beginning of one, that the reference must turn out to be.
    pub checksum: Option<String>,
    /// Directory in the repository.
    pub subdir: Option<String>,
    /// Whether `.git` stays, if the URL says so.
    pub keep_git_dir: Option<bool>,
    /// Whether submodules are left out.
    pub no_submodules: bool,
    /// Whether files have the commit's time instead of that of the checkout.
    pub commit_time: bool,
    /// Whether the commit itself is asked for, whatever the reference is now.
    pub by_commit: bool,
}

impl GitSource {
    /// Reads a git URL; none if the text is something else.
    ///
    /// `https://host/x.git`, `ssh://`, `git://`, `user@host:path`, and `github.com/x/y` where
    /// `bare` allows it; then `#ref:subdir` or a query.
    ///
    /// # Errors
    /// The query has a key that is not known, or contradicts itself.
    pub fn parse(text: &str, bare: bool) -> Result<Option<Self>, ContextError> {
        let (rest, fragment) = text.split_once('#').map_or((text, None), |(a, b)| (a, Some(b)));
        let (base, query) = rest.split_once('?').map_or((rest, None), |(a, b)| (a, Some(b)));
        let http = base.starts_with("http://") || base.starts_with("https://");
        let named = http && base.trim_end_matches('/').ends_with(".git");
        let remote = if named || base.starts_with("ssh://") || base.starts_with("git://") || is_scp(base) {
            base.to_owned()
        } else if bare && base.starts_with("github.com/") {
            format!("https://{base}")
        } else {
            return Ok(None);
        };
        let mut source = Self { remote, ..Self::default() };
        if let Some(fragment) = fragment {
            let (reference, subdir) = fragment.split_once(':').unwrap_or((fragment, ""));
            source.reference = (!reference.is_empty()).then(|| reference.to_owned());
            source.subdir = (!subdir.is_empty()).then(|| subdir.to_owned());
        }
        for (key, value) in query.into_iter().flat_map(|query| url::form_urlencoded::parse(query.as_bytes()))
        {
            source.set(&key, &value)?;
        }
        Ok(Some(source))
    }

    /// Returns the remote without user name and password, as it may be shown and kept.
    pub fn shown(&self) -> String {
        match url::Url::parse(&self.remote) {
            Ok(mut parsed) if parsed.password().is_some() || parsed.scheme().starts_with("http") => {
                let _ = parsed.set_username("");
                let _ = parsed.set_password(None);
                parsed.to_string()
            }
            _ => self.remote.clone(),
        }
    }

    /// Refuses what git would read as an option.
    pub(super) fn check_texts(&self) -> Result<(), ContextError> {
        let texts = [Some(&self.remote), self.reference.as_ref(), self.checksum.as_ref()];
        match texts.into_iter().flatten().find(|t| t.starts_with('-') || t.chars().any(char::is_control)) {
            Some(text) => {
                Err(ContextError::GitUrl { reason: format!("{text:?} is no repository or reference") })
            }
            None => Ok(()),
        }
    }

    /// Compares a commit with the one that was asked for, or its beginning.
    pub(super) fn check(&self, commit: &str) -> Result<(), ContextError> {
        match self.checksum.as_deref().filter(|sum| !commit.starts_with(*sum)) {
            Some(sum) => Err(ContextError::GitUrl {
                reason: format!("expected checksum to match {sum}, got {commit}"),
            }),
            None => Ok(()),
        }
    }

    /// Takes one pair of the query.
    fn set(&mut self, key: &str, value: &str) -> Result<(), ContextError> {
        let fail = |reason: String| Err(ContextError::GitUrl { reason });
        let flag = match value {
            "" | "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        };
        match (key, flag) {
            ("ref" | "tag" | "branch", _) => {
                let full = match key {
                    "tag" => format!("refs/tags/{}", value.trim_start_matches("refs/tags/")),
                    "branch" => format!("refs/heads/{}", value.trim_start_matches("refs/heads/")),
                    _ => value.to_owned(),
                };
                if self.reference.as_ref().is_some_and(|old| *old != full) {
                    return fail(format!(
                        "ref conflicts: {:?} vs {full:?}",
                        self.reference.as_deref().unwrap_or("")
                    ));
                }
                self.reference = Some(full);
            }
            ("commit" | "checksum", _) => {
                if let Some(old) = self.checksum.as_ref().filter(|old| *old != value) {
                    return fail(format!("checksum conflicts: {old:?} vs {value:?}"));
                }
                self.checksum = Some(value.to_owned());
            }
            ("subdir", _) => {
                if let Some(old) = self.subdir.as_ref().filter(|old| *old != value) {
                    return fail(format!("subdir conflicts: {old:?} vs {value:?}"));
                }
                self.subdir = Some(value.to_owned());
            }
            ("keep-git-dir", Some(keep)) => self.keep_git_dir = Some(keep),
            ("submodules", Some(wanted)) => self.no_submodules = !wanted,
            ("mtime", _) if matches!(value, "checkout" | "commit") => self.commit_time = value == "commit",
            ("mtime", _) => return fail(format!("invalid mtime value: {value:?}")),
            ("fetch-by-commit", Some(wanted)) => self.by_commit = wanted,
            ("keep-git-dir" | "submodules" | "fetch-by-commit", None) => {
                return fail(format!("invalid {key} value: {value:?}"));
            }
            _ => return fail(format!("unexpected query {key:?}")),
        }
        Ok(())
    }
}

/// `user@host:path`, as ssh and git write it.
fn is_scp(text: &str) -> bool {
    let Some((user, rest)) = text.split_once('@') else { return false };
    let plain = |part: &str| part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let Some((host, path)) = rest.split_once(':') else { return false };
    !user.is_empty() && !host.is_empty() && !path.is_empty() && plain(user) && plain(host)
}
