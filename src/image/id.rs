//! Content ids: distinct types over the 32 bytes of a SHA-256.
//!
//! Each id says what was hashed, so that a mix-up fails to compile. Only lawful
//! conversions exist: a [`DiffId`] extends a [`ChainId`], an [`ImageId`] or a
//! [`ManifestDigest`] names the blob of its own bytes, nothing turns into a
//! [`DiffId`] but the digest of an uncompressed layer tar.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// Why a text is not a content id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The algorithm in front of the colon is not `sha256`.
    #[error("unsupported digest algorithm in {0:?}")]
    Algorithm(String),
    /// The part after the colon is not 64 lower-case hexadecimal digits.
    #[error("invalid checksum digest format in {0:?}")]
    Format(String),
}

/// Returns the lower-case hexadecimal form of `bytes`.
pub fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)] as char);
        out.push(DIGITS[usize::from(byte & 15)] as char);
    }
    out
}

fn nibble(c: u8) -> Option<u8> {
    match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    }
}

/// Returns the 32 bytes that 64 lower-case hexadecimal digits stand for.
pub fn from_hex(hex: &str) -> Option<[u8; 32]> {
    let digits = hex.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut out = [0u8; 32];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(out)
}

macro_rules! content_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Wraps the 32 bytes of a SHA-256 that was computed over what this id names.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// Returns the 32 bytes of the SHA-256.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// Returns the 64 hexadecimal digits without an algorithm prefix.
            pub fn hex(&self) -> String {
                to_hex(&self.0)
            }

            /// Returns the first 12 hexadecimal digits, as lists show them.
            pub fn short(&self) -> String {
                to_hex(&self.0[..6])
            }

            /// Reads 64 hexadecimal digits without an algorithm prefix.
            pub fn from_hex(hex: &str) -> Option<Self> {
                from_hex(hex).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "sha256:{}", to_hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.short())
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let Some((algorithm, hex)) = text.split_once(':') else {
                    return Err(IdError::Format(text.to_owned()));
                };
                if algorithm != "sha256" {
                    return Err(IdError::Algorithm(text.to_owned()));
                }
                from_hex(hex).map(Self).ok_or_else(|| IdError::Format(text.to_owned()))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

content_id! {
    /// The SHA-256 of the exact bytes of a blob, as transferred or stored.
    Digest
}
content_id! {
    /// The SHA-256 of a layer's uncompressed tar (OCI image spec, config, "Layer DiffID").
    DiffId
}
content_id! {
    /// The identity of a stack of layers (OCI image spec, config, "Layer ChainID").
    ChainId
}
content_id! {
    /// The SHA-256 of an image's config, which docker shows as the image id.
    ImageId
}
content_id! {
    /// The SHA-256 of a manifest's or an index's exact bytes.
    ManifestDigest
}

impl Digest {
    /// Returns the digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl DiffId {
    /// Names the layer whose uncompressed tar has this digest.
    pub const fn of_tar(digest: Digest) -> Self {
        Self(digest.0)
    }

    /// Returns the digest of the uncompressed tar seen as a blob.
    pub const fn as_digest(&self) -> Digest {
        Digest(self.0)
    }
}

impl ChainId {
    /// Returns the chain that holds only `bottom`.
    pub const fn base(bottom: DiffId) -> Self {
        Self(bottom.0)
    }

    /// Returns the chain of `self` with `top` laid over it.
    pub fn extend(&self, top: DiffId) -> Self {
        Self(Sha256::digest(format!("{self} {top}")).into())
    }

    /// Returns the chain of `layers`, bottom first; none for an empty stack.
    pub fn of(layers: &[DiffId]) -> Option<Self> {
        let (bottom, rest) = layers.split_first()?;
        Some(rest.iter().fold(Self::base(*bottom), |chain, top| chain.extend(*top)))
    }
}

impl ImageId {
    /// Returns the id of the image whose config has exactly these bytes.
    pub fn of_config(config: &[u8]) -> Self {
        Self(Digest::of(config).0)
    }

    /// Returns the digest under which the config is stored as a blob.
    pub const fn as_digest(&self) -> Digest {
        Digest(self.0)
    }
}

impl ManifestDigest {
    /// Returns the digest of these exact manifest or index bytes.
    pub fn of(manifest: &[u8]) -> Self {
        Self(Digest::of(manifest).0)
    }

    /// Returns the digest under which the manifest is stored as a blob.
    pub const fn as_digest(&self) -> Digest {
        Digest(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_read_back() {
        let digest = Digest::of(b"");
        let text = digest.to_string();
        assert_eq!(text, "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(text.parse(), Ok(digest));
        assert_eq!(digest.short(), "e3b0c44298fc");
        assert!(matches!("sha512:00".parse::<Digest>(), Err(IdError::Algorithm(_))));
        assert!(matches!(
            text.to_uppercase().replace("SHA", "sha").parse::<Digest>(),
            Err(IdError::Format(_))
        ));
    }

    #[test]
    fn a_chain_is_its_layers_in_order() {
        let (a, b) = (DiffId::of_tar(Digest::of(b"a")), DiffId::of_tar(Digest::of(b"b")));
        assert_eq!(ChainId::of(&[]), None);
        assert_eq!(ChainId::of(&[a]), Some(ChainId::base(a)));
        let expected = Digest::of(format!("{a} {b}").as_bytes());
        assert_eq!(ChainId::of(&[a, b]).map(|c| c.hex()), Some(expected.hex()));
        assert_ne!(ChainId::of(&[a, b]), ChainId::of(&[b, a]));
    }
}
