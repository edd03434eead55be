//! Archives that are read where their parts lie, and archives that are written.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Read, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::transfer::TransferError;
use super::layout::{self, Files, Part};
use super::legacy;
use crate::fs::Root;
use crate::image::manifest::MAX_DOCUMENT;
use crate::image::{Descriptor, Digest, Document, Index, Reference};
use crate::layers::{Entry, EntryKind, Format, Metadata, TarReader, TarWriter};

/// An archive that is read where its parts lie.
#[derive(Debug)]
pub(super) struct TarFiles {
    file: Arc<File>,
    place: String,
    /// Where the content of a name begins, and how long it is.
    files: HashMap<String, (u64, u64)>,
    /// Names that stand for others.
    links: HashMap<String, String>,
}

/// Opens an archive: a layout in a tar, or what docker wrote before version 25 and others still do.
pub(super) fn open(path: &Path) -> Result<Box<dyn Files>, TransferError> {
    let tar = TarFiles::open(path)?;
    if tar.files.contains_key(layout::INDEX) {
        return Ok(Box::new(tar));
    }
    if tar.files.contains_key(legacy::LIST) {
        return Ok(Box::new(legacy::Legacy::read(tar)?));
    }
    let why = format!("{}: it has neither {} nor {}", tar.place, layout::INDEX, legacy::LIST);
    Err(TransferError::Refused(why))
}

impl TarFiles {
    fn open(path: &Path) -> Result<Self, TransferError> {
        let place = path.display().to_string();
        let refused = |why: String| TransferError::Refused(format!("{place}: {why}"));
        let mut file = crate::fs::open_for_reading(path)?;
        let mut head = [0u8; 6];
        let count = file.read_at(&mut head, 0).map_err(|e| refused(e.to_string()))?;
        if Format::of(&head[..count]) != Format::Plain {
            let why = "the archive is compressed as a whole: decompress it, or use `load`";
            return Err(refused(why.to_owned()));
        }
        file.seek(SeekFrom::Start(0)).map_err(|e| refused(format!("it can't be read at places: {e}")))?;
        let (mut files, mut links) = (HashMap::new(), HashMap::new());
        let mut reader = TarReader::new(&file);
        while let Some((entry, at)) = reader.next_entry().map_err(|e| refused(e.to_string()))? {
            let name = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            match &entry.kind {
                EntryKind::File { size } => {
                    files.insert(name(&entry.path), (at, *size));
                }
                EntryKind::Symlink { target } => {
                    links.insert(name(&entry.path), legacy::beside(&name(&entry.path), &name(target)));
                }
                _ => {}
            }
        }
        Ok(Self { file: Arc::new(file), place, files, links })
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Finds a file by its name in the archive.
    pub(super) fn named(&self, name: &str) -> Result<Part, TransferError> {
        let name = self.links.get(name).map_or(name, String::as_str);
        match self.files.get(name) {
            Some((at, size)) => Ok(Part { file: Arc::clone(&self.file), at: *at, size: *size }),
            None => Err(TransferError::Refused(format!("{} lacks {name}", self.place))),
        }
    }

    /// Reads a small file.
    pub(super) fn read(&self, name: &str) -> Result<Vec<u8>, TransferError> {
        let refused = |why: String| TransferError::Refused(format!("{}: {name}: {why}", self.place));
        let Part { file, at, size } = self.named(name)?;
        if size > MAX_DOCUMENT as u64 {
            return Err(refused(format!("it has more than {MAX_DOCUMENT} bytes")));
        }
        let mut bytes = vec![0; size as usize];
        file.read_exact_at(&mut bytes, at).map_err(|e| refused(e.to_string()))?;
        Ok(bytes)
    }
}

impl Files for TarFiles {
    fn find(&self, name: Option<&str>) -> Result<Descriptor, TransferError> {
        layout::find(&layout::index(&self.read(layout::INDEX)?, &self.place)?, name, &self.place)
    }

