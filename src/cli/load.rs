//! `load`

use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::Args;

use super::error::CliError;
use super::global::Global;
use super::{files, output};
use crate::archive::{Loaded, load, load_directory};
use crate::fs::Root;
use crate::image::Platform;

/// Load an image from a tar archive or STDIN
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// Read from tar archive file or a directory with an OCI layout, instead of STDIN
    #[arg(short, long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// Suppress the load output
    #[arg(short, long)]
    pub quiet: bool,
    /// Load only the given platform
    #[arg(long)]
    pub platform: Option<String>,
}

/// Runs the command.
pub fn run(args: &LoadArgs, global: &Global) -> Result<(), CliError> {
    if args.input.is_none() && std::io::stdin().is_terminal() {
        return Err(CliError::new("requested load from stdin, but stdin is empty"));
    }
    let given = args.platform.as_deref().filter(|text| !text.is_empty());
    let platform = given.map(Platform::parse).transpose();
    let platform = platform.map_err(|e| CliError::new(e.to_string()))?;
    let progress = super::render::transfers(if args.quiet { "" } else { "Loading" });
    let store = global.store()?;
    let all = match args.input.as_deref().filter(|path| crate::fs::is_directory(path)) {
        Some(dir) => load_directory(store, &Root::open(dir)?, platform.as_ref(), &*progress)?,
        None => {
            let input = files::open_input(args.input.as_deref())?;
            load(store, input, platform.as_ref(), &*progress)?
        }
    };
    all.iter().flat_map(lines).try_for_each(|line| output::line(&line))
}

/// Says what was loaded, in docker's words.
pub fn lines(loaded: &Loaded) -> Vec<String> {
    let mut lines = Vec::new();
    if let (Some(name), Some(old)) = (&loaded.name, loaded.replaced) {
        let name = name.familiar();
        lines.push(format!(
            "The image {name} already exists, renaming the old one with ID {old} to empty string"
        ));
    }
    lines.push(match &loaded.name {
        Some(name) => format!("Loaded image: {}", name.familiar()),
        None => format!("Loaded image ID: {}", loaded.image),
    });
    lines
}
