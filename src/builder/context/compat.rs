//! Stand-in for `layers::Mtime` until that is there.

/// A modification time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Mtime {
    /// Seconds since the epoch.
    pub seconds: i64,
    /// And nanoseconds.
    pub nanos: u32,
}
