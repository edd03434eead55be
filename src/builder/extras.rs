//! What users of buildah, podman and kaniko ask of a build beyond docker.

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::network::StepNetworksRef;
use crate::parser::instruction::MountFlag;
use crate::run::{CapSet, Seccomp};

/// Which layers become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Squash {
    /// None.
    #[default]
    No,
    /// Those that the build made.
    New,
    /// All, those of the base image as well.
    All,
}

/// A directory or file of the host in every RUN.
#[derive(Debug, Clone)]
pub struct HostVolume {
    /// As typed, for keys.
    pub text: String,
    /// What is shown.
    pub source: Arc<OwnedFd>,
    /// Where.
    pub target: PathBuf,
    /// Whether writes fail.
    pub read_only: bool,
}

/// A device file of the host in every RUN.
#[derive(Debug, Clone)]
pub struct HostDevice {
    /// The device file, an `O_PATH` descriptor.
    pub source: Arc<OwnedFd>,
    /// Where.
    pub target: PathBuf,
    /// Letters of `rwm`.
    pub access: String,
}

/// How the sandbox of RUN differs from docker's.
#[derive(Debug, Clone, Default)]
pub struct Sandbox {
    /// What differs, as typed: part of every RUN's key.
    pub texts: Vec<String>,
    /// Capabilities in place of the default ones.
    pub capabilities: Option<CapSet>,
    /// System calls in place of the default ones.
    pub seccomp: Option<Seccomp>,
    /// Whether execve may no longer give privileges.
    pub no_new_privileges: bool,
    /// Devices.
    pub devices: Vec<HostDevice>,
    /// Name servers in place of the host's.
    pub dns: Vec<IpAddr>,
    /// Search domains in place of the host's.
    pub dns_search: Vec<String>,
    /// Options of the resolver in place of the host's.
    pub dns_options: Vec<String>,
    /// Whether `/etc/hosts` is the image's own.
    pub no_hosts: bool,
}

/// Everything beyond docker; by default nothing.
#[derive(Debug, Clone, Default)]
pub struct Extras {
    /// `--network NAME`: where steps are connected.
    pub networks: Option<StepNetworksRef>,
    /// `--from`: in place of the first FROM's image.
    pub from: Option<String>,
    /// `--env`: set at the beginning of every stage.
    pub env: Vec<(String, String)>,
    /// `--unsetenv`: not in the image.
    pub unset_env: Vec<String>,
    /// `--unsetlabel`: not taken from base images.
    pub unset_labels: Vec<String>,
    /// `--inherit-labels=false`: no label is taken from base images.
    pub no_base_labels: bool,
    /// `--volume`
    pub volumes: Vec<HostVolume>,
    /// `--mount`
    pub mounts: Vec<MountFlag>,
    /// `--squash`, `--squash-all`
    pub squash: Squash,
    /// `--omit-history`
    pub omit_history: bool,
    /// `--skip-unused-stages=false`: stages before the target are built whether it needs them or not.
    pub all_stages: bool,
    /// `--cache-ttl`: older results do not count.
    pub cache_ttl: Option<Duration>,
    /// The sandbox of RUN.
    pub sandbox: Sandbox,
}
