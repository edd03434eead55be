//! Flags and an image's config to a [`ProcessSpec`].

use std::path::PathBuf;

use super::super::error::{CliError, chain};
use super::super::{files, human};
use super::args::RunArgs;
use crate::fs::{Follow, Root};
use crate::image::ImageConfig;
use crate::run::{
    CapSet, DEFAULT_PATH, Device, Limits, Mount, Namespaces, Network, ProcessSpec, Rlimit, Seccomp, Sysctl,
    User, lookup_groups, lookup_user, resource,
};

/// Least memory limit, as docker's.
const MIN_MEMORY: u64 = 6 << 20;

/// Refuses by name what this version does not do.
pub fn refuse_what_is_not_there(args: &RunArgs) -> Result<(), CliError> {
    let refuse = |what: &str| Err(CliError::new(format!("{what} is not available in this version")));
    if args.detach {
        return refuse("--detach");
    }
    match args.network.as_deref() {
        None | Some("host" | "none") => {}
        Some(other) => return refuse(&format!("--network {other}: only host and none; it")),
    }
    if args.pull.as_deref() == Some("always") {
        return refuse("--pull always: registries; pulling");
    }
    for (flag, value, allowed) in
        [("pid", &args.pid, "host"), ("uts", &args.uts, "host"), ("ipc", &args.ipc, "host|private")]
    {
        if let Some(value) =
            value.as_deref().filter(|v| !v.is_empty() && !allowed.split('|').any(|a| a == *v))
        {
            return refuse(&format!("--{flag} {value}"));
        }
    }
    if let Some(name) = &args.name {
        let legal = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        let first = name.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
        if name.len() < 2 || !first || !name.chars().all(legal) {
            return Err(CliError::new(format!(
                "Error response from daemon: Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
            )));
        }
    }
    Ok(())
}

/// Returns the process; mounts of volumes are not yet in it.
pub fn spec(args: &RunArgs, config: &ImageConfig, view: &Root, id: &str) -> Result<ProcessSpec, CliError> {
    let command = command(args, config)?;
    let own_network = args.network.as_deref() == Some("none");
    let host_uts = args.uts.as_deref() == Some("host");
    let hostname = match (&args.hostname, host_uts) {
        (Some(_), true) => return Err(CliError::new("conflicting options: hostname and the UTS mode")),
        (Some(name), false) => name.clone(),
        (None, _) if own_network => id[..12].to_owned(),
        (None, _) => rustix::system::uname().nodename().to_string_lossy().into_owned(),
    };
    let named = args.user.as_deref().unwrap_or(&config.config.user);
    let mut user = lookup_user(view, named).map_err(|e| CliError::engine(&e))?;
    user.groups.extend(lookup_groups(view, &args.group_add).map_err(|e| CliError::engine(&e))?);
    let cwd = working_directory(args, config)?;
    let mut spec = ProcessSpec {
        args: command.into_iter().map(String::into_bytes).collect(),
        env: environment(args, config, &user, &hostname)?,
        cwd,
        user,
        network: if own_network { Network::None } else { Network::Host },
        namespaces: Namespaces {
            pid: args.pid.as_deref() != Some("host"),
            ipc: args.ipc.as_deref() != Some("host"),
            ..Namespaces::default()
        },
        capabilities: CapSet::adjusted(&args.cap_add, &args.cap_drop).map_err(|e| CliError::engine(&e))?,
        rlimits: args.ulimit.iter().map(|text| rlimit(text)).collect::<Result<_, _>>()?,
        limits: limits(args)?,
        oom_score_adj: args.oom_score_adj,
        init: args.init,
        privileged: args.privileged,
        devices: args.device.iter().map(|text| device(text)).collect::<Result<_, _>>()?,
        sysctls: sysctls(args, own_network)?,
        domainname: args.domainname.clone(),
        dies_with_thread: true,
        ..ProcessSpec::default()
    };
    if let Some(text) = &args.shm_size {
        spec.shm_size = size(text)?;
    }
    security(args, &mut spec)?;
    managed_files(args, &mut spec, own_network, &hostname)?;
    spec.hostname = (!host_uts).then_some(hostname);
    Ok(spec)
}

/// Entrypoint and command: `--entrypoint` drops the image's command, and an empty one resets both.
fn command(args: &RunArgs, config: &ImageConfig) -> Result<Vec<String>, CliError> {
    let mut words = match args.entrypoint.as_deref() {
        Some("") => Vec::new(),
        Some(path) => vec![path.to_owned()],
        None => config.config.entrypoint.clone().unwrap_or_default(),
    };
    if !args.command.is_empty() {
        words.extend(args.command.iter().cloned());
    } else if args.entrypoint.is_none() {
        words.extend(config.config.cmd.clone().unwrap_or_default());
    }
    if words.is_empty() {
        return Err(CliError::new("Error response from daemon: no command specified"));
    }
    Ok(words)
}

