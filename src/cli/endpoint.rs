//! Which engine a command acts on, as `-H`, `--context`, the environment and docker's configuration say; mostly none.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::context::{self, DEFAULT};
use super::error::CliError;
use super::global::GlobalArgs;
use crate::engine::client::{ClientError, Endpoint, Material, Tls};

/// Largest certificate file that is read.
const MAX_FILE: u64 = 1 << 20;

/// The engine that was asked for.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// The context that names it, else `default`.
    pub context: String,
    /// Where it is.
    pub endpoint: Endpoint,
}

/// Returns a variable that is set and not empty.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Returns the name of the context that is in use, by docker's precedence.
///
/// # Errors
/// Flags contradict each other, or the configuration can't be read.
pub fn context_name(args: &GlobalArgs) -> Result<String, CliError> {
    if args.context.is_some() && args.host.is_some() {
        return Err(CliError::new("conflicting options: cannot specify both --host and --context"));
    }
    if let Some(name) = args.context.as_ref().filter(|name| !name.is_empty()) {
        return Ok(name.clone());
    }
    if args.host.is_some() || variable("DOCKER_HOST").is_some() {
        return Ok(DEFAULT.to_owned());
    }
    if let Some(name) = variable("DOCKER_CONTEXT") {
        return Ok(name);
    }
    let current = super::container::setting(args, "currentContext").filter(|name| !name.is_empty());
    Ok(current.unwrap_or_else(|| DEFAULT.to_owned()))
}

/// Returns the engine that the command line, the environment or the configuration names; none means the local store.
///
/// # Errors
/// What they name is no engine, or its certificates can't be read.
pub fn choose(args: &GlobalArgs) -> Result<Option<Chosen>, CliError> {
    let context = context_name(args)?;
    let failed =
        |error: ClientError| CliError::new(format!("Failed to initialize: {error}").replace(": :", ":"));
    if context != DEFAULT {
        let found = context::load(args, &context).map_err(|error| CliError {
            text: format!("Failed to initialize: unable to resolve docker endpoint: {}", error.text),
            ..error
        })?;
        let Some(host) = found.host.clone().filter(|host| !host.is_empty()) else {
            return Err(CliError::new(format!("context {context:?} has no docker endpoint")));
        };
        let tls = found.tls(args)?;
        return Ok(Some(Chosen { context, endpoint: Endpoint::parse(&host, tls).map_err(failed)? }));
    }
    let Some(host) = args.host.clone().filter(|host| !host.is_empty()).or_else(|| variable("DOCKER_HOST"))
    else {
        return Ok(None);
    };
    let tls = tls(args, &host)?;
    Ok(Some(Chosen { context, endpoint: Endpoint::parse(&host, tls).map_err(failed)? }))
}

/// The TLS of flags and environment; none without.
fn tls(args: &GlobalArgs, host: &str) -> Result<Option<Tls>, CliError> {
    let verify = args.tlsverify || variable("DOCKER_TLS_VERIFY").is_some();
    let named = args.tlscacert.is_some() || args.tlscert.is_some() || args.tlskey.is_some();
    let wanted = args.tls || verify || named || variable("DOCKER_TLS").is_some();
    if !wanted || host.starts_with("unix://") || host.starts_with("ssh://") {
        return Ok(None);
    }
    let folder = variable("DOCKER_CERT_PATH").map(PathBuf::from);
    let folder = folder.or_else(|| context::folder(args)).unwrap_or_default();
    let path = |given: &Option<PathBuf>, name: &str| given.clone().unwrap_or_else(|| folder.join(name));
    let ca = match verify {
        false => None,
        true => {
            let path = path(&args.tlscacert, "ca.pem");
            let read = file(&path)?.ok_or_else(|| {
                CliError::new(format!(
                    "Failed to initialize: unable to resolve docker endpoint: could not read CA certificate {path:?}: \
                     open {}: no such file or directory",
                    path.display()
                ))
            })?;
            Some(read)
        }
    };
    let certificate = own(&path(&args.tlscert, "cert.pem"), args.tlscert.is_some())?;
    let key = own(&path(&args.tlskey, "key.pem"), args.tlskey.is_some())?;
    let own = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => {
            return Err(CliError::new(
                "Failed to initialize: unable to resolve docker endpoint: could not load X509 key pair: \
                 a certificate and its key go together",
            ));
        }
    };
    Ok(Some(Tls { verify, material: Material { ca, own } }))
}

/// A file that must be there if it was named.
fn own(path: &Path, named: bool) -> Result<Option<Vec<u8>>, CliError> {
    match file(path)? {
        None if named => Err(CliError::new(format!(
            "Failed to initialize: unable to resolve docker endpoint: open {}: no such file or directory",
            path.display()
        ))),
        found => Ok(found),
    }
}

/// Reads a file; none if it is not there.
pub fn file(path: &Path) -> Result<Option<Vec<u8>>, CliError> {
    let mut bytes = Vec::new();
    match crate::fs::open_for_reading(path) {
        Ok(file) => file.take(MAX_FILE).read_to_end(&mut bytes)?,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(Some(bytes))
}
