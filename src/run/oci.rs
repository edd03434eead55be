//! A process as the `config.json` of the OCI runtime specification has it, for other runtimes.

use serde_json::{Value, json};

use super::cgroup::{DEVICE_RULES, device_number};
use super::error::RunError;
use super::seccomp;
use super::spec::{BlockIo, DeviceValue, Limits, Network, ProcessSpec, SharedMemory};

/// The version of the specification that is followed.
const VERSION: &str = "1.0.2";
/// The period of CPU limits that have none, in microseconds.
const PERIOD: u64 = 100_000;

/// Returns the document without `root`, with the usual mounts, and with devices' rules but no devices.
///
/// # Errors
/// The process needs what only this program gives: an init, the host's devices; or its profile of system calls is none.
pub fn oci(spec: &ProcessSpec) -> Result<Value, RunError> {
    let refuse =
        |what: &str| Err(RunError::Refused(format!("a bundle can't be made of a container with {what}")));
    if spec.init {
        return refuse("--init");
    }
    if spec.privileged {
        return refuse("--privileged");
    }
    oci_of_any(spec)
}

/// Returns the same of a process that may need more than other runtimes have.
///
/// # Errors
/// Its profile of system calls is none.
pub fn oci_of_any(spec: &ProcessSpec) -> Result<Value, RunError> {
    let mut document = json!({
        "ociVersion": VERSION,
        "process": process(spec),
        "mounts": usual_mounts(spec),
        "linux": linux(spec)?,
    });
    if let Some(name) = &spec.hostname {
        document["hostname"] = json!(name);
    }
    Ok(document)
}

fn process(spec: &ProcessSpec) -> Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let args: Vec<String> = spec.args.iter().map(|arg| text(arg)).collect();
    let env: Vec<String> =
        spec.env.iter().map(|(key, value)| format!("{}={}", text(key), text(value))).collect();
    let bounding = spec.capabilities.names();
    // As here: others than root begin with nothing but the bounding set.
    let effective = if spec.user.uid == 0 { bounding.clone() } else { Vec::new() };
    let mut process = json!({
        "args": args,
        "env": env,
        "cwd": spec.cwd,
        "user": { "uid": spec.user.uid, "gid": spec.user.gid, "additionalGids": spec.user.groups },
        "capabilities": { "bounding": bounding, "effective": effective, "permitted": effective },
        "noNewPrivileges": spec.no_new_privileges,
    });
    if let Some(score) = spec.oom_score_adj {
        process["oomScoreAdj"] = json!(score);
    }
    process
}

