//! One blob into a repository: looked up, mounted, or sent; taken up where an earlier attempt ended.

use std::future::Future;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use super::layer::Closing;
use super::scale::Scale;
use super::{LayerBytes, Push};
use crate::image::{Descriptor, Digest};
use crate::progress::TransferState;
use crate::registry::client::{ByteStream, MountOutcome, Repository, Upload, UploadBody};
use crate::registry::error::RegistryError;
use crate::registry::pull::Fetch;
use crate::registry::transfer::TransferError;
use crate::store::Partial;

/// Attempts without a byte of progress.
const ATTEMPTS: u32 = 5;
/// Repositories from which a mount is tried.
const MOUNTS: usize = 3;
/// Bytes that are read at once, and pieces that wait to be sent.
const PIECE: usize = 256 << 10;
const AHEAD: usize = 4;

/// How long an upload that broke off must stand still, and how often that is looked at.
const SETTLE: Duration = Duration::from_millis(400);
const LOOKS: u32 = 15;

/// How a blob came to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::registry) enum Found {
    /// It was.
    There,
    /// From another repository of the registry.
    Mounted(String),
    /// It was sent.
    Sent,
}

impl Found {
    pub(in crate::registry) fn state(&self) -> TransferState {
        match self {
            Self::There => TransferState::ExistsThere,
            Self::Mounted(from) => TransferState::Mounted(from.clone()),
            Self::Sent => TransferState::Pushed,
        }
    }
}

