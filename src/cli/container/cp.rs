//! `cp`

use std::io::{BufWriter, IsTerminal as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::super::error::CliError;
use super::super::global::Global;
use super::super::{files, human, output};
use super::{all, find};
use crate::causes::chain;
use crate::containers::{Container, Files};
use crate::fs::{FileKind, Follow, Root, Stat};
use crate::layers::{
    ChownPolicy, Entry, EntryKind, LayerError, Metadata, Mtime, TarWriter, UnpackOptions, append_tree, unpack,
};
use crate::run::lookup_user;

/// Copy files/folders between a container and the local filesystem
#[derive(Debug, Args)]
pub struct CpArgs {
    /// Archive mode (copy all uid/gid information)
    #[arg(short, long)]
    pub archive: bool,
    /// Always follow symbol link in SRC_PATH
    #[arg(short = 'L', long)]
    pub follow_link: bool,
    /// Suppress progress output during copy
    #[arg(short, long)]
    pub quiet: bool,
    /// CONTAINER:PATH, a local path, or - for a tar archive from STDIN
    #[arg(required = true, value_name = "SRC_PATH")]
    pub source: String,
    /// CONTAINER:PATH, a local path, or - for a tar archive to STDOUT
    #[arg(required = true, value_name = "DEST_PATH")]
    pub target: String,
}

/// One side of the copy.
pub enum Side<'a> {
    /// A container's name, and a path in it.
    Container(&'a str, &'a str),
    /// A path of this machine.
    Local(&'a str),
    /// Standard input or output.
    Stream,
}

/// Reads one side.
pub fn side(text: &str) -> Side<'_> {
    if text == "-" {
        return Side::Stream;
    }
    // A colon behind a slash or a dot belongs to a file's name.
    match text.split_once(':') {
        Some((name, path)) if !text.starts_with(['.', '/', ':']) => Side::Container(name, path),
        _ => Side::Local(text),
    }
}

/// Refuses sides that name nothing.
///
/// # Errors
/// One is empty, or the path of a container is.
pub fn check(args: &CpArgs) -> Result<(), CliError> {
    for (text, what) in [(&args.source, "source"), (&args.target, "destination")] {
        if text.is_empty() {
            return Err(CliError::new(format!("{what} can not be empty")));
        }
    }
    match (side(&args.source), side(&args.target)) {
        (Side::Container(_, ""), Side::Local(_) | Side::Stream) => {
            Err(CliError::new("Error response from daemon: bad parameter: path cannot be empty"))
        }
        (Side::Local(_) | Side::Stream, Side::Container(_, "")) => Err(CliError::new("no such directory")),
        _ => Ok(()),
    }
}

/// Returns whose what is copied into a container becomes. As docker has it, owners stay what they are; in archive mode, all
/// becomes the user's that the container has, if it has one.
///
/// # Errors
/// The container's user is not in its files.
pub fn owners(
    container: &Container,
    root: &Root,
    archive: bool,
    global: &Global,
) -> Result<ChownPolicy, CliError> {
    let user = &container.config.user;
    match super::super::run::chown(global) {
        ChownPolicy::Exact if archive && !user.is_empty() => {
            let user = lookup_user(root, user).map_err(|e| CliError::engine(&e))?;
            Ok(ChownPolicy::To(user.uid, user.gid))
        }
        chown => Ok(chown),
    }
}

