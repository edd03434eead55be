//! `push=true`: the result into a registry.

use super::super::error::CliError;
use super::outputs::ImageAttributes;
use crate::builder::export::Documents;
use crate::image::Reference;
use crate::progress::Reporter;
use crate::store::Store;

/// Pushes an image under its names.
///
/// # Errors
/// Registries are not available in this version.
pub fn push(
    _store: &Store,
    _image: &ImageAttributes,
    names: &[Reference],
    _documents: &Documents,
    _reporter: &dyn Reporter,
) -> Result<(), CliError> {
    let name = names.first().map(ToString::to_string).unwrap_or_default();
    Err(CliError::new(format!(
        "ERROR: failed to build: failed to push {name}: pushing to registries is not available in this version"
    )))
}

/// Refuses a push before anything is built.
///
/// # Errors
/// Always, in this version.
pub fn refuse() -> Result<(), CliError> {
    Err(CliError::new(
        "ERROR: --push and push=true are not available in this version: there are no registries yet",
    ))
}
