//! Reading an archive: one pass over its entries, then resolving what they are.
//!
//! The first pass trusts no order: documents are kept in memory, everything
//! that is a tar becomes a layer in the making, under the name it has in the
//! archive. The second pass finds images by `index.json` or `manifest.json`,
//! checks their layers against their configs, and only then records them.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use super::error::ArchiveError;
use super::format::{DOCKER_MANIFEST, OCI_INDEX, OCI_LAYOUT, REPOSITORIES, blob_of_path};
use super::transfer::Counted;
use crate::image::manifest::MAX_DOCUMENT;
use crate::image::{Digest, ImageId, Platform, Reference};
use crate::layers::{self, EntryKind, TarReader};
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

/// Reads every image of an archive into the store.
///
/// The archive may be compressed as a whole (gzip, bzip2, xz, zstd), and so may
/// its layers. Of an index with several platforms the one that serves
/// `platform` is loaded.
///
/// # Errors
/// The archive is damaged, contradicts itself or is of an unknown form; then no
/// image and no name was recorded.
pub fn load(
    store: &Store,
    input: impl Read + Send,
    platform: &Platform,
    reporter: &dyn Reporter,
) -> Result<Vec<Loaded>, ArchiveError> {
    let _lease = store.lease()?;
    let mut contents = Contents::read(store, input, reporter)?;
    super::resolve::images(&contents, platform)?
        .into_iter()
        .map(|image| super::resolve::record(store, &mut contents, image))
        .collect::<Result<Vec<_>, _>>()
        .map(|images| images.into_iter().flatten().collect())
}

/// What the first pass found, by name inside the archive.
pub(super) struct Contents {
    documents: HashMap<String, Vec<u8>>,
    layers: HashMap<String, Found>,
    links: HashMap<String, String>,
    /// Names whose bytes are neither a document nor a tar, with the reason.
    pub(super) unreadable: BTreeMap<String, String>,
}

/// A layer in the making.
pub(super) struct Found {
    pub(super) written: layers::Written,
    pub(super) draft: Option<LayerDraft>,
}

impl Contents {
    fn read(store: &Store, input: impl Read + Send, reporter: &dyn Reporter) -> Result<Self, ArchiveError> {
        let (_, plain) =
            layers::decompress(input).map_err(|source| layer_error("read", "the archive", source))?;
        let mut contents = Self {
            documents: HashMap::new(),
            layers: HashMap::new(),
            links: HashMap::new(),
            unreadable: BTreeMap::new(),
        };
        let mut tar = TarReader::new(plain);
        let mut room = MAX_DOCUMENTS;
        let mut number = 0;
        loop {
            let next = tar.next_entry().map_err(|source| layer_error("read", "the archive", source))?;
            let Some((entry, _)) = next else { break };
            let name = String::from_utf8_lossy(&entry.path).into_owned();
            match &entry.kind {
                EntryKind::File { size } => {
                    number += 1;
                    contents.file(store, &name, *size, &mut tar, &mut room, number, reporter)?;
                }
                EntryKind::Symlink { target } => {
                    contents.links.insert(name.clone(), beside(&name, &String::from_utf8_lossy(target)));
                }
                EntryKind::HardLink { target } => {
                    contents.links.insert(name, String::from_utf8_lossy(target).into_owned());
                }
                _ => {}
            }
        }
        Ok(contents)
    }

    #[allow(clippy::too_many_arguments, reason = "the state of one pass")]
    fn file(
        &mut self,
        store: &Store,
        name: &str,
        size: u64,
        data: &mut (dyn Read + Send),
        room: &mut u64,
        number: u64,
        reporter: &dyn Reporter,
    ) -> Result<(), ArchiveError> {
        let mut head = Vec::with_capacity(PEEK);
        data.take(PEEK as u64).read_to_end(&mut head).map_err(read_error)?;
        if is_document(name, &head, size) {
            *room = room.checked_sub(size).ok_or(ArchiveError::TooLarge { limit: MAX_DOCUMENTS })?;
            data.read_to_end(&mut head).map_err(read_error)?;
            check_name(name, Digest::of(&head))?;
            self.documents.insert(name.to_owned(), head);
            return Ok(());
        }
        let id = TransferId::Number(number);
        let label = blob_of_path(name).map_or_else(|| name.to_owned(), |digest| digest.short());
        reporter.report(Event::TransferStarted { id, label, total: Some(size) });
        let whole = Counted::new(std::io::Cursor::new(head).chain(data), id, reporter);
        let draft = store.begin_layer()?;
        match layers::store_blob(draft.root(), whole, super::sink_options(store)?) {
            Ok((digest, written)) => {
                check_name(name, digest)?;
                self.layers.insert(name.to_owned(), Found { written, draft: Some(draft) });
            }
            Err(error) => {
                self.unreadable.insert(name.to_owned(), error.to_string());
            }
        }
        reporter.report(Event::TransferDone { id, skipped: false });
        Ok(())
    }

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
