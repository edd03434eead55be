//! The storage in a directory of this machine.

use std::ops::Range;
use std::path::Path;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use rustix::fs::FlockOperation;

use super::read_ahead::read_ahead;
use super::{BlobBytes, Entry, Found, Guard, Reply, Session, Storage, StorageError, is_id};
use crate::fs::{FileKind, Follow, FsError, Root, Stat, write_atomic};
use crate::registry::server::digest::{Algorithm, BlobDigest};
use crate::registry::server::source::Source;

mod upload;

/// The largest document that is read whole.
const MAX_DOCUMENT: usize = 16 << 20;
const LOCK: &str = "lock";

/// A registry's files below one directory.
#[derive(Debug, Clone)]
pub struct Directory {
    root: Root,
    /// Blobs of the local images, in the same file system or not.
    images: Option<Root>,
}

impl Directory {
    /// Opens a storage directory and makes what is missing of it.
    ///
    /// `images` is the directory of the local images' blobs (`blobs/sha256` of a
    /// store): what it has is linked, not copied.
    ///
    /// # Errors
    /// The directory can't be made or opened.
    pub fn open(path: &Path, images: Option<&Path>) -> Result<Self, StorageError> {
        Root::open(Path::new("/"))?.create_dir_all(path, 0o700)?;
        let root = Root::open(path)?;
        for folder in ["blobs/sha256", "blobs/sha512", "repos", "uploads"] {
            root.create_dir_all(folder, 0o700)?;
        }
        root.open_or_create(LOCK, 0o600)?;
        let images = images.and_then(|path| Root::open(path).ok());
        Ok(Self { root, images })
    }

    /// Runs work that touches files on a thread for it.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let this = self.clone();
        tokio::task::spawn_blocking(move || work(&this)).await.expect("file work does not panic")
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), StorageError> {
        let (folder, last) = name.rsplit_once('/').expect("every name has a folder");
        let dir = match self.root.dir(folder) {
            Err(e) if e.is_not_found() => {
                self.root.create_dir_all(folder, 0o700)?;
                self.root.dir(folder)?
            }
            other => other?,
        };
        Ok(write_atomic(&dir, last, bytes, false)?)
    }

    fn take_lock(&self, how: FlockOperation) -> Result<Guard, StorageError> {
        let file = self.root.open_file(LOCK)?;
        rustix::fs::flock(&file, how).map_err(|e| io("lock", LOCK, e.into()))?;
        Ok(Box::new(file))
    }

    fn adopt_now(&self, digest: &BlobDigest) -> Result<bool, StorageError> {
        let Some(images) = self.images.as_ref().filter(|_| digest.algorithm() == Algorithm::Sha256) else {
            return Ok(false);
        };
        let Some(source) = absent(images.open_file(digest.hex()))? else { return Ok(false) };
        if self.root.stat(blob_name(digest), Follow::No)?.is_some() {
            return Ok(true);
        }
        // A link costs no byte; on another file system nothing is taken over and the client uploads.
        let target = self.root.dir("blobs/sha256")?;
        drop(source);
        match rustix::fs::linkat(images, digest.hex(), &target, digest.hex(), rustix::fs::AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(true),
            Err(_) => Ok(false),
        }
    }
}

impl Storage for Directory {
    fn read<'a>(&'a self, name: &'a str) -> Reply<'a, Option<Bytes>> {
        let name = name.to_owned();
        Box::pin(self.run(move |this| Ok(absent(this.root.read(name, MAX_DOCUMENT))?.map(Bytes::from))))
    }

    fn write<'a>(&'a self, name: &'a str, bytes: Bytes) -> Reply<'a, ()> {
        let name = name.to_owned();
        Box::pin(self.run(move |this| this.put(&name, &bytes)))
    }

    fn remove<'a>(&'a self, name: &'a str) -> Reply<'a, bool> {
        let name = name.to_owned();
        Box::pin(self.run(move |this| Ok(absent(this.root.remove_file(name))?.is_some())))
    }

    fn list<'a>(&'a self, name: &'a str) -> Reply<'a, Vec<Entry>> {
        let name = name.to_owned();
        Box::pin(self.run(move |this| {
            let Some(dir) = absent(this.root.dir(&name))? else { return Ok(Vec::new()) };
            let mut entries: Vec<Entry> = dir
                .entries(".")?
                .into_iter()
                .filter_map(|entry| {
                    let is_folder = entry.kind == Some(FileKind::Directory);
                    let name = String::from_utf8(entry.name).ok()?;
                    // What begins with a dot is being written.
                    (!name.starts_with('.')).then_some(Entry { name, is_folder })
                })
                .collect();
            entries.sort();
            Ok(entries)
        }))
    }

    fn age<'a>(&'a self, name: &'a str) -> Reply<'a, Option<Duration>> {
        let name = name.to_owned();
        Box::pin(self.run(move |this| Ok(this.root.stat(name, Follow::No)?.as_ref().map(age_of))))
    }

