//! The build context as a tar, without what the ignore file leaves out.

use std::io::{BufWriter, Cursor, Read, Write as _};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use crate::builder::context::{HEAD, PatternMatcher, Verdict, is_archive};
use crate::causes::chain;
use crate::cli::build::BuildArgs;
use crate::cli::error::CliError;
use crate::cli::files::open_input;
use crate::fs::{FileKind, Root, Stat};
use crate::layers::{Entry, EntryKind, LayerError, Metadata, Mtime, TarWriter};

/// Largest Dockerfile and ignore file.
const MAX_TEXT: u64 = 64 << 20;
/// The name of a Dockerfile that is not in the context.
const ELSEWHERE: &str = ".dockerfile.skiff";

/// Where the context is.
pub enum Context {
    /// A URL or a repository, which the engine fetches.
    Remote(String),
    /// On this machine.
    Here(Box<Here>),
}

/// A context that is sent.
pub struct Here {
    /// The Dockerfile's name in the tar.
    pub dockerfile: String,
    /// Its text, as far as it is known here.
    pub text: Vec<u8>,
    what: What,
}

enum What {
    /// An archive as it is.
    Stream(Box<dyn Read + Send>),
    /// A folder, what is left out of it, and whether the Dockerfile is added to it.
    Folder { root: Root, ignored: PatternMatcher, added: bool },
    /// The Dockerfile alone.
    Nothing,
}

impl Context {
    /// Finds the context and its Dockerfile.
    ///
    /// # Errors
    /// One is not there.
    pub fn open(args: &BuildArgs) -> Result<Self, CliError> {
        let given = args.context.as_str();
        let file = args.file.first().map(String::as_str);
        if given == "-" {
            return from_stdin(file);
        }
        let remote = ["http://", "https://", "git://", "git@", "github.com/"];
        if remote.iter().any(|prefix| given.starts_with(prefix)) {
            return Ok(Self::Remote(given.to_owned()));
        }
        let root = Root::open(Path::new(given))
            .map_err(|e| CliError::new(format!("unable to prepare context: {}", chain(&e))))?;
        let (dockerfile, text, added) = dockerfile(&root, given, file)?;
        let mut ignored = ignore_file(&root, args, &dockerfile)?;
        if !ignored.is_empty() {
            // The builder needs both, whatever they say of themselves.
            ignored.push_str(&format!("\n!{dockerfile}\n!.dockerignore\n"));
        }
        let ignored = PatternMatcher::parse(&ignored).map_err(|e| CliError::new(chain(&e)))?;
        Ok(Self::Here(Box::new(Here { dockerfile, text, what: What::Folder { root, ignored, added } })))
    }
}

fn from_stdin(file: Option<&str>) -> Result<Context, CliError> {
    let mut stdin = open_input(None)?;
    let mut head = Vec::new();
    stdin.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    if is_archive(&head) {
        let what = What::Stream(Box::new(Cursor::new(head).chain(stdin)));
        let dockerfile = file.unwrap_or("Dockerfile").to_owned();
        return Ok(Context::Here(Box::new(Here { dockerfile, text: Vec::new(), what })));
    }
    if file.is_some() {
        return Err(CliError::new(
            "ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles",
        ));
    }
    stdin.take(MAX_TEXT).read_to_end(&mut head)?;
    let dockerfile = "Dockerfile".to_owned();
    Ok(Context::Here(Box::new(Here { dockerfile, text: head, what: What::Nothing })))
}

/// The Dockerfile's name in the tar, its text, and whether it is to be added.
fn dockerfile(root: &Root, folder: &str, file: Option<&str>) -> Result<(String, Vec<u8>, bool), CliError> {
    let read = |path: &Path| -> Result<Vec<u8>, CliError> {
        let mut text = Vec::new();
        open_input(Some(path))?.take(MAX_TEXT).read_to_end(&mut text)?;
        Ok(text)
    };
    match file {
        None => {
            let name = ["Dockerfile", "dockerfile", "Containerfile"]
                .into_iter()
                .find(|name| crate::fs::is_there(&Path::new(folder).join(name)));
            let name = name.ok_or_else(|| {
                CliError::new(format!(
                    "unable to prepare context: unable to evaluate symlinks in Dockerfile path: lstat \
                     {folder}/Dockerfile: no such file or directory"
                ))
            })?;
            Ok((name.to_owned(), root.read(name, MAX_TEXT as usize)?, false))
        }
        Some("-") => {
            let mut text = Vec::new();
            open_input(None)?.take(MAX_TEXT).read_to_end(&mut text)?;
            Ok((ELSEWHERE.to_owned(), text, true))
        }
        Some(file) => {
            let text = read(Path::new(file))?;
            let whole = crate::fs::canonical(Path::new(file))?;
            match whole.strip_prefix(crate::fs::canonical(Path::new(folder))?) {
                Ok(inside) => Ok((inside.display().to_string(), text, false)),
                Err(_) => Ok((ELSEWHERE.to_owned(), text, true)),
            }
        }
    }
}