fn working_directory(args: &RunArgs, config: &ImageConfig) -> Result<PathBuf, CliError> {
    let text = args.workdir.as_deref().unwrap_or(&config.config.working_dir);
    match text {
        "" => Ok(PathBuf::from("/")),
        text if text.starts_with('/') => Ok(PathBuf::from(text)),
        text => Err(CliError::new(format!(
            "Error response from daemon: the working directory '{text}' is invalid, it needs to be an absolute path"
        ))),
    }
}

type Environment = Vec<(Vec<u8>, Vec<u8>)>;

/// `PATH`, `HOSTNAME`, `TERM`, the image's variables, files, flags; later ones replace earlier ones.
fn environment(
    args: &RunArgs,
    config: &ImageConfig,
    user: &User,
    hostname: &str,
) -> Result<Environment, CliError> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut set = |key: &str, value: &str| match found.iter_mut().find(|(known, _)| known == key) {
        Some(known) => known.1 = value.to_owned(),
        None => found.push((key.to_owned(), value.to_owned())),
    };
    set("PATH", DEFAULT_PATH);
    set("HOSTNAME", hostname);
    if args.tty {
        set("TERM", "xterm");
    }
    for pair in &config.config.env {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        set(key, value);
    }
    for path in &args.env_file {
        for (key, value) in env_file(path)? {
            set(&key, &value);
        }
    }
    let mut unset = Vec::new();
    for text in &args.env {
        match text.split_once('=') {
            Some(("", _)) => return Err(CliError::new(format!("invalid environment variable: {text}"))),
            Some((key, value)) => set(key, value),
            None => match std::env::var(text) {
                Ok(value) => set(text, &value),
                // A name alone that the client lacks takes the image's variable away.
                Err(_) => unset.push(text.clone()),
            },
        }
    }
    found.retain(|(key, _)| !unset.contains(key));
    if !found.iter().any(|(key, _)| key == "HOME") {
        let home = if user.home.is_empty() { "/" } else { &user.home };
        found.push(("HOME".to_owned(), home.to_owned()));
    }
    Ok(found.into_iter().map(|(key, value)| (key.into_bytes(), value.into_bytes())).collect())
}

fn env_file(path: &std::path::Path) -> Result<Vec<(String, String)>, CliError> {
    use std::io::Read as _;
    let mut text = String::new();
    let read = files::open_input(Some(path))?.read_to_string(&mut text);
    read.map_err(|e| CliError::new(format!("{}: {e}", path.display())))?;
    let mut found = Vec::new();
    for line in text.trim_start_matches('\u{feff}').lines() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = match line.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (line.trim_end(), std::env::var(line.trim_end()).ok()),
        };
        if key.is_empty() || key.contains(char::is_whitespace) {
            return Err(CliError::new(format!(
                "invalid env file ({}): variable '{key}' contains whitespaces",
                path.display()
            )));
        }
        found.extend(value.map(|value| (key.to_owned(), value)));
    }
    Ok(found)
}

fn rlimit(text: &str) -> Result<Rlimit, CliError> {
    let bad = |why: &str| CliError::new(format!("invalid argument \"{text}\" for \"--ulimit\" flag: {why}"));
    let (name, values) = text.split_once('=').ok_or_else(|| bad("expected type=soft[:hard]"))?;
    let resource = resource(name).ok_or_else(|| bad(&format!("invalid ulimit type: {name}")))?;
    let number = |text: &str| match text {
        "-1" | "unlimited" => Ok(None),
        text => text.parse().map(Some).map_err(|_| bad("a limit is no number")),
    };
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    let (soft, hard) = (number(soft)?, number(hard)?);
    if soft.unwrap_or(u64::MAX) > hard.unwrap_or(u64::MAX) {
        return Err(bad("ulimit soft limit must be less than or equal to hard limit"));
    }
    Ok(Rlimit { resource, soft, hard })
}

fn size(text: &str) -> Result<u64, CliError> {
    human::parse_size(text).ok_or_else(|| CliError::new(format!("invalid size: '{text}'")))
}

fn limits(args: &RunArgs) -> Result<Limits, CliError> {
    let memory = args.memory.as_deref().map(size).transpose()?.filter(|bytes| *bytes > 0);
    if memory.is_some_and(|bytes| bytes < MIN_MEMORY) {
        return Err(CliError::new("Error response from daemon: Minimum memory limit allowed is 6MB"));
    }
    let swap = match args.memory_swap.as_deref() {
        Some("-1") => Some(u64::MAX),
        Some(text) => Some(size(text)?),
        None => memory.map(|bytes| bytes * 2),
    };
    let cpu_quota = match args.cpus {
        Some(_) if args.cpu_period.is_some() || args.cpu_quota.is_some() => {
            return Err(CliError::new(
                "Error response from daemon: Conflicting options: Nano CPUs and CPU Period cannot both be set.",
            ));
        }
        Some(cpus) => {
            let have = std::thread::available_parallelism().map_or(1, usize::from);
            if cpus < 0.01 || cpus > have as f64 {
                return Err(CliError::new(format!(
                    "Error response from daemon: range of CPUs is from 0.01 to {have}.00, as there are only {have} CPUs available"
                )));
            }
            Some((cpus * 100_000.0) as u64)
        }
        None => args.cpu_quota,
    };
    Ok(Limits {
        memory,
        memory_swap: swap,
        memory_reservation: args.memory_reservation.as_deref().map(size).transpose()?,
        cpu_quota,
        cpu_period: args.cpu_period,
        cpu_shares: args.cpu_shares,
        cpuset_cpus: args.cpuset_cpus.clone(),
        cpuset_mems: args.cpuset_mems.clone(),
        pids: args.pids_limit.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0),
        ..Limits::default()
    })
}

