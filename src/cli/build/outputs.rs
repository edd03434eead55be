//! `--output`: where the result goes and in which form, as plain data.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::super::csv::csv;
use super::super::error::CliError;
use super::annotations;
use crate::builder::export::{Annotation, Rewrite};
use crate::image::Reference;
use crate::layers::Compression;

/// One output.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Files into a directory.
    Local {
        /// The directory.
        dest: PathBuf,
        /// Whether what is there and not in the result goes.
        delete: bool,
        /// What it has in common with a tar.
        files: FileAttributes,
    },
    /// Files as a tar.
    Tar {
        /// Where it goes.
        dest: Dest,
        /// What it has in common with a directory.
        files: FileAttributes,
    },
    /// An OCI layout or a docker archive.
    Archive {
        /// Whether it is docker's form.
        docker: bool,
        /// Where it goes.
        dest: Dest,
        /// The image.
        image: ImageAttributes,
    },
    /// An image in the store, in a registry, or both.
    Image(ImageAttributes),
    /// Nothing but cache records.
    CacheOnly,
}

/// Where an archive goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dest {
    /// Standard output.
    Stdout,
    /// A file.
    File(PathBuf),
    /// A directory that becomes a layout.
    Directory(PathBuf),
}

/// Attributes of outputs that are files.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FileAttributes {
    /// `platform-split`
    pub split: Option<bool>,
    /// `attestation-prefix`
    pub attestation_prefix: String,
    /// `source-date-epoch`
    pub epoch: EpochAttribute,
}

/// `source-date-epoch` of an output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EpochAttribute {
    /// Not given: the build's counts.
    #[default]
    Inherit,
    /// Given: none switches it off.
    Set(Option<i64>),
}

impl EpochAttribute {
    /// Returns the epoch that counts, where the build's is `epoch`.
    pub fn or(self, epoch: Option<i64>) -> Option<i64> {
        match self {
            Self::Inherit => epoch,
            Self::Set(own) => own,
        }
    }
}

/// Attributes of outputs that are images.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageAttributes {
    /// `name`; those of `-t` count instead where there are any.
    pub names: Vec<Reference>,
    /// `compression` and `compression-level`: not given, or given with none for no compression.
    pub compression: Option<Option<Compression>>,
    /// `oci-mediatypes`
    pub oci: Option<bool>,
    /// `oci-artifact`
    pub artifact: bool,
    /// `rewrite-timestamp`
    pub rewrite: Rewrite,
    /// `source-date-epoch`
    pub epoch: EpochAttribute,
    /// `annotation…`
    pub annotations: Vec<Annotation>,
    /// `attestation-inline`
    pub attestations: bool,
    /// `push`
    pub push: bool,
    /// `push-by-digest`
    pub push_by_digest: bool,
    /// `registry.insecure`
    pub insecure: bool,
    /// `store`
    pub store: bool,
    /// `name-canonical`
    pub canonical: bool,
    /// `dangling-name-prefix`
    pub dangling_prefix: Option<String>,
}

impl Default for ImageAttributes {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            compression: None,
            oci: None,
            artifact: true,
            rewrite: Rewrite::No,
            epoch: EpochAttribute::Inherit,
            annotations: Vec::new(),
            attestations: true,
            push: false,
            push_by_digest: false,
            insecure: false,
            store: true,
            canonical: false,
            dangling_prefix: None,
        }
    }
}

impl Output {
    /// Reads a value of `--output`.
    ///
    /// # Errors
    /// It is malformed, or asks for what there is not; texts that docker has are docker's.
    pub fn parse(text: &str) -> Result<Self, CliError> {
        let fail = |text: String| CliError::new(format!("ERROR: failed to build: {text}"));
        let fields = csv(text).map_err(|why| CliError::new(format!("ERROR: parse error: {why}")))?;
        if let [only] = &fields[..]
            && only == text
            && !only.starts_with("type=")
        {
            return match only.as_str() {
                "-" => Ok(Self::Tar { dest: Dest::Stdout, files: FileAttributes::default() }),
                dest => Ok(Self::local(dest)),
            };
        }
        let mut keys = Keys(BTreeMap::new());
        for field in &fields {
            let (key, value) = field
                .split_once('=')
                .ok_or_else(|| CliError::new(format!("ERROR: invalid value {field}")))?;
            keys.0.insert(key.trim().to_lowercase(), value.to_owned());
        }
        let kind = keys
            .take("type")
            .ok_or_else(|| CliError::new("ERROR: type is required for output".to_owned()))?;
        Self::of_keys(&kind, keys).map_err(fail)
    }

