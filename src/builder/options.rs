//! What a build is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::context::{GitSource, Tree};
use super::extras::Extras;
use super::failed::OnFailure;
use crate::image::{Platform, Reference};
use crate::parser::Source;

/// The network of RUN steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum NetworkMode {
    /// What the builder thinks best; the host's for now.
    #[default]
    Default,
    /// Loopback only.
    None,
    /// The host's; needs [`Entitlement::NetworkHost`].
    Host,
    /// A place in the network of [`Extras::networks`].
    Bridge,
}

/// A right that steps may be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entitlement {
    /// `network.host`
    NetworkHost,
    /// `security.insecure`
    SecurityInsecure,
}

impl fmt::Display for Entitlement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NetworkHost => "network.host",
            Self::SecurityInsecure => "security.insecure",
        })
    }
}

/// A secret of the build; never shown.
#[derive(Clone)]
pub struct Secret {
    /// Where its value is.
    pub value: SecretValue,
}

/// Where the value of a secret is.
#[derive(Clone)]
pub enum SecretValue {
    /// At hand.
    Bytes(Vec<u8>),
    /// In a file, read when a step wants it.
    File(PathBuf),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(****)")
    }
}

/// An ssh agent that steps may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshAgent {
    /// The agent's socket on the host.
    pub socket: PathBuf,
}

/// `--add-host`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddHost {
    /// The name.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// `--ulimit`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ulimit {
    /// E.g. `nofile`.
    pub name: String,
    /// The soft limit.
    pub soft: u64,
    /// The hard limit.
    pub hard: u64,
}

/// Limits of every RUN step; they are in no key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Bytes of memory and swap; -1 is no limit.
    pub memory_swap: Option<i64>,
    /// Relative weight.
    pub cpu_shares: Option<u64>,
    /// Length of a period in microseconds.
    pub cpu_period: Option<u64>,
    /// Microseconds in a period.
    pub cpu_quota: Option<i64>,
    /// CPUs that may be used, e.g. `0-2`.
    pub cpuset_cpus: Option<String>,
    /// Memory nodes that may be used.
    pub cpuset_mems: Option<String>,
}

/// How much of a step's output is reported; none is all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLimits {
    /// Bytes of each stream.
    pub size: Option<u64>,
    /// Bytes of each stream in a second.
    pub speed: Option<u64>,
}

impl Default for LogLimits {
    /// BuildKit's: 2 MiB, 200 KiB in a second.
    fn default() -> Self {
        Self { size: Some(2 << 20), speed: Some(200 << 10) }
    }
}

/// A place that files or a whole stage come from.
#[derive(Clone)]
pub enum Input {
    /// Files.
    Tree(Arc<dyn Tree>),
    /// An image by name, `scratch`, or an OCI layout (`oci-layout://…`).
    Image(String),
    /// A git repository, checked out when a step wants it.
    Git(GitSource),
    /// A download, fetched when a step wants it.
    Url(String),
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tree(tree) => write!(f, "Tree({})", tree.label()),
            Self::Image(name) => write!(f, "Image({name})"),
            Self::Git(source) => write!(f, "Git({})", source.shown()),
            Self::Url(_) => f.write_str("Url"),
        }
    }
}

