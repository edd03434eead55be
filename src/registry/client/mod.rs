//! The distribution protocol's client side, in verbs.
//!
//! A [`RegistryClient`] is cheap to clone and serves any number of registries;
//! the caller owns the tokio runtime. Every verb retries what can be repeated,
//! follows redirects without handing on credentials, and bounds what it reads.

mod authorize;
mod blob;
mod body;
mod exchange;
mod failure;
mod list;
mod manifest;
mod name;
mod options;
mod referrers;
mod request;
mod retry;
mod search;
mod take_over;
pub(crate) mod texts;
mod upload;
mod upload_body;
mod url_text;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

pub use blob::BlobStream;
pub use list::{Referrer, Referrers};
pub use manifest::{FetchedManifest, ManifestHead};
pub use name::{Repository, TagOrDigest};
pub use options::{ClientOptions, Notice, RetryPolicy};
pub use search::Found;
pub use texts::{pull_text, push_text};
pub use upload::{MountOutcome, Upload};
pub use upload_body::{ByteStream, UploadBody};
pub(crate) use url_text::redacted_text;

use super::hosts::Pool;

/// Warnings of servers that are handed on by one client.
const MAX_WARNINGS: usize = 64;

/// Talks to registries.
#[derive(Clone)]
pub struct RegistryClient {
    inner: Arc<Inner>,
    /// Whether mirrors are left out.
    origin_only: bool,
}

struct Inner {
    options: ClientOptions,
    pool: Pool,
    authorizer: authorize::Authorizer,
    warned: Mutex<HashSet<String>>,
}

impl RegistryClient {
    /// Takes the options; nothing is connected or read yet.
    pub fn new(options: ClientOptions) -> Self {
        let pool = Pool::new(Arc::clone(&options.hosts), options.user_agent.clone());
        let inner =
            Inner { options, pool, authorizer: authorize::Authorizer::default(), warned: Mutex::default() };
        Self { inner: Arc::new(inner), origin_only: false }
    }

    /// Returns a client that asks no mirrors, e.g. after one sent wrong bytes; tokens are shared.
    #[must_use]
    pub fn without_mirrors(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), origin_only: true }
    }

    /// Returns the options that the client was made with.
    pub fn options(&self) -> &ClientOptions {
        &self.inner.options
    }
}

impl Inner {
    /// Hands on a warning that was not handed on before.
    fn warn_once(&self, host: &str, text: &str) {
        let text: String = failure::clean(text, &[]);
        let mut warned = self.warned.lock().expect("nothing panics with the lock");
        if warned.len() < MAX_WARNINGS && warned.insert(format!("{host} {text}")) {
            drop(warned);
            (self.options.notices)(Notice::Warning { host: host.to_owned(), text });
        }
    }
}

impl std::fmt::Debug for RegistryClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegistryClient").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