    /// Returns the output of `-o DIR`.
    pub fn local(dest: &str) -> Self {
        Self::Local { dest: PathBuf::from(dest), delete: false, files: FileAttributes::default() }
    }

    fn of_keys(kind: &str, mut keys: Keys) -> Result<Self, String> {
        let output = match kind {
            "local" => {
                let dest = keys.take("dest").filter(|dest| !dest.is_empty());
                let dest = PathBuf::from(dest.ok_or("dest is required for local exporter")?);
                if crate::fs::is_there(&dest) && !crate::fs::is_directory(&dest) {
                    return Err(format!("destination directory {} is a file", dest.display()));
                }
                let delete = match keys.take("mode").as_deref() {
                    None | Some("copy") => false,
                    Some("delete") => true,
                    Some(other) => return Err(format!("invalid local exporter mode {other:?}")),
                };
                Self::Local { dest, delete, files: files(&mut keys)? }
            }
            "tar" => Self::Tar { dest: file(&mut keys, kind)?, files: files(&mut keys)? },
            "oci" => {
                let dest = match keys.boolean("tar")? {
                    Some(false) => Dest::Directory(directory(&mut keys, kind)?),
                    _ => file(&mut keys, kind)?,
                };
                Self::Archive { docker: false, dest, image: image(&mut keys)? }
            }
            "docker" if keys.0.get("dest").is_some_and(|dest| !dest.is_empty()) => {
                if keys.boolean("tar")? == Some(false) {
                    return Err("docker exporter does not support tar=false, use the oci exporter".to_owned());
                }
                Self::Archive { docker: true, dest: file(&mut keys, kind)?, image: image(&mut keys)? }
            }
            "docker" => Self::Image(image(&mut keys)?),
            "image" => Self::Image(pushed(&mut keys)?),
            "registry" => Self::Image(ImageAttributes { push: true, ..pushed(&mut keys)? }),
            "cacheonly" => Self::CacheOnly,
            other => return Err(format!("failed to solve: exporter {other:?} could not be found")),
        };
        match keys.0.keys().next() {
            Some(key) => Err(format!("unknown key {key:?} for output type {kind}")),
            None => Ok(output),
        }
    }
}

/// What is left of the fields.
struct Keys(BTreeMap<String, String>);

impl Keys {
    fn take(&mut self, key: &str) -> Option<String> {
        self.0.remove(key)
    }

    /// An empty value is true, as BuildKit reads it.
    fn boolean(&mut self, key: &str) -> Result<Option<bool>, String> {
        self.take(key).map_or(Ok(None), |value| match value.as_str() {
            "" => Ok(Some(true)),
            value => boolean(value)
                .map(Some)
                .ok_or_else(|| format!("failed to solve: non-bool value specified for {key}: {value:?}")),
        })
    }

    fn epoch(&mut self) -> Result<EpochAttribute, String> {
        match self.take("source-date-epoch").as_deref() {
            None => Ok(EpochAttribute::Inherit),
            Some("") => Ok(EpochAttribute::Set(None)),
            Some(text) => match text.parse() {
                Ok(epoch) => Ok(EpochAttribute::Set(Some(epoch))),
                Err(_) => Err(format!("failed to solve: invalid source-date-epoch: {text}")),
            },
        }
    }
}

