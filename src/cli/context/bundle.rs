//! A context as one file, of the form that docker's client reads and writes.
//!
//! ```text
//! meta.json              Name, Metadata, Endpoints
//! tls/<endpoint>/<file>  ca.pem, cert.pem, key.pem of endpoint `docker`
//! ```
//!
//! It is written as a tar and read as a tar or a zip. What is read comes from
//! anywhere: it is bounded as docker bounds it, names of files are names and no
//! paths, and nothing is said to be read before all of it was.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tar_core::parse::{Limits, ParseEvent, Parser};

use super::unzip;
use crate::cli::error::CliError;
use crate::layers::{Entry, EntryKind, Metadata, TarWriter};

/// Largest file that is read, and most bytes that its contents may have.
pub const LIMIT: u64 = 10 << 20;
const META: &str = "meta.json";
const TLS: &str = "tls";
/// What a zip begins with.
const ZIP: &[u8] = b"PK\x03\x04";
/// Bytes of a tar's block.
const BLOCK: usize = 512;

/// A context's document and its files for TLS.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    /// What `meta.json` says.
    pub document: Value,
    /// Contents of files under the names of their endpoint and their own.
    pub tls: BTreeMap<(String, String), Vec<u8>>,
}

impl Bundle {
    /// Returns the bundle as a tar; the same bundle is the same bytes.
    ///
    /// # Errors
    /// A file is too big for a tar.
    pub fn tar(&self) -> Result<Vec<u8>, CliError> {
        let mut tar = TarWriter::new(Vec::new());
        let mut add = |path: String, kind: EntryKind, mode: u32, bytes: &[u8]| {
            let meta = Metadata { mode, ..Metadata::default() };
            let added = tar.append_bytes(&Entry { path: path.into_bytes(), kind, meta }, bytes);
            added.map(drop).map_err(|error| CliError::new(error.to_string()))
        };
        let file = |bytes: &[u8]| EntryKind::File { size: bytes.len() as u64 };
        let document = self.document.to_string();
        add(META.to_owned(), file(document.as_bytes()), 0o644, document.as_bytes())?;
        add(TLS.to_owned(), EntryKind::Directory, 0o700, b"")?;
        let mut last = "";
        for ((endpoint, name), bytes) in &self.tls {
            if endpoint != last {
                add(format!("{TLS}/{endpoint}"), EntryKind::Directory, 0o700, b"")?;
                last = endpoint;
            }
            add(format!("{TLS}/{endpoint}/{name}"), file(bytes), 0o600, bytes)?;
        }
        tar.finish().map_err(|error| CliError::new(error.to_string()))
    }

    /// Reads a bundle from a tar or a zip, which has [`LIMIT`] bytes at most.
    ///
    /// # Errors
    /// It is neither, is damaged, has something else in it, or no document.
    pub fn read(bytes: &[u8]) -> Result<Self, CliError> {
        let files = if bytes.starts_with(ZIP) { unzip::files(bytes, LIMIT)? } else { untar(bytes)? };
        let (mut document, mut tls) = (None, BTreeMap::new());
        for (path, bytes) in files {
            let path = checked(&path)?;
            match path.strip_prefix("tls/") {
                None => document = Some(parsed(&bytes)?),
                Some(below) => match below.split_once('/') {
                    Some((endpoint, name)) if !name.contains('/') => {
                        tls.insert((endpoint.to_owned(), name.to_owned()), bytes);
                    }
                    _ => return Err(CliError::new("archive format is invalid")),
                },
            }
        }
        let document = document.ok_or_else(|| CliError::new("invalid context: no metadata found"))?;
        Ok(Self { document, tls })
    }
}

/// The error of who reads more than may be.
pub fn too_much() -> CliError {
    CliError::new("read exceeds the defined limit")
}

/// Returns a path that is one of a bundle's, without `.`, `..` and empty parts.
fn checked(path: &[u8]) -> Result<&str, CliError> {
    let wrong = |why: &str| CliError::new(format!("{}: {why}", String::from_utf8_lossy(path)));
    let text = std::str::from_utf8(path).map_err(|_| wrong("unexpected path format"))?;
    if text != META && !text.starts_with("tls/") {
        return Err(wrong("unexpected context file"));
    }
    if text.split('/').any(|part| ["", ".", ".."].contains(&part)) || text.contains('\0') {
        return Err(wrong("unexpected path format"));
    }
    if text.contains('\\') {
        return Err(wrong("unexpected '\\' in path"));
    }
    Ok(text)
}

