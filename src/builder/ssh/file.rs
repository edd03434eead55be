//! Files of private keys: OpenSSH's own form, and the PEM forms of OpenSSL.

use aws_lc_rs::rsa::{self, KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::KeyError;
use super::key::{CURVES, Key, Pair};
use super::wire::Fields;

/// What OpenSSH's own form begins with (PROTOCOL.key of OpenSSH).
const MAGIC: &[u8] = b"openssh-key-v1\0";

impl Key {
    /// Reads a private key; `comment` is shown beside it where the file has none.
    ///
    /// # Errors
    /// It is encrypted, damaged, no key at all, or of a type that is not supported.
    pub fn read(text: &str, comment: &str) -> Result<Self, KeyError> {
        let (label, der) = pem(text)?;
        let pair = match label {
            "OPENSSH PRIVATE KEY" => return openssh(&der, comment),
            "RSA PRIVATE KEY" => {
                rsa::KeyPair::from_der(&der).map(Pair::Rsa).map_err(|_| KeyError::Damaged)?
            }
            "EC PRIVATE KEY" => ecdsa_der(&der).ok_or(KeyError::Damaged)?,
            "PRIVATE KEY" => pkcs8(&der).ok_or(KeyError::Damaged)?,
            "ENCRYPTED PRIVATE KEY" => return Err(KeyError::Protected),
            other => return Err(KeyError::Type(other.trim_end_matches(" PRIVATE KEY").to_lowercase())),
        };
        Ok(Self { pair, comment: comment.to_owned() })
    }
}

/// Returns the label and the bytes of the first private key in a text.
fn pem(text: &str) -> Result<(&str, Vec<u8>), KeyError> {
    let mut lines = text.lines().map(str::trim);
    let label = lines
        .by_ref()
        .find_map(|line| line.strip_prefix("-----BEGIN ")?.strip_suffix("-----"))
        .filter(|label| label.ends_with("PRIVATE KEY"))
        .ok_or(KeyError::NoKey)?;
    let mut body = String::new();
    for line in lines {
        match line {
            line if line.starts_with("-----END") => {
                return Ok((label, STANDARD.decode(body).map_err(|_| KeyError::Damaged)?));
            }
            line if line.starts_with("Proc-Type:") && line.contains("ENCRYPTED") => {
                return Err(KeyError::Protected);
            }
            line if line.contains(':') => {}
            line => body.push_str(line),
        }
    }
    Err(KeyError::Damaged)
}

fn ecdsa_der(der: &[u8]) -> Option<Pair> {
    CURVES.iter().find_map(|(curve, algorithm)| {
        Some(Pair::Ecdsa(curve, EcdsaKeyPair::from_private_key_der(algorithm, der).ok()?))
    })
}

fn pkcs8(der: &[u8]) -> Option<Pair> {
    let ed25519 = || Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(Pair::Ed25519).ok();
    let rsa = || rsa::KeyPair::from_pkcs8(der).map(Pair::Rsa).ok();
    ed25519().or_else(rsa).or_else(|| ecdsa_der(der))
}

fn openssh(bytes: &[u8], comment: &str) -> Result<Key, KeyError> {
    let mut fields = Fields(bytes.strip_prefix(MAGIC).ok_or(KeyError::Damaged)?);
    let (cipher, _kdf, _options) = (fields.string()?, fields.string()?, fields.string()?);
    if cipher != b"none" {
        return Err(KeyError::Protected);
    }
    if fields.number()? != 1 {
        return Err(KeyError::Damaged);
    }
    let _public = fields.string()?;
    let mut fields = Fields(fields.string()?);
    if fields.number()? != fields.number()? {
        return Err(KeyError::Damaged);
    }
    let pair = match fields.text()? {
        "ssh-ed25519" => {
            let (public, private) = (fields.string()?, fields.string()?);
            let seed = private.get(..32).ok_or(KeyError::Damaged)?;
            let pair = Ed25519KeyPair::from_seed_and_public_key(seed, public);
            Pair::Ed25519(pair.map_err(|_| KeyError::Damaged)?)
        }
        "ssh-rsa" => openssh_rsa(&mut fields)?,
        name if name.starts_with("ecdsa-sha2-") => {
            let curve = fields.text()?;
            let known = CURVES.iter().find(|(known, _)| *known == curve);
            let (curve, algorithm) = known.ok_or_else(|| KeyError::Type(name.to_owned()))?;
            let (public, private) = (fields.string()?, fields.integer()?);
            // The private number has as many bytes as a coordinate of the public point.
            let length = public.len().saturating_sub(1) / 2;
            let mut fixed = vec![0; length.checked_sub(private.len()).ok_or(KeyError::Damaged)?];
            fixed.extend_from_slice(private);
            let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, &fixed, public);
            Pair::Ecdsa(curve, pair.map_err(|_| KeyError::Damaged)?)
        }
        other => return Err(KeyError::Type(other.to_owned())),
    };
    let own = fields.text()?;
    Ok(Key { pair, comment: if own.is_empty() { comment } else { own }.to_owned() })
}

