//! Carrying a plan out: everything in it is judged again under the collector's lock.

use std::collections::HashSet;

use rusqlite::{Transaction, params};

use super::super::error::StoreError;
use super::super::file::GcLock;
use super::super::image::{list_indexes, to_nanos};
use super::super::lease::Item;
use super::super::refs::{list_refs, split};
use super::super::tmp::Temporary;
use super::super::{CacheKey, CacheRecord, Inner, Store, blob, layer, layout};
use super::view::View;
use super::{Plan, Removed};
use crate::fs::Root;
use crate::image::{ChainId, DiffId, ManifestDigest};

/// Things that are renamed before others get the lock in between.
const BATCH: usize = 256;

impl Store {
    /// Carries a plan out, but for what has come into use since it was made.
    ///
    /// # Errors
    /// A database can't be written or a thing can't be moved; what went
    /// before is gone, the rest is found by the next plan.
    pub fn apply(&self, plan: &Plan) -> Result<Removed, StoreError> {
        let mut removed = Removed::default();
        match self.carry_out(plan, &mut removed) {
            // Taking away takes a little place too: in the databases' logs, for a directory.
            Err(e) if e.is_full() && layout::give_reserve_up(&self.inner.root) => {
                self.carry_out(plan, &mut removed)?;
            }
            other => other?,
        }
        layout::make_reserve(&self.inner.root);
        Ok(removed)
    }

    fn carry_out(&self, plan: &Plan, removed: &mut Removed) -> Result<(), StoreError> {
        // First what takes no room to take away, for a disk that is full.
        if plan.debris {
            removed.bytes += self.sweep_debris()?;
        }
        if plan.contexts {
            self.drop_contexts(removed)?;
        }
        let mut doomed = Doomed::new(&self.inner)?;
        self.inner.forget();
        let gone = {
            let gc = GcLock::take(&self.inner.root, true)?;
            let leased = self.inner.leased(&gc)?;
            let gone = self.remove_rows(plan, &leased, removed)?;
            removed.records.extend(self.remove_records(&plan.records, &leased)?);
            gone
        };
        let layers = self.move_layers(plan, &mut doomed, removed)?;
        self.move_blobs(plan, &mut doomed, removed)?;
        self.move_mounts(plan, &mut doomed, removed)?;
        describe(plan, &gone, &layers, removed);
        doomed.delete()?;
        Ok(())
    }

    /// Deletes names and rows; returns the manifests and indexes that are gone.
    fn remove_rows(
        &self,
        plan: &Plan,
        leased: &HashSet<Item>,
        removed: &mut Removed,
    ) -> Result<HashSet<ManifestDigest>, StoreError> {
        let planned = plan.images.iter().map(|i| i.manifest).chain(plan.indexes.iter().copied());
        let planned: HashSet<ManifestDigest> = planned.collect();
        if planned.is_empty() && plan.untag.is_empty() && plan.untag_digests.is_empty() {
            return Ok(HashSet::new());
        }
        let (untagged, gone) = self.inner.meta(|db| {
            db.write("cannot remove images", |t| {
                let untagged = delete_names(t, plan)?;
                let (roots, kept) = still_needed(t, &planned, leased)?;
                let alone = plan.platforms.iter().filter(|digest| !roots.contains(digest));
                let gone: HashSet<ManifestDigest> = planned.difference(&kept).chain(alone).copied().collect();
                for digest in &gone {
                    delete_rows(t, *digest)?;
                }
                Ok((untagged, gone))
            })
        })?;
        removed.untagged.extend(untagged);
        Ok(gone)
    }

