//! `copy SRC DST`

use std::sync::Arc;

use clap::Args;

use super::error::CliError;
use super::global::Global;
use super::render::{Out, Way, layers};
use super::{output, registries};
use crate::image::Platform;
use crate::registry::Transfer;
use crate::registry::copy::{Place, copy};

/// Copy an image between registries, OCI layouts, archives and the store without unpacking it
///
/// Places: docker://NAME[:TAG|@DIGEST] is a registry, oci:DIR[:TAG] an OCI layout,
/// oci-archive:FILE[:TAG] the same as a tar, docker-archive:FILE[:NAME] what `docker save` writes,
/// store:NAME[:TAG] this machine's store. All platforms are copied unless --platform names one;
/// digests stay the same, and what is there already does not move.
#[derive(Debug, Args)]
pub struct CopyArgs {
    /// Where from, e.g. docker://debian:bookworm
    #[arg(value_name = "SRC")]
    from: String,
    /// Where to, e.g. oci:./layout:1
    #[arg(value_name = "DST")]
    to: String,
    /// Copy only this platform of a multi-platform image
    #[arg(long)]
    platform: Option<String>,
    /// Print the digest alone
    #[arg(short, long)]
    quiet: bool,
}

/// Runs the command.
pub fn run(args: &CopyArgs, global: &Global) -> Result<(), CliError> {
    let place = |text: &str| Place::parse(text).map_err(|error| CliError::new(error.to_string()));
    let (from, to) = (place(&args.from)?, place(&args.to)?);
    let platform = args.platform.as_deref().filter(|text| !text.is_empty()).map(Platform::parse).transpose();
    let platform = platform.map_err(|e| CliError::new(e.to_string()))?;
    let way = if matches!(to, Place::Registry(_)) { Way::Up } else { Way::Down };
    // What goes to standard output must not be mixed with words.
    let streamed = ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|name| args.to.contains(name));
    let out = if streamed { Out::Stderr } else { Out::Stdout };
    let runtime = registries::runtime()?;
    let reporter = layers(out, way, args.quiet);
    let client = registries::client(global)?;
    let transfer = Transfer { client, store: global.store()?.clone(), reporter: Arc::clone(&reporter) };
    let copied = runtime.block_on(copy(&transfer, &from, &to, platform.as_ref()));
    // What was drawn stays above what follows.
    drop((transfer, reporter));
    let copied = copied.map_err(|error| CliError::engine(&error))?;
    for note in &copied.notes {
        output::talk(&format!("NOTE: {note}"));
    }
    match (args.quiet, streamed) {
        (true, false) => output::line(&copied.digest.to_string()),
        (false, false) => {
            output::line(&format!("{}: digest: {} size: {}", args.to, copied.digest, copied.size))
        }
        (quiet, true) => {
            if !quiet {
                output::talk(&format!("digest: {} size: {}", copied.digest, copied.size));
            }
            Ok(())
        }
    }
}
