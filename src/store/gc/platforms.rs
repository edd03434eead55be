//! `rmi --platform`: single platforms of an index go, its names and its other platforms stay.
//!
//! The index keeps its bytes, and with them its digest; it just names more than
//! is here, like one of which only some platforms were ever pulled. Every index
//! that names such a manifest loses it. Where nothing would be left of an index
//! or an image, it goes whole, with its names.

use std::collections::HashSet;

use super::super::error::StoreError;
use super::super::{ImageRecord, Store};
use super::policy::Plan;
use super::remove::{ImageUse, short};
use super::view::View;
use crate::image::{ManifestDigest, Platform};

impl Store {
    /// Plans `rmi --platform`: all of the platforms go, or none.
    ///
    /// # Errors
    /// There is no such image, it is not there for one of the platforms, or a container uses what would go.
    pub fn plan_remove_platforms(
        &self,
        text: &str,
        platforms: &[Platform],
        uses: &[ImageUse],
    ) -> Result<Plan, StoreError> {
        let found = self.find(text)?;
        let (view, leased) = self.look()?;
        let below = view.reached([found.target]);
        let here: Vec<&ImageRecord> = view.images.iter().filter(|i| below.contains(&i.manifest)).collect();
        let mut chosen: HashSet<ManifestDigest> = HashSet::new();
        for platform in platforms {
            let mut fitting = here.iter().filter(|image| is_same(&image.platform, platform)).peekable();
            if fitting.peek().is_none() {
                let (reference, platform) = (text.to_owned(), platform.to_string());
                return Err(StoreError::NoPlatform { reference, target: found.target, platform });
            }
            chosen.extend(fitting.map(|image| image.manifest));
        }
        let used = |u: &&ImageUse| here.iter().any(|i| chosen.contains(&i.manifest) && i.id == u.image);
        if let Some(user) = uses.iter().find(used) {
            return Err(StoreError::Conflict(format!(
                "unable to delete {} (cannot be forced) - image is being used by {} container {}",
                user.image.short(),
                if user.running { "running" } else { "stopped" },
                short(&user.container),
            )));
        }
        let empty = emptied(&view, &chosen);
        let roots = chosen.union(&empty).copied().collect();
        let mut plan = self.plan_removal(&view, roots, &leased)?;
        plan.platforms = chosen.into_iter().filter(|digest| !empty.contains(digest)).collect();
        Ok(plan)
    }
}

/// The indexes that have no image left once these are gone.
fn emptied(view: &View, gone: &HashSet<ManifestDigest>) -> HashSet<ManifestDigest> {
    let is_empty = |index: &ManifestDigest| {
        let below = view.reached([*index]);
        let mut left =
            view.images.iter().filter(|i| below.contains(&i.manifest) && !gone.contains(&i.manifest));
        // What only says something about an image is none.
        !below.is_disjoint(gone) && left.all(|image| image.platform.os == "unknown")
    };
    view.indexes.iter().map(|index| index.digest).filter(is_empty).collect()
}

/// Whether two platforms are the same one, by whatever names.
fn is_same(have: &Platform, wanted: &Platform) -> bool {
    let normal = |one: &Platform| Platform::normalised(&one.os, &one.architecture, one.variant.as_deref());
    normal(have) == normal(wanted)
}
