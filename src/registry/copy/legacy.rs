//! Archives with a `manifest.json` alone, as docker wrote before version 25 and podman and skopeo still do.
//!
//! They have no manifests: one is made of the config and the layers, in
//! docker's family, with the layers as they lie there.

use std::collections::HashMap;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;

use super::super::transfer::TransferError;
use super::archive::TarFiles;
use super::layout::{Files, Part};
use crate::image::manifest::media_type;
use crate::image::{Descriptor, DiffId, Digest, ImageConfig, Manifest, Reference};
use crate::layers::{Format, HashingReader};
use crate::registry::push::LayerBytes;

/// The list of images.
pub(super) const LIST: &str = "manifest.json";

/// One image of the list.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// An archive of that kind with the manifests that it has not.
#[derive(Debug)]
pub(super) struct Legacy {
    tar: TarFiles,
    /// Names of every image, and its manifest.
    images: Vec<(Vec<String>, Descriptor)>,
    manifests: HashMap<Digest, Vec<u8>>,
    /// Names of files by what they hold.
    names: HashMap<Digest, String>,
}

impl Legacy {
    pub(super) fn read(tar: TarFiles) -> Result<Self, TransferError> {
        let wrong = |e: serde_json::Error| TransferError::Refused(format!("{}: {LIST}: {e}", tar.place()));
        let list: Vec<Listed> = serde_json::from_slice(&tar.read(LIST)?).map_err(wrong)?;
        let (images, manifests, names) = (Vec::new(), HashMap::new(), HashMap::new());
        let mut made = Self { tar, images, manifests, names };
        for listed in list {
            made.add(listed)?;
        }
        Ok(made)
    }

    fn add(&mut self, listed: Listed) -> Result<(), TransferError> {
        let config = self.tar.read(&listed.config)?;
        let digest = Digest::of(&config);
        let parsed =
            ImageConfig::from_json(&config).map_err(|source| TransferError::Config { digest, source })?;
        let ids = parsed.rootfs.diff_ids;
        if ids.len() != listed.layers.len() {
            let (has, lists) = (ids.len(), listed.layers.len());
            let reason = format!("it has {has} layers, the archive lists {lists}");
            return Err(TransferError::Inconsistent { digest, reason });
        }
        self.names.insert(digest, listed.config);
        let mut layers = Vec::new();
        for (name, id) in listed.layers.into_iter().zip(ids) {
            let layer = self.layer(&name, id)?;
            self.names.insert(layer.digest, name);
            layers.push(layer);
        }
        let config = Descriptor::new(media_type::DOCKER_CONFIG, digest, config.len() as u64);
        let manifest =
            Manifest { media_type: media_type::DOCKER_MANIFEST.to_owned(), ..Manifest::oci(config, layers) };
        let (bytes, digest) = manifest.to_json();
        let digest = digest.as_digest();
        let root = Descriptor::new(media_type::DOCKER_MANIFEST, digest, bytes.len() as u64);
        self.manifests.insert(digest, bytes);
        self.images.push((listed.repo_tags.unwrap_or_default(), root));
        Ok(())
    }

    /// Describes a layer's file; only a compressed one has to be read for that.
    fn layer(&self, name: &str, id: DiffId) -> Result<Descriptor, TransferError> {
        let failed = |e: std::io::Error| TransferError::Refused(format!("{}: {name}: {e}", self.tar.place()));
        let Part { file, at, size } = self.tar.named(name)?;
        let mut head = [0u8; 6];
        let most = usize::try_from(size).unwrap_or(usize::MAX).min(head.len());
        file.read_exact_at(&mut head[..most], at).map_err(failed)?;
        let kind = match Format::of(&head[..most]) {
            Format::Plain => return Ok(Descriptor::new(media_type::DOCKER_LAYER, id.as_digest(), size)),
            Format::Gzip => media_type::DOCKER_LAYER_GZIP,
            Format::Zstd => media_type::DOCKER_LAYER_ZSTD,
            other => {
                return Err(failed(std::io::Error::other(format!("registries know no layers in {other:?}"))));
            }
        };
        let mut reader = HashingReader::new(LayerBytes::Part(file, at, size).open(0)?);
        let mut piece = vec![0; 256 << 10];
        while reader.read(&mut piece).map_err(failed)? > 0 {}
        Ok(Descriptor::new(kind, reader.finish(), size))
    }
}

impl Files for Legacy {
    fn find(&self, name: Option<&str>) -> Result<Descriptor, TransferError> {
        let refused = |why: String| Err(TransferError::Refused(format!("{}: {why}", self.tar.place())));
        let whole = |text: &String| Reference::parse(text).map(|found| found.or_latest().to_string());
        match (name, &self.images[..]) {
            (None, [(_, only)]) => Ok(only.clone()),
            (None, all) => refused(format!("there are {} images: say which by a name", all.len())),
            (Some(name), all) => {
                let named = |(names, _): &&(Vec<String>, Descriptor)| {
                    names.iter().any(|text| whole(text).is_ok_and(|whole| whole == name))
                };
                match all.iter().find(named) {
                    Some((_, found)) => Ok(found.clone()),
                    None => refused(format!("there is no image {name}")),
                }
            }
        }
    }

    fn part(&self, digest: Digest) -> Result<Part, TransferError> {
        match self.names.get(&digest) {
            Some(name) => self.tar.named(name),
            None => Err(TransferError::Refused(format!("{} lacks {digest}", self.tar.place()))),
        }
    }

    fn small(&self, digest: Digest, _: u64) -> Result<Vec<u8>, TransferError> {
        match (self.manifests.get(&digest), self.names.get(&digest)) {
            (Some(bytes), _) => Ok(bytes.clone()),
            (None, Some(name)) => self.tar.read(name),
            (None, None) => Err(TransferError::Refused(format!("{} lacks {digest}", self.tar.place()))),
        }
    }
}

/// Returns what a link in an archive names, seen from the archive's root.
pub(super) fn beside(link: &str, target: &str) -> String {
    let mut parts: Vec<&str> = link.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_other_files_of_the_archive() {
        assert_eq!(beside("a/layer.tar", "../b/layer.tar"), "b/layer.tar");
        assert_eq!(beside("x", "../../etc/passwd"), "etc/passwd");
        assert_eq!(beside("x", "./y"), "y");
    }
}
