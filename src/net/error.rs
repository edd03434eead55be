//! Why a container's network could not be made.

use std::io;
use std::net::IpAddr;

use rustix::io::Errno;

use crate::fs::FsError;

/// A network, or a container's place in one, could not be made, found or removed.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The kernel refused a change of interfaces, addresses or routes.
    #[error("cannot {action}")]
    Kernel { action: String, source: io::Error },
    /// A file of the networks' own can't be used.
    #[error(transparent)]
    File(#[from] FsError),
    /// A file of the networks' own does not hold what it should.
    #[error("{path} is damaged")]
    Damaged { path: String, source: serde_json::Error },
    /// No network has the name or id.
    #[error("network {0} not found")]
    NotFound(String),
    /// Several networks' ids begin so.
    #[error("network {name} is ambiguous ({count} matches found based on ID prefix)")]
    Ambiguous { name: String, count: usize },
    /// The name is taken.
    #[error("network with name {0} already exists")]
    Exists(String),
    /// What is built in stays.
    #[error("{0} is a pre-defined network and cannot be removed")]
    Predefined(String),
    /// No program is there that serves an ordinary user.
    #[error(
        "an ordinary user's containers need pasta or slirp4netns for a network: install the package passt or \
         slirp4netns, or use --network host or --network none"
    )]
    NoHelper,
    /// The program that serves an ordinary user failed.
    #[error("{program} made no network: {said}")]
    Helper { program: String, said: String },
    /// The networks' namespace is another user namespace's.
    #[error(
        "the networks of this store's containers are in a user namespace that this process is not in: start it when they have ended"
    )]
    Elsewhere,
    /// The process that holds the networks' namespace is not there.
    #[error("the process that holds the containers' networks did not answer")]
    NoHolder,
    /// The process that is to hold the networks' namespace could not.
    #[error("cannot hold the containers' networks: {0}")]
    Holder(String),
    /// The networks could not be connected to the outside.
    #[error("{0}")]
    Outward(String),
    /// Containers are in it.
    #[error("error while removing network: network {network} id {id} has active endpoints ({endpoints})")]
    InUse { network: String, id: String, endpoints: String },
    /// The process has no right to change interfaces.
    #[error(
        "bridges need root and CAP_NET_ADMIN: use --network host or --network none, or run as a user \
         with passt or slirp4netns installed"
    )]
    MayNot,
    /// No pool has a free subnet.
    #[error("all predefined address pools have been fully subnetted")]
    NoSubnet,
    /// The subnet overlaps one that is there.
    #[error("invalid pool request: Pool overlaps with other one on this address space")]
    Overlaps,
    /// Every address of the subnet is taken.
    #[error("no available {kind} addresses on this network's address pools: {subnet}")]
    NoAddress { kind: &'static str, subnet: String },
    /// The network is what others are made like.
    #[error("error while removing network: configuration network {0:?} is in use")]
    ConfigInUse(String),
    /// The network is there for others to be made like it.
    #[error("cannot create endpoint on configuration-only network")]
    ConfigOnly,
    /// The kernel makes no such interface.
    #[error("failed to create the {kind} {name}")]
    Link { kind: &'static str, name: String, source: io::Error },
    /// The address that was asked for is none of the network's.
    #[error("no configured subnet or ip-range contain the IP address {0}")]
    NotInside(IpAddr),
    /// The address that was asked for is taken.
    #[error("Address already in use")]
    AddressInUse,
    /// The port of the host is taken.
    #[error("Bind for {address} failed: port is already allocated")]
    PortInUse { address: String },
    /// The port of the host is for privileged users.
    #[error("cannot listen on {address}: ports below net.ipv4.ip_unprivileged_port_start are for root")]
    PortForbidden { address: String },
    /// The port of the host can't be had.
    #[error("cannot listen on {address}")]
    Port { address: String, source: io::Error },
    /// What was asked for makes no sense.
    #[error("{0}")]
    Invalid(String),
}

impl NetError {
    /// Returns an error of a kernel request.
    pub(super) fn kernel(action: impl Into<String>, errno: Errno) -> Self {
        Self::Kernel { action: action.into(), source: errno.into() }
    }

    /// Returns an error of an interface that the kernel does not make.
    pub(super) fn link(kind: &'static str, name: &str, errno: Errno) -> Self {
        match errno {
            Errno::PERM => Self::MayNot,
            errno => Self::Link { kind, name: name.to_owned(), source: errno.into() },
        }
    }
}
