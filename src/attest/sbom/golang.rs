//! Modules that a Go binary was built from (Go, debug/buildinfo; the inline form of Go 1.18 and later).

use std::collections::BTreeMap;

use super::Package;

const MAGIC: &[u8] = b"\xff Go buildinf:";
/// Where the two texts begin.
const INLINE: usize = 32;
/// What stands before and behind the list of modules.
const SENTINEL: usize = 16;

/// Reads the section `.go.buildinfo`.
pub(super) fn packages(section: &[u8], path: &str) -> Vec<Package> {
    let Some((version, modules)) = texts(section) else { return Vec::new() };
    let mut found = vec![module("stdlib", version.trim_start_matches("go"), path)];
    let mut last: Option<Package> = None;
    for line in modules.lines() {
        let mut fields = line.split('\t');
        match (fields.next(), fields.next(), fields.next()) {
            (Some("mod" | "dep"), Some(name), Some(version)) => {
                found.extend(last.replace(module(name, version, path)));
            }
            // What stands in the place of the module before.
            (Some("=>"), Some(name), Some(version)) => last = Some(module(name, version, path)),
            _ => {}
        }
    }
    found.extend(last);
    found
}

fn module(path: &str, version: &str, found: &str) -> Package {
    let (namespace, name) = path.rsplit_once('/').map_or((None, path), |(space, name)| (Some(space), name));
    Package::new("golang", namespace, name, version, &BTreeMap::new(), found)
}

fn texts(section: &[u8]) -> Option<(String, String)> {
    if !section.starts_with(MAGIC) || section.get(15)? & 2 == 0 {
        return None;
    }
    let (version, rest) = text(section.get(INLINE..)?)?;
    let modules = text(rest).map(|(modules, _)| modules).unwrap_or_default();
    let inner = modules.get(SENTINEL..modules.len().saturating_sub(SENTINEL)).unwrap_or_default();
    let string = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some((string(version), string(inner)))
}

/// Reads a length as a varint, and as many bytes.
fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut length, mut shift) = (0usize, 0);
    for (at, byte) in bytes.iter().enumerate().take(5) {
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            let rest = bytes.get(at + 1..)?;
            return (length <= rest.len()).then(|| rest.split_at(length));
        }
        shift += 7;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_listed() {
        let modules = format!(
            "{0}path\tx\nmod\texample.com/x\t(devel)\t\ndep\tgolang.org/x/sys\tv0.1.0\th1:\ndep\ta.b/c\tv1.0.0\n=>\td.e/f\tv2.0.0\th1:\nbuild\tCGO_ENABLED=0\n{0}",
            "0123456789abcdef"
        );
        let mut section = [MAGIC, &[8, 2]].concat();
        section.resize(INLINE, 0);
        section.push(8);
        section.extend(b"go1.21.0");
        section.extend([(modules.len() & 0x7f) as u8 | 0x80, (modules.len() >> 7) as u8]);
        section.extend(modules.bytes());
        let purls: Vec<String> = packages(&section, "bin/x").into_iter().map(|p| p.purl).collect();
        assert_eq!(
            purls,
            [
                "pkg:golang/stdlib@1.21.0",
                "pkg:golang/example.com/x@%28devel%29",
                "pkg:golang/golang.org/x/sys@v0.1.0",
                "pkg:golang/d.e/f@v2.0.0"
            ]
        );
        section.truncate(60);
        assert_eq!(packages(&section, "x").len(), 1, "a cut section gives what it still says");
        assert!(packages(b"", "x").is_empty());
    }
}
