//! `export`

use std::io::{BufWriter, IsTerminal as _, Write as _};
use std::path::PathBuf;

use clap::Args;

use super::super::error::CliError;
use super::super::global::Global;
use super::super::{files, output};
use super::{all, find};
use crate::causes::chain;
use crate::containers::view;
use crate::layers::{PackOptions, pack_tree};

/// Export a container's filesystem as a tar archive
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Container
    #[arg(required = true, value_name = "CONTAINER")]
    pub container: String,
    /// Write to a file, instead of STDOUT
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Runs `export`; volumes and other mounts are not part of it.
///
/// # Errors
/// There is no such container, or the archive can't be written.
pub fn export(args: &ExportArgs, global: &Global) -> Result<(), CliError> {
    if args.output.is_none() && std::io::stdout().is_terminal() {
        return Err(CliError::new("cowardly refusing to save to a terminal. Use the -o flag or redirect"));
    }
    let containers = all(global)?;
    let container = find(&containers, &args.container, global)?;
    let root = view(&container, global.store()?)?;
    let packed = |error: &crate::layers::LayerError| CliError::new(chain(error));
    match &args.output {
        Some(path) => {
            let whole = files::Replacement::create(path)?;
            let copy = whole.file().try_clone()?;
            let mut file = BufWriter::with_capacity(1 << 20, copy);
            pack_tree(&root, &mut file, &PackOptions::default()).map_err(|e| packed(&e))?;
            file.flush()?;
            whole.commit()?;
        }
        None => {
            let mut out = BufWriter::with_capacity(1 << 20, std::io::stdout());
            let written = pack_tree(&root, &mut out, &PackOptions::default());
            written.map_err(|e| packed(&e)).and_then(|_| Ok(out.flush()?)).map_err(output::unread)?;
        }
    }
    container.event("export", &[]);
    Ok(())
}
