//! `tag`

use clap::Args;

use super::error::CliError;
use super::global::Global;
use crate::image::Reference;

/// Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE
#[derive(Debug, Args)]
pub struct TagArgs {
    /// Image to name
    #[arg(value_name = "SOURCE_IMAGE[:TAG]")]
    source: String,
    /// The new name
    #[arg(value_name = "TARGET_IMAGE[:TAG]")]
    target: String,
}

/// Runs the command.
pub fn run(args: &TagArgs, global: &Global) -> Result<(), CliError> {
    let store = global.store()?;
    let target = Reference::parse(&args.target).map_err(|e| {
        CliError::new(format!(
            "Error parsing reference: {:?} is not a valid repository/tag: {e}",
            args.target
        ))
    })?;
    if target.digest().is_some() {
        return Err(CliError::new("refusing to create a tag with a digest reference"));
    }
    let found = store.find(&args.source)?;
    store.tag(&target.or_latest(), found.target)?;
    Ok(())
}