    fn remove_records(
        &self,
        records: &[CacheRecord],
        leased: &HashSet<Item>,
    ) -> Result<Vec<CacheKey>, StoreError> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let free = |r: &&CacheRecord| !r.layers.iter().any(|layer| leased.contains(&Item::Layer(*layer)));
        self.inner.cache(|db| {
            db.write("cannot remove cache records", |t| {
                let mut gone = Vec::new();
                let mut delete = t.prepare_cached("DELETE FROM record WHERE key = ?1 AND used <= ?2")?;
                let mut fields = t.prepare_cached("DELETE FROM record_fields WHERE key = ?1")?;
                for record in records.iter().filter(free) {
                    let key = record.key.as_bytes();
                    if delete.execute(params![key, to_nanos(record.last_used)])? > 0 {
                        fields.execute([key])?;
                        gone.push(record.key);
                    }
                }
                Ok(gone)
            })
        })
    }

    fn move_layers(
        &self,
        plan: &Plan,
        doomed: &mut Doomed,
        removed: &mut Removed,
    ) -> Result<HashSet<DiffId>, StoreError> {
        let mut moved = HashSet::new();
        for batch in plan.layers.chunks(BATCH) {
            let (_gc, live) = self.judge(plan)?;
            for (id, size) in batch.iter().filter(|(id, _)| !live.layers.contains(id)) {
                if doomed.take(&self.inner.root, &layer::layer_name(*id))? {
                    moved.insert(*id);
                    removed.bytes += size;
                }
            }
        }
        if !moved.is_empty() {
            self.inner.meta(|db| {
                db.write("cannot forget compressed layers", |t| {
                    let mut delete = t.prepare_cached("DELETE FROM compressed WHERE diff_id = ?1")?;
                    moved.iter().try_for_each(|id| delete.execute([id.as_bytes()]).map(|_| ()))
                })
            })?;
        }
        Ok(moved)
    }

    fn move_blobs(&self, plan: &Plan, doomed: &mut Doomed, removed: &mut Removed) -> Result<(), StoreError> {
        for batch in plan.blobs.chunks(BATCH) {
            let (_gc, live) = self.judge(plan)?;
            for (digest, size) in batch.iter().filter(|(digest, _)| !live.blobs.contains(digest)) {
                if doomed.take(&self.inner.root, &blob::blob_name(*digest))? {
                    removed.bytes += size;
                }
            }
        }
        Ok(())
    }

    /// Takes the collector's lock and sees what is needed now.
    fn judge(&self, plan: &Plan) -> Result<(GcLock, super::view::Live), StoreError> {
        let gc = GcLock::take(&self.inner.root, true)?;
        let leased = self.inner.leased(&gc)?;
        self.fence()?;
        let view = View::load(self)?;
        // An index still names platforms that went without it; one that came back is an image again.
        let mut gone: HashSet<ManifestDigest> = plan.platforms.iter().copied().collect();
        gone.retain(|digest| !view.images.iter().any(|image| image.manifest == *digest));
        let live = view.live(self, &gone, &HashSet::new(), &leased);
        Ok((gc, live))
    }

    /// Makes sure that no row appears later which can't be seen now.
    ///
    /// A process that is killed while it commits may leave a whole
    /// transaction in the log that nobody sees, until all have closed the
    /// database and the next one to open it recovers the log. Things that only
    /// such a row names would be taken. Another commit overwrites it.
    fn fence(&self) -> Result<(), StoreError> {
        self.inner.meta(|db| {
            db.write("cannot fence off unfinished changes", |t| {
                t.execute("UPDATE fence SET n = n + 1", []).map(|_| ())
            })
        })
    }
}

/// A locked directory below `tmp/` for what is on its way out.
pub(super) struct Doomed {
    temporary: Temporary,
    dir: Root,
    _guard: Root,
    count: usize,
}

impl Doomed {
    fn new(inner: &Inner) -> Result<Self, StoreError> {
        let (temporary, dir, guard) = Temporary::directory(inner)?;
        Ok(Self { temporary, dir, _guard: guard, count: 0 })
    }

    /// Takes a thing away from its name; says whether it was there.
    pub(super) fn take(&mut self, root: &Root, place: &str) -> Result<bool, StoreError> {
        match root.rename_to(place, &self.dir, self.count.to_string()) {
            Err(e) if e.is_not_found() => Ok(false),
            Err(e) => Err(e.into()),
            Ok(()) => {
                self.count += 1;
                Ok(true)
            }
        }
    }

