//! Git repositories as contexts and as sources of `ADD`, by the `git` binary.
//!
//! Nothing of the user's configuration takes part, no credential helper is
//! asked, and only network protocols are spoken, also for submodules. Secrets
//! reach git through its environment, never its arguments.

use std::borrow::Cow;
use std::io::Read;
use std::process::{Command, Stdio};

use super::directory::DirectoryTree;
use super::error::ContextError;
use super::path::below_root;
use super::tree::{Attributes, Child, ContentId, Fetched, Node, Tree, Wanted};
use crate::fs::Root;

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
}

/// What a checkout may use.
pub struct GitOptions<'a> {
    /// Directory for the checkout.
    pub spool: &'a Root,
    /// Returns a build secret by its name (`GIT_AUTH_TOKEN`, `GIT_AUTH_HEADER`, each maybe with `.HOST`).
    pub secret: &'a (dyn Fn(&str) -> Option<Vec<u8>> + Sync),
    /// Whether a repository may be a local path; for tests.
    pub allow_file: bool,
}

/// A checkout; it is removed when dropped.
#[derive(Debug)]
pub struct GitTree {
    tree: DirectoryTree,
    /// The commit that is checked out.
    pub commit: String,
    spool: Root,
    name: String,
}

impl Drop for GitTree {
    fn drop(&mut self) {
        let _ = self.spool.remove_tree(&self.name);
    }
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
        for pair in query.into_iter().flat_map(|query| query.split('&')).filter(|pair| !pair.is_empty()) {
            source.set(pair)?;
        }
        Ok(Some(source))
    }

    /// Takes one pair of the query.
    fn set(&mut self, pair: &str) -> Result<(), ContextError> {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
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
                        "ref conflicts: {:?} {full:?}",
                        self.reference.as_deref().unwrap_or("")
                    ));
                }
                self.reference = Some(full);
            }
            ("commit" | "checksum", _) => self.checksum = Some(value.to_owned()),
            ("subdir", _) => self.subdir = Some(value.to_owned()),
            ("keep-git-dir", Some(keep)) => self.keep_git_dir = Some(keep),
            ("submodules", Some(wanted)) => self.no_submodules = !wanted,
            ("mtime", _) if value == "checkout" => {}
            ("fetch-by-commit", Some(false)) => {}
            ("mtime" | "fetch-by-commit", _) => return fail(format!("query {pair:?} is not supported")),
            ("keep-git-dir" | "submodules", None) => return fail(format!("invalid boolean in {pair:?}")),
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

/// Fetches a repository and checks it out; owners are root, `.git` is dropped unless it is to stay.
///
/// # Errors
/// git is not there or fails, the reference does not exist, or it is not the commit that was asked for.
pub fn checkout(source: &GitSource, options: &GitOptions<'_>) -> Result<GitTree, ContextError> {
    for text in [Some(&source.remote), source.reference.as_ref()].into_iter().flatten() {
        if text.starts_with('-') || text.chars().any(char::is_control) {
            return Err(ContextError::GitUrl { reason: format!("{text:?} is no repository or reference") });
        }
    }
    let mut random = [0u8; 8];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())
        .map_err(|errno| ContextError::Spool(errno.into()))?;
    let name = format!("git.{:016x}", u64::from_ne_bytes(random));
    let lookup = |source| ContextError::Lookup { path: "git checkout".to_owned(), source };
    options.spool.create_dir(&name, 0o755).map_err(lookup)?;
    let dir = options.spool.dir(&name).map_err(lookup);
    // From here on the directory goes when the tree goes.
    let placeholder = DirectoryTree::context(options.spool.clone(), Default::default(), None);
    let mut tree = GitTree { tree: placeholder, commit: String::new(), spool: options.spool.clone(), name };
    let dir = dir?;
    let git = Git { dir: &dir, source, options };
    tree.commit = git.fetch()?;
    if !source.keep_git_dir.unwrap_or(false) {
        remove_git_dirs(&dir).map_err(lookup)?;
    }
    let sub = below_root(source.subdir.as_deref().unwrap_or("").as_bytes());
    let root = dir.dir(String::from_utf8_lossy(&sub).as_ref()).map_err(lookup)?;
    tree.tree = DirectoryTree::context(root, Default::default(), None).with_label(source.remote.clone());
    Ok(tree)
}

struct Git<'a> {
    dir: &'a Root,
    source: &'a GitSource,
    options: &'a GitOptions<'a>,
}

