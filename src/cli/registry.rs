//! `registry serve` and `registry gc`

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::error::CliError;
use super::global::Global;
use super::{output, registries, signals};
use crate::registry::server::{
    CollectOptions, Directory, Log, Registry, Rules, Server, Storage, Upstream, Users, collect,
};
use crate::registry::{ClientOptions, RegistryClient};
use crate::tls::{ServerFiles, acceptor};

/// Attempts at asking the registry behind, and how long it may be silent.
const UPSTREAM_ATTEMPTS: u32 = 2;
const UPSTREAM_STALL: Duration = Duration::from_secs(20);

/// `registry ...`
#[derive(Debug, Subcommand)]
pub enum RegistryCommand {
    /// Serve images to any client of the OCI distribution API
    Serve(Box<ServeArgs>),
    /// Remove what no repository of a registry needs
    Gc(GcArgs),
}

/// Where a registry's bytes are.
#[derive(Debug, Args)]
pub struct StorageArgs {
    /// Directory of the registry's files [default: registry/ in the store]
    #[arg(long, value_name = "DIR")]
    storage: Option<PathBuf>,
    /// Keep the files in a bucket of S3-compatible object storage instead, which several registries may
    /// serve; AWS_ENDPOINT, AWS_REGION, AWS_ACCESS_KEY_ID and the like say how (only in builds with the feature s3)
    #[arg(long, value_name = "s3://BUCKET[/PREFIX]", conflicts_with = "storage")]
    s3: Option<String>,
}

/// Serve images to any client of the OCI distribution API
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5000")]
    addr: String,
    #[command(flatten)]
    storage: StorageArgs,
    /// Certificate chain (PEM); with it only TLS is spoken
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Users and their bcrypt passwords, as htpasswd -B writes them; without it everybody may push and pull
    #[arg(long, value_name = "FILE")]
    htpasswd: Option<PathBuf>,
    /// Let those who are no user pull
    #[arg(long, requires = "htpasswd")]
    anonymous_pull: bool,
    /// Refuse pushes and deletes
    #[arg(long)]
    read_only: bool,
    /// Allow deleting manifests, tags and blobs
    #[arg(long, conflicts_with = "read_only")]
    allow_delete: bool,
    /// Accept manifests whose blobs or manifests are not there
    #[arg(long)]
    sparse: bool,
    /// Drop uploads that did not move for so long
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = duration)]
    upload_expiry: Duration,
    /// Be a cache of this registry: what is missing is fetched there and kept
    #[arg(long, value_name = "URL", conflicts_with_all = ["read_only", "allow_delete", "sparse"])]
    upstream: Option<String>,
    /// How long a tag is believed before the upstream is asked again
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration, requires = "upstream")]
    ttl: Duration,
    /// Log only failures
    #[arg(short, long)]
    quiet: bool,
}

/// Remove what no repository of a registry needs
#[derive(Debug, Args)]
pub struct GcArgs {
    #[command(flatten)]
    storage: StorageArgs,
    /// Keep what was written or asked for within this time
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration)]
    grace: Duration,
    /// Remove manifests, too, that no tag leads to
    #[arg(long)]
    untagged: bool,
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
}

/// Runs a command of `registry`.
pub fn run(command: &RegistryCommand, global: &Global) -> Result<(), CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match command {
        RegistryCommand::Serve(args) => runtime.block_on(serve(args, global)),
        RegistryCommand::Gc(args) => runtime.block_on(gc(args, global)),
    }
}

async fn serve(args: &ServeArgs, global: &Global) -> Result<(), CliError> {
    let (storage, place) = open(&args.storage, global).await?;
    let rules = Rules {
        read_only: args.read_only,
        allow_delete: args.allow_delete,
        sparse: args.sparse,
        anonymous_pull: args.anonymous_pull,
        upload_expiry: args.upload_expiry,
        tls: args.tls_cert.is_some(),
    };
    let users = args.htpasswd.as_deref().map(Users::open).transpose().map_err(|e| failed(&e))?;
    let upstream = args.upstream.as_deref().map(|url| upstream(url, args.ttl, global)).transpose()?;
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(certificate), Some(key)) => {
            let (certificate, key) = (certificate.clone(), key.clone());
            let files = ServerFiles { certificate, key, authority: None };
            Some(acceptor(&files).map_err(|e| failed(&e))?)
        }
        _ => None,
    };
    let scheme = if tls.is_some() { "https" } else { "http" };
    let registry = Registry::new(storage, rules, users, upstream);
    let server = Server::bind(address(&args.addr)?, tls, registry, log(args.quiet)).await;
    let server = server.map_err(|e| failed(&e))?;
    output::talk(&format!("listening on {scheme}://{}, storage {place}", server.address()?));
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    signals::on_first(move || drop(end))?;
    server
        .run(async move {
            let _ = ended.await;
        })
        .await;
    Ok(())
}