fn usual_mounts(spec: &ProcessSpec) -> Vec<Value> {
    let mount = |target: &str, kind: &str, source: &str, options: &[&str]| json!({ "destination": target, "type": kind, "source": source, "options": options });
    let quiet = ["nosuid", "noexec", "nodev"];
    let shm = format!("size={}", spec.shm_size);
    let mut mounts = vec![
        mount("/proc", "proc", "proc", &quiet),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
    ];
    if spec.namespaces.ipc.is_own() {
        mounts.push(mount("/dev/mqueue", "mqueue", "mqueue", &quiet));
    }
    if spec.namespaces.ipc.is_own() && matches!(spec.shm, SharedMemory::Own) {
        mounts.push(mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", &shm]));
    }
    if spec.namespaces.cgroup {
        mounts.push(mount(
            "/sys/fs/cgroup",
            "cgroup",
            "cgroup",
            &["nosuid", "noexec", "nodev", "relatime", "ro"],
        ));
    }
    mounts
}

fn linux(spec: &ProcessSpec) -> Result<Value, RunError> {
    let own = [
        ("mount", true),
        ("pid", spec.namespaces.pid.is_own()),
        ("ipc", spec.namespaces.ipc.is_own()),
        ("cgroup", spec.namespaces.cgroup),
        ("uts", spec.hostname.is_some()),
        ("network", !matches!(spec.network, Network::Host)),
    ];
    let namespaces: Vec<Value> =
        own.iter().filter(|(_, own)| *own).map(|(kind, _)| json!({ "type": kind })).collect();
    // What the kernel may refuse is no reason not to start, and other runtimes know no such difference.
    let sysctls = spec.sysctls.iter().filter(|sysctl| !sysctl.optional);
    let sysctls: serde_json::Map<String, Value> =
        sysctls.map(|sysctl| (sysctl.key.replace('/', "."), json!(sysctl.value))).collect();
    let mut resources = resources(&spec.limits);
    if !spec.limits.io.is_empty() {
        resources["blockIO"] = block_io(&spec.limits.io)?;
    }
    let mut linux = json!({
        "namespaces": namespaces,
        "resources": resources,
        "sysctl": sysctls,
        "maskedPaths": spec.masked_paths,
        "readonlyPaths": spec.read_only_paths,
    });
    if let Some(filter) = seccomp::oci(&spec.seccomp, spec.capabilities)? {
        linux["seccomp"] = filter;
    }
    Ok(linux)
}

/// Returns what is limited of block devices.
fn block_io(io: &BlockIo) -> Result<Value, RunError> {
    let mut shown = json!({});
    if let Some(weight) = io.weight {
        shown["weight"] = json!(weight);
    }
    for (key, value, list) in [
        ("weightDevice", "weight", &io.weights),
        ("throttleReadBpsDevice", "rate", &io.read_bps),
        ("throttleWriteBpsDevice", "rate", &io.write_bps),
        ("throttleReadIOPSDevice", "rate", &io.read_iops),
        ("throttleWriteIOPSDevice", "rate", &io.write_iops),
    ] {
        if !list.is_empty() {
            let device = |one: &DeviceValue| {
                let (major, minor) = device_number(&one.path)?;
                Ok(json!({ "major": major, "minor": minor, value: one.value }))
            };
            shown[key] = list.iter().map(device).collect::<Result<_, RunError>>()?;
        }
    }
    Ok(shown)
}

fn resources(limits: &Limits) -> Value {
    let mut devices = vec![json!({ "allow": false, "access": "rwm" })];
    let rules = DEVICE_RULES.iter().copied().chain(limits.device_rules.iter().map(String::as_str));
    devices.extend(rules.filter_map(device_rule));
    let mut resources = json!({ "devices": devices });
    let mut set = |group: &str, key: &str, value: Option<Value>| {
        if let Some(value) = value {
            resources[group][key] = value;
        }
    };
    set("memory", "limit", limits.memory.map(|n| json!(n)));
    set("memory", "reservation", limits.memory_reservation.map(|n| json!(n)));
    set("memory", "swap", limits.memory_swap.map(|n| if n == u64::MAX { json!(-1) } else { json!(n) }));
    set("cpu", "shares", limits.cpu_shares.map(|n| json!(n)));
    set("cpu", "quota", limits.cpu_quota.map(|n| json!(n)));
    set("cpu", "period", limits.cpu_quota.map(|_| json!(limits.cpu_period.unwrap_or(PERIOD))));
    set("memory", "swappiness", limits.swappiness.map(|n| json!(n)));
    set("memory", "disableOOMKiller", limits.oom_kill_disable.then(|| json!(true)));
    set("cpu", "realtimePeriod", limits.cpu_rt_period.map(|n| json!(n)));
    set("cpu", "realtimeRuntime", limits.cpu_rt_runtime.map(|n| json!(n)));
    set("cpu", "cpus", limits.cpuset_cpus.as_ref().map(|text| json!(text)));
    set("cpu", "mems", limits.cpuset_mems.as_ref().map(|text| json!(text)));
    set("pids", "limit", limits.pids.map(|n| json!(n)));
    resources
}

/// Reads a rule as `c 1:3 rwm`; a star is left out.
fn device_rule(rule: &str) -> Option<Value> {
    let mut words = rule.split_whitespace();
    let (kind, numbers, access) = (words.next()?, words.next()?, words.next()?);
    let (major, minor) = numbers.split_once(':')?;
    let mut shown = json!({ "allow": true, "type": kind, "access": access });
    for (key, number) in [("major", major), ("minor", minor)] {
        if let Ok(number) = number.parse::<i64>() {
            shown[key] = json!(number);
        }
    }
    Some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_dockers() {
        let document =
            oci(&ProcessSpec { hostname: Some("box".into()), ..ProcessSpec::default() }).expect("a document");
        assert_eq!(document["hostname"], "box");
        assert_eq!(document["process"]["capabilities"]["effective"].as_array().map(Vec::len), Some(14));
        let kinds: Vec<&str> = document["linux"]["namespaces"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|namespace| namespace["type"].as_str())
            .collect();
        assert_eq!(kinds, ["mount", "pid", "ipc", "cgroup", "uts", "network"]);
        let seccomp = &document["linux"]["seccomp"];
        assert_eq!(seccomp["defaultAction"], "SCMP_ACT_ERRNO");
        assert!(seccomp["syscalls"].as_array().is_some_and(|calls| calls.len() > 5));
        assert!(oci(&ProcessSpec { init: true, ..ProcessSpec::default() }).is_err());
    }

    #[test]
    fn limits_stand_where_the_specification_has_them() {
        let limits = Limits {
            memory: Some(64 << 20),
            memory_swap: Some(u64::MAX),
            cpu_quota: Some(50_000),
            pids: Some(7),
            device_rules: vec!["c 42:* r".into()],
            ..Limits::default()
        };
        let shown = resources(&limits);
        assert_eq!(shown["memory"], json!({ "limit": 64 << 20, "swap": -1 }));
        assert_eq!(shown["cpu"], json!({ "quota": 50_000, "period": 100_000 }));
        assert_eq!(shown["pids"], json!({ "limit": 7 }));
        let last = shown["devices"].as_array().and_then(|devices| devices.last().cloned());
        assert_eq!(last, Some(json!({ "allow": true, "type": "c", "access": "r", "major": 42 })));
    }
}
