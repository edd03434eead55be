//! `--checksum` of a download: which digest its bytes must have.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::image::id::to_hex;

/// A digest by one of the algorithms that OCI registers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Checksum {
    algorithm: Algorithm,
    hex: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Algorithm {
    Sha256,
    Sha384,
    Sha512,
}

const ALGORITHMS: [(&str, Algorithm, usize); 3] = [
    ("sha256", Algorithm::Sha256, 64),
    ("sha384", Algorithm::Sha384, 96),
    ("sha512", Algorithm::Sha512, 128),
];

/// Why a text is no checksum, in docker's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadChecksum {
    /// There is no `algorithm:`, or what follows has other characters or another length.
    #[error("invalid checksum digest format")]
    Format,
    /// The algorithm is none that OCI registers.
    #[error("unsupported digest algorithm")]
    Algorithm,
}

impl FromStr for Checksum {
    type Err = BadChecksum;

    fn from_str(text: &str) -> Result<Self, BadChecksum> {
        let (name, hex) = text.split_once(':').ok_or(BadChecksum::Format)?;
        let known = ALGORITHMS.iter().find(|(known, ..)| *known == name);
        let (_, algorithm, length) = known.ok_or(BadChecksum::Algorithm)?;
        let digits = hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if hex.len() != *length || !digits {
            return Err(BadChecksum::Format);
        }
        Ok(Self { algorithm: *algorithm, hex: hex.to_owned() })
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name =
            ALGORITHMS.iter().find(|(_, known, _)| *known == self.algorithm).map_or("", |known| known.0);
        write!(f, "{name}:{}", self.hex)
    }
}

/// The hashes of a body while it arrives: its SHA-256, and the one that is asked for.
pub(super) struct Hashes {
    sha256: Sha256,
    other: Option<Other>,
}

enum Other {
    Sha384(Sha384),
    Sha512(Sha512),
}

impl Hashes {
    pub(super) fn new(wanted: Option<&Checksum>) -> Self {
        let other = match wanted.map(|checksum| checksum.algorithm) {
            Some(Algorithm::Sha384) => Some(Other::Sha384(Sha384::new())),
            Some(Algorithm::Sha512) => Some(Other::Sha512(Sha512::new())),
            Some(Algorithm::Sha256) | None => None,
        };
        Self { sha256: Sha256::new(), other }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        match &mut self.other {
            Some(Other::Sha384(hash)) => hash.update(bytes),
            Some(Other::Sha512(hash)) => hash.update(bytes),
            None => {}
        }
    }

    /// Returns the SHA-256, and the text of the digest that a checksum is compared with.
    pub(super) fn finish(self) -> (crate::image::Digest, String) {
        let sha256 = crate::image::Digest::from_bytes(self.sha256.finalize().into());
        let text = match self.other {
            Some(Other::Sha384(hash)) => format!("sha384:{}", to_hex(&hash.finalize())),
            Some(Other::Sha512(hash)) => format!("sha512:{}", to_hex(&hash.finalize())),
            None => sha256.to_string(),
        };
        (sha256, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_checksums() {
        for (text, expected) in [
            (format!("sha256:{}", "a".repeat(64)), Ok(())),
            (format!("sha384:{}", "0".repeat(96)), Ok(())),
            (format!("sha512:{}", "f".repeat(128)), Ok(())),
            (format!("sha512:{}", "f".repeat(64)), Err(BadChecksum::Format)),
            (format!("sha256:{}", "A".repeat(64)), Err(BadChecksum::Format)),
            (format!("md5:{}", "a".repeat(32)), Err(BadChecksum::Algorithm)),
            ("a".repeat(64), Err(BadChecksum::Format)),
        ] {
            let read = text.parse::<Checksum>();
            assert_eq!(read.as_ref().map(|_| ()).map_err(|error| *error), expected, "{text}");
            if let Ok(checksum) = read {
                assert_eq!(checksum.to_string(), text);
            }
        }
    }

    #[test]
    fn hashes_by_the_algorithm_that_is_asked_for() {
        for (name, start) in [("sha256", "ba7816bf"), ("sha384", "cb00753f"), ("sha512", "ddaf35a1")] {
            let length = ALGORITHMS.iter().find(|known| known.0 == name).unwrap().2;
            let wanted: Checksum = format!("{name}:{}", "0".repeat(length)).parse().unwrap();
            let mut hashes = Hashes::new(Some(&wanted));
            hashes.update(b"a");
            hashes.update(b"bc");
            let (sha256, text) = hashes.finish();
            assert!(text.starts_with(&format!("{name}:{start}")), "{text}");
            assert!(sha256.to_string().starts_with("sha256:ba7816bf"));
        }
    }
}
