//! `pull`

use std::sync::Arc;

use clap::Args;

use super::error::CliError;
use super::global::Global;
use super::render::{Out, Way, layers};
use super::{output, registries};
use crate::image::{Platform, Reference};
use crate::registry::pull::{PullOptions, Pulled, pull};
use crate::registry::{Repository, Transfer, TransferError};

/// Download an image from a registry
#[derive(Debug, Args)]
pub struct PullArgs {
    /// Image, e.g. debian, debian:bookworm or localhost:5000/app@sha256:...
    #[arg(value_name = "NAME[:TAG|@DIGEST]")]
    name: String,
    /// Download all tagged images in the repository
    #[arg(short, long)]
    all_tags: bool,
    /// Set platform if the registry has the image for several
    #[arg(long)]
    platform: Option<String>,
    /// Suppress verbose output
    #[arg(short, long)]
    quiet: bool,
    /// Accepted for docker's sake: there is no content trust to disable
    #[arg(long, hide = true)]
    disable_content_trust: bool,
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
        let client = registries::client(global)?;
        let mut tags = runtime
            .block_on(client.tags(&Repository::of(&reference)))
            .map_err(|error| CliError::engine(&TransferError::manifest(&reference, error)))?;
        tags.sort();
        for tag in tags {
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
    let reporter = layers(out, Way::Down, quiet);
    let client = registries::client(global)?;
    let store = global.store()?.clone();
    let transfer = Transfer { client, store, reporter: Arc::clone(&reporter) };
    say(format!("{what}: Pulling from {}", reference.path()))?;
    let pulled = runtime.block_on(pull(&transfer, reference, options));
    drop((transfer, reporter));
    let pulled = pulled.map_err(|error| CliError::engine(&error))?;
    say(format!("Digest: {}", pulled.digest))?;
    let name = reference.familiar();
    say(match pulled.newer {
        true => format!("Status: Downloaded newer image for {name}"),
        false => format!("Status: Image is up to date for {name}"),
    })?;
    Ok(pulled)
}
