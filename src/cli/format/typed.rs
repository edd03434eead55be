//! What docker's types know of its documents and their JSON does not: which objects are maps, what `null` stands for, and
//! what is left out when it is empty.

use serde_json::Value;

use super::eval::Val;

/// Objects under these names are maps, whose missing keys are no error.
const MAPS: &[&str] = &[
    "Annotations",
    "Attributes",
    "Config.Labels",
    "Data",
    "DriverOpts",
    "ExposedPorts",
    "Labels",
    "Networks",
    "Options",
    "PortBindings",
    "Ports",
    "StorageOpt",
    "Sysctls",
    "Tmpfs",
    "Volumes",
];

/// Lists that may be nil.
const LISTS: &[&str] = &[
    "Aliases",
    "Binds",
    "CapAdd",
    "CapDrop",
    "Cmd",
    "DNSNames",
    "DeviceCgroupRules",
    "DeviceRequests",
    "Devices",
    "Dns",
    "DnsOptions",
    "DnsSearch",
    "Entrypoint",
    "Env",
    "ExecIDs",
    "ExtraHosts",
    "GroupAdd",
    "Links",
    "MaskedPaths",
    "OnBuild",
    "ReadonlyPaths",
    "RepoDigests",
    "RepoTags",
    "SecondaryIPAddresses",
    "SecondaryIPv6Addresses",
    "SecurityOpt",
    "Shell",
    "Ulimits",
    "VolumesFrom",
];

/// Structs small enough that people print them whole.
const STRUCTS: &[&str] = &["LogConfig", "RestartPolicy"];

/// Whether what is under a name is a map.
pub(super) fn is_map(name: &str) -> bool {
    MAPS.contains(&name)
}

/// Returns what was found under a name.
pub(super) fn of(name: &str, found: &Value) -> Val {
    match found {
        Value::Null if is_map(name) => Val::NoMap,
        Value::Null if LISTS.contains(&name) => Val::NoList,
        Value::Object(_) if STRUCTS.contains(&name) => Val::Struct(found.clone()),
        other => Val::Json(other.clone()),
    }
}

/// Returns what docker's types have though their JSON leaves it out when it is empty.
pub(super) fn left_out(parent: &str, name: &str) -> Option<Val> {
    match (parent, name) {
        ("State", "Health") | ("Config", "Healthcheck" | "StopTimeout") | ("HostConfig", "Init") => {
            Some(Val::Json(Value::Null))
        }
        ("Config", "Shell") | ("HostConfig", "Mounts") => Some(Val::NoList),
        ("Config", "ExposedPorts" | "Volumes" | "Labels")
        | ("HostConfig", "Annotations" | "StorageOpt" | "Sysctls" | "Tmpfs") => Some(Val::NoMap),
        ("Config", "StopSignal" | "MacAddress") => Some(Val::Json(Value::from(""))),
        ("Config", "ArgsEscaped" | "NetworkDisabled") => Some(Val::Json(Value::from(false))),
        _ => None,
    }
}
