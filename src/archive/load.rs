//! Reading an archive: one pass over its entries, then resolving what they are.
//!
//! The first pass trusts no order: documents are kept in memory, everything
//! that is a tar becomes a layer in the making, under the name it has in the
//! archive. The second pass finds images by `index.json` or `manifest.json`,
//! checks their layers against their configs, and only then records them.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::error::ArchiveError;
use super::format::{DOCKER_MANIFEST, OCI_INDEX, OCI_LAYOUT, REPOSITORIES, blob_of_path};
use super::transfer::Counted;
use crate::fs::{FileKind, Follow, Root};
use crate::image::manifest::MAX_DOCUMENT;
use crate::image::{DiffId, Digest, ImageId, Platform, Reference};
use crate::layers::{self, EntryKind, LayerError, TarReader};
use crate::progress::{Event, Reporter, TransferId};
use crate::store::{LayerDraft, Store};

/// Most bytes that the documents of one archive may have together.
const MAX_DOCUMENTS: u64 = 64 << 20;
/// Bytes that tell a document from a layer.
const PEEK: usize = 512;

/// An image that was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The image.
    pub image: ImageId,
    /// Its name; none for an image without one.
    pub name: Option<Reference>,
    /// The image that had the name until now, if it was another.
    pub replaced: Option<ImageId>,
}

/// Reads the images of an archive into the store.
///
/// The archive may be compressed as a whole (gzip, bzip2, xz, zstd), and so may
/// its layers. Of an index every platform that is there is loaded, or only the
/// one that serves `platform`.
///
/// # Errors
/// The archive is damaged, contradicts itself or is of an unknown form; then no
/// image and no name was recorded.
pub fn load(
    store: &Store,
    input: impl Read + Send,
    platform: Option<&Platform>,
    reporter: &dyn Reporter,
) -> Result<Vec<Loaded>, ArchiveError> {
    let _lease = store.lease()?;
    let mut reading = Reading::new(store, reporter);
    reading.archive(input)?;
    super::resolve::record_all(store, reading.contents, platform)
}

/// Reads the images of an unpacked archive or an OCI layout in a directory into the store.
///
/// # Errors
/// As [`load`].
pub fn load_directory(
    store: &Store,
    dir: &Root,
    platform: Option<&Platform>,
    reporter: &dyn Reporter,
) -> Result<Vec<Loaded>, ArchiveError> {
    let _lease = store.lease()?;
    let top = [OCI_LAYOUT, DOCKER_MANIFEST, REPOSITORIES];
    let known = top.iter().map(|name| dir.stat(name, Follow::No)).collect::<Result<Vec<_>, _>>()?;
    // Nobody wants a home directory to be read through before it turns out to be none.
    if known.iter().all(Option::is_none) {
        return Err(ArchiveError::Unrecognized);
    }
    let mut reading = Reading::new(store, reporter);
    reading.directory(dir, Path::new(""), 0)?;
    super::resolve::record_all(store, reading.contents, platform)
}

/// What the first pass found, by name inside the archive.
#[derive(Default)]
pub(super) struct Contents {
    documents: HashMap<String, Vec<u8>>,
    layers: HashMap<String, Found>,
    links: HashMap<String, String>,
    /// Names whose bytes are neither a document nor a tar, with the reason.
    pub(super) unreadable: BTreeMap<String, String>,
}

/// A layer in the making, or one that is in the store already.
pub(super) struct Found {
    pub(super) diff_id: DiffId,
    pub(super) size: u64,
    pub(super) draft: Option<LayerDraft>,
}

/// The first pass.
pub(super) struct Reading<'a> {
    store: &'a Store,
    reporter: &'a dyn Reporter,
    pub(super) contents: Contents,
    /// Bytes of documents that may still come.
    room: u64,
    /// Layers so far, to number their transfers.
    number: u64,
}

impl<'a> Reading<'a> {
    pub(super) fn new(store: &'a Store, reporter: &'a dyn Reporter) -> Self {
        Self { store, reporter, contents: Contents::default(), room: MAX_DOCUMENTS, number: 0 }
    }

