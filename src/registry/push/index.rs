//! An index with its images and attestations.

use std::collections::HashMap;

use super::{Push, Sent};
use crate::image::manifest::media_type;
use crate::image::{Descriptor, Digest, Document, Index, ManifestDigest, Platform};
use crate::registry::transfer::TransferError;
use crate::store::StoreError;

/// Annotation by which an attestation names its image.
const ABOUT: &str = "vnd.docker.reference.digest";

impl Push<'_> {
    /// Sends an index and all that it names; where platforms are missing, only the one for this machine.
    pub(super) async fn index(
        &self,
        index: &Index,
        bytes: &[u8],
        notes: &mut Vec<String>,
    ) -> Result<Sent, TransferError> {
        for child in &index.manifests {
            if !self.can_have(child).await? {
                notes.push(format!(
                    "Not all multiplatform-content is present and only the available single-platform image \
                     was pushed: {} is not here",
                    child.platform.as_ref().map_or_else(|| child.digest.to_string(), Platform::to_string)
                ));
                return self.one_of(self.target, &Platform::host(), notes).await;
            }
        }
        let mut changed: HashMap<Digest, Descriptor> = HashMap::new();
        for child in &index.manifests {
            let Some(sent) = self.child(child, notes).await? else { continue };
            if sent.digest() != child.digest {
                changed.insert(child.digest, sent.descriptor(child));
            }
        }
        let media_type = match index.media_type.as_str() {
            "" => media_type::OCI_INDEX.to_owned(),
            given => given.to_owned(),
        };
        if changed.is_empty() {
            return Ok(Sent { media_type, bytes: bytes.to_vec() });
        }
        let manifests = index.manifests.iter().map(|child| renamed(child, &changed)).collect();
        let index = Index { manifests, ..index.clone() };
        Ok(Sent { media_type, bytes: serde_json::to_vec_pretty(&index).expect("an index serialises") })
    }

    /// Whether a child is in the store, or in the repository already.
    async fn can_have(&self, child: &Descriptor) -> Result<bool, TransferError> {
        if self.transfer.store.has_blob(child.digest)? {
            return Ok(true);
        }
        let there = self.transfer.client.head_manifest(self.repo, &child.digest.into()).await;
        Ok(there.map_err(TransferError::push)?.is_some())
    }

    /// Sends a child under its digest; none if it was there and is not here.
    async fn child(
        &self,
        child: &Descriptor,
        notes: &mut Vec<String>,
    ) -> Result<Option<Sent>, TransferError> {
        let digest = ManifestDigest::from_bytes(*child.digest.as_bytes());
        let sent = match self.transfer.store.document(digest) {
            Err(StoreError::NoBlob(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
            Ok((Document::Manifest(manifest), bytes)) => self.image(digest, manifest, bytes, notes).await?,
            Ok((Document::Index(inner), bytes)) => Box::pin(self.index(&inner, &bytes, notes)).await?,
        };
        self.put(&sent.digest().into(), &sent).await?;
        Ok(Some(sent))
    }
}

/// Returns a child's entry as it is there: with its new digest, and naming its image's new digest.
fn renamed(child: &Descriptor, changed: &HashMap<Digest, Descriptor>) -> Descriptor {
    let mut entry = changed.get(&child.digest).unwrap_or(child).clone();
    if let Some(about) = entry.annotations.as_mut().and_then(|all| all.get_mut(ABOUT))
        && let Ok(old) = about.parse::<Digest>()
        && let Some(new) = changed.get(&old)
    {
        *about = new.digest.to_string();
    }
    entry
}
