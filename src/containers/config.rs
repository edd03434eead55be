//! What a container is: everything needed to start it, again and again.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::shown::Shown;
use crate::cdi::DeviceRequest;
use crate::image::DiffId;
use crate::net::{Address, InterfaceOptions, NetError, Network, Pool, Wanted};
use crate::run::{Limits, Propagation, Seccomp, Sysctl};

/// A container's configuration, fixed when it is created but for its name and what `update` changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Config {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its name, without a slash.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// The image's id, `sha256:` and its digits.
    pub image: String,
    /// The image as it was typed.
    pub image_name: String,
    /// The image's layers, bottom first.
    pub layers: Vec<DiffId>,
    /// `os/architecture`.
    pub platform: String,
    /// The command and its arguments.
    pub args: Vec<String>,
    /// The environment, in order; `HOME` is added at the start.
    pub env: Vec<(String, String)>,
    /// Working directory.
    pub cwd: PathBuf,
    /// Who runs it, `name|uid[:group|gid]`, looked up at the start.
    pub user: String,
    /// Further groups by name or number.
    pub groups: Vec<String>,
    /// Whether it has a terminal.
    pub tty: bool,
    /// Whether its standard input stays open.
    pub open_stdin: bool,
    /// Whether standard input is closed when the first client that gives it ends.
    pub stdin_once: bool,
    /// Its host name; none keeps the host's namespace.
    pub hostname: Option<String>,
    /// Its NIS domain.
    pub domainname: Option<String>,
    /// Its network.
    pub network: NetworkConfig,
    /// Whether process ids, IPC and cgroups are its own.
    pub own_pids: bool,
    /// See `own_pids`.
    pub own_ipc: bool,
    /// See `own_pids`.
    pub own_cgroups: bool,
    /// Whether a file with its user's credentials for registries ([`super::CREDENTIALS`]) is shown to it.
    #[serde(default)]
    pub credentials: bool,
    /// What it shares with other containers.
    #[serde(default)]
    pub shares: Shares,
    /// What is mounted.
    pub mounts: Vec<MountPoint>,
    /// Names of its volumes that go with it.
    pub anonymous_volumes: Vec<String>,
    /// Devices beside the usual ones.
    pub devices: Vec<DeviceConfig>,
    /// Devices that are looked up at every start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub device_requests: Vec<DeviceRequest>,
    /// Where they are looked up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub device_directories: Vec<PathBuf>,
    /// Bits of the capabilities.
    pub capabilities: u64,
    /// The system calls it may make.
    pub seccomp: Seccomp,
    /// Whether execve gives no privileges.
    pub no_new_privileges: bool,
    /// Whether masked and read-only paths are left as they are.
    pub system_paths_open: bool,
    /// Resource limits.
    pub rlimits: Vec<RlimitConfig>,
    /// Kernel parameters.
    pub sysctls: Vec<Sysctl>,
    /// Bytes of `/dev/shm`.
    pub shm_size: u64,
    /// Limits by cgroup.
    pub limits: Limits,
    /// Badness when memory runs out.
    pub oom_score_adj: Option<i32>,
    /// Whether a small init is process 1.
    pub init: bool,
    /// Whether it may all.
    pub privileged: bool,
    /// Whether its root can't be written.
    pub read_only: bool,
    /// Number of the signal that asks it to stop.
    pub stop_signal: i32,
    /// Seconds until it is killed after that; negative for ever.
    pub stop_timeout: i64,
    /// What happens when it ends.
    pub restart: RestartPolicy,
    /// Whether it goes when it ends.
    pub auto_remove: bool,
    /// Where its output goes.
    pub log: LogConfig,
    /// How its health is found out.
    pub health: Option<Health>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// What is meant for whoever runs it.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// The `Config` part of what `inspect` shows.
    pub shown_config: Shown,
    /// The `HostConfig` part of what `inspect` shows.
    pub shown_host: Shown,
}

impl Config {
    /// Returns the layers of each image that is mounted.
    pub fn mounted_images(&self) -> impl Iterator<Item = &[DiffId]> {
        self.mounts.iter().filter_map(|mount| match &mount.source {
            MountSource::Image { layers, .. } => Some(layers.as_slice()),
            _ => None,
        })
    }
}

/// What a container shares with other containers beside networks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shares {
    /// By its id, the container whose process ids it has.
    #[serde(default)]
    pub pids: Option<String>,
    /// By its id, the container whose IPC it has, `/dev/shm` with it.
    #[serde(default)]
    pub ipc: Option<String>,
    /// Whether others may have its IPC.
    #[serde(default)]
    pub shareable: bool,
    /// Whether it has no `/dev/shm`.
    #[serde(default)]
    pub no_shm: bool,
}

