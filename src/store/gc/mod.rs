//! Garbage collection: what is needed, what can go, and taking it away.
//!
//! A command makes a [`Plan`], which can be shown, and applies it. The plan
//! is made from what was seen without a lock; when it is applied, under the
//! collector's lock for moments, everything in it is judged again: a name
//! that moved, an image that was tagged, a record that was used or a layer
//! that someone leased since then stays.
//!
//! What is needed: whatever an image or index row names, the layers of cache
//! records, what living processes lease. Rows go first, durably; then what
//! nothing names any more is renamed into `tmp/`, and deleted without a lock.
//! Death in between leaves things that the next plan finds.

mod apply;
mod debris;
mod platforms;
mod policy;
mod remove;
#[cfg(test)]
mod tests;
mod usage;
mod view;

pub use policy::{CachePolicy, ImagePolicy, Plan};
pub use remove::ImageUse;
pub use usage::{CacheUsage, ImageUsage, MountUsage, Summary, Usage};

/// What applying a plan did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Names that are gone, as people type them.
    pub untagged: Vec<String>,
    /// Ids of images, indexes and layers that are gone, as docker lists them.
    pub deleted: Vec<String>,
    /// Keys of cache records that are gone.
    pub records: Vec<super::CacheKey>,
    /// Bytes that are free again.
    pub bytes: u64,
}

impl Removed {
    /// Adds what another plan did.
    pub fn extend(&mut self, other: Self) {
        self.untagged.extend(other.untagged);
        self.deleted.extend(other.deleted);
        self.records.extend(other.records);
        self.bytes += other.bytes;
    }
}
