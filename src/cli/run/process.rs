//! Flags and an image's config to a container's [`Config`].

use std::path::{Path, PathBuf};

use super::super::error::{CliError, flag_size};
use super::super::files;
use super::args::{ContainerArgs, FileArgs, NetworkArgs};
use super::environment::{self, Environment};
use super::limits::{self, rlimit};
use super::{gpus, life, modes, network, shown};
use crate::causes::chain;
use crate::cdi::is_qualified;
use crate::containers::{Config, DeviceConfig, Shown};
use crate::fs::{Follow, Root};
use crate::image::ContainerConfig;
use crate::run::{CapSet, Device, ProcessSpec, Seccomp, Sysctl};
use crate::store::ImageRecord;

/// What a container is made of beside its flags.
pub struct Origin<'a> {
    /// The container's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: &'a ImageRecord,
    /// The image's config.
    pub config: &'a ContainerConfig,
}

/// Returns the container that flags and image describe, its mounts not yet in it, and warnings.
///
/// # Errors
/// Flags contradict each other, name what is not there, or there is nothing to run.
pub fn define(args: &ContainerArgs, origin: &Origin<'_>) -> Result<(Config, Vec<String>), CliError> {
    let (security, own_network) = (&args.security, args.own_network());
    let (process, life, config) = (&args.process, &args.life, origin.config);
    let host_uts = security.uts.as_deref() == Some("host");
    let hostname = hostname(&args.network, own_network, host_uts, &origin.id)?;
    let mut env = Environment::of_image(&config.env, &hostname, process.tty);
    match args.given.remote {
        true => env.add_users(process, &|_| None)?,
        false => env.add_users(process, &environment::own)?,
    }
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let env = env.into_pairs().into_iter().map(|(key, value)| (text(key), text(value))).collect();
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let (limits, warnings) = limits::limits(&args.resources, cpus)?;
    let mut secured = ProcessSpec::default();
    for option in &security.security_opt {
        security_option(option, &mut secured)?;
    }
    let attached = super::attached(process)?;
    let mut defined = Config {
        id: origin.id.clone(),
        name: origin.name.clone(),
        created: jiff::Timestamp::now(),
        image: origin.image.id.to_string(),
        image_name: args.image.clone(),
        layers: origin.image.layers.clone(),
        platform: origin.image.platform.to_string(),
        args: command(entrypoint(args).as_deref(), &args.command, config)?,
        env,
        cwd: working_directory(process.workdir.as_deref().unwrap_or(&config.working_dir))?,
        user: process.user.clone().unwrap_or_else(|| config.user.clone()),
        groups: process.group_add.clone(),
        tty: process.tty,
        open_stdin: process.interactive,
        stdin_once: process.interactive && attached.stdin,
        hostname: (!host_uts).then_some(hostname),
        domainname: args.network.domainname.clone(),
        network: network::config(args, config)?,
        own_pids: modes::is_own(security.pid.as_deref()),
        own_ipc: modes::is_own(security.ipc.as_deref()),
        shares: modes::shares(security),
        own_cgroups: security.cgroupns.as_deref() != Some("host"),
        credentials: false,
        mounts: Vec::new(),
        anonymous_volumes: Vec::new(),
        devices: named_devices(&args.files).map(described_device).collect::<Result<_, _>>()?,
        device_requests: gpus::requests(&args.files),
        device_directories: Vec::new(),
        capabilities: CapSet::adjusted(&security.cap_add, &security.cap_drop)
            .map_err(|e| CliError::engine(&e))?
            .0,
        seccomp: secured.seccomp,
        no_new_privileges: secured.no_new_privileges,
        system_paths_open: secured.masked_paths.is_empty(),
        rlimits: args.resources.ulimit.iter().map(|text| rlimit(text)).collect::<Result<_, _>>()?,
        sysctls: sysctls(args)?,
        shm_size: match &args.files.shm_size {
            Some(text) => flag_size("--shm-size", text)?,
            None => secured.shm_size,
        },
        limits,
        oom_score_adj: badness(args.resources.oom_score_adj)?,
        init: process.init,
        privileged: security.privileged,
        read_only: args.files.read_only,
        stop_signal: life::stop_signal(life, config)?,
        stop_timeout: life.stop_timeout.unwrap_or(10),
        restart: life::restart(life)?,
        auto_remove: life.rm,
        log: life::log(life)?,
        health: life::health(life, args.given.health.as_ref(), config)?,
        labels: life::labels(process, config)?,
        annotations: args.kept.annotations(),
        shown_config: Shown::default(),
        shown_host: Shown::default(),
    };
    defined.shown_config = shown::config(&defined, args, config, attached).into();
    defined.shown_host = shown::host(&defined, args).into();
    Ok((defined, warnings))
}

fn badness(given: Option<i32>) -> Result<Option<i32>, CliError> {
    match given {
        Some(value) if !(-1000..=1000).contains(&value) => Err(CliError::new(format!(
            "Error response from daemon: Invalid value {value}, range for oom score adj is [-1000, 1000]"
        ))),
        other => Ok(other),
    }
}