/// Reads a truth value as Go does.
pub fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn file(keys: &mut Keys, kind: &str) -> Result<Dest, String> {
    match keys.take("dest").as_deref() {
        None | Some("" | "-") => {
            use std::io::IsTerminal as _;
            if std::io::stdout().is_terminal() {
                return Err(format!(
                    "dest file is required for {kind} exporter. refusing to write to console"
                ));
            }
            Ok(Dest::Stdout)
        }
        Some(path) => {
            let path = PathBuf::from(path);
            match crate::fs::is_directory(&path) {
                true => Err(format!("destination file {} is a directory", path.display())),
                false => Ok(Dest::File(path)),
            }
        }
    }
}

fn directory(keys: &mut Keys, kind: &str) -> Result<PathBuf, String> {
    let dest = keys.take("dest").filter(|dest| !dest.is_empty());
    let dest = PathBuf::from(dest.ok_or_else(|| format!("dest is required for {kind} exporter"))?);
    match crate::fs::is_there(&dest) && !crate::fs::is_directory(&dest) {
        true => Err(format!("destination directory {} is a file", dest.display())),
        false => Ok(dest),
    }
}

fn files(keys: &mut Keys) -> Result<FileAttributes, String> {
    let attestation_prefix = keys.take("attestation-prefix").unwrap_or_default();
    if attestation_prefix.contains('/') {
        return Err(format!("attestation-prefix {attestation_prefix:?} may not hold a slash"));
    }
    Ok(FileAttributes { split: keys.boolean("platform-split")?, attestation_prefix, epoch: keys.epoch()? })
}

fn pushed(keys: &mut Keys) -> Result<ImageAttributes, String> {
    let mut attributes = image(keys)?;
    attributes.push = keys.boolean("push")?.unwrap_or(false);
    attributes.push_by_digest = keys.boolean("push-by-digest")?.unwrap_or(false);
    attributes.insecure = keys.boolean("registry.insecure")?.unwrap_or(false);
    attributes.store = keys.boolean("store")?.unwrap_or(true);
    attributes.canonical = keys.boolean("name-canonical")?.unwrap_or(false);
    attributes.dangling_prefix = keys.take("dangling-name-prefix").filter(|prefix| !prefix.is_empty());
    let unpack = keys.boolean("unpack")?.unwrap_or(false);
    if unpack && attributes.rewrite != Rewrite::No {
        return Err(
            "failed to solve: exporter option \"rewrite-timestamp\" conflicts with \"unpack\"".to_owned()
        );
    }
    Ok(attributes)
}

fn image(keys: &mut Keys) -> Result<ImageAttributes, String> {
    let mut attributes = ImageAttributes::default();
    for name in keys.take("name").iter().flat_map(|list| list.split(',')).filter(|name| !name.is_empty()) {
        let parsed = Reference::parse(name).map(Reference::or_latest);
        attributes.names.push(parsed.map_err(|e| format!("failed to solve: invalid name {name:?}: {e}"))?);
    }
    attributes.compression = compression(keys)?;
    attributes.oci = keys.boolean("oci-mediatypes")?;
    match keys.take("compatibility-version").as_deref() {
        None | Some("30") => {}
        Some("10" | "20") => attributes.oci = attributes.oci.or(Some(false)),
        Some(other) => return Err(format!("unsupported compatibility-version {other:?}: 10, 20 or 30")),
    }
    attributes.artifact = keys.boolean("oci-artifact")?.unwrap_or(true);
    if keys.boolean("rewrite-timestamp")?.unwrap_or(false) {
        attributes.rewrite = Rewrite::Lower;
    }
    attributes.epoch = keys.epoch()?;
    attributes.attestations = keys.boolean("attestation-inline")?.unwrap_or(true);
    if keys.boolean("prefer-nondist-layers")?.unwrap_or(false) {
        return Err("prefer-nondist-layers is not available: layers are always distributable".to_owned());
    }
    let taken = std::mem::take(&mut keys.0);
    for (key, value) in taken {
        match annotations::output_key(&key, &value) {
            Some(annotation) => attributes.annotations.push(annotation?),
            None => drop(keys.0.insert(key, value)),
        }
    }
    Ok(attributes)
}