/// Reads a context's document, of which only what docker knows is kept.
fn parsed(bytes: &[u8]) -> Result<Value, CliError> {
    let document: Value = serde_json::from_slice(bytes).map_err(|error| match error.is_eof() {
        true => CliError::new("unexpected end of JSON input"),
        false => CliError::new(format!("{META}: {error}")),
    })?;
    let wrong = |what: &str| CliError::new(format!("{META}: {what}"));
    let Value::Object(mut map) = document else { return Err(wrong("it is no object")) };
    let name = map.remove("Name").unwrap_or_else(|| "".into());
    if !name.is_string() {
        return Err(wrong("Name is no text"));
    }
    let mut kept = Map::from_iter([("Name".to_owned(), name)]);
    for key in ["Metadata", "Endpoints"] {
        match map.remove(key) {
            None | Some(Value::Null) => {}
            Some(value) if value.is_object() => drop(kept.insert(key.to_owned(), value)),
            Some(_) => return Err(wrong(&format!("{key} is no object"))),
        }
    }
    Ok(Value::Object(kept))
}

/// Returns the plain files of a tar; all else in it is passed over, as docker does.
fn untar(bytes: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>, CliError> {
    let mut parser = Parser::new(Limits { max_path_len: Some(4096), ..Limits::default() });
    parser.set_allow_empty_path(true);
    let short = || CliError::new("unexpected EOF");
    let (mut files, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let event = parser.parse(&bytes[at..]);
        let event = event.map_err(|_| CliError::new("archive/tar: invalid tar header"))?;
        let (consumed, size, path) = match event {
            ParseEvent::NeedData { .. } => return Err(short()),
            ParseEvent::End { .. } => break,
            ParseEvent::GlobalExtensions { consumed, .. } => (consumed, 0, None),
            ParseEvent::SparseEntry { consumed, entry, .. } => (consumed, entry.size, None),
            ParseEvent::Entry { consumed, entry } => {
                (consumed, entry.size, entry.entry_type.is_file().then(|| entry.path.into_owned()))
            }
        };
        at += consumed;
        let size = usize::try_from(size).map_err(|_| short())?;
        let content = bytes.get(at..).and_then(|rest| rest.get(..size)).ok_or_else(short)?;
        files.extend(path.map(|path| (path, content.to_vec())));
        // The last padding may be missing; docker's own client leaves it out.
        at += size.next_multiple_of(BLOCK);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bundle() -> Bundle {
        let document =
            json!({ "Name": "far", "Metadata": { "Description": "<ü>" }, "Endpoints": { "docker": {} } });
        let file =
            |endpoint: &str, name: &str| ((endpoint.to_owned(), name.to_owned()), name.as_bytes().to_vec());
        let tls = [file("docker", "ca.pem"), file("docker", "key.pem"), file("other", "x")];
        Bundle { document, tls: tls.into() }
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let tar = bundle().tar().expect("it is small");
        assert_eq!(Bundle::read(&tar).expect("it is one"), bundle());
        // Without the last padding and the end, as docker's client writes it.
        let end = tar.len() - 2 * BLOCK - (BLOCK - 1);
        assert_eq!(Bundle::read(&tar[..end]).expect("nothing is missing"), bundle());
        let cut = Bundle::read(&tar[..end - 1]).expect_err("a byte is missing");
        assert_eq!(cut.text, "unexpected EOF");
    }

    #[test]
    fn cut_anywhere_it_is_never_more_than_it_was() {
        let tar = bundle().tar().expect("it is small");
        for length in 0..tar.len() {
            if let Ok(read) = Bundle::read(&tar[..length]) {
                assert_eq!(read.document, bundle().document);
                assert!(read.tls.iter().all(|(name, bytes)| bundle().tls.get(name) == Some(bytes)));
            }
        }
    }

    #[test]
    fn names_are_checked() {
        for (path, why) in [
            ("meta.json", ""),
            ("tls/docker/ca.pem", ""),
            ("tls/.x/..y", ""),
            ("./meta.json", "unexpected context file"),
            ("/meta.json", "unexpected context file"),
            ("../x", "unexpected context file"),
            ("tls", "unexpected context file"),
            ("tls\\docker", "unexpected context file"),
            ("tls/", "unexpected path format"),
            ("tls//x", "unexpected path format"),
            ("tls/./x", "unexpected path format"),
            ("tls/../x", "unexpected path format"),
            ("tls/docker/../../x", "unexpected path format"),
            ("tls/docker/x\0", "unexpected path format"),
            ("tls/docker\\x", "unexpected '\\' in path"),
        ] {
            let found = checked(path.as_bytes()).err().map_or(String::new(), |error| error.text);
            assert_eq!(found.strip_prefix(&format!("{path}: ")).unwrap_or_default(), why, "{path:?}");
        }
        assert!(checked(b"tls/docker/\xff").is_err());
    }
}