/// The ignore file's text: the one that was named, the Dockerfile's own, or the context's.
fn ignore_file(root: &Root, args: &BuildArgs, dockerfile: &str) -> Result<String, CliError> {
    let lossy = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    if let Some(path) = &args.ignorefile {
        let mut text = String::new();
        open_input(Some(path))?.take(MAX_TEXT).read_to_string(&mut text)?;
        return Ok(text);
    }
    for name in [format!("{dockerfile}.dockerignore"), ".containerignore".into(), ".dockerignore".into()] {
        match root.read(&name, MAX_TEXT as usize) {
            Ok(bytes) => return Ok(lossy(bytes)),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(String::new())
}

/// The thread that makes the tar.
pub struct Sending(Option<JoinHandle<Result<(), LayerError>>>);

impl Sending {
    /// What went wrong on this side; not that nobody reads any more.
    pub fn failure(self) -> Option<CliError> {
        let failed = self.0?.join().ok()?.err()?;
        let text = chain(&failed);
        (!text.contains("Broken pipe"))
            .then(|| CliError::new(format!("cannot send the build context: {text}")))
    }
}

impl Here {
    /// Begins to make the tar; it is read while it is made.
    ///
    /// # Errors
    /// There is no thread or no pipe.
    pub fn send(self) -> Result<(Box<dyn Read + Send>, Sending), CliError> {
        let Self { dockerfile, text, what } = self;
        if let What::Stream(stream) = what {
            return Ok((stream, Sending(None)));
        }
        let (reader, writer) = std::io::pipe()?;
        let thread = std::thread::Builder::new().name("context".to_owned()).spawn(move || {
            let mut tar = TarWriter::new(BufWriter::with_capacity(1 << 20, writer));
            let mut added = true;
            if let What::Folder { root, ignored, added: elsewhere } = &what {
                folder(&mut tar, root, &PathBuf::new(), ignored, None)?;
                added = *elsewhere;
            }
            if added {
                let kind = EntryKind::File { size: text.len() as u64 };
                let path = dockerfile.into_bytes();
                tar.append_bytes(&Entry { path, kind, meta: meta(0o644, 0) }, &text)?;
            }
            let mut out = tar.finish()?;
            out.flush().map_err(LayerError::io("send the context"))
        })?;
        Ok((Box::new(reader), Sending(Some(thread))))
    }
}

/// Owners are the engine's root, as docker's client has it.
fn meta(mode: u32, seconds: i64) -> Metadata {
    Metadata { mode, uid: 0, gid: 0, mtime: Mtime { seconds, nanos: 0 }, xattrs: Vec::new() }
}

type Tar = TarWriter<BufWriter<std::io::PipeWriter>>;

fn folder(
    tar: &mut Tar,
    root: &Root,
    below: &Path,
    ignored: &PatternMatcher,
    parent: Option<&Verdict>,
) -> Result<(), LayerError> {
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
    let here = if below.as_os_str().is_empty() { Path::new(".") } else { below };
    for (name, stat) in root.list(here)? {
        let path = below.join(std::ffi::OsString::from_vec(name));
        let bytes = path.as_os_str().as_bytes();
        let verdict = ignored.verdict(bytes, parent);
        if !verdict.is_match() {
            entry(tar, root, &path, &stat)?;
        } else if !stat.is_dir() || !ignored.may_reinclude_below(bytes) {
            continue;
        }
        if stat.is_dir() {
            folder(tar, root, &path, ignored, Some(&verdict))?;
        }
    }
    Ok(())
}

fn entry(tar: &mut Tar, root: &Root, path: &Path, stat: &Stat) -> Result<(), LayerError> {
    use std::os::unix::ffi::OsStrExt as _;
    let seconds = stat.mtime.as_nanos().div_euclid(1_000_000_000);
    let name = path.as_os_str().as_bytes().to_vec();
    let entry = |kind| Entry { path: name.clone(), kind, meta: meta(stat.mode & 0o7777, seconds) };
    match stat.kind {
        FileKind::Directory => tar.append_bytes(&entry(EntryKind::Directory), b"").map(drop),
        FileKind::Symlink => {
            let target = root.read_link(path)?;
            tar.append_bytes(&entry(EntryKind::Symlink { target }), b"").map(drop)
        }
        FileKind::File => {
            let mut file = root.open_file_nofollow(path)?;
            tar.append(&entry(EntryKind::File { size: stat.size }), &mut file).map(drop)
        }
        FileKind::Fifo => tar.append_bytes(&entry(EntryKind::Fifo), b"").map(drop),
        // Devices and sockets are in no context.
        _ => Ok(()),
    }
}