/// Reads `compression` and `compression-level`; `force-compression` is what happens anyway.
fn compression(keys: &mut Keys) -> Result<Option<Option<Compression>>, String> {
    keys.boolean("force-compression")?;
    let level = match keys.take("compression-level") {
        None => None,
        Some(text) => Some(text.parse::<i32>().map_err(|_| {
            format!("failed to solve: non-integer value {text:?} specified for compression-level")
        })?),
    };
    let range = |most: i32, usual: i32| match level {
        None | Some(-1) => Ok(usual),
        Some(level) if (0..=most).contains(&level) => Ok(level),
        Some(level) => Err(format!("compression-level {level} is not between 0 and {most}")),
    };
    match keys.take("compression").as_deref() {
        None if level.is_none() => Ok(None),
        None | Some("gzip") => Ok(Some(Some(Compression::Gzip { level: range(9, GZIP_LEVEL)? }))),
        Some("zstd") => Ok(Some(Some(Compression::Zstd { level: range(22, 3)? }))),
        Some("uncompressed") => Ok(Some(None)),
        Some("estargz") => {
            Err("compression=estargz is not available: use gzip, zstd or uncompressed".to_owned())
        }
        Some(other) => Err(format!("failed to solve: unsupported compression type {other}")),
    }
}

/// Level of gzip where none is asked for.
pub const GZIP_LEVEL: i32 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Output, String> {
        Output::parse(text).map_err(|error| error.text)
    }

    fn attributes(text: &str) -> ImageAttributes {
        match parse(text) {
            Ok(Output::Image(image) | Output::Archive { image, .. }) => image,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn short_forms_are_directories_and_standard_output() {
        assert_eq!(parse("out"), Ok(Output::local("out")));
        assert_eq!(parse("foo=bar"), Ok(Output::local("foo=bar")));
        assert_eq!(parse("type=local,dest=out"), Ok(Output::local("out")));
        assert_eq!(parse("type=cacheonly"), Ok(Output::CacheOnly));
    }

    #[test]
    fn attributes_of_images() {
        let image = attributes(r#"type=image,"name=a,b:2",compression=zstd,compression-level=19,push=true"#);
        assert_eq!(image.names.len(), 2);
        assert_eq!(image.compression, Some(Some(Compression::Zstd { level: 19 })));
        assert!(image.push && image.store && image.attestations && image.artifact);
        assert!(attributes("type=registry").push);
        assert_eq!(attributes("type=docker,compression=uncompressed").compression, Some(None));
        assert_eq!(attributes("type=image,compatibility-version=20").oci, Some(false));
        assert_eq!(attributes("type=image,source-date-epoch=").epoch, EpochAttribute::Set(None));
        assert_eq!(attributes("type=oci,dest=x,rewrite-timestamp=").rewrite, Rewrite::Lower);
        assert_eq!(attributes("type=oci,dest=x,annotation-index.k=v").annotations.len(), 1);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, expected) in [
            ("type=local", "ERROR: failed to build: dest is required for local exporter"),
            ("type=local,dest=x,x", "ERROR: invalid value x"),
            ("dest=x,mode=copy", "ERROR: type is required for output"),
            ("type=nope", "ERROR: failed to build: failed to solve: exporter \"nope\" could not be found"),
            ("type=oci,dest=/", "ERROR: failed to build: destination file / is a directory"),
            ("type=local,dest=x,foo=1", "ERROR: failed to build: unknown key \"foo\" for output type local"),
            (
                "type=oci,dest=x,compression=foo",
                "ERROR: failed to build: failed to solve: unsupported compression type foo",
            ),
            (
                "type=oci,dest=x,compression-level=99",
                "ERROR: failed to build: compression-level 99 is not between 0 and 9",
            ),
            (
                "type=image,rewrite-timestamp=true,unpack=true",
                "ERROR: failed to build: failed to solve: exporter option \"rewrite-timestamp\" conflicts with \"unpack\"",
            ),
        ] {
            assert_eq!(parse(text), Err(expected.to_owned()), "{text}");
        }
    }
}
