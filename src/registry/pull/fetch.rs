//! The bytes of one blob: in one range or in several at once, taken up where they were left.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use super::super::client::Repository;
use super::super::error::RegistryError;
use super::super::transfer::{Gates, Transfer, TransferError};
use crate::image::Descriptor;
use crate::store::Partial;

/// Wait after a failure that came behind some progress.
const PAUSE: Duration = Duration::from_millis(500);
/// Bytes between two failures that are progress, and failures without.
const PROGRESS: u64 = 64 << 10;
const FAILURES: u32 = 3;
/// Ranges of one blob that come at the same time.
const RANGES: usize = 4;
/// A range is only cut when both halves are at least this long.
const LEAST: u64 = 8 << 20;
/// How often the speed is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// Bytes in that time above which one connection is fast enough.
const FAST: u64 = 40 << 20;
/// Bytes between two reports.
const STEP: u64 = 512 << 10;

/// A range of the blob on its way.
#[derive(Debug)]
struct Span {
    at: AtomicU64,
    end: AtomicU64,
}

impl Span {
    fn new(range: &Range<u64>) -> Arc<Self> {
        Arc::new(Self { at: AtomicU64::new(range.start), end: AtomicU64::new(range.end) })
    }

    fn left(&self) -> u64 {
        self.end.load(Ordering::Relaxed).saturating_sub(self.at.load(Ordering::Relaxed))
    }

    /// Gives the later half away.
    fn split(&self) -> Range<u64> {
        let end = self.end.load(Ordering::Relaxed);
        let middle = self.at.load(Ordering::Relaxed) + self.left() / 2;
        self.end.store(middle, Ordering::Relaxed);
        middle..end
    }
}

/// One blob on its way into a partial.
pub(in crate::registry) struct Fetch<'a> {
    pub(in crate::registry) transfer: &'a Transfer,
    pub(in crate::registry) repo: &'a Repository,
    pub(in crate::registry) blob: &'a Descriptor,
    pub(in crate::registry) partial: &'a Partial,
    pub(in crate::registry) gates: &'a Gates,
}

impl Fetch<'_> {
    /// Fetches what is missing; the digest is for whoever reads it.
    ///
    /// # Errors
    /// See [`RegistryError`]; what came stays.
    pub(in crate::registry) async fn run(&self) -> Result<(), TransferError> {
        let mut failures = 0;
        let counted = Counted {
            done: AtomicU64::new(self.partial.present(self.blob.size)),
            reported: AtomicU64::new(0),
            one_only: AtomicBool::new(false),
        };
        loop {
            let gaps = self.partial.missing(self.blob.size);
            if gaps.is_empty() {
                return Ok(());
            }
            let before = counted.done.load(Ordering::Relaxed);
            match self.ranges(gaps, &counted).await {
                Ok(()) => {}
                // The client has tried again already where nothing came at all.
                Err(TransferError::Registry(error)) if error.is_temporary() => {
                    let moved = counted.done.load(Ordering::Relaxed) - before;
                    failures = if moved < PROGRESS { failures + 1 } else { 0 };
                    if moved == 0 || failures >= FAILURES {
                        return Err(error.into());
                    }
                    let wait = error.retry_after().unwrap_or(PAUSE);
                    tokio::time::sleep(wait.min(Duration::from_secs(60))).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Fetches some ranges, and cuts them while one connection alone is slow.
    async fn ranges(&self, gaps: Vec<Range<u64>>, counted: &Counted) -> Result<(), TransferError> {
        let mut spans: Vec<Arc<Span>> = Vec::new();
        let mut running = FuturesUnordered::new();
        for gap in gaps.into_iter().take(RANGES) {
            let span = Span::new(&gap);
            spans.push(Arc::clone(&span));
            running.push(self.range(span, counted, false));
        }
        let mut extra = Vec::new();
        let mut look = tokio::time::interval_at(tokio::time::Instant::now() + LOOK, LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut seen = counted.done.load(Ordering::Relaxed);
        loop {
            tokio::select! {
                ended = running.next() => match ended {
                    Some(result) => result?,
                    None => return Ok(()),
                },
                _ = look.tick() => {
                    let now = counted.done.load(Ordering::Relaxed);
                    let slow = now - seen < FAST;
                    seen = now;
                    if !slow || running.len() >= RANGES || counted.one_only.load(Ordering::Relaxed) {
                        continue;
                    }
                    let Some(longest) = spans.iter().max_by_key(|span| span.left()) else { continue };
                    if longest.left() < 2 * LEAST {
                        continue;
                    }
                    let Ok(permit) = self.gates.connections.try_acquire() else { continue };
                    extra.push(permit);
                    let span = Span::new(&longest.split());
                    spans.push(Arc::clone(&span));
                    running.push(self.range(span, counted, true));
                }
            }
        }
    }

    /// Fetches one range, which may become shorter meanwhile.
    async fn range(&self, span: Arc<Span>, counted: &Counted, cut: bool) -> Result<(), TransferError> {
        let (start, end) = (span.at.load(Ordering::Relaxed), span.end.load(Ordering::Relaxed));
        let asked = (start > 0 || end < self.blob.size).then_some((start, Some(end)));
        let mut stream = self.transfer.client.blob(self.repo, &self.blob.digest, asked).await?;
        if let Some(total) = stream.total()
            && total != self.blob.size
        {
            return Err(self.wrong_size(total));
        }
        if cut && !stream.is_range() {
            // A server without ranges sends all of it to everyone who asks.
            counted.one_only.store(true, Ordering::Relaxed);
            return Ok(());
        }
        let mut writer = self.partial.writer(start)?;
        loop {
            let at = stream.offset();
            let Some(bytes) = stream.next().await? else { break };
            // What comes before the range was asked for by nobody.
            let skip = start.saturating_sub(at).min(bytes.len() as u64) as usize;
            let left = span.end.load(Ordering::Relaxed).saturating_sub(writer.offset());
            if bytes.len() as u64 - skip as u64 > left && span.end.load(Ordering::Relaxed) == self.blob.size {
                return Err(self.wrong_size(writer.offset() + (bytes.len() - skip) as u64));
            }
            let take = (bytes.len() - skip).min(left as usize);
            writer.append(&bytes[skip..skip + take])?;
            span.at.store(writer.offset(), Ordering::Relaxed);
            counted.add(self, take as u64);
            if take as u64 == left && span.end.load(Ordering::Relaxed) < self.blob.size {
                return Ok(());
            }
        }
        if span.left() > 0 {
            let url = format!("{}@{}", self.repo, self.blob.digest);
            return Err(RegistryError::Truncated { url, expected: end, got: writer.offset() }.into());
        }
        Ok(())
    }

    fn wrong_size(&self, got: u64) -> TransferError {
        let url = format!("{}@{}", self.repo, self.blob.digest);
        RegistryError::Size { url, expected: self.blob.size, got }.into()
    }
}

/// What came of a blob.
struct Counted {
    done: AtomicU64,
    reported: AtomicU64,
    /// Whether the server sends no ranges.
    one_only: AtomicBool,
}

impl Counted {
    fn add(&self, fetch: &Fetch<'_>, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if done - self.reported.load(Ordering::Relaxed) >= STEP || done >= fetch.blob.size {
            self.reported.store(done, Ordering::Relaxed);
            fetch.transfer.progress(&fetch.blob.digest, done);
        }
    }
}
