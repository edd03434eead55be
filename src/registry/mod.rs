//! Moving images to and from registries (OCI distribution spec).
//!
//! `client/` speaks the protocol: requests with retries, redirects, bounds and
//! stall limits, in verbs such as "manifest", "blob", "upload". `auth/` turns
//! challenges and credentials into `Authorization` headers. `hosts/` says how a
//! registry is reached: mirrors, certificates, proxies, which hosts may be
//! talked to without TLS. `pull/`, `push/` and `copy/` move images with it.
//! `server/` is a registry of its own.
//!
//! **Invariant:** a credential goes to the registry it was stored for and to
//! the token server that this registry names, over TLS unless the host is
//! marked insecure, and nowhere else: not along redirects, not to mirrors, not
//! into errors.
//!
//! **Invariant:** what has a digest is checked against it before it is used;
//! everything else that a server sends has a size limit.

pub mod auth;
pub mod client;
pub mod copy;
mod error;
pub mod hosts;
pub mod pull;
pub mod push;
pub mod server;
mod transfer;

pub use auth::{Credential, CredentialError, CredentialSource, NoCredentials, Secret};
pub use client::{
    BlobStream, ByteStream, ClientOptions, FetchedManifest, Found, ManifestHead, MountOutcome, Notice,
    Referrer, Referrers, RegistryClient, Repository, RetryPolicy, TagOrDigest, Upload, UploadBody, pull_text,
    push_text,
};
pub use error::{ApiError, RegistryError};
pub use hosts::{HostsConfig, HostsError};
pub use transfer::{Transfer, TransferError};
