//! Whether a server is whom the user meant.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;

use super::{TlsError, Trust};

/// Returns what checks certificates of servers.
pub(super) fn verifier(
    trust: Trust,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    let given = Arc::clone(provider);
    let servers = match trust {
        Trust::Anybody => Servers::Any,
        Trust::MachineAnd(roots) => {
            let path = Arc::new(Verifier::new_with_extra_roots(roots.clone(), given)?);
            Servers::Of { roots, path }
        }
        Trust::Only(roots) => {
            let mut store = RootCertStore::empty();
            roots.iter().try_for_each(|root| store.add(root.clone()))?;
            let path = WebPkiServerVerifier::builder_with_provider(Arc::new(store), given).build();
            let path = path.map_err(|error| Error::General(error.to_string()))?;
            Servers::Of { roots, path }
        }
    };
    Ok(Arc::new(Trusted { servers, provider: Arc::clone(provider) }))
}

/// The servers whose certificates are taken.
#[derive(Debug)]
enum Servers {
    Any,
    /// Those that have one by a root, or that show just what the user gave as a root.
    ///
    /// Certificates that were made with one `openssl req -x509` are roots and
    /// servers at once, which path building refuses; docker's users have many.
    Of {
        roots: Vec<CertificateDer<'static>>,
        path: Arc<dyn ServerCertVerifier>,
    },
}

/// Verifies servers; the signatures of a handshake are checked also where any server is taken.
#[derive(Debug)]
struct Trusted {
    servers: Servers,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Trusted {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Servers::Of { roots, path } = &self.servers else {
            return Ok(ServerCertVerified::assertion());
        };
        match path.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // Times are checked before this; the name is what is left.
            Err(error)
                if roots.iter().any(|root| root == end_entity)
                    && format!("{error:?}").contains("CaUsedAsEndEntity") =>
            {
                rustls::client::verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
