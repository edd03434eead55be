//! The client's side.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;

use super::verify;
use super::{Identity, TlsError};

/// Which servers a client takes for what they say they are.
#[derive(Debug)]
pub enum Trust {
    /// Those that the machine's authorities vouch for, or these.
    MachineAnd(Vec<CertificateDer<'static>>),
    /// Those that these authorities vouch for.
    Only(Vec<CertificateDer<'static>>),
    /// Any.
    Anybody,
}

/// Returns settings for connections; the protocols above TLS are not named in them.
///
/// # Errors
/// A certificate or the identity can't be used.
pub fn client_config(trust: Trust, identity: Option<Identity>) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = verify::verifier(trust, &provider)?;
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    match identity {
        Some(own) => Ok(builder.with_client_auth_cert(own.chain, own.key)?),
        None => Ok(builder.with_no_client_auth()),
    }
}
