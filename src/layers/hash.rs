//! SHA-256 beside reading and writing: large buffers go to a thread of their own.

use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use sha2::{Digest as _, Sha256};

use super::error::LayerError;
use crate::image::Digest;

/// Bytes that are written and hashed at once.
const BUFFER: usize = 1 << 20;
/// Buffers under way.
const DEPTH: usize = 4;

/// Hashes buffers on another thread, which starts with the second one: a small layer needs none.
#[derive(Debug, Default)]
struct Hasher {
    here: Sha256,
    there: Option<(SyncSender<Vec<u8>>, Receiver<Vec<u8>>, JoinHandle<Sha256>)>,
    buffers: usize,
}

impl Hasher {
    /// Hashes a buffer and returns an empty one.
    fn update(&mut self, buffer: Vec<u8>) -> Vec<u8> {
        self.buffers += 1;
        if self.buffers == 1 {
            self.here.update(&buffer);
            return cleared(buffer);
        }
        let (to, back, _) = self.there.get_or_insert_with(|| start(std::mem::take(&mut self.here)));
        if to.send(buffer).is_err() {
            unreachable!("the hashing thread lives as long as its sender");
        }
        match back.try_recv() {
            Ok(used) => cleared(used),
            Err(_) if self.buffers <= DEPTH + 1 => Vec::with_capacity(BUFFER),
            Err(_) => back.recv().map_or_else(|_| Vec::with_capacity(BUFFER), cleared),
        }
    }

    fn finish(self, last: &[u8]) -> Digest {
        let mut hasher = match self.there {
            None => self.here,
            Some((to, back, thread)) => {
                drop(to);
                drop(back);
                thread.join().expect("hashing does not panic")
            }
        };
        hasher.update(last);
        Digest::from_bytes(hasher.finalize().into())
    }
}

fn start(mut hasher: Sha256) -> (SyncSender<Vec<u8>>, Receiver<Vec<u8>>, JoinHandle<Sha256>) {
    let (to, from_writer) = sync_channel::<Vec<u8>>(DEPTH);
    let (give_back, back) = sync_channel::<Vec<u8>>(DEPTH * 2);
    let thread = std::thread::Builder::new()
        .name("sha256".to_owned())
        .spawn(move || {
            for buffer in from_writer {
                hasher.update(&buffer);
                // Nobody may wait for it any more.
                let _ = give_back.try_send(buffer);
            }
            hasher
        })
        .expect("a thread can be started");
    (to, back, thread)
}

fn cleared(mut buffer: Vec<u8>) -> Vec<u8> {
    buffer.clear();
    buffer
}

/// Writes in large pieces and knows the digest and the number of the bytes at the end.
#[derive(Debug)]
pub struct HashingWriter<W: Write> {
    out: W,
    buffer: Vec<u8>,
    hasher: Hasher,
    size: u64,
}

impl<W: Write> HashingWriter<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out, buffer: Vec::with_capacity(64 << 10), hasher: Hasher::default(), size: 0 }
    }

    /// Writes what is left and returns the digest and the size of everything.
    ///
    /// # Errors
    /// The output fails.
    pub fn finish(mut self) -> Result<(Digest, u64), LayerError> {
        self.out
            .write_all(&self.buffer)
            .and_then(|()| self.out.flush())
            .map_err(LayerError::io("write layer"))?;
        Ok((self.hasher.finish(&self.buffer), self.size))
    }

    fn spill(&mut self) -> std::io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.buffer = self.hasher.update(std::mem::take(&mut self.buffer));
        Ok(())
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let room = BUFFER - self.buffer.len();
        let count = bytes.len().min(room);
        self.buffer.extend_from_slice(&bytes[..count]);
        self.size += count as u64;
        if self.buffer.len() == BUFFER {
            self.spill()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        // Pieces stay large; `finish` writes the last one.
        Ok(())
    }
}

/// Reads in large pieces and knows the digest of the bytes at the end.
pub struct HashingReader<R: Read> {
    source: R,
    buffer: Vec<u8>,
    hasher: Hasher,
}

impl<R: Read> HashingReader<R> {
    /// Reads from `source`.
    pub fn new(source: R) -> Self {
        Self { source, buffer: Vec::with_capacity(64 << 10), hasher: Hasher::default() }
    }

    /// Returns the source; the digest is given up.
    pub fn into_unhashed(self) -> R {
        self.source
    }

    /// Returns the digest of all that was read.
    pub fn finish(self) -> Digest {
        self.hasher.finish(&self.buffer)
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = self.source.read(out)?;
        self.buffer.extend_from_slice(&out[..count]);
        if self.buffer.len() >= BUFFER {
            self.buffer = self.hasher.update(std::mem::take(&mut self.buffer));
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_the_bytes_whatever_their_pieces() {
        for size in [0usize, 1, 1000, BUFFER - 1, BUFFER, BUFFER + 1, 9 * BUFFER + 17] {
            let data: Vec<u8> = (0..size).map(|n| (n * 31 + n / 977) as u8).collect();
            let mut out = Vec::new();
            let mut writer = HashingWriter::new(&mut out);
            for piece in data.chunks(70_001) {
                writer.write_all(piece).unwrap();
            }
            assert_eq!(writer.finish().unwrap(), (Digest::of(&data), size as u64));
            assert_eq!(out, data);
            let mut reader = HashingReader::new(&data[..]);
            std::io::copy(&mut reader, &mut std::io::sink()).unwrap();
            assert_eq!(reader.finish(), Digest::of(&data));
        }
    }
}