/// A build: the text, its context, and what the command line says.
#[derive(Clone)]
pub struct BuildOptions {
    /// The Dockerfile.
    pub source: Source,
    /// The main build context.
    pub context: Arc<dyn Tree>,
    /// When the main context was made, where something tells; what `SOURCE_DATE_EPOCH=context` means.
    pub context_time: Option<i64>,
    /// Tells builds apart for explanations of cache misses, e.g. a digest of the context's place.
    pub scope: String,
    /// `--build-context`, by name as given; `name::os/arch` is for one platform.
    pub named_contexts: BTreeMap<String, Input>,
    /// `--target`; none is the last stage.
    pub target: Option<String>,
    /// `--build-arg`
    pub build_args: BTreeMap<String, String>,
    /// `--label`
    pub labels: Vec<(String, String)>,
    /// `--no-cache`
    pub no_cache: bool,
    /// `--no-cache-filter`: stages that are built anew.
    pub no_cache_filter: Vec<String>,
    /// `--pull`
    pub pull: bool,
    /// Whether every stage is looked at, not only what the target needs; for checks.
    pub all_stages: bool,
    /// `--platform`; none adopts the base image's where the machine can run it.
    pub platform: Option<Platform>,
    /// All platforms of `--platform` when there are several; each is lowered with `platform` set to it.
    pub platforms: Vec<Platform>,
    /// `--network`
    pub network: NetworkMode,
    /// `--secret`, by id.
    pub secrets: BTreeMap<String, Secret>,
    /// `--ssh`, by id.
    pub ssh: BTreeMap<String, SshAgent>,
    /// `--add-host`
    pub add_hosts: Vec<AddHost>,
    /// `--ulimit`
    pub ulimits: Vec<Ulimit>,
    /// `--shm-size` in bytes; none is 64 MiB.
    pub shm_size: Option<u64>,
    /// `--cgroup-parent`
    pub cgroup_parent: Option<String>,
    /// `--resource`
    pub limits: Limits,
    /// How much of each step's output is reported.
    pub log_limits: LogLimits,
    /// What goes beyond docker.
    pub extras: Extras,
    /// `--allow`
    pub entitlements: BTreeSet<Entitlement>,
    /// `--tag`
    pub tags: Vec<Reference>,
    /// Whether processes are told the epoch, so that what they make does not hold the time of building.
    pub reproducible: bool,
    /// Whether a `syntax` directive of an unknown frontend is read as if it were built in.
    pub ignore_syntax: bool,
    /// Steps that may run at once; none is what the machine can bear.
    pub jobs: Option<usize>,
    /// Takes what is left of a RUN step that failed.
    pub on_failure: Option<Arc<dyn OnFailure>>,
}

impl BuildOptions {
    /// Whether the image is to carry a cache of its steps (`BUILDKIT_INLINE_CACHE`).
    pub fn inline_cache(&self) -> bool {
        self.build_args.get("BUILDKIT_INLINE_CACHE").is_some_and(|value| is_true(value))
    }

    /// Returns a plain build of a Dockerfile with its context.
    pub fn new(source: Source, context: Arc<dyn Tree>) -> Self {
        Self {
            source,
            context,
            context_time: None,
            scope: String::new(),
            named_contexts: BTreeMap::new(),
            target: None,
            all_stages: false,
            build_args: BTreeMap::new(),
            labels: Vec::new(),
            no_cache: false,
            no_cache_filter: Vec::new(),
            pull: false,
            platform: None,
            platforms: Vec::new(),
            network: NetworkMode::default(),
            secrets: BTreeMap::new(),
            ssh: BTreeMap::new(),
            add_hosts: Vec::new(),
            ulimits: Vec::new(),
            shm_size: None,
            cgroup_parent: None,
            limits: Limits::default(),
            log_limits: LogLimits::default(),
            extras: Extras::default(),
            entitlements: BTreeSet::new(),
            tags: Vec::new(),
            reproducible: false,
            ignore_syntax: false,
            jobs: None,
            on_failure: None,
        }
    }
}

impl BuildOptions {
    /// Whether a git context keeps its `.git` where its URL does not say (`BUILDKIT_CONTEXT_KEEP_GIT_DIR`).
    pub fn keep_git_dir(&self) -> bool {
        self.build_args.get("BUILDKIT_CONTEXT_KEEP_GIT_DIR").is_some_and(|value| is_true(value))
    }
}

/// Whether a build argument's text is a boolean that holds, as Go reads one.
pub fn is_true(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

impl fmt::Debug for BuildOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BuildOptions")
            .field("source", &self.source.name())
            .field("target", &self.target)
            .field("platform", &self.platform)
            .finish_non_exhaustive()
    }
}
