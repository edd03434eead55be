//! Finding the Dockerfile and the ignore file of a context.
//!
//! | wanted | tried in order |
//! |---|---|
//! | nothing in particular | `Dockerfile`, `dockerfile`, `Containerfile` |
//! | a file named `Dockerfile` | it, `dockerfile` beside it |
//! | any other file | it |
//!
//! The ignore file is the one that the command line names, else the one that
//! belongs to the Dockerfile (`X.dockerignore`, `X.containerignore`), else
//! `.containerignore`, else `.dockerignore` at the context's root.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::download::{Download, DownloadOptions, download};
use super::error::ContextError;
use super::ignore::PatternMatcher;
use super::open::{ContextOptions, DockerfileSource};
use super::tree::{Tree, resolve};
use crate::fs::Root;
use crate::paths::{below_root, show};
use crate::progress::TransferId;

/// Most bytes of a Dockerfile or an ignore file.
const TEXT_LIMIT: usize = 64 << 20;
/// The default name.
pub(super) const DOCKERFILE: &str = "Dockerfile";
/// What podman's and buildah's users call it.
const CONTAINERFILE: &str = "Containerfile";
/// Endings of ignore files, the first one that is there counts.
const IGNORE_ENDINGS: [&str; 2] = [".containerignore", ".dockerignore"];

/// A Dockerfile's name as it is shown, its text, and the ignore file that belongs to it alone.
pub(super) struct Found {
    pub(super) name: String,
    pub(super) text: Vec<u8>,
    pub(super) ignore: Option<PatternMatcher>,
}

/// Finds the Dockerfile of a local directory.
pub(super) fn of_directory(
    root: &Root,
    path: &Path,
    dockerfile: DockerfileSource,
    options: &ContextOptions<'_>,
) -> Result<Found, ContextError> {
    match dockerfile {
        DockerfileSource::Default => {
            let (name, text) = first_of(|name| find(root, Path::new(name)))?;
            let ignore = ignore_beside(root, &name)?;
            Ok(Found { name: name.display().to_string(), text, ignore })
        }
        DockerfileSource::Path(file) => local(root, path, &file),
        DockerfileSource::Several(all) => {
            joined(all.into_iter().map(|one| of_directory(root, path, one, options)))
        }
        other => elsewhere(other, options),
    }
}

/// Finds the Dockerfile of any other context: inside, unless it comes on another way.
pub(super) fn of_tree(
    tree: &dyn Tree,
    dockerfile: DockerfileSource,
    options: &ContextOptions<'_>,
) -> Result<Found, ContextError> {
    let found = |(name, text)| Found { name, text, ignore: None };
    match dockerfile {
        DockerfileSource::Default => first_of(|name| inside(tree, name)).map(found),
        DockerfileSource::Path(path) => inside(tree, &path.to_string_lossy()).map(found),
        DockerfileSource::Several(all) => joined(all.into_iter().map(|one| of_tree(tree, one, options))),
        other => elsewhere(other, options),
    }
}

/// Several files are one text, as buildah reads them; the first one's ignore file counts.
fn joined(files: impl Iterator<Item = Result<Found, ContextError>>) -> Result<Found, ContextError> {
    let mut all: Option<Found> = None;
    for found in files {
        let found = found?;
        match &mut all {
            None => all = Some(found),
            Some(all) => {
                if !all.text.ends_with(b"\n") {
                    all.text.push(b'\n');
                }
                all.text.extend_from_slice(&found.text);
                all.name = format!("{}+{}", all.name, found.name);
            }
        }
    }
    all.ok_or_else(|| ContextError::NoDockerfile { name: DOCKERFILE.to_owned() })
}

/// Tries the default names; of nothing, the error speaks of `Dockerfile`.
fn first_of<T>(mut find: impl FnMut(&str) -> Result<T, ContextError>) -> Result<T, ContextError> {
    match find(DOCKERFILE) {
        Err(missing @ ContextError::NoDockerfile { .. }) => match find(CONTAINERFILE) {
            Err(ContextError::NoDockerfile { .. }) => Err(missing),
            other => other,
        },
        other => other,
    }
}

