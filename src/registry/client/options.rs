//! What a client is made with.

use std::sync::Arc;
use std::time::Duration;

use crate::registry::auth::{CredentialSource, NoCredentials};
use crate::registry::hosts::HostsConfig;

/// Something a user may want to know while a request goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A request failed and will be repeated.
    Retrying {
        /// Where, without secrets.
        url: String,
        /// How long is waited before.
        wait: Duration,
        /// The number of the coming attempt; the first repetition is 2.
        attempt: u32,
        /// Why the last one failed.
        reason: String,
    },
    /// A registry sent a `Warning: 299` header; each text comes once.
    Warning {
        /// The registry.
        host: String,
        /// The text.
        text: String,
    },
    /// A mirror failed; the next one or the registry itself is asked.
    MirrorFailed {
        /// The mirror.
        host: String,
        /// Why.
        reason: String,
    },
}

/// How often and how fast failed requests are repeated.
#[derive(Debug, Clone)]
pub struct RetryPolicy {
    /// Attempts in all; 1 means no repetition.
    pub attempts: u32,
    /// Wait before the first repetition; it triples each time, with jitter.
    pub base: Duration,
    /// Longest wait, also where a server asks for more.
    pub cap: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 5, base: Duration::from_millis(250), cap: Duration::from_secs(60) }
    }
}

/// What a [`super::RegistryClient`] is made with.
#[derive(Clone)]
pub struct ClientOptions {
    /// How hosts are reached.
    pub hosts: Arc<HostsConfig>,
    /// Where credentials come from.
    pub credentials: Arc<dyn CredentialSource>,
    /// Product and version.
    pub user_agent: String,
    /// Told what happens meanwhile; may be called from any thread.
    pub notices: Arc<dyn Fn(Notice) + Send + Sync>,
    /// Repetitions.
    pub retry: RetryPolicy,
    /// Longest time in which nothing moves.
    pub stall: Duration,
}

impl Default for ClientOptions {
    /// No credentials, no configuration, notices dropped.
    fn default() -> Self {
        Self {
            hosts: Arc::default(),
            credentials: Arc::new(NoCredentials),
            user_agent: concat!("skiff/", env!("CARGO_PKG_VERSION")).to_owned(),
            notices: Arc::new(|_| {}),
            retry: RetryPolicy::default(),
            stall: Duration::from_secs(60),
        }
    }
}
