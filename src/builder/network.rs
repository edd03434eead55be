//! Networks of RUN steps' own: what the builder wants of whoever has them.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// A place in a network for one step.
pub struct StepNetwork {
    /// The namespace.
    pub namespace: Arc<OwnedFd>,
    /// What the step finds in `/etc/resolv.conf`.
    pub resolv_conf: String,
    /// Dropped when the step has ended.
    pub guard: Box<dyn Any + Send>,
}

/// Connects steps to a network.
pub trait StepNetworks: Send + Sync {
    /// Connects one step.
    ///
    /// # Errors
    /// The network is not there, or can't be joined.
    fn join(&self) -> Result<StepNetwork, Box<dyn Error + Send + Sync>>;
}

/// The network that `--network NAME` gives to steps.
#[derive(Clone)]
pub struct StepNetworksRef(pub Arc<dyn StepNetworks>);

impl fmt::Debug for StepNetworksRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StepNetworks")
    }
}