    fn blob_size<'a>(&'a self, digest: &'a BlobDigest) -> Reply<'a, Option<u64>> {
        let name = blob_name(digest);
        Box::pin(self.run(move |this| Ok(this.root.stat(name, Follow::No)?.map(|stat| stat.size))))
    }

    fn blob<'a>(&'a self, digest: &'a BlobDigest, range: Range<u64>) -> Reply<'a, BlobBytes> {
        let name = blob_name(digest);
        Box::pin(async move {
            let file = self.run(move |this| Ok(this.root.open_file(name)?)).await?;
            Ok(read_ahead(file, range))
        })
    }

    fn put_blob<'a>(&'a self, digest: &'a BlobDigest, bytes: Bytes) -> Reply<'a, ()> {
        let name = blob_name(digest);
        Box::pin(self.run(move |this| match this.root.stat(&name, Follow::No)? {
            Some(_) => Ok(()),
            None => this.put(&name, &bytes),
        }))
    }

    fn remove_blob<'a>(&'a self, digest: &'a BlobDigest) -> Reply<'a, ()> {
        let name = blob_name(digest);
        Box::pin(self.run(move |this| absent(this.root.remove_file(name)).map(drop)))
    }

    fn blobs(&self) -> Reply<'_, Vec<Found<BlobDigest>>> {
        Box::pin(self.run(|this| {
            let mut found = Vec::new();
            for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
                for (name, stat) in this.root.list(format!("blobs/{}", algorithm.name()))? {
                    let name = String::from_utf8_lossy(&name);
                    if let Ok(what) = format!("{}:{name}", algorithm.name()).parse() {
                        found.push(Found { what, size: stat.size, age: age_of(&stat) });
                    }
                }
            }
            Ok(found)
        }))
    }

    fn adopt<'a>(&'a self, digest: &'a BlobDigest) -> Reply<'a, bool> {
        let digest = digest.clone();
        Box::pin(self.run(move |this| this.adopt_now(&digest)))
    }

    fn begin<'a>(&'a self, repository: &'a str, algorithm: Algorithm) -> Reply<'a, String> {
        let session = Session::new(repository, algorithm);
        Box::pin(self.run(move |this| this.begin_now(&session)))
    }

    fn session<'a>(&'a self, id: &'a str) -> Reply<'a, Session> {
        let id = id.to_owned();
        Box::pin(self.run(move |this| this.session_now(&id)))
    }

    fn append<'a>(&'a self, id: &'a str, at: u64, source: &'a mut Source) -> Reply<'a, u64> {
        Box::pin(self.append_from(id, at, source))
    }

    fn finish<'a>(&'a self, id: &'a str, digest: &'a BlobDigest) -> Reply<'a, u64> {
        let (id, digest) = (id.to_owned(), digest.clone());
        Box::pin(self.run(move |this| this.finish_now(&id, &digest)))
    }

    fn cancel<'a>(&'a self, id: &'a str) -> Reply<'a, ()> {
        let id = id.to_owned();
        Box::pin(self.run(move |this| this.cancel_now(&id)))
    }

    fn sessions(&self) -> Reply<'_, Vec<Found<String>>> {
        Box::pin(self.run(|this| {
            let files = this.root.list("uploads")?.into_iter();
            Ok(files
                .filter_map(|(name, stat)| {
                    let what = String::from_utf8(name).ok().filter(|name| is_id(name))?;
                    Some(Found { what, size: stat.size, age: age_of(&stat) })
                })
                .collect())
        }))
    }

    fn growing<'a>(&'a self, id: &'a str) -> Reply<'a, Option<std::fs::File>> {
        let name = format!("uploads/{id}");
        Box::pin(self.run(move |this| absent(this.root.open_file(name))))
    }

    fn share(&self) -> Reply<'_, Guard> {
        Box::pin(self.run(|this| this.take_lock(FlockOperation::LockShared)))
    }

    fn exclude(&self) -> Reply<'_, Guard> {
        Box::pin(self.run(|this| this.take_lock(FlockOperation::LockExclusive)))
    }
}

fn blob_name(digest: &BlobDigest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}

/// Makes "not there" a value. A file where a folder should be, or the reverse, is not there either.
fn absent<T>(result: Result<T, FsError>) -> Result<Option<T>, StorageError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.is_not_found() || e.kind() == std::io::ErrorKind::NotADirectory => Ok(None),
        Err(e) => Err(e.into()),
    }
}

fn age_of(stat: &Stat) -> Duration {
    let seconds = u64::try_from(stat.mtime.seconds).unwrap_or(0);
    let written = SystemTime::UNIX_EPOCH + Duration::new(seconds, stat.mtime.nanos);
    SystemTime::now().duration_since(written).unwrap_or_default()
}

fn io(action: &'static str, name: impl Into<String>, source: std::io::Error) -> StorageError {
    StorageError::Io { action, name: name.into(), source }
}
