//! RPM packages: the headers that every form of the database holds (rpm, "header format").

use super::release::Release;
use super::{MAX_DATABASE, Package, berkeley, bytes, ndb, sqlite};
use crate::fs::Root;

const FOLDERS: &[&str] = &["var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm"];

const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const VENDOR: u32 = 1011;
const LICENSE: u32 = 1014;
const ARCH: u32 = 1022;
const SOURCE_RPM: u32 = 1044;

pub(super) fn scan(root: &Root, release: &Release, found: &mut Vec<Package>) {
    type Reader = fn(&[u8]) -> Option<Vec<Vec<u8>>>;
    const FORMS: &[(&str, Reader)] = &[
        ("rpmdb.sqlite", sqlite::packages),
        ("Packages.db", ndb::packages),
        ("Packages", berkeley::packages),
    ];
    for folder in FOLDERS {
        for (name, read) in FORMS {
            let path = format!("{folder}/{name}");
            let Some(headers) = bytes(root, &path, MAX_DATABASE).and_then(|bytes| read(&bytes)) else {
                continue;
            };
            found.extend(headers.iter().filter_map(|header| package(header, &path, release)));
            // The folders are links to each other where there are several.
            return;
        }
    }
}

fn package(header: &[u8], path: &str, release: &Release) -> Option<Package> {
    let header = Header::parse(header)?;
    let (name, version) = (header.text(NAME)?, header.text(VERSION)?);
    // Keys are kept as if they were packages.
    if name == "gpg-pubkey" {
        return None;
    }
    let mut qualifiers = release.qualifiers(header.text(ARCH).as_deref());
    if let Some(epoch) = header.number(EPOCH) {
        qualifiers.insert("epoch", epoch.to_string());
    }
    if let Some(source) = header.text(SOURCE_RPM) {
        qualifiers.insert("upstream", source);
    }
    let full = format!("{version}-{}", header.text(RELEASE).unwrap_or_default());
    let namespace = release.namespace("redhat");
    let mut package = Package::new("rpm", Some(namespace), &name, &full, &qualifiers, path);
    package.license = header.text(LICENSE);
    package.supplier = header.text(VENDOR).map(|who| format!("Organization: {who}"));
    Some(package)
}

/// An index of tags over a block of values.
struct Header<'a> {
    index: &'a [u8],
    store: &'a [u8],
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

impl<'a> Header<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (count, size) = (number(bytes, 0)? as usize, number(bytes, 4)? as usize);
        let rest = &bytes[8..];
        let index = rest.get(..count.checked_mul(16)?)?;
        Some(Self { index, store: rest.get(index.len()..index.len().checked_add(size)?)? })
    }

    /// Returns type and place of a tag's value.
    fn find(&self, tag: u32) -> Option<(u32, usize)> {
        let entry = self.index.chunks_exact(16).find(|entry| number(entry, 0) == Some(tag))?;
        Some((number(entry, 4)?, number(entry, 8)? as usize))
    }

    fn text(&self, tag: u32) -> Option<String> {
        let (kind, at) = self.find(tag)?;
        // A string, a list of strings, a string with translations: the first one serves.
        if ![6, 8, 9].contains(&kind) {
            return None;
        }
        let bytes = self.store.get(at..)?.split(|byte| *byte == 0).next()?;
        (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned())
    }

    fn number(&self, tag: u32) -> Option<u32> {
        let (kind, at) = self.find(tag)?;
        if kind == 4 { number(self.store, at) } else { None }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Returns a header of texts and one number.
    pub(in super::super) fn header(texts: &[(u32, &str)], epoch: Option<u32>) -> Vec<u8> {
        let (mut index, mut store) = (Vec::new(), Vec::<u8>::new());
        let mut add = |tag: u32, kind: u32, value: &[u8]| {
            for number in [tag, kind, store.len() as u32, 1] {
                index.extend(number.to_be_bytes());
            }
            store.extend(value);
        };
        if let Some(epoch) = epoch {
            add(EPOCH, 4, &epoch.to_be_bytes());
        }
        for (tag, text) in texts {
            add(*tag, 6, format!("{text}\0").as_bytes());
        }
        let mut header = ((index.len() / 16) as u32).to_be_bytes().to_vec();
        header.extend((store.len() as u32).to_be_bytes());
        header.extend(index);
        header.extend(store);
        header
    }

    #[test]
    fn a_header_gives_a_package() {
        let texts =
            [(NAME, "bash"), (VERSION, "5.1"), (RELEASE, "2.el9"), (ARCH, "x86_64"), (LICENSE, "GPLv3+")];
        let release = Release { id: "rhel".to_owned(), version: "9".to_owned() };
        let found = package(&header(&texts, Some(1)), "db", &release).unwrap();
        assert_eq!(found.purl, "pkg:rpm/rhel/bash@5.1-2.el9?arch=x86_64&distro=rhel-9&epoch=1");
        let whole = header(&texts, None);
        for cut in 0..whole.len() {
            let _ = package(&whole[..cut], "db", &release);
        }
        assert_eq!(package(&header(&[(NAME, "gpg-pubkey"), (VERSION, "1")], None), "db", &release), None);
    }
}
