//! The document that `inspect` shows of a container.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::containers::size_below;
use crate::containers::{
    Attachment, Config, Container, MountPoint, MountSource, State, Status, log, volumes,
};
use crate::net::Endpoint;
use crate::run::Propagation;
use crate::store::Store;

/// What docker shows for a moment that has not been.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// Returns the document; `sizes` are found out where a store is given.
pub fn document(container: &Container, state: &State, sizes: Option<&Store>) -> Value {
    let config = &container.config;
    let file = |name: &str| container.dir().name().join(name).display().to_string();
    let managed = |name: &str| match container.dir().stat(name, crate::fs::Follow::No) {
        Ok(Some(_)) => file(name),
        _ => String::new(),
    };
    let (path, args) =
        config.args.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    let log_path = match config.log.driver.as_str() {
        "json-file" => file(&log::file_name(config)),
        _ => String::new(),
    };
    let mut shown = json!({
        "Id": config.id,
        "Created": config.created.to_string(),
        "Path": path,
        "Args": args,
        "State": state_part(state),
        "Image": config.image,
        "ResolvConfPath": managed("resolv.conf"),
        "HostnamePath": managed("hostname"),
        "HostsPath": managed("hosts"),
        "LogPath": log_path,
        "Name": format!("/{}", config.name),
        "RestartCount": state.restart_count,
        "Driver": "overlayfs",
        "Platform": config.platform.split('/').next().unwrap_or_default(),
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": execs(container, state),
        "HostConfig": config.shown_host.value(),
        "GraphDriver": graph(container, state),
    });
    if !config.network.links.is_empty() || shown["HostConfig"]["Links"].is_array() {
        shown["HostConfig"]["Links"] = links(container);
    }
    if let Some(store) = sizes {
        let own = container.dir().dir("upper").map_or(0, |upper| size_below(&upper, 0));
        let image = config.image.parse().ok().and_then(|id| store.image(id).ok().flatten());
        shown["SizeRw"] = json!(own);
        shown["SizeRootFs"] = json!(own + image.map_or(0, |image| image.size));
    }
    shown["Mounts"] = mounts(container);
    shown["Config"] = config.shown_config.value();
    shown["NetworkSettings"] = network(config, state);
    shown
}

/// Returns the links as docker shows them, `/OTHER:/SELF/ALIAS`.
fn links(container: &Container) -> Value {
    let links = &container.config.network.links;
    let shown: Vec<String> = links
        .iter()
        .filter_map(|(id, alias)| Some((container.all().find(id).ok()?, alias)))
        .map(|(other, alias)| format!("/{}:/{}/{alias}", other.config.name, container.config.name))
        .collect();
    if shown.is_empty() { Value::Null } else { shown.into() }
}

/// Returns the ids of the further processes that run in a container or are yet to, null without any.
fn execs(container: &Container, state: &State) -> Value {
    let ids = if state.status.is_running() { container.execs() } else { Vec::new() };
    if ids.is_empty() { Value::Null } else { json!(ids) }
}

fn moment(at: Option<Timestamp>) -> String {
    at.map_or(NEVER.to_owned(), |at| at.to_string())
}

fn state_part(state: &State) -> Value {
    let mut shown = json!({
        "Status": state.status.word(),
        "Running": state.status.has_monitor(),
        "Paused": state.status == Status::Paused,
        "Restarting": state.status == Status::Restarting,
        "OOMKilled": state.oom_killed,
        "Dead": state.status == Status::Dead,
        "Pid": if state.status.is_running() { state.pid } else { 0 },
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": moment(state.started),
        "FinishedAt": moment(state.finished),
    });
    if let Some(health) = &state.health {
        shown["Health"] =
            json!({ "Status": health.status, "FailingStreak": health.streak, "Log": health.log });
    }
    shown
}

