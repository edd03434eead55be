//! Taking blobs over from another repository: there already, mounted, or copied through this machine.

use bytes::Bytes;

use super::{MountOutcome, RegistryClient, Repository, Upload, UploadBody};
use crate::image::Descriptor;
use crate::registry::RegistryError;

impl RegistryClient {
    /// Sees to it that `to` has a blob that `from` has.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn take_over_blob(
        &self,
        from: &Repository,
        to: &Repository,
        wanted: &Descriptor,
    ) -> Result<(), RegistryError> {
        if from == to || self.has_blob(to, &wanted.digest).await? {
            return Ok(());
        }
        let upload = if from.domain() == to.domain() {
            match self.mount_blob(to, &wanted.digest, from).await? {
                MountOutcome::Mounted => return Ok(()),
                MountOutcome::Upload(upload) => *upload,
            }
        } else {
            self.begin_upload(to).await?
        };
        self.copy_through(upload, from, wanted).await
    }

    async fn copy_through(
        &self,
        mut upload: Upload,
        from: &Repository,
        wanted: &Descriptor,
    ) -> Result<(), RegistryError> {
        let source = self.blob(from, &wanted.digest, None).await?;
        let pieces = futures_util::stream::unfold(Some(source), |source| async {
            let mut source = source?;
            match source.next().await {
                Ok(None) => None,
                Ok(Some(piece)) => Some((Ok::<Bytes, std::io::Error>(piece), Some(source))),
                Err(error) => Some((Err(std::io::Error::other(error)), None)),
            }
        });
        // The registry checks the digest before it takes the blob.
        let body = UploadBody::once(Some(wanted.size), Box::pin(pieces));
        upload.put_stream(&wanted.digest, body).await
    }
}
