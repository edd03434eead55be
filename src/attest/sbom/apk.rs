//! Alpine packages.

use std::collections::BTreeMap;

use super::release::Release;
use super::{MAX_DATABASE, Package, bytes};
use crate::fs::Root;

pub(super) fn scan(root: &Root, release: &Release, found: &mut Vec<Package>) {
    for path in ["lib/apk/db/installed", "usr/lib/apk/db/installed"] {
        if let Some(bytes) = bytes(root, path, MAX_DATABASE) {
            found.extend(packages(&String::from_utf8_lossy(&bytes), path, release));
            // One is a link to the other where both are there.
            return;
        }
    }
}

fn packages(text: &str, path: &str, release: &Release) -> Vec<Package> {
    let mut found = Vec::new();
    for paragraph in text.split("\n\n") {
        let mut fields = BTreeMap::new();
        for line in paragraph.lines() {
            if let Some((key, value)) = line.split_once(':') {
                fields.entry(key).or_insert(value);
            }
        }
        let (Some(name), Some(version)) = (fields.get("P"), fields.get("V")) else { continue };
        let mut qualifiers = release.qualifiers(fields.get("A").copied());
        if let Some(origin) = fields.get("o").filter(|origin| *origin != name) {
            qualifiers.insert("upstream", (*origin).to_owned());
        }
        let mut package =
            Package::new("apk", Some(release.namespace("alpine")), name, version, &qualifiers, path);
        package.license = fields.get("L").map(|text| (*text).to_owned());
        found.push(package);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installed_packages_are_listed() {
        let text = "C:Q1\nP:musl\nV:1.2.4-r2\nA:x86_64\nL:MIT\no:musl\nF:lib\nR:x\n\nP:busybox-binsh\nV:1\nA:x86_64\no:busybox\n\n";
        let release = Release { id: "alpine".to_owned(), version: "3.19.1".to_owned() };
        let purls: Vec<String> =
            packages(text, "lib/apk/db/installed", &release).into_iter().map(|p| p.purl).collect();
        assert_eq!(
            purls,
            [
                "pkg:apk/alpine/musl@1.2.4-r2?arch=x86_64&distro=alpine-3.19.1",
                "pkg:apk/alpine/busybox-binsh@1?arch=x86_64&distro=alpine-3.19.1&upstream=busybox"
            ]
        );
    }
}
