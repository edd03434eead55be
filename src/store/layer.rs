//! Layers: drafts, publishing, look-up, trust after a crash.

use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::error::StoreError;
use super::file::GcLock;
use super::lease::Item;
use super::tmp::{Temporary, is_taken};
use super::{Inner, Store, layout, lock};
use crate::fs::{Follow, Root, write_atomic};
use crate::image::DiffId;

const STATE: &str = "state";
pub(super) const TAR: &str = "layer.tar";
pub(super) const INDEX: &str = "index.erofs";
pub(super) const TREE: &str = "fs";
/// What stands for a boot in the state of a layer whose data is on the disk.
pub(super) const DURABLE: &str = "durable";

/// How a layer is shown as a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LayerForm {
    /// `layer.tar`, mounted through `index.erofs`.
    Index,
    /// `fs/`, unpacked.
    Directory,
}

/// A layer in the making: a directory below `tmp/`, gone when dropped.
///
/// Fill it with `layer.tar` (and `index.erofs`), or with a tree in `fs/`.
#[derive(Debug)]
pub struct LayerDraft {
    store: Store,
    temporary: Temporary,
    root: Root,
    path: PathBuf,
    clamp: Option<i64>,
    _guard: Root,
}

/// A layer of the store.
#[derive(Debug, Clone)]
pub struct Layer {
    pub(super) store: Store,
    pub(super) shared: Arc<Shared>,
}

/// What handles of one layer share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) diff_id: DiffId,
    pub(super) size: u64,
    pub(super) clamp: Option<i64>,
    pub(super) dir: Root,
    pub(super) tree: Mutex<Option<Arc<OwnedFd>>>,
}

impl Store {
    /// Begins a layer.
    ///
    /// # Errors
    /// No directory can be made.
    pub fn begin_layer(&self) -> Result<LayerDraft, StoreError> {
        let (temporary, root, guard) = Temporary::directory(&self.inner)?;
        let path = self.inner.path.join(layout::TMP).join(&temporary.name);
        Ok(LayerDraft { store: self.clone(), temporary, root, path, clamp: None, _guard: guard })
    }

    /// Returns a layer, if it is there; it stays while this handle's lease lasts.
    ///
    /// A layer from before a crash is checked first, and is missing when it is damaged.
    ///
    /// # Errors
    /// The store can't be read.
    pub fn layer(&self, diff_id: DiffId) -> Result<Option<Layer>, StoreError> {
        if let Some(shared) = lock(&self.inner.layers).get(&diff_id) {
            return Ok(Some(Layer { store: self.clone(), shared: Arc::clone(shared) }));
        }
        let gc = GcLock::take(&self.inner.root, false)?;
        let dir = match self.inner.root.dir(layer_name(diff_id)) {
            Err(e) if e.is_not_found() => return Ok(None),
            other => other?,
        };
        self.inner.record_use(&[Item::Layer(diff_id)], &gc)?;
        drop(gc);
        let mut state = State::read(&dir)?;
        if !state.is_trusted(self.inner.boot()?) {
            match self.recheck(diff_id, &dir)? {
                Some(checked) => state = checked,
                None => return Ok(None),
            }
        }
        let State { size, clamp, .. } = state;
        let shared = Arc::new(Shared { diff_id, size, clamp, dir, tree: Mutex::default() });
        lock(&self.inner.layers).insert(diff_id, Arc::clone(&shared));
        Ok(Some(Layer { store: self.clone(), shared }))
    }
}

impl LayerDraft {
    /// Returns the directory to fill.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Returns the directory's path, for what can't take a descriptor.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Notes that the tree in `fs/` was packed with later times lowered to this one.
    pub fn set_clamp(&mut self, clamp: Option<i64>) {
        self.clamp = clamp;
    }

