//! Outputs carried out: the solved build into directories, tars, layouts, the store.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::super::error::CliError;
use super::super::files::Replacement;
use super::super::global::Global;
use super::attest::Attest;
use super::exports::Exports;
use super::outputs::{Dest, EpochAttribute, FileAttributes, GZIP_LEVEL, ImageAttributes, Output};
use crate::archive::{BlobSource, DockerImage, IMAGE_NAME, Layout, REF_NAME, blob_path};
use crate::builder::export::{
    self, Annotations, DirectoryOptions, Documents, ImageFormat, Rewrite, RootTree, Say,
};
use crate::builder::{BuildOptions, Solved, wants_index};
use crate::causes::chain;
use crate::fs::Root;
use crate::image::{Descriptor, Digest, ImageId, Reference};
use crate::layers::Compression;
use crate::progress::Reporter;
use crate::store::Store;

/// Annotation with the time of creation.
const CREATED: &str = "org.opencontainers.image.created";

/// What the exporters say of the result; of several the last counts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Exported {
    /// What stands for the whole: a manifest or an index.
    pub descriptor: Option<Descriptor>,
    /// The config, where there is exactly one image.
    pub config: Option<ImageId>,
    /// The names that it has.
    pub names: Vec<Reference>,
}

/// What every output needs.
pub struct Exporter<'a> {
    /// The store.
    pub store: &'a Store,
    /// What was solved.
    pub solved: &'a Solved,
    /// What the build was asked for.
    pub options: &'a BuildOptions,
    /// The outputs and what they have in common.
    pub exports: &'a Exports,
    /// Which configuration counts for registries.
    pub global: &'a Global,
    /// Makes statements about images.
    pub attest: &'a Attest<'a>,
    /// Receives what happens.
    pub reporter: &'a dyn Reporter,
}

fn failed(error: &dyn std::error::Error) -> CliError {
    CliError::new(format!("ERROR: failed to build: failed to solve: {}", chain(error)))
}

