//! `os-release`: which distribution packages belong to.

use std::collections::BTreeMap;

use crate::fs::Root;

/// What `os-release` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Release {
    /// `ID`, e.g. `debian`.
    pub(super) id: String,
    /// `VERSION_ID`, e.g. `12`.
    pub(super) version: String,
}

impl Release {
    pub(super) fn read(root: &Root) -> Self {
        let read = |path: &str| root.read(path, super::MAX_TEXT).ok();
        let bytes = read("etc/os-release").or_else(|| read("usr/lib/os-release")).unwrap_or_default();
        Self::parse(&String::from_utf8_lossy(&bytes))
    }

    fn parse(text: &str) -> Self {
        let mut release = Self::default();
        for line in text.lines() {
            let Some((key, value)) = line.split_once('=') else { continue };
            let value = value.trim().trim_matches(['"', '\'']).to_owned();
            match key.trim() {
                "ID" => release.id = value,
                "VERSION_ID" => release.version = value,
                _ => {}
            }
        }
        release
    }

    /// Returns the namespace of the distribution's packages.
    pub(super) fn namespace<'a>(&'a self, otherwise: &'a str) -> &'a str {
        if self.id.is_empty() { otherwise } else { &self.id }
    }

    /// Returns the qualifiers that packages of the distribution have.
    pub(super) fn qualifiers(&self, architecture: Option<&str>) -> BTreeMap<&'static str, String> {
        let mut qualifiers = BTreeMap::new();
        if let Some(architecture) = architecture.filter(|text| !text.is_empty()) {
            qualifiers.insert("arch", architecture.to_owned());
        }
        if !self.id.is_empty() {
            let version = if self.version.is_empty() { String::new() } else { format!("-{}", self.version) };
            qualifiers.insert("distro", format!("{}{version}", self.id));
        }
        qualifiers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distribution_is_told() {
        let release = Release::parse("NAME=x\nID=debian\nVERSION_ID=\"12\"\n");
        assert_eq!(release.qualifiers(Some("amd64"))["distro"], "debian-12");
        assert_eq!(Release::default().namespace("alpine"), "alpine");
    }
}
