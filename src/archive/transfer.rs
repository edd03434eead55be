//! Counting the bytes that pass through a reader, for progress.

use std::io::Read;

use crate::progress::{Event, Reporter, TransferId};

/// Bytes between two reports.
const STEP: u64 = 4 << 20;

/// A reader that reports how many bytes it has given.
pub struct Counted<'a, R> {
    inner: R,
    id: TransferId,
    reporter: &'a dyn Reporter,
    done: u64,
    reported: u64,
}

impl<'a, R: Read> Counted<'a, R> {
    /// Wraps `inner`; `id` must have been reported as started.
    pub fn new(inner: R, id: TransferId, reporter: &'a dyn Reporter) -> Self {
        Self { inner, id, reporter, done: 0, reported: 0 }
    }
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.done += count as u64;
        if self.done - self.reported >= STEP || (count == 0 && self.done > self.reported) {
            self.reported = self.done;
            self.reporter.report(Event::TransferProgress { id: self.id, done: self.done });
        }
        Ok(count)
    }
}
