//! The server's side: files in, something that accepts connections out.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::{Identity, TlsError, read_certificates};

/// Files in PEM form.
#[derive(Debug, Clone)]
pub struct ServerFiles {
    /// The server's certificate and those between it and its authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Whose certificates clients have to show; without it anybody may ask.
    pub authority: Option<PathBuf>,
}

/// Makes what accepts connections that speak HTTP/1.1.
///
/// # Errors
/// A file can't be read, or they are none or do not fit together.
pub fn acceptor(files: &ServerFiles) -> Result<TlsAcceptor, TlsError> {
    let own = Identity::read(&files.certificate, &files.key)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions()?;
    let builder = match &files.authority {
        None => builder.with_no_client_auth(),
        Some(path) => builder.with_client_cert_verifier(vouched_by(path, provider)?),
    };
    let mut config = builder
        .with_single_cert(own.chain, own.key)
        .map_err(|error| TlsError::unusable(files.key.display(), error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn vouched_by(path: &Path, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates(path)? {
        roots.add(certificate).map_err(|error| TlsError::unusable(path.display(), error))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    verifier.map_err(|error| TlsError::unusable(path.display(), error))
}
