//! `Config` and `HostConfig` of the body.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use serde_json::{Value, json};

use super::super::rows::object;
use super::{files, network, resources};
use crate::cli::error::{CliError, flag_size};
use crate::cli::files::open_input;
use crate::cli::run::Attached;
use crate::cli::run::args::{ContainerArgs, LifeArgs};
use crate::cli::run::environment::{changes, own};
use crate::cli::run::process::named_devices;
use crate::cli::run::{gpus, life};
use crate::engine::client::at_least;
use crate::image::ContainerConfig;

/// Returns the body for an engine that speaks `version`.
///
/// # Errors
/// A flag means nothing.
pub fn body(args: &ContainerArgs, streams: Attached, version: &str) -> Result<Value, CliError> {
    let wanted = network::Wanted::new(args)?;
    let mut body = config(args, streams, &wanted)?;
    let mut host = host(args, &wanted)?;
    if args.process.tty
        && let Some((rows, columns)) = console::Term::stdout().size_checked()
    {
        host["ConsoleSize"] = json!([rows, columns]);
    }
    let mounts = files::Mounts::new(&args.files)?;
    mounts.add(&mut body, &mut host);
    body["HostConfig"] = host;
    let endpoints = wanted.endpoints(args, at_least(version, "1.44"));
    body["NetworkingConfig"] = json!({ "EndpointsConfig": endpoints });
    if !at_least(version, "1.44")
        && let Some(mac) = &args.network.mac_address
    {
        body["MacAddress"] = json!(mac);
    }
    Ok(body)
}

fn config(args: &ContainerArgs, streams: Attached, wanted: &network::Wanted) -> Result<Value, CliError> {
    let (process, life) = (&args.process, &args.life);
    let env: Vec<String> = changes(&process.env_file, &process.env, &own)?
        .into_iter()
        // A name alone takes the image's variable away.
        .map(|(name, value)| value.map_or(name.clone(), |value| format!("{name}={value}")))
        .collect();
    let none = ContainerConfig::default();
    let mut config = json!({
        "Hostname": args.network.hostname.clone().unwrap_or_default(),
        "Domainname": args.network.domainname.clone().unwrap_or_default(),
        "User": process.user.clone().unwrap_or_default(),
        "AttachStdin": streams.stdin, "AttachStdout": streams.stdout, "AttachStderr": streams.stderr,
        "Tty": process.tty, "OpenStdin": process.interactive,
        "StdinOnce": process.interactive && streams.stdin,
        "Env": env,
        "Cmd": if args.command.is_empty() { Value::Null } else { json!(args.command) },
        "Image": args.image,
        "WorkingDir": process.workdir.clone().unwrap_or_default(),
        "Entrypoint": process.entrypoint.as_ref().map(|path| vec![path]),
        "Labels": self::life::labels(process, &none)?,
        "ExposedPorts": wanted.exposed(),
    });
    if let Some(health) = self::life::shown_health(life, None, &none)? {
        config["Healthcheck"] = json!(health);
    }
    if let Some(signal) = &life.stop_signal {
        config["StopSignal"] = json!(signal);
    }
    if let Some(seconds) = life.stop_timeout {
        config["StopTimeout"] = json!(seconds);
    }
    Ok(config)
}

