//! Lists that are not pushed yet: one file each, `manifests/NAME.json` beside docker's `config.json`.

use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::cli::error::CliError;
use crate::cli::files::Replacement;
use crate::cli::global::Global;
use crate::cli::registries;
use crate::fs::Root;
use crate::image::manifest::{MAX_DOCUMENT, media_type};
use crate::image::{Digest, Reference};

/// Delete one or more manifest lists from local storage
#[derive(Debug, Args)]
pub struct RmArgs {
    /// Lists
    #[arg(required = true, value_name = "MANIFEST_LIST")]
    lists: Vec<String>,
}

/// Most entries of one list that the file can hold.
const MAX_ENTRIES: usize = 64;

/// A list as it grows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LocalList {
    /// Its canonical name.
    pub name: String,
    /// What it lists.
    pub manifests: Vec<LocalEntry>,
}

/// A manifest in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LocalEntry {
    /// The canonical name it was given by.
    pub name: String,
    /// Media type of the manifest.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// The manifest's exact text.
    pub text: String,
    /// Platform, as the index will show it.
    pub platform: Map<String, Value>,
}

impl LocalEntry {
    /// Returns the entry as it stands in an index.
    pub fn descriptor(&self) -> Value {
        serde_json::json!({
            "mediaType": self.media_type, "digest": self.digest, "size": self.text.len(), "platform": self.platform,
        })
    }
}

impl LocalList {
    /// Returns the list as an index; OCI's where all it lists is OCI's, else docker's.
    pub fn index(&self) -> (Vec<u8>, &'static str) {
        let oci = self.manifests.iter().all(|entry| entry.media_type == media_type::OCI_MANIFEST);
        let kind = if oci { media_type::OCI_INDEX } else { media_type::DOCKER_INDEX };
        let entries: Vec<Value> = self.manifests.iter().map(LocalEntry::descriptor).collect();
        let index = serde_json::json!({ "schemaVersion": 2, "mediaType": kind, "manifests": entries });
        (indented(&index, b"   "), kind)
    }

    /// Returns the entry of a manifest's name.
    pub fn entry(&mut self, reference: &Reference) -> Option<&mut LocalEntry> {
        let name = reference.to_string();
        self.manifests.iter_mut().find(|entry| entry.name == name)
    }
}

/// JSON with an indent of its own.
pub fn indented(value: &Value, indent: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(indent);
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    value.serialize(&mut serializer).expect("JSON serialises");
    bytes
}

fn folder(global: &Global) -> Result<PathBuf, CliError> {
    let file = registries::credentials(global).docker;
    let folder = file.as_ref().and_then(|file| file.parent());
    let folder =
        folder.ok_or_else(|| CliError::new("there is no folder for lists: set HOME or DOCKER_CONFIG"))?;
    Ok(folder.join("manifests"))
}

/// Docker's way to make a file name of a reference.
fn file(list: &Reference) -> String {
    format!("{}.json", list.to_string().replace('/', "_").replace([':', '@'], "-"))
}

/// Returns a list, if there is one of this name.
pub fn load(list: &Reference, global: &Global) -> Result<Option<LocalList>, CliError> {
    let dir = match Root::open(&folder(global)?) {
        Ok(dir) => dir,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    match dir.read(file(list), MAX_ENTRIES * MAX_DOCUMENT) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| {
            CliError::new(format!("the local list {list} is damaged ({e}): remove it with manifest rm"))
        }),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Keeps a list.
pub fn save(list: &Reference, content: &LocalList, global: &Global) -> Result<(), CliError> {
    use std::io::Write as _;
    if content.manifests.len() > MAX_ENTRIES {
        return Err(CliError::new(format!("a list holds at most {MAX_ENTRIES} manifests")));
    }
    let folder = folder(global)?;
    if !crate::fs::is_directory(&folder) {
        let below = if folder.is_absolute() { "/" } else { "." };
        let relative = folder.strip_prefix("/").unwrap_or(&folder);
        Root::open(below.as_ref())?.create_dir_all(relative, 0o700)?;
    }
    let file = Replacement::create(&folder.join(file(list)))?;
    file.file().write_all(&serde_json::to_vec(content).expect("JSON serialises"))?;
    file.commit()
}

/// Forgets a list; tells whether there was one.
pub fn remove(list: &Reference, global: &Global) -> Result<bool, CliError> {
    let removed = Root::open(&folder(global)?).and_then(|dir| dir.remove_file(file(list)));
    match removed {
        Ok(()) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Runs `manifest rm`.
pub fn rm(args: &RmArgs, global: &Global) -> Result<(), CliError> {
    let mut failures = Vec::new();
    for name in &args.lists {
        let list = Reference::parse(name)?.or_latest();
        if !remove(&list, global)? {
            failures.push(format!("No such manifest: {list}"));
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(CliError::new(failures.join("\n"))) }
}
