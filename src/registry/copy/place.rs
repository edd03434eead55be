//! Where an image is copied from or to, as people type it.

use std::path::PathBuf;

use super::super::transfer::TransferError;
use crate::image::Reference;

/// A place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A repository of a registry.
    Registry(Reference),
    /// An OCI layout in a directory.
    Layout {
        /// The directory.
        dir: PathBuf,
        /// Name of the image in it.
        tag: Option<String>,
    },
    /// An OCI layout as a tar.
    OciArchive {
        /// The file.
        file: PathBuf,
        /// Name of the image in it.
        tag: Option<String>,
    },
    /// An archive for `docker load`.
    DockerArchive {
        /// The file.
        file: PathBuf,
        /// Name of the image in it.
        name: Option<Reference>,
    },
    /// This machine's store.
    Store(Reference),
}

impl Place {
    /// Reads a place; the part before the first colon says its kind.
    ///
    /// # Errors
    /// The kind is unknown, or the rest is no name or path.
    pub fn parse(text: &str) -> Result<Self, TransferError> {
        let refused = |why: String| TransferError::Refused(why);
        let Some((kind, rest)) = text.split_once(':') else {
            return Err(refused(format!("invalid place {text:?}: expected KIND:NAME, e.g. docker://debian")));
        };
        let name = |rest: &str| {
            Reference::parse(rest).map(Reference::or_latest).map_err(|e| refused(format!("{text}: {e}")))
        };
        let file = |rest: &str| {
            let (path, tag) = match rest.split_once(':') {
                Some((path, tag)) => (path, Some(tag.to_owned()).filter(|tag| !tag.is_empty())),
                None => (rest, None),
            };
            if path.is_empty() {
                Err(refused(format!("{text}: there is no path")))
            } else {
                Ok((PathBuf::from(path), tag))
            }
        };
        Ok(match kind {
            "docker" => match rest.strip_prefix("//") {
                Some(rest) => Self::Registry(name(rest)?),
                None => return Err(refused(format!("{text}: a registry's image begins with docker://"))),
            },
            "oci" => file(rest).map(|(dir, tag)| Self::Layout { dir, tag })?,
            "oci-archive" => file(rest).map(|(file, tag)| Self::OciArchive { file, tag })?,
            "docker-archive" => {
                let (file, tag) = file(rest)?;
                Self::DockerArchive { file, name: tag.as_deref().map(name).transpose()? }
            }
            "store" => Self::Store(name(rest)?),
            other => {
                return Err(refused(format!(
                    "unknown kind of place {other:?}: there are docker://, oci:, oci-archive:, docker-archive: \
                     and store:"
                )));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_by_their_kind() {
        let layout =
            |dir: &str, tag: Option<&str>| Place::Layout { dir: dir.into(), tag: tag.map(str::to_owned) };
        assert_eq!(Place::parse("oci:/a/b").unwrap(), layout("/a/b", None));
        assert_eq!(Place::parse("oci:b:1.2").unwrap(), layout("b", Some("1.2")));
        let Place::Registry(name) = Place::parse("docker://localhost:5000/x").unwrap() else { panic!() };
        assert_eq!(name.to_string(), "localhost:5000/x:latest");
        let Place::DockerArchive { name, .. } = Place::parse("docker-archive:x.tar:a/b:1").unwrap() else {
            panic!()
        };
        assert_eq!(name.unwrap().familiar(), "a/b:1");
        for bad in ["x", "docker:x", "dir:x", "oci:", "docker://A", "store:-"] {
            assert!(Place::parse(bad).is_err(), "{bad}");
        }
    }
}
