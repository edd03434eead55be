//! Finding a build's context and its Dockerfile from what the user named.
//!
//! | context | tree | Dockerfile |
//! |---|---|---|
//! | directory | itself, with its ignore file | `-f` as the user gave it, else in it |
//! | git URL | the checkout | in it |
//! | HTTP URL or `-`, an archive | its files | in it |
//! | HTTP URL or `-`, anything else | empty | the text itself |
//!
//! Only directories have ignore files. A file in place of the directory may be an archive.

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::archive::{ArchiveTree, HEAD, is_archive};
use super::directory::DirectoryTree;
use super::dockerfile::{self, DOCKERFILE, fetch, read_text};
use super::error::ContextError;
use super::git::{GitOptions, checkout};
use super::git_url::GitSource;
use super::memory::MemoryTree;
use super::tree::Tree;
use crate::builder::cancel::Cancel;
use crate::fs::Root;
use crate::progress::Reporter;
use crate::store::Store;

/// Where the context is.
pub enum ContextSource {
    /// A directory.
    Directory(PathBuf),
    /// An HTTP(S) URL that is no git repository.
    Url(String),
    /// A git repository.
    Git(GitSource),
    /// `-`: standard input.
    Stdin(Box<dyn Read + Send>),
    /// Nothing.
    Empty,
}

/// Where the Dockerfile is.
pub enum DockerfileSource {
    /// `Dockerfile`, else `dockerfile`, at the context's root.
    Default,
    /// A path: from the working directory (already joined) for a directory, else inside the context.
    Path(PathBuf),
    /// `-f -`: standard input.
    Stdin(Box<dyn Read + Send>),
    /// `-f http://…`.
    Url(String),
    /// Text that is there already.
    Text(Vec<u8>),
    /// Several, read as one text.
    Several(Vec<DockerfileSource>),
}

impl ContextSource {
    /// Whether it is fetched from elsewhere.
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Git(_) | Self::Url(_))
    }
}

impl DockerfileSource {
    /// Whether some of it is fetched from elsewhere.
    pub fn is_remote(&self) -> bool {
        match self {
            Self::Url(_) => true,
            Self::Several(all) => all.iter().any(Self::is_remote),
            Self::Default | Self::Path(_) | Self::Stdin(_) | Self::Text(_) => false,
        }
    }
}

/// What opening a context may use.
pub struct ContextOptions<'a> {
    /// The store that keeps what is known of the files; none reads them all.
    pub store: Option<&'a Store>,
    /// Directory for temporary files; must outlive the context.
    pub spool: &'a Root,
    /// Returns a build secret by its name.
    pub secret: &'a (dyn Fn(&str) -> Option<Vec<u8>> + Sync),
    /// Receives the progress of downloads.
    pub reporter: &'a dyn Reporter,
    /// Whether `.git` of a git context stays where its URL does not say.
    pub keep_git_dir: bool,
    /// The agent's socket for repositories behind ssh.
    pub ssh: Option<PathBuf>,
    /// An ignore file that stands in for those of the context.
    pub ignore_file: Option<PathBuf>,
    /// Stops what is fetched.
    pub cancel: Option<&'a Cancel>,
}

/// A context ready for `COPY`, and the Dockerfile's text.
pub struct Context {
    /// The files.
    pub tree: Arc<dyn Tree>,
    /// The Dockerfile's name, as diagnostics show it.
    pub dockerfile_name: String,
    /// Its bytes.
    pub dockerfile: Vec<u8>,
    /// When it was made, as the commit, the server or the archive's newest file say, in seconds since 1970;
    /// none for a directory.
    pub time: Option<i64>,
    directory: Option<Arc<DirectoryTree>>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("dockerfile", &self.dockerfile_name).finish_non_exhaustive()
    }
}

impl Context {
    /// Returns the Dockerfile's name as seen from where the command runs: of a local context given as `argument`,
    /// its path.
    pub fn shown(&self, argument: &str) -> String {
        let inside = self.directory.is_some() && !self.dockerfile_name.contains('/');
        match inside {
            true => crate::paths::clean(&format!("{argument}/{}", self.dockerfile_name)),
            false => self.dockerfile_name.clone(),
        }
    }

    /// Remembers the digests of the files that were read, for the next build; call it when the copies are done.
    pub fn save_index(&self) {
        if let Some(directory) = &self.directory {
            directory.save_index();
        }
    }
}

/// Tells a directory, a URL and a git repository apart, as docker reads the context argument.
///
/// `-` is the caller's concern, since it holds standard input.
///
/// # Errors
/// The URL of a git repository is malformed.
pub fn parse_context(argument: &str) -> Result<ContextSource, ContextError> {
    if let Some(git) = GitSource::parse(argument, true)? {
        return Ok(ContextSource::Git(git));
    }
    let is_url = argument.starts_with("http://") || argument.starts_with("https://");
    Ok(if is_url {
        ContextSource::Url(argument.to_owned())
    } else {
        ContextSource::Directory(PathBuf::from(argument))
    })
}

