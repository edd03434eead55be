//! What may go, by the rules of the prune commands.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::super::cache_mount::CacheMountRecord;
use super::super::error::StoreError;
use super::super::file::GcLock;
use super::super::lease::Item;
use super::super::{CacheKey, CacheRecord, ImageRecord, RefRecord, Store};
use super::debris::tree_size;
use super::remove::ImageUse;
use super::view::{Live, View, blob_size, layer_size, stored_blobs, stored_layers};
use crate::image::{DiffId, Digest, ManifestDigest, Reference};

/// Which images `image prune` takes.
#[derive(Default)]
pub struct ImagePolicy<'a> {
    /// Not only images without a name, but all that no container uses.
    pub all: bool,
    /// The containers' uses of images; these stay.
    pub uses: &'a [ImageUse],
    /// Takes only images for which this holds.
    pub filter: Option<&'a dyn Fn(&ImageRecord) -> bool>,
}

/// Which cache records `builder prune` takes.
#[derive(Default)]
pub struct CachePolicy<'a> {
    /// Also records whose layers images need anyway, and context indexes.
    pub all: bool,
    /// Takes only records that were not used since then.
    pub unused_since: Option<Timestamp>,
    /// Takes the least recently used records, and only until the cache has no more bytes than this.
    pub keep_bytes: Option<u64>,
    /// Takes only records for which this holds, and no cache mounts but those of `mounts`.
    pub filter: Option<&'a dyn Fn(&CacheRecord) -> bool>,
    /// Which cache mounts are taken where there is a filter.
    pub mounts: Option<&'a dyn Fn(&CacheMountRecord) -> bool>,
}

/// What a command would take away; nothing has happened yet.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Names.
    pub untag: Vec<RefRecord>,
    /// `repository@digest` names, and what they mean.
    pub untag_digests: Vec<(Reference, ManifestDigest)>,
    /// Images.
    pub images: Vec<ImageRecord>,
    /// Indexes.
    pub indexes: Vec<ManifestDigest>,
    /// Those of the images that go although an index that stays names them.
    pub platforms: Vec<ManifestDigest>,
    /// Cache records.
    pub records: Vec<CacheRecord>,
    /// Cache mounts and their sizes.
    pub mounts: Vec<(CacheMountRecord, u64)>,
    /// Whether context indexes go.
    pub contexts: bool,
    /// Layers that nothing needs then, and their sizes.
    pub layers: Vec<(DiffId, u64)>,
    /// Blobs that nothing needs then, and their sizes.
    pub blobs: Vec<(Digest, u64)>,
    /// Whether the remains of dead processes in `tmp/` go as well.
    pub debris: bool,
}

impl Plan {
    /// Returns the number of bytes that would be free.
    pub fn bytes(&self) -> u64 {
        let layers = self.layers.iter().map(|(_, size)| size);
        let blobs = self.blobs.iter().map(|(_, size)| size);
        layers.chain(blobs).chain(self.mounts.iter().map(|(_, size)| size)).sum()
    }

    /// Whether nothing would be taken away.
    pub fn is_empty(&self) -> bool {
        *self == Self { debris: self.debris, contexts: self.contexts, ..Self::default() }
    }
}

impl Store {
    /// Plans `image prune`: images without a name, or all that no container uses.
    ///
    /// # Errors
    /// The store can't be read.
    pub fn plan_image_prune(&self, policy: &ImagePolicy<'_>) -> Result<Plan, StoreError> {
        let (view, leased) = self.look()?;
        let named = view.named();
        let used: HashSet<_> = policy.uses.iter().map(|u| u.image).collect();
        let wanted = |image: &ImageRecord| {
            !used.contains(&image.id)
                && !leased.contains(&Item::Blob(image.manifest.as_digest()))
                && policy.filter.is_none_or(|filter| filter(image))
        };
        let below_index: HashSet<ManifestDigest> =
            view.indexes.iter().flat_map(|index| index.children.iter().copied()).collect();
        let mut gone = HashSet::new();
        for index in view.indexes.iter().filter(|index| !below_index.contains(&index.digest)) {
            let inside = view.reached([index.digest]);
            let mut images = view.images.iter().filter(|image| inside.contains(&image.manifest));
            if (policy.all || !named.contains(&index.digest)) && images.all(wanted) {
                gone.insert(index.digest);
            }
        }
        for image in view.images.iter().filter(|image| !below_index.contains(&image.manifest)) {
            // One image may have several manifests; a name of any keeps all.
            let has_name = || view.manifests_of(image.id).any(|other| named.contains(&other.manifest));
            if (policy.all || !has_name()) && wanted(image) {
                gone.insert(image.manifest);
            }
        }
        let mut plan = self.plan_removal(&view, gone, &leased)?;
        self.plan_orphans(&view, &mut plan, &leased)?;
        Ok(plan)
    }