/// Returns the host name: the flag's, the start of the id, or the host's with its network.
fn hostname(network: &NetworkArgs, own_network: bool, host_uts: bool, id: &str) -> Result<String, CliError> {
    match &network.hostname {
        Some(_) if host_uts => {
            Err(CliError::new("Error response from daemon: conflicting options: hostname and the UTS mode"))
        }
        Some(name) if name.len() > 64 || name.contains(['\0', '\n']) => {
            Err(CliError::new(format!("invalid hostname: {name:?}")))
        }
        Some(name) if !name.is_empty() => Ok(name.clone()),
        _ if own_network && !host_uts => Ok(id.chars().take(12).collect()),
        _ => Ok(rustix::system::uname().nodename().to_string_lossy().into_owned()),
    }
}

/// Returns the entrypoint that replaces the image's; an empty one resets it.
pub(super) fn entrypoint(args: &ContainerArgs) -> Option<Vec<String>> {
    let typed = args.process.entrypoint.as_ref();
    let typed = typed.map(|text| if text.is_empty() { Vec::new() } else { vec![text.clone()] });
    args.given.entrypoint.clone().or(typed)
}

/// Entrypoint and command: another entrypoint drops the image's command, and an empty one resets both.
fn command(
    entrypoint: Option<&[String]>,
    words: &[String],
    config: &ContainerConfig,
) -> Result<Vec<String>, CliError> {
    let mut all = match entrypoint {
        Some(words) => words.to_vec(),
        None => config.entrypoint.clone().unwrap_or_default(),
    };
    if !words.is_empty() {
        all.extend(words.iter().cloned());
    } else if entrypoint.is_none() {
        all.extend(config.cmd.clone().unwrap_or_default());
    }
    if all.is_empty() {
        return Err(CliError::new("Error response from daemon: no command specified"));
    }
    Ok(all)
}

fn working_directory(text: &str) -> Result<PathBuf, CliError> {
    match text {
        "" => Ok(PathBuf::from("/")),
        text if text.starts_with('/') => Ok(PathBuf::from(text)),
        text => Err(CliError::new(format!(
            "Error response from daemon: the working directory '{text}' is invalid, it needs to be an absolute path"
        ))),
    }
}

/// Reads `SRC[:DST][:rwm]`.
pub fn device(text: &str) -> Result<Device, CliError> {
    let (source, target, access) = device_parts(text)?;
    let root = Root::open(Path::new("/"))?;
    let fd = root.open_path(source, Follow::Yes).map_err(|e| {
        let why = if e.is_not_found() { "no such file or directory".to_owned() } else { chain(&e) };
        CliError::new(format!(
            "Error response from daemon: error gathering device information while adding custom device {source:?}: \
             {why}"
        ))
    })?;
    Ok(Device { target: PathBuf::from(target), source: fd, access: access.to_owned() })
}

/// Returns the devices that are given by their paths.
pub fn named_devices(files: &FileArgs) -> impl Iterator<Item = &str> {
    files.device.iter().map(String::as_str).filter(|text| !is_qualified(text))
}

/// Reads a device of a container, which must be there.
fn described_device(text: &str) -> Result<DeviceConfig, CliError> {
    drop(device(text)?);
    let (source, target, access) = device_parts(text)?;
    Ok(DeviceConfig { source: source.to_owned(), target: target.to_owned(), access: access.to_owned() })
}

/// Takes `SRC[:DST][:rwm]` apart.
///
/// # Errors
/// It is not of that form.
pub fn device_parts(text: &str) -> Result<(&str, &str, &str), CliError> {
    let is_access = |text: &str| !text.is_empty() && text.bytes().all(|c| b"rwm".contains(&c));
    let parts: Vec<&str> = text.split(':').collect();
    match parts[..] {
        [source] if source.starts_with('/') => Ok((source, source, "rwm")),
        [source, access] if is_access(access) => Ok((source, source, access)),
        [source, target] if target.starts_with('/') => Ok((source, target, "rwm")),
        [source, target, access] if is_access(access) => Ok((source, target, access)),
        [_, _, access] => Err(CliError::new(format!("bad mode specified: {access}"))),
        _ => Err(CliError::new(format!("invalid device specification: {text}"))),
    }
}

fn sysctls(args: &ContainerArgs) -> Result<Vec<Sysctl>, CliError> {
    let own_network = args.own_network();
    let host_ipc = args.security.ipc.as_deref() == Some("host");
    let mut found = if own_network { Sysctl::network_defaults() } else { Vec::new() };
    for text in &args.security.sysctl {
        let Some((key, value)) = text.split_once('=') else {
            return Err(CliError::flag("--sysctl", text, format!("sysctl '{text}' is not allowed")));
        };
        let refused = |why: &str| {
            Err(CliError::new(format!("Error response from daemon: sysctl '{key}' not allowed {why}")))
        };
        let name = key.replace('/', ".");
        if name.starts_with("net.") {
            if !own_network {
                return refused("in host network namespace");
            }
        } else if ["kernel.msg", "kernel.sem", "kernel.shm", "fs.mqueue."].iter().any(|p| name.starts_with(p))
        {
            if host_ipc {
                return refused("in host ipc namespace");
            }
        } else {
            // Any other would change the host.
            return Err(CliError::flag("--sysctl", text, format!("sysctl '{text}' is not allowed")));
        }
        found.retain(|known: &Sysctl| known.key != name);
        found.push(Sysctl { key: name, value: value.to_owned(), optional: false });
    }
    Ok(found)
}

