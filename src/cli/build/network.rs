//! `--network` of builds.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use super::super::error::CliError;
use super::super::global::Global;
use crate::builder::{StepNetwork, StepNetworks, StepNetworksRef};
use crate::containers::Joined;
use crate::net::{Common, DEFAULT};

/// The network of a name, for each step.
struct Named {
    store: PathBuf,
    name: String,
    /// Where an ordinary user's networks are.
    common: Option<Arc<Common>>,
}

impl StepNetworks for Named {
    fn join(&self) -> Result<StepNetwork, Box<dyn Error + Send + Sync>> {
        let mut id = [0u8; 32];
        rustix::rand::getrandom(&mut id, rustix::rand::GetRandomFlags::empty())?;
        let joined = Joined::new(
            &self.store,
            self.common.clone(),
            &self.name,
            &format!("step-{}", crate::image::id::to_hex(&id)),
        )?;
        let namespace = joined.namespace().ok_or("the network has no namespace")?;
        let resolv_conf = joined.resolv_conf.clone();
        Ok(StepNetwork { namespace, resolv_conf, guard: Box::new(joined) })
    }
}

/// Returns where steps are connected, if that is a network of a name.
///
/// # Errors
/// There is no such network.
pub fn networks(text: Option<&str>, global: &Global) -> Result<Option<StepNetworksRef>, CliError> {
    let Some(name) = text.filter(|text| !["", "default", "none", "host"].contains(text)) else {
        return Ok(None);
    };
    let unknown = || {
        CliError::new(format!(
            "ERROR: network mode {name:?} not supported by the builder: use default, none, host, bridge or the name of \
             a network"
        ))
    };
    if name.starts_with("container:") {
        return Err(unknown());
    }
    let found = super::super::network::all(global)?.find(name).map_err(|_| unknown())?;
    if found.name != DEFAULT && !found.has_names() {
        return Err(unknown());
    }
    let (store, failed) = (global.root()?, |e| CliError::new(crate::causes::chain(&e)));
    let common = if crate::net::is_rootless().map_err(failed)? {
        Some(Arc::new(Common::join(&store).map_err(failed)?))
    } else {
        None
    };
    let named = Named { store, name: found.name, common };
    Ok(Some(StepNetworksRef(Arc::new(named))))
}
