//! `rmi`, `image rm`

use clap::Args;

use super::error::CliError;
use super::global::Global;
use super::output;
use crate::image::Platform;
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
    /// Remove only the given platform: os[/arch[/variant]]
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    pub platform: Vec<String>,
}

impl RmiArgs {
    /// Returns the platforms that are to go; none for the image as a whole.
    ///
    /// # Errors
    /// One is none.
    pub fn platforms(&self) -> Result<Vec<Platform>, CliError> {
        let given = self.platform.iter().filter(|text| !text.is_empty());
        given.map(|text| Platform::parse(text).map_err(|error| CliError::new(error.to_string()))).collect()
    }
}

/// Why platforms go only by force; docker's text.
pub const NEEDS_FORCE: &str =
    "Content will be removed from all images referencing this variant. Use --force to force delete.";

/// Runs the command: every image is tried, the exit code tells whether all went.
pub fn run(args: &RmiArgs, global: &Global) -> Result<(), CliError> {
    let platforms = args.platforms()?;
    if !platforms.is_empty() && !args.force {
        return Err(CliError::new(format!("Error response from daemon: {NEEDS_FORCE}")));
    }
    let uses = super::containers::image_uses(global)?;
    let mut failed = false;
    for image in &args.images {
        match remove(global, image, args.force, &platforms, &uses)? {
            Ok(removed) => output::data(&lines(&removed))?,
            Err(error) => {
                // With -f a missing image is said and forgiven.
                let missing = matches!(error, StoreError::NoImage(_) | StoreError::NoPlatform { .. });
                failed |= !(missing && args.force);
                output::talk(&CliError::from(error).text);
            }
        }
    }
    if failed { Err(CliError::silent(1)) } else { Ok(()) }
}

/// Removes a name, and the image if it was its last one; or only some platforms of the image.
///
/// # Errors
/// The store can't be opened; inside, why this image stays.
pub fn remove(
    global: &Global,
    image: &str,
    force: bool,
    platforms: &[Platform],
    uses: &[ImageUse],
) -> Result<Result<Removed, StoreError>, CliError> {
    let store = global.store()?;
    if !platforms.is_empty() {
        let plan = store.plan_remove_platforms(image, platforms, uses);
        return Ok(plan.and_then(|plan| store.apply(&plan)));
    }
    Ok(store.plan_remove(image, force, uses).and_then(|plan| store.apply(&plan)))
}

/// Returns docker's lines for what was removed.
fn lines(removed: &Removed) -> String {
    let untagged = removed.untagged.iter().map(|name| format!("Untagged: {name}\n"));
    let deleted = removed.deleted.iter().map(|id| format!("Deleted: {id}\n"));
    untagged.chain(deleted).collect()
}
