//! `import`

use std::io::Read;
use std::path::Path;

use clap::Args;
use jiff::Timestamp;

use super::error::CliError;
use super::global::Global;
use super::{files, output};
use crate::archive::{ImportOptions, import};
use crate::builder::context::{DownloadOptions, download};
use crate::causes::chain;
use crate::image::{ContainerConfig, Platform, Reference};
use crate::progress::{NullReporter, TransferId};
use crate::store::ImageRecord;

/// Import the contents from a tarball to create a filesystem image
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// A tar archive, compressed or not; - for STDIN
    #[arg(value_name = "file|-")]
    pub source: String,
    /// Name of the image
    #[arg(value_name = "REPOSITORY[:TAG]")]
    pub name: Option<String>,
    /// Apply Dockerfile instruction to the created image
    #[arg(short, long, value_name = "INSTRUCTION")]
    pub change: Vec<String>,
    /// Set commit message for imported image
    #[arg(short, long)]
    pub message: Option<String>,
    /// Set platform if server is multi-platform capable
    #[arg(long)]
    pub platform: Option<String>,
}

/// Runs the command.
pub fn run(args: &ImportArgs, global: &Global) -> Result<(), CliError> {
    let name = args.name.as_deref().map(Reference::parse).transpose()?.map(Reference::or_latest);
    let platform = args.platform.as_deref().map_or_else(|| Ok(Platform::host()), Platform::parse);
    let platform = platform.map_err(|e| CliError::new(e.to_string()))?;
    let shown = if args.source == "-" { "-" } else { args.source.as_str() };
    let wanted = Wanted {
        name,
        platform,
        changes: args.change.clone(),
        message: args.message.clone().unwrap_or_else(|| format!("Imported from {shown}")),
    };
    let source = match args.source.as_str() {
        url if is_url(url) => Bytes::Url(url.to_owned()),
        "-" => Bytes::Stream(files::open_input(None)?),
        path => Bytes::Stream(files::open_input(Some(Path::new(path)))?),
    };
    output::line(&import_as(&wanted, source, global)?.id.to_string())
}

/// Whether a source is fetched.
pub fn is_url(source: &str) -> bool {
    source.starts_with("http://") || source.starts_with("https://")
}

/// Where the bytes of an import come from.
pub enum Bytes {
    /// A stream.
    Stream(Box<dyn Read + Send>),
    /// What is fetched.
    Url(String),
}

/// What is to become of them.
pub struct Wanted {
    /// The image's name.
    pub name: Option<Reference>,
    /// What it runs on.
    pub platform: Platform,
    /// Instructions that change its config.
    pub changes: Vec<String>,
    /// The comment in its history.
    pub message: String,
}

/// Makes an image of a tar archive.
///
/// # Errors
/// The bytes can't be had or are no archive, or a change is none.
pub fn import_as(wanted: &Wanted, source: Bytes, global: &Global) -> Result<ImageRecord, CliError> {
    let mut config = ContainerConfig::default();
    super::changes::apply(&mut config, &wanted.changes)?;
    let options = ImportOptions {
        platform: wanted.platform.clone(),
        config,
        message: wanted.message.clone(),
        created: Timestamp::now().to_string(),
    };
    let store = global.store()?;
    let record = match source {
        Bytes::Stream(stream) => import(store, stream, &options)?,
        Bytes::Url(url) => {
            let spool = store.begin_layer()?;
            let download_options = DownloadOptions {
                checksum: None,
                secret: &|_| None,
                reporter: &NullReporter,
                transfer: TransferId::Number(0),
                spool: spool.root(),
                cancel: None,
            };
            let body = download(&url, &download_options).and_then(|body| body.body());
            import(store, body.map_err(|e| CliError::new(chain(&e)))?, &options)?
        }
    };
    if let Some(name) = &wanted.name {
        store.tag(name, record.manifest)?;
    }
    Ok(record)
}
