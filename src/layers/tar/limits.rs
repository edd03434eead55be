//! What a tar may claim and have.

use super::super::error::LayerError;

/// What a tar may have at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TarLimits {
    /// Number of entries.
    pub entries: u64,
    /// Bytes of all contents together.
    pub bytes: u64,
    /// Bytes of one path or link target.
    pub path: u32,
    /// Bytes of holes in sparse files, all together: what a few bytes of a tar can make of nothing.
    pub holes: u64,
    /// Bytes behind the end of the archive.
    pub trailing: u64,
}

impl Default for TarLimits {
    /// Ten million entries, 8 TiB, paths as long as Linux takes them, 64 GiB of holes, 1 GiB behind the end.
    fn default() -> Self {
        Self { entries: 10_000_000, bytes: 8 << 40, path: 4096, holes: 64 << 30, trailing: 1 << 30 }
    }
}

/// What was counted so far.
#[derive(Debug, Default)]
pub(super) struct Counted {
    entries: u64,
    bytes: u64,
    holes: u64,
}

impl Counted {
    /// Counts an entry: the bytes of its content, and those of them that are holes.
    pub fn add(&mut self, limits: &TarLimits, bytes: u64, holes: u64) -> Result<(), LayerError> {
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        self.holes = self.holes.saturating_add(holes);
        within(self.entries, limits.entries, "entries")?;
        within(self.bytes, limits.bytes, "bytes")?;
        within(self.holes, limits.holes, "bytes of holes in sparse files")
    }
}

/// Refuses what is over a limit.
pub(super) fn within(count: u64, limit: u64, unit: &'static str) -> Result<(), LayerError> {
    if count > limit { Err(LayerError::Limit { limit, unit }) } else { Ok(()) }
}