/// What network a container has.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct NetworkConfig {
    /// `none`, `host`, `container:ID`, or the network that was asked for.
    pub mode: String,
    /// `PORT/PROTOCOL` that the image or a flag exposes.
    pub exposed: Vec<String>,
    /// Ports to publish.
    #[serde(default)]
    pub publish: Vec<Wanted>,
    /// The networks it is in, the one of `mode` first.
    #[serde(default)]
    pub attachments: Vec<Attachment>,
    /// Names and addresses for its `/etc/hosts`; an address may be `host-gateway`.
    #[serde(default)]
    pub hosts: Vec<(String, String)>,
    /// Other containers by id, and what it calls them.
    #[serde(default)]
    pub links: Vec<(String, String)>,
    /// Name servers instead of the host's.
    #[serde(default)]
    pub dns: Vec<IpAddr>,
    /// Search domains instead of the host's.
    #[serde(default)]
    pub dns_search: Vec<String>,
    /// Options of the resolver instead of the host's.
    #[serde(default)]
    pub dns_options: Vec<String>,
}

/// A network that a container is in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The network's name.
    pub network: String,
    /// Further names of the container in it.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The address that it is to have.
    #[serde(default)]
    pub address: Option<Ipv4Addr>,
    /// The IPv6 address that it is to have.
    #[serde(default)]
    pub address6: Option<Ipv6Addr>,
    /// The hardware address that it is to have.
    #[serde(default)]
    pub mac: Option<String>,
    /// Other containers by name or id, and what it calls them there.
    #[serde(default)]
    pub links: Vec<(String, String)>,
    /// Addresses of its interface beside the network's.
    #[serde(default)]
    pub link_local: Vec<IpAddr>,
    /// Options of the driver for its interface.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// Among several networks, the one of the highest number has the way to other machines.
    #[serde(default)]
    pub priority: i32,
}

impl Attachment {
    /// Checks that the addresses that are asked for are a network's to give.
    ///
    /// # Errors
    /// Its subnet was not asked for, or they are none of it.
    pub fn fits(&self, network: &Network) -> Result<(), NetError> {
        fn fits<A: Address>(pools: &[Pool<A>], wanted: Option<A>) -> Result<(), NetError> {
            let Some(wanted) = wanted else { return Ok(()) };
            if !pools.iter().any(|pool| pool.fixed) {
                return Err(NetError::Invalid(
                    "user specified IP address is supported only when connecting to networks with user configured \
                     subnets"
                        .to_owned(),
                ));
            }
            match pools.iter().any(|pool| pool.fixed && pool.subnet.contains(wanted)) {
                true => Ok(()),
                false => Err(NetError::NotInside(wanted.into())),
            }
        }
        fits(&network.pools(), self.address)?;
        fits(&network.pools6(), self.address6)?;
        self.interface().map(drop)
    }

    /// Returns what is asked of its interface.
    ///
    /// # Errors
    /// An option or an address is none.
    pub fn interface(&self) -> Result<InterfaceOptions, NetError> {
        InterfaceOptions::read(&self.options, &self.link_local)
    }
}

/// Something mounted into a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountPoint {
    /// What.
    pub source: MountSource,
    /// Where: an absolute path without dots.
    pub target: PathBuf,
    /// Whether nothing can be written.
    pub read_only: bool,
    /// What mounts made later mean to the other side.
    pub propagation: Propagation,
}

/// What a mount shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountSource {
    /// A host path.
    Bind {
        /// Its name.
        path: String,
        /// Whether it is made as a directory when it is missing.
        create: bool,
        /// Whether mounts below it come along.
        recursive: bool,
        /// Whether those can be written even if it can't.
        #[serde(default)]
        writable_below: bool,
    },
    /// A volume by name, or a directory in it; before the container is made, one without a name is to get one.
    Volume {
        /// Its name.
        name: Option<String>,
        /// Whether an empty one gets what the image has there.
        copy_up: bool,
        /// A path in it.
        below: Option<String>,
        /// What it is made with if it is missing; known only until then.
        #[serde(skip)]
        made_with: VolumeWish,
    },
    /// The files of an image, or a directory among them; before the container is made, an image by its name alone.
    Image {
        /// As it was typed.
        name: String,
        /// Its id, `sha256:` and its digits.
        id: String,
        /// Its layers, bottom first.
        layers: Vec<DiffId>,
        /// A path in it.
        below: Option<String>,
    },
    /// Memory.
    Tmpfs { size: Option<u64>, mode: u32, noexec: bool, nosuid: bool, nodev: bool },
}

