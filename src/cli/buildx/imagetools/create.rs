//! `buildx imagetools create -t NAME SOURCE...`

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{ArgAction, Args};
use serde_json::{Map, Value, json};

use super::remote::{self, Found};
use crate::builder::export::{Annotation, Level};
use crate::cli::build::annotation_flags;
use crate::cli::error::CliError;
use crate::cli::global::Global;
use crate::cli::render::{Out, Way, layers};
use crate::cli::{files, output, registries};
use crate::image::manifest::{MAX_DOCUMENT, media_type};
use crate::image::{Digest, Platform, Reference};
use crate::registry::copy::{Place, copy};
use crate::registry::{RegistryClient, Repository, TagOrDigest, Transfer, push_text};

/// Create a new image based on source images
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Images that are joined, or descriptors as JSON; one alone is copied
    #[arg(value_name = "SOURCE")]
    sources: Vec<String>,
    /// Set reference for new image
    #[arg(short, long, value_name = "NAME")]
    tag: Vec<String>,
    /// Append to existing manifest
    #[arg(long)]
    append: bool,
    /// Show final image instead of pushing
    #[arg(long)]
    dry_run: bool,
    /// Read source descriptor from file
    #[arg(short, long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// Add annotation to the image (format: index:KEY=VALUE or manifest-descriptor[PLATFORM]:KEY=VALUE)
    #[arg(long, value_name = "ANNOTATION")]
    annotation: Vec<String>,
    /// Filter specified platforms of target image
    #[arg(short, long, value_name = "PLATFORM", value_delimiter = ',')]
    platform: Vec<String>,
    /// When only a single source is specified, prefer an index to a copy as it is
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = true,
          default_missing_value = "true", action = ArgAction::Set, hide_default_value = true)]
    prefer_index: bool,
    /// Write the result's digest and names to a file
    #[arg(long, value_name = "FILE")]
    metadata_file: Option<PathBuf>,
    /// Set type of progress output: auto, plain, tty, quiet, none, rawjson
    #[arg(long, value_name = "MODE")]
    progress: Option<String>,
    /// Name of the builder; there is one
    #[arg(long, value_name = "NAME")]
    builder: Option<String>,
}

/// A source, and a descriptor's own words about it.
struct Source {
    found: Found,
    said: Map<String, Value>,
}

/// What is to be pushed.
struct Joined {
    bytes: Vec<u8>,
    media_type: String,
    /// What has to be in the target's repository first: repository and digest.
    parts: Vec<Reference>,
    /// The source, where it is copied as it is.
    whole: Option<Reference>,
}

fn fail<T>(text: impl std::fmt::Display) -> Result<T, CliError> {
    Err(CliError::new(format!("ERROR: {text}")))
}

/// Runs the command.
pub fn run(args: &CreateArgs, global: &Global) -> Result<(), CliError> {
    let mode = crate::cli::render::Mode::parse(args.progress.as_deref().unwrap_or_default())?;
    let mut texts = args.sources.clone();
    for path in &args.file {
        let mut text = String::new();
        let file = files::open_input(Some(path))?.take(MAX_DOCUMENT as u64);
        { file }
            .read_to_string(&mut text)
            .map_err(|e| CliError::new(format!("ERROR: {}: {e}", path.display())))?;
        texts.push(text.trim().to_owned());
    }
    let parse = |text: &String| Reference::parse(text).map(Reference::or_latest);
    let tags: Vec<Reference> = args.tag.iter().map(parse).collect::<Result<_, _>>().or_else(fail)?;
    if texts.is_empty() {
        return fail("no sources specified");
    }
    if tags.is_empty() && !args.dry_run {
        return fail("can't push with no tags specified, please set --tag or --dry-run");
    }
    if tags.is_empty() && args.append {
        return fail("can't append without a tag: set --tag");
    }
    let client = registries::client(global)?;
    let runtime = registries::runtime()?;
    let joined = runtime.block_on(async {
        let mut sources = Vec::new();
        if args.append {
            let found = remote::fetch(&client, &tags[0]).await?;
            sources.push(Source { found, said: Map::new() });
        }
        for text in &texts {
            sources.push(source(&client, text, tags.first()).await?);
        }
        join(args, &client, sources).await
    })?;
    if args.dry_run {
        let value: Value = serde_json::from_slice(&joined.bytes).unwrap_or_default();
        return output::line(&serde_json::to_string_pretty(&value).unwrap_or_default());
    }
    let digest = Digest::of(&joined.bytes);
    for tag in &tags {
        let quiet = matches!(mode, crate::cli::render::Mode::Quiet);
        runtime.block_on(push(&client, &joined, tag, quiet, global))?;
        if !quiet {
            output::talk(&format!("pushing {digest} to {tag}"));
        }
    }
    match &args.metadata_file {
        Some(path) => {
            let names: Vec<String> = tags.iter().map(ToString::to_string).collect();
            let descriptor =
                json!({"mediaType": joined.media_type, "digest": digest, "size": joined.bytes.len()});
            let document = json!({"containerimage.descriptor": descriptor, "containerimage.digest": digest,
                "image.name": names.join(",")});
            files::write(path, serde_json::to_string_pretty(&document).unwrap_or_default().as_bytes())
        }
        None => Ok(()),
    }
}