    fn part(&self, digest: Digest) -> Result<Part, TransferError> {
        self.named(&layout::path(digest))
    }
}

/// An archive that is written; it gets its name when it is whole.
pub(super) struct Writer {
    tar: Option<TarWriter<BufWriter<File>>>,
    /// Directory, temporary name and name; none where what is written to is no file.
    rename: Option<(Root, String, PathBuf)>,
    place: String,
}

impl Writer {
    pub(super) fn create(path: &Path) -> Result<Self, TransferError> {
        let place = path.display().to_string();
        let refused = |why: &str| TransferError::Refused(format!("{place}: {why}"));
        let (file, rename) = if crate::fs::is_special(path) {
            (crate::fs::open_for_writing(path)?, None)
        } else {
            let name = PathBuf::from(path.file_name().ok_or_else(|| refused("it names no file"))?);
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let dir = Root::open(parent.unwrap_or(Path::new(".")))?;
            let temporary = format!(".{}.{}", name.display(), std::process::id());
            (dir.create_file(&temporary, 0o644)?, Some((dir, temporary, name)))
        };
        let tar = Some(TarWriter::new(BufWriter::with_capacity(1 << 20, file)));
        let mut writer = Self { tar, rename, place };
        writer.put(layout::LAYOUT, layout::VERSION)?;
        Ok(writer)
    }

    /// Writes a small file.
    fn put(&mut self, path: &str, bytes: &[u8]) -> Result<(), TransferError> {
        self.take(path, bytes.len() as u64, &mut &bytes[..])
    }

    /// Writes a blob.
    pub(super) fn blob(
        &mut self,
        digest: Digest,
        size: u64,
        data: &mut dyn Read,
    ) -> Result<(), TransferError> {
        self.take(&layout::path(digest), size, data)
    }

    fn take(&mut self, path: &str, size: u64, data: &mut dyn Read) -> Result<(), TransferError> {
        let meta = Metadata { mode: 0o644, ..Metadata::default() };
        let entry = Entry { path: path.as_bytes().to_vec(), kind: EntryKind::File { size }, meta };
        let written = self.tar.as_mut().expect("it is open").append(&entry, data);
        written.map(drop).map_err(|e| self.failed(&e))
    }

    fn failed(&self, error: &dyn std::error::Error) -> TransferError {
        TransferError::Refused(format!("{}: {}", self.place, crate::causes::chain(error)))
    }

    /// Ends the archive with its index, and docker's list if it is for docker.
    pub(super) fn finish(
        mut self,
        root: Descriptor,
        tag: Option<&str>,
        name: Option<&Reference>,
        docker: Option<Vec<u8>>,
    ) -> Result<(), TransferError> {
        let index = layout::with(Index::oci(Vec::new()), root, tag, name);
        self.put(layout::INDEX, &serde_json::to_vec(&index).expect("an index serialises"))?;
        if let Some(list) = docker {
            self.put(legacy::LIST, &list)?;
        }
        let tar = self.tar.take().expect("it is open");
        let out = tar.finish().map_err(|e| self.failed(&e))?;
        out.into_inner().map_err(|e| self.failed(e.error()))?;
        if let Some((dir, temporary, name)) = self.rename.take() {
            dir.rename(&temporary, &name)?;
        }
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some((dir, temporary, _)) = &self.rename {
            let _ = dir.remove_file(temporary);
        }
    }
}

/// Returns docker's list for an image.
pub(super) fn docker_list(document: &Document, name: Option<&Reference>) -> Option<Vec<u8>> {
    let Document::Manifest(manifest) = document else { return None };
    let layers: Vec<String> = manifest.layers.iter().map(|layer| layout::path(layer.digest)).collect();
    let tags: Vec<String> = name.iter().map(|name| name.familiar()).collect();
    let list = serde_json::json!([{
        "Config": layout::path(manifest.config.digest),
        "RepoTags": if tags.is_empty() { None } else { Some(tags) },
        "Layers": layers,
    }]);
    Some(serde_json::to_vec(&list).expect("a list serialises"))
}
