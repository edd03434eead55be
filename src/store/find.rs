//! Looking an image up by what a person types (docker's order and words).

use rusqlite::{Transaction, params};

use super::Store;
use super::error::StoreError;
use super::image::ImageRecord;
use super::refs::{is_known, lookup, split};
use crate::image::{ImageId, ManifestDigest, Platform, Reference};

/// Fewest digits that are taken for the beginning of an id.
const MIN_PREFIX: usize = 3;

/// What a text means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The manifest or index.
    pub target: ManifestDigest,
    /// The name by which it was found; none when an id was typed.
    pub reference: Option<Reference>,
}

impl Store {
    /// Finds an image or index: by full id or digest, by `name[:tag]` or `name@digest`, by the beginning of an id.
    ///
    /// # Errors
    /// Nothing fits, or the beginning of an id fits several.
    pub fn find(&self, text: &str) -> Result<Found, StoreError> {
        if let Some(id) = full_id(text)
            && let Some(target) = self.by_id(id)?
        {
            return Ok(Found { target, reference: None });
        }
        let reference = Reference::parse(text).ok().map(Reference::or_latest);
        if let Some(reference) = &reference
            && let Some(target) = self.by_reference(reference)?
        {
            return Ok(Found { target, reference: Some(reference.clone()) });
        }
        if let Some(prefix) = id_prefix(text)
            && let Some(target) = self.by_prefix(text, prefix)?
        {
            return Ok(Found { target, reference: None });
        }
        let shown = reference.map_or_else(|| text.to_owned(), |r| r.familiar());
        Err(StoreError::NoImage(shown))
    }

    /// Finds an image that runs on `platform`, or on this machine when none is asked for.
    ///
    /// A single image serves any machine unless a platform is asked for.
    ///
    /// # Errors
    /// Nothing fits the text, or nothing that fits it is for the platform.
    pub fn find_image(&self, text: &str, platform: Option<&Platform>) -> Result<ImageRecord, StoreError> {
        let found = self.find(text)?;
        self.select_image(&found, platform, text)
    }

    /// Chooses the image that a found text means on a platform; `text` is for the error.
    ///
    /// # Errors
    /// None is for the platform, or the one that is for it is not in the store.
    pub fn select_image(
        &self,
        found: &Found,
        platform: Option<&Platform>,
        text: &str,
    ) -> Result<ImageRecord, StoreError> {
        let host = Platform::host();
        let wanted = platform.unwrap_or(&host);
        let wrong = |actual: String| StoreError::WrongPlatform {
            reference: text.to_owned(),
            wanted: wanted.to_string(),
            actual,
        };
        if let Some(image) = self.image_by_manifest(found.target)? {
            if platform.is_some_and(|wanted| !image.platform.serves(wanted)) {
                return Err(wrong(image.platform.to_string()));
            }
            return Ok(image);
        }
        let mut there = Vec::new();
        self.index_images(found.target, 0, &mut there)?;
        let fits = |image: &&ImageRecord| image.platform.serves(wanted);
        // The newest variant that fits, the first of equals.
        let best = there
            .iter()
            .filter(fits)
            .reduce(|best, image| if image.platform.variant > best.platform.variant { image } else { best });
        // Without a wish, an image for another platform is better than none; attestations are no images.
        let any = || there.iter().find(|image| platform.is_none() && image.platform.os != "unknown");
        let best = best.or_else(any);
        best.cloned().ok_or_else(|| {
            let names: Vec<String> = there.iter().map(|image| image.platform.to_string()).collect();
            wrong(names.join(", "))
        })
    }

    /// Collects the images below an index that are in the store; indexes may nest a little.
    pub(super) fn index_images(
        &self,
        index: ManifestDigest,
        depth: usize,
        into: &mut Vec<ImageRecord>,
    ) -> Result<(), StoreError> {
        if depth > 4 {
            return Ok(());
        }
        let children: Vec<ManifestDigest> = self.inner.meta(|db| {
            db.read("cannot look up an index", |t| {
                t.prepare_cached("SELECT child FROM index_child WHERE parent = ?1 ORDER BY position")?
                    .query_map([index.as_bytes()], |row| row.get(0).map(ManifestDigest::from_bytes))?
                    .collect()
            })
        })?;
        for child in children {
            match self.image_by_manifest(child)? {
                Some(image) => into.push(image),
                None => self.index_images(child, depth + 1, into)?,
            }
        }
        Ok(())
    }

