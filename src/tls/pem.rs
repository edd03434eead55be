//! Certificates and keys in PEM form (RFC 7468).

use std::fmt::Display;
use std::path::Path;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsError;
use crate::fs::read_named;

/// Largest file of certificates, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// What one side shows of itself.
#[derive(Debug)]
pub struct Identity {
    /// Its certificate, then those between it and its authority.
    pub chain: Vec<CertificateDer<'static>>,
    /// The private key.
    pub key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Reads a pair; errors name `certificate` and `key` as they are called here.
    ///
    /// # Errors
    /// One of them is none.
    pub fn parse(
        (certificate, chain): (impl Display, &[u8]),
        (key, private): (impl Display, &[u8]),
    ) -> Result<Self, TlsError> {
        let chain = certificates(certificate, chain)?;
        let private = PrivateKeyDer::from_pem_slice(private)
            .map_err(|_| TlsError::unusable(key, "it holds no private key in PEM form"))?;
        Ok(Self { chain, key: private })
    }

    /// Reads a pair of files.
    ///
    /// # Errors
    /// One of them can't be read, or is none.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let (chain, private) = (read_named(certificate, MAX_FILE)?, read_named(key, MAX_FILE)?);
        Self::parse((certificate.display(), &chain), (key.display(), &private))
    }
}

/// Reads certificates; errors name them as `what`.
///
/// # Errors
/// There is none, or one is damaged.
pub fn certificates(what: impl Display, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(TlsError::unusable(what, "it holds no certificate in PEM form")),
    }
}

/// Reads a file of certificates.
///
/// # Errors
/// It can't be read, or has none.
pub fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    certificates(path.display(), &read_named(path, MAX_FILE)?)
}
