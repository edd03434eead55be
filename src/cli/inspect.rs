//! `inspect`, `image inspect`, `container inspect`

use clap::Args;
use serde_json::{Map, Value, json};

use super::error::CliError;
use super::format::{Missing, Template};
use super::global::Global;
use super::output;
use crate::containers::ContainerError;
use crate::image::{ImageConfig, Platform, Reference};
use crate::store::{ImageRecord, Store, StoreError};

/// Display detailed information on one or more containers, images, networks and volumes
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// Containers, images, networks or volumes
    #[arg(required = true, value_name = "NAME|ID")]
    pub names: Vec<String>,
    /// Format output: json, or a template
    #[arg(short, long, value_name = "STRING")]
    pub format: Option<String>,
    /// Display total file sizes of containers
    #[arg(short, long)]
    pub size: bool,
    /// Only JSON for this type: container, image, network, volume
    #[arg(long = "type", value_name = "TYPE")]
    pub kind: Option<String>,
    /// Inspect the image for this platform
    #[arg(long)]
    pub platform: Option<String>,
    /// Ask the image's registry, without pulling
    #[arg(long)]
    pub remote: bool,
}

/// Which command asks, and so which kinds of things it may find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// `inspect`
    Any,
    /// `image inspect`
    Image,
    /// `container inspect`
    Container,
    /// `inspect --type network`
    Network,
    /// `inspect --type volume`
    Volume,
}

impl Scope {
    /// Returns what `--type` makes of it.
    ///
    /// # Errors
    /// There is no such type.
    pub fn narrowed(self, kind: Option<&str>) -> Result<Self, CliError> {
        match kind.unwrap_or_default() {
            "" => Ok(self),
            "container" => Ok(Self::Container),
            "image" => Ok(Self::Image),
            "network" => Ok(Self::Network),
            "volume" => Ok(Self::Volume),
            other => Err(CliError::new(format!(
                "unknown type: {other:?}: must be one of \"container\", \"image\", \"network\", \"volume\""
            ))),
        }
    }
}

/// What was found, and what was not, in the form that `--format` asks for.
pub struct Shown {
    template: Option<Template>,
    compact: bool,
    /// The documents.
    pub found: Vec<Value>,
    /// Why there are no more.
    pub failures: Vec<String>,
}

impl Shown {
    /// Reads the format: none for indented JSON, `json` for a line of it, or a template for each document.
    ///
    /// # Errors
    /// The template does not parse.
    pub fn new(format: Option<&str>) -> Result<Self, CliError> {
        let format = format.map(str::trim).filter(|f| !f.is_empty());
        let template = match format {
            None | Some("json") => None,
            Some(text) => Some(
                Template::parse(text)
                    .map_err(|e| CliError::new(format!("template parsing error: {e}")).code(64))?,
            ),
        };
        Ok(Self { template, compact: format.is_some(), found: Vec::new(), failures: Vec::new() })
    }

    /// Prints what was found, and says what was not.
    ///
    /// # Errors
    /// Something was not found, or the template does not fit.
    pub fn print(&self) -> Result<(), CliError> {
        let text = match &self.template {
            Some(template) => {
                let mut text = String::new();
                for value in &self.found {
                    let line = template.render(value, Missing::Error);
                    text.push_str(&line.map_err(|e| CliError::new(format!("template parsing error: {e}")))?);
                    text.push('\n');
                }
                // Docker ends the line that it has none of.
                if self.found.is_empty() { "\n".to_owned() } else { text }
            }
            None if self.compact => serde_json::to_string(&self.found).expect("JSON serialises") + "\n",
            None => indented(&self.found) + "\n",
        };
        output::data(&text)?;
        for failure in &self.failures {
            output::talk(failure);
        }
        if self.failures.is_empty() { Ok(()) } else { Err(CliError::silent(1)) }
    }
}

/// Runs the command: what is found is printed, what is not makes it fail.
pub fn run(args: &InspectArgs, global: &Global, scope: Scope) -> Result<(), CliError> {
    let scope = scope.narrowed(args.kind.as_deref())?;
    let mut shown = Shown::new(args.format.as_deref())?;
    let platform = args.platform.as_deref().map(Platform::parse).transpose();
    let platform = platform.map_err(|e| CliError::new(e.to_string()))?;
    if args.remote {
        let (found, failures) = super::inspect_remote::documents(&args.names, platform.as_ref(), global)?;
        (shown.found, shown.failures) = (found, failures);
    } else {
        stored(args, platform.as_ref(), global, scope, &mut shown)?;
    }
    shown.print()
}