/// Opens a context and reads its Dockerfile.
///
/// # Errors
/// The context or the Dockerfile is not there or can't be read, a pattern of the ignore file is
/// malformed, or both are to come from standard input.
pub fn open_context(
    context: ContextSource,
    dockerfile: DockerfileSource,
    options: &ContextOptions<'_>,
) -> Result<Context, ContextError> {
    match context {
        ContextSource::Directory(path) if crate::fs::is_there(&path) && !crate::fs::is_directory(&path) => {
            open_file(&path, dockerfile, options)
        }
        ContextSource::Directory(path) => open_directory(&path, dockerfile, options),
        ContextSource::Empty => with_tree(Arc::new(MemoryTree::default()), dockerfile, options),
        ContextSource::Git(mut source) => {
            source.keep_git_dir.get_or_insert(options.keep_git_dir);
            let git = GitOptions {
                spool: options.spool,
                secret: options.secret,
                ssh: options.ssh.clone(),
                allow_file: false,
                cancel: options.cancel,
            };
            let tree = checkout(&source, &git)?;
            let time = Some(tree.time);
            Ok(Context { time, ..with_tree(Arc::new(tree), dockerfile, options)? })
        }
        ContextSource::Stdin(_) if matches!(dockerfile, DockerfileSource::Stdin(_)) => {
            Err(ContextError::StdinTwice)
        }
        ContextSource::Stdin(stdin) => open_stream(stdin, "-", dockerfile, options),
        ContextSource::Url(url) => {
            let download = fetch(&url, options)?;
            let told = download.validators.last_modified.is_some().then(|| download.modified().seconds);
            let context = open_stream(download.body()?, &url, dockerfile, options)?;
            Ok(Context { time: told.or(context.time), ..context })
        }
    }
}

/// Opens a directory as a named context: its own ignore file, no Dockerfile.
///
/// # Errors
/// It is not there, or its ignore file is malformed.
pub fn open_named_directory(
    path: &Path,
    name: &str,
    store: Option<&Store>,
) -> Result<Arc<DirectoryTree>, ContextError> {
    let root = open_root(path)?;
    let ignore = dockerfile::ignore_of(&root)?;
    let tree = DirectoryTree::context(root.clone(), ignore, index(store, &root, path));
    Ok(Arc::new(tree.with_label(name)))
}

fn open_root(path: &Path) -> Result<Root, ContextError> {
    Root::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => ContextError::NoContext { path: path.to_owned() },
        _ => ContextError::Lookup { path: path.display().to_string(), source: error },
    })
}

/// An index that cannot be loaded costs time, not the build.
fn index(store: Option<&Store>, root: &Root, path: &Path) -> Option<crate::store::ContextIndex> {
    store.and_then(|store| store.context_index(root, path).ok())
}

fn open_directory(
    path: &Path,
    dockerfile: DockerfileSource,
    options: &ContextOptions<'_>,
) -> Result<Context, ContextError> {
    let root = open_root(path)?;
    let found = dockerfile::of_directory(&root, path, dockerfile, options)?;
    let ignore = match (&options.ignore_file, found.ignore) {
        (Some(file), _) => dockerfile::ignore_file(file)?,
        (None, Some(ignore)) => ignore,
        (None, None) => dockerfile::ignore_of(&root)?,
    };
    let directory = Arc::new(DirectoryTree::context(root.clone(), ignore, index(options.store, &root, path)));
    let tree: Arc<dyn Tree> = Arc::clone(&directory) as Arc<dyn Tree>;
    Ok(Context {
        tree,
        dockerfile_name: found.name,
        dockerfile: found.text,
        time: None,
        directory: Some(directory),
    })
}

/// A file in place of a directory: an archive is the context, as podman reads it; docker knows none.
fn open_file(
    path: &Path,
    dockerfile: DockerfileSource,
    options: &ContextOptions<'_>,
) -> Result<Context, ContextError> {
    let fail = |source| ContextError::Lookup { path: path.display().to_string(), source };
    let mut file = crate::fs::open_for_reading(path).map_err(fail)?;
    let mut head = Vec::with_capacity(HEAD);
    let read = |source| ContextError::Read { path: path.display().to_string(), source };
    (&mut file).take(HEAD as u64).read_to_end(&mut head).map_err(read)?;
    if !is_archive(&head) {
        return Err(ContextError::NoDirectory { path: path.to_owned() });
    }
    let tree = ArchiveTree::read(Cursor::new(head).chain(file), "context", options.spool)?;
    let time = tree.newest();
    Ok(Context { time, ..with_tree(Arc::new(tree), dockerfile, options)? })
}

/// A stream is an archive and so the context, or a Dockerfile without one.
fn open_stream(
    mut stream: impl Read + Send,
    label: &str,
    dockerfile: DockerfileSource,
    options: &ContextOptions<'_>,
) -> Result<Context, ContextError> {
    let fail = |source| ContextError::Read { path: label.to_owned(), source };
    let mut head = Vec::with_capacity(HEAD);
    (&mut stream).take(HEAD as u64).read_to_end(&mut head).map_err(fail)?;
    let archive = is_archive(&head);
    let whole = Cursor::new(head).chain(stream);
    if archive {
        let tree = ArchiveTree::read(whole, "context", options.spool)?;
        let time = tree.newest();
        return Ok(Context { time, ..with_tree(Arc::new(tree), dockerfile, options)? });
    }
    if label == "-" && !matches!(dockerfile, DockerfileSource::Default) {
        return Err(ContextError::TwoDockerfiles);
    }
    let text = read_text(whole).map_err(fail)?;
    let name = if label == "-" { DOCKERFILE.to_owned() } else { super::download::url_file_name(label) };
    Ok(Context {
        tree: Arc::new(MemoryTree::default()),
        dockerfile_name: name,
        dockerfile: text,
        time: None,
        directory: None,
    })
}

/// Finishes a context that is no local directory: its Dockerfile is inside, unless it comes on another way.
fn with_tree(
    tree: Arc<dyn Tree>,
    dockerfile: DockerfileSource,
    options: &ContextOptions<'_>,
) -> Result<Context, ContextError> {
    let found = dockerfile::of_tree(&*tree, dockerfile, options)?;
    Ok(Context { tree, dockerfile_name: found.name, dockerfile: found.text, time: None, directory: None })
}

#[cfg(test)]
#[path = "open_tests.rs"]
mod tests;
