//! One layer: which blob it is there, and how that comes to be there.

use std::io::Write as _;
use std::sync::Arc;

use super::image::family;
use super::scale::Scale;
use super::upload::Found;
use super::{LayerBytes, Push};
use crate::image::manifest::media_type;
use crate::image::{Descriptor, DiffId};
use crate::layers::{self, Compression, HashingWriter};
use crate::progress::TransferState;
use crate::registry::transfer::TransferError;
use crate::store::{Layer, Partial, StoreError};

impl Push<'_> {
    /// Sees to it that a layer is there and returns the blob that it is there.
    pub(super) async fn layer(
        &self,
        id: DiffId,
        named: &Descriptor,
        exact: bool,
    ) -> Result<Descriptor, TransferError> {
        let shown = id.as_digest();
        if exact {
            let bytes = LayerBytes::of(&self.transfer.store, id, named)?;
            if let Some(found) = self.blob(named, &shown, bytes).await? {
                self.transfer.state(&shown, found.state());
                return Ok(named.clone());
            }
        }
        let store = &self.transfer.store;
        let settings = settings_of(self.options.compression);
        let own = store.known_blob(id, &settings)?;
        let own = own.or(store.compressed(id, &settings)?);
        let pulled = store.known_blob(id, "")?;
        for known in own.iter().chain(pulled.iter()) {
            let known = family(&named.media_type, known);
            let bytes = LayerBytes::of(store, id, &known)?;
            // What came from another registry is not fetched again only to save the compressing.
            let bytes = bytes.filter(|bytes| !matches!(bytes, LayerBytes::Remote(_)));
            if let Some(found) = self.blob(&known, &shown, bytes).await? {
                self.transfer.state(&shown, found.state());
                return Ok(known);
            }
        }
        let made = self.compress(id, &settings).await?;
        self.transfer.state(&shown, TransferState::Pushed);
        Ok(family(&named.media_type, &made))
    }

    /// Compresses a layer and sends it while that goes on.
    async fn compress(&self, id: DiffId, settings: &str) -> Result<Descriptor, TransferError> {
        let permit = self.gates.workers.acquire().await.expect("the gate is never closed");
        let name = format!("push {id} {settings}");
        let partial = self.transfer.beside(move |store| store.partial(&name)).await?;
        // Another process may have made it meanwhile; its bytes are beside the layer then.
        let made = self.transfer.store.known_blob(id, settings)?;
        if let Some(made) = made
            && let Some(bytes) = LayerBytes::of(&self.transfer.store, id, &made)?
        {
            partial.finish()?;
            drop(permit);
            if let Some(Found::There | Found::Mounted(_) | Found::Sent) =
                self.blob(&made, &id.as_digest(), Some(bytes)).await?
            {
                return Ok(made);
            }
            return Err(StoreError::NoBlob(made.digest).into());
        }
        // Half of a compressed stream helps nobody; the registry's half is compared by its digest.
        partial.clear()?;
        let partial = Arc::new(partial);
        let closing = Closing(Arc::clone(&partial));
        let what = format!("{id} {settings} {}", env!("CARGO_PKG_VERSION"));
        let (into, how) = (Arc::clone(&partial), self.options.compression);
        let layer = self.transfer.store.layer(id)?.ok_or(StoreError::NoLayer(id))?;
        let scale = Scale::new(layer.size());
        let counts = Arc::clone(&scale);
        let compressing = async {
            let work = tokio::task::spawn_blocking(move || compress(&layer, &into, how, &counts));
            let made = work.await.expect("compressing does not panic");
            partial.close();
            drop(permit);
            let made = made?;
            // From here on it has a digest: whoever continues after a kill sends these bytes.
            let store = &self.transfer.store;
            store.keep_blob(id, made.digest, &partial)?;
            store.know_blob(id, &made, Some(settings))?;
            let place = self.repo.to_string();
            if let Some(location) = store.upload(&place, &what)? {
                store.note_upload(&place, &made.digest.to_string(), &location)?;
                store.take_upload(&place, &what)?;
            }
            Ok(made)
        };
        let made = self.send_growing(&what, &id.as_digest(), &partial, &scale, compressing).await?;
        drop(closing);
        if let Ok(partial) = Arc::try_unwrap(partial) {
            partial.finish()?;
        }
        Ok(made)
    }
}

/// Lets whoever reads a partial go when its transfer ends in any way.
pub(super) struct Closing(pub(super) Arc<Partial>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Returns how a compression is named in what is remembered.
pub fn settings_of(how: Compression) -> String {
    match how {
        Compression::Gzip { level } => format!("gzip {level}"),
        Compression::Zstd { level } => format!("zstd {level}"),
    }
}

fn compress(
    layer: &Layer,
    into: &Partial,
    how: Compression,
    scale: &Scale,
) -> Result<Descriptor, TransferError> {
    let failed = |source| TransferError::Store(StoreError::Compress { layer: layer.diff_id(), source });
    let mut out = HashingWriter::new(scale.writer(into.writer(0)?));
    layers::compress(&mut scale.reader(layer.tar()?), &mut out, how).map_err(failed)?;
    out.flush().map_err(|source| failed(layers::LayerError::Io { action: "write compressed", source }))?;
    let (digest, size) = out.finish().map_err(failed)?;
    let kind = match how {
        Compression::Gzip { .. } => media_type::OCI_LAYER_GZIP,
        Compression::Zstd { .. } => media_type::OCI_LAYER_ZSTD,
    };
    Ok(Descriptor::new(kind, digest, size))
}
