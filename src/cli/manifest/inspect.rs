//! `manifest inspect [LIST] MANIFEST`

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde_json::{Map, Value, json};

use super::local::{self, LocalEntry, indented};
use super::remote;
use crate::cli::error::CliError;
use crate::cli::global::Global;
use crate::cli::{output, registries};
use crate::image::Reference;
use crate::image::manifest::{Document, media_type};
use crate::registry::FetchedManifest;

/// Display an image manifest, or manifest list
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// A local list and one of its manifests, or a manifest or list by name
    #[arg(required = true, num_args = 1..=2, value_name = "[MANIFEST_LIST] MANIFEST")]
    names: Vec<String>,
    /// Allow communication with an insecure registry
    #[arg(long)]
    insecure: bool,
    /// Output additional info including layers and platform
    #[arg(short, long)]
    verbose: bool,
}

/// Runs the command.
pub fn run(args: &InspectArgs, global: &Global) -> Result<(), CliError> {
    let first = Reference::parse(&args.names[0])?.or_latest();
    if let Some(name) = args.names.get(1) {
        let manifest = Reference::parse(name)?.or_latest();
        let mut list = local::load(&first, global)?;
        let entry = list.as_mut().and_then(|list| list.entry(&manifest)).cloned();
        let entry =
            entry.ok_or_else(|| CliError::new(format!("no such manifest: {}", manifest.familiar())))?;
        return one(&entry, args.verbose);
    }
    if let Some(list) = local::load(&first, global)? {
        if args.verbose {
            return many(&list.manifests);
        }
        return output::line(&String::from_utf8_lossy(&list.index().0));
    }
    let client = registries::client_to(global, first.domain(), args.insecure)?;
    let runtime = registries::runtime()?;
    runtime.block_on(async {
        let found = remote::fetch(&client, &first).await?;
        match remote::document(&found, &first)? {
            _ if !args.verbose => raw(&found),
            Document::Manifest(_) => one(&remote::entry(&client, &first, &found).await?, true),
            Document::Index(index) => {
                let mut entries = Vec::new();
                for child in &index.manifests {
                    let name = Reference::parse(&format!("{}@{}", first.repository(), child.digest))?;
                    let found = remote::fetch(&client, &name).await?;
                    let mut entry = remote::entry(&client, &name, &found).await?;
                    // What the list says of a manifest counts, not what the manifest says of itself.
                    if let Some(platform) = &child.platform {
                        let shown = serde_json::to_value(platform).unwrap_or_default();
                        entry.platform = shown.as_object().cloned().unwrap_or_default();
                    }
                    entries.push(entry);
                }
                many(&entries)
            }
        }
    })
}

/// The document itself; lists are indented by three blanks, manifests by tabs, as docker has it.
fn raw(found: &FetchedManifest) -> Result<(), CliError> {
    let value: Value = serde_json::from_slice(&found.bytes).map_err(|e| CliError::new(e.to_string()))?;
    let indent: &[u8] = if value["manifests"].is_array() { b"   " } else { b"\t" };
    output::line(&String::from_utf8_lossy(&indented(&value, indent)))
}

fn one(entry: &LocalEntry, verbose: bool) -> Result<(), CliError> {
    let value = if verbose { verbosely(entry) } else { parsed(entry) };
    output::line(&String::from_utf8_lossy(&indented(&value, b"\t")))
}

fn many(entries: &[LocalEntry]) -> Result<(), CliError> {
    let all = Value::Array(entries.iter().map(verbosely).collect());
    output::line(&String::from_utf8_lossy(&indented(&all, b"\t")))
}

fn parsed(entry: &LocalEntry) -> Value {
    serde_json::from_str(&entry.text).unwrap_or_default()
}

fn verbosely(entry: &LocalEntry) -> Value {
    let mut shown = Map::new();
    shown.insert("Ref".to_owned(), json!(entry.name));
    shown.insert("Descriptor".to_owned(), entry.descriptor());
    shown.insert("Raw".to_owned(), json!(STANDARD.encode(&entry.text)));
    let key =
        if entry.media_type == media_type::DOCKER_MANIFEST { "SchemaV2Manifest" } else { "OCIManifest" };
    shown.insert(key.to_owned(), parsed(entry));
    Value::Object(shown)
}