fn host(args: &ContainerArgs, wanted: &network::Wanted) -> Result<Value, CliError> {
    let (files, network, security, kept) = (&args.files, &args.network, &args.security, &args.kept);
    let (policy, count) = life::restart(&args.life)?.shown();
    let word = |given: &Option<String>| given.clone().unwrap_or_default();
    let cidfile = args.process.cidfile.as_ref().map_or(String::new(), |path| path.display().to_string());
    let mut host = json!({
        "ContainerIDFile": cidfile,
        "LogConfig": log(&args.life)?,
        "NetworkMode": wanted.mode(args),
        "PortBindings": wanted.bindings(),
        "RestartPolicy": { "Name": policy, "MaximumRetryCount": count },
        "AutoRemove": args.life.rm,
        "VolumesFrom": files.volumes_from,
        "CapAdd": security.cap_add, "CapDrop": security.cap_drop,
        "Dns": network.dns, "DnsOptions": network.dns_option, "DnsSearch": network.dns_search,
        "ExtraHosts": wanted.hosts(),
        "GroupAdd": args.process.group_add,
        "IpcMode": word(&security.ipc), "PidMode": word(&security.pid), "UTSMode": word(&security.uts),
        "CgroupnsMode": word(&security.cgroupns), "UsernsMode": word(&security.userns),
        "Runtime": word(&kept.runtime), "Isolation": word(&kept.isolation),
        "VolumeDriver": word(&kept.volume_driver),
        "Links": network.link,
        "Privileged": security.privileged,
        "PublishAllPorts": network.publish_all,
        "ReadonlyRootfs": files.read_only,
        "OomScoreAdj": args.resources.oom_score_adj.unwrap_or(0),
        "Devices": named_devices(files).map(device).collect::<Result<Vec<_>, _>>()?,
    });
    let (annotations, storage) = (kept.annotations(), kept.storage_options());
    if !annotations.is_empty() {
        host["Annotations"] = json!(annotations);
    }
    if !storage.is_empty() {
        host["StorageOpt"] = json!(storage);
    }
    let requests = gpus::requests(files);
    if !requests.is_empty() {
        host["DeviceRequests"] = json!(requests);
    }
    if args.process.init {
        host["Init"] = json!(true);
    }
    if let Some(size) = &files.shm_size {
        host["ShmSize"] = json!(flag_size("--shm-size", size)?);
    }
    let sysctls: BTreeMap<&str, &str> = security
        .sysctl
        .iter()
        .map(|text| {
            text.split_once('=')
                .ok_or_else(|| CliError::flag("--sysctl", text, format!("sysctl '{text}' is not allowed")))
        })
        .collect::<Result<_, _>>()?;
    if !sysctls.is_empty() {
        host["Sysctls"] = json!(sysctls);
    }
    secure(&security.security_opt, &mut host)?;
    let mut all = object(host);
    all.extend(object(resources::resources(&args.resources)?));
    Ok(Value::Object(all))
}

fn device(text: &str) -> Result<Value, CliError> {
    let (source, target, access) = crate::cli::run::process::device_parts(text)?;
    Ok(json!({ "PathOnHost": source, "PathInContainer": target, "CgroupPermissions": access }))
}

fn log(args: &LifeArgs) -> Result<Value, CliError> {
    let options = life::log_options(args)?;
    let driver = args.log_driver.clone().unwrap_or_default();
    if driver == "none" && !options.is_empty() {
        return Err(CliError::new("invalid logging opts for driver none").code(125));
    }
    Ok(json!({ "Type": driver, "Config": options }))
}

/// Profiles are files of this machine, so their text is sent.
fn secure(options: &[String], host: &mut Value) -> Result<(), CliError> {
    let mut sent = Vec::new();
    for option in options {
        let (key, value) = option.split_once('=').or_else(|| option.split_once(':')).unwrap_or((option, ""));
        match (key, value) {
            ("systempaths", "unconfined") => {
                host["MaskedPaths"] = json!([]);
                host["ReadonlyPaths"] = json!([]);
            }
            ("seccomp", "unconfined" | "builtin") => sent.push(format!("{key}={value}")),
            ("seccomp", path) => {
                let bad =
                    |why: String| CliError::new(format!("opening seccomp profile ({path}) failed: {why}"));
                let mut profile = String::new();
                let mut file = open_input(Some(Path::new(path))).map_err(|e| bad(e.text))?;
                file.read_to_string(&mut profile).map_err(|e| bad(e.to_string()))?;
                let parsed: Value = serde_json::from_str(&profile).map_err(|e| {
                    CliError::new(format!("compacting json for seccomp profile ({path}) failed: {e}"))
                })?;
                sent.push(format!("seccomp={parsed}"));
            }
            _ => sent.push(option.clone()),
        }
    }
    host["SecurityOpt"] = json!(sent);
    Ok(())
}
