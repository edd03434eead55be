//! Into this machine's store: layers with an index where they can be mounted, everything else as blobs.

use std::io::Read;
use std::sync::Arc;

use super::super::pull::{fetch_layer, unpacked};
use super::super::transfer::{Gates, Transfer, TransferError};
use super::Doc;
use super::source::Source;
use super::stream::{Verified, pour};
use crate::image::manifest::media_type;
use crate::image::{Descriptor, DiffId, Document, ImageConfig, Manifest, ManifestDigest, Reference};
use crate::progress::TransferState;
use crate::store::StoreError;

/// Refuses what a store has no place for.
pub(super) fn check(root: &Doc, name: &Reference) -> Result<(), TransferError> {
    let why = match &root.document {
        _ if name.digest().is_some() => "a copy needs a tag; its digest is the source's".to_owned(),
        Document::Manifest(manifest) if !is_image(manifest) => {
            let kind = manifest.artifact_type.clone().unwrap_or_else(|| manifest.config.media_type.clone());
            format!("the store keeps images, not artifacts of type {kind:?}")
        }
        _ => return Ok(()),
    };
    Err(TransferError::Refused(format!("{}: {why}", name.familiar())))
}

/// Takes the blobs of a manifest.
pub(super) async fn blobs(
    transfer: &Transfer,
    source: &Source<'_>,
    doc: &Doc,
    gates: &Arc<Gates>,
) -> Result<(), TransferError> {
    let Document::Manifest(manifest) = &doc.document else { return Ok(()) };
    if !is_image(manifest) {
        for blob in manifest.layers.iter().chain([&manifest.config]) {
            plain(transfer, source, blob).await?;
        }
        return Ok(());
    }
    let bytes = source.small(&manifest.config).await?;
    let config = ImageConfig::from_json(&bytes)
        .map_err(|source| TransferError::Config { digest: manifest.config.digest, source })?;
    let ids = config.rootfs.diff_ids;
    if ids.len() != manifest.layers.len() {
        let reason = format!("its config has {} layers, its manifest {}", ids.len(), manifest.layers.len());
        return Err(TransferError::Inconsistent { digest: doc.descriptor.digest, reason });
    }
    let mut pairs: Vec<(&Descriptor, DiffId)> = manifest.layers.iter().zip(ids).collect();
    let mut seen = std::collections::HashSet::new();
    pairs.retain(|(_, id)| seen.insert(*id));
    let moving = pairs.into_iter().map(|(blob, id)| layer(transfer, source, blob, id, gates));
    futures_util::future::try_join_all(moving).await?;
    transfer.beside(move |store| store.put_blob(&bytes)).await.map(drop)
}

async fn layer(
    transfer: &Transfer,
    source: &Source<'_>,
    blob: &Descriptor,
    id: DiffId,
    gates: &Arc<Gates>,
) -> Result<(), TransferError> {
    if transfer.store.layer(id)?.is_some() {
        transfer.state(&blob.digest, TransferState::Exists);
        return Ok(());
    }
    if let Some((_, repo)) = source.registry() {
        transfer.state(&blob.digest, TransferState::Planned);
        return fetch_layer(transfer, repo, blob, id, gates).await;
    }
    let _permit = gates.workers.acquire().await.expect("the gate is never closed");
    let (store, what) = (transfer.store.clone(), blob.clone());
    source.read(blob, 0, move |reader| unpacked(&store, reader, &what, id)).await?;
    transfer.store.know_blob(id, blob, None)?;
    transfer.done(&blob.digest, false);
    transfer.state(&blob.digest, TransferState::Pulled);
    Ok(())
}

/// Takes a blob as it is.
async fn plain(transfer: &Transfer, source: &Source<'_>, blob: &Descriptor) -> Result<(), TransferError> {
    if transfer.store.has_blob(blob.digest)? {
        return Ok(());
    }
    let mut writer = transfer.store.blob_writer()?;
    let what = blob.clone();
    let take = move |reader: Box<dyn Read + Send>| {
        let failed = |e: std::io::Error| TransferError::Refused(format!("{}: {e}", what.digest));
        pour(&mut Verified::new(reader, &what), &mut writer, 0).map_err(failed)?;
        writer.commit(Some(what.digest)).map(drop).map_err(TransferError::from)
    };
    source.read(blob, 0, take).await
}

/// Records a manifest or an index whose parts are there.
pub(super) async fn document(transfer: &Transfer, doc: &Doc) -> Result<(), TransferError> {
    let (bytes, document) = (doc.bytes.clone(), doc.document.clone());
    let record = move |store: &crate::store::Store| -> Result<(), StoreError> {
        match document {
            Document::Index(_) => store.put_index(&bytes).map(drop),
            Document::Manifest(manifest) if is_image(&manifest) => {
                let config = store.read_blob(manifest.config.digest, media_limit())?;
                store.put_image(&config, &bytes).map(drop)
            }
            Document::Manifest(_) => store.put_blob(&bytes).map(drop),
        }
    };
    transfer.beside(record).await
}

fn media_limit() -> u64 {
    crate::image::manifest::MAX_DOCUMENT as u64
}

/// Gives the root its name.
pub(super) async fn name(
    transfer: &Transfer,
    source: &Source<'_>,
    root: &Doc,
    name: &Reference,
) -> Result<(), TransferError> {
    let target = ManifestDigest::from_bytes(*root.descriptor.digest.as_bytes());
    let (digest, name) = (root.descriptor.digest, name.clone());
    let origin = source.registry().map(|(origin, _)| origin.clone());
    let tag = move |store: &crate::store::Store| {
        if let Some(origin) = origin {
            store.add_repo_digest(&origin, digest, target)?;
        }
        store.tag(&name, target).map(drop)
    };
    transfer.beside(tag).await
}

/// Whether a manifest is that of an image, with layers to mount.
fn is_image(manifest: &Manifest) -> bool {
    let kind = manifest.config.media_type.as_str();
    ["", media_type::OCI_CONFIG, media_type::DOCKER_CONFIG].contains(&kind)
        && manifest.artifact_type.is_none()
        && manifest.layers.iter().all(|layer| layer.media_type.contains("tar") || layer.media_type.is_empty())
}
