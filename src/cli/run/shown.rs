//! The parts of `inspect` that say what was asked for, in docker's shape.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Attached;
use super::args::ContainerArgs;
use super::life;
use crate::containers::Config;
use crate::image::ContainerConfig;
use crate::run::{MASKED_PATHS, READ_ONLY_PATHS};

/// Returns the `Config` part.
pub fn config(defined: &Config, args: &ContainerArgs, image: &ContainerConfig, attached: Attached) -> Value {
    let (process, life) = (&args.process, &args.life);
    let env: Vec<String> = defined.env.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let entrypoint = match process.entrypoint.as_deref() {
        Some("") => None,
        Some(path) => Some(vec![path.to_owned()]),
        None => image.entrypoint.clone(),
    };
    let cmd = match (args.command.is_empty(), &process.entrypoint) {
        (false, _) => Some(args.command.clone()),
        (true, Some(_)) => None,
        (true, None) => image.cmd.clone(),
    };
    let ports: BTreeMap<&str, Value> =
        defined.network.exposed.iter().map(|port| (port.as_str(), json!({}))).collect();
    let mut shown = json!({
        "Hostname": defined.hostname.clone().unwrap_or_default(),
        "Domainname": defined.domainname.clone().unwrap_or_default(),
        "User": defined.user,
        "AttachStdin": attached.stdin,
        "AttachStdout": attached.stdout,
        "AttachStderr": attached.stderr,
        "ExposedPorts": ports,
        "Tty": defined.tty,
        "OpenStdin": defined.open_stdin,
        "StdinOnce": defined.stdin_once,
        "Env": env,
        "Cmd": cmd,
        "Image": defined.image_name,
        "Volumes": if image.volumes.is_empty() { Value::Null } else { json!(image.volumes) },
        "WorkingDir": if defined.cwd.as_os_str() == "/" && process.workdir.is_none() {
            image.working_dir.clone()
        } else {
            defined.cwd.to_string_lossy().into_owned()
        },
        "Entrypoint": entrypoint,
        "OnBuild": Value::Null,
        "Labels": defined.labels,
    });
    if ports.is_empty()
        && let Some(map) = shown.as_object_mut()
    {
        map.shift_remove("ExposedPorts");
    }
    // It was read before without a mistake.
    if let Ok(Some(health)) = life::shown_health(life, image) {
        shown["Healthcheck"] = json!(health);
    }
    let signal = life.stop_signal.clone().unwrap_or_else(|| image.stop_signal.clone());
    if !signal.is_empty() {
        shown["StopSignal"] = json!(signal);
    }
    if let Some(seconds) = life.stop_timeout {
        shown["StopTimeout"] = json!(seconds);
    }
    if let Some(shell) = &image.shell {
        shown["Shell"] = json!(shell);
    }
    shown
}