    fn archive(&mut self, input: impl Read + Send) -> Result<(), ArchiveError> {
        let (_, plain) =
            layers::decompress(input).map_err(|source| layer_error("read", "the archive", source))?;
        let mut tar = TarReader::new(plain);
        loop {
            let next = tar.next_entry().map_err(|source| layer_error("read", "the archive", source))?;
            let Some((entry, _)) = next else { return Ok(()) };
            let name = String::from_utf8_lossy(&entry.path).into_owned();
            let links = &mut self.contents.links;
            match &entry.kind {
                EntryKind::File { size } => self.file(&name, *size, &mut tar)?,
                EntryKind::Symlink { target } => {
                    links.insert(name.clone(), beside(&name, &String::from_utf8_lossy(target)));
                }
                EntryKind::HardLink { target } => {
                    links.insert(name, String::from_utf8_lossy(target).into_owned());
                }
                _ => {}
            }
        }
    }

    fn directory(&mut self, dir: &Root, below: &Path, depth: usize) -> Result<(), ArchiveError> {
        let at = if below.as_os_str().is_empty() { Path::new(".") } else { below };
        for entry in dir.entries(at)? {
            let path = below.join(OsStr::from_bytes(&entry.name));
            let name = path.to_string_lossy().into_owned();
            match dir.stat(&path, Follow::No)?.map(|stat| (stat.kind, stat.size)) {
                Some((FileKind::File, size)) => self.file(&name, size, &mut dir.open_file(&path)?)?,
                Some((FileKind::Directory, _)) if depth < 2 => self.directory(dir, &path, depth + 1)?,
                Some((FileKind::Symlink, _)) => {
                    let target = dir.read_link(&path)?;
                    let target = beside(&name, &String::from_utf8_lossy(&target));
                    self.contents.links.insert(name, target);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads one file of a directory; one that is not there is found missing later.
    pub(super) fn one(&mut self, dir: &Root, name: &str) -> Result<(), ArchiveError> {
        match dir.stat(name, Follow::Yes)? {
            Some(stat) if stat.kind == FileKind::File => {
                self.file(name, stat.size, &mut dir.open_file(name)?)
            }
            _ => Ok(()),
        }
    }

    /// Whether the layer that a blob holds is in the store already, as its config says.
    pub(super) fn known_as(&mut self, name: &str, diff_id: DiffId) -> Result<bool, ArchiveError> {
        let Some(layer) = self.store.layer(diff_id)? else { return Ok(false) };
        self.contents.layers.insert(name.to_owned(), Found { diff_id, size: layer.size(), draft: None });
        Ok(true)
    }

    fn file(&mut self, name: &str, size: u64, data: &mut (dyn Read + Send)) -> Result<(), ArchiveError> {
        let mut head = Vec::with_capacity(PEEK);
        data.take(PEEK as u64).read_to_end(&mut head).map_err(read_error)?;
        if is_document(name, &head, size) {
            self.room = self.room.checked_sub(size).ok_or(ArchiveError::TooLarge { limit: MAX_DOCUMENTS })?;
            data.take(size).read_to_end(&mut head).map_err(read_error)?;
            check_name(name, Digest::of(&head))?;
            self.contents.documents.insert(name.to_owned(), head);
            return Ok(());
        }
        self.number += 1;
        let id = TransferId::Number(self.number);
        let label = blob_of_path(name).map_or_else(|| name.to_owned(), |digest| digest.short());
        self.reporter.report(Event::TransferStarted { id, label, total: Some(size) });
        let skipped = self.known(name)? || self.layer(name, head, data, id)?;
        self.reporter.report(Event::TransferDone { id, skipped });
        Ok(())
    }

    /// Whether a blob's name is that of a layer in the store; then its bytes are not wanted, whatever they are.
    fn known(&mut self, name: &str) -> Result<bool, ArchiveError> {
        let Some(diff_id) = blob_of_path(name).map(DiffId::of_tar) else { return Ok(false) };
        let Some(layer) = self.store.layer(diff_id)? else { return Ok(false) };
        let found = Found { diff_id, size: layer.size(), draft: None };
        self.contents.layers.insert(name.to_owned(), found);
        Ok(true)
    }

    /// Makes a layer of what follows `head`; false, since something moved.
    fn layer(
        &mut self,
        name: &str,
        head: Vec<u8>,
        data: &mut (dyn Read + Send),
        id: TransferId,
    ) -> Result<bool, ArchiveError> {
        let whole = Counted::new(std::io::Cursor::new(head).chain(data), id, self.reporter);
        let draft = self.store.begin_layer()?;
        match layers::store_blob(draft.root(), whole, super::sink_options(self.store)?) {
            Ok((digest, written)) => {
                check_name(name, digest)?;
                let found = Found { diff_id: written.diff_id, size: written.size, draft: Some(draft) };
                self.contents.layers.insert(name.to_owned(), found);
            }
            // Anything may lie in an archive; it matters only if an image names it.
            Err(LayerError::Fs(source)) => return Err(source.into()),
            Err(LayerError::Io { action, source }) if source.raw_os_error().is_some() => {
                return Err(layer_error("read", name, LayerError::Io { action, source }));
            }
            Err(error) => {
                self.contents.unreadable.insert(name.to_owned(), error.to_string());
            }
        }
        Ok(false)
    }
}

impl Contents {
    fn follow<'a>(&'a self, name: &'a str) -> &'a str {
        let mut name = name;
        for _ in 0..8 {
            match self.links.get(name) {
                Some(target) => name = target,
                None => break,
            }
        }
        name
    }

    /// Returns a document, through links.
    pub(super) fn document(&self, name: &str) -> Option<&[u8]> {
        self.documents.get(self.follow(name)).map(Vec::as_slice)
    }

    /// Returns a layer, through links.
    pub(super) fn layer(&self, name: &str) -> Option<&Found> {
        self.layers.get(self.follow(name))
    }

    /// Takes a layer's draft out, to be committed; none when that happened already.
    pub(super) fn take_draft(&mut self, name: &str) -> Option<LayerDraft> {
        let name = self.follow(name).to_owned();
        self.layers.get_mut(&name)?.draft.take()
    }
}

fn read_error(source: std::io::Error) -> ArchiveError {
    ArchiveError::Io { action: "read", source }
}

pub(super) fn layer_error(action: &'static str, what: &str, source: layers::LayerError) -> ArchiveError {
    ArchiveError::Layer { action, what: what.to_owned(), source }
}

/// Documents are small and JSON; the four with fixed names are documents whatever they hold.
fn is_document(name: &str, head: &[u8], size: u64) -> bool {
    let fixed = [OCI_LAYOUT, OCI_INDEX, DOCKER_MANIFEST, REPOSITORIES].contains(&name);
    let first = head.iter().find(|c| !c.is_ascii_whitespace());
    // A tar of a layer begins with a file name, which may be a brace; its checksum field gives it away.
    let tar = head.len() == PEEK && &head[257..262] == b"ustar";
    size <= MAX_DOCUMENT as u64 && (fixed || (!tar && matches!(first, Some(b'{' | b'['))))
}

/// A blob that carries its digest in its name must have it.
fn check_name(name: &str, found: Digest) -> Result<(), ArchiveError> {
    match blob_of_path(name) {
        Some(expected) if expected != found => {
            Err(ArchiveError::WrongDigest { name: name.to_owned(), found })
        }
        _ => Ok(()),
    }
}

/// Resolves a symbolic link's target against the folder of its name, inside the archive.
fn beside(name: &str, target: &str) -> String {
    let mut parts: Vec<&str> = name.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_inside_the_archive() {
        assert_eq!(beside("a/layer.tar", "../b/layer.tar"), "b/layer.tar");
        assert_eq!(beside("layer.tar", "../../../etc/passwd"), "etc/passwd");
    }

    #[test]
    fn documents_are_json_and_small() {
        assert!(is_document("manifest.json", b"", 0));
        assert!(is_document("blobs/sha256/00", b" {", 2));
        assert!(!is_document("blobs/sha256/00", b"{", MAX_DOCUMENT as u64 + 1));
        assert!(!is_document("x/layer.tar", b"etc/", 1024));
        let mut tar = vec![0u8; 512];
        tar[0] = b'{';
        tar[257..262].copy_from_slice(b"ustar");
        assert!(!is_document("x/layer.tar", &tar, 1024));
    }
}
