//! The flags of `bake`.

use std::path::PathBuf;

use clap::Args;

/// Build from a file
#[derive(Debug, Args)]
pub struct BakeArgs {
    /// Targets and groups to build (default: default); a git repository or URL of the files may stand first
    #[arg(value_name = "TARGET")]
    pub targets: Vec<String>,
    /// Build definition file, - for standard input (default: compose and docker-bake files found here)
    #[arg(short, long, value_name = "FILE")]
    pub file: Vec<String>,
    /// Print the options without building
    #[arg(long)]
    pub print: bool,
    /// List targets or variables (format: targets|variables[,format=json])
    #[arg(long, value_name = "KIND")]
    pub list: Option<String>,
    /// Override target value (e.g., targetpattern.key=value)
    #[arg(long, value_name = "OVERRIDE")]
    pub set: Vec<String>,
    /// Set a variable value (e.g., name=value); it goes before the environment
    #[arg(long, value_name = "NAME=VALUE")]
    pub var: Vec<String>,
    /// Allow build to access specified resources (network.host, security.insecure, ssh, fs=PATH, fs.read=PATH, fs.write=PATH)
    #[arg(long, value_name = "RESOURCE")]
    pub allow: Vec<String>,
    /// Set method for evaluating build (build, check, outline, targets)
    #[arg(long, value_name = "METHOD", overrides_with = "check")]
    pub call: Option<String>,
    /// Shorthand for --call=check
    #[arg(long, overrides_with = "call")]
    pub check: bool,
    /// Shorthand for --set=*.output=type=docker, where no files are asked for
    #[arg(long)]
    pub load: bool,
    /// Shorthand for --set=*.output=type=registry, where only images are asked for
    #[arg(long)]
    pub push: bool,
    /// Do not use cache when building the images
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL")]
    pub no_cache: Option<String>,
    /// Always attempt to pull all referenced images
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL")]
    pub pull: Option<String>,
    /// Set type of progress output (auto, plain, tty, quiet, rawjson)
    #[arg(long, value_name = "MODE", env = "BUILDKIT_PROGRESS", hide_env_values = true)]
    pub progress: Option<String>,
    /// Write build result metadata to a file
    #[arg(long, value_name = "FILE")]
    pub metadata_file: Option<PathBuf>,
    /// Shorthand for --set=*.attest=type=provenance
    #[arg(long, value_name = "VALUE")]
    pub provenance: Option<String>,
    /// Shorthand for --set=*.attest=type=sbom
    #[arg(long, value_name = "VALUE")]
    pub sbom: Option<String>,
    /// Steps that may run at once in each build (default: as many as the machine bears)
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
    /// Name of the builder; there is one
    #[arg(long, value_name = "NAME")]
    pub builder: Option<String>,
}
