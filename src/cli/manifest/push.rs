//! `manifest push LIST`

use clap::Args;

use super::local::{self, LocalEntry};
use crate::cli::error::CliError;
use crate::cli::global::Global;
use crate::cli::{output, registries};
use crate::image::manifest::{Document, media_type};
use crate::image::{Descriptor, Reference};
use crate::registry::{RegistryClient, Repository, TagOrDigest, push_text};

/// Push a manifest list to a repository
#[derive(Debug, Args)]
pub struct PushArgs {
    /// The list
    #[arg(value_name = "MANIFEST_LIST")]
    list: String,
    /// Allow push to an insecure registry
    #[arg(long)]
    insecure: bool,
    /// Remove the local manifest list after push
    #[arg(short, long)]
    purge: bool,
}

/// Runs the command.
pub fn run(args: &PushArgs, global: &Global) -> Result<(), CliError> {
    let list = Reference::parse(&args.list)?.or_latest();
    let content = local::load(&list, global)?.filter(|content| !content.manifests.is_empty());
    let content = content.ok_or_else(|| CliError::new(format!("{} not found", list.familiar())))?;
    let to = Repository::of(&list);
    let client = registries::client_to(global, to.domain(), args.insecure)?;
    let runtime = registries::runtime()?;
    for entry in &content.manifests {
        let source = Reference::parse(&entry.name)?;
        if source.domain() != list.domain() {
            return Err(CliError::new(format!(
                "cannot use source images from a different registry than the target image: {} != {}",
                source.domain(),
                list.domain()
            )));
        }
        runtime.block_on(place(&client, entry, &Repository::of(&source), &to))?;
        output::line(&format!("Pushed ref {to}@{0} with digest: {0}", entry.digest))?;
    }
    let (bytes, kind) = content.index();
    let pushed = runtime.block_on(client.put_manifest(&to, &TagOrDigest::of(&list), kind, bytes.into()));
    let digest = pushed.map_err(|error| CliError::new(push_text(&error)))?;
    if args.purge {
        local::remove(&list, global)?;
    }
    output::line(&digest.to_string())
}

/// Sees to it that the list's repository has a manifest with all it names.
async fn place(
    client: &RegistryClient,
    entry: &LocalEntry,
    from: &Repository,
    to: &Repository,
) -> Result<(), CliError> {
    if from == to {
        return Ok(());
    }
    let failed = |error| CliError::new(push_text(&error));
    let parsed = Document::parse(entry.text.as_bytes());
    let Ok(Document::Manifest(manifest)) = parsed else {
        return Err(CliError::new(format!("{} is no image manifest", entry.name)));
    };
    let kept = |layer: &&Descriptor| !is_foreign(&layer.media_type);
    for blob in std::iter::once(&manifest.config).chain(manifest.layers.iter().filter(kept)) {
        client.take_over_blob(from, to, blob).await.map_err(failed)?;
    }
    let (what, bytes) = (TagOrDigest::Digest(entry.digest), entry.text.clone().into_bytes());
    client.put_manifest(to, &what, &entry.media_type, bytes.into()).await.map_err(failed).map(drop)
}

/// Layers that registries do not keep.
fn is_foreign(kind: &str) -> bool {
    kind.contains(".nondistributable.") || kind == media_type::DOCKER_FOREIGN_LAYER
}
