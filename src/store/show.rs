//! Showing layers: one as a directory, several as one merged tree.

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, OnceLock};

use super::error::StoreError;
use super::layer::{INDEX, Layer, LayerForm, State, TAR, TREE};
use super::tmp::Temporary;
use super::{Inner, Store, lock};
use crate::fs::mount::{self, Support};
use crate::fs::{Follow, FsError, Root};
use crate::image::{ChainId, DiffId};

/// What a handle has learned about showing layers, and the views that it holds.
#[derive(Debug, Default)]
pub(super) struct Shown {
    support: OnceLock<Support>,
    place: OnceLock<Place>,
    /// Why the first index could not be mounted, if it was not asked for.
    refused: OnceLock<String>,
    views: Mutex<HashMap<Option<ChainId>, Root>>,
}

/// Where this process runs, as far as it matters for layers.
#[derive(Debug)]
struct Place {
    user_namespace: bool,
    /// Whether an index can be mounted, or why not.
    index: Result<(), String>,
}

impl Place {
    fn look() -> Self {
        let user_namespace = !in_first_user_namespace();
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        let index = if user_namespace {
            Err("only root outside of a user namespace may mount an index".to_owned())
        } else if !rustix::process::geteuid().is_root() {
            Err("only root may mount an index".to_owned())
        } else if mount::running_kernel() < FILE_BACKED {
            Err(format!("Linux {release} mounts no index from a file, 6.12 does"))
        } else {
            Ok(())
        };
        Self { user_namespace, index }
    }
}

/// The first Linux that mounts EROFS from files.
const FILE_BACKED: (u32, u32) = (6, 12);

fn in_first_user_namespace() -> bool {
    // The kernel gives the first one this number (PROC_USER_INIT_INO).
    const FIRST: &[u8] = b"user:[4026531837]";
    const WHOLE: [&str; 3] = ["0", "0", "4294967295"];
    let Ok(own) = Root::open(std::path::Path::new("/proc/self")) else { return false };
    if let Ok(name) = own.read_link("ns/user") {
        return name == FIRST;
    }
    let map = own.read("uid_map", 4096).unwrap_or_default();
    String::from_utf8_lossy(&map).split_whitespace().eq(WHOLE)
}

