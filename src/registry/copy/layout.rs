//! OCI layouts: their names, their blobs.

use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use super::super::transfer::TransferError;
use super::stream::{Verified, pour};
use crate::fs::{Follow, Root};
use crate::image::{Descriptor, Digest, Index, Reference};

pub(super) const INDEX: &str = "index.json";
pub(super) const LAYOUT: &str = "oci-layout";
pub(super) const VERSION: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
/// Annotations that name an image of a layout.
pub(super) const REF_NAME: &str = "org.opencontainers.image.ref.name";
pub(super) const IMAGE_NAME: &str = "io.containerd.image.name";

/// Where a file's bytes lie.
pub(super) struct Part {
    pub(super) file: Arc<File>,
    pub(super) at: u64,
    pub(super) size: u64,
}

/// The files of a layout, wherever they are.
pub(super) trait Files: Send + Sync {
    /// Returns the entry that a name means; without a name the only one.
    fn find(&self, name: Option<&str>) -> Result<Descriptor, TransferError>;

    /// Finds a blob.
    fn part(&self, digest: Digest) -> Result<Part, TransferError>;

    /// Reads a blob of at most `limit` bytes.
    fn small(&self, digest: Digest, limit: u64) -> Result<Vec<u8>, TransferError> {
        let Part { file, at, size } = self.part(digest)?;
        if size > limit {
            let reason = format!("it has more than the {limit} bytes that are accepted");
            return Err(TransferError::Inconsistent { digest, reason });
        }
        let mut bytes = vec![0; size as usize];
        let read = file.read_exact_at(&mut bytes, at);
        read.map_err(|e| TransferError::Refused(format!("{}: {e}", path(digest))))?;
        Ok(bytes)
    }
}