/// Adds the documents of what the store has, and what failed.
fn stored(
    args: &InspectArgs,
    platform: Option<&Platform>,
    global: &Global,
    scope: Scope,
    shown: &mut Shown,
) -> Result<(), CliError> {
    let store = global.store()?;
    let containers = super::container::all(global)?;
    for name in &args.names {
        if matches!(scope, Scope::Any | Scope::Container) {
            match containers.find(name) {
                Ok(container) => {
                    let state = container.state()?;
                    let sizes = args.size.then_some(store);
                    shown.found.push(super::container::document(&container, &state, sizes));
                    continue;
                }
                Err(ContainerError::NotFound(_)) if scope == Scope::Any => {}
                Err(_) => {
                    // It may be an image, which is then said.
                    let failure = super::container::find(&containers, name, global).err();
                    shown.failures.extend(failure.map(|error| error.text));
                    continue;
                }
            }
        }
        if matches!(scope, Scope::Any | Scope::Image) {
            match store.find_image(name, platform) {
                Ok(image) => {
                    shown.found.push(document(store, &image)?);
                    continue;
                }
                Err(StoreError::NoImage(_)) if scope == Scope::Any => {}
                Err(_) if scope == Scope::Any && other(name, scope, global)?.is_some() => {}
                Err(error) => {
                    shown.failures.push(CliError::from(error).text);
                    continue;
                }
            }
        }
        match (other(name, scope, global)?, scope) {
            (Some(value), _) => shown.found.push(value),
            (None, Scope::Network) => {
                shown.failures.push(format!("Error response from daemon: network {name} not found"));
            }
            (None, Scope::Volume) => {
                shown.failures.push(format!("Error response from daemon: get {name}: no such volume"));
            }
            (None, _) => shown.failures.push(format!("error: no such object: {name}")),
        }
    }
    Ok(())
}

/// Returns the document of a network or a volume.
fn other(name: &str, scope: Scope, global: &Global) -> Result<Option<Value>, CliError> {
    if matches!(scope, Scope::Any | Scope::Network)
        && let Some(found) = super::network::document(name, global)?
    {
        return Ok(Some(found));
    }
    match scope {
        Scope::Any | Scope::Volume => Ok(super::volume::document(&super::container::all(global)?, name)),
        _ => Ok(None),
    }
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
///
/// # Errors
/// The store can't be read.
pub fn document(store: &Store, image: &ImageRecord) -> Result<Value, CliError> {
    let (config, bytes) = store.config(image.id)?;
    let raw: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let (mut names, mut digests) = (store.refs_of(image.manifest)?, store.repo_digests(image.manifest)?);
    for index in store.indexes()?.iter().filter(|index| index.children.contains(&image.manifest)) {
        names.extend(store.refs_of(index.digest)?);
        digests.extend(store.repo_digests(index.digest)?);
    }
    let familiar = |names: Vec<Reference>| -> Vec<String> { names.iter().map(Reference::familiar).collect() };
    let tagged = names.iter().map(|name| name.tagged).max();
    let (layer_form, _) = store.form()?;
    let known = json!({
        "Id": image.id.to_string(),
        "RepoTags": familiar(names.into_iter().map(|name| name.reference).collect()),
        "RepoDigests": familiar(digests),
    });
    let kept = json!({
        "Size": image.size,
        "VirtualSize": image.size,
        "GraphDriver": { "Name": format!("{layer_form:?}").to_lowercase(), "Data": {} },
        "RootFS": { "Type": "layers", "Layers": config.rootfs.diff_ids },
        "Metadata": { "LastTagTime": tagged.map_or("0001-01-01T00:00:00Z".to_owned(), |t| t.to_string()) },
        "Descriptor": { "mediaType": crate::image::manifest::media_type::OCI_MANIFEST,
                        "digest": image.manifest.to_string() },
    });
    Ok(joined([known, described(&config, &raw), kept]))
}

/// What a config says of its image, as docker shows it.
pub(super) fn described(config: &ImageConfig, raw: &Value) -> Value {
    json!({
        "Parent": "",
        "Comment": config.history.last().map_or("", |entry| entry.comment.as_str()),
        "Created": config.created.clone().unwrap_or_else(|| "0001-01-01T00:00:00Z".to_owned()),
        "DockerVersion": raw.get("docker_version").and_then(Value::as_str).unwrap_or(""),
        "Author": config.author,
        "Config": container_config(raw.get("config")),
        "Architecture": config.architecture,
        "Variant": config.variant.clone().unwrap_or_default(),
        "Os": config.os,
        "OsVersion": config.os_version.clone().unwrap_or_default(),
    })
}

/// Returns one object of the members of several, in their order.
pub(super) fn joined<const N: usize>(parts: [Value; N]) -> Value {
    let members = parts.into_iter().filter_map(|part| match part {
        Value::Object(members) => Some(members),
        _ => None,
    });
    Value::Object(members.flatten().collect())
}

/// The config's fields as docker shows them: those that tools read are always there.
fn container_config(raw: Option<&Value>) -> Value {
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