/// What is said of a volume that is to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VolumeWish {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
}

/// A device of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceConfig {
    /// On the host.
    pub source: String,
    /// In the container.
    pub target: String,
    /// Letters of `rwm`.
    pub access: String,
}

/// A resource limit by docker's name of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RlimitConfig {
    /// `nofile` and the like.
    pub name: String,
    /// Soft limit; none is unlimited.
    pub soft: Option<u64>,
    /// Hard limit; none is unlimited.
    pub hard: Option<u64>,
}

/// What happens when the container ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum RestartPolicy {
    /// Nothing.
    #[default]
    No,
    /// It starts again unless it ended well; at most so often, if a number is given.
    OnFailure(Option<u32>),
    /// It starts again, also after a boot.
    Always,
    /// The same, but a container stopped by hand stays so after a boot.
    UnlessStopped,
}

impl RestartPolicy {
    /// Reads docker's `--restart`.
    ///
    /// # Errors
    /// It is no policy; what docker says then.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, count) = match text.split_once(':') {
            Some((name, count)) => (name, Some(count)),
            None => (text, None),
        };
        let bare = |policy: Self| match count {
            None => Ok(policy),
            Some(_) => {
                let why = "maximum retry count can only be used with 'on-failure'";
                Err(format!("invalid restart policy: {why}"))
            }
        };
        match name {
            "" | "no" => bare(Self::No),
            "always" => bare(Self::Always),
            "unless-stopped" => bare(Self::UnlessStopped),
            "on-failure" => match count.map(str::parse::<u32>) {
                None => Ok(Self::OnFailure(None)),
                Some(Ok(0)) => Ok(Self::OnFailure(None)),
                Some(Ok(count)) => Ok(Self::OnFailure(Some(count))),
                Some(Err(_)) if text.contains(":-") => {
                    Err("invalid restart policy: maximum retry count cannot be negative".to_owned())
                }
                Some(Err(_)) => {
                    Err("invalid restart policy format: maximum retry count must be an integer".to_owned())
                }
            },
            other => Err(format!(
                "invalid restart policy: unknown policy '{other}'; use one of 'no', 'always', 'on-failure', or \
                 'unless-stopped'"
            )),
        }
    }

    /// Returns docker's name and count.
    pub fn shown(self) -> (&'static str, u32) {
        match self {
            Self::No => ("no", 0),
            Self::OnFailure(count) => ("on-failure", count.unwrap_or(0)),
            Self::Always => ("always", 0),
            Self::UnlessStopped => ("unless-stopped", 0),
        }
    }
}

/// Where output goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogConfig {
    /// `json-file`, `local` or `none`.
    pub driver: String,
    /// Its options.
    pub options: BTreeMap<String, String>,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { driver: "json-file".to_owned(), options: BTreeMap::new() }
    }
}

/// A health check; times in nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The command and its arguments.
    pub command: Vec<String>,
    /// Time from one probe to the next.
    pub interval: u64,
    /// Time after which a probe has failed.
    pub timeout: u64,
    /// Time in which failures do not count.
    pub start_period: u64,
    /// Time between probes meanwhile.
    pub start_interval: u64,
    /// Failures in a row that make it unhealthy.
    pub retries: u32,
}

#[cfg(test)]
mod tests {
    use super::RestartPolicy as P;

    #[test]
    fn policies() {
        for (text, expected) in [
            ("", Ok(P::No)),
            ("no", Ok(P::No)),
            ("always", Ok(P::Always)),
            ("unless-stopped", Ok(P::UnlessStopped)),
            ("on-failure", Ok(P::OnFailure(None))),
            ("on-failure:3", Ok(P::OnFailure(Some(3)))),
            ("on-failure:x", Err("must be an integer")),
            ("on-failure:-1", Err("cannot be negative")),
            ("always:3", Err("can only be used with 'on-failure'")),
            ("on-ailure", Err("unknown policy 'on-ailure'; use one of 'no', 'always'")),
        ] {
            match (P::parse(text), expected) {
                (Ok(found), Ok(wanted)) => assert_eq!(found, wanted, "{text}"),
                (Err(said), Err(part)) => assert!(said.contains(part), "{text}: {said}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }
}
