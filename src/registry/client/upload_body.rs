//! What an upload sends, and noticing that it does not get on.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};

/// Bytes as they become known.
pub type ByteStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// What is sent.
pub struct UploadBody {
    length: Option<u64>,
    source: Source,
}

enum Source {
    Bytes(Bytes),
    Once(Option<ByteStream>),
    Again(Box<dyn FnMut() -> ByteStream + Send>),
}

impl UploadBody {
    /// Sends bytes from memory; can be repeated.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { length: Some(bytes.len() as u64), source: Source::Bytes(bytes) }
    }

    /// Sends a stream that can't be had again: a failure in its midst ends the attempt.
    pub fn once(length: Option<u64>, stream: ByteStream) -> Self {
        Self { length, source: Source::Once(Some(stream)) }
    }

    /// Sends a stream that can be opened again from its beginning, e.g. after a token ran out.
    pub fn again(length: Option<u64>, open: impl FnMut() -> ByteStream + Send + 'static) -> Self {
        Self { length, source: Source::Again(Box::new(open)) }
    }

    /// Returns the number of bytes, if it is known.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// Returns the body from its beginning; none if it was sent and can't be had again.
    pub(super) fn open(&mut self) -> Option<(reqwest::Body, Moved)> {
        let moved = Moved::default();
        let stream = match &mut self.source {
            Source::Bytes(bytes) => return Some((reqwest::Body::from(bytes.clone()), moved)),
            Source::Once(stream) => stream.take()?,
            Source::Again(open) => open(),
        };
        let count = moved.clone();
        let counted = stream.inspect(move |piece| {
            if let Ok(piece) = piece {
                count.0.fetch_add(piece.len() as u64 + 1, Ordering::Relaxed);
            }
        });
        Some((reqwest::Body::wrap_stream(counted), moved))
    }
}

/// Counts what the connection took.
#[derive(Debug, Clone, Default)]
pub(super) struct Moved(Arc<AtomicU64>);

impl Moved {
    /// Ends when nothing was taken for `limit`.
    pub(super) async fn stalled(&self, limit: Duration) {
        let mut last = self.0.load(Ordering::Relaxed);
        loop {
            tokio::time::sleep(limit).await;
            let now = self.0.load(Ordering::Relaxed);
            if now == last {
                return;
            }
            last = now;
        }
    }
}
