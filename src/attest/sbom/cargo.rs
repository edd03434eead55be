//! Crates: `Cargo.lock`, and what `cargo auditable` leaves in binaries.

use std::collections::BTreeMap;
use std::io::Read as _;

use serde::Deserialize;

use super::{MAX_TEXT, Package};

fn crate_package(name: &str, version: &str, path: &str) -> Package {
    Package::new("cargo", None, name, version, &BTreeMap::new(), path)
}

/// Reads the packages of a lock file; those without a source are the project's own, and count as well.
pub(super) fn lock(text: &str, path: &str) -> Vec<Package> {
    let mut found = Vec::new();
    let value = |line: &str, key: &str| {
        let rest = line.strip_prefix(key)?.trim_start().strip_prefix('=')?.trim();
        Some(rest.trim_matches('"').to_owned())
    };
    for table in text.split("[[package]]").skip(1) {
        // Arrays of dependencies stand behind the names; none of their lines has a key.
        let name = table.lines().find_map(|line| value(line, "name "));
        let version = table.lines().find_map(|line| value(line, "version "));
        if let (Some(name), Some(version)) = (name, version) {
            found.push(crate_package(&name, &version, path));
        }
    }
    found
}

#[derive(Deserialize)]
struct Auditable {
    packages: Vec<AuditablePackage>,
}

#[derive(Deserialize)]
struct AuditablePackage {
    name: String,
    version: String,
    #[serde(default)]
    kind: Option<String>,
}

/// Reads the section `.dep-v0`: JSON, compressed by zlib (cargo-auditable, "binary format").
pub(super) fn auditable(section: &[u8], path: &str) -> Vec<Package> {
    let mut text = Vec::new();
    let plain = flate2::read::ZlibDecoder::new(section).take(MAX_TEXT as u64).read_to_end(&mut text);
    let Ok(document) =
        plain.map_err(drop).and_then(|_| serde_json::from_slice::<Auditable>(&text).map_err(drop))
    else {
        return Vec::new();
    };
    let shipped = document.packages.iter().filter(|package| package.kind.as_deref() != Some("build"));
    shipped.map(|package| crate_package(&package.name, &package.version, path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn lock_files_and_binaries_name_crates() {
        let text = "version = 3\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"x\"\ndependencies = [\n \"b\",\n]\n\n[[package]]\nname = \"b\"\nversion = \"2.0.0\"\n";
        let purls: Vec<String> = lock(text, "Cargo.lock").into_iter().map(|p| p.purl).collect();
        assert_eq!(purls, ["pkg:cargo/a@1.0.0", "pkg:cargo/b@2.0.0"]);
        let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        packed
            .write_all(br#"{"packages":[{"name":"x","version":"1.2.3","source":"crates.io"},{"name":"cc","version":"1.0.0","kind":"build"}]}"#)
            .unwrap();
        let found = auditable(&packed.finish().unwrap(), "bin/x");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].purl, "pkg:cargo/x@1.2.3");
        assert!(auditable(b"junk", "x").is_empty());
    }
}
