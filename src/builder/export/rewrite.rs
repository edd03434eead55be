//! Times of files in layers that were made already: `rewrite-timestamp`, and one step further.
//!
//! The step further ([`Rewrite::Forget`]) takes everything out of a layer that only says when
//! it was made: all times, and the content of logs and caches that package managers write.

use sha2::{Digest as _, Sha256};

use crate::builder::error::BuildError;
use crate::image::DiffId;
use crate::layers::{EntryKind, LayerSink, Mtime, SinkOptions, TarReader};
use crate::store::{CacheKey, CacheRecord, LayerForm, StepId, Store, StoreError};

/// What becomes of the times of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rewrite {
    /// Nothing.
    #[default]
    No,
    /// Those above the epoch are lowered to it, as BuildKit does.
    Lower,
    /// All become the epoch, as buildah's `--timestamp` does.
    Set,
    /// All become the epoch, and files that are about the time of building alone become empty.
    Forget,
}

/// Files whose content says nothing but when and in which order things happened: logs of package
/// managers, and caches that hold inode numbers and times. Those that need them make them again.
const VOLATILE: &[&str] = &[
    "var/log/alternatives.log",
    "var/log/bootstrap.log",
    "var/log/dnf.librepo.log",
    "var/log/dnf.log",
    "var/log/dnf.rpm.log",
    "var/log/dpkg.log",
    "var/log/hawkey.log",
    "var/log/apt/eipp.log.xz",
    "var/log/apt/history.log",
    "var/log/apt/term.log",
    "var/cache/apt/pkgcache.bin",
    "var/cache/apt/srcpkgcache.bin",
    "var/cache/ldconfig/aux-cache",
];

impl Rewrite {
    fn empties(self, path: &[u8]) -> bool {
        self == Self::Forget && VOLATILE.iter().any(|name| name.as_bytes() == path)
    }

    fn apply(self, time: &mut Mtime, epoch: i64) {
        let later = time.seconds > epoch || (time.seconds == epoch && time.nanos > 0);
        if matches!(self, Self::Set | Self::Forget) || (self == Self::Lower && later) {
            *time = Mtime { seconds: epoch, nanos: 0 };
        }
    }
}

/// Returns the layer with other times; it is made once and remembered.
///
/// # Errors
/// The layer is gone, is no whole tar, or the store can't be written.
pub(super) fn rewritten(
    store: &Store,
    layer: DiffId,
    epoch: i64,
    how: Rewrite,
) -> Result<DiffId, BuildError> {
    let key = key(layer, epoch, how);
    if let Some(record) = store.cache_get(&key)?
        && let [made] = record.layers[..]
    {
        return Ok(made);
    }
    let source = store.layer(layer)?.ok_or(StoreError::NoLayer(layer))?;
    let draft = store.begin_layer()?;
    let index = store.form()?.0 == LayerForm::Index;
    let mut sink = LayerSink::create(draft.root(), SinkOptions { index })?;
    let mut tar = TarReader::new(source.tar()?);
    while let Some((mut entry, _)) = tar.next_entry()? {
        if !matches!(entry.kind, EntryKind::Whiteout | EntryKind::Opaque) {
            how.apply(&mut entry.meta.mtime, epoch);
        }
        if how.empties(&entry.path) && matches!(entry.kind, EntryKind::File { .. }) {
            entry.kind = EntryKind::File { size: 0 };
            sink.append_bytes(&entry, &[])?;
        } else {
            sink.append(&entry, &mut tar)?;
        }
    }
    let written = sink.finish()?;
    draft.commit(written.diff_id, written.size)?;
    let text = format!("timestamps of {layer} for {epoch}");
    let step = StepId { text, ..StepId::default() };
    store.cache_put(&CacheRecord::new(key, "{}".to_owned(), vec![written.diff_id], written.size, step))?;
    Ok(written.diff_id)
}

fn key(layer: DiffId, epoch: i64, how: Rewrite) -> CacheKey {
    let mut hash = Sha256::new();
    hash.update(b"rewrite timestamps 2");
    hash.update(layer.as_bytes());
    hash.update(epoch.to_le_bytes());
    hash.update([how as u8]);
    CacheKey::from_bytes(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_lowered_or_set() {
        for (how, seconds, nanos, expected) in [
            (Rewrite::No, 9, 1, (9, 1)),
            (Rewrite::Lower, 9, 1, (5, 0)),
            (Rewrite::Lower, 5, 1, (5, 0)),
            (Rewrite::Lower, 4, 1, (4, 1)),
            (Rewrite::Set, 4, 1, (5, 0)),
            (Rewrite::Forget, 4, 1, (5, 0)),
        ] {
            let mut time = Mtime { seconds, nanos };
            how.apply(&mut time, 5);
            assert_eq!((time.seconds, time.nanos), expected, "{how:?}");
        }
        for how in [Rewrite::No, Rewrite::Lower, Rewrite::Set] {
            assert!(!how.empties(b"var/log/dpkg.log"), "{how:?}");
        }
        assert!(Rewrite::Forget.empties(b"var/log/dpkg.log"));
        assert!(!Rewrite::Forget.empties(b"var/log/app.log"));
    }
}