impl Exporter<'_> {
    /// Carries out every output in order.
    ///
    /// # Errors
    /// The first one that fails; what that one had begun is gone again.
    pub fn run(&self) -> Result<Exported, CliError> {
        let mut exported = Exported::default();
        for output in &self.exports.outputs {
            match output {
                Output::CacheOnly => {}
                Output::Local { dest, delete, files } => self.local(dest, *delete, files)?,
                Output::Tar { dest, files } => self.tar(dest, files)?,
                Output::Archive { docker, dest, image } => {
                    exported = self.archive(*docker, dest, image)?;
                }
                Output::Image(image) => exported = self.image(image)?,
            }
        }
        Ok(exported)
    }

    fn step<T>(&self, name: &str, work: impl FnOnce(Say<'_>) -> Result<T, CliError>) -> Result<T, CliError> {
        export::exporting(self.solved, self.reporter, name, |say| work(say).map_err(Shown)).map_err(|e| e.0)
    }

    /// Returns the epoch that counts for an output.
    fn epoch(&self, own: EpochAttribute) -> Option<i64> {
        own.or(self.solved.plan.epoch).or(self.exports.reproducible.then_some(0))
    }

    fn format(&self, image: &ImageAttributes, docker: bool, compression: Option<Compression>) -> ImageFormat {
        let mut annotations = self.exports.annotations.clone();
        annotations.extend(image.annotations.iter().cloned());
        let attested = image.attestations && self.attest.is_wanted();
        // Docker's own types have room for neither.
        let oci = image.oci.unwrap_or(!docker) || !annotations.is_empty() || attested;
        ImageFormat {
            oci,
            compression: image.compression.unwrap_or(compression),
            epoch: self.epoch(image.epoch),
            rewrite: if self.exports.reproducible { Rewrite::Forget } else { image.rewrite },
            annotations: Annotations(annotations),
            index: wants_index(self.options),
            artifact: image.artifact,
        }
    }

    /// Writes all documents of an image.
    fn documents(
        &self,
        image: &ImageAttributes,
        format: &ImageFormat,
        names: &[Reference],
        say: Say<'_>,
    ) -> Result<Documents, CliError> {
        say("exporting layers".to_owned());
        let images = export::compose(self.store, self.solved, format).map_err(|e| failed(&e))?;
        let mut statements = Vec::new();
        for (number, written) in images.iter().enumerate() {
            say(format!("exporting manifest {}", written.digest));
            say(format!("exporting config {}", written.id));
            if image.attestations {
                statements.push(self.attest.about_image(self.solved, number, written, names)?);
            }
        }
        let mut documents = export::index(images, statements, format);
        if documents.index.is_none() && format.annotations.want_index() {
            return Err(CliError::new(
                "ERROR: failed to build: failed to solve: index annotations not supported for single platform export",
            ));
        }
        for attestation in &documents.attestations {
            say(format!("exporting attestation manifest {}", attestation.digest));
        }
        if let Some((digest, _)) = &documents.index {
            say(format!("exporting manifest list {digest}"));
        }
        let created = match format.epoch.and_then(|epoch| jiff::Timestamp::from_second(epoch).ok()) {
            Some(epoch) => epoch,
            None => jiff::Timestamp::now(),
        };
        let annotations = documents.descriptor.annotations.get_or_insert_default();
        annotations
            .entry(CREATED.to_owned())
            .or_insert_with(|| created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        Ok(documents)
    }

    /// The names of `-t` count before those of the output.
    fn names(&self, image: &ImageAttributes) -> Vec<Reference> {
        let given = if self.options.tags.is_empty() { &image.names } else { &self.options.tags };
        given.iter().map(|name| name.clone().or_latest()).collect()
    }

    fn image(&self, image: &ImageAttributes) -> Result<Exported, CliError> {
        let names = self.names(image);
        self.step("exporting to image", |say| {
            let compression = image.push.then_some(Compression::Gzip { level: GZIP_LEVEL });
            let format = self.format(image, false, compression);
            let documents = self.documents(image, &format, &names, say)?;
            if image.store || image.push {
                let stored: &[Reference] = if image.store { &names } else { &[] };
                let kept = export::keep(self.store, &documents, stored, say).map_err(|e| failed(&e))?;
                self.digest_names(image, &names, &documents.descriptor, kept.target)?;
                if image.push {
                    let (target, digest) = (kept.target, documents.descriptor.digest);
                    let (store, global, names) = (self.store, self.global, &names[..]);
                    super::push::Push { store, global, image, names, target, digest }.run(say)?;
                }
            }
            Ok(exported(&documents, names.clone()))
        })
    }

    /// Notes `name@digest` where the output asks for such names.
    fn digest_names(
        &self,
        image: &ImageAttributes,
        names: &[Reference],
        descriptor: &Descriptor,
        target: crate::image::ManifestDigest,
    ) -> Result<(), CliError> {
        let mut wanted: Vec<Reference> = if image.canonical { names.to_vec() } else { Vec::new() };
        if let Some(prefix) = image.dangling_prefix.as_ref().filter(|_| names.is_empty()) {
            let parsed = Reference::parse(prefix)
                .map_err(|e| CliError::new(format!("ERROR: invalid dangling-name-prefix {prefix:?}: {e}")))?;
            wanted.push(parsed);
        }
        for name in wanted {
            self.store.add_repo_digest(&name, descriptor.digest, target).map_err(|e| failed(&e))?;
        }
        Ok(())
    }

    fn archive(&self, docker: bool, dest: &Dest, image: &ImageAttributes) -> Result<Exported, CliError> {
        let form = if docker { "docker" } else { "oci" };
        let names = self.names(image);
        self.step(&format!("exporting to {form} image format"), |say| {
            let format = self.format(image, docker, Some(Compression::Gzip { level: GZIP_LEVEL }));
            let documents = self.documents(image, &format, &names, say)?;
            if docker && documents.index.is_some() {
                return Err(CliError::new(
                    "ERROR: failed to build: docker exporter does not support exporting manifest lists, use the oci exporter instead",
                ));
            }
            let layout = layout(&documents, &names, docker, matches!(dest, Dest::Directory(_)));
            match dest {
                Dest::Directory(path) => with_directory(path, 0o755, |dir| {
                    crate::archive::write_layout_directory(self.store, &layout, dir).map_err(|e| failed(&e))
                })?,
                Dest::File(_) | Dest::Stdout => to_file(dest, |out| {
                    crate::archive::write_layout(self.store, &layout, out).map_err(|e| failed(&e))
                })?,
            }
            if !matches!(dest, Dest::Directory(_)) {
                say("sending tarball".to_owned());
            }
            Ok(exported(&documents, names.clone()))
        })
    }

    fn trees(&self, files: &FileAttributes) -> Result<Vec<RootTree>, CliError> {
        let several = self.solved.plan.targets().count() > 1 || wants_index(self.options);
        let split = files.split.unwrap_or(several);
        let mut trees = export::trees(self.store, self.solved, split).map_err(|e| failed(&e))?;
        for (number, tree) in trees.iter_mut().enumerate() {
            tree.extra = self.attest.about_files(self.solved, number, &files.attestation_prefix)?;
        }
        Ok(trees)
    }

    fn local(&self, dest: &Path, delete: bool, files: &FileAttributes) -> Result<(), CliError> {
        self.step("exporting to client directory", |say| {
            let trees = self.trees(files)?;
            let options = DirectoryOptions { times: self.epoch(files.epoch), delete };
            with_directory(dest, 0o700, |dir| {
                export::write_directory(&trees, dir, options).map_err(|e| failed(&e))
            })?;
            say("copying files".to_owned());
            Ok(())
        })
    }

    fn tar(&self, dest: &Dest, files: &FileAttributes) -> Result<(), CliError> {
        self.step("exporting to client tarball", |say| {
            let trees = self.trees(files)?;
            let times = self.epoch(files.epoch);
            to_file(dest, |out| export::write_tar(&trees, times, out).map_err(|e| failed(&e)))?;
            say("sending tarball".to_owned());
            Ok(())
        })
    }
}

fn exported(documents: &Documents, names: Vec<Reference>) -> Exported {
    let config = match (&documents.index, &documents.images[..]) {
        (None, [only]) => Some(only.id),
        _ => None,
    };
    Exported { descriptor: Some(documents.descriptor.clone()), config, names }
}

/// Returns the layout of an image's documents: an entry of `index.json` for every name.
fn layout(documents: &Documents, names: &[Reference], docker: bool, directory: bool) -> Layout {
    let mut blobs: BTreeMap<Digest, (u64, BlobSource)> = BTreeMap::new();
    let mut bytes = |digest: Digest, bytes: &[u8]| {
        blobs.insert(digest, (bytes.len() as u64, BlobSource::Bytes(bytes.to_vec())));
    };
    for image in &documents.images {
        bytes(image.digest.as_digest(), &image.manifest);
        bytes(image.id.as_digest(), &image.config);
    }
    for attestation in &documents.attestations {
        bytes(attestation.digest.as_digest(), &attestation.manifest);
        bytes(Digest::of(&attestation.config), &attestation.config);
        for statement in &attestation.statements {
            bytes(Digest::of(&statement.bytes), &statement.bytes);
        }
    }
    if let Some((digest, index)) = &documents.index {
        bytes(digest.as_digest(), index);
    }
    for (diff_id, layer) in documents.images.iter().flat_map(|image| &image.layers) {
        let source = match layer.digest == diff_id.as_digest() {
            true => BlobSource::Layer(*diff_id),
            false => BlobSource::Stored,
        };
        blobs.insert(layer.digest, (layer.size, source));
    }
    let named = |name: &Reference| {
        let mut descriptor = documents.descriptor.clone();
        let annotations = descriptor.annotations.get_or_insert_default();
        annotations.insert(IMAGE_NAME.to_owned(), name.to_string());
        annotations.insert(REF_NAME.to_owned(), name.tag().unwrap_or_default().to_owned());
        descriptor
    };
    let entries = match names {
        // A directory that several builds write to has a name for each; so does BuildKit's.
        [] if directory => {
            let mut descriptor = documents.descriptor.clone();
            let annotations = descriptor.annotations.get_or_insert_default();
            annotations.insert(REF_NAME.to_owned(), "latest".to_owned());
            vec![descriptor]
        }
        [] => vec![documents.descriptor.clone()],
        names => names.iter().map(named).collect(),
    };
    let docker_manifest = docker.then(|| {
        let image = &documents.images[0];
        let entry = DockerImage {
            config: blob_path(image.id.as_digest()),
            repo_tags: (!names.is_empty()).then(|| names.iter().map(Reference::familiar).collect()),
            layers: image.layers.iter().map(|(_, layer)| blob_path(layer.digest)).collect(),
        };
        serde_json::to_vec(&[entry]).expect("a list serialises")
    });
    Layout { blobs, entries, docker_manifest }
}

/// Writes to a file that appears whole or not at all, or to standard output.
fn to_file(
    dest: &Dest,
    write: impl FnOnce(&mut (dyn Write + Send)) -> Result<(), CliError>,
) -> Result<(), CliError> {
    match dest {
        Dest::File(path) => {
            let target = Replacement::shared(path)?;
            let mut out = BufWriter::with_capacity(1 << 20, target.file());
            write(&mut out)?;
            out.flush()?;
            drop(out);
            target.commit()
        }
        Dest::Stdout | Dest::Directory(_) => {
            let mut out = BufWriter::with_capacity(1 << 20, std::io::stdout());
            write(&mut out).and_then(|()| Ok(out.flush()?)).map_err(super::super::output::unread)
        }
    }
}

/// Makes a directory with its parents for `work`; those that were not there go again when it fails.
fn with_directory(
    path: &Path,
    mode: u32,
    work: impl FnOnce(&Root) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let slash = Root::open(Path::new("/"))?;
    let path: PathBuf = std::env::current_dir()?.join(path);
    let made = slash.create_dir_all(&path, mode)?;
    let result = work(&slash.dir(&path)?);
    if result.is_err() {
        for dir in made.iter().rev() {
            // One that is in use by then stays; the failure itself is told.
            let _ = slash.remove_dir(dir);
        }
    }
    result
}

/// A failure as an exporter's line shows it.
struct Shown(CliError);

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.text.trim_start_matches("ERROR: failed to build: failed to solve: "))
    }
}