/// Runs `cp`.
///
/// # Errors
/// Something is missing or does not fit, in docker's words.
pub fn cp(args: &CpArgs, global: &Global) -> Result<(), CliError> {
    check(args)?;
    let open = |name: &str| -> Result<(Container, Files), CliError> {
        let containers = all(global)?;
        let container = find(&containers, name, global)?;
        let opened = container.files(global.store()?)?;
        Ok((container, opened))
    };
    let follow = if args.follow_link { Follow::Yes } else { Follow::No };
    let copied = match (side(&args.source), side(&args.target)) {
        (Side::Container(..), Side::Container(..)) => {
            return Err(CliError::new("copying between containers is not supported"));
        }
        (Side::Container(name, path), to) => {
            let (_, opened) = open(name)?;
            let missing = || {
                CliError::new(format!(
                    "Error response from daemon: Could not find the file {path} in container {name}"
                ))
            };
            let source = Source::find(opened.root(), path, follow)?.ok_or_else(missing)?;
            match to {
                Side::Stream => {
                    if std::io::stdout().is_terminal() {
                        return Err(CliError::new("cowardly refusing to write a tar archive to a terminal"));
                    }
                    let name = source.name.clone();
                    source.write(std::io::stdout(), &name).map_err(output::unread)?;
                    return Ok(());
                }
                Side::Local(to) => {
                    let chown = if args.archive { ChownPolicy::Exact } else { ChownPolicy::Ignore };
                    source.copy(&local_place(to, &source)?, chown)?
                }
                Side::Container(..) => unreachable!("handled above"),
            }
        }
        (Side::Local(from), Side::Container(name, to)) => {
            let root = Root::open("/".as_ref())?;
            let whole = std::path::absolute(Path::new(from))?;
            let text = match from.ends_with("/.") || from.ends_with('/') || from == "." {
                true => format!("{}/{}", whole.display(), if from.ends_with('.') { "." } else { "" }),
                false => whole.display().to_string(),
            };
            let missing = || CliError::new(format!("lstat {from}: no such file or directory"));
            let source = Source::find(&root, &text, follow)?.ok_or_else(missing)?;
            let (container, opened) = open(name)?;
            let into = to.ends_with('/') && !source.stat.is_dir();
            let place = place(opened.root(), to, &source, |parent| match into {
                true => "no such directory".to_owned(),
                false => format!(
                    "Error response from daemon: Could not find the file {parent} in container {name}"
                ),
            })?;
            let chown = match global.rootless && !args.archive {
                // An ordinary user is the container's root, and others' ids mean nothing in there.
                true => ChownPolicy::Ignore,
                false => owners(&container, opened.root(), args.archive, global)?,
            };
            source.copy(&place, chown)?
        }
        (Side::Stream, Side::Container(name, to)) => {
            let (container, opened) = open(name)?;
            let stat = opened.root().stat(relative(to), Follow::Yes)?;
            if !stat.is_some_and(|stat| stat.is_dir()) {
                return Err(CliError::new(format!("destination \"{name}:{to}\" must be a directory")));
            }
            let chown = owners(&container, opened.root(), args.archive, global)?;
            let options = UnpackOptions::plain(chown);
            let into = opened.root().dir(relative(to))?;
            let (_, mut tar) = crate::layers::decompress(files::open_input(None)?).map_err(|e| failed(&e))?;
            unpack(&mut tar, &into, &options).map_err(|e| failed(&e))?;
            return Ok(());
        }
        _ => return Err(CliError::new("must specify at least one container source")),
    };
    if !args.quiet && std::io::stderr().is_terminal() {
        output::talk(&format!("Successfully copied {} to {}", human::size(copied), args.target));
    }
    Ok(())
}

fn failed(error: &LayerError) -> CliError {
    CliError::new(chain(error))
}

/// Returns a path of a container below its root.
pub fn relative(path: &str) -> PathBuf {
    let below = path.trim_start_matches('/');
    PathBuf::from(if below.is_empty() { "." } else { below })
}

/// What is copied.
pub struct Source {
    root: Root,
    path: PathBuf,
    /// What it is.
    pub stat: Stat,
    /// Its own name.
    pub name: Vec<u8>,
    /// Whether a directory's content is meant rather than itself.
    pub contents: bool,
}

impl Source {
    /// Finds what a path below a root means; a slash behind it follows a link.
    ///
    /// # Errors
    /// It can't be looked at.
    pub fn find(root: &Root, text: &str, follow: Follow) -> Result<Option<Self>, CliError> {
        let path = relative(text);
        let follow = if text.ends_with('/') || text.ends_with("/.") { Follow::Yes } else { follow };
        let Some(stat) = root.stat(&path, follow)? else { return Ok(None) };
        let path = if follow == Follow::Yes { root.resolve(&path)? } else { path };
        let name = path.file_name().map_or(b"root".to_vec(), |name| name.as_bytes().to_vec());
        let path = if path.as_os_str().is_empty() { PathBuf::from(".") } else { path };
        let contents = text.ends_with("/.") || text == ".";
        Ok(Some(Self { root: root.clone(), path, stat, name, contents }))
    }

    /// Returns what the file system says of it.
    pub fn stat(&self) -> &Stat {
        &self.stat
    }

    /// Returns the path below the root.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns its own name; that of a directory whose content is meant is a dot.
    pub fn name(&self) -> &[u8] {
        if self.contents { b"." } else { &self.name }
    }

    /// Writes a tar in which it has another name; none is for the content of a directory.
    ///
    /// # Errors
    /// A file can't be read, or the tar not be written.
    pub fn write(&self, out: impl std::io::Write + Send, name: &[u8]) -> Result<u64, CliError> {
        let mut tar = TarWriter::new(BufWriter::with_capacity(1 << 20, out));
        let written = self.append(&mut tar, name).and_then(|()| {
            let bytes = tar.offset();
            let mut out = tar.finish()?;
            out.flush().map_err(LayerError::io("write a tar"))?;
            Ok(bytes)
        });
        written.map_err(|e| failed(&e))
    }

