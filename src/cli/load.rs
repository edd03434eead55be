//! `load`

use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::Args;

use super::error::CliError;
use super::global::Global;
use super::{files, output};
use crate::archive::load;
use crate::image::Platform;

/// Load an image from a tar archive or STDIN
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// Read from tar archive file, instead of STDIN
    #[arg(short, long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Suppress the load output
    #[arg(short, long)]
    quiet: bool,
    /// Load only the given platform
    #[arg(long)]
    platform: Option<String>,
}

/// Runs the command.
pub fn run(args: &LoadArgs, global: &Global) -> Result<(), CliError> {
    if args.input.is_none() && std::io::stdin().is_terminal() {
        return Err(CliError::new("requested load from stdin, but stdin is empty"));
    }
    let platform = args.platform.as_deref().map_or_else(|| Ok(Platform::host()), Platform::parse);
    let platform = platform.map_err(|e| CliError::new(e.to_string()))?;
    let input = files::open_input(args.input.as_deref())?;
    let progress = super::render::transfers(if args.quiet { "" } else { "Loading" });
    for loaded in load(global.store()?, input, &platform, &*progress)? {
        if let (Some(name), Some(old)) = (&loaded.name, loaded.replaced) {
            output::line(&format!(
                "The image {} already exists, renaming the old one with ID {old} to empty string",
                name.familiar()
            ))?;
        }
        match &loaded.name {
            Some(name) => output::line(&format!("Loaded image: {}", name.familiar()))?,
            None => output::line(&format!("Loaded image ID: {}", loaded.image))?,
        }
    }
    Ok(())
}
