//! `buildx imagetools inspect NAME`

use clap::Args;
use serde_json::{Map, Value, json};

use super::remote::{self, Found};
use super::shown;
use crate::cli::error::CliError;
use crate::cli::global::Global;
use crate::cli::{output, registries};
use crate::image::Reference;
use crate::registry::RegistryClient;

/// Show details of an image in the registry
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The image
    #[arg(value_name = "NAME")]
    name: String,
    /// Format the output using the given Go template over .Name, .Manifest, .Image, .Provenance and .SBOM
    #[arg(long, value_name = "TEMPLATE")]
    format: Option<String>,
    /// Show original, unformatted JSON manifest
    #[arg(long)]
    raw: bool,
    /// Name of the builder; there is one
    #[arg(long, value_name = "NAME")]
    builder: Option<String>,
}

/// Runs the command.
pub fn run(args: &InspectArgs, global: &Global) -> Result<(), CliError> {
    if args.raw && args.format.is_some() {
        return Err(CliError::new("ERROR: format and raw cannot be used together"));
    }
    let reference =
        Reference::parse(&args.name).map_err(|error| CliError::new(format!("ERROR: {error}")))?.or_latest();
    let client = registries::client(global)?;
    let runtime = registries::runtime()?;
    let found = runtime.block_on(remote::fetch(&client, &reference))?;
    if args.raw {
        return output::data(&String::from_utf8_lossy(&found.bytes));
    }
    let Some(format) = args.format.as_deref().filter(|format| !format.is_empty()) else {
        return output::data(&shown::text(&args.name, &found));
    };
    let wants = |name: &str| format.contains(name) || shown::is_whole(format);
    let mut data = json!({"Name": reference.to_string(), "Manifest": manifest(&found)});
    if wants(".Image") {
        data["Image"] = runtime.block_on(images(&client, &found))?;
    }
    // The whole has no statements in docker's output either.
    for (name, kind, key) in [
        (".Provenance", "https://slsa.dev/provenance/", "SLSA"),
        (".SBOM", "https://spdx.dev/Document", "SPDX"),
    ] {
        if format.contains(name) {
            data[&name[1..]] = runtime.block_on(statements(&client, &found, kind, key))?;
        }
    }
    output::data(&shown::formatted(format, &data)?)
}

/// The descriptor, of an index with what it lists.
fn manifest(found: &Found) -> Value {
    if !found.is_index() {
        return Value::Object(found.descriptor());
    }
    let mut value = json!({
        "schemaVersion": found.value["schemaVersion"], "mediaType": found.media_type,
        "digest": found.digest, "size": found.bytes.len(), "manifests": found.children(),
    });
    if let Some(annotations) = found.value.get("annotations") {
        value["annotations"] = annotations.clone();
    }
    value
}

/// The config; of an index one for each platform.
async fn images(client: &RegistryClient, found: &Found) -> Result<Value, CliError> {
    if !found.is_index() {
        return remote::blob(client, &found.reference, &found.value["config"]).await;
    }
    let mut all = Map::new();
    for child in found.children().iter().filter(|child| remote::attests(child).is_none()) {
        let manifest = child_of(client, found, child).await?;
        let config = remote::blob(client, &found.reference, &manifest.value["config"]).await?;
        all.insert(remote::platform_text(&remote::platform(&config)), config);
    }
    Ok(Value::Object(all))
}

async fn child_of(client: &RegistryClient, found: &Found, child: &Value) -> Result<Found, CliError> {
    let digest = child["digest"].as_str().unwrap_or_default();
    remote::fetch(client, &remote::sibling(&found.reference, digest)?).await
}

/// The predicates of one kind; for each platform where there are several.
async fn statements(
    client: &RegistryClient,
    found: &Found,
    kind: &str,
    key: &str,
) -> Result<Value, CliError> {
    let is_image = |child: &&Value| remote::attests(child).is_none();
    let several = found.children().iter().filter(is_image).count() > 1;
    let mut all = Map::new();
    for child in found.children() {
        let Some(subject) = remote::attests(child) else { continue };
        let manifest = child_of(client, found, child).await?;
        for layer in manifest.value["layers"].as_array().into_iter().flatten() {
            let predicate = layer["annotations"]["in-toto.io/predicate-type"].as_str().unwrap_or_default();
            if !predicate.starts_with(kind) {
                continue;
            }
            let statement = remote::blob(client, &found.reference, layer).await?;
            let said = json!({key: statement["predicate"]});
            let about = found.children().iter().find(|image| image["digest"] == subject);
            match about.map(|image| remote::platform_text(&image["platform"])) {
                Some(platform) if several => drop(all.insert(platform, said)),
                _ => return Ok(said),
            }
        }
    }
    Ok(Value::Object(all))
}