fn graph(container: &Container, state: &State) -> Value {
    let store = container.all().store().name();
    // Overlayfs names the topmost first.
    let lowers = container.config.layers.iter().rev().map(|layer| {
        let name = layer.to_string();
        let hex = name.rsplit(':').next().unwrap_or_default();
        store.join("layers").join(hex).display().to_string()
    });
    let dir = |name: &str| container.dir().name().join(name).display().to_string();
    let merged = match state.status.is_running() {
        true => json!(format!("/proc/{}/root", state.pid)),
        // It is mounted nowhere.
        false => Value::Null,
    };
    json!({
        "Name": "overlayfs",
        "Data": {
            "LowerDir": lowers.collect::<Vec<_>>().join(":"),
            "MergedDir": merged,
            "UpperDir": dir("upper"),
            "WorkDir": dir("work"),
        },
    })
}

/// Returns the options with which a flag `-v` gave a mount; none if another one did.
fn mode_of(config: &Config, mount: &MountPoint) -> Option<String> {
    let host = config.shown_host.value();
    let binds = host.get("Binds")?.as_array()?;
    binds.iter().filter_map(Value::as_str).find_map(|bind| {
        let mut parts = bind.split(':');
        let (_, target) = (parts.next()?, parts.next()?);
        (mount.target == std::path::Path::new(target)).then(|| parts.next().unwrap_or_default().to_owned())
    })
}

/// Returns the part `Mounts`.
pub fn mounts(container: &Container) -> Value {
    container.config.mounts.iter().filter_map(|mount| mount_part(container, mount)).collect()
}

fn mount_part(container: &Container, mount: &MountPoint) -> Option<Value> {
    let config = &container.config;
    let mode = mode_of(config, mount);
    let target = mount.target.display().to_string();
    let propagation = match mount.propagation {
        Propagation::Private => "rprivate",
        Propagation::Slave => "rslave",
        Propagation::Shared => "rshared",
    };
    Some(match &mount.source {
        MountSource::Volume { name, .. } => {
            let name = name.as_deref().unwrap_or_default();
            // Docker's mode of a named volume without options.
            let mode = mode.map(|mode| if mode.is_empty() { "z".to_owned() } else { mode });
            json!({
                "Type": "volume", "Name": name, "Source": volumes::path(container.all(), name),
                "Destination": target, "Driver": "local", "Mode": mode.unwrap_or_default(),
                "RW": !mount.read_only, "Propagation": "",
            })
        }
        MountSource::Bind { path, .. } => json!({
            "Type": "bind", "Source": path, "Destination": target, "Mode": mode.unwrap_or_default(),
            "RW": !mount.read_only, "Propagation": propagation,
        }),
        MountSource::Image { name, .. } => json!({
            "Type": "image", "Name": name, "Source": "", "Destination": target, "Mode": "", "RW": false,
            "Propagation": "rprivate",
        }),
        // Those of `--tmpfs` stand in the host's part alone.
        MountSource::Tmpfs { .. } if config.shown_host.value()["Tmpfs"].get(&target).is_some() => {
            return None;
        }
        MountSource::Tmpfs { .. } => json!({
            "Type": "tmpfs", "Source": "", "Destination": target, "Mode": "", "RW": !mount.read_only,
            "Propagation": "",
        }),
    })
}

/// Returns the ports that lead to it, and those that are only exposed.
fn ports(config: &Config, state: &State) -> Value {
    let exposed = config.network.exposed.iter().map(|port| (port.clone(), Value::Null));
    let mut found: Map<String, Value> = exposed.collect();
    for port in state.endpoints.iter().flat_map(|endpoint| &endpoint.ports) {
        let place = found.entry(format!("{}/{}", port.container, port.protocol)).or_insert(Value::Null);
        // None where the container's own address is reached.
        let host = if port.host == 0 { String::new() } else { port.host.to_string() };
        let leads = json!({ "HostIp": port.address.to_string(), "HostPort": host });
        match place {
            Value::Array(all) => all.push(leads),
            other => *other = json!([leads]),
        }
    }
    found.into()
}

/// Returns the addresses that were asked for.
fn chosen(attachment: &Attachment) -> Value {
    let mut shown = Map::new();
    shown.extend(attachment.address.map(|address| ("IPv4Address".to_owned(), json!(address))));
    shown.extend(attachment.address6.map(|address| ("IPv6Address".to_owned(), json!(address))));
    if !attachment.link_local.is_empty() {
        shown.insert("LinkLocalIPs".to_owned(), json!(attachment.link_local));
    }
    if shown.is_empty() { Value::Null } else { shown.into() }
}

