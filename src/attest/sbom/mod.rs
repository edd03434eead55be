//! Packages found in a root file system, and their SPDX document.
//!
//! | found by | in |
//! |---|---|
//! | `dpkg` | `var/lib/dpkg/status`, `status.d/*` |
//! | `apk` | `lib/apk/db/installed` |
//! | `rpm` | `rpmdb.sqlite`, `Packages.db` (ndb), `Packages` (Berkeley DB hash) |
//! | `python` | `*.dist-info/METADATA`, `*.egg-info[/PKG-INFO]` |
//! | `npm` | `node_modules/*/package.json` |
//! | `cargo` | `Cargo.lock`, the `.dep-v0` section of auditable binaries |
//! | `golang` | the build information in binaries of Go 1.18 and later |
//!
//! What is damaged or too large is passed over: a list of packages is made of
//! what can be read.

mod apk;
mod berkeley;
mod cargo;
mod dpkg;
mod elf;
mod golang;
mod ndb;
mod npm;
mod python;
mod release;
mod rpm;
mod spdx;
mod sqlite;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rayon::prelude::*;

pub use spdx::{SpdxInput, spdx};

use super::purl::purl;
use crate::fs::walk::{Visit, Walked, walk};
use crate::fs::{FsError, Root};
use release::Release;

/// Largest package database that is read.
const MAX_DATABASE: usize = 512 << 20;
/// Largest text file that is read.
const MAX_TEXT: usize = 16 << 20;

/// A package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// Kind by purl's names, e.g. `deb`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The licence as the package says it.
    pub license: Option<String>,
    /// Who supplies it.
    pub supplier: Option<String>,
    /// Its package URL.
    pub purl: String,
    /// Where it was found, relative to the root.
    pub found: String,
}

impl Package {
    fn new(
        kind: &'static str,
        namespace: Option<&str>,
        name: &str,
        version: &str,
        qualifiers: &BTreeMap<&str, String>,
        found: &str,
    ) -> Self {
        Self {
            kind,
            name: match (kind, namespace) {
                ("npm" | "golang", Some(space)) => format!("{space}/{name}"),
                _ => name.to_owned(),
            },
            version: version.to_owned(),
            license: None,
            supplier: None,
            purl: purl(kind, namespace, name, Some(version), qualifiers),
            found: found.to_owned(),
        }
    }
}

/// Returns every package that is found below a root, sorted, each once.
///
/// # Errors
/// The tree can't be walked; files that can't be read are passed over.
pub fn scan(root: &Root) -> Result<Vec<Package>, FsError> {
    let release = Release::read(root);
    let mut found = Vec::new();
    dpkg::scan(root, &release, &mut found);
    apk::scan(root, &release, &mut found);
    rpm::scan(root, &release, &mut found);
    let files = walk(root, b"", |file| {
        let hidden = [&b"proc"[..], b"sys", b"dev"].contains(&file.path.as_slice());
        if hidden { Visit::Skip } else { Visit::Take }
    })?;
    let more: Vec<Vec<Package>> = files.par_iter().with_min_len(64).map(|file| of_file(root, file)).collect();
    found.extend(more.into_iter().flatten());
    found.sort();
    found.dedup();
    Ok(found)
}

fn of_file(root: &Root, file: &Walked) -> Vec<Package> {
    if !file.stat.is_file() {
        return Vec::new();
    }
    let path = String::from_utf8_lossy(&file.path).into_owned();
    let name = path.rsplit('/').next().unwrap_or_default();
    let parent = path.rsplit('/').nth(1).unwrap_or_default();
    match name {
        "METADATA" if parent.ends_with(".dist-info") => {
            text(root, &path).and_then(|t| python::package(&t, &path))
        }
        "PKG-INFO" if parent.ends_with(".egg-info") => {
            text(root, &path).and_then(|t| python::package(&t, &path))
        }
        name if name.ends_with(".egg-info") => text(root, &path).and_then(|t| python::package(&t, &path)),
        "package.json" if npm::is_installed(&path) => text(root, &path).and_then(|t| npm::package(&t, &path)),
        "Cargo.lock" => {
            return text(root, &path).map(|t| cargo::lock(&t, &path)).unwrap_or_default();
        }
        _ => {
            if file.stat.size < 64 || (file.stat.mode & 0o111 == 0 && !name.contains(".so")) {
                return Vec::new();
            }
            return binary(root, &path);
        }
    }
    .into_iter()
    .collect()
}

/// Returns what a binary says of the packages that it was made of.
fn binary(root: &Root, path: &str) -> Vec<Package> {
    let Ok(file) = root.open_file_nofollow(path) else { return Vec::new() };
    let Some(elf) = elf::Elf::read(&file) else { return Vec::new() };
    let mut found = Vec::new();
    if let Some(section) = elf.section(&file, ".dep-v0", MAX_TEXT) {
        found.extend(cargo::auditable(&section, path));
    }
    if let Some(section) = elf.section(&file, ".go.buildinfo", MAX_TEXT) {
        found.extend(golang::packages(&section, path));
    }
    found
}

fn bytes(root: &Root, path: &str, limit: usize) -> Option<Vec<u8>> {
    // The last component is no link, and links before it stay inside the root.
    let file = root.open_file_nofollow(Path::new(OsStr::from_bytes(path.as_bytes()))).ok()?;
    let mut bytes = Vec::new();
    use std::io::Read as _;
    file.take(limit as u64 + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() <= limit).then_some(bytes)
}

fn text(root: &Root, path: &str) -> Option<String> {
    bytes(root, path, MAX_TEXT).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads paragraphs of `Key: value` lines with continuations, as dpkg, and e-mail headers, have them.
fn paragraphs(text: &str) -> impl Iterator<Item = BTreeMap<&str, &str>> {
    text.split("\n\n").filter_map(|paragraph| {
        let mut fields = BTreeMap::new();
        for line in paragraph.lines().filter(|line| !line.starts_with([' ', '\t'])) {
            if let Some((key, value)) = line.split_once(':') {
                fields.entry(key).or_insert(value.trim());
            }
        }
        (!fields.is_empty()).then_some(fields)
    })
}