/// Reads a source: a name, or a descriptor as JSON, which is in the target's repository.
async fn source(client: &RegistryClient, text: &str, target: Option<&Reference>) -> Result<Source, CliError> {
    if !text.starts_with('{') {
        let reference = Reference::parse(text).or_else(|e| fail(format!("{text}: {e}")))?.or_latest();
        return Ok(Source { found: remote::fetch(client, &reference).await?, said: Map::new() });
    }
    let said: Map<String, Value> =
        serde_json::from_str(text).or_else(|e| fail(format!("a descriptor does not parse: {e}")))?;
    let (Some(digest), Some(target)) = (said.get("digest").and_then(Value::as_str), target) else {
        return fail("a descriptor needs a digest, and a --tag whose repository has it");
    };
    let found = remote::fetch(client, &remote::sibling(target, digest)?).await?;
    Ok(Source { found, said })
}

async fn join(args: &CreateArgs, client: &RegistryClient, sources: Vec<Source>) -> Result<Joined, CliError> {
    let annotations = annotation_flags(&args.annotation)?;
    for annotation in &annotations {
        if !matches!(annotation.level, Level::Index | Level::ManifestDescriptor) {
            return fail(format!(
                "{} annotations are not supported yet: use index or manifest-descriptor",
                annotation.level.name()
            ));
        }
    }
    let platforms = crate::cli::build::platforms_of(&args.platform)?;
    if let [only] = &sources[..]
        && annotations.is_empty()
        && platforms.is_empty()
        && only.said.is_empty()
        && (only.found.is_index() || !args.prefer_index)
    {
        return Ok(Joined {
            bytes: only.found.bytes.clone(),
            media_type: only.found.media_type.clone(),
            parts: Vec::new(),
            whole: Some(remote::sibling(&only.found.reference, &only.found.digest.to_string())?),
        });
    }
    let mut entries: Vec<(Value, Reference)> = Vec::new();
    let mut kept = BTreeMap::new();
    for source in &sources {
        for (key, value) in source.found.value["annotations"].as_object().into_iter().flatten() {
            if source.found.is_index() {
                kept.insert(key.clone(), value.clone());
            }
        }
        for descriptor in descriptors(client, source).await? {
            let known = entries.iter().any(|(entry, _)| entry["digest"] == descriptor["digest"]);
            if !known {
                entries.push((descriptor, source.found.reference.clone()));
            }
        }
    }
    choose(&mut entries, &platforms)?;
    let index = index(&mut entries, kept, &annotations);
    let parts =
        entries.iter().map(|(entry, of)| remote::sibling(of, entry["digest"].as_str().unwrap_or_default()));
    Ok(Joined {
        bytes: serde_json::to_vec_pretty(&index).unwrap_or_default(),
        media_type: index["mediaType"].as_str().unwrap_or_default().to_owned(),
        parts: parts.collect::<Result<_, _>>()?,
        whole: None,
    })
}

/// The descriptors that a source brings.
async fn descriptors(client: &RegistryClient, source: &Source) -> Result<Vec<Value>, CliError> {
    let found = &source.found;
    if found.is_index() {
        return Ok(found.children().to_vec());
    }
    let mut descriptor = found.descriptor();
    for key in ["annotations", "platform"] {
        if let Some(value) = source.said.get(key) {
            descriptor.insert(key.to_owned(), value.clone());
        }
    }
    if !descriptor.contains_key("platform") {
        let config = remote::blob(client, &found.reference, &found.value["config"]).await?;
        let platform = remote::platform(&config);
        if platform.as_object().is_some_and(|fields| !fields.is_empty()) {
            descriptor.insert("platform".to_owned(), platform);
        }
    }
    Ok(vec![Value::Object(descriptor)])
}