#[expect(clippy::many_single_char_names, reason = "RSA's numbers have these names")]
fn openssh_rsa(fields: &mut Fields<'_>) -> Result<Pair, KeyError> {
    let (n, e, d) = (fields.integer()?, fields.integer()?, fields.integer()?);
    let (inverse, p, q) = (fields.integer()?, fields.integer()?, fields.integer()?);
    let (exponent_p, exponent_q) = (remainder(d, &less_one(p)?), remainder(d, &less_one(q)?));
    let components = KeyPairComponents {
        public_key: PublicKeyComponents { n, e },
        d,
        p,
        q,
        dP: exponent_p.as_slice(),
        dQ: exponent_q.as_slice(),
        qInv: inverse,
    };
    rsa::KeyPair::from_components(&components).map(Pair::Rsa).map_err(|_| KeyError::Damaged)
}

/// Returns an odd number less one; a prime is odd.
fn less_one(prime: &[u8]) -> Result<Vec<u8>, KeyError> {
    let mut out = prime.to_vec();
    match out.last_mut() {
        Some(last) if *last % 2 == 1 && prime.len() > 1 => *last -= 1,
        _ => return Err(KeyError::Damaged),
    }
    Ok(out)
}

/// Returns `number mod modulus`, both big-endian, bit by bit.
fn remainder(number: &[u8], modulus: &[u8]) -> Vec<u8> {
    // One byte of room, since a remainder is doubled before it is reduced.
    let modulus = [&[0], modulus].concat();
    let mut rest = vec![0u8; modulus.len()];
    for bit in number.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)) {
        let mut carry = bit;
        for byte in rest.iter_mut().rev() {
            let next = *byte >> 7;
            *byte = *byte << 1 | carry;
            carry = next;
        }
        if rest >= modulus {
            let mut borrow = 0;
            for (byte, other) in rest.iter_mut().zip(&modulus).rev() {
                let difference = i16::from(*byte) - i16::from(*other) - borrow;
                borrow = i16::from(difference < 0);
                *byte = difference.rem_euclid(256).try_into().unwrap_or(0);
            }
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divides() {
        for (number, modulus) in
            [(0u64, 1u64), (1, 2), (65_536, 255), (u64::MAX, 0xffff_fffe), (12_345, 70_000)]
        {
            let rest = remainder(&number.to_be_bytes(), &modulus.to_be_bytes());
            let wide = rest.iter().fold(0u128, |sum, byte| sum << 8 | u128::from(*byte));
            assert_eq!(wide, u128::from(number % modulus), "{number} {modulus}");
        }
    }

    #[test]
    fn refuses_what_is_no_key() {
        let pem =
            |label: &str, body: &str| format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
        for (text, expected) in [
            ("", "no private key"),
            (&pem("PUBLIC KEY", "AAAA"), "no private key"),
            (&pem("OPENSSH PRIVATE KEY", "AAAA"), "damaged"),
            (&pem("OPENSSH PRIVATE KEY", "?"), "damaged"),
            ("-----BEGIN RSA PRIVATE KEY-----\nAAAA", "damaged"),
            (&pem("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\nAAAA"), "passphrase protected"),
            (&pem("ENCRYPTED PRIVATE KEY", "AAAA"), "passphrase protected"),
            (&pem("DSA PRIVATE KEY", "AAAA"), "type dsa"),
        ] {
            let error = Key::read(text, "x").expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