impl Push<'_> {
    /// Sees to it that a known blob is there; none if its bytes can't be had.
    pub(in crate::registry) async fn blob(
        &self,
        blob: &Descriptor,
        shown: &Digest,
        bytes: Option<LayerBytes>,
    ) -> Result<Option<Found>, TransferError> {
        let _permit = self.gates.connections.acquire().await.expect("the gate is never closed");
        let client = &self.transfer.client;
        if client.has_blob(self.repo, &blob.digest).await.map_err(TransferError::push)? {
            return Ok(Some(Found::There));
        }
        let mut begun = None;
        for from in self.transfer.store.known_places(self.repo.domain(), blob.digest)?.iter().take(MOUNTS) {
            let Some((_, path)) = from.split_once('/').filter(|_| *from != self.repo.to_string()) else {
                continue;
            };
            let from = self.repo.sibling(path);
            // What a registry does not let one mount is sent.
            match client.mount_blob(self.repo, &blob.digest, &from).await {
                Ok(MountOutcome::Mounted) => return Ok(Some(Found::Mounted(path.to_owned()))),
                Ok(MountOutcome::Upload(upload)) => begun = Some(*upload),
                Err(_) => {}
            }
        }
        let bytes = match bytes {
            Some(LayerBytes::Remote(places)) => return self.passed_on(blob, shown, &places, begun).await,
            other => other,
        };
        let Some(bytes) = bytes else {
            if let Some(upload) = begun {
                upload.cancel().await;
            }
            return Ok(None);
        };
        self.transfer.started(shown, Some(blob.size));
        let what = blob.digest.to_string();
        let sent = self.send(&what, shown, &bytes, Some(blob), begun).await?;
        match sent.finish(self, &blob.digest).await {
            Ok(()) => {}
            // Bytes that were kept may have suffered in a crash, and so may half an upload.
            Err(TransferError::Registry(error)) if is_wrong_bytes(&error) => {
                if let LayerBytes::Kept(id, _) = &bytes {
                    self.transfer.store.drop_blob(*id, blob.digest)?;
                    return Ok(None);
                }
                let again = self.send(&what, shown, &bytes, Some(blob), None).await?;
                again.finish(self, &blob.digest).await?;
            }
            Err(error) => return Err(error),
        }
        self.transfer.done(shown, false);
        Ok(Some(Found::Sent))
    }

    /// Sees to it that a blob of the store is there.
    pub(super) async fn stored_blob(&self, blob: &Descriptor) -> Result<(), TransferError> {
        let bytes = LayerBytes::stored(&self.transfer.store, blob)?;
        match self.blob(blob, &blob.digest, bytes).await? {
            Some(_) => Ok(()),
            None => Err(TransferError::Lost { blob: blob.digest, name: self.repo.to_string() }),
        }
    }

    /// Sends a blob while it is being made; `made` gives its descriptor when it is whole.
    pub(super) async fn send_growing(
        &self,
        what: &str,
        shown: &Digest,
        partial: &Arc<Partial>,
        scale: &Arc<Scale>,
        made: impl Future<Output = Result<Descriptor, TransferError>>,
    ) -> Result<Descriptor, TransferError> {
        let _permit = self.gates.connections.acquire().await.expect("the gate is never closed");
        let bytes = LayerBytes::Partial(Arc::clone(partial), None);
        let (made, sent) = if self.is_begun(what)? {
            // Where an upload goes on, what is sent needs its place, and so its length.
            let made = made.await?;
            self.transfer.started(shown, Some(made.size));
            let sent = self.send(&made.digest.to_string(), shown, &bytes, Some(&made), None).await?;
            (made, sent)
        } else {
            self.transfer.started(shown, Some(scale.plain));
            let sending = self.send_scaled(what, shown, &bytes, scale);
            futures_util::future::try_join(made, sending).await?
        };
        if let Err(error) = sent.finish(self, &made.digest).await {
            match error {
                // Half of it was another version's.
                TransferError::Registry(error) if is_wrong_bytes(&error) => {
                    let again = self.send(what, shown, &bytes, Some(&made), None).await?;
                    again.finish(self, &made.digest).await?;
                }
                error => return Err(error),
            }
        }
        self.transfer.done(shown, false);
        Ok(made)
    }

    /// Sends all bytes of a blob; the upload is not finished yet.
    async fn send(
        &self,
        what: &str,
        shown: &Digest,
        bytes: &LayerBytes,
        blob: Option<&Descriptor>,
        begun: Option<Upload>,
    ) -> Result<Sending, TransferError> {
        let (transfer, shown) = (self.transfer.clone(), *shown);
        self.send_told(what, bytes, blob, begun, move |done| transfer.progress(&shown, done)).await
    }

    /// Sends a blob whose size is not known yet: what is told is how much of the layer that was.
    async fn send_scaled(
        &self,
        what: &str,
        shown: &Digest,
        bytes: &LayerBytes,
        scale: &Arc<Scale>,
    ) -> Result<Sending, TransferError> {
        let (transfer, shown, scale) = (self.transfer.clone(), *shown, Arc::clone(scale));
        let tell = move |done| transfer.progress(&shown, scale.plain_of(done));
        self.send_told(what, bytes, None, None, tell).await
    }

    async fn send_told(
        &self,
        what: &str,
        bytes: &LayerBytes,
        blob: Option<&Descriptor>,
        begun: Option<Upload>,
        tell: impl Fn(u64) + Clone + Send + 'static,
    ) -> Result<Sending, TransferError> {
        let place = self.repo.to_string();
        let mut upload = self.begin(what, begun).await?;
        let mut failures = 0;
        let mut refused_at = None;
        loop {
            let offset = upload.offset();
            let reader = bytes.open(offset)?;
            let stream = pieces(reader, tell.clone(), offset);
            let length = blob.map(|blob| blob.size.saturating_sub(offset));
            let body = UploadBody::once(length, stream);
            let error = match upload.patch_stream(body).await {
                Ok(()) => return Ok(Sending { upload, what: what.to_owned() }),
                Err(error) => error,
            };
            // A token may run out between two requests; the bytes that went with it can't be sent again
            // from where they came, but they can be read again.
            let renewed = error.status() == Some(401) && refused_at != Some(offset);
            // What a killed process still had on its way may arrive after the registry was asked where it stands.
            let moved_on = error.status() == Some(416);
            if !error.is_temporary() && !renewed && !moved_on {
                return Err(TransferError::push(error));
            }
            if renewed {
                refused_at = Some(offset);
            }
            failures += 1;
            if failures >= ATTEMPTS {
                return Err(error.into());
            }
            if !renewed {
                let wait = error.retry_after().unwrap_or(Duration::from_millis(250 << failures));
                tokio::time::sleep(wait.min(Duration::from_secs(60))).await;
            }
            // Where it stands is the registry's word; one that does not know any more begins anew.
            match settled(&mut upload).await {
                Ok(now) if now > offset => failures = 1,
                Ok(_) => {}
                Err(_) => {
                    upload =
                        self.transfer.client.begin_upload(self.repo).await.map_err(TransferError::push)?;
                }
            }
            self.transfer.store.note_upload(&place, what, upload.location())?;
        }
    }

    /// Whether an earlier process began an upload.
    fn is_begun(&self, what: &str) -> Result<bool, TransferError> {
        Ok(self.transfer.store.upload(&self.repo.to_string(), what)?.is_some())
    }

    /// Takes up an upload that an earlier process began, or begins one.
    async fn begin(&self, what: &str, begun: Option<Upload>) -> Result<Upload, TransferError> {
        let (store, client) = (&self.transfer.store, &self.transfer.client);
        let place = self.repo.to_string();
        // Looking where it stands takes a while, in which this process may be killed as well: it stays noted.
        if let Some(location) = store.upload(&place, what)?
            && let Ok(mut upload) = client.resume_upload(self.repo, &location)
            && settled(&mut upload).await.is_ok()
        {
            store.note_upload(&place, what, upload.location())?;
            return Ok(upload);
        }
        let upload = match begun {
            Some(upload) => upload,
            None => client.begin_upload(self.repo).await.map_err(TransferError::push)?,
        };
        store.note_upload(&place, what, upload.location())?;
        Ok(upload)
    }

    /// Sends a blob while it comes from a registry that had it; none if nobody has it any more.
    async fn passed_on(
        &self,
        blob: &Descriptor,
        shown: &Digest,
        places: &[Repository],
        mut begun: Option<Upload>,
    ) -> Result<Option<Found>, TransferError> {
        let mut wrong = None;
        for from in places.iter().filter(|from| *from != self.repo) {
            // Nothing is begun there before it is clear that somebody has the blob.
            if !self.transfer.client.has_blob(from, &blob.digest).await.unwrap_or(false) {
                continue;
            }
            self.transfer.started(shown, Some(blob.size));
            // Half of it may lie here since a crash; wrong bytes are asked for once more.
            for _ in 0..2 {
                match self.pass_on(from, blob, shown, begun.take()).await {
                    Ok(()) => {
                        self.transfer.done(shown, false);
                        return Ok(Some(Found::Sent));
                    }
                    Err(TransferError::Registry(error)) if is_wrong_bytes(&error) => wrong = Some(error),
                    Err(error) => return Err(error),
                }
            }
        }
        if let Some(upload) = begun {
            upload.cancel().await;
        }
        wrong.map_or(Ok(None), |error| Err(error.into()))
    }

    /// Fetches a blob into a partial and sends what has come at the same time.
    async fn pass_on(
        &self,
        from: &Repository,
        blob: &Descriptor,
        shown: &Digest,
        begun: Option<Upload>,
    ) -> Result<(), TransferError> {
        let name = format!("pull {}", blob.digest);
        let partial = Arc::new(self.transfer.beside(move |store| store.partial(&name)).await?);
        let _closing = Closing(Arc::clone(&partial));
        let bytes = LayerBytes::Partial(Arc::clone(&partial), Some(blob.size));
        let quiet = self.transfer.silent();
        let fetch = Fetch { transfer: &quiet, repo: from, blob, partial: &partial, gates: &self.gates };
        let what = blob.digest.to_string();
        let sending = self.send(&what, shown, &bytes, Some(blob), begun);
        let ((), sent) = futures_util::future::try_join(fetch.run(), sending).await?;
        let finished = sent.finish(self, &blob.digest).await;
        if matches!(&finished, Err(TransferError::Registry(error)) if is_wrong_bytes(error)) {
            partial.clear()?;
        }
        finished?;
        drop((bytes, _closing));
        if let Ok(partial) = Arc::try_unwrap(partial) {
            partial.finish()?;
        }
        Ok(())
    }
}