    fn delete(self) -> Result<(), StoreError> {
        self.temporary.delete()
    }
}

/// Deletes names that still mean what they meant; returns them as people type them.
fn delete_names(t: &Transaction<'_>, plan: &Plan) -> rusqlite::Result<Vec<String>> {
    let mut untagged = Vec::new();
    let mut delete =
        t.prepare_cached("DELETE FROM ref WHERE repository = ?1 AND tag = ?2 AND target = ?3")?;
    for r in &plan.untag {
        let (repository, tag) = split(&r.reference);
        if delete.execute(params![repository, tag, r.target.as_bytes()])? > 0 {
            untagged.push(r.reference.familiar());
        }
    }
    let mut delete =
        t.prepare_cached("DELETE FROM repo_digest WHERE repository = ?1 AND digest = ?2 AND target = ?3")?;
    for (name, target) in &plan.untag_digests {
        let Some(digest) = name.digest() else { continue };
        if delete.execute(params![name.repository(), digest.as_bytes(), target.as_bytes()])? > 0 {
            untagged.push(name.familiar());
        }
    }
    Ok(untagged)
}

/// Which of the planned manifests and indexes a name or a living process needs now, and which something needs at all:
/// one of these, or an index that stays.
fn still_needed(
    t: &Transaction<'_>,
    planned: &HashSet<ManifestDigest>,
    leased: &HashSet<Item>,
) -> rusqlite::Result<(HashSet<ManifestDigest>, HashSet<ManifestDigest>)> {
    let indexes = list_indexes(t)?;
    let other = indexes.iter().map(|index| index.digest).filter(|digest| !planned.contains(digest));
    let held = planned.iter().copied().filter(|d| leased.contains(&Item::Blob(d.as_digest())));
    let names = list_refs(t)?.into_iter().map(|r| r.target);
    let roots: HashSet<ManifestDigest> = held.chain(names).collect();
    let mut todo: Vec<ManifestDigest> = other.chain(roots.iter().copied()).collect();
    let mut kept = HashSet::new();
    while let Some(digest) = todo.pop() {
        if kept.insert(digest) {
            let index = indexes.iter().find(|index| index.digest == digest);
            todo.extend(index.into_iter().flat_map(|index| index.children.iter().copied()));
        }
    }
    Ok((roots, kept))
}

fn delete_rows(t: &Transaction<'_>, digest: ManifestDigest) -> rusqlite::Result<()> {
    for sql in [
        "DELETE FROM image WHERE manifest = ?1",
        "DELETE FROM image_index WHERE digest = ?1",
        "DELETE FROM index_child WHERE parent = ?1",
        "DELETE FROM repo_digest WHERE target = ?1",
    ] {
        t.prepare_cached(sql)?.execute([digest.as_bytes()])?;
    }
    Ok(())
}

/// Lists what is gone as docker does: images, then their layers by chain, topmost first.
fn describe(plan: &Plan, gone: &HashSet<ManifestDigest>, layers: &HashSet<DiffId>, removed: &mut Removed) {
    let mut seen = HashSet::new();
    let mut say = |text: String| {
        if seen.insert(text.clone()) {
            removed.deleted.push(text);
        }
    };
    for index in plan.indexes.iter().filter(|digest| gone.contains(digest)) {
        say(index.to_string());
    }
    for image in plan.images.iter().filter(|image| gone.contains(&image.manifest)) {
        if plan.platforms.contains(&image.manifest) {
            say(image.manifest.to_string());
            continue;
        }
        say(image.id.to_string());
        for (n, _) in image.layers.iter().enumerate().rev().filter(|(_, id)| layers.contains(id)) {
            if let Some(chain) = ChainId::of(&image.layers[..=n]) {
                say(chain.to_string());
            }
        }
    }
}
