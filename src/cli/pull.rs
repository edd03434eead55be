//! `pull`

use std::sync::Arc;

use clap::Args;

use super::error::CliError;
use super::global::Global;
use super::render::{Out, Way, layers};
use super::{output, registries};
use crate::image::{Platform, Reference};
use crate::progress::Reporter;
use crate::registry::pull::{PullOptions, Pulled, pull};
use crate::registry::{Repository, Transfer, TransferError};

/// Download an image from a registry
#[derive(Debug, Args)]
pub struct PullArgs {
    /// Image, e.g. debian, debian:bookworm or localhost:5000/app@sha256:...
    #[arg(value_name = "NAME[:TAG|@DIGEST]")]
    pub name: String,
    /// Download all tagged images in the repository
    #[arg(short, long)]
    pub all_tags: bool,
    /// Set platform if the registry has the image for several
    #[arg(long)]
    pub platform: Option<String>,
    /// Suppress verbose output
    #[arg(short, long)]
    pub quiet: bool,
    /// Accepted for docker's sake: there is no content trust to disable
    #[arg(long, hide = true)]
    pub disable_content_trust: bool,
}

/// Runs the command.
pub fn run(args: &PullArgs, global: &Global) -> Result<(), CliError> {
    let reference = Reference::parse(&args.name)?;
    let platform = args.platform.as_deref().filter(|text| !text.is_empty()).map(Platform::parse).transpose();
    let options = PullOptions { platform: platform.map_err(|e| CliError::new(e.to_string()))? };
    let runtime = registries::runtime()?;
    if args.all_tags {
        if reference.tag().is_some() || reference.digest().is_some() {
            return Err(CliError::new("tag can't be used with --all-tags/-a"));
        }
        for tag in all_tags(global, &runtime, &reference)? {
            let one = reference.with_tag(&tag)?;
            pull_one(global, &runtime, &one, &options, args.quiet, Out::Stdout)?;
        }
        return output::line(&reference.repository());
    }
    let whole = reference.clone().or_latest();
    if reference != whole && !args.quiet {
        output::line("Using default tag: latest")?;
    }
    pull_one(global, &runtime, &whole, &options, args.quiet, Out::Stdout)?;
    output::line(&whole.to_string())
}

/// Pulls one image with docker's lines around it.
pub fn pull_one(
    global: &Global,
    runtime: &tokio::runtime::Runtime,
    reference: &Reference,
    options: &PullOptions,
    quiet: bool,
    out: Out,
) -> Result<Pulled, CliError> {
    let say = |text: String| match (quiet, out) {
        (true, _) => Ok(()),
        (false, Out::Stdout) => output::line(&text),
        (false, Out::Stderr) => {
            output::talk(&text);
            Ok(())
        }
    };
    // A digest is shown with its whole name, as docker does.
    let what = match reference.digest() {
        Some(_) => reference.to_string(),
        None => reference.tag().unwrap_or_default().to_owned(),
    };
    let transfer = transfer(global, layers(out, Way::Down, quiet))?;
    say(format!("{what}: Pulling from {}", reference.path()))?;
    let pulled = runtime.block_on(pull(&transfer, reference, options));
    drop(transfer);
    let pulled = pulled.map_err(|error| CliError::engine(&error))?;
    say(format!("Digest: {}", pulled.digest))?;
    let name = reference.familiar();
    say(status(&pulled, &name))?;
    Ok(pulled)
}

/// Returns what moves images for a command or a request.
///
/// # Errors
/// The store can't be opened, or a configuration file is wrong.
pub fn transfer(global: &Global, reporter: Arc<dyn Reporter>) -> Result<Transfer, CliError> {
    Ok(Transfer { client: registries::client(global)?, store: global.store()?.clone(), reporter })
}

/// Says what a pull did.
pub fn status(pulled: &Pulled, name: &str) -> String {
    match pulled.newer {
        true => format!("Status: Downloaded newer image for {name}"),
        false => format!("Status: Image is up to date for {name}"),
    }
}

/// Returns all tags of a repository in its registry, sorted.
///
/// # Errors
/// The registry does not say.
pub fn all_tags(
    global: &Global,
    runtime: &tokio::runtime::Runtime,
    reference: &Reference,
) -> Result<Vec<String>, CliError> {
    let client = registries::client(global)?;
    let mut tags = runtime
        .block_on(client.tags(&Repository::of(reference)))
        .map_err(|error| CliError::engine(&TransferError::manifest(reference, error)))?;
    tags.sort();
    Ok(tags)
}