/// Returns where an upload stands once that does not change any more.
///
/// What a broken connection still had on its way may be arriving; bytes that are
/// sent behind it before it ended would come in between.
async fn settled(upload: &mut Upload) -> Result<u64, RegistryError> {
    let mut known = upload.state().await?;
    for _ in 0..LOOKS {
        tokio::time::sleep(SETTLE).await;
        let now = upload.state().await?;
        if now == known {
            break;
        }
        known = now;
    }
    Ok(known)
}

/// An upload whose bytes are all there.
struct Sending {
    upload: Upload,
    what: String,
}

impl Sending {
    async fn finish(mut self, push: &Push<'_>, digest: &Digest) -> Result<(), TransferError> {
        let finished = self.upload.finish(digest).await;
        // Whatever came of it, there is nothing to take up any more.
        let (store, place) = (&push.transfer.store, push.repo.to_string());
        store.take_upload(&place, &self.what)?;
        store.take_upload(&place, &digest.to_string())?;
        finished.map_err(TransferError::push)
    }
}

/// Whether a registry says that what it got is not what it was told.
fn is_wrong_bytes(error: &RegistryError) -> bool {
    matches!(error.status(), Some(400 | 404 | 416))
        && ["DIGEST_INVALID", "SIZE_INVALID", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN"]
            .iter()
            .any(|code| error.has_code(code))
}

/// Turns a reader that may wait into pieces, read on a thread beside.
fn pieces(mut reader: Box<dyn Read + Send>, tell: impl Fn(u64) + Send + 'static, from: u64) -> ByteStream {
    let (to, from_reader) = tokio::sync::mpsc::channel::<std::io::Result<bytes::Bytes>>(AHEAD);
    tokio::task::spawn_blocking(move || {
        let mut done = from;
        loop {
            let mut piece = vec![0; PIECE];
            let read = fill(&mut reader, &mut piece);
            let (piece, last) = match read {
                Ok(0) => return,
                Ok(count) => {
                    piece.truncate(count);
                    done += count as u64;
                    (Ok(piece.into()), false)
                }
                Err(error) => (Err(error), true),
            };
            if to.blocking_send(piece).is_err() || last {
                return;
            }
            tell(done);
        }
    });
    Box::pin(futures_util::stream::unfold(from_reader, |mut from_reader| async move {
        from_reader.recv().await.map(|piece| (piece, from_reader))
    }))
}

/// Reads until a piece is full or nothing more is at hand.
fn fill(reader: &mut impl Read, piece: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < piece.len() {
        match reader.read(&mut piece[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
