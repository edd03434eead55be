//! Annotations by what they are put on.

use std::collections::BTreeMap;

use crate::image::Platform;

/// What an annotation is put on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The manifest of an image.
    Manifest,
    /// The index.
    Index,
    /// The descriptor of a manifest in the index.
    ManifestDescriptor,
    /// The descriptor of the index in a layout's `index.json`.
    IndexDescriptor,
}

impl Level {
    /// Returns its name in flags.
    pub fn name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Index => "index",
            Self::ManifestDescriptor => "manifest-descriptor",
            Self::IndexDescriptor => "index-descriptor",
        }
    }

    /// Reads a level by the name that flags and output keys have for it.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "manifest" => Self::Manifest,
            "index" => Self::Index,
            "manifest-descriptor" => Self::ManifestDescriptor,
            "index-descriptor" => Self::IndexDescriptor,
            _ => return None,
        })
    }
}

/// One annotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// What it is put on.
    pub level: Level,
    /// The platform that it is for; none is for all.
    pub platform: Option<Platform>,
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// Annotations; of two with one key the later one counts, one for a platform before one for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotations(pub Vec<Annotation>);

impl Annotations {
    /// Returns what is to be put on something of a platform.
    pub fn of(&self, level: Level, platform: Option<&Platform>) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        for only in [false, true] {
            for one in self.0.iter().filter(|one| one.level == level && one.platform.is_some() == only) {
                if !only || one.platform.as_ref() == platform {
                    found.insert(one.key.clone(), one.value.clone());
                }
            }
        }
        found
    }

    /// Whether something is meant for an index.
    pub fn want_index(&self) -> bool {
        self.0.iter().any(|one| matches!(one.level, Level::Index | Level::IndexDescriptor))
    }
}

/// Returns a map as documents have it: absent when empty.
pub(super) fn some(map: BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    (!map.is_empty()).then_some(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_comes_before_all() {
        let arm = Platform::parse("linux/arm64").unwrap();
        let one = |platform: Option<&Platform>, value: &str| Annotation {
            level: Level::Manifest,
            platform: platform.cloned(),
            key: "k".to_owned(),
            value: value.to_owned(),
        };
        let all = Annotations(vec![one(Some(&arm), "arm"), one(None, "first"), one(None, "any")]);
        assert_eq!(all.of(Level::Manifest, Some(&arm))["k"], "arm");
        assert_eq!(all.of(Level::Manifest, Some(&Platform::parse("linux/amd64").unwrap()))["k"], "any");
        assert!(all.of(Level::Index, None).is_empty() && !all.want_index());
    }
}