/// Returns the `HostConfig` part.
pub fn host(defined: &Config, args: &ContainerArgs) -> Value {
    let list = |texts: &[String]| if texts.is_empty() { Value::Null } else { json!(texts) };
    let (files, security, network, resources) = (&args.files, &args.security, &args.network, &args.resources);
    let limits = &defined.limits;
    let (policy, count) = defined.restart.shown();
    let tmpfs: BTreeMap<&str, &str> =
        files.tmpfs.iter().map(|text| text.split_once(':').unwrap_or((text, ""))).collect();
    let unmasked = defined.privileged || defined.system_paths_open;
    let ulimits: Vec<Value> = defined
        .rlimits
        .iter()
        .map(|limit| {
            let number = |n: Option<u64>| n.map_or(json!(-1), |n| json!(n));
            json!({ "Name": limit.name, "Hard": number(limit.hard), "Soft": number(limit.soft) })
        })
        .collect();
    let devices: Vec<Value> = defined
        .devices
        .iter()
        .map(|device| {
            json!({ "PathOnHost": device.source, "PathInContainer": device.target,
                    "CgroupPermissions": device.access })
        })
        .collect();
    let sysctls: BTreeMap<&str, &str> =
        security.sysctl.iter().filter_map(|text| text.split_once('=')).collect();
    let swap = match limits.memory_swap {
        Some(u64::MAX) => json!(-1),
        other => json!(other.unwrap_or(0)),
    };
    let mut shown = json!({
        "Binds": list(&files.volume),
        "ContainerIDFile": args.process.cidfile.as_ref().map_or(String::new(), |p| p.display().to_string()),
        "LogConfig": { "Type": defined.log.driver, "Config": defined.log.options },
        "NetworkMode": defined.network.mode,
        "PortBindings": bindings(defined),
        "RestartPolicy": { "Name": policy, "MaximumRetryCount": count },
        "AutoRemove": defined.auto_remove,
        "VolumeDriver": "",
        "VolumesFrom": list(&files.volumes_from),
        "ConsoleSize": [0, 0],
        "CapAdd": list(&security.cap_add),
        "CapDrop": list(&security.cap_drop),
        "CgroupnsMode": if defined.own_cgroups { "private" } else { "host" },
        "Dns": network.dns.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "DnsOptions": network.dns_option,
        "DnsSearch": network.dns_search,
        "ExtraHosts": list(&network.add_host),
        "GroupAdd": list(&args.process.group_add),
        "IpcMode": security.ipc.clone().unwrap_or_else(|| "private".to_owned()),
        "Cgroup": "",
        "Links": list(&network.link),
        "OomScoreAdj": defined.oom_score_adj.unwrap_or(0),
        "PidMode": security.pid.clone().unwrap_or_default(),
        "Privileged": defined.privileged,
        "PublishAllPorts": network.publish_all,
        "ReadonlyRootfs": defined.read_only,
        "SecurityOpt": list(&security.security_opt),
        "UTSMode": security.uts.clone().unwrap_or_default(),
        "UsernsMode": "",
        "ShmSize": defined.shm_size,
        "Runtime": "runc",
        "Isolation": "",
    });
    let limited = json!({
        "CpuShares": limits.cpu_shares.unwrap_or(0),
        "Memory": limits.memory.unwrap_or(0),
        "NanoCpus": resources.cpus.map_or(0, |cpus| (cpus * 1e9) as u64),
        "CgroupParent": limits.parent.as_ref().map_or(String::new(), |p| p.display().to_string()),
        "BlkioWeight": 0,
        "BlkioWeightDevice": [],
        "BlkioDeviceReadBps": [],
        "BlkioDeviceWriteBps": [],
        "BlkioDeviceReadIOps": [],
        "BlkioDeviceWriteIOps": [],
        "CpuPeriod": resources.cpu_period.unwrap_or(0),
        "CpuQuota": resources.cpu_quota.unwrap_or(0),
        "CpuRealtimePeriod": 0,
        "CpuRealtimeRuntime": 0,
        "CpusetCpus": limits.cpuset_cpus.clone().unwrap_or_default(),
        "CpusetMems": limits.cpuset_mems.clone().unwrap_or_default(),
        "Devices": devices,
        "DeviceCgroupRules": list(&limits.device_rules),
        "DeviceRequests": Value::Null,
        "MemoryReservation": limits.memory_reservation.unwrap_or(0),
        "MemorySwap": swap,
        "MemorySwappiness": Value::Null,
        "OomKillDisable": Value::Null,
        "PidsLimit": limits.pids,
        "Ulimits": ulimits,
        "CpuCount": 0,
        "CpuPercent": 0,
        "IOMaximumIOps": 0,
        "IOMaximumBandwidth": 0,
        "MaskedPaths": if unmasked { Value::Null } else { json!(MASKED_PATHS) },
        "ReadonlyPaths": if unmasked { Value::Null } else { json!(READ_ONLY_PATHS) },
    });
    if let (Value::Object(all), Value::Object(more)) = (&mut shown, limited) {
        all.extend(more);
    }
    if !tmpfs.is_empty() {
        shown["Tmpfs"] = json!(tmpfs);
    }
    if !sysctls.is_empty() {
        shown["Sysctls"] = json!(sysctls);
    }
    if defined.init {
        shown["Init"] = json!(true);
    }
    shown
}

/// Returns the ports to publish, in docker's shape.
fn bindings(defined: &Config) -> Value {
    let mut all: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for wanted in &defined.network.publish {
        let address = wanted.address.map_or(String::new(), |address| address.to_string());
        let port = match wanted.host {
            None => String::new(),
            Some((first, last)) if first == last => first.to_string(),
            Some((first, last)) => format!("{first}-{last}"),
        };
        let key = format!("{}/{}", wanted.container, wanted.protocol);
        all.entry(key).or_default().push(json!({ "HostIp": address, "HostPort": port }));
    }
    json!(all)
}