/// Returns a place in a network, with what was asked for.
fn endpoint(config: &Config, state: &State, name: &str) -> Value {
    let running = state.status.is_running();
    let here = state.endpoints.iter().find(|endpoint| running && endpoint.network == name);
    let text = |of: fn(&Endpoint) -> String| here.map(of).unwrap_or_default();
    let wanted = config.network.attachments.iter().find(|attachment| attachment.network == name);
    let aliases = wanted.map(|attachment| &attachment.aliases).filter(|aliases| !aliases.is_empty());
    let links = wanted.filter(|attachment| !attachment.links.is_empty()).map(|attachment| {
        attachment.links.iter().map(|(name, alias)| format!("{name}:{alias}")).collect::<Vec<_>>()
    });
    let options = wanted.map(|attachment| &attachment.options).filter(|options| !options.is_empty());
    json!({
        "IPAMConfig": wanted.map_or(Value::Null, chosen), "Links": links, "Aliases": aliases,
        "MacAddress": text(|e| e.mac.clone()), "DriverOpts": options,
        "GwPriority": wanted.map_or(0, |attachment| attachment.priority),
        "NetworkID": text(|e| e.network_id.clone()), "EndpointID": text(|e| e.id.clone()),
        "Gateway": text(|e| e.four.and_then(|s| s.gateway).map_or(String::new(), |g| g.to_string())),
        "IPAddress": text(|e| e.four.map_or(String::new(), |four| four.address.to_string())),
        "IPPrefixLen": here.and_then(|e| e.four).map_or(0, |four| four.prefix),
        "IPv6Gateway": text(|e| e.six.and_then(|s| s.gateway).map_or(String::new(), |g| g.to_string())),
        "GlobalIPv6Address": text(|e| e.six.map_or(String::new(), |six| six.address.to_string())),
        "GlobalIPv6PrefixLen": here.and_then(|e| e.six).map_or(0, |six| six.prefix),
        "DNSNames": here.filter(|e| !e.names.is_empty()).map(|e| dns_names(&config.name, &e.names)),
    })
}

/// Returns the names that lead to it, its own first.
fn dns_names(own: &str, others: &[String]) -> Vec<String> {
    let others = others.iter().filter(|name| *name != own).cloned();
    std::iter::once(own.to_owned()).chain(others).collect()
}

/// Returns the part `Networks`.
pub fn places(config: &Config, state: &State) -> Map<String, Value> {
    let mut networks = Map::new();
    for attachment in &config.network.attachments {
        networks.insert(attachment.network.clone(), endpoint(config, state, &attachment.network));
    }
    if networks.is_empty() && !config.network.mode.starts_with("container:") {
        networks.insert(config.network.mode.clone(), endpoint(config, state, &config.network.mode));
    }
    networks
}

fn network(config: &Config, state: &State) -> Value {
    let running = state.status.is_running();
    let networks = places(config, state);
    // The fields at the top are those of the default network.
    let first = networks.get("bridge").cloned().unwrap_or_else(|| endpoint(config, state, ""));
    let mut shown = json!({
        "Bridge": "",
        "SandboxID": if running { config.id.as_str() } else { "" },
        "SandboxKey": if running { format!("/proc/{}/ns/net", state.pid) } else { String::new() },
        "Ports": if running { ports(config, state) } else { json!({}) },
        "HairpinMode": false, "LinkLocalIPv6Address": "", "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": Value::Null, "SecondaryIPv6Addresses": Value::Null,
    });
    for key in [
        "EndpointID",
        "Gateway",
        "GlobalIPv6Address",
        "GlobalIPv6PrefixLen",
        "IPAddress",
        "IPPrefixLen",
        "IPv6Gateway",
        "MacAddress",
    ] {
        shown[key] = first[key].clone();
    }
    shown["Networks"] = networks.into();
    shown
}
