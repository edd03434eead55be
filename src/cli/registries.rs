//! The registry client as every command uses it: configuration, credentials, notices.

use std::path::PathBuf;
use std::sync::Arc;

use super::error::CliError;
use super::global::Global;
use super::{config_file, output};
use crate::registry::auth::CredentialFiles;
use crate::registry::hosts::{HostsConfig, InsecureHost};
use crate::registry::{ClientOptions, Notice, RegistryClient, RegistryError, Secret};

/// Returns a client with what the configuration files and the environment say.
///
/// # Errors
/// A configuration file is wrong.
pub fn client(global: &Global) -> Result<RegistryClient, CliError> {
    client_for(global, config_file::hosts()?)
}

/// The same for one registry that may be talked to without verified TLS (`--insecure`).
///
/// # Errors
/// A configuration file is wrong.
pub fn insecure_client(global: &Global, domain: &str) -> Result<RegistryClient, CliError> {
    let mut hosts = config_file::hosts()?;
    hosts.insecure.push(InsecureHost::parse(domain).map_err(|error| CliError::new(error.to_string()))?);
    client_for(global, hosts)
}

/// Returns a client for one registry, by `--insecure` or without.
///
/// # Errors
/// A configuration file is wrong.
pub fn client_to(global: &Global, domain: &str, insecure: bool) -> Result<RegistryClient, CliError> {
    if insecure { insecure_client(global, domain) } else { client(global) }
}

fn client_for(global: &Global, hosts: HostsConfig) -> Result<RegistryClient, CliError> {
    let (debug, serving) = (global.args.debug, global.client().is_some());
    let notices = Arc::new(move |notice: Notice| match notice {
        // Nobody who reads along asked for it.
        _ if serving && !debug => {}
        Notice::Retrying { wait, attempt, reason, .. } if debug || attempt > 2 => {
            output::talk(&format!("Retrying in {} seconds: {reason}", wait.as_secs().max(1)));
        }
        Notice::Warning { host, text } => output::talk(&format!("WARNING: {host}: {text}")),
        Notice::MirrorFailed { host, reason } if debug => {
            output::talk(&format!("mirror {host}: {reason}"));
        }
        Notice::Retrying { .. } | Notice::MirrorFailed { .. } => {}
    });
    let patience = config_file::patience()?;
    let mut options = ClientOptions {
        hosts: Arc::new(hosts),
        credentials: match global.client() {
            Some(given) => Arc::clone(given),
            None => Arc::new(credentials(global)),
        },
        notices,
        ..ClientOptions::default()
    };
    options.retry.attempts = patience.attempts.unwrap_or(options.retry.attempts);
    options.stall = patience.stall.unwrap_or(options.stall);
    Ok(RegistryClient::new(options))
}

/// Returns where credentials are: `DOCKER_AUTH_CONFIG`, docker's `config.json`, podman's `auth.json`.
pub fn credentials(global: &Global) -> CredentialFiles {
    let home = config_file::folder("HOME");
    let docker = global.args.config.clone().filter(|path| !path.as_os_str().is_empty());
    let docker = docker.or_else(|| home.as_ref().map(|home| home.join(".docker")));
    let podman = match config_file::folder("REGISTRY_AUTH_FILE") {
        Some(file) => vec![file],
        None => {
            let runtime = config_file::folder("XDG_RUNTIME_DIR");
            let runtime = runtime.or_else(|| (!global.rootless).then(|| PathBuf::from("/run/containers/0")));
            let folders = runtime.into_iter().map(|folder| match folder.ends_with("containers/0") {
                true => folder.join("auth.json"),
                false => folder.join("containers/auth.json"),
            });
            folders.chain(config_file::user_folder().map(|f| f.join("containers/auth.json"))).collect()
        }
    };
    let environment = std::env::var("DOCKER_AUTH_CONFIG").ok().filter(|text| !text.is_empty());
    CredentialFiles {
        environment: environment.map(Secret::new),
        docker: docker.map(|folder| folder.join("config.json")),
        podman,
    }
}

/// Returns a runtime for one command's requests.
///
/// # Errors
/// The process has no descriptors left.
pub fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

impl From<RegistryError> for CliError {
    fn from(error: RegistryError) -> Self {
        Self::engine(&error)
    }
}