/// Keeps the platforms that are asked for, and what is said about their images.
fn choose(entries: &mut Vec<(Value, Reference)>, wanted: &[Platform]) -> Result<(), CliError> {
    if wanted.is_empty() {
        return Ok(());
    }
    let fits = |entry: &Value| {
        let text = remote::platform_text(&entry["platform"]);
        Platform::parse(&text).is_ok_and(|platform| wanted.contains(&platform))
    };
    let images: Vec<Value> =
        entries.iter().filter(|(entry, _)| fits(entry)).map(|(entry, _)| entry["digest"].clone()).collect();
    if images.is_empty() {
        return fail("none of the manifests match the provided platforms");
    }
    entries.retain(|(entry, _)| {
        images.contains(&entry["digest"])
            || remote::attests(entry).is_some_and(|of| images.contains(&json!(of)))
    });
    Ok(())
}

/// The index; docker's own kind where nothing in it is of another, and nothing is annotated.
fn index(
    entries: &mut [(Value, Reference)],
    mut kept: BTreeMap<String, Value>,
    annotations: &[Annotation],
) -> Value {
    let mut oci = !kept.is_empty() || !annotations.is_empty();
    for annotation in annotations {
        if annotation.level == Level::Index {
            kept.insert(annotation.key.clone(), json!(annotation.value));
        }
    }
    for (entry, _) in &mut *entries {
        oci |= entry["mediaType"] != media_type::DOCKER_MANIFEST || entry["annotations"].is_object();
        if remote::attests(entry).is_some() {
            continue;
        }
        let own = Platform::parse(&remote::platform_text(&entry["platform"])).ok();
        for annotation in annotations.iter().filter(|one| one.level == Level::ManifestDescriptor) {
            if annotation.platform.is_none() || annotation.platform == own {
                annotate(entry, &annotation.key, &annotation.value);
            }
        }
    }
    let kind = if oci { media_type::OCI_INDEX } else { media_type::DOCKER_INDEX };
    let list: Vec<&Value> = entries.iter().map(|(entry, _)| entry).collect();
    let mut index = json!({"schemaVersion": 2, "mediaType": kind, "manifests": list});
    if !kept.is_empty() {
        index["annotations"] = json!(kept);
    }
    index
}

/// Adds an annotation to a descriptor, whose fields stand in the order that Go writes them in.
fn annotate(entry: &mut Value, name: &str, value: &str) {
    let Some(fields) = entry.as_object_mut() else { return };
    let mut all: BTreeMap<String, Value> = fields
        .get("annotations")
        .and_then(|old| serde_json::from_value(old.clone()).ok())
        .unwrap_or_default();
    all.insert(name.to_owned(), json!(value));
    let platform = fields.shift_remove("platform");
    fields.insert("annotations".to_owned(), json!(all));
    if let Some(platform) = platform {
        fields.insert("platform".to_owned(), platform);
    }
}

/// Brings what is missing into the target's repository, and names the result.
async fn push(
    client: &RegistryClient,
    joined: &Joined,
    tag: &Reference,
    quiet: bool,
    global: &Global,
) -> Result<(), CliError> {
    let to = Repository::of(tag);
    for part in joined.parts.iter().chain(&joined.whole) {
        if part.repository() == tag.repository() {
            continue;
        }
        if !quiet {
            output::talk(&format!("copying {} to {tag}", part));
        }
        let digest = part.digest().map(|digest| digest.to_string()).unwrap_or_default();
        let target = remote::sibling(tag, &digest)?;
        let reporter = layers(Out::Stderr, Way::Up, true);
        let store = global.store()?.clone();
        let transfer = Transfer { client: client.clone(), store, reporter: Arc::clone(&reporter) };
        let (from, target) = (Place::Registry(part.clone()), Place::Registry(target));
        let copied = copy(&transfer, &from, &target, None).await;
        copied.map_err(|error| CliError::new(format!("ERROR: {}", crate::causes::chain(&error))))?;
    }
    let bytes = joined.bytes.clone().into();
    let sent = client.put_manifest(&to, &TagOrDigest::of(tag), &joined.media_type, bytes).await;
    sent.map(drop).map_err(|error| CliError::new(format!("ERROR: {}", push_text(&error))))
}
