//! The flags of the service; the old ones of docker's daemon among them.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value, json};

use super::super::error::CliError;
use super::super::global::Global;
use super::super::{config_file, output};
use crate::engine::server::Endpoint;
use crate::tls::ServerFiles;

/// Serve the Engine API, for programs that speak it
#[derive(Debug, Args)]
pub struct ServiceArgs {
    /// Endpoint to listen on: unix://PATH, tcp://HOST:PORT or fd://
    /// [default: unix:///var/run/docker.sock, an ordinary user's: unix://$XDG_RUNTIME_DIR/docker.sock]
    #[arg(short = 'H', long = "host", value_name = "URL")]
    hosts: Vec<String>,
    /// End after this time without requests
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub idle_exit: Option<Duration>,
    /// Group that may connect to the socket [default: docker, if there is one]
    #[arg(short = 'G', long, value_name = "NAME")]
    group: Option<String>,
    /// Speak TLS on TCP endpoints; implied by --tlsverify
    #[arg(long)]
    tls: bool,
    /// Speak TLS, and let only those in who have a certificate
    #[arg(long)]
    tlsverify: bool,
    /// Trust certificates signed only by this CA [default: ca.pem in the configuration]
    #[arg(long, value_name = "FILE")]
    tlscacert: Option<PathBuf>,
    /// The service's certificate [default: cert.pem in the configuration]
    #[arg(long, value_name = "FILE")]
    tlscert: Option<PathBuf>,
    /// Its key [default: key.pem in the configuration]
    #[arg(long, value_name = "FILE")]
    tlskey: Option<PathBuf>,
    /// Directory of the store, as --root
    #[arg(short = 'g', long, alias = "graph", value_name = "DIR")]
    pub data_root: Option<PathBuf>,
    /// Label that `info` shows
    #[arg(long = "label", value_name = "KEY=VALUE")]
    labels: Vec<String>,
    /// Registry mirror to ask first
    #[arg(long = "registry-mirror", value_name = "URL")]
    mirrors: Vec<String>,
    /// Registry that may be reached without verified TLS
    #[arg(long = "insecure-registry", value_name = "HOST")]
    insecure: Vec<String>,
    /// Log driver of containers that name none
    #[arg(long, value_name = "NAME")]
    log_driver: Option<String>,
    /// Option of that log driver
    #[arg(long = "log-opt", value_name = "KEY=VALUE")]
    log_options: Vec<String>,
}

impl ServiceArgs {
    /// Lets what the flags say go before what the configuration files say.
    ///
    /// # Errors
    /// A value is none.
    pub fn configure(&self, _global: &Global) -> Result<(), CliError> {
        let mut map = Map::new();
        for (key, list) in [
            ("registry-mirrors", &self.mirrors),
            ("insecure-registries", &self.insecure),
            ("labels", &self.labels),
        ] {
            if !list.is_empty() {
                map.insert(key.to_owned(), json!(list));
            }
        }
        if let Some(driver) = &self.log_driver {
            map.insert("log-driver".to_owned(), json!(driver));
        }
        if !self.log_options.is_empty() {
            let pair = |text: &String| {
                let (key, value) = text.split_once('=').ok_or_else(|| {
                    CliError::new(format!("invalid value \"{text}\" for --log-opt: expected KEY=VALUE"))
                })?;
                Ok((key.to_owned(), Value::from(value)))
            };
            let options = self.log_options.iter().map(pair).collect::<Result<Map<_, _>, CliError>>()?;
            map.insert("log-opts".to_owned(), options.into());
        }
        config_file::override_with(map);
        config_file::hosts()?;
        config_file::log().map(drop)
    }

    /// Returns where to listen. Endpoints that let others in are warned of.
    ///
    /// # Errors
    /// One is none.
    pub fn endpoints(&self, global: &Global) -> Result<Vec<Endpoint>, CliError> {
        if self.hosts.is_empty() {
            return Ok(vec![Endpoint::Unix(default_socket(global)?)]);
        }
        let tls = self.with_tls();
        let mut found = Vec::new();
        for text in &self.hosts {
            let endpoint = Endpoint::parse(text, tls).map_err(|e| CliError::new(e.to_string()))?;
            match &endpoint {
                Endpoint::Unix(path) if path.is_relative() => {
                    let whole = std::path::absolute(path)?;
                    output::talk(&format!(
                        "WARNING: {text} is a relative path: it is {} here",
                        whole.display()
                    ));
                }
                Endpoint::Tcp(place) if !tls => output::talk(&format!(
                    "WARNING: API is accessible on http://{place} without encryption.\n         Access to the \
                     remote API is equivalent to root access on the host."
                )),
                Endpoint::Tcp(place) if !self.tlsverify => output::talk(&format!(
                    "WARNING: API is accessible on https://{place} without TLS client verification.\n         \
                     Access to the remote API is equivalent to root access on the host."
                )),
                _ => {}
            }
            found.push(endpoint);
        }
        Ok(found)
    }

    fn with_tls(&self) -> bool {
        self.tls || self.tlsverify
    }

    /// Returns the files of TLS, if it is to be spoken.
    pub fn tls_files(&self, global: &Global) -> Option<ServerFiles> {
        let home = config_file::folder("HOME").map(|home| home.join(".docker"));
        let folder = global.args.config.clone().or(home).unwrap_or_default();
        let file = |given: &Option<PathBuf>, name: &str| given.clone().unwrap_or_else(|| folder.join(name));
        self.with_tls().then(|| ServerFiles {
            certificate: file(&self.tlscert, "cert.pem"),
            key: file(&self.tlskey, "key.pem"),
            authority: self.tlsverify.then(|| file(&self.tlscacert, "ca.pem")),
        })
    }

    /// Returns the id of the socket's group.
    ///
    /// # Errors
    /// The group that was named is not there.
    pub fn group(&self) -> Result<Option<u32>, CliError> {
        if !rustix::process::geteuid().is_root() || self.in_user_namespace() {
            return Ok(None);
        }
        let name = self.group.as_deref().unwrap_or("docker");
        match group_id(name) {
            None if self.group.is_some() => {
                Err(CliError::new(format!("--group {name}: there is no such group")))
            }
            found => Ok(found),
        }
    }

    /// An ordinary user's groups are not those of the files there.
    fn in_user_namespace(&self) -> bool {
        let map = crate::fs::open_for_reading(Path::new("/proc/self/uid_map"));
        let mut text = String::new();
        let read = map.is_ok_and(|file| file.take(4096).read_to_string(&mut text).is_ok());
        read && text.split_whitespace().collect::<Vec<_>>() != ["0", "0", "4294967295"]
    }
}

/// Returns where the service listens by default.
///
/// # Errors
/// An ordinary user has no folder for it.
pub fn default_socket(global: &Global) -> Result<PathBuf, CliError> {
    if !global.rootless {
        return Ok(PathBuf::from("/var/run/docker.sock"));
    }
    let folder = config_file::folder("XDG_RUNTIME_DIR")
        .ok_or_else(|| CliError::new("XDG_RUNTIME_DIR is not set: give --host unix://PATH"))?;
    Ok(folder.join("docker.sock"))
}

fn group_id(name: &str) -> Option<u32> {
    let etc = crate::fs::Root::open("/etc".as_ref()).ok()?;
    let text = String::from_utf8_lossy(&etc.read("group", 16 << 20).ok()?).into_owned();
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
    })
}

fn duration(text: &str) -> Result<Duration, String> {
    let nanos = crate::parser::parse_duration(text).map_err(|e| e.to_string())?;
    u64::try_from(nanos).map(Duration::from_nanos).map_err(|_| format!("{text} is negative"))
}
