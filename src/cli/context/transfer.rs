//! `context export|import`

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::Path;

use clap::Args;
use serde_json::{Value, json};

use super::bundle::{Bundle, LIMIT, too_much};
use super::commands::{check_name, default_host, home, write};
use super::disk::{names_in, remove_below};
use super::{DEFAULT, id, load};
use crate::cli::endpoint::choose;
use crate::cli::error::CliError;
use crate::cli::files::Replacement;
use crate::cli::global::GlobalArgs;
use crate::cli::output;
use crate::engine::client::Endpoint;

/// Export a context to a tar archive FILE or a tar stream on STDOUT
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Name of the context
    #[arg(value_name = "CONTEXT")]
    name: String,
    /// File that is made; CONTEXT.dockercontext without, - for standard output
    #[arg(value_name = "FILE|-")]
    file: Option<String>,
}

/// Import a context from a tar or zip file
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Name of the context that is made
    #[arg(value_name = "CONTEXT")]
    name: String,
    /// File of the context; - for standard input
    #[arg(value_name = "FILE|-")]
    file: String,
}

/// Runs `context export`: a file that is there stays, and a new one is whole or not there.
pub fn export(given: &ExportArgs, args: &GlobalArgs) -> Result<(), CliError> {
    let name = &given.name;
    if name != DEFAULT {
        check_name(name)?;
    }
    let file = given.file.clone().unwrap_or_else(|| format!("{name}.dockercontext"));
    if file == "-" {
        let mut out = std::io::stdout().lock();
        if out.is_terminal() {
            return Err(CliError::new("cowardly refusing to export to a terminal, specify a file path"));
        }
        let tar = bundle(name, args)?.tar()?;
        return out.write_all(&tar).and_then(|()| out.flush()).map_err(|error| output::unread(error.into()));
    }
    let path = Path::new(&file);
    let exists = || CliError::new(format!("open {file}: file exists"));
    if crate::fs::is_there(path) {
        return Err(exists());
    }
    let target = Replacement::create(path).map_err(|error| missing(&file, error))?;
    target.file().write_all(&bundle(name, args)?.tar()?)?;
    if !target.commit_new()? {
        return Err(exists());
    }
    output::talk(&format!("Written file {file:?}"));
    Ok(())
}

/// Docker's words for a folder that is not there.
fn missing(file: &str, error: CliError) -> CliError {
    let folder = Path::new(file).parent().filter(|folder| !folder.as_os_str().is_empty());
    match folder.is_some_and(|folder| !crate::fs::is_there(folder)) {
        true => CliError::new(format!("open {file}: no such file or directory")),
        false => error,
    }
}

/// Collects a context with its files.
fn bundle(name: &str, args: &GlobalArgs) -> Result<Bundle, CliError> {
    if name == DEFAULT {
        return default_bundle(args);
    }
    let document = load(args, name)?.document;
    let folder = home(args)?.join("contexts/tls").join(id(name));
    let mut tls = BTreeMap::new();
    for endpoint in names_in(&folder)? {
        for file in names_in(&folder.join(&endpoint))? {
            let bytes = crate::fs::read_named(&folder.join(&endpoint).join(&file), LIMIT)?;
            tls.insert((endpoint.clone(), file), bytes);
        }
    }
    Ok(Bundle { document, tls })
}

/// What `DOCKER_HOST` and its kin say just now, as a context.
fn default_bundle(args: &GlobalArgs) -> Result<Bundle, CliError> {
    let host = default_host(args)?;
    if host.is_empty() {
        return Err(CliError::new(
            "context \"default\" is the local store, which has no endpoint that could be exported",
        ));
    }
    let plain = GlobalArgs { context: None, ..args.clone() };
    let tls = match choose(&plain)?.map(|chosen| chosen.endpoint) {
        Some(Endpoint::Tcp { tls, .. }) => tls,
        _ => None,
    };
    let skips = tls.as_ref().is_some_and(|tls| !tls.verify);
    let docker = json!({ "Host": host, "SkipTLSVerify": skips });
    let document = json!({ "Name": DEFAULT, "Metadata": {}, "Endpoints": { "docker": docker } });
    let mut files = BTreeMap::new();
    let mut add = |name: &str, bytes: Option<Vec<u8>>| {
        files.extend(bytes.map(|bytes| (("docker".to_owned(), name.to_owned()), bytes)));
    };
    if let Some(material) = tls.map(|tls| tls.material) {
        let (certificate, key) = material.own.unzip();
        add("ca.pem", material.ca);
        add("cert.pem", certificate);
        add("key.pem", key);
    }
    Ok(Bundle { document, tls: files })
}

/// Runs `context import`: the context is made whole or not at all.
pub fn import(given: &ImportArgs, args: &GlobalArgs) -> Result<(), CliError> {
    let name = &given.name;
    check_name(name)?;
    if load(args, name).is_ok() {
        return Err(CliError::new(format!("context {name:?} already exists")));
    }
    let Bundle { mut document, tls } = Bundle::read(&source(&given.file)?)?;
    document["Name"] = json!(name);
    store(name, &document, &tls, args)?;
    output::line(name)?;
    output::talk(&format!("Successfully imported context {name:?}"));
    Ok(())
}

fn source(file: &str) -> Result<Vec<u8>, CliError> {
    let path = (file != "-").then(|| Path::new(file));
    if path.is_some_and(crate::fs::is_directory) {
        return Err(CliError::new(format!("read {file}: is a directory")));
    }
    let mut bytes = Vec::new();
    crate::cli::files::open_input(path)?.take(LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LIMIT { Err(too_much()) } else { Ok(bytes) }
}

/// Writes a context, whole or not at all.
fn store(
    name: &str,
    document: &Value,
    tls: &BTreeMap<(String, String), Vec<u8>>,
    args: &GlobalArgs,
) -> Result<(), CliError> {
    let (all, id) = (home(args)?.join("contexts/tls"), id(name));
    remove_below(&all, &id)?;
    let files = tls.iter().map(|((endpoint, file), bytes)| (&endpoint[..], &file[..], &bytes[..]));
    write(document, files, args).inspect_err(|_| drop(remove_below(&all, &id)))
}
