//! The registry client as every command uses it: configuration, credentials, notices.

use std::sync::Arc;

use super::error::CliError;
use super::global::Global;
use super::output;
use crate::registry::{ClientOptions, Notice, RegistryClient};

/// Returns a client with what the configuration files and the environment say.
///
/// # Errors
/// A configuration file is wrong.
pub fn client(_global: &Global) -> Result<RegistryClient, CliError> {
    let notices = Arc::new(|notice: Notice| match notice {
        Notice::Retrying { wait, .. } => {
            output::talk(&format!("Retrying in {} seconds", wait.as_secs().max(1)));
        }
        Notice::Warning { host, text } => output::talk(&format!("WARNING: {host}: {text}")),
        Notice::MirrorFailed { .. } => {}
    });
    Ok(RegistryClient::new(ClientOptions { notices, ..ClientOptions::default() }))
}

/// Returns a runtime for one command's requests.
///
/// # Errors
/// The process has no descriptors left.
pub fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
