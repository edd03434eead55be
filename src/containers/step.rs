//! A network for something that is no container: a step of a build.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use super::config::NetworkConfig;
use super::error::ContainerError;
use super::managed;
use crate::net::{Common, Joining, Networks, Remains, Sandbox};

/// A namespace in a network; dropped, it leaves.
#[derive(Debug)]
pub struct Joined {
    made: Option<(Networks, Sandbox)>,
    /// What belongs into `/etc/resolv.conf`.
    pub resolv_conf: String,
}

impl Joined {
    /// Joins the network of a name as something of an id; an ordinary user's are in the `common` namespace.
    ///
    /// # Errors
    /// There is no such network, or it can't be joined.
    pub fn new(
        store: &Path,
        common: Option<Arc<Common>>,
        network: &str,
        id: &str,
    ) -> Result<Self, ContainerError> {
        let failed = ContainerError::Network;
        let networks = Networks::open(store).map_err(failed)?;
        let network = networks.find(network).map_err(failed)?;
        let mut sandbox = Sandbox::new(common).map_err(failed)?;
        let wanted = Joining { container: id.to_owned(), name: id.to_owned(), ..Joining::default() };
        sandbox.join(&networks, &network, &wanted).map_err(failed)?;
        let config = NetworkConfig::default();
        let mut joined = Self { made: Some((networks, sandbox)), resolv_conf: String::new() };
        if let Some((networks, sandbox)) = &mut joined.made {
            let names = sandbox.serve_names(networks, &managed::upstream(&config)).map_err(failed)?;
            joined.resolv_conf = managed::resolver_text(&config, names, sandbox.server())?;
        }
        Ok(joined)
    }

    /// Returns the namespace.
    pub fn namespace(&self) -> Option<Arc<OwnedFd>> {
        self.made.as_ref().map(|(_, sandbox)| sandbox.namespace())
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        if let Some((networks, sandbox)) = self.made.take() {
            // What can't be removed now is found by the next change of the network.
            let mut remains = Remains::default();
            let _ = sandbox.leave(&networks, &mut remains);
            let _ = remains.remove();
        }
    }
}
