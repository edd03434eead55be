//! Digests that a registry must know (sha256 and sha512), and hashing that can stop and go on elsewhere.

use std::fmt;
use std::str::FromStr;

use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest as _, Sha256, Sha512};

/// An algorithm of digests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// The usual one.
    Sha256,
    /// The other one that the image specification registers.
    Sha512,
}

impl Algorithm {
    /// Returns the name before the colon.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    fn digits(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

impl FromStr for Algorithm {
    type Err = BadDigest;

    fn from_str(text: &str) -> Result<Self, BadDigest> {
        match text {
            "sha256" => Ok(Self::Sha256),
            "sha512" => Ok(Self::Sha512),
            _ => Err(BadDigest::Algorithm),
        }
    }
}

/// Why a text is no digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadDigest {
    /// Not `algorithm:hex` with the right number of lower-case digits.
    #[error("invalid digest format")]
    Format,
    /// Neither sha256 nor sha512.
    #[error("unsupported digest algorithm")]
    Algorithm,
}

/// The digest of a blob or manifest under either algorithm.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobDigest {
    algorithm: Algorithm,
    hex: String,
}

impl BlobDigest {
    /// Returns the digest of bytes.
    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    /// Returns the algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Returns the digits after the colon.
    pub fn hex(&self) -> &str {
        &self.hex
    }

    /// Returns `algorithm-hex`, which is a file's name and the fallback tag of referrers (cut as the specification says).
    pub fn dashed(&self) -> String {
        format!("{}-{}", self.algorithm.name(), self.hex)
    }

    /// Reads [`Self::dashed`] again.
    pub fn from_dashed(text: &str) -> Option<Self> {
        let (algorithm, hex) = text.split_once('-')?;
        format!("{algorithm}:{hex}").parse().ok()
    }

    /// Returns the image's own type of digest, if it is sha256.
    pub fn to_image_digest(&self) -> Option<crate::image::Digest> {
        match self.algorithm {
            Algorithm::Sha256 => crate::image::Digest::from_hex(&self.hex),
            Algorithm::Sha512 => None,
        }
    }
}

impl From<crate::image::Digest> for BlobDigest {
    fn from(digest: crate::image::Digest) -> Self {
        Self { algorithm: Algorithm::Sha256, hex: digest.hex() }
    }
}

impl FromStr for BlobDigest {
    type Err = BadDigest;

    fn from_str(text: &str) -> Result<Self, BadDigest> {
        let (algorithm, hex) = text.split_once(':').ok_or(BadDigest::Format)?;
        if algorithm.is_empty() || hex.len() < 32 || !hex.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(BadDigest::Format);
        }
        let algorithm: Algorithm = algorithm.parse()?;
        let lower = hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if hex.len() != algorithm.digits() || !lower {
            return Err(BadDigest::Format);
        }
        Ok(Self { algorithm, hex: hex.to_owned() })
    }
}

impl fmt::Display for BlobDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex)
    }
}

/// Hashes a stream; its state can be kept and taken up by another process.
#[derive(Debug, Clone)]
pub enum Hasher {
    /// SHA-256.
    Sha256(Sha256),
    /// SHA-512.
    Sha512(Sha512),
}

impl Hasher {
    /// Starts at nothing.
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    /// Returns the algorithm.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Sha256(_) => Algorithm::Sha256,
            Self::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// Takes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// Returns the digest of all bytes.
    pub fn finish(self) -> BlobDigest {
        let (algorithm, hex) = match self {
            Self::Sha256(hasher) => (Algorithm::Sha256, to_hex(&hasher.finalize())),
            Self::Sha512(hasher) => (Algorithm::Sha512, to_hex(&hasher.finalize())),
        };
        BlobDigest { algorithm, hex }
    }

    /// Returns the state as text.
    pub fn save(&self) -> String {
        match self {
            Self::Sha256(hasher) => format!("sha256:{}", to_hex(&hasher.serialize())),
            Self::Sha512(hasher) => format!("sha512:{}", to_hex(&hasher.serialize())),
        }
    }

    /// Takes a state up; none if the text is no state of this program's.
    pub fn load(text: &str) -> Option<Self> {
        let (algorithm, hex) = text.split_once(':')?;
        let bytes = from_hex(hex)?;
        match algorithm.parse().ok()? {
            Algorithm::Sha256 => {
                let state = SerializedState::<Sha256>::try_from(&bytes[..]).ok()?;
                Sha256::deserialize(&state).ok().map(Self::Sha256)
            }
            Algorithm::Sha512 => {
                let state = SerializedState::<Sha512>::try_from(&bytes[..]).ok()?;
                Sha512::deserialize(&state).ok().map(Self::Sha512)
            }
        }
    }
}

fn to_hex(bytes: &[u8]) -> String {
    crate::image::id::to_hex(bytes)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_read_strictly() {
        let good = format!("sha256:{}", "a".repeat(64));
        assert_eq!(good.parse::<BlobDigest>().unwrap().to_string(), good);
        assert!(format!("sha512:{}", "0".repeat(128)).parse::<BlobDigest>().is_ok());
        for (bad, why) in [
            ("", BadDigest::Format),
            ("sha256", BadDigest::Format),
            ("sha256:abc", BadDigest::Format),
            (&format!("sha256:{}", "A".repeat(64)), BadDigest::Format),
            (&format!("sha256:{}", "a".repeat(63)), BadDigest::Format),
            (&format!("sha256:{}/", "a".repeat(63)), BadDigest::Format),
            (&format!("md5:{}", "a".repeat(32)), BadDigest::Algorithm),
        ] {
            assert_eq!(bad.parse::<BlobDigest>().unwrap_err(), why, "{bad}");
        }
    }

    #[test]
    fn a_kept_state_goes_on_where_it_was() {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let data: Vec<u8> = (0..5000u32).map(|n| (n % 251) as u8).collect();
            for cut in [0, 1, 63, 64, 65, 127, 128, 4999, 5000] {
                let mut first = Hasher::new(algorithm);
                first.update(&data[..cut]);
                let mut second = Hasher::load(&first.save()).expect("its own state");
                second.update(&data[cut..]);
                assert_eq!(second.finish(), BlobDigest::of(algorithm, &data));
            }
        }
        assert!(Hasher::load("sha256:00").is_none());
        assert!(Hasher::load("nonsense").is_none());
    }
}
