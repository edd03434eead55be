//! Platforms: `os[/architecture[/variant]]` in Go's spelling.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What an image runs on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// Operating system, e.g. `linux`.
    pub os: String,
    /// CPU architecture, e.g. `amd64`.
    pub architecture: String,
    /// Variant of the architecture, e.g. `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Version of the operating system.
    #[serde(default, rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
}

/// A platform text that does not parse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid platform {0:?}: expected os[/architecture[/variant]], e.g. linux/amd64")]
pub struct PlatformError(pub String);

impl Platform {
    /// Returns the platform of the machine that this binary was compiled for.
    pub fn host() -> Self {
        Self::normalised("linux", std::env::consts::ARCH, None)
    }

    /// Reads `os`, `architecture`, `os/architecture[/variant]` or `local`, and normalises it.
    ///
    /// # Errors
    /// The text has empty or foreign parts.
    pub fn parse(text: &str) -> Result<Self, PlatformError> {
        let bad = || PlatformError(text.to_owned());
        if text == "local" {
            return Ok(Self::host());
        }
        let parts: Vec<&str> = text.split('/').collect();
        let legal = |part: &&str| {
            !part.is_empty() && part.bytes().all(|c| c.is_ascii_alphanumeric() || b"_-.()".contains(&c))
        };
        if parts.len() > 3 || !parts.iter().all(legal) {
            return Err(bad());
        }
        let host = Self::host();
        Ok(match parts[..] {
            [os] if is_os(&os.to_lowercase()) => Self::normalised(os, &host.architecture, None),
            [architecture] if is_architecture(architecture) => Self::normalised(&host.os, architecture, None),
            [os, architecture] => Self::normalised(os, architecture, None),
            [os, architecture, variant] => Self::normalised(os, architecture, Some(variant)),
            _ => return Err(bad()),
        })
    }

    /// Returns the platform with common aliases replaced: `x86_64` is `amd64`, `armhf` is `arm/v7`.
    pub fn normalised(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let os = match os.to_lowercase().as_str() {
            "macos" => "darwin".to_owned(),
            other => other.to_owned(),
        };
        let variant = variant.map(str::to_lowercase).filter(|v| !v.is_empty());
        let (architecture, variant) = match (architecture.to_lowercase().as_str(), variant.as_deref()) {
            ("i386" | "i686" | "x86" | "386", v) => ("386", v.map(str::to_owned)),
            ("x86_64" | "x86-64" | "amd64", None | Some("v1")) => ("amd64", None),
            ("x86_64" | "x86-64" | "amd64", v) => ("amd64", v.map(str::to_owned)),
            ("aarch64" | "arm64", None | Some("8" | "v8")) => ("arm64", None),
            ("aarch64" | "arm64", v) => ("arm64", v.map(str::to_owned)),
            ("armhf", _) | ("arm", None | Some("" | "7")) => ("arm", Some("v7".to_owned())),
            ("armel", _) | ("arm", Some("6")) => ("arm", Some("v6".to_owned())),
            ("arm", Some("5")) => ("arm", Some("v5".to_owned())),
            ("arm", Some("8")) => ("arm", Some("v8".to_owned())),
            (other, v) => {
                return Self {
                    os,
                    architecture: other.to_owned(),
                    variant: v.map(str::to_owned),
                    os_version: None,
                };
            }
        };
        Self { os, architecture: architecture.to_owned(), variant, os_version: None }
    }

    /// Whether an image for `self` can serve a request for `wanted`: same system and
    /// architecture, and a variant that is not newer than the wanted one.
    pub fn serves(&self, wanted: &Self) -> bool {
        let (have, want) = (
            Self::normalised(&self.os, &self.architecture, self.variant.as_deref()),
            Self::normalised(&wanted.os, &wanted.architecture, wanted.variant.as_deref()),
        );
        have.os == want.os
            && have.architecture == want.architecture
            && match (have.variant, want.variant) {
                (None, _) => true,
                (Some(have), Some(want)) => have <= want,
                (Some(_), None) => false,
            }
    }
}

fn is_os(text: &str) -> bool {
    matches!(text, "linux" | "windows" | "darwin" | "macos" | "freebsd" | "wasi")
}

fn is_architecture(text: &str) -> bool {
    matches!(
        text.to_lowercase().as_str(),
        "amd64"
            | "x86_64"
            | "x86-64"
            | "386"
            | "i386"
            | "arm"
            | "armhf"
            | "armel"
            | "arm64"
            | "aarch64"
            | "ppc64le"
            | "s390x"
            | "riscv64"
            | "loong64"
            | "mips64le"
            | "wasm"
    )
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_are_normalised() {
        for (typed, expected) in [
            ("linux/x86_64", "linux/amd64"),
            ("linux/amd64/v1", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/armel", "linux/arm/v6"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("arm64", "linux/arm64"),
            ("windows/amd64", "windows/amd64"),
        ] {
            assert_eq!(Platform::parse(typed).unwrap().to_string(), expected, "{typed}");
        }
        for bad in ["", "/", "linux/", "a/b/c/d", "linux/am d64", "nosuch"] {
            assert!(Platform::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn older_variants_serve_newer_machines() {
        let serves =
            |have: &str, want: &str| Platform::parse(have).unwrap().serves(&Platform::parse(want).unwrap());
        assert!(serves("linux/amd64", "linux/amd64/v3"));
        assert!(!serves("linux/amd64/v3", "linux/amd64"));
        assert!(serves("linux/arm/v6", "linux/arm/v7"));
        assert!(!serves("linux/arm64", "linux/amd64"));
    }
}