impl Git<'_> {
    /// Fetches and checks out; returns the commit.
    fn fetch(&self) -> Result<String, ContextError> {
        let wanted = self.source.reference.as_deref().unwrap_or("HEAD");
        self.run(&["init", "-q"])?;
        self.run(&["remote", "add", "origin", "--", &self.source.remote])?;
        let shallow = ["fetch", "-q", "--no-tags", "--depth=1", "origin", wanted];
        let commit = if self.run(&shallow).is_ok() {
            self.run(&["rev-parse", "FETCH_HEAD^{commit}"])?
        } else {
            // Some servers give no commit by its name, some know no shallow clones.
            self.run(&[
                "fetch",
                "-q",
                "origin",
                "+refs/heads/*:refs/remotes/origin/*",
                "+refs/tags/*:refs/tags/*",
            ])?;
            let candidates = [wanted.to_owned(), format!("refs/remotes/origin/{wanted}")];
            let found = candidates.iter().find_map(|name| {
                self.run(&["rev-parse", "--verify", "-q", &format!("{name}^{{commit}}")]).ok()
            });
            let reason =
                || ContextError::GitUrl { reason: format!("repository does not contain ref {wanted}") };
            found.ok_or_else(reason)?
        };
        let commit = commit.trim().to_owned();
        if let Some(checksum) = self.source.checksum.as_deref().filter(|sum| !commit.starts_with(*sum)) {
            let reason = format!("expected checksum to match {checksum}, got {commit}");
            return Err(ContextError::GitUrl { reason });
        }
        self.run(&["checkout", "-q", "--detach", &commit])?;
        if !self.source.no_submodules {
            self.run(&["submodule", "update", "--init", "--recursive", "--depth=1", "-q"])?;
        }
        Ok(commit)
    }

    /// Runs git in the checkout and returns what it prints.
    fn run(&self, arguments: &[&str]) -> Result<String, ContextError> {
        let mut command = Command::new("sh");
        // Modes of the checkout are 0644 and 0755 whatever our own mask is.
        command.args(["-c", "umask 022; exec git \"$@\"", "git"]).args(arguments);
        command.current_dir(self.dir.proc_path()).stdin(Stdio::null());
        for name in
            ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_CONFIG_PARAMETERS"]
        {
            command.env_remove(name);
        }
        let protocols =
            if self.options.allow_file { "file:https:http:ssh:git" } else { "https:http:ssh:git" };
        command
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ALLOW_PROTOCOL", protocols)
            .env("GIT_SSH_COMMAND", "ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=accept-new");
        if let Some(header) = self.authorization() {
            command
                .env("GIT_CONFIG_COUNT", "1")
                .env("GIT_CONFIG_KEY_0", format!("http.{}.extraHeader", self.source.remote))
                .env("GIT_CONFIG_VALUE_0", header);
        }
        let output = command.output().map_err(|source| ContextError::GitMissing { source })?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            let what = arguments.first().copied().unwrap_or_default().to_owned();
            return Err(ContextError::Git { command: what, said });
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Returns the header that the build's secrets give for the repository's host.
    fn authorization(&self) -> Option<String> {
        let host = url::Url::parse(&self.source.remote).ok()?.host_str()?.to_owned();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).ok().map(|text| text.trim().to_owned());
        let secret = |name: &str| {
            let of_host = (self.options.secret)(&format!("{name}.{host}"));
            of_host.or_else(|| (self.options.secret)(name)).and_then(text)
        };
        if let Some(header) = secret("GIT_AUTH_HEADER") {
            return Some(format!("Authorization: {header}"));
        }
        let token = secret("GIT_AUTH_TOKEN")?;
        Some(format!("Authorization: basic {}", base64(format!("x-access-token:{token}").as_bytes())))
    }
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let number = group.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - group.len()));
        for at in 0..4 {
            let digit = DIGITS[(number >> (18 - 6 * at) & 63) as usize] as char;
            out.push(if at <= group.len() { digit } else { '=' });
        }
    }
    out
}

/// Removes `.git` of the repository, and the files of that name in its submodules.
fn remove_git_dirs(root: &Root) -> Result<(), crate::fs::FsError> {
    let mut pending = vec![std::path::PathBuf::new()];
    while let Some(dir) = pending.pop() {
        for (name, stat) in root.list(&dir)? {
            let path = dir.join(std::ffi::OsStr::new(&*String::from_utf8_lossy(&name)));
            if name == b".git" {
                root.remove_tree(&path)?;
            } else if stat.is_dir() && std::str::from_utf8(&name).is_ok() {
                pending.push(path);
            }
        }
    }
    Ok(())
}

impl Tree for GitTree {
    fn label(&self) -> Cow<'_, str> {
        self.tree.label()
    }
    fn stat(&self, path: &[u8]) -> Result<Option<Node>, ContextError> {
        self.tree.stat(path)
    }
    fn list(&self, dir: &[u8]) -> Result<Vec<Child>, ContextError> {
        self.tree.list(dir)
    }
    fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, ContextError> {
        self.tree.read_link(path)
    }
    fn open(&self, path: &[u8], node: &Node) -> Result<Box<dyn Read + Send + '_>, ContextError> {
        self.tree.open(path, node)
    }
    fn xattrs(&self, path: &[u8], node: &Node) -> Result<Attributes, ContextError> {
        self.tree.xattrs(path, node)
    }
    fn fetch(&self, path: &[u8], node: &Node) -> Result<Fetched, ContextError> {
        self.tree.fetch(path, node)
    }
    fn content_ids(&self, wanted: &[Wanted<'_>]) -> Result<Vec<ContentId>, ContextError> {
        self.tree.content_ids(wanted)
    }
}

#[cfg(test)]
#[path = "git_tests.rs"]
mod tests;
