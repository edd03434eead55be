//! Compose files: every service that has a `build` section is a target.
//!
//! A file becomes nodes (`node`), its variables are put in (`interpolate`), `include` and `extends`
//! are followed and files merged (`model`, `merge`), and what is left becomes targets (`service`).
//! Of services only what builds need is looked at: the rest may be whatever a file says.

mod dotenv;
mod interpolate;
mod merge;
mod model;
mod node;
mod service;

use super::config::Config;
use super::error::BakeError;
use super::load::{BakeFile, Options};

/// Says whether a file is a compose file: by its name's ending, else by what is in it.
pub fn is_compose(file: &BakeFile, options: &Options) -> bool {
    let name = file.name.to_lowercase();
    if name.ends_with(".yml") || name.ends_with(".yaml") {
        return true;
    }
    if name.ends_with(".json") || name.ends_with(".hcl") {
        return false;
    }
    let one = BakeFile { name: file.name.clone(), data: file.data.clone() };
    model::load(&[one], options).is_ok_and(|model| service::targets(&model).is_ok())
}

/// Reads compose files, later ones changing earlier ones, to targets and the group of them all;
/// also returns the variables that are not set and have no default.
///
/// # Errors
/// A file is no compose file, or a `build` section is wrong.
pub fn load(files: &[BakeFile], options: &Options) -> Result<(Config, Vec<String>), BakeError> {
    let model = model::load(files, options).map_err(BakeError::plain)?;
    let config = service::targets(&model).map_err(BakeError::plain)?;
    Ok((config, model.blank))
}
