//! The parts of `inspect` that say what was asked for, in docker's shape.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::remote::mount;
use super::Attached;
use super::args::ContainerArgs;
use super::life;
use crate::containers::Config;
use crate::image::ContainerConfig;
use crate::net::Wanted;
use crate::run::{DeviceValue, MASKED_PATHS, READ_ONLY_PATHS};

fn named(pair: &str) -> &str {
    pair.split_once('=').map_or(pair, |(name, _)| name)
}

/// Returns the `Config` part.
pub fn config(defined: &Config, args: &ContainerArgs, image: &ContainerConfig, attached: Attached) -> Value {
    let (process, life) = (&args.process, &args.life);
    // What every container gets of its own accord nobody asked for, and no image made of it shall have it.
    let asked = |key: &str| image.env.iter().chain(&process.env).any(|pair| named(pair) == key);
    let own = |key: &str, value: &str| match key {
        "HOSTNAME" => !asked(key) && defined.hostname.as_deref().unwrap_or(value) == value,
        "TERM" => !asked(key) && defined.tty && value == "xterm",
        _ => false,
    };
    let pairs = defined.env.iter().filter(|(key, value)| !own(key, value));
    let env: Vec<String> = pairs.map(|(key, value)| format!("{key}={value}")).collect();
    let other = super::process::entrypoint(args);
    let entrypoint = match &other {
        Some(words) => Some(words.clone()).filter(|words| !words.is_empty()),
        None => image.entrypoint.clone(),
    };
    let cmd = match (args.command.is_empty(), &other) {
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
    if let Ok(Some(health)) = life::shown_health(life, args.given.health.as_ref(), image) {
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
    let kept = &args.kept;
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
        "PortBindings": bindings(&defined.network.publish),
        "RestartPolicy": { "Name": policy, "MaximumRetryCount": count },
        "AutoRemove": defined.auto_remove,
        "VolumeDriver": kept.volume_driver.clone().unwrap_or_default(),
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
        "IpcMode": security.ipc.clone().filter(|mode| !mode.is_empty()).unwrap_or_else(|| "private".to_owned()),
        "Cgroup": "",
        "Links": list(&network.link),
        "OomScoreAdj": defined.oom_score_adj.unwrap_or(0),
        "PidMode": security.pid.clone().unwrap_or_default(),
        "Privileged": defined.privileged,
        "PublishAllPorts": network.publish_all,
        "ReadonlyRootfs": defined.read_only,
        "SecurityOpt": list(&security.security_opt),
        "UTSMode": security.uts.clone().unwrap_or_default(),
        "UsernsMode": security.userns.clone().unwrap_or_default(),
        "ShmSize": defined.shm_size,
        "Runtime": kept.runtime.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| "runc".to_owned()),
        "Isolation": kept.isolation.clone().unwrap_or_default(),
    });
    let limited = json!({
        "CpuShares": limits.cpu_shares.unwrap_or(0),
        "Memory": limits.memory.unwrap_or(0),
        "NanoCpus": resources.limits.cpus.map_or(0, |cpus| (cpus * 1e9) as u64),
        "CgroupParent": limits.parent.as_ref().map_or(String::new(), |p| p.display().to_string()),
        "BlkioWeight": limits.io.weight.unwrap_or(0),
        "BlkioWeightDevice": device_values(&limits.io.weights, "Weight"),
        "BlkioDeviceReadBps": device_values(&limits.io.read_bps, "Rate"),
        "BlkioDeviceWriteBps": device_values(&limits.io.write_bps, "Rate"),
        "BlkioDeviceReadIOps": device_values(&limits.io.read_iops, "Rate"),
        "BlkioDeviceWriteIOps": device_values(&limits.io.write_iops, "Rate"),
        "CpuPeriod": resources.limits.cpu_period.unwrap_or(0),
        "CpuQuota": resources.limits.cpu_quota.unwrap_or(0),
        "CpuRealtimePeriod": limits.cpu_rt_period.unwrap_or(0),
        "CpuRealtimeRuntime": limits.cpu_rt_runtime.unwrap_or(0),
        "CpusetCpus": limits.cpuset_cpus.clone().unwrap_or_default(),
        "CpusetMems": limits.cpuset_mems.clone().unwrap_or_default(),
        "Devices": devices,
        "DeviceCgroupRules": list(&limits.device_rules),
        "DeviceRequests": Some(&defined.device_requests).filter(|list| !list.is_empty()),
        "MemoryReservation": limits.memory_reservation.unwrap_or(0),
        "MemorySwap": swap,
        "MemorySwappiness": limits.swappiness,
        "OomKillDisable": limits.oom_kill_disable.then_some(true),
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
    if !files.mount.is_empty() {
        // They were read before without a mistake.
        shown["Mounts"] = files.mount.iter().filter_map(|text| mount(text).ok()).collect();
    }
    if !tmpfs.is_empty() {
        shown["Tmpfs"] = json!(tmpfs);
    }
    if !sysctls.is_empty() {
        shown["Sysctls"] = json!(sysctls);
    }
    if !defined.annotations.is_empty() {
        shown["Annotations"] = json!(defined.annotations);
    }
    if defined.init {
        shown["Init"] = json!(true);
    }
    shown
}

/// Returns devices with their weights or rates, in docker's shape.
pub fn device_values(list: &[DeviceValue], key: &str) -> Value {
    list.iter().map(|one| json!({ "Path": one.path, key: one.value })).collect()
}

/// Returns the ports to publish, in docker's shape.
pub fn bindings(publish: &[Wanted]) -> Value {
    let mut all: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for wanted in publish {
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
