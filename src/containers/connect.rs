//! A container's networks while it runs, as its monitor keeps them.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use super::config::Attachment;
use super::error::ContainerError;
use super::files::Container;
use super::managed;
use crate::fs::network_namespace_of;
use crate::net::{
    Common, Endpoint, Joining, NetError, Network, Networks, Remains, Sandbox, Wanted, is_rootless, mac_from,
};

/// What a container joins begins so.
const CONTAINER: &str = "container:";

/// The networks of one running container.
#[derive(Debug, Default)]
pub(super) struct Connections {
    made: Option<(Networks, Sandbox)>,
    remains: Remains,
    /// Where an ordinary user's networks are.
    common: Option<Arc<Common>>,
    /// The process that holds them.
    holder: Option<OwnedFd>,
}

impl Connections {
    /// Makes the namespace that the config wants; none for what the executor itself has.
    pub fn make(&mut self, container: &Container) -> Result<Option<Arc<OwnedFd>>, ContainerError> {
        if let Some(other) = shared_with(container)? {
            return namespace_of(&other).map(|fd| Some(Arc::new(fd)));
        }
        let config = &container.config.network;
        // One that was taken out of all its networks may come into another while it runs.
        if config.attachments.is_empty() && ["host", "none"].contains(&config.mode.as_str()) {
            return Ok(None);
        }
        let networks = open(container)?;
        if self.common.is_none() && is_rootless().map_err(ContainerError::Network)? {
            let common = Common::join(container.all().store().name()).map_err(ContainerError::Network)?;
            self.holder = Some(common.holder().map_err(ContainerError::Network)?);
            self.common = Some(Arc::new(common));
        }
        let mut found = Vec::new();
        for attachment in &config.attachments {
            let network = networks.find(&attachment.network).map_err(ContainerError::Network)?;
            found.push((attachment, network));
        }
        let mut sandbox = Sandbox::new(self.common.clone()).map_err(ContainerError::Network)?;
        let mut ports = config.publish.as_slice();
        for (attachment, network) in &found {
            let joined = join(container, &networks, &mut sandbox, (attachment, network), ports);
            if let Err(error) = joined {
                let _ = sandbox.leave(&networks, &mut self.remains);
                return Err(error);
            }
            if !network.internal && network.is_bridge() {
                // Ports lead to the first network that has a way to other machines.
                ports = &[];
            }
        }
        let namespace = sandbox.namespace();
        self.made = Some((networks, sandbox));
        let told = self.tell(container);
        if told.is_err() {
            self.end();
        }
        told.map(|()| Some(namespace))
    }

    /// Returns the process that holds an ordinary user's networks, which becomes readable when it ends.
    pub fn holder(&self) -> Option<BorrowedFd<'_>> {
        self.holder.as_ref().map(AsFd::as_fd)
    }

    /// Makes another holder after the end of the last: only those who are in the networks still can.
    pub fn hold_again(&mut self) {
        let Some(common) = &self.common else { return };
        // One that can't be made isn't waited for; the container goes on with what works without it.
        self.holder = common.holder().ok();
        if let Some((_, sandbox)) = &self.made {
            let _ = sandbox.open_outward();
        }
    }

    /// Lets the container know its addresses, and others' by name.
    fn tell(&mut self, container: &Container) -> Result<(), ContainerError> {
        let Some((networks, sandbox)) = &mut self.made else { return Ok(()) };
        let servers = managed::upstream(&container.config.network);
        let names = sandbox.serve_names(networks, &servers).map_err(ContainerError::Network)?;
        managed::write(container, &sandbox.endpoints(), names, sandbox.server())
    }

    /// Joins and leaves networks until they are those of the config.
    pub fn adapt(&mut self, container: &Container) -> Result<(), ContainerError> {
        let Some((networks, sandbox)) = &mut self.made else {
            return Err(ContainerError::Refused(format!(
                "container {} has no network of its own that could be changed",
                container.config.id
            )));
        };
        let mut wanted = Vec::new();
        for attachment in &container.config.network.attachments {
            wanted.push((attachment, networks.find(&attachment.network).map_err(ContainerError::Network)?));
        }
        for endpoint in sandbox.endpoints() {
            if wanted.iter().all(|(_, network)| network.id != endpoint.network_id) {
                sandbox.part(networks, &endpoint.network_id).map_err(ContainerError::Network)?;
            }
        }
        for (attachment, network) in &wanted {
            if !sandbox.is_in(&network.id) {
                let published = sandbox.endpoints().iter().any(|endpoint| !endpoint.ports.is_empty());
                let ports = if published { &[][..] } else { &container.config.network.publish };
                join(container, networks, sandbox, (attachment, network), ports)?;
            }
        }
        self.tell(container)
    }

    /// Returns the container's places.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        self.made.as_ref().map(|(_, sandbox)| sandbox.endpoints()).unwrap_or_default()
    }

    /// Lets others find the container by another name.
    pub fn rename(&mut self, name: &str) -> Result<(), ContainerError> {
        match &mut self.made {
            Some((networks, sandbox)) => sandbox.rename(networks, name).map_err(ContainerError::Network),
            None => Ok(()),
        }
    }

    /// Takes the container out of its networks; what can't be removed now is swept by the next one.
    pub fn end(&mut self) {
        if let Some((networks, sandbox)) = self.made.take() {
            let _ = sandbox.leave(&networks, &mut self.remains);
        }
    }

    /// Removes what is left of the container's interfaces after its end, when nobody waits any more.
    pub fn clear(&mut self) {
        let _ = self.remains.remove();
    }
}

