//! Finding a build's context and its Dockerfile from what the user named.
//!
//! | context | tree | Dockerfile |
//! |---|---|---|
//! | directory | itself, with its ignore file | `-f` as the user gave it, else in it |
//! | git URL | the checkout | in it |
//! | HTTP URL or `-`, an archive | its files | in it |
//! | HTTP URL or `-`, anything else | empty | the text itself |
//!
//! Only directories have ignore files.

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::archive::{ArchiveTree, HEAD, is_archive};
use super::directory::DirectoryTree;
use super::download::{DownloadOptions, download};
use super::error::ContextError;
use super::git::{GitOptions, GitSource, checkout};
use super::ignore::PatternMatcher;
use super::memory::MemoryTree;
use super::path::{below_root, show};
use super::tree::{Tree, resolve};
use crate::fs::Root;
use crate::progress::{Reporter, TransferId};
use crate::store::Store;

/// Most bytes of a Dockerfile or an ignore file.
const TEXT_LIMIT: usize = 64 << 20;
/// The default name.
const DOCKERFILE: &str = "Dockerfile";

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
}

/// A context ready for `COPY`, and the Dockerfile's text.
pub struct Context {
    /// The files.
    pub tree: Arc<dyn Tree>,
    /// The Dockerfile's name, as diagnostics show it.
    pub dockerfile_name: String,
    /// Its bytes.
    pub dockerfile: Vec<u8>,
    directory: Option<Arc<DirectoryTree>>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("dockerfile", &self.dockerfile_name).finish_non_exhaustive()
    }
}

impl Context {
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
        ContextSource::Directory(path) => open_directory(&path, dockerfile, options),
        ContextSource::Empty => with_tree(Arc::new(MemoryTree::default()), dockerfile, options),
        ContextSource::Git(source) => {
            let git = GitOptions { spool: options.spool, secret: options.secret, allow_file: false };
            with_tree(Arc::new(checkout(&source, &git)?), dockerfile, options)
        }
        ContextSource::Stdin(_) if matches!(dockerfile, DockerfileSource::Stdin(_)) => {
            Err(ContextError::StdinTwice)
        }
        ContextSource::Stdin(stdin) => open_stream(stdin, "-", dockerfile, options),
        ContextSource::Url(url) => {
            let body = fetch(&url, options)?;
            open_stream(body, &url, dockerfile, options)
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
    let ignore = read_ignore(&root, Path::new(".dockerignore"))?.unwrap_or_default();
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
    let (name, text, special_ignore) = match dockerfile {
        DockerfileSource::Default => {
            let (name, text) = find_dockerfile(&root, Path::new(DOCKERFILE))?;
            let ignore = read_ignore(&root, &beside(&name))?;
            (name.display().to_string(), text, ignore)
        }
        DockerfileSource::Path(file) => local_dockerfile(&root, path, &file)?,
        other => {
            let (name, text) = elsewhere(other, options)?;
            (name, text, None)
        }
    };
    let ignore = match special_ignore {
        Some(ignore) => ignore,
        None => read_ignore(&root, Path::new(".dockerignore"))?.unwrap_or_default(),
    };
    let directory = Arc::new(DirectoryTree::context(root.clone(), ignore, index(options.store, &root, path)));
    let tree: Arc<dyn Tree> = Arc::clone(&directory) as Arc<dyn Tree>;
    Ok(Context { tree, dockerfile_name: name, dockerfile: text, directory: Some(directory) })
}

/// Reads `-f FILE` beside a local context, with the ignore file that belongs to it alone.
///
/// Links of the file are followed inside its directory or, where it lies in the context, inside that.
fn local_dockerfile(
    context: &Root,
    context_path: &Path,
    file: &Path,
) -> Result<(String, Vec<u8>, Option<PatternMatcher>), ContextError> {
    let missing = || ContextError::NoDockerfile { name: file.display().to_string() };
    let name = Path::new(file.file_name().ok_or_else(missing)?);
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let dir = Root::open(dir).map_err(|_| missing())?;
    let found = match find_dockerfile(&dir, name) {
        Err(ContextError::NoDockerfile { .. }) => {
            let inside = file.strip_prefix(context_path).map_err(|_| missing())?;
            let (found, text) = find_dockerfile(context, inside).map_err(|_| missing())?;
            (PathBuf::from(found.file_name().unwrap_or_default()), text)
        }
        other => other?,
    };
    let ignore = read_ignore(&dir, &beside(&found.0))?;
    Ok((file.with_file_name(&found.0).display().to_string(), found.1, ignore))
}

/// Reads a file, or its lower-case twin where the name wanted is exactly `Dockerfile`.
fn find_dockerfile(root: &Root, path: &Path) -> Result<(PathBuf, Vec<u8>), ContextError> {
    let lower = path.file_name().is_some_and(|name| name == DOCKERFILE);
    let names = [Some(path.to_owned()), lower.then(|| path.with_file_name("dockerfile"))];
    for name in names.into_iter().flatten() {
        match root.read(&name, TEXT_LIMIT) {
            Ok(text) => return Ok((name, text)),
            Err(error) if error.is_not_found() => {}
            Err(source) => return Err(ContextError::Lookup { path: name.display().to_string(), source }),
        }
    }
    Err(ContextError::NoDockerfile { name: path.display().to_string() })
}

fn beside(dockerfile: &Path) -> PathBuf {
    let mut name = dockerfile.as_os_str().to_owned();
    name.push(".dockerignore");
    PathBuf::from(name)
}

fn read_ignore(root: &Root, path: &Path) -> Result<Option<PatternMatcher>, ContextError> {
    match root.read(path, TEXT_LIMIT) {
        Ok(bytes) => PatternMatcher::parse(&String::from_utf8_lossy(&bytes)).map(Some),
        Err(error) if error.is_not_found() => Ok(None),
        Err(source) => Err(ContextError::Lookup { path: path.display().to_string(), source }),
    }
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
        return with_tree(Arc::new(tree), dockerfile, options);
    }
    let text = read_text(whole).map_err(fail)?;
    let name = if label == "-" { DOCKERFILE.to_owned() } else { super::download::url_file_name(label) };
    Ok(Context {
        tree: Arc::new(MemoryTree::default()),
        dockerfile_name: name,
        dockerfile: text,
        directory: None,
    })
}

