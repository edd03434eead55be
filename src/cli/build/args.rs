//! The flags of `build`.

use std::path::PathBuf;

use clap::Args;

use super::habits::HabitArgs;
use super::refused::Refused;

/// Build an image from a Dockerfile
#[derive(Debug, Args)]
pub struct BuildArgs {
    /// Directory, URL, git repository, or - for standard input
    #[arg(required = true, value_name = "PATH | URL | -")]
    pub context: String,
    /// Name of the Dockerfile (default: PATH/Dockerfile), - for standard input; several are joined
    #[arg(short, long, value_name = "FILE")]
    pub file: Vec<String>,
    /// Ignore file in place of the context's own
    #[arg(long, value_name = "FILE")]
    pub ignorefile: Option<PathBuf>,
    /// Name and optionally a tag (format: name:tag)
    #[arg(short, long, value_name = "NAME")]
    pub tag: Vec<String>,
    /// Set the target build stage to build
    #[arg(long, value_name = "STAGE")]
    pub target: Option<String>,
    /// Set target platforms for build (comma list)
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Vec<String>,
    /// Set build-time variables
    #[arg(long, value_name = "KEY=VALUE")]
    pub build_arg: Vec<String>,
    /// Additional build contexts (e.g., name=path)
    #[arg(long, value_name = "NAME=VALUE")]
    pub build_context: Vec<String>,
    /// Set metadata for an image
    #[arg(long, value_name = "KEY=VALUE")]
    pub label: Vec<String>,
    /// Do not use cache when building the image
    #[arg(long)]
    pub no_cache: bool,
    /// Do not cache specified stages
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    pub no_cache_filter: Vec<String>,
    /// Always attempt to pull all referenced images
    #[arg(long)]
    pub pull: bool,
    /// Set the networking mode for RUN instructions: default (the host's), none, host, bridge, or a network of yours
    #[arg(long, value_name = "MODE")]
    pub network: Option<String>,
    /// Secret to expose to the build (format: id=mysecret[,src=/local/secret] or [,env=VARIABLE])
    #[arg(long, value_name = "SECRET")]
    pub secret: Vec<String>,
    /// SSH agent socket or keys to expose to the build (format: default|ID[=SOCKET|KEY[,KEY]])
    #[arg(long, value_name = "SSH")]
    pub ssh: Vec<String>,
    /// Add a custom host-to-IP mapping (format: host:ip)
    #[arg(long, value_name = "HOST:IP")]
    pub add_host: Vec<String>,
    /// Ulimit options (format: type=soft[:hard])
    #[arg(long, value_name = "ULIMIT")]
    pub ulimit: Vec<String>,
    /// Shared memory size for build containers
    #[arg(long, value_name = "BYTES")]
    pub shm_size: Option<String>,
    /// Set the parent cgroup for RUN instructions
    #[arg(long, value_name = "CGROUP")]
    pub cgroup_parent: Option<String>,
    /// Allow extra privileged entitlement (network.host, security.insecure)
    #[arg(long, value_name = "ENTITLEMENT")]
    pub allow: Vec<String>,
    /// Memory limit of RUN instructions
    #[arg(short, long, value_name = "BYTES")]
    pub memory: Option<String>,
    /// Limit of memory and swap of RUN instructions
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    pub memory_swap: Option<String>,
    /// CPU shares of RUN instructions
    #[arg(short, long, value_name = "N")]
    pub cpu_shares: Option<u64>,
    /// CPU period of RUN instructions, in microseconds
    #[arg(long, value_name = "N")]
    pub cpu_period: Option<u64>,
    /// CPU quota of RUN instructions, in microseconds
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub cpu_quota: Option<i64>,
    /// CPUs of RUN instructions (0-3, 0,1)
    #[arg(long, value_name = "CPUS")]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes of RUN instructions (0-3, 0,1)
    #[arg(long, value_name = "NODES")]
    pub cpuset_mems: Option<String>,
    /// Limits of RUN instructions (format: memory=,memory-swap=,cpu-shares=,cpu-quota=,...)
    #[arg(long, value_name = "LIMITS")]
    pub resource: Vec<String>,
    /// Set type of progress output: auto, plain, tty, quiet, none, rawjson (or BUILDKIT_PROGRESS)
    #[arg(long, value_name = "MODE")]
    pub progress: Option<String>,
    /// Suppress the build output and print image ID on success
    #[arg(short, long)]
    pub quiet: bool,
    /// Write the image ID to a file
    #[arg(long, value_name = "FILE")]
    pub iidfile: Option<PathBuf>,
    /// Write build result metadata to a file
    #[arg(long, value_name = "FILE")]
    pub metadata_file: Option<PathBuf>,
    /// Say of each step whether it was cached, and if not, why; with =FILE or =DOCKERFILE:LINE, build nothing and say what an edit of it would run again
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub explain: Option<Option<String>>,
    /// Form of explanations: text on standard error, or json on standard output
    #[arg(long, value_name = "FORMAT", value_parser = ["text", "json"])]
    pub explain_format: Option<String>,
    /// When a RUN fails: shell opens one in the step's state (without a terminal its files are kept as an image), keep always keeps them
    #[arg(long, value_name = "ACTION", value_parser = ["shell", "keep"])]
    pub on_failure: Option<String>,
    /// Steps that may run at once (default: as many as the machine bears)
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
    /// Read a file with a foreign syntax directive as an ordinary Dockerfile
    #[arg(long)]
    pub ignore_syntax: bool,
    /// Output destination (format: DIR, -, or type=local|tar|oci|docker|image|cacheonly,dest=path,...)
    #[arg(short, long, value_name = "DEST")]
    pub output: Vec<String>,
    /// Shorthand for --output=type=docker: the store gets the image besides other outputs
    #[arg(long)]
    pub load: bool,
    /// Shorthand for --output=type=registry
    #[arg(long)]
    pub push: bool,
    /// Give the same image digest whenever, wherever and by whomever it is built
    #[arg(long)]
    pub reproducible: bool,
    /// External cache sources (a registry reference, or type=registry|local,...)
    #[arg(long, value_name = "SOURCE")]
    pub cache_from: Vec<String>,
    /// Cache export destinations (a registry reference, or type=registry|local|inline,...)
    #[arg(long, value_name = "DEST")]
    pub cache_to: Vec<String>,
    /// Shorthand for --attest=type=provenance (true, false, or mode=max,...); off unless asked for
    #[arg(long, value_name = "VALUE")]
    pub provenance: Option<String>,
    /// Shorthand for --attest=type=sbom (true, false); off unless asked for
    #[arg(long, value_name = "VALUE")]
    pub sbom: Option<String>,
    /// Attestation parameters (format: type=sbom|provenance,key=value)
    #[arg(long, value_name = "VALUE")]
    pub attest: Vec<String>,
    /// Add annotation to the image (format: [TYPE[PLATFORM],...:]KEY=VALUE)
    #[arg(long, value_name = "VALUE")]
    pub annotation: Vec<String>,
    /// Shorthand for --call=check
    #[arg(long, overrides_with = "call")]
    pub check: bool,
    /// Evaluation method: build, check, outline, targets [,format=json]
    #[arg(long, alias = "print", value_name = "METHOD", overrides_with = "check")]
    pub call: Option<String>,
    /// Name of the builder; there is one
    #[arg(long, value_name = "NAME")]
    pub builder: Option<String>,
    /// Flags of buildah, podman and kaniko.
    #[command(flatten)]
    pub habits: HabitArgs,
    /// Flags that are refused by name.
    #[command(flatten)]
    pub refused: Refused,
    /// Accepted for compatibility: build containers never stay
    #[arg(long, hide = true)]
    pub rm: bool,
    /// Accepted for compatibility: build containers never stay
    #[arg(long, hide = true)]
    pub force_rm: bool,
    /// Accepted for compatibility: contexts are not sent anywhere
    #[arg(long, hide = true)]
    pub compress: bool,
}
