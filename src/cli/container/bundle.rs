//! `container bundle`

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::super::error::CliError;
use super::super::global::Global;
use super::{all, find};
use crate::containers::write_bundle;
use crate::fs::Root;

/// Write a container as a bundle that other OCI runtimes run
#[derive(Debug, Args)]
pub struct BundleArgs {
    /// Container
    #[arg(required = true, value_name = "CONTAINER")]
    pub container: String,
    /// Directory for config.json and rootfs; made when missing, else empty
    #[arg(required = true, value_name = "DIR")]
    pub directory: PathBuf,
}

/// Runs `container bundle`.
///
/// # Errors
/// There is no such container, it can't be run by others, or the directory is not empty.
pub fn bundle(args: &BundleArgs, global: &Global) -> Result<(), CliError> {
    if global.rootless {
        return Err(CliError::new(
            "container bundle: only root can write the owners that a bundle's files have",
        ));
    }
    let containers = all(global)?;
    let container = find(&containers, &args.container, global)?;
    let path = std::path::absolute(&args.directory)?;
    let host = Root::open(Path::new("/"))?;
    let made = host.create_dir_all(&path, 0o755)?;
    let into = Root::open(&path)?;
    if !into.entries("")?.is_empty() {
        return Err(CliError::new(format!("{} is not empty", path.display())));
    }
    let written = write_bundle(&container, global.store()?, &into);
    if written.is_err() {
        for entry in into.entries("")? {
            let _ = into.remove_tree(std::ffi::OsStr::from_bytes(&entry.name));
        }
        for directory in made.iter().rev() {
            let _ = host.remove_dir(directory);
        }
    }
    written.map_err(|error| CliError::engine(&error))
}