/// Finishes a context that is no local directory: its Dockerfile is inside, unless it comes on another way.
fn with_tree(
    tree: Arc<dyn Tree>,
    dockerfile: DockerfileSource,
    options: &ContextOptions<'_>,
) -> Result<Context, ContextError> {
    let (dockerfile_name, dockerfile) = match dockerfile {
        DockerfileSource::Default => dockerfile_inside(&*tree, DOCKERFILE)?,
        DockerfileSource::Path(path) => dockerfile_inside(&*tree, &path.to_string_lossy())?,
        other => elsewhere(other, options)?,
    };
    Ok(Context { tree, dockerfile_name, dockerfile, directory: None })
}

fn dockerfile_inside(tree: &dyn Tree, name: &str) -> Result<(String, Vec<u8>), ContextError> {
    let path = below_root(name.as_bytes());
    let mut names = vec![path.clone()];
    if super::path::split(&path).1 == DOCKERFILE.as_bytes() {
        names.push([&path[..path.len() - DOCKERFILE.len()], b"dockerfile"].concat());
    }
    for candidate in names {
        let (resolved, Some(node)) = resolve(tree, &candidate, true)? else { continue };
        let fail = |source| ContextError::Read { path: show(&candidate), source };
        let text = read_text(tree.open(&resolved, &node)?).map_err(fail)?;
        return Ok((String::from_utf8_lossy(&candidate).into_owned(), text));
    }
    Err(ContextError::NoDockerfile { name: name.to_owned() })
}

/// Reads a Dockerfile that is not part of the context.
fn elsewhere(
    source: DockerfileSource,
    options: &ContextOptions<'_>,
) -> Result<(String, Vec<u8>), ContextError> {
    match source {
        DockerfileSource::Stdin(stdin) => {
            let fail = |source| ContextError::Read { path: "-".to_owned(), source };
            Ok((DOCKERFILE.to_owned(), read_text(stdin).map_err(fail)?))
        }
        DockerfileSource::Url(url) => {
            let fail = |source| ContextError::Read { path: url.clone(), source };
            Ok((super::download::url_file_name(&url), read_text(fetch(&url, options)?).map_err(fail)?))
        }
        DockerfileSource::Text(text) => Ok((DOCKERFILE.to_owned(), text)),
        DockerfileSource::Default | DockerfileSource::Path(_) => {
            Err(ContextError::NoDockerfile { name: DOCKERFILE.to_owned() })
        }
    }
}

fn fetch(url: &str, options: &ContextOptions<'_>) -> Result<std::fs::File, ContextError> {
    let download = download(
        url,
        &DownloadOptions {
            checksum: None,
            secret: options.secret,
            reporter: options.reporter,
            transfer: TransferId::Number(0),
            spool: options.spool,
        },
    )?;
    download.body()
}

/// Reads a text to its end, up to the limit and no further.
fn read_text(source: impl Read) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    source.take(TEXT_LIMIT as u64 + 1).read_to_end(&mut text)?;
    if text.len() > TEXT_LIMIT {
        return Err(std::io::ErrorKind::FileTooLarge.into());
    }
    Ok(text)
}

#[cfg(test)]
#[path = "open_tests.rs"]
mod tests;