fn open(container: &Container) -> Result<Networks, ContainerError> {
    Networks::open(container.all().store().name()).map_err(ContainerError::Network)
}

fn join(
    container: &Container,
    networks: &Networks,
    sandbox: &mut Sandbox,
    (attachment, network): (&Attachment, &Network),
    ports: &[Wanted],
) -> Result<(), ContainerError> {
    let config = &container.config;
    let mut names = Vec::new();
    if network.has_names() {
        names.extend(attachment.aliases.iter().cloned());
        names.push(container.short_id().to_owned());
        names.extend(config.hostname.iter().filter(|name| *name != container.short_id()).cloned());
    }
    let wanted = Joining {
        container: config.id.clone(),
        name: config.name.clone(),
        address: attachment.address,
        address6: attachment.address6,
        mac: attachment.mac.as_deref().and_then(mac_from),
        names,
        ports: if network.internal || !network.is_bridge() { Vec::new() } else { ports.to_vec() },
        interface: attachment.interface().map_err(ContainerError::Network)?,
        links: attachment.links.clone(),
        priority: attachment.priority,
    };
    sandbox.join(networks, network, &wanted).map(drop).map_err(|source| failed(container, source))
}

/// Says of a port that could not be published what docker says.
fn failed(container: &Container, source: NetError) -> ContainerError {
    let config = &container.config;
    match source {
        NetError::PortInUse { .. } | NetError::PortForbidden { .. } | NetError::Port { .. } => {
            ContainerError::Publish { name: config.name.clone(), id: config.id.clone(), source }
        }
        source => ContainerError::Network(source),
    }
}

/// Returns the container whose network and names a container shares, if it has none of its own.
///
/// # Errors
/// That container is gone.
pub(super) fn shared_with(container: &Container) -> Result<Option<Container>, ContainerError> {
    match container.config.network.mode.strip_prefix(CONTAINER) {
        Some(id) => container.all().find(id).map(Some),
        None => Ok(None),
    }
}

/// Returns the network namespace of a running container.
fn namespace_of(other: &Container) -> Result<OwnedFd, ContainerError> {
    let state = other.state()?;
    if !state.status.is_running() {
        return Err(ContainerError::Refused(format!(
            "cannot join network namespace of container: container {} is not running",
            other.config.id
        )));
    }
    Ok(network_namespace_of(state.pid)?)
}

/// Takes away what a container left in networks whose monitor was killed.
pub(super) fn sweep(container: &Container) {
    let attachments = &container.config.network.attachments;
    if !attachments.is_empty()
        && let Ok(networks) = open(container)
    {
        // What can't be removed now is found by the next change of the network.
        let _ = networks.sweep(attachments.iter().map(|attachment| attachment.network.as_str()));
    }
}
