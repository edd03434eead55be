//! One private key: its public half and its signatures, as ssh writes them.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512,
};

use super::wire::{put_integer, put_string};

/// Flags of a request to sign (section 6.1 of the agent's protocol).
const RSA_SHA2_256: u32 = 2;
const RSA_SHA2_512: u32 = 4;

/// The curves of ECDSA: name, algorithm.
pub(super) static CURVES: [(&str, &EcdsaSigningAlgorithm); 3] = [
    ("nistp256", &ECDSA_P256_SHA256_FIXED_SIGNING),
    ("nistp384", &ECDSA_P384_SHA384_FIXED_SIGNING),
    ("nistp521", &ECDSA_P521_SHA512_FIXED_SIGNING),
];

/// A private key; it shows nothing of itself.
pub struct Key {
    pub(super) pair: Pair,
    /// What `ssh-add -l` shows beside it.
    pub(super) comment: String,
}

pub(super) enum Pair {
    Ed25519(Ed25519KeyPair),
    Rsa(rsa::KeyPair),
    Ecdsa(&'static str, EcdsaKeyPair),
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("comment", &self.comment).finish_non_exhaustive()
    }
}

impl Key {
    /// Returns the public key as ssh writes it.
    pub fn public(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match &self.pair {
            Pair::Ed25519(pair) => {
                put_string(&mut out, b"ssh-ed25519");
                put_string(&mut out, pair.public_key().as_ref());
            }
            Pair::Rsa(pair) => {
                let public = pair.public_key();
                put_string(&mut out, b"ssh-rsa");
                put_integer(&mut out, public.exponent().big_endian_without_leading_zero());
                put_integer(&mut out, public.modulus().big_endian_without_leading_zero());
            }
            Pair::Ecdsa(curve, pair) => {
                put_string(&mut out, format!("ecdsa-sha2-{curve}").as_bytes());
                put_string(&mut out, curve.as_bytes());
                put_string(&mut out, pair.public_key().as_ref());
            }
        }
        out
    }

    /// Signs; none where `flags` ask for an algorithm that is not made any more.
    pub fn sign(&self, data: &[u8], flags: u32) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        let (algorithm, signature) = match &self.pair {
            Pair::Ed25519(pair) => ("ssh-ed25519".to_owned(), pair.sign(data).as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let (name, encoding) = match flags {
                    flags if flags & RSA_SHA2_512 != 0 => ("rsa-sha2-512", &RSA_PKCS1_SHA512),
                    flags if flags & RSA_SHA2_256 != 0 => ("rsa-sha2-256", &RSA_PKCS1_SHA256),
                    _ => return None,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, data, &mut signature).ok()?;
                (name.to_owned(), signature)
            }
            Pair::Ecdsa(curve, pair) => {
                let fixed = pair.sign(&random, data).ok()?;
                let (r, s) = fixed.as_ref().split_at(fixed.as_ref().len() / 2);
                let mut signature = Vec::new();
                put_integer(&mut signature, r);
                put_integer(&mut signature, s);
                (format!("ecdsa-sha2-{curve}"), signature)
            }
        };
        let mut out = Vec::new();
        put_string(&mut out, algorithm.as_bytes());
        put_string(&mut out, &signature);
        Some(out)
    }
}