/// Returns a blob's place in a layout.
pub(super) fn path(digest: Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// Finds an entry of an index by a tag or a whole name.
pub(super) fn find(index: &Index, name: Option<&str>, place: &str) -> Result<Descriptor, TransferError> {
    let refused = |why: String| Err(TransferError::Refused(format!("{place}: {why}")));
    match (name, &index.manifests[..]) {
        (_, []) => refused("there is no image".to_owned()),
        (None, [only]) => Ok(only.clone()),
        (None, all) => refused(format!("there are {} images: say which by a tag", all.len())),
        (Some(name), all) => {
            let named = |one: &&Descriptor| {
                [REF_NAME, IMAGE_NAME].iter().any(|key| one.annotation(key) == Some(name))
                    || one.digest.to_string() == name
            };
            match all.iter().find(named) {
                Some(found) => Ok(found.clone()),
                None => refused(format!("there is no image {name}")),
            }
        }
    }
}

/// Parses an `index.json`.
pub(super) fn index(bytes: &[u8], place: &str) -> Result<Index, TransferError> {
    serde_json::from_slice(bytes).map_err(|e| TransferError::Refused(format!("{place}: {INDEX}: {e}")))
}

/// Returns an index with an image under a name, in place of what had the name.
pub(super) fn with(
    mut index: Index,
    mut root: Descriptor,
    tag: Option<&str>,
    name: Option<&Reference>,
) -> Index {
    root.platform = None;
    if let Some(name) = name {
        root.annotations.get_or_insert_default().insert(IMAGE_NAME.to_owned(), name.to_string());
    }
    if let Some(tag) = tag {
        root.annotations.get_or_insert_default().insert(REF_NAME.to_owned(), tag.to_owned());
    }
    index.manifests.retain(|one| match tag {
        Some(tag) => one.annotation(REF_NAME) != Some(tag),
        None => one.digest != root.digest || one.annotation(REF_NAME).is_some(),
    });
    index.manifests.push(root);
    index
}

/// A layout in a directory.
#[derive(Debug)]
pub(super) struct LayoutDir {
    root: Root,
    place: String,
}

impl LayoutDir {
    pub(super) fn open(dir: &Path) -> Result<Self, TransferError> {
        let (root, place) = (Root::open(dir)?, dir.display().to_string());
        if root.stat(LAYOUT, Follow::No)?.is_none() {
            return Err(TransferError::Refused(format!("{place} is no OCI layout: it has no {LAYOUT}")));
        }
        Ok(Self { root, place })
    }

    /// Opens a layout or makes it.
    pub(super) fn create(dir: &Path) -> Result<Self, TransferError> {
        let place = dir.display().to_string();
        // The user named it, and may do with it what he likes.
        let whole = std::path::absolute(dir).map_err(|e| TransferError::Refused(format!("{place}: {e}")))?;
        Root::open(Path::new("/"))?.create_dir_all(&whole, 0o755)?;
        let root = Root::open(dir)?;
        root.create_dir_all(Path::new("blobs/sha256"), 0o755)?;
        if root.stat(LAYOUT, Follow::No)?.is_none() {
            crate::fs::write_atomic(&root, LAYOUT, VERSION, false)?;
        }
        Ok(Self { root, place })
    }

    pub(super) fn has(&self, blob: &Descriptor) -> Result<bool, TransferError> {
        let stat = self.root.stat(path(blob.digest), Follow::No)?;
        Ok(stat.is_some_and(|stat| stat.size == blob.size))
    }

    /// Takes up a blob, or begins it; none while another process is at it.
    pub(super) fn begin(&self, blob: &Descriptor) -> Result<Option<Begun>, TransferError> {
        let name = format!("blobs/sha256/.{}.part", blob.digest.hex());
        let mut file = self.root.open_or_create(&name, 0o644)?;
        let io = |e: std::io::Error| TransferError::Refused(format!("{}: {name}: {e}", self.place));
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(e) => return Err(io(e.into())),
        }
        let mut have = file.seek(SeekFrom::End(0)).map_err(io)?;
        if have > blob.size {
            file.set_len(0).map_err(io)?;
            have = 0;
        }
        Ok(Some(Begun { file, name, have }))
    }

    /// Takes what is missing of a blob from a reader; all of it is checked.
    pub(super) fn take(
        &self,
        blob: &Descriptor,
        begun: Begun,
        reader: &mut (dyn Read + Send),
    ) -> Result<(), TransferError> {
        let Begun { mut file, name, have } = begun;
        let io = |e: std::io::Error| TransferError::Refused(format!("{}: {e}", self.place));
        let mut here = self.root.open_file(&name)?;
        let whole = (&mut here).take(have).chain(reader);
        file.seek(SeekFrom::Start(have)).map_err(io)?;
        match pour(&mut Verified::new(whole, blob), &mut file, have) {
            Ok(()) => Ok(self.root.rename(&name, path(blob.digest))?),
            Err(error) => {
                if error.kind() == std::io::ErrorKind::InvalidData {
                    self.root.remove_file(&name)?;
                }
                Err(io(error))
            }
        }
    }

    /// Writes a document's bytes.
    pub(super) fn put(&self, digest: Digest, bytes: &[u8]) -> Result<(), TransferError> {
        let dir = self.root.dir("blobs/sha256")?;
        Ok(crate::fs::write_atomic(&dir, &digest.hex(), bytes, false)?)
    }

    /// Names an image; the directory is locked, so that of two processes neither loses its name.
    pub(super) fn name(
        &self,
        root: Descriptor,
        tag: Option<&str>,
        name: Option<&Reference>,
    ) -> Result<(), TransferError> {
        let lock = self.root.dir("blobs")?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)
            .map_err(|e| TransferError::Refused(format!("{}: cannot lock: {e}", self.place)))?;
        let old = match self.root.read(INDEX, crate::image::manifest::MAX_DOCUMENT) {
            Err(e) if e.is_not_found() => Index::oci(Vec::new()),
            other => index(&other?, &self.place)?,
        };
        let bytes = serde_json::to_vec(&with(old, root, tag, name)).expect("an index serialises");
        Ok(crate::fs::write_atomic(&self.root, INDEX, &bytes, false)?)
    }
}

impl Files for LayoutDir {
    fn find(&self, name: Option<&str>) -> Result<Descriptor, TransferError> {
        let bytes = self.root.read(INDEX, crate::image::manifest::MAX_DOCUMENT)?;
        find(&index(&bytes, &self.place)?, name, &self.place)
    }

    fn part(&self, digest: Digest) -> Result<Part, TransferError> {
        let file = self.root.open_file(path(digest))?;
        let size = crate::fs::stat_fd(&file)?.size;
        Ok(Part { file: Arc::new(file), at: 0, size })
    }
}

/// A blob on its way into a layout; the file is locked.
pub(super) struct Begun {
    file: File,
    name: String,
    /// Bytes that are there from an earlier attempt.
    pub(super) have: u64,
}
