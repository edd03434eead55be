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
    pub source: String,
    /// The new name
    #[arg(value_name = "TARGET_IMAGE[:TAG]")]
    pub target: String,
}

/// Runs the command.
pub fn run(args: &TagArgs, global: &Global) -> Result<(), CliError> {
    let target = Reference::parse(&args.target).map_err(|e| {
        CliError::new(format!(
            "Error parsing reference: {:?} is not a valid repository/tag: {e}",
            args.target
        ))
    })?;
    tag(global, &args.source, &target)
}

/// Lets a name mean what another one, or an id, means.
///
/// # Errors
/// There is no such image, or the name has a digest.
pub fn tag(global: &Global, source: &str, target: &Reference) -> Result<(), CliError> {
    if target.digest().is_some() {
        return Err(CliError::new("refusing to create a tag with a digest reference"));
    }
    let store = global.store()?;
    let found = store.find(source)?;
    store.tag(&target.clone().or_latest(), found.target)?;
    Ok(())
}