pub fn security_option(text: &str, spec: &mut ProcessSpec) -> Result<(), CliError> {
    let pair = text.split_once('=').or_else(|| text.split_once(':'));
    if pair.is_none() && text != "no-new-privileges" {
        return Err(CliError::new(format!("Invalid --security-opt: {text:?}")));
    }
    let (key, value) = pair.unwrap_or((text, "true"));
    match (key, value) {
        ("no-new-privileges", "true") => spec.no_new_privileges = true,
        ("no-new-privileges", "false") => spec.no_new_privileges = false,
        ("seccomp", "unconfined") => spec.seccomp = Seccomp::Unconfined,
        ("seccomp", "builtin") => spec.seccomp = Seccomp::Default,
        ("seccomp", profile) if profile.trim_start().starts_with('{') => {
            spec.seccomp = Seccomp::Profile(profile.to_owned());
        }
        ("seccomp", path) => {
            let mut profile = String::new();
            let failed =
                |why: String| CliError::new(format!("opening seccomp profile ({path}) failed: {why}"));
            let mut file = files::open_input(Some(Path::new(path))).map_err(|e| failed(e.text))?;
            std::io::Read::read_to_string(&mut file, &mut profile).map_err(|e| failed(e.to_string()))?;
            spec.seccomp = Seccomp::Profile(profile);
        }
        ("systempaths", "unconfined") => {
            spec.masked_paths.clear();
            spec.read_only_paths.clear();
        }
        ("apparmor", "unconfined") | ("label", "disable") => {}
        ("apparmor" | "label" | "systempaths" | "credentialspec", _) => {
            return Err(CliError::new(format!("--security-opt {text} is not available in this version")));
        }
        _ => {
            return Err(CliError::new(format!(
                "Error response from daemon: invalid --security-opt 2: {text:?}"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entrypoint_and_command_join() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let list = |text: &str| {
            (!text.is_empty()).then(|| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        };
        // image's entrypoint, image's command, --entrypoint, arguments
        for (entrypoint, cmd, flag, arguments, expected) in [
            ("", "sh", None, "", "sh"),
            ("", "sh", None, "ls -l", "ls -l"),
            ("e 1", "c", None, "", "e 1 c"),
            ("e 1", "c", None, "x", "e 1 x"),
            ("e 1", "c", Some("f"), "", "f"),
            ("e 1", "c", Some("f"), "x", "f x"),
            ("e 1", "c", Some(""), "x", "x"),
            ("e 1", "c", Some(""), "", "no command specified"),
            ("", "", None, "", "no command specified"),
        ] {
            let config = ContainerConfig {
                entrypoint: list(entrypoint),
                cmd: list(cmd),
                ..ContainerConfig::default()
            };
            let flag: Option<Vec<String>> = flag.map(&words);
            let found = match command(flag.as_deref(), &words(arguments), &config) {
                Ok(words) => words.join(" "),
                Err(error) => error.text.replace("Error response from daemon: ", ""),
            };
            assert_eq!(found, expected, "{entrypoint:?} {cmd:?} {flag:?} {arguments:?}");
        }
    }

    #[test]
    fn devices_have_up_to_three_parts() {
        for (text, expected) in [
            ("/dev/fuse", Some(("/dev/fuse", "/dev/fuse", "rwm"))),
            ("/dev/fuse:r", Some(("/dev/fuse", "/dev/fuse", "r"))),
            ("/dev/fuse:/dev/x", Some(("/dev/fuse", "/dev/x", "rwm"))),
            ("/dev/fuse:/dev/x:rw", Some(("/dev/fuse", "/dev/x", "rw"))),
            ("/dev/fuse:/dev/x:odd", None),
            ("vendor.com/class=name", None),
            ("/dev/fuse:relative", None),
        ] {
            assert_eq!(device_parts(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn host_names() {
        let of = |name: Option<&str>, own_network, host_uts| {
            let args = NetworkArgs { hostname: name.map(str::to_owned), ..NetworkArgs::default() };
            hostname(&args, own_network, host_uts, "0123456789abcdef").map_err(|e| e.text)
        };
        assert_eq!(of(None, true, false).unwrap(), "0123456789ab");
        assert_eq!(of(Some("mine"), true, false).unwrap(), "mine");
        assert_eq!(of(None, false, false), of(None, true, true), "both are the host's");
        assert!(of(Some("mine"), false, true).unwrap_err().contains("hostname and the UTS mode"));
        assert!(of(Some("a\nb"), false, false).is_err());
    }

    #[test]
    fn working_directories_are_absolute() {
        assert_eq!(working_directory("").unwrap(), Path::new("/"));
        assert_eq!(working_directory("/a b").unwrap(), Path::new("/a b"));
        assert!(working_directory("a").unwrap_err().text.contains("needs to be an absolute path"));
    }
}
