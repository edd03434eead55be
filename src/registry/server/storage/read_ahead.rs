//! Reads a part of a file in large pieces off the reactor, one piece ahead of the network.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use tokio::task::JoinHandle;

use super::BlobBytes;

/// Bytes of one read.
const PIECE: u64 = 512 << 10;

struct Reading {
    file: Arc<File>,
    at: u64,
    end: u64,
    ahead: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Reading {
    fn start_next(&mut self) {
        if self.at >= self.end {
            return;
        }
        let (file, at, size) = (Arc::clone(&self.file), self.at, PIECE.min(self.end - self.at));
        self.at += size;
        self.ahead = Some(tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; usize::try_from(size).expect("a piece fits")];
            file.read_exact_at(&mut piece, at)?;
            Ok(piece.into())
        }));
    }
}

/// Returns the bytes of a range that the file has.
pub(super) fn read_ahead(file: File, range: Range<u64>) -> BlobBytes {
    let _ = rustix::fs::fadvise(
        &file,
        range.start,
        std::num::NonZeroU64::new(range.end.saturating_sub(range.start)),
        rustix::fs::Advice::Sequential,
    );
    let mut reading = Reading { file: Arc::new(file), at: range.start, end: range.end, ahead: None };
    reading.start_next();
    Box::pin(stream::unfold(reading, |mut reading| async move {
        let piece = reading.ahead.take()?.await.unwrap_or_else(|e| Err(io::Error::other(e)));
        if piece.is_ok() {
            reading.start_next();
        }
        Some((piece, reading))
    }))
}
