//! `import`

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;

use super::error::{CliError, chain};
use super::global::Global;
use super::{files, output};
use crate::archive::{ImportOptions, import};
use crate::builder::context::{DownloadOptions, download};
use crate::image::{ContainerConfig, Platform, Reference};
use crate::progress::{NullReporter, TransferId};

/// Import the contents from a tarball to create a filesystem image
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// A tar archive, compressed or not; - for STDIN
    #[arg(value_name = "file|-")]
    source: String,
    /// Name of the image
    #[arg(value_name = "REPOSITORY[:TAG]")]
    name: Option<String>,
    /// Apply Dockerfile instruction to the created image
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<String>,
    /// Set commit message for imported image
    #[arg(short, long)]
    message: Option<String>,
    /// Set platform if server is multi-platform capable
    #[arg(long)]
    platform: Option<String>,
}

/// Runs the command.
pub fn run(args: &ImportArgs, global: &Global) -> Result<(), CliError> {
    let name = args.name.as_deref().map(Reference::parse).transpose()?.map(Reference::or_latest);
    let platform = args.platform.as_deref().map_or_else(|| Ok(Platform::host()), Platform::parse);
    let platform = platform.map_err(|e| CliError::new(e.to_string()))?;
    let mut config = ContainerConfig::default();
    super::changes::apply(&mut config, &args.change)?;
    let shown = if args.source == "-" { "-" } else { args.source.as_str() };
    let options = ImportOptions {
        platform,
        config,
        message: args.message.clone().unwrap_or_else(|| format!("Imported from {shown}")),
        created: Timestamp::now().to_string(),
    };
    let store = global.store()?;
    let record = if args.source.starts_with("http://") || args.source.starts_with("https://") {
        let spool = store.begin_layer()?;
        let download_options = DownloadOptions {
            checksum: None,
            secret: &|_| None,
            reporter: &NullReporter,
            transfer: TransferId::Number(0),
            spool: spool.root(),
            cancel: None,
        };
        let body = download(&args.source, &download_options).and_then(|body| body.body());
        let body = body.map_err(|e| CliError::new(chain(&e)))?;
        import(store, body, &options)?
    } else {
        let path = (args.source != "-").then(|| PathBuf::from(&args.source));
        import(store, files::open_input(path.as_deref().map(Path::new))?, &options)?
    };
    if let Some(name) = name {
        store.tag(&name, record.manifest)?;
    }
    output::line(&record.id.to_string())
}
