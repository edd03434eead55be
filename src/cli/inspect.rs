//! `inspect`, `image inspect`

use clap::Args;
use serde_json::{Map, Value, json};

use super::error::CliError;
use super::format::{Missing, Template};
use super::global::Global;
use super::output;
use crate::image::{Platform, Reference};
use crate::store::{ImageRecord, Store, StoreError};

/// Display detailed information on one or more images
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// Images
    #[arg(required = true, value_name = "NAME|ID")]
    names: Vec<String>,
    /// Format output: json, or a template
    #[arg(short, long, value_name = "STRING")]
    format: Option<String>,
    /// Display sizes too (images always show theirs)
    #[arg(short, long)]
    size: bool,
    /// Only JSON for this type; this version has images alone
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Inspect the image for this platform
    #[arg(long)]
    platform: Option<String>,
    /// Ask the image's registry, without pulling
    #[arg(long)]
    remote: bool,
}

/// Which command asks: `image inspect` knows only images, and says so otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// `inspect`
    Any,
    /// `image inspect`
    Image,
}

/// Runs the command: what is found is printed, what is not makes it fail.
pub fn run(args: &InspectArgs, global: &Global, scope: Scope) -> Result<(), CliError> {
    if let Some(kind) = args.kind.as_deref().filter(|kind| !kind.is_empty() && *kind != "image") {
        return Err(CliError::new(format!("{kind:?} can't be inspected: this version has images alone")));
    }
    let format = args.format.as_deref().map(str::trim).filter(|f| !f.is_empty());
    let template = match format {
        None | Some("json") => None,
        Some(text) => Some(
            Template::parse(text)
                .map_err(|e| CliError::new(format!("template parsing error: {e}")).code(64))?,
        ),
    };
    let platform = args.platform.as_deref().map(Platform::parse).transpose();
    let platform = platform.map_err(|e| CliError::new(e.to_string()))?;
    let (found, failures) = if args.remote {
        super::inspect_remote::documents(&args.names, platform.as_ref(), global)?
    } else {
        stored(args, platform.as_ref(), global, scope)?
    };
    let text = match (&template, format) {
        (Some(template), _) => {
            let mut text = String::new();
            for value in &found {
                let line = template.render(value, Missing::Error);
                text.push_str(&line.map_err(|e| CliError::new(format!("template parsing error: {e}")))?);
                text.push('\n');
            }
            text
        }
        (None, Some(_)) => serde_json::to_string(&found).expect("JSON serialises") + "\n",
        (None, None) => indented(&found) + "\n",
    };
    output::data(&text)?;
    for failure in &failures {
        output::talk(failure);
    }
    if failures.is_empty() { Ok(()) } else { Err(CliError::silent(1)) }
}

/// Returns the documents of images in the store, and what failed.
fn stored(
    args: &InspectArgs,
    platform: Option<&Platform>,
    global: &Global,
    scope: Scope,
) -> Result<(Vec<Value>, Vec<String>), CliError> {
    let store = global.store()?;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in &args.names {
        match store.find_image(name, platform) {
            Ok(image) => found.push(document(store, &image)?),
            Err(StoreError::NoImage(_)) if scope == Scope::Any => {
                failures.push(format!("error: no such object: {name}"));
            }
            Err(error) => failures.push(CliError::from(error).text),
        }
    }
    Ok((found, failures))
}

/// JSON indented by four blanks, as docker prints it.
pub fn indented(values: &[Value]) -> String {
    use serde::Serialize as _;
    let mut out = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
    values.serialize(&mut serializer).expect("JSON serialises");
    String::from_utf8(out).expect("JSON is UTF-8")
}

/// Returns the document that docker shows of an image.
fn document(store: &Store, image: &ImageRecord) -> Result<Value, CliError> {
    let (config, bytes) = store.config(image.id)?;
    let raw: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let mut names = store.refs_of(image.manifest)?;
    for index in store.indexes()?.iter().filter(|index| index.children.contains(&image.manifest)) {
        names.extend(store.refs_of(index.digest)?);
    }
    let digests = store.repo_digests(image.manifest)?;
    let familiar = |names: Vec<Reference>| -> Vec<String> { names.iter().map(Reference::familiar).collect() };
    let comment = config.history.last().map_or("", |entry| entry.comment.as_str());
    let tagged = names.iter().map(|name| name.tagged).max();
    let (layer_form, _) = store.form()?;
    Ok(json!({
        "Id": image.id.to_string(),
        "RepoTags": familiar(names.into_iter().map(|name| name.reference).collect()),
        "RepoDigests": familiar(digests),
        "Parent": "",
        "Comment": comment,
        "Created": config.created.clone().unwrap_or_else(|| "0001-01-01T00:00:00Z".to_owned()),
        "DockerVersion": raw.get("docker_version").and_then(Value::as_str).unwrap_or(""),
        "Author": config.author,
        "Config": container_config(raw.get("config")),
        "Architecture": config.architecture,
        "Variant": config.variant.clone().unwrap_or_default(),
        "Os": config.os,
        "OsVersion": config.os_version.clone().unwrap_or_default(),
        "Size": image.size,
        "VirtualSize": image.size,
        "GraphDriver": { "Name": format!("{layer_form:?}").to_lowercase(), "Data": {} },
        "RootFS": { "Type": "layers", "Layers": config.rootfs.diff_ids },
        "Metadata": { "LastTagTime": tagged.map_or("0001-01-01T00:00:00Z".to_owned(), |t| t.to_string()) },
        "Descriptor": { "mediaType": crate::image::manifest::media_type::OCI_MANIFEST,
                        "digest": image.manifest.to_string() },
    }))
}

/// The config's fields as docker shows them: those that tools read are always there.
pub(super) fn container_config(raw: Option<&Value>) -> Value {
    let mut map = Map::new();
    for (key, default) in [
        ("User", json!("")),
        ("ExposedPorts", Value::Null),
        ("Env", Value::Null),
        ("Cmd", Value::Null),
        ("Volumes", Value::Null),
        ("WorkingDir", json!("")),
        ("Entrypoint", Value::Null),
        ("OnBuild", Value::Null),
        ("Labels", Value::Null),
    ] {
        map.insert(key.to_owned(), default);
    }
    if let Some(Value::Object(given)) = raw {
        map.extend(given.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    Value::Object(map)
}