    /// Publishes the layer under its id; if one of that id is there, that one stays.
    ///
    /// `size` is the size of the uncompressed tar. Nothing is synced; after a
    /// crash the layer is checked before it is used again.
    ///
    /// # Errors
    /// The draft holds neither a tar nor a tree, or can't be renamed; nothing is left then.
    pub fn commit(mut self, diff_id: DiffId, size: u64) -> Result<Layer, StoreError> {
        let has_tree = self.root.stat(TREE, Follow::No)?.is_some();
        if !has_tree && self.root.stat(TAR, Follow::No)?.is_none() {
            return Err(StoreError::Damaged {
                place: "a layer's draft",
                reason: format!("neither {TAR} nor {TREE}/ is in it"),
            });
        }
        if let Some(layer) = self.store.layer(diff_id)? {
            return Ok(layer);
        }
        let boot = self.store.inner.boot()?.to_owned();
        // Only a tree has marks, and only then is it worth finding out which.
        let user_marks = has_tree && self.store.userxattr()?;
        State { size, boot, user_marks, clamp: self.clamp }.write_new(&self.root)?;
        let gc = GcLock::take(&self.store.inner.root, false)?;
        self.store.inner.record(&[Item::Layer(diff_id)], &gc)?;
        match self.temporary.publish(&self.store.inner.root, &layer_name(diff_id)) {
            Err(e) if is_taken(&e) => {}
            other => other?,
        }
        drop(gc);
        self.store.layer(diff_id)?.ok_or(StoreError::NoLayer(diff_id))
    }
}

impl Layer {
    /// Returns the digest of the uncompressed tar.
    pub fn diff_id(&self) -> DiffId {
        self.shared.diff_id
    }

    /// Returns the size of the uncompressed tar.
    pub fn size(&self) -> u64 {
        self.shared.size
    }
}

/// What the file `state` of a layer says: a line each, `end` the last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Size of the uncompressed tar.
    pub(super) size: u64,
    /// The boot that made the data, or [`DURABLE`].
    pub(super) boot: String,
    /// Whether overlay's marks in `fs/` are `user.overlay.*`.
    pub(super) user_marks: bool,
    /// Latest time of a file when `fs/` is packed.
    pub(super) clamp: Option<i64>,
}

impl State {
    /// Reads the state; what a crash left of it says nothing, so the layer is not trusted.
    pub(super) fn read(dir: &Root) -> Result<Self, StoreError> {
        let bytes = match dir.read(STATE, 256) {
            Err(e) if e.is_not_found() || e.kind() == std::io::ErrorKind::FileTooLarge => Vec::new(),
            other => other?,
        };
        Ok(std::str::from_utf8(&bytes).ok().and_then(Self::parse).unwrap_or_default())
    }

    fn parse(text: &str) -> Option<Self> {
        let mut state = Self::default();
        for line in text.strip_suffix("end\n")?.lines() {
            match line.split_once(' ')? {
                ("size", size) => state.size = size.parse().ok()?,
                ("boot", boot) => state.boot = boot.to_owned(),
                ("marks", marks) => state.user_marks = marks == "user",
                ("clamp", clamp) => state.clamp = Some(clamp.parse().ok()?),
                _ => return None,
            }
        }
        Some(state)
    }

    fn text(&self) -> String {
        let marks = if self.user_marks { "user" } else { "trusted" };
        let clamp = self.clamp.map(|clamp| format!("clamp {clamp}\n")).unwrap_or_default();
        format!("size {}\nboot {}\nmarks {marks}\n{clamp}end\n", self.size, self.boot)
    }

    /// Writes the state into a directory that has none.
    fn write_new(&self, dir: &Root) -> Result<(), StoreError> {
        let mut file = dir.create_file(STATE, 0o600)?;
        file.write_all(self.text().as_bytes()).map_err(|source| StoreError::Io {
            action: "cannot write",
            path: PathBuf::from(STATE),
            source,
        })
    }

    /// Writes the state in place of the one that is there.
    pub(super) fn write(&self, dir: &Root, sync: bool) -> Result<(), StoreError> {
        Ok(write_atomic(dir, STATE, self.text().as_bytes(), sync)?)
    }

    /// Whether the data is what it was when the layer was made.
    pub(super) fn is_trusted(&self, boot: &str) -> bool {
        self.boot == DURABLE || (!boot.is_empty() && self.boot == boot)
    }
}

impl Inner {
    /// Returns the id of the running boot.
    pub(super) fn boot(&self) -> Result<&str, StoreError> {
        if let Some(boot) = self.boot.get() {
            return Ok(boot);
        }
        let boot = match &self.options.boot_id {
            Some(boot) => boot.clone(),
            None => {
                let bytes = Root::open(Path::new("/proc/sys/kernel/random"))?.read("boot_id", 64)?;
                String::from_utf8_lossy(&bytes).trim().to_owned()
            }
        };
        Ok(self.boot.get_or_init(|| boot))
    }
}

/// Returns a layer's place below the store's directory.
pub(super) fn layer_name(diff_id: DiffId) -> String {
    format!("{}/{}", layout::LAYERS, diff_id.hex())
}
