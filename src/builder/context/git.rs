//! Git repositories as contexts and as sources of `ADD`, by the `git` binary.
//!
//! Nothing of the user's configuration takes part, no credential helper is
//! asked, and only network protocols are spoken, also for submodules. Secrets
//! reach git through its environment, never its arguments.

use std::borrow::Cow;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::directory::DirectoryTree;
use super::error::ContextError;
use super::git_url::GitSource;
use super::tree::{Attributes, Child, ContentId, Fetched, Node, Tree, Wanted};
use crate::builder::cancel::Cancel;
use crate::fs::Root;
use crate::paths::below_root;

/// What a checkout may use.
pub struct GitOptions<'a> {
    /// Directory for the checkout.
    pub spool: &'a Root,
    /// Returns a build secret by its name (`GIT_AUTH_TOKEN`, `GIT_AUTH_HEADER`, each maybe with `.HOST`).
    pub secret: &'a (dyn Fn(&str) -> Option<Vec<u8>> + Sync),
    /// The socket of the agent for repositories behind ssh; none is the caller's own.
    pub ssh: Option<PathBuf>,
    /// Whether a repository may be a local path; for tests.
    pub allow_file: bool,
    /// Stops it.
    pub cancel: Option<&'a Cancel>,
}

/// A checkout; it is removed when dropped.
#[derive(Debug)]
pub struct GitTree {
    tree: DirectoryTree,
    /// The commit that is checked out.
    pub commit: String,
    /// The commit's time, in seconds since 1970.
    pub time: i64,
    spool: Root,
    name: String,
}

impl Drop for GitTree {
    fn drop(&mut self) {
        let _ = self.spool.remove_tree(&self.name);
    }
}

/// Returns the commit that a source means now, without fetching it.
///
/// # Errors
/// git is not there or fails, or the repository has no such reference.
pub fn resolve_commit(source: &GitSource, options: &GitOptions<'_>) -> Result<String, ContextError> {
    source.check_texts()?;
    let by_commit = source.checksum.as_ref().filter(|sum| source.by_commit && is_commit(sum));
    if let Some(commit) = by_commit.or(source.reference.as_ref()).filter(|text| is_commit(text)) {
        source.check(commit)?;
        return Ok(commit.clone());
    }
    Git { dir: options.spool, source, options }.look_up()
}

/// Fetches a repository and checks it out; owners are root, `.git` is dropped unless it is to stay.
///
/// # Errors
/// git is not there or fails, the reference does not exist, or it is not the commit that was asked for.
pub fn checkout(source: &GitSource, options: &GitOptions<'_>) -> Result<GitTree, ContextError> {
    source.check_texts()?;
    let mut random = [0u8; 8];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())
        .map_err(|errno| ContextError::Spool(errno.into()))?;
    let name = format!("git.{:016x}", u64::from_ne_bytes(random));
    let lookup = |source| ContextError::Lookup { path: "git checkout".to_owned(), source };
    options.spool.create_dir(&name, 0o755).map_err(lookup)?;
    let dir = options.spool.dir(&name).map_err(lookup);
    // From here on the directory goes when the tree goes.
    let placeholder = DirectoryTree::context(options.spool.clone(), Default::default(), None);
    let spool = options.spool.clone();
    let mut tree = GitTree { tree: placeholder, commit: String::new(), time: 0, spool, name };
    let dir = dir?;
    let git = Git { dir: &dir, source, options };
    tree.commit = git.fetch()?;
    let time = git.run(&["log", "-1", "--format=%ct", &tree.commit])?;
    tree.time = time.trim().parse().unwrap_or(0);
    if source.keep_git_dir.unwrap_or(false) {
        git.run(&["remote", "set-url", "origin", &source.shown()])?;
    } else {
        remove_git_dirs(&dir).map_err(lookup)?;
    }
    if source.commit_time {
        set_times(&dir, tree.time).map_err(lookup)?;
    }
    let sub = below_root(source.subdir.as_deref().unwrap_or("").as_bytes());
    let root = dir.dir(String::from_utf8_lossy(&sub).as_ref()).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ContextError::GitUrl {
            reason: format!(
                "{} has no directory {:?}",
                source.shown(),
                source.subdir.as_deref().unwrap_or("")
            ),
        },
        _ => lookup(error),
    })?;
    tree.tree = DirectoryTree::context(root, Default::default(), None).with_label(source.shown());
    Ok(tree)
}

