//! Documents into the store, under their names.

use super::index::Documents;
use crate::builder::error::BuildError;
use crate::image::{ManifestDigest, Reference};
use crate::store::{ImageRecord, Store};

/// What the store has now.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// The images, in the order of the documents.
    pub images: Vec<ImageRecord>,
    /// What the names mean: a manifest, or an index.
    pub target: ManifestDigest,
}

/// Stores documents and gives them names; `say` hears of each.
///
/// # Errors
/// The store can't be written.
pub fn keep(
    store: &Store,
    documents: &Documents,
    names: &[Reference],
    say: super::Say<'_>,
) -> Result<Kept, BuildError> {
    let mut images = Vec::with_capacity(documents.images.len());
    for image in &documents.images {
        images.push(store.put_image(&image.config, &image.manifest)?);
        say(format!("writing image {}", image.id));
    }
    for attestation in &documents.attestations {
        for statement in &attestation.statements {
            store.put_blob(&statement.bytes)?;
        }
        store.put_blob(&attestation.config)?;
        store.put_blob(&attestation.manifest)?;
    }
    let target = match &documents.index {
        Some((_, bytes)) => store.put_index(bytes)?,
        None => documents.images[0].digest,
    };
    for name in names {
        let name = name.clone().or_latest();
        store.tag(&name, target)?;
        say(format!("naming to {name}"));
    }
    Ok(Kept { images, target })
}