    fn by_id(&self, id: [u8; 32]) -> Result<Option<ManifestDigest>, StoreError> {
        if let Some(image) = self.image(ImageId::from_bytes(id))? {
            return Ok(Some(image.manifest));
        }
        let digest = ManifestDigest::from_bytes(id);
        self.inner
            .meta(|db| db.read("cannot look up a digest", |t| Ok(is_known(t, digest)?.then_some(digest))))
    }

    fn by_reference(&self, reference: &Reference) -> Result<Option<ManifestDigest>, StoreError> {
        self.inner.meta(|db| {
            db.read("cannot look up a reference", |t| match reference.digest() {
                None => {
                    let (repository, tag) = split(reference);
                    lookup(t, &repository, &tag)
                }
                Some(_) => by_digest(t, reference),
            })
        })
    }

    fn by_prefix(&self, text: &str, prefix: &str) -> Result<Option<ManifestDigest>, StoreError> {
        let (low, high) = bounds(prefix);
        // Manifests of one image share its id and count once.
        let found: Vec<([u8; 32], [u8; 32])> = self.inner.meta(|db| {
            db.read("cannot look up an id", |t| {
                t.prepare_cached(
                    "SELECT id, manifest FROM
                       (SELECT id, manifest, added FROM image WHERE id BETWEEN ?1 AND ?2
                        UNION SELECT manifest, manifest, added FROM image WHERE manifest BETWEEN ?1 AND ?2
                        UNION SELECT digest, digest, added FROM image_index WHERE digest BETWEEN ?1 AND ?2)
                     ORDER BY id, added",
                )?
                .query_map(params![low, high], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
            })
        })?;
        match found.split_first() {
            None => Ok(None),
            Some((first, rest)) if rest.iter().all(|other| other.0 == first.0) => {
                Ok(Some(ManifestDigest::from_bytes(first.1)))
            }
            Some(_) => Err(StoreError::Ambiguous(text.to_owned())),
        }
    }
}

/// `name@digest`: what a registry knows by it, or a name of that repository whose target has the digest.
fn by_digest(t: &Transaction<'_>, reference: &Reference) -> rusqlite::Result<Option<ManifestDigest>> {
    use rusqlite::OptionalExtension as _;
    let Some(digest) = reference.digest() else { return Ok(None) };
    t.prepare_cached(
        "SELECT target FROM repo_digest WHERE repository = ?1 AND digest = ?2
         UNION ALL SELECT target FROM ref WHERE repository = ?1 AND target = ?2 LIMIT 1",
    )?
    .query_row(params![reference.repository(), digest.as_bytes()], |row| {
        row.get(0).map(ManifestDigest::from_bytes)
    })
    .optional()
}

fn full_id(text: &str) -> Option<[u8; 32]> {
    crate::image::id::from_hex(text.strip_prefix("sha256:").unwrap_or(text))
}

/// Returns the digits of a text that may be the beginning of an id.
pub(super) fn id_prefix(text: &str) -> Option<&str> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    let legal = (MIN_PREFIX..=64).contains(&digits.len())
        && digits.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
    legal.then_some(digits)
}

/// Returns the least and the greatest id that begin with these digits.
fn bounds(prefix: &str) -> ([u8; 32], [u8; 32]) {
    let fill = |digit: char| {
        let full: String = prefix.chars().chain(std::iter::repeat(digit)).take(64).collect();
        crate::image::id::from_hex(&full).expect("64 hexadecimal digits")
    };
    (fill('0'), fill('f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_hexadecimal_and_long_enough() {
        for (text, expected) in [
            ("abc", Some("abc")),
            ("sha256:0123", Some("0123")),
            ("ab", None),
            ("sha256:ab", None),
            ("ABC", None),
            ("abg", None),
            ("sha512:abc", None),
        ] {
            assert_eq!(id_prefix(text), expected, "{text}");
        }
        let (low, high) = bounds("abc");
        assert_eq!((low[0], low[1], low[2]), (0xab, 0xc0, 0));
        assert_eq!((high[0], high[1], high[31]), (0xab, 0xcf, 0xff));
    }
}
