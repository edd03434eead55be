//! How far a layer is that is sent while it is compressed: nobody knows yet how large it will be.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Plain and compressed bytes of one layer so far.
#[derive(Debug)]
pub(super) struct Scale {
    /// Size of the layer.
    pub(super) plain: u64,
    taken: AtomicU64,
    made: AtomicU64,
}

impl Scale {
    /// Begins with nothing of a layer of `plain` bytes.
    pub(super) fn new(plain: u64) -> Arc<Self> {
        Arc::new(Self { plain, taken: AtomicU64::new(0), made: AtomicU64::new(0) })
    }

    /// Returns how much of the layer stands in the first `packed` compressed bytes, nearly.
    pub(super) fn plain_of(&self, packed: u64) -> u64 {
        let (taken, made) = (self.taken.load(Ordering::Relaxed), self.made.load(Ordering::Relaxed));
        if made == 0 {
            return 0;
        }
        let part = u128::from(taken) * u128::from(packed.min(made)) / u128::from(made);
        u64::try_from(part).unwrap_or(u64::MAX).min(self.plain)
    }

    /// Counts what is read of the layer.
    pub(super) fn reader<R: Read>(&self, inner: R) -> Counted<'_, R> {
        Counted { count: &self.taken, inner }
    }

    /// Counts what is written of its compressed form.
    pub(super) fn writer<W: Write>(&self, inner: W) -> Counted<'_, W> {
        Counted { count: &self.made, inner }
    }
}

/// A stream whose bytes are counted.
#[derive(Debug)]
pub(super) struct Counted<'a, T> {
    count: &'a AtomicU64,
    inner: T,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        self.count.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.count.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_told_in_bytes_of_the_layer() {
        let scale = Scale::new(1000);
        assert_eq!(scale.plain_of(5), 0, "nothing is known yet");
        io::copy(&mut scale.reader(&[0; 500][..]), &mut io::sink()).unwrap();
        scale.writer(io::sink()).write_all(&[0; 100]).unwrap();
        assert_eq!(scale.plain_of(50), 250);
        io::copy(&mut scale.reader(&[0; 500][..]), &mut io::sink()).unwrap();
        scale.writer(io::sink()).write_all(&[0; 20]).unwrap();
        assert_eq!(scale.plain_of(120), 1000);
        assert_eq!(scale.plain_of(999), 1000, "never more than there is");
    }
}
