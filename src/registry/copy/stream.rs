//! From requests to readers on other threads, and from readers to digests.

use std::io::{self, Read, Write};

use bytes::{Buf as _, Bytes};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::super::client::BlobStream;
use super::super::error::RegistryError;
use super::super::transfer::{Transfer, TransferError};
use crate::image::{Descriptor, Digest};
use crate::layers::HashingReader;

/// Pieces that wait to be read.
const AHEAD: usize = 16;
/// Bytes between two reports.
const STEP: u64 = 512 << 10;
/// Bytes that are copied at once.
const PIECE: usize = 256 << 10;

/// Returns both ends of a pipe; the reader blocks its thread until bytes come.
pub(super) fn pipe() -> (Sender<io::Result<Bytes>>, PipeReader) {
    let (to, from) = channel(AHEAD);
    (to, PipeReader { from, left: Bytes::new() })
}

/// The end of a pipe that is read.
pub(super) struct PipeReader {
    from: Receiver<io::Result<Bytes>>,
    left: Bytes,
}

impl Read for PipeReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.left.is_empty() {
            match self.from.blocking_recv() {
                None => return Ok(0),
                Some(piece) => self.left = piece?,
            }
        }
        let count = out.len().min(self.left.len());
        self.left.copy_to_slice(&mut out[..count]);
        Ok(count)
    }
}

/// Puts a blob's bytes from `at` on into a pipe.
pub(super) async fn feed(
    transfer: &Transfer,
    blob: &Descriptor,
    at: u64,
    mut stream: BlobStream,
    to: Sender<io::Result<Bytes>>,
) -> Result<(), TransferError> {
    let (mut done, mut said) = (at, at);
    loop {
        let begin = stream.offset();
        match stream.next().await {
            Ok(None) => return Ok(()),
            Ok(Some(mut piece)) => {
                // A server without ranges sends what is here once more.
                let known = usize::try_from(done.saturating_sub(begin)).unwrap_or(usize::MAX);
                piece.advance(known.min(piece.len()));
                done += piece.len() as u64;
                if done > blob.size {
                    let url = format!("blob {}", blob.digest);
                    let error = RegistryError::Size { url, expected: blob.size, got: done };
                    let _ = to.send(Err(io::Error::other("the blob is too long"))).await;
                    return Err(error.into());
                }
                if to.send(Ok(piece)).await.is_err() {
                    // Whoever reads has failed and says why.
                    return Ok(());
                }
                if done - said >= STEP || done == blob.size {
                    said = done;
                    transfer.progress(&blob.digest, done);
                }
            }
            Err(error) => {
                let _ = to.send(Err(io::Error::other("the transfer broke"))).await;
                return Err(error.into());
            }
        }
    }
}

/// A reader that reports how far it is.
pub(super) struct Counted {
    pub(super) reader: Box<dyn Read + Send>,
    pub(super) done: u64,
    pub(super) said: u64,
    pub(super) transfer: Transfer,
    pub(super) digest: Digest,
}

impl Read for Counted {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(out)?;
        self.done += count as u64;
        if self.done - self.said >= STEP {
            self.said = self.done;
            self.transfer.progress(&self.digest, self.done);
        }
        Ok(count)
    }
}

/// A blob's bytes, checked: it gives the last of them only if size and digest are right.
pub(super) struct Verified<R: Read> {
    reader: Option<HashingReader<R>>,
    digest: Digest,
    left: u64,
}

impl<R: Read> Verified<R> {
    pub(super) fn new(reader: R, blob: &Descriptor) -> Self {
        Self { reader: Some(HashingReader::new(reader)), digest: blob.digest, left: blob.size }
    }
}

impl<R: Read> Read for Verified<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let Some(reader) = &mut self.reader else { return Ok(0) };
        if out.is_empty() {
            return Ok(0);
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(out.len());
        let count = if most == 0 { 0 } else { reader.read(&mut out[..most])? };
        self.left -= count as u64;
        if count == 0 && self.left > 0 {
            let what = format!("blob {} ends {} bytes too early", self.digest, self.left);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
        }
        if self.left == 0 {
            let got = self.reader.take().map(HashingReader::finish);
            if got != Some(self.digest) {
                let got = got.map(|got| got.to_string()).unwrap_or_default();
                let what = format!("digest mismatch: {} expected, {got} found", self.digest);
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
        }
        Ok(count)
    }
}

/// Copies all of a reader to a writer in large pieces, but not the first `skip` bytes.
pub(super) fn pour(reader: &mut dyn Read, out: &mut dyn Write, mut skip: u64) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let count = reader.read(&mut piece)?;
        if count == 0 {
            return Ok(());
        }
        let known = usize::try_from(skip).unwrap_or(usize::MAX).min(count);
        skip -= known as u64;
        out.write_all(&piece[known..count])?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_right_bytes_end_well() {
        let blob = Descriptor::new("", Digest::of(b"hello"), 5);
        let read = |bytes: &'static [u8]| {
            let mut out = Vec::new();
            pour(&mut Verified::new(bytes, &blob), &mut out, 0).map(|()| out).map_err(|e| e.kind())
        };
        assert_eq!(read(b"hello"), Ok(b"hello".to_vec()));
        assert_eq!(read(b"hellO"), Err(io::ErrorKind::InvalidData));
        assert_eq!(read(b"hell"), Err(io::ErrorKind::UnexpectedEof));
        let empty = Descriptor::new("", Digest::of(b""), 0);
        pour(&mut Verified::new(&b""[..], &empty), &mut Vec::new(), 0).unwrap();
    }

    #[test]
    fn what_is_there_is_not_written_again() {
        let mut out = Vec::new();
        pour(&mut &b"hello"[..], &mut out, 3).unwrap();
        assert_eq!(out, b"lo");
    }
}
