//! `system df`: what takes how much place, and what of it could go.

use std::collections::{HashMap, HashSet};

use super::super::cache_mount::CacheMountRecord;
use super::super::error::StoreError;
use super::super::lease::Item;
use super::super::{CacheRecord, ImageRecord, Store};
use super::debris::tree_size;
use super::remove::ImageUse;
use super::view::layer_size;
use crate::fs::FsError;
use crate::image::{DiffId, ImageId, Reference};

/// One row of `system df`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many there are.
    pub total: usize,
    /// How many are in use.
    pub active: usize,
    /// Bytes, each shared one counted once.
    pub size: u64,
    /// Bytes of what is not in use.
    pub reclaimable: u64,
}

/// An image and its share of the place.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageUsage {
    /// The image.
    pub image: ImageRecord,
    /// Its names.
    pub names: Vec<Reference>,
    /// Bytes of layers that other images have too.
    pub shared: u64,
    /// Bytes of layers that only this one has.
    pub unique: u64,
    /// Number of containers that use it.
    pub containers: usize,
}

/// A cache record and its share of the place.
#[derive(Debug, Clone, PartialEq)]
pub struct CacheUsage {
    /// The record.
    pub record: CacheRecord,
    /// Bytes of its layers.
    pub size: u64,
    /// Whether an image or another record needs one of its layers too.
    pub shared: bool,
    /// Whether a living process uses one of its layers.
    pub in_use: bool,
}

/// A cache mount and its size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountUsage {
    /// The mount.
    pub mount: CacheMountRecord,
    /// Bytes of its files.
    pub size: u64,
}

/// What takes how much place.
#[derive(Debug, Clone, PartialEq)]
pub struct Usage {
    /// Images as a whole.
    pub images: Summary,
    /// The build cache as a whole: records, and layers that only they need, and cache mounts.
    pub cache: Summary,
    /// Bytes of layers that the build cache and images both need.
    pub cache_shared: u64,
    /// Each image, newest first.
    pub image_list: Vec<ImageUsage>,
    /// Each cache record, the least recently used first.
    pub cache_list: Vec<CacheUsage>,
    /// Each cache mount.
    pub mounts: Vec<MountUsage>,
}

impl Store {
    /// Returns what takes how much place.
    ///
    /// # Errors
    /// The store can't be read.
    pub fn usage(&self, uses: &[ImageUse]) -> Result<Usage, StoreError> {
        let (view, leased) = self.look()?;
        let sizes = self.layer_sizes(
            view.images.iter().flat_map(|i| &i.layers).chain(view.records.iter().flat_map(|r| &r.layers)),
        )?;
        // Manifests of one image count as one.
        let mut seen = HashSet::new();
        let mut images: Vec<ImageRecord> = view.images.clone();
        images.sort_by_key(|image| std::cmp::Reverse((image.created, image.added, image.manifest)));
        images.retain(|image| seen.insert(image.id));
        let mut usage = Usage {
            images: image_summary(&images, &sizes, uses),
            cache: Summary::default(),
            cache_shared: 0,
            image_list: image_usage(&images, &sizes, uses),
            cache_list: cache_usage(&view.records, &images, &sizes, &leased),
            mounts: Vec::new(),
        };
        for entry in &mut usage.image_list {
            let manifests: HashSet<_> = view.manifests_of(entry.image.id).map(|i| i.manifest).collect();
            let refs = view.refs.iter();
            let named = refs.filter(|r| !view.reached([r.target]).is_disjoint(&manifests));
            entry.names = named.map(|r| r.reference.clone()).collect();
        }
        for mount in self.cache_mounts()? {
            usage.mounts.push(MountUsage { size: tree_size(self, &mount.name)?, mount });
        }
        usage.cache = cache_summary(&usage, &images, &sizes);
        let cached: HashSet<DiffId> = view.records.iter().flat_map(|r| r.layers.iter().copied()).collect();
        usage.cache_shared = sum(&cached.intersection(&layers_of(images.iter())).copied().collect(), &sizes);
        Ok(usage)
    }

