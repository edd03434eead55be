//! What is kept: blobs, layers, references, cache records, leases, garbage collection.
//!
//! ```text
//! ROOT/
//!   version                   the format's number; an unknown one is refused
//!   meta.db                   images, indexes, references, repository digests; synced at every commit
//!   cache.db                  cache records, cache mounts; may be deleted at any time
//!   blobs/sha256/<hex>        exact bytes: manifests, configs, compressed layers
//!   layers/<diff id hex>/     one uncompressed layer
//!     state                     its size, and whether its data is known to be on the disk
//!     layer.tar, index.erofs    the exact bytes, and a mountable index into them
//!     fs/                       an unpacked tree, an overlay lower directory
//!   cachemounts/<hash>/       directories that RUN steps share
//!   contexts/<hash>           context indexes: what a context's files had as digests
//!   locks/{gc,names}          the collector's lock; a byte for each key or layer in work
//!   leases/<n>                what a process uses, locked while it lives
//!   reserve                   place that is given up to prune a full disk
//!   tmp/                      things in the making, and things on their way out
//! ```
//!
//! Invariants:
//! - A blob or layer appears under its name by one rename, whole. Nothing
//!   under a name ever changes.
//! - Whatever an image row names was there when the row was written, and
//!   garbage collection takes nothing that a row names.
//! - Publishing and leasing share the lock `locks/gc` for moments; collecting
//!   takes it alone for moments. So what a lease names is there or the taker
//!   learns that it is not; nobody waits for a build.
//! - Locks are the kernel's (`flock`, `F_OFD_SETLK`), so that death releases them.
//! - A layer's data is not synced when it is made. Its `state` carries the
//!   boot in which that was; after another boot the layer is checked against
//!   its DiffId before anything uses it.
//!
//! What is absent: containers, volumes and networks, which others own and
//! pass in as users of images; any network.

mod blob;
mod cache;
mod cache_mount;
mod compress;
mod compressed;
mod context_index;
mod db;
mod error;
mod file;
mod find;
mod gc;
mod image;
mod known_blob;
mod layer;
#[cfg(test)]
mod layer_tests;
mod layout;
mod lease;
mod lock;
mod materialise;
#[cfg(test)]
mod measure_tests;
mod partial;
#[cfg(test)]
mod process_tests;
mod refs;
mod show;
#[cfg(test)]
mod tests;
mod tmp;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

pub use blob::{BlobReader, BlobWriter};
pub use cache::{CacheKey, CacheRecord, StepId};
pub use cache_mount::{CacheMount, CacheMountRecord, Sharing};
pub use context_index::{ContextIndex, FileState};
pub use error::StoreError;
pub use find::Found;
pub use gc::{
    CachePolicy, CacheUsage, ImagePolicy, ImageUsage, ImageUse, MountUsage, Plan, Removed, Summary, Usage,
};
pub use image::{ImageRecord, IndexRecord};
pub use layer::{Layer, LayerDraft, LayerForm};
pub use layout::FORMAT;
pub use lease::Lease;
pub use lock::KeyLock;
pub use partial::{Partial, PartialReader, PartialWriter};
pub use refs::RefRecord;

use crate::fs::Root;
use crate::image::DiffId;
use crate::layers::ChownPolicy;
use db::{Db, Which};

/// How a store is opened.
#[derive(Debug, Clone, Default)]
pub struct StoreOptions {
    /// The form in which layers are shown; none chooses by what the kernel and the user may do.
    pub form: Option<LayerForm>,
    /// What becomes of owners when a layer is unpacked.
    pub chown: ChownPolicy,
    /// The boot that the store believes to be in; none asks the kernel.
    pub boot_id: Option<String>,
}

/// A handle on a store; clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

/// What the clones of a handle share.
#[derive(Debug)]
struct Inner {
    root: Root,
    path: PathBuf,
    options: StoreOptions,
    meta: Mutex<Option<Db>>,
    cache: Mutex<Option<Db>>,
    lease: Mutex<lease::State>,
    layers: Mutex<HashMap<DiffId, Arc<layer::Shared>>>,
    used: Mutex<HashMap<CacheKey, i64>>,
    shown: show::Shown,
    boot: OnceLock<String>,
    blobs_dirty: AtomicBool,
}

impl Store {
    /// Opens the store in `root`, and makes it when there is none.
    ///
    /// # Errors
    /// The directory holds something else, a store of another format, or can't be written.
    pub fn open(root: &Path, options: &StoreOptions) -> Result<Self, StoreError> {
        let path = if root.is_absolute() {
            root.to_owned()
        } else {
            let here = std::env::current_dir();
            here.map_err(|source| StoreError::Io { action: "cannot resolve", path: root.to_owned(), source })?
                .join(root)
        };
        let root = layout::open(&path)?;
        Ok(Self {
            inner: Arc::new(Inner {
                root,
                path,
                options: options.clone(),
                meta: Mutex::default(),
                cache: Mutex::default(),
                lease: Mutex::default(),
                layers: Mutex::default(),
                used: Mutex::default(),
                shown: show::Shown::default(),
                boot: OnceLock::new(),
                blobs_dirty: AtomicBool::new(false),
            }),
        })
    }

    /// Returns the store's directory.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Writes what was only remembered so far: when cache records were used last.
    ///
    /// Dropping the last handle does so too, without saying whether it worked.
    ///
    /// # Errors
    /// The cache database can't be written.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.inner.flush_used()
    }
}

impl Inner {
    /// Runs `work` on `meta.db`, opened on first use.
    fn meta<T>(&self, work: impl FnOnce(&mut Db) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.with_db(&self.meta, Which::Meta, work)
    }

    /// Runs `work` on `cache.db`, opened on first use.
    fn cache<T>(&self, work: impl FnOnce(&mut Db) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.with_db(&self.cache, Which::Cache, work)
    }

    fn with_db<T>(
        &self,
        slot: &Mutex<Option<Db>>,
        which: Which,
        work: impl FnOnce(&mut Db) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut slot = lock(slot);
        let db = match &mut *slot {
            Some(db) => db,
            empty => {
                let shared_memory = layout::has_shared_memory(&self.root);
                empty.insert(Db::open(&self.path, which, false, shared_memory)?)
            }
        };
        work(db)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let _ = self.flush_used();
        lease::end(self);
    }
}

/// Locks a mutex; a panic of another holder leaves nothing half-done behind these.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