/// `SRC[:DST][:rwm]`
fn device(text: &str) -> Result<Device, CliError> {
    let parts: Vec<&str> = text.split(':').collect();
    let is_access = |text: &str| !text.is_empty() && text.bytes().all(|c| b"rwm".contains(&c));
    let (source, target, access) = match parts[..] {
        [source] => (source, source, "rwm"),
        [source, access] if is_access(access) => (source, source, access),
        [source, target] => (source, target, "rwm"),
        [source, target, access] if is_access(access) => (source, target, access),
        _ => return Err(CliError::new(format!("invalid device specification: {text}"))),
    };
    let root = Root::open(std::path::Path::new("/"))?;
    let fd = root.open_path(source, Follow::Yes).map_err(|e| {
        CliError::new(format!(
            "error gathering device information while adding custom device {source:?}: {}",
            chain(&e)
        ))
    })?;
    Ok(Device { target: PathBuf::from(target), source: fd, access: access.to_owned() })
}

fn sysctls(args: &RunArgs, own_network: bool) -> Result<Vec<Sysctl>, CliError> {
    let mut found = if own_network { Sysctl::network_defaults() } else { Vec::new() };
    for text in &args.sysctl {
        let (key, value) = text.split_once('=').ok_or_else(|| {
            CliError::new(format!("invalid argument \"{text}\" for \"--sysctl\" flag: expected key=value"))
        })?;
        if key.starts_with("net.") && !own_network {
            return Err(CliError::new(format!(
                "Error response from daemon: sysctl '{key}' not allowed in host network namespace"
            )));
        }
        found.push(Sysctl { key: key.to_owned(), value: value.to_owned(), optional: false });
    }
    Ok(found)
}

fn security(args: &RunArgs, spec: &mut ProcessSpec) -> Result<(), CliError> {
    for text in &args.security_opt {
        let (key, value) = text.split_once('=').or_else(|| text.split_once(':')).unwrap_or((text, "true"));
        match (key, value) {
            ("no-new-privileges", "true") => spec.no_new_privileges = true,
            ("no-new-privileges", "false") => spec.no_new_privileges = false,
            ("seccomp", "unconfined") => spec.seccomp = Seccomp::Unconfined,
            ("seccomp", "builtin") => spec.seccomp = Seccomp::Default,
            ("seccomp", path) => {
                use std::io::Read as _;
                let mut profile = String::new();
                files::open_input(Some(std::path::Path::new(path)))?.read_to_string(&mut profile)?;
                spec.seccomp = Seccomp::Profile(profile);
            }
            ("systempaths", "unconfined") => {
                spec.masked_paths.clear();
                spec.read_only_paths.clear();
            }
            ("apparmor", "unconfined") | ("label", "disable") => {}
            _ => {
                return Err(CliError::new(format!("--security-opt {text} is not available in this version")));
            }
        }
    }
    Ok(())
}

/// `/etc/hostname`, `/etc/hosts` and `/etc/resolv.conf`: the container's own, writable, in no layer.
fn managed_files(
    args: &RunArgs,
    spec: &mut ProcessSpec,
    own_network: bool,
    hostname: &str,
) -> Result<(), CliError> {
    let host = Root::open(std::path::Path::new("/"))?;
    let host_file = |path: &str| host.read(path, 1 << 20).unwrap_or_default();
    let mut hosts = if own_network || !args.add_host.is_empty() {
        b"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\nff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n"
            .to_vec()
    } else {
        host_file("etc/hosts")
    };
    for text in &args.add_host {
        let entry = super::super::hosts::add_host(text)?;
        for address in &entry.addresses {
            hosts.extend_from_slice(format!("{address}\t{}\n", entry.name).as_bytes());
        }
    }
    let name = match &args.domainname {
        Some(domain) => format!("{hostname}.{domain}"),
        None => hostname.to_owned(),
    };
    spec.mounts.push(Mount::file("/etc/hostname", format!("{name}\n"), 0o644));
    spec.mounts.push(Mount::file("/etc/hosts", hosts, 0o644));
    spec.mounts.push(Mount::file("/etc/resolv.conf", host_file("etc/resolv.conf"), 0o644));
    Ok(())
}