async fn gc(args: &GcArgs, global: &Global) -> Result<(), CliError> {
    let (storage, _) = open(&args.storage, global).await?;
    let options = CollectOptions { grace: args.grace, untagged: args.untagged, dry_run: args.dry_run };
    let taken = collect(&*storage, &options).await.map_err(|e| failed(&e))?;
    let verb = if args.dry_run { "Would remove" } else { "Removed" };
    let size = super::human::size(taken.bytes);
    output::line(&format!("{verb} {} manifests, {} blobs, {size}", taken.manifests, taken.blobs))
}

/// Opens the storage and returns how to name it.
async fn open(args: &StorageArgs, global: &Global) -> Result<(Arc<dyn Storage>, String), CliError> {
    if let Some(url) = &args.s3 {
        return bucket(url).await;
    }
    let root = std::path::absolute(global.root()?)?;
    let path = match &args.storage {
        Some(path) => std::path::absolute(path)?,
        None => root.join("registry"),
    };
    let storage = Directory::open(&path, Some(&root.join("blobs/sha256")));
    Ok((Arc::new(storage.map_err(|e| failed(&e))?), path.display().to_string()))
}

#[cfg(feature = "s3")]
async fn bucket(url: &str) -> Result<(Arc<dyn Storage>, String), CliError> {
    let bad = || CliError::new(format!("invalid bucket {url}: expected s3://BUCKET[/PREFIX]"));
    let place = url.strip_prefix("s3://").filter(|place| !place.is_empty()).ok_or_else(bad)?;
    let (name, prefix) = place.split_once('/').unwrap_or((place, ""));
    let store = object_store::aws::AmazonS3Builder::from_env().with_bucket_name(name).build();
    let bucket = crate::registry::server::storage::Bucket::new(store.map_err(|e| failed(&e))?, prefix);
    bucket.check().await.map_err(|e| failed(&e))?;
    Ok((Arc::new(bucket), url.to_owned()))
}

#[cfg(not(feature = "s3"))]
async fn bucket(url: &str) -> Result<(Arc<dyn Storage>, String), CliError> {
    Err(CliError::new(format!("{url}: this program was built without object storage (the feature s3)")))
}

/// A client for the registry behind, without mirrors: one of them may be this one.
fn upstream(url: &str, ttl: Duration, global: &Global) -> Result<Upstream, CliError> {
    let (domain, origin) = Upstream::domain_of(url).map_err(|e| failed(&e))?;
    let options = registries::client(global)?.options().clone();
    let mut hosts = (*options.hosts).clone();
    hosts.mirrors.clear();
    if origin.starts_with("http:") {
        let host = crate::registry::hosts::InsecureHost::parse(&domain);
        hosts.insecure.push(host.map_err(|e| failed(&e))?);
    }
    hosts.origins.insert(domain.clone(), origin);
    let notices = Arc::new(|_| {});
    let mut options = ClientOptions { hosts: Arc::new(hosts), notices, ..options };
    // Clients wait for the answer, and what is there can be served instead.
    options.retry.attempts = options.retry.attempts.min(UPSTREAM_ATTEMPTS);
    options.stall = options.stall.min(UPSTREAM_STALL);
    let client = RegistryClient::new(options);
    Ok(Upstream::new(client, &domain, ttl))
}

fn address(text: &str) -> Result<SocketAddr, CliError> {
    // `:5000` means every address, as with docker's registry.
    let text = if text.starts_with(':') { format!("[::]{text}") } else { text.to_owned() };
    let found = text.to_socket_addrs().ok().and_then(|mut found| found.next());
    found.ok_or_else(|| CliError::new(format!("invalid address {text}: expected HOST:PORT")))
}

/// Lines on standard error with the time; a status of 500 and above is a failure.
fn log(quiet: bool) -> Log {
    Arc::new(move |line| {
        let failed =
            line.split(' ').nth(3).and_then(|status| status.parse::<u16>().ok()).is_none_or(|s| s >= 500);
        if !quiet || failed {
            output::talk(&format!("{} {line}", jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ")));
        }
    })
}

/// A duration as Go writes it.
fn duration(text: &str) -> Result<Duration, String> {
    let nanos = crate::parser::parse_duration(text).map_err(|e| e.to_string())?;
    u64::try_from(nanos).map(Duration::from_nanos).map_err(|_| format!("{text} is negative"))
}

fn failed(error: &dyn std::error::Error) -> CliError {
    CliError::new(crate::causes::chain(error))
}
