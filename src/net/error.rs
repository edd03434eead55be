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
    /// An ordinary user has no bridges.
    #[error("network {0} needs root: an ordinary user's containers have --network bridge, host or none")]
    NotForUsers(String),
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
    #[error("no available IPv4 addresses on this network's address pools: {0}")]
    NoAddress(String),
    /// Every IPv6 address of the subnet is taken.
    #[error("no available IPv6 addresses on this network's address pools: {0}")]
    NoAddress6(String),
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
}
