//! Contexts: engines under names, in docker's folders.
//!
//! ```text
//! ~/.docker/config.json                          currentContext
//! ~/.docker/contexts/meta/<sha256 of name>/meta.json
//! ~/.docker/contexts/tls/<sha256 of name>/docker/{ca,cert,key}.pem
//! ```
//!
//! The context `default` is not on disk: it is the local store, or what `DOCKER_HOST` names.

mod bundle;
mod commands;
mod disk;
mod transfer;
mod unzip;

use std::path::PathBuf;

pub use commands::{ContextCommand, run};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::endpoint::file;
use super::error::CliError;
use super::global::GlobalArgs;
use crate::engine::client::{Material, Tls};

/// The context that always is.
pub const DEFAULT: &str = "default";

/// A context that is on disk.
#[derive(Debug, Clone)]
pub struct Context {
    /// Its name.
    pub name: String,
    /// What people say of it.
    pub description: String,
    /// The URL of its engine.
    pub host: Option<String>,
    /// Whether the engine's certificate is not checked.
    pub skip_verify: bool,
    /// All that `meta.json` says.
    pub document: Value,
}

/// Returns the folder of docker's configuration.
pub fn folder(args: &GlobalArgs) -> Option<PathBuf> {
    let home = || super::config_file::folder("HOME").map(|home| home.join(".docker"));
    args.config.clone().or_else(home)
}

/// Returns the name of a context's folders.
pub fn id(name: &str) -> String {
    crate::image::id::to_hex(&Sha256::digest(name.as_bytes()))
}

/// Reads a context.
///
/// # Errors
/// There is none of that name, or its file is none.
pub fn load(args: &GlobalArgs, name: &str) -> Result<Context, CliError> {
    let folder = folder(args).ok_or_else(|| CliError::new("neither DOCKER_CONFIG nor HOME is set"))?;
    let path = folder.join("contexts/meta").join(id(name)).join("meta.json");
    let bytes = file(&path)?.ok_or_else(|| {
        let path = path.display();
        CliError::new(format!("context {name:?}: context not found: open {path}: no such file or directory"))
    })?;
    let document: Value = serde_json::from_slice(&bytes)
        .map_err(|error| CliError::new(format!("context {name:?}: parsing {}: {error}", path.display())))?;
    Ok(Context::of(document))
}

impl Context {
    /// Takes a context's document apart.
    pub fn of(document: Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let docker = &document["Endpoints"]["docker"];
        Self {
            name: text(&document["Name"]),
            description: text(&document["Metadata"]["Description"]),
            host: docker["Host"].as_str().map(str::to_owned),
            skip_verify: docker["SkipTLSVerify"].as_bool().unwrap_or(false),
            document,
        }
    }

    /// Reads the context's certificates; none without.
    ///
    /// # Errors
    /// A file can't be read.
    pub fn tls(&self, args: &GlobalArgs) -> Result<Option<Tls>, CliError> {
        let Some(folder) = folder(args) else { return Ok(None) };
        let folder = folder.join("contexts/tls").join(id(&self.name)).join("docker");
        let read = |name: &str| file(&folder.join(name));
        let (ca, certificate, key) = (read("ca.pem")?, read("cert.pem")?, read("key.pem")?);
        let own = certificate.zip(key);
        if ca.is_none() && own.is_none() && !self.skip_verify {
            return Ok(None);
        }
        Ok(Some(Tls { verify: !self.skip_verify, material: Material { ca, own } }))
    }
}
