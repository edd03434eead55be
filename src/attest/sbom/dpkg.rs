//! Debian packages.

use super::release::Release;
use super::{MAX_DATABASE, Package, bytes, paragraphs};
use crate::fs::Root;

const STATUS: &str = "var/lib/dpkg/status";
const STATUS_DIR: &str = "var/lib/dpkg/status.d";

pub(super) fn scan(root: &Root, release: &Release, found: &mut Vec<Package>) {
    let mut files = vec![STATUS.to_owned()];
    // Images without dpkg keep a file for each package.
    for entry in root.entries(STATUS_DIR).unwrap_or_default() {
        let name = String::from_utf8_lossy(&entry.name).into_owned();
        if !name.ends_with(".md5sums") {
            files.push(format!("{STATUS_DIR}/{name}"));
        }
    }
    for path in files {
        if let Some(bytes) = bytes(root, &path, MAX_DATABASE) {
            found.extend(packages(&String::from_utf8_lossy(&bytes), &path, release));
        }
    }
}

fn packages(text: &str, path: &str, release: &Release) -> Vec<Package> {
    let mut found = Vec::new();
    for fields in paragraphs(text) {
        let (Some(name), Some(version)) = (fields.get("Package"), fields.get("Version")) else { continue };
        if fields.get("Status").is_some_and(|status| !status.ends_with(" installed")) {
            continue;
        }
        let mut qualifiers = release.qualifiers(fields.get("Architecture").copied());
        if let Some(source) = fields.get("Source") {
            // `name (version)`: the version is that of the source where it differs.
            let source = source.replace([' ', ')'], "").replace('(', "@");
            qualifiers.insert("upstream", source);
        }
        let mut package =
            Package::new("deb", Some(release.namespace("debian")), name, version, &qualifiers, path);
        package.supplier = fields.get("Maintainer").map(|who| format!("Person: {}", person(who)));
        found.push(package);
    }
    found
}

/// SPDX wants `name (mail)`, dpkg has `name <mail>`.
fn person(text: &str) -> String {
    text.replace('<', "(").replace('>', ")")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installed_packages_are_listed() {
        let text = "Package: libc6\nStatus: install ok installed\nMaintainer: X <x@y>\nArchitecture: amd64\nSource: glibc (2.36-9)\nVersion: 2.36-9+b1\nDescription: a\n b: c\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n";
        let release = Release { id: "debian".to_owned(), version: "12".to_owned() };
        let found = packages(text, STATUS, &release);
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].purl,
            "pkg:deb/debian/libc6@2.36-9%2Bb1?arch=amd64&distro=debian-12&upstream=glibc%402.36-9"
        );
        assert_eq!(found[0].supplier.as_deref(), Some("Person: X (x@y)"));
    }
}
