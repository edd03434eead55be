//! `rmi`: taking a name or an image away, with docker's rules and words.

use std::collections::HashSet;

use super::super::error::StoreError;
use super::super::{RefRecord, Store};
use super::policy::Plan;
use super::view::View;
use crate::image::{ImageId, ManifestDigest, Platform, Reference};

/// A container's use of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageUse {
    /// The container's id.
    pub container: String,
    /// The image that it was made from.
    pub image: ImageId,
    /// Whether it runs.
    pub running: bool,
}

/// An image or index and all of its names.
struct Subject {
    id: ImageId,
    /// The images of an index's other platforms as well.
    images: HashSet<ImageId>,
    targets: HashSet<ManifestDigest>,
    tags: Vec<RefRecord>,
    digests: Vec<(Reference, ManifestDigest)>,
}

impl Store {
    /// Plans `rmi`: takes a name away, and the image with its last one.
    ///
    /// An image that a container uses stays, without names, until that is gone.
    ///
    /// # Errors
    /// There is no such image, or docker would refuse: it is in use, or has other names.
    pub fn plan_remove(&self, text: &str, force: bool, uses: &[ImageUse]) -> Result<Plan, StoreError> {
        let found = self.find(text)?;
        let (view, leased) = self.look()?;
        let subject = self.subject(&view, found.target)?;
        let uses: Vec<&ImageUse> = uses.iter().filter(|u| subject.images.contains(&u.image)).collect();
        let (tags, digests) = match &found.reference {
            Some(reference) => subject.names_of(reference, text, force, &uses)?,
            None => subject.all_names(force, &uses)?,
        };
        let names_left = subject.tags.len() + subject.digests.len() > tags.len() + digests.len();
        let mut plan = if names_left || !uses.is_empty() {
            Plan::default()
        } else {
            self.plan_removal(&view, subject.targets, &leased)?
        };
        plan.untag = tags;
        plan.untag_digests = digests;
        Ok(plan)
    }

    fn subject(&self, view: &View, target: ManifestDigest) -> Result<Subject, StoreError> {
        let mut below = Vec::new();
        let image = match self.image_by_manifest(target)? {
            Some(image) => Some(image),
            None => {
                self.index_images(target, 0, &mut below)?;
                let host = Platform::host();
                below.iter().find(|image| image.platform.serves(&host)).or(below.first()).cloned()
            }
        };
        let mut targets = HashSet::from([target]);
        // An index of images that are not here has only its own digest to show.
        let id = image.map_or(ImageId::from_bytes(*target.as_bytes()), |image| image.id);
        targets.extend(view.manifests_of(id).map(|image| image.manifest));
        let around = view.indexes.iter().map(|index| index.digest);
        targets
            .extend(around.filter(|index| !view.reached([*index]).is_disjoint(&targets)).collect::<Vec<_>>());
        let below = view.reached(targets.iter().copied());
        let images = view.images.iter().filter(|image| below.contains(&image.manifest));
        Ok(Subject {
            id,
            images: images.map(|image| image.id).collect(),
            tags: view.refs.iter().filter(|r| targets.contains(&r.target)).cloned().collect(),
            digests: view.digests.iter().filter(|(_, t)| targets.contains(t)).cloned().collect(),
            targets,
        })
    }
}

type Names = (Vec<RefRecord>, Vec<(Reference, ManifestDigest)>);

impl Subject {
    /// The names that go when one of them was typed.
    fn names_of(
        &self,
        typed: &Reference,
        text: &str,
        force: bool,
        uses: &[&ImageUse],
    ) -> Result<Names, StoreError> {
        if !force
            && self.has_one_name()
            && let Some(user) = uses.first()
        {
            return Err(StoreError::Conflict(format!(
                "unable to remove repository reference {text:?} (must force) - container {} is using its \
                 referenced image {}",
                short(&user.container),
                self.id.short(),
            )));
        }
        let repository = typed.repository();
        let here = |name: &Reference| name.repository() == repository;
        if let Some(digest) = typed.digest() {
            let goes = |r: &&RefRecord| here(&r.reference) && r.target.as_digest() == digest;
            let tags: Vec<RefRecord> = self.tags.iter().filter(goes).cloned().collect();
            let goes = |(name, _): &&(Reference, ManifestDigest)| here(name) && name.digest() == Some(digest);
            return Ok((tags, self.digests.iter().filter(goes).cloned().collect()));
        }
        let is_typed = |r: &RefRecord| here(&r.reference) && r.reference.tag() == typed.tag();
        let tags: Vec<RefRecord> = self.tags.iter().filter(|r| is_typed(r)).cloned().collect();
        // The last tag of a repository takes the digests along that this one knows the image by.
        let is_last = !self.tags.iter().any(|r| here(&r.reference) && !is_typed(r));
        let digests = self.digests.iter().filter(|(name, _)| is_last && here(name)).cloned().collect();
        Ok((tags, digests))
    }

    /// The names that go when an id was typed: all of them.
    fn all_names(&self, force: bool, uses: &[&ImageUse]) -> Result<Names, StoreError> {
        let refuse = |how: &str, why: String| {
            StoreError::Conflict(format!("unable to delete {} ({how}) - {why}", self.id.short()))
        };
        if let Some(user) = uses.iter().find(|u| u.running) {
            let why = format!("image is being used by running container {}", short(&user.container));
            return Err(refuse("cannot be forced", why));
        }
        if !force {
            if !self.has_one_name() {
                return Err(refuse(
                    "must be forced",
                    "image is referenced in multiple repositories".to_owned(),
                ));
            }
            if let Some(user) = uses.first() {
                let why = format!("image is being used by stopped container {}", short(&user.container));
                return Err(refuse("must be forced", why));
            }
        }
        Ok((self.tags.clone(), self.digests.clone()))
    }

    /// Whether there is at most one tag, and no digest of another repository.
    fn has_one_name(&self) -> bool {
        let mut repositories: Vec<String> = self
            .tags
            .iter()
            .map(|r| &r.reference)
            .chain(self.digests.iter().map(|(name, _)| name))
            .map(Reference::repository)
            .collect();
        repositories.sort();
        repositories.dedup();
        self.tags.len() <= 1 && repositories.len() <= 1
    }
}

/// Returns the first 12 characters of a container's id.
pub(super) fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}
