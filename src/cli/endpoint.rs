//! Engines that `-H`, a variable or a context names: this version is no client of theirs, and says what it finds there.

use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::error::CliError;
use super::global::GlobalArgs;

/// How long an engine may take to answer a connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// Refuses to be a client of an engine rather than act on another store: in docker's words where nothing listens.
///
/// # Errors
/// A flag or a variable names an engine.
pub fn refuse(args: &GlobalArgs, program: &str) -> Result<(), CliError> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let hosts = [("--host", args.host.clone()), ("DOCKER_HOST", variable("DOCKER_HOST"))];
    if let Some((from, url)) = hosts.into_iter().find_map(|(from, value)| value.map(|value| (from, value))) {
        let url = if url.contains("://") { url } else { format!("tcp://{url}") };
        return Err(of_host(from, &url, program));
    }
    let contexts = [("--context", args.context.clone()), ("DOCKER_CONTEXT", variable("DOCKER_CONTEXT"))];
    match contexts.into_iter().find_map(|(from, value)| value.map(|value| (from, value))) {
        Some((from, name)) if name != "default" => Err(unavailable(from, &name, program)),
        _ => Ok(()),
    }
}

fn unavailable(from: &str, value: &str, program: &str) -> CliError {
    CliError::new(format!(
        "{from} {value}: talking to an engine is not available in this version; \
         without it {program} works on the local store"
    ))
}

fn of_host(from: &str, url: &str, program: &str) -> CliError {
    let (scheme, place) = url.split_once("://").unwrap_or(("tcp", url));
    let listens = match scheme {
        "unix" => UnixStream::connect(place).is_ok(),
        "tcp" | "http" | "https" => tcp(place, scheme == "https"),
        "ssh" | "fd" => true,
        _ => {
            return CliError::new(format!(
                "Failed to initialize: unable to resolve docker endpoint: invalid bind address format: {url}"
            ));
        }
    };
    match listens {
        true => unavailable(from, url, program),
        false => CliError::new(format!(
            "Cannot connect to the Docker daemon at {url}. Is the docker daemon running?"
        )),
    }
}

fn tcp(place: &str, tls: bool) -> bool {
    let place = place.split('/').next().unwrap_or(place);
    let place = match place.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() => place.to_owned(),
        _ => format!("{}:{}", place.trim_end_matches(':'), if tls { 2376 } else { 2375 }),
    };
    let addresses = place.to_socket_addrs().into_iter().flatten();
    addresses.take(4).any(|address| TcpStream::connect_timeout(&address, PATIENCE).is_ok())
}