    fn append<W: std::io::Write + Send>(
        &self,
        tar: &mut TarWriter<W>,
        name: &[u8],
    ) -> Result<(), LayerError> {
        let meta = |mode| Metadata {
            mode,
            uid: self.stat.uid,
            gid: self.stat.gid,
            mtime: Mtime { seconds: self.stat.mtime.as_nanos().div_euclid(1_000_000_000), nanos: 0 },
            xattrs: Vec::new(),
        };
        let entry = |kind| Entry { path: name.to_vec(), kind, meta: meta(self.stat.mode & 0o7777) };
        match self.stat.kind {
            FileKind::Directory => {
                if !name.is_empty() {
                    tar.append_bytes(&entry(EntryKind::Directory), b"")?;
                }
                let prefix = if name.is_empty() { Vec::new() } else { [name, b"/"].concat() };
                append_tree(tar, &self.root.dir(&self.path)?, &prefix, None)
            }
            FileKind::Symlink => {
                let target = self.root.read_link(&self.path)?;
                tar.append_bytes(&entry(EntryKind::Symlink { target }), b"").map(drop)
            }
            FileKind::File => {
                let mut file = self.root.open_file_nofollow(&self.path)?;
                let size = self.stat.size;
                tar.append(&entry(EntryKind::File { size }), &mut file).map(drop)
            }
            FileKind::Fifo => tar.append_bytes(&entry(EntryKind::Fifo), b"").map(drop),
            FileKind::CharDevice | FileKind::BlockDevice => {
                let (major, minor) = self.stat.rdev;
                let kind = match self.stat.kind {
                    FileKind::CharDevice => EntryKind::CharDevice { major, minor },
                    _ => EntryKind::BlockDevice { major, minor },
                };
                tar.append_bytes(&entry(kind), b"").map(drop)
            }
            // They can't be in a tar.
            _ => Ok(()),
        }
    }

    /// Copies it to a place; the bytes of the tar that this took, as docker counts them.
    ///
    /// # Errors
    /// It can't be read, or the place can't be written.
    pub fn copy(&self, place: &Place, chown: ChownPolicy) -> Result<u64, CliError> {
        let (mut reader, writer) = std::io::pipe()?;
        std::thread::scope(|scope| {
            let writing = scope.spawn(|| self.write(writer, &place.name));
            let options = UnpackOptions::plain(chown);
            let unpacked = unpack(&mut reader, &place.dir, &options).map_err(|e| failed(&e));
            drop(reader);
            let written = writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            unpacked?;
            written
        })
    }
}

/// Where something is copied to.
pub struct Place {
    dir: Root,
    /// The name that it gets there; none is for the content of a directory.
    name: Vec<u8>,
}

/// A folder that goes with its holder.
pub struct TemporaryFolder {
    parent: Root,
    name: String,
}

impl TemporaryFolder {
    /// Makes one.
    ///
    /// # Errors
    /// The machine's folder for such can't be written.
    pub fn new() -> Result<Self, CliError> {
        let parent = Root::open(&std::env::temp_dir())?;
        let name = format!("skiff-cp-{}", super::super::run::random_id()?);
        parent.create_dir(&name, 0o700)?;
        Ok(Self { parent, name })
    }

    /// Opens it.
    ///
    /// # Errors
    /// It is gone.
    pub fn root(&self) -> Result<Root, CliError> {
        Ok(self.parent.dir(&self.name)?)
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        let _ = self.parent.remove_tree(&self.name);
    }
}

/// Finds out where a copy goes on this machine.
///
/// # Errors
/// There is no such folder, or it does not fit.
pub fn local_place(to: &str, source: &Source) -> Result<Place, CliError> {
    let root = Root::open("/".as_ref())?;
    let whole = std::path::absolute(Path::new(to))?;
    let text = if to.ends_with('/') { format!("{}/", whole.display()) } else { whole.display().to_string() };
    place(&root, &text, source, |parent| {
        format!("invalid output path: directory \"{parent}\" does not exist")
    })
}

/// Finds out by docker's rules where a copy goes; `missing` says that there is no parent.
fn place(
    root: &Root,
    to: &str,
    source: &Source,
    missing: impl Fn(&str) -> String,
) -> Result<Place, CliError> {
    let path = relative(to);
    let directory = source.stat.is_dir();
    let content = if directory && source.contents { Vec::new() } else { source.name.clone() };
    match root.stat(&path, Follow::Yes)? {
        Some(stat) if stat.is_dir() => Ok(Place { dir: root.dir(&path)?, name: content }),
        Some(_) if directory => Err(CliError::new("cannot copy directory")),
        Some(_) if to.ends_with('/') => Err(CliError::new("not a directory")),
        Some(_) => beside(root, &root.resolve(&path)?),
        None => {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let parent = parent.map_or(PathBuf::from("."), Path::to_owned);
            if !root.stat(&parent, Follow::Yes)?.is_some_and(|stat| stat.is_dir()) {
                return Err(CliError::new(missing(&format!("/{}", parent.display()))));
            }
            match to.ends_with('/') && !directory {
                true => Err(CliError::new("no such directory")),
                false => beside(root, &path),
            }
        }
    }
}

fn beside(root: &Root, path: &Path) -> Result<Place, CliError> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let dir = root.dir(parent.unwrap_or(Path::new(".")))?;
    let name = path.file_name().ok_or_else(|| CliError::new("no such directory"))?;
    Ok(Place { dir, name: name.as_bytes().to_vec() })
}
