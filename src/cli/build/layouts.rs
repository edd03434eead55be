//! `--build-context NAME=oci-layout://DIRECTORY[:TAG][@DIGEST]`

use std::path::PathBuf;

use crate::archive::{Pick, pick};
use crate::builder::{ImageSource, ImageSourceError, ResolvedImage};
use crate::fs::Root;
use crate::image::{Digest, Platform, Reference};
use crate::progress::Reporter;
use crate::store::Store;

/// Images of OCI layouts, and whatever another source has.
pub struct WithLayouts<'a> {
    inner: &'a dyn ImageSource,
    store: &'a Store,
    reporter: &'a dyn Reporter,
}

impl<'a> WithLayouts<'a> {
    /// Puts layouts in front of another source.
    pub fn new(inner: &'a dyn ImageSource, store: &'a Store, reporter: &'a dyn Reporter) -> Self {
        Self { inner, store, reporter }
    }
}

impl ImageSource for WithLayouts<'_> {
    fn resolve(
        &self,
        reference: &Reference,
        platform: Option<&Platform>,
        pull: bool,
    ) -> Result<ResolvedImage, ImageSourceError> {
        self.inner.resolve(reference, platform, pull)
    }

    fn resolve_layout(
        &self,
        name: &str,
        platform: Option<&Platform>,
    ) -> Result<ResolvedImage, ImageSourceError> {
        let (dir, wanted) = parse(name)?;
        let host = Platform::host();
        let root = Root::open(&dir)?;
        let found = pick(self.store, &root, &wanted, platform.unwrap_or(&host), self.reporter)?;
        Ok(ResolvedImage {
            name: name.to_owned(),
            manifest: found.manifest,
            id: found.id,
            diff_ids: found.config.rootfs.diff_ids.clone(),
            config: found.config,
        })
    }

    fn fetch(&self, image: &ResolvedImage) -> Result<(), ImageSourceError> {
        // What a layout gave is in the store already.
        if image.name.starts_with("oci-layout://") { Ok(()) } else { self.inner.fetch(image) }
    }
}

/// Reads `oci-layout://DIRECTORY[:TAG][@DIGEST]`.
fn parse(name: &str) -> Result<(PathBuf, Pick), ImageSourceError> {
    let rest = name.strip_prefix("oci-layout://").unwrap_or(name);
    let (rest, digest) = match rest.rsplit_once('@') {
        Some((rest, digest)) if digest.contains(':') => (rest, Some(digest.parse::<Digest>()?)),
        _ => (rest, None),
    };
    let (dir, tag) = match rest.rsplit_once(':') {
        Some((dir, tag)) if !tag.contains('/') => (dir, tag),
        _ => (rest, "latest"),
    };
    let wanted = digest.map_or_else(|| Pick::Tag(tag.to_owned()), Pick::Digest);
    Ok((PathBuf::from(dir), wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_places() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (text, dir, wanted) in [
            ("oci-layout://dir", "dir", Pick::Tag("latest".into())),
            ("oci-layout:///a/b:v1", "/a/b", Pick::Tag("v1".into())),
            ("oci-layout://../x:y/z", "../x:y/z", Pick::Tag("latest".into())),
            (&format!("oci-layout://d@{digest}"), "d", Pick::Digest(digest.parse().unwrap())),
            (&format!("oci-layout://d:v@{digest}"), "d", Pick::Digest(digest.parse().unwrap())),
        ] {
            assert_eq!(parse(text).unwrap(), (PathBuf::from(dir), wanted), "{text}");
        }
        assert!(parse("oci-layout://d@sha256:12").is_err());
    }
}
