//! `rmi`, `image rm`

use clap::Args;

use super::error::CliError;
use super::global::Global;
use super::output;
use crate::store::{ImageUse, Removed, StoreError};

/// Remove one or more images
#[derive(Debug, Args)]
pub struct RmiArgs {
    /// Images
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<String>,
    /// Force removal of the image
    #[arg(short, long)]
    pub force: bool,
    /// Do not delete untagged parents
    #[arg(long)]
    pub no_prune: bool,
}

/// Runs the command: every image is tried, the exit code tells whether all went.
pub fn run(args: &RmiArgs, global: &Global) -> Result<(), CliError> {
    let uses = super::containers::image_uses(global)?;
    let mut failed = false;
    for image in &args.images {
        match remove(global, image, args.force, &uses)? {
            Ok(removed) => output::data(&lines(&removed))?,
            Err(error) => {
                // With -f a missing image is said and forgiven.
                let missing = matches!(error, StoreError::NoImage(_));
                failed |= !(missing && args.force);
                output::talk(&CliError::from(error).text);
            }
        }
    }
    if failed { Err(CliError::silent(1)) } else { Ok(()) }
}

/// Removes a name, and the image if it was its last one.
///
/// # Errors
/// The store can't be opened; inside, why this image stays.
pub fn remove(
    global: &Global,
    image: &str,
    force: bool,
    uses: &[ImageUse],
) -> Result<Result<Removed, StoreError>, CliError> {
    let store = global.store()?;
    Ok(store.plan_remove(image, force, uses).and_then(|plan| store.apply(&plan)))
}

/// Returns docker's lines for what was removed.
fn lines(removed: &Removed) -> String {
    let untagged = removed.untagged.iter().map(|name| format!("Untagged: {name}\n"));
    let deleted = removed.deleted.iter().map(|id| format!("Deleted: {id}\n"));
    untagged.chain(deleted).collect()
}