    /// Returns how many bytes are free on the store's file system for its user.
    ///
    /// # Errors
    /// The file system can't be asked.
    pub fn free_bytes(&self) -> Result<u64, StoreError> {
        let stat = rustix::fs::fstatvfs(self.inner.root.to_owned_fd()?)
            .map_err(|error| FsError::new("ask for the free space of", self.inner.root.name(), error))?;
        Ok(stat.f_bavail * stat.f_frsize)
    }

    fn layer_sizes<'a>(
        &self,
        ids: impl Iterator<Item = &'a DiffId>,
    ) -> Result<HashMap<DiffId, u64>, StoreError> {
        let ids: HashSet<DiffId> = ids.copied().collect();
        ids.into_iter().map(|id| Ok((id, layer_size(self, id)?.unwrap_or(0)))).collect()
    }
}

fn sum(ids: &HashSet<DiffId>, sizes: &HashMap<DiffId, u64>) -> u64 {
    ids.iter().map(|id| sizes.get(id).copied().unwrap_or(0)).sum()
}

fn layers_of<'a>(images: impl Iterator<Item = &'a ImageRecord>) -> HashSet<DiffId> {
    images.flat_map(|image| image.layers.iter().copied()).collect()
}

fn image_summary(images: &[ImageRecord], sizes: &HashMap<DiffId, u64>, uses: &[ImageUse]) -> Summary {
    let used: HashSet<ImageId> = uses.iter().map(|u| u.image).collect();
    let active = || images.iter().filter(|image| used.contains(&image.id));
    let size = sum(&layers_of(images.iter()), sizes);
    Summary {
        total: images.len(),
        active: active().count(),
        size,
        reclaimable: size - sum(&layers_of(active()), sizes),
    }
}

fn image_usage(images: &[ImageRecord], sizes: &HashMap<DiffId, u64>, uses: &[ImageUse]) -> Vec<ImageUsage> {
    let mut users: HashMap<DiffId, usize> = HashMap::new();
    for image in images {
        for id in layers_of([image].into_iter()) {
            *users.entry(id).or_default() += 1;
        }
    }
    let usage = |image: &ImageRecord| {
        let (unique, shared) = layers_of([image].into_iter()).into_iter().partition(|id| users[id] == 1);
        ImageUsage {
            image: image.clone(),
            names: Vec::new(),
            shared: sum(&shared, sizes),
            unique: sum(&unique, sizes),
            containers: uses.iter().filter(|u| u.image == image.id).count(),
        }
    };
    images.iter().map(usage).collect()
}

fn cache_usage(
    records: &[CacheRecord],
    images: &[ImageRecord],
    sizes: &HashMap<DiffId, u64>,
    leased: &HashSet<Item>,
) -> Vec<CacheUsage> {
    let in_images = layers_of(images.iter());
    let mut users: HashMap<DiffId, usize> = HashMap::new();
    let distinct = |record: &CacheRecord| record.layers.iter().copied().collect::<HashSet<DiffId>>();
    for id in records.iter().flat_map(distinct) {
        *users.entry(id).or_default() += 1;
    }
    let usage = |record: &CacheRecord| {
        let layers = distinct(record);
        CacheUsage {
            record: record.clone(),
            size: sum(&layers, sizes),
            shared: layers.iter().any(|id| in_images.contains(id) || users[id] > 1),
            in_use: layers.iter().any(|id| leased.contains(&Item::Layer(*id))),
        }
    };
    records.iter().map(usage).collect()
}

fn cache_summary(usage: &Usage, images: &[ImageRecord], sizes: &HashMap<DiffId, u64>) -> Summary {
    let in_images = layers_of(images.iter());
    let own = |entries: &mut dyn Iterator<Item = &CacheUsage>| {
        let layers: HashSet<DiffId> = entries.flat_map(|e| e.record.layers.iter().copied()).collect();
        sum(&layers.difference(&in_images).copied().collect(), sizes)
    };
    let mounts: u64 = usage.mounts.iter().map(|m| m.size).sum();
    let size = own(&mut usage.cache_list.iter()) + mounts;
    let used = own(&mut usage.cache_list.iter().filter(|e| e.in_use));
    Summary {
        total: usage.cache_list.len() + usage.mounts.len(),
        active: usage.cache_list.iter().filter(|e| e.in_use).count(),
        size,
        reclaimable: size - used,
    }
}