    /// Plans `builder prune`: cache records by age and size, cache mounts that nobody uses.
    ///
    /// # Errors
    /// The store can't be read.
    pub fn plan_builder_prune(&self, policy: &CachePolicy<'_>) -> Result<Plan, StoreError> {
        let (view, leased) = self.look()?;
        let mut images = Live::default();
        view.images.iter().for_each(|image| images.add_image(image));
        let mut budget = Budget::new(self, &view, &images)?;
        let mut plan = Plan { debris: true, contexts: policy.all, ..Plan::default() };
        let mut mounts = self.cache_mounts()?;
        mounts.retain(|mount| policy.mounts.map_or(policy.filter.is_none(), |wanted| wanted(mount)));
        let old = |used: Timestamp| policy.unused_since.is_none_or(|since| used < since);
        for mount in mounts {
            let size = tree_size(self, &mount.name)?;
            budget.total += size;
            if old(mount.last_used) {
                plan.mounts.push((mount, size));
            }
        }
        let full = |budget: &Budget| policy.keep_bytes.is_none_or(|keep| budget.total > keep);
        for record in &view.records {
            let shared =
                !record.layers.is_empty() && record.layers.iter().all(|id| images.layers.contains(id));
            let used = record.layers.iter().any(|id| leased.contains(&Item::Layer(*id)));
            let wanted = old(record.last_used) && policy.filter.is_none_or(|filter| filter(record));
            if wanted && !used && (policy.all || !shared) && full(&budget) {
                budget.drop_record(record);
                plan.records.push(record.clone());
            }
        }
        plan.mounts.retain(|(_, size)| {
            let take = full(&budget);
            budget.total -= if take { size } else { &0 };
            take
        });
        self.plan_orphans(&view, &mut plan, &leased)?;
        Ok(plan)
    }

    /// Reads the metadata and what living processes lease.
    pub(super) fn look(&self) -> Result<(View, HashSet<Item>), StoreError> {
        let leased = {
            let gc = GcLock::take(&self.inner.root, true)?;
            self.inner.leased(&gc)?
        };
        Ok((View::load(self)?, leased))
    }

    /// Plans to take these images and indexes away, with their names, the
    /// children that nothing else leads to, and what only they need.
    pub(super) fn plan_removal(
        &self,
        view: &View,
        roots: HashSet<ManifestDigest>,
        leased: &HashSet<Item>,
    ) -> Result<Plan, StoreError> {
        let gone = with_children(view, roots);
        let mut plan = Plan { debris: true, ..Plan::default() };
        plan.untag = view.refs.iter().filter(|r| gone.contains(&r.target)).cloned().collect();
        plan.untag_digests =
            view.digests.iter().filter(|(_, target)| gone.contains(target)).cloned().collect();
        plan.images = view.images.iter().filter(|i| gone.contains(&i.manifest)).cloned().collect();
        plan.indexes = view.indexes.iter().map(|i| i.digest).filter(|d| gone.contains(d)).collect();
        let live = view.live(self, &gone, &HashSet::new(), leased);
        let mut needed = Live::default();
        plan.images.iter().for_each(|image| needed.add_image(image));
        needed.blobs.extend(plan.indexes.iter().map(ManifestDigest::as_digest));
        for id in needed.layers.difference(&live.layers) {
            plan.layers.extend(layer_size(self, *id)?.map(|size| (*id, size)));
        }
        let compressed = view.compressed.iter().filter(|(id, _)| needed.layers.contains(id));
        needed.blobs.extend(compressed.map(|(_, digest)| *digest));
        for digest in needed.blobs.difference(&live.blobs) {
            plan.blobs.extend(blob_size(self, *digest)?.map(|size| (*digest, size)));
        }
        Ok(plan)
    }

    /// Adds to a plan whatever nothing will need once it is applied.
    fn plan_orphans(&self, view: &View, plan: &mut Plan, leased: &HashSet<Item>) -> Result<(), StoreError> {
        let gone = plan.images.iter().map(|i| i.manifest).chain(plan.indexes.iter().copied()).collect();
        let dropped: HashSet<CacheKey> = plan.records.iter().map(|record| record.key).collect();
        let live = view.live(self, &gone, &dropped, leased);
        plan.layers.clear();
        plan.blobs.clear();
        for id in stored_layers(self)?.into_iter().filter(|id| !live.layers.contains(id)) {
            plan.layers.extend(layer_size(self, id)?.map(|size| (id, size)));
        }
        for digest in stored_blobs(self)?.into_iter().filter(|digest| !live.blobs.contains(digest)) {
            plan.blobs.extend(blob_size(self, digest)?.map(|size| (digest, size)));
        }
        Ok(())
    }
}

/// Adds to these roots the children that only they lead to.
fn with_children(view: &View, mut gone: HashSet<ManifestDigest>) -> HashSet<ManifestDigest> {
    let below = view.reached(gone.iter().copied());
    let named = view.refs.iter().map(|r| r.target).filter(|target| !gone.contains(target));
    let other = view.indexes.iter().map(|index| index.digest).filter(|digest| !below.contains(digest));
    let kept = view.reached(named.chain(other));
    gone.extend(below.difference(&kept));
    gone
}

/// The bytes that the cache has for itself, while records go one by one.
struct Budget {
    total: u64,
    users: HashMap<DiffId, (usize, u64)>,
}

impl Budget {
    fn new(store: &Store, view: &View, images: &Live) -> Result<Self, StoreError> {
        let mut users: HashMap<DiffId, (usize, u64)> = HashMap::new();
        for id in view.records.iter().flat_map(|r| distinct(&r.layers)) {
            if images.layers.contains(&id) {
                continue;
            }
            match users.get_mut(&id) {
                Some(entry) => entry.0 += 1,
                None => {
                    users.insert(id, (1, layer_size(store, id)?.unwrap_or(0)));
                }
            }
        }
        Ok(Self { total: users.values().map(|(_, size)| size).sum(), users })
    }

    fn drop_record(&mut self, record: &CacheRecord) {
        for id in distinct(&record.layers) {
            if let Some((users, size)) = self.users.get_mut(&id) {
                *users -= 1;
                if *users == 0 {
                    self.total -= *size;
                }
            }
        }
    }
}

fn distinct(layers: &[DiffId]) -> HashSet<DiffId> {
    layers.iter().copied().collect()
}
