//! The rules of `COPY` and `ADD` as tables over real directories.
//!
//! A tree is written as lines: `d PATH MODE`, `f PATH MODE CONTENT`, `l PATH TARGET`, `h PATH TARGET`
//! (hard link), `p PATH` (pipe), `s PATH` (socket), `o PATH UID GID`. A layer reads back in the same way.

mod archives;
mod destination;
mod hostile;
mod measure;
mod oracle;
mod selection;

use std::io::Read;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::builder::context::{DirectoryTree, PatternMatcher, Tree};
use crate::fs::Root;
use crate::layers::{Entry, EntryKind, Mtime};

/// Files below a temporary directory.
struct Files(tempfile::TempDir);

impl Files {
    fn new(lines: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for line in lines {
            make(dir.path(), line);
        }
        Self(dir)
    }

    fn root(&self) -> Root {
        Root::open(self.0.path()).expect("it exists")
    }

    fn context(&self) -> Arc<dyn Tree> {
        Arc::new(DirectoryTree::context(self.root(), PatternMatcher::default(), None))
    }

    fn ignoring(&self, patterns: &[&str]) -> Arc<dyn Tree> {
        let matcher = PatternMatcher::new(patterns).expect("patterns are good");
        Arc::new(DirectoryTree::context(self.root(), matcher, None))
    }

    fn stage(&self) -> Arc<dyn Tree> {
        Arc::new(DirectoryTree::stage(self.root(), "base"))
    }
}

fn make(root: &Path, line: &str) {
    let mut words = line.splitn(4, ' ');
    let (kind, path) = (words.next().expect("kind"), root.join(words.next().expect("path")));
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).expect("parents");
    }
    let mode = |text: Option<&str>| {
        let mode = u32::from_str_radix(text.expect("mode"), 8).expect("octal");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("chmod");
    };
    match kind {
        "d" => {
            std::fs::create_dir_all(&path).expect("directory");
            mode(words.next());
        }
        "f" => {
            let modes = words.next();
            std::fs::write(&path, words.next().unwrap_or("")).expect("file");
            mode(modes);
        }
        "l" => symlink(words.next().expect("target"), &path).expect("symlink"),
        "h" => std::fs::hard_link(root.join(words.next().expect("target")), &path).expect("link"),
        "p" => rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o644),
            0,
        )
        .expect("pipe"),
        "s" => drop(std::os::unix::net::UnixListener::bind(&path).expect("socket")),
        "o" => {
            let id = |text: Option<&str>| text.and_then(|t| t.parse().ok());
            chown(&path, id(words.next()), id(words.next())).expect("tests run as root");
        }
        other => panic!("unknown kind {other}"),
    }
}

/// Keeps what it is given, as lines.
#[derive(Default)]
struct Recorder {
    lines: Vec<String>,
    entries: Vec<Entry>,
}

impl EntrySink for Recorder {
    fn append(&mut self, entry: &Entry, data: &mut dyn Read) -> Result<(), CopyError> {
        let mut bytes = Vec::new();
        data.read_to_end(&mut bytes).expect("data is readable");
        assert_eq!(bytes.len() as u64, entry.size(), "{entry:?}");
        let (parent, _) = entry.split();
        assert!(
            parent.is_empty()
                || self.entries.iter().any(|e| e.path == parent && e.kind == EntryKind::Directory),
            "the parent of {entry:?} comes first"
        );
        assert!(self.entries.iter().all(|e| e.path != entry.path), "{entry:?} comes once");
        let path = String::from_utf8_lossy(&entry.path);
        let (mode, owner) = (entry.meta.mode, (entry.meta.uid, entry.meta.gid));
        let owner = if owner == (0, 0) { String::new() } else { format!(" {}:{}", owner.0, owner.1) };
        self.lines.push(match &entry.kind {
            EntryKind::Directory => format!("d {path} {mode:o}{owner}"),
            EntryKind::File { .. } => format!("f {path} {mode:o}{owner} {}", String::from_utf8_lossy(&bytes)),
            EntryKind::Symlink { target } => format!("l {path}{owner} {}", String::from_utf8_lossy(target)),
            EntryKind::HardLink { target } => format!("h {path} {}", String::from_utf8_lossy(target)),
            EntryKind::Fifo => format!("p {path} {mode:o}{owner}"),
            EntryKind::Whiteout => format!("w {path}"),
            other => format!("{other:?} {path}"),
        });
        self.entries.push(entry.clone());
        Ok(())
    }
}

fn source(tree: &Arc<dyn Tree>, path: &str) -> CopySource {
    CopySource { tree: Arc::clone(tree), path: path.to_owned(), wildcards: true, unpack: false }
}

fn request(tree: &Arc<dyn Tree>, sources: &[&str], destination: &str) -> CopyRequest {
    CopyRequest::new(sources.iter().map(|path| source(tree, path)).collect(), destination)
}

fn run(request: &CopyRequest, parent: Option<&Arc<dyn Tree>>) -> Result<Recorder, CopyError> {
    let spool = tempfile::tempdir().expect("a temporary directory");
    let spool = Root::open(spool.path()).expect("it exists");
    let selection = select(request)?;
    content_digest(&selection)?;
    let mut recorder = Recorder::default();
    let written = write(request, &selection, parent.map(|tree| &**tree), &spool, &mut recorder)?;
    assert_eq!(written.entries, recorder.entries.len() as u64);
    Ok(recorder)
}

/// The layer of a request over a parent, as lines.
fn layer(request: &CopyRequest, parent: &Files) -> Vec<String> {
    run(request, Some(&parent.stage())).expect("the copy works").lines
}

fn failure(request: &CopyRequest, parent: &Files) -> String {
    run(request, Some(&parent.stage())).err().expect("the copy fails").to_string()
}

fn digest(request: &CopyRequest) -> [u8; 32] {
    content_digest(&select(request).expect("sources are there")).expect("they are readable").digest
}

fn at(seconds: i64) -> Mtime {
    Mtime { seconds, nanos: 0 }
}
