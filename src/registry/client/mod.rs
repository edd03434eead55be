//! The distribution protocol's client side, in verbs.
//!
//! A [`RegistryClient`] is cheap to clone and serves any number of registries;
//! the caller owns the tokio runtime. Every verb retries what can be repeated,
//! follows redirects without handing on credentials, and bounds what it reads.

mod blob;
mod list;
mod manifest;
mod name;
mod options;
mod request;
pub(crate) mod texts;
mod upload;
mod url_text;

use std::sync::Arc;

pub use blob::BlobStream;
pub use list::{Referrer, Referrers};
pub use manifest::{FetchedManifest, ManifestHead};
pub use name::{Repository, TagOrDigest};
pub use options::{ClientOptions, Notice, RetryPolicy};
pub use upload::{ByteStream, MountOutcome, Upload, UploadBody};
pub(crate) use url_text::redacted_text;

use super::hosts::Pool;

/// Talks to registries.
#[derive(Clone)]
pub struct RegistryClient {
    inner: Arc<Inner>,
}

struct Inner {
    options: ClientOptions,
    pool: Pool,
}

impl RegistryClient {
    /// Takes the options; nothing is connected or read yet.
    pub fn new(options: ClientOptions) -> Self {
        let pool = Pool::new(Arc::clone(&options.hosts), options.user_agent.clone());
        Self { inner: Arc::new(Inner { options, pool }) }
    }

    /// Returns the options that the client was made with.
    pub fn options(&self) -> &ClientOptions {
        &self.inner.options
    }
}

impl std::fmt::Debug for RegistryClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegistryClient").finish_non_exhaustive()
    }
}