/// Returns an error's whole chain in one line.
fn explain(error: &StoreError) -> String {
    let first: &dyn std::error::Error = error;
    let chain = std::iter::successors(Some(first), |e| e.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

impl Shown {
    fn place(&self) -> &Place {
        self.place.get_or_init(Place::look)
    }

    /// Lets go of all views; those that callers hold stay.
    pub(super) fn clear(&self) {
        lock(&self.views).clear();
    }
}

impl Store {
    /// Returns the form in which layers are shown, and why.
    ///
    /// It is told from user and kernel, without a trial; a kernel that then
    /// refuses the first index changes it. [`Self::support`] tries.
    ///
    /// # Errors
    /// None at present.
    pub fn form(&self) -> Result<(LayerForm, String), StoreError> {
        let shown = &self.inner.shown;
        if let Some(form) = self.inner.options.form {
            return Ok((form, "it was asked for".to_owned()));
        }
        if let Some(reason) = shown.refused.get() {
            return Ok((LayerForm::Directory, reason.clone()));
        }
        Ok(match &shown.place().index {
            Ok(()) => (LayerForm::Index, "the kernel mounts an index over a layer's tar".to_owned()),
            Err(reason) => (LayerForm::Directory, reason.clone()),
        })
    }

    /// Returns what kernel, user and file system can do, found out by trial; some mounts are made and go again.
    ///
    /// # Errors
    /// The store's directory can't be written.
    pub fn support(&self) -> Result<&Support, StoreError> {
        let shown = &self.inner.shown;
        if let Some(support) = shown.support.get() {
            return Ok(support);
        }
        // In a directory that is locked, so that nobody takes it for debris meanwhile.
        let (_temporary, dir, _guard) = Temporary::directory(&self.inner)?;
        Ok(shown.support.get_or_init(|| mount::probe(&dir)))
    }

    /// Whether overlay's marks are kept in `user.overlay.*` here, as in any user namespace but the first.
    ///
    /// # Errors
    /// None at present.
    pub fn userxattr(&self) -> Result<bool, StoreError> {
        Ok(self.inner.shown.place().user_namespace)
    }

    /// Returns a read-only view of layers on top of each other, bottom first; it is made once a handle.
    ///
    /// # Errors
    /// A layer is missing or the kernel refuses.
    pub fn mount(&self, layers: &[DiffId]) -> Result<Root, StoreError> {
        let chain = ChainId::of(layers);
        if let Some(root) = lock(&self.inner.shown.views).get(&chain) {
            return Ok(root.clone());
        }
        let trees = self.trees(layers)?;
        let lowers: Vec<BorrowedFd<'_>> = trees.iter().map(|fd| fd.as_fd()).collect();
        let what = || chain.map_or_else(|| "an empty tree".to_owned(), |chain| format!("layers {chain}"));
        let view = mount::read_only_view(&lowers, self.userxattr()?)
            .map_err(|e| StoreError::Mount { what: what(), source: Box::new(e) })?;
        let root = Root::named(view, what());
        lock(&self.inner.shown.views).insert(chain, root.clone());
        Ok(root)
    }

    /// Returns the directories of layers that are given bottom first, the topmost first, as an overlay takes them.
    ///
    /// # Errors
    /// A layer is missing or can't be shown.
    pub fn trees(&self, layers: &[DiffId]) -> Result<Vec<OwnedFd>, StoreError> {
        let mut trees = Vec::with_capacity(layers.len());
        let mut seen = HashSet::with_capacity(layers.len());
        for id in layers.iter().rev() {
            // Overlayfs refuses a directory twice. Below itself a layer adds nothing: all that it
            // has or hides, its upper copy has or hides already.
            if !seen.insert(*id) {
                continue;
            }
            let tree = self.layer(*id)?.ok_or(StoreError::NoLayer(*id))?.tree()?;
            let opaque = is_opaque(&tree)?;
            trees.push(tree);
            // Overlayfs does not heed the mark on a root; so nothing is put below it.
            if opaque {
                break;
            }
        }
        Ok(trees)
    }
}

impl Layer {
    /// Returns the layer's directory, fit as a lower directory of an overlay.
    ///
    /// It is a detached mount of the index, or `fs/`; whatever it is, it is
    /// made once a handle of the store.
    ///
    /// # Errors
    /// The kernel refuses, or the layer can't be unpacked.
    pub fn tree(&self) -> Result<OwnedFd, StoreError> {
        let mut cached = lock(&self.shared.tree);
        let tree = match &*cached {
            Some(tree) => tree,
            empty => {
                debug_assert!(empty.is_none());
                cached.insert(Arc::new(self.open_tree()?))
            }
        };
        tree.try_clone().map_err(|source| self.failure("duplicate the directory of", source))
    }

    /// Returns the form in which this layer is shown.
    ///
    /// # Errors
    /// The store can't be read.
    pub fn form(&self) -> Result<LayerForm, StoreError> {
        if self.shared.dir.stat(TREE, Follow::No)?.is_some() {
            return Ok(LayerForm::Directory);
        }
        Ok(self.store.form()?.0)
    }

    fn open_tree(&self) -> Result<OwnedFd, StoreError> {
        if let Some(tree) = self.own_tree()? {
            return Ok(tree);
        }
        let (form, _) = self.store.form()?;
        let indexed =
            || Ok::<_, StoreError>(self.shared.dir.stat(INDEX, Follow::No)?.is_some() || self.make_index()?);
        if form == LayerForm::Index && indexed()? {
            match self.mount_index() {
                // What was not asked for may be done without.
                Err(error) if self.store.inner.options.form.is_none() => {
                    let _ = self.store.inner.shown.refused.set(explain(&error));
                }
                other => return other,
            }
        }
        self.materialise()
    }

    /// Opens `fs/`, if it is there.
    pub(super) fn own_tree(&self) -> Result<Option<OwnedFd>, StoreError> {
        let tree = match self.shared.dir.dir(TREE) {
            Err(e) if e.is_not_found() => return Ok(None),
            other => other?,
        };
        if State::read(&self.shared.dir)?.user_marks != self.store.userxattr()? {
            return Err(StoreError::ForeignMarks(self.diff_id()));
        }
        Ok(Some(tree.to_owned_fd()?))
    }

    fn mount_index(&self) -> Result<OwnedFd, StoreError> {
        let index = self.shared.dir.open_file_nofollow(INDEX)?;
        let tar = self.shared.dir.open_file_nofollow(TAR)?;
        mount::erofs(index.as_fd(), &[tar.as_fd()])
            .map_err(|e| StoreError::Mount { what: format!("layer {}", self.diff_id()), source: Box::new(e) })
    }

    pub(super) fn failure(
        &self,
        action: &'static str,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> StoreError {
        StoreError::Layer { action, layer: self.diff_id(), source: Box::new(source) }
    }
}

/// Whether a layer's root hides what is below it.
fn is_opaque(tree: &OwnedFd) -> Result<bool, StoreError> {
    // A mount's descriptor can't be asked itself.
    let root = Root::from_fd(tree.try_clone().map_err(|e| FsError::new("duplicate", "/", e))?).dir(".")?;
    let mut value = [0u8; 1];
    Ok(["trusted.overlay.opaque", "user.overlay.opaque"]
        .iter()
        .any(|name| rustix::fs::fgetxattr(&root, *name, &mut value).is_ok_and(|n| &value[..n] == b"y")))
}

impl Inner {
    /// Lets go of what was known to be there only while it was leased.
    pub(super) fn forget(&self) {
        lock(&self.layers).clear();
        self.shown.clear();
    }
}