/// Whether a text is a whole commit's name.
fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn missing(reference: &str) -> ContextError {
    let digits = reference.len() >= 4 && reference.bytes().all(|b| b.is_ascii_hexdigit());
    let hint = if digits { "; a commit is named by all of its digits" } else { "" };
    ContextError::GitUrl { reason: format!("repository does not contain ref {reference}{hint}") }
}

struct Git<'a> {
    dir: &'a Root,
    source: &'a GitSource,
    options: &'a GitOptions<'a>,
}

impl Git<'_> {
    /// Fetches and checks out; returns the commit.
    fn fetch(&self) -> Result<String, ContextError> {
        let by_commit = self.source.checksum.as_deref().filter(|sum| self.source.by_commit && is_commit(sum));
        let wanted = by_commit.or(self.source.reference.as_deref()).unwrap_or("HEAD");
        self.run(&["init", "-q", "--template="])?;
        self.run(&["remote", "add", "origin", "--", &self.source.remote])?;
        let shallow = ["fetch", "-q", "--no-tags", "--depth=1", "origin", wanted];
        let commit = match self.run(&shallow) {
            Ok(_) => self.run(&["rev-parse", "FETCH_HEAD^{commit}"])?,
            // Some servers give no commit by its name, some know no shallow clones.
            Err(ContextError::Git { .. }) => self.fetch_all(wanted)?,
            Err(other) => return Err(other),
        };
        let commit = commit.trim().to_owned();
        self.source.check(&commit)?;
        self.run(&["checkout", "-q", "--detach", &commit])?;
        if !self.source.no_submodules {
            let shallow = ["submodule", "update", "--init", "--recursive", "-q", "--depth=1"];
            if self.run(&shallow).is_err() {
                self.run(&shallow[..5])?;
            }
        }
        Ok(commit)
    }

    fn fetch_all(&self, wanted: &str) -> Result<String, ContextError> {
        let everything = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"];
        self.run(&["fetch", "-q", "origin", everything[0], everything[1]])?;
        if wanted == "HEAD" {
            self.run(&["remote", "set-head", "origin", "--auto"])?;
            return self.run(&["rev-parse", "refs/remotes/origin/HEAD^{commit}"]);
        }
        let branch = wanted.strip_prefix("refs/heads/").unwrap_or(wanted);
        let tag = wanted.strip_prefix("refs/tags/").unwrap_or(wanted);
        // Expressions that git would work out (`main~1`, parts of a commit's name) are no references.
        let mut candidates = vec![format!("refs/remotes/origin/{branch}"), format!("refs/tags/{tag}")];
        candidates.extend(is_commit(wanted).then(|| wanted.to_owned()));
        let found = candidates
            .iter()
            .filter(|name| !name.contains(['~', '^', ':']) && !name.contains("@{"))
            .find_map(|name| self.run(&["rev-parse", "--verify", "-q", &format!("{name}^{{commit}}")]).ok());
        found.ok_or_else(|| missing(wanted))
    }

    /// Asks the remote which commit is meant, without fetching it.
    fn look_up(&self) -> Result<String, ContextError> {
        let wanted = self.source.reference.as_deref().unwrap_or("HEAD");
        let peeled = format!("{wanted}^{{}}");
        let listed = self.run(&["ls-remote", "--", &self.source.remote, wanted, &peeled])?;
        let lines = || listed.lines().filter_map(|line| line.split_once('\t'));
        // Branches go before tags, and of an annotated tag the commit counts, which comes last.
        let names = [
            wanted.to_owned(),
            format!("refs/{}", wanted.trim_start_matches("refs/")),
            format!("refs/heads/{wanted}"),
        ];
        let tag = format!("refs/tags/{}", wanted.trim_start_matches("refs/tags/"));
        let found = names
            .iter()
            .filter(|name| **name != tag)
            .find_map(|name| lines().find(|(_, listed)| listed == name))
            .or_else(|| lines().rfind(|(_, name)| name.trim_end_matches("^{}") == tag));
        let (commit, _) = found.ok_or_else(|| missing(wanted))?;
        self.source.check(commit)?;
        Ok(commit.to_owned())
    }

    /// Runs git in the checkout and returns what it prints.
    fn run(&self, arguments: &[&str]) -> Result<String, ContextError> {
        let mut command = Command::new("sh");
        // Modes of the checkout are 0644 and 0755 whatever our own mask is.
        command.args(["-c", "umask 022; exec git \"$@\"", "git"]).args(arguments);
        command.current_dir(self.dir.proc_path()).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            // Whatever directs git elsewhere would come from a build that runs inside a hook.
            if name.as_encoded_bytes().starts_with(b"GIT_") {
                command.env_remove(name);
            }
        }
        let protocols =
            if self.options.allow_file { "file:https:http:ssh:git" } else { "https:http:ssh:git" };
        command
            .env("LC_ALL", "C")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ALLOW_PROTOCOL", protocols)
            .env("GIT_SSH_COMMAND", "ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=accept-new");
        if let Some(socket) = &self.options.ssh {
            command.env("SSH_AUTH_SOCK", socket);
        }
        let mut settings = vec![("core.hooksPath".to_owned(), "/dev/null".to_owned())];
        if let Some(header) = self.authorization() {
            settings.push((format!("http.{}.extraHeader", self.source.remote), header));
        }
        command.env("GIT_CONFIG_COUNT", settings.len().to_string());
        for (number, (key, value)) in settings.into_iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{number}"), key);
            command.env(format!("GIT_CONFIG_VALUE_{number}"), value);
        }
        let output = self.output(command)?;
        match output.status.code() {
            Some(0) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            Some(127) => Err(ContextError::GitMissing { source: io::ErrorKind::NotFound.into() }),
            _ => {
                let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                let command = arguments.first().copied().unwrap_or_default().to_owned();
                Err(ContextError::Git { command, said: self.without_credentials(&said) })
            }
        }
    }

    /// Waits for git, or ends it when the build is stopped.
    fn output(&self, mut command: Command) -> Result<Output, ContextError> {
        let missing = |source| ContextError::GitMissing { source };
        let Some(cancel) = self.options.cancel else { return command.output().map_err(missing) };
        // A group of its own, so that git's own children end with it.
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let child = command.spawn().map_err(missing)?;
        let group = rustix::process::Pid::from_child(&child);
        let guard = cancel.on_cancel(move || {
            // One that has ended is no error.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        });
        let output = child.wait_with_output().map_err(missing);
        drop(guard);
        if cancel.is_cancelled() { Err(ContextError::Cancelled) } else { output }
    }

    /// Takes user name and password of the remote out of what git says.
    fn without_credentials(&self, said: &str) -> String {
        let mut said = said.replace(&self.source.remote, &self.source.shown());
        if let Ok(url) = url::Url::parse(&self.source.remote)
            && let Some(password) = url.password()
        {
            for secret in [format!("{}:{password}@", url.username()), password.to_owned()] {
                said = said.replace(&secret, "");
            }
        }
        said
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
        Some(format!("Authorization: basic {}", STANDARD.encode(format!("x-access-token:{token}"))))
    }
}

/// Removes `.git` of the repository, and the files of that name in its submodules.
fn remove_git_dirs(root: &Root) -> Result<(), crate::fs::FsError> {
    let mut pending = vec![std::path::PathBuf::new()];
    while let Some(dir) = pending.pop() {
        for (name, stat) in root.list(&dir)? {
            let path = dir.join(std::ffi::OsStr::from_bytes(&name));
            if name == b".git" {
                root.remove_tree(&path)?;
            } else if stat.is_dir() {
                pending.push(path);
            }
        }
    }
    Ok(())
}

/// Gives every file and directory one time.
fn set_times(root: &Root, seconds: i64) -> Result<(), crate::fs::FsError> {
    let time = crate::fs::Time { seconds, nanos: 0 };
    let mut pending = vec![PathBuf::new()];
    while let Some(dir) = pending.pop() {
        for (name, stat) in root.list(&dir)? {
            let path = dir.join(std::ffi::OsStr::from_bytes(&name));
            root.set_times(&path, time)?;
            if stat.is_dir() {
                pending.push(path);
            }
        }
    }
    root.set_times("", time)
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