/// Reads `-f FILE` beside a local context, with the ignore file that belongs to it alone.
///
/// Links of the file are followed inside its directory or, where it lies in the context, inside that.
fn local(context: &Root, context_path: &Path, file: &Path) -> Result<Found, ContextError> {
    let missing = || ContextError::NoDockerfile { name: file.display().to_string() };
    let name = Path::new(file.file_name().ok_or_else(missing)?);
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let dir = Root::open(dir).map_err(|_| missing())?;
    let (found, text) = match find(&dir, name) {
        Err(ContextError::NoDockerfile { .. }) => {
            let inside = file.strip_prefix(context_path).map_err(|_| missing())?;
            let (found, text) = find(context, inside).map_err(|_| missing())?;
            (PathBuf::from(found.file_name().unwrap_or_default()), text)
        }
        other => other?,
    };
    let ignore = ignore_beside(&dir, &found)?;
    Ok(Found { name: file.with_file_name(&found).display().to_string(), text, ignore })
}

/// Reads a file, or its lower-case twin where the name wanted is exactly `Dockerfile`.
fn find(root: &Root, path: &Path) -> Result<(PathBuf, Vec<u8>), ContextError> {
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

fn ignore_beside(root: &Root, dockerfile: &Path) -> Result<Option<PatternMatcher>, ContextError> {
    read_first(root, |ending| {
        let mut name = dockerfile.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    })
}

/// Reads the ignore file at a context's root.
pub(super) fn ignore_of(root: &Root) -> Result<PatternMatcher, ContextError> {
    Ok(read_first(root, PathBuf::from)?.unwrap_or_default())
}

/// Reads the ignore file that the command line names; it must be there.
pub(super) fn ignore_file(path: &Path) -> Result<PatternMatcher, ContextError> {
    let fail = |source| ContextError::Lookup { path: path.display().to_string(), source };
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default();
    let bytes = Root::open(dir).map_err(fail)?.read(name, TEXT_LIMIT).map_err(fail)?;
    PatternMatcher::parse(&String::from_utf8_lossy(&bytes))
}

fn read_first(
    root: &Root,
    path: impl Fn(&'static str) -> PathBuf,
) -> Result<Option<PatternMatcher>, ContextError> {
    for path in IGNORE_ENDINGS.map(path) {
        match root.read(&path, TEXT_LIMIT) {
            Ok(bytes) => return PatternMatcher::parse(&String::from_utf8_lossy(&bytes)).map(Some),
            // A directory of that name is none, as docker has it.
            Err(error) if error.is_not_found() || error.kind() == ErrorKind::IsADirectory => {}
            Err(source) => return Err(ContextError::Lookup { path: path.display().to_string(), source }),
        }
    }
    Ok(None)
}

fn inside(tree: &dyn Tree, name: &str) -> Result<(String, Vec<u8>), ContextError> {
    let path = below_root(name.as_bytes());
    let mut names = vec![path.clone()];
    if crate::paths::split(&path).1 == DOCKERFILE.as_bytes() {
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
fn elsewhere(source: DockerfileSource, options: &ContextOptions<'_>) -> Result<Found, ContextError> {
    let (name, text) = match source {
        DockerfileSource::Stdin(stdin) => {
            let fail = |source| ContextError::Read { path: "-".to_owned(), source };
            (DOCKERFILE.to_owned(), read_text(stdin).map_err(fail)?)
        }
        DockerfileSource::Url(url) => {
            let fail = |source| ContextError::Read { path: url.clone(), source };
            (super::download::url_file_name(&url), read_text(fetch(&url, options)?.body()?).map_err(fail)?)
        }
        DockerfileSource::Text(text) => (DOCKERFILE.to_owned(), text),
        DockerfileSource::Default | DockerfileSource::Path(_) | DockerfileSource::Several(_) => {
            return Err(ContextError::NoDockerfile { name: DOCKERFILE.to_owned() });
        }
    };
    Ok(Found { name, text, ignore: None })
}

/// Downloads a context or a Dockerfile.
pub(super) fn fetch(url: &str, options: &ContextOptions<'_>) -> Result<Download, ContextError> {
    let options = DownloadOptions {
        checksum: None,
        secret: options.secret,
        reporter: options.reporter,
        transfer: TransferId::Number(0),
        spool: options.spool,
        cancel: options.cancel,
    };
    download(url, &options)
}

/// Reads a text to its end, up to the limit and no further.
pub(super) fn read_text(source: impl Read) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    source.take(TEXT_LIMIT as u64 + 1).read_to_end(&mut text)?;
    if text.len() > TEXT_LIMIT {
        return Err(std::io::ErrorKind::FileTooLarge.into());
    }
    Ok(text)
}
