//! Limits as `HostConfig` has them; what was not given is left out.

use serde_json::{Value, json};

use crate::cli::error::{CliError, flag_size};
use crate::cli::run::ResourceArgs;
use crate::cli::run::limits::rlimit;
use crate::cli::run::shown::device_values;

/// Returns the part of `HostConfig`, also what `update` sends. Whether the engine's machine has as much, it knows itself.
///
/// # Errors
/// A value is none.
pub fn resources(args: &ResourceArgs) -> Result<Value, CliError> {
    let mut found = json!({});
    let bytes = |flag: &str, text: &Option<String>| match text.as_deref().filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some("-1") => Ok(Some(-1)),
        Some(text) => flag_size(flag, text).map(|n| i64::try_from(n).ok()),
    };
    let number = |given: Option<u64>| given.and_then(|n| i64::try_from(n).ok());
    for (key, value) in [
        ("Memory", bytes("-m, --memory", &args.limits.memory)?),
        ("MemoryReservation", bytes("--memory-reservation", &args.limits.memory_reservation)?),
        ("MemorySwap", bytes("--memory-swap", &args.limits.memory_swap)?),
        ("NanoCpus", args.limits.cpus.map(|cpus| (cpus * 1e9).round() as i64)),
        ("CpuShares", number(args.limits.cpu_shares)),
        ("CpuPeriod", number(args.limits.cpu_period)),
        ("CpuQuota", number(args.limits.cpu_quota)),
        ("PidsLimit", args.limits.pids_limit),
    ] {
        if let Some(value) = value {
            found[key] = json!(value);
        }
    }
    for (key, value) in [
        ("KernelMemory", number(args.kernel_memory)),
        ("BlkioWeight", args.limits.blkio_weight.map(i64::from)),
        ("CpuRealtimePeriod", args.limits.cpu_rt_period),
        ("CpuRealtimeRuntime", args.limits.cpu_rt_runtime),
    ] {
        if let Some(value) = value {
            found[key] = json!(value);
        }
    }
    for (key, list, value) in [
        ("BlkioWeightDevice", &args.blkio_weight_device, "Weight"),
        ("BlkioDeviceReadBps", &args.device_read_bps, "Rate"),
        ("BlkioDeviceWriteBps", &args.device_write_bps, "Rate"),
        ("BlkioDeviceReadIOps", &args.device_read_iops, "Rate"),
        ("BlkioDeviceWriteIOps", &args.device_write_iops, "Rate"),
    ] {
        if !list.is_empty() {
            found[key] = device_values(list, value);
        }
    }
    if let Some(value) = args.memory_swappiness {
        if !(-1..=100).contains(&value) {
            let text = format!("invalid value: {value}. Valid memory swappiness range is 0-100");
            return Err(CliError::new(text));
        }
        found["MemorySwappiness"] = json!(value);
    }
    if args.oom_kill_disable {
        found["OomKillDisable"] = json!(true);
    }
    let parent = args.cgroup_parent.as_ref().map(|path| path.display().to_string());
    for (key, value) in [
        ("CpusetCpus", &args.limits.cpuset_cpus),
        ("CpusetMems", &args.limits.cpuset_mems),
        ("CgroupParent", &parent),
    ] {
        if let Some(value) = value {
            found[key] = json!(value);
        }
    }
    if !args.device_cgroup_rule.is_empty() {
        found["DeviceCgroupRules"] = json!(args.device_cgroup_rule);
    }
    let mut rlimits = Vec::new();
    for text in &args.ulimit {
        let limit = rlimit(text)?;
        let number = |n: Option<u64>| n.map_or(json!(-1), |n| json!(n));
        rlimits.push(json!({ "Name": limit.name, "Soft": number(limit.soft), "Hard": number(limit.hard) }));
    }
    if !rlimits.is_empty() {
        found["Ulimits"] = json!(rlimits);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::run::LimitArgs;

    #[test]
    fn limits_are_numbers() {
        let text = |text: &str| Some(text.to_owned());
        let args = ResourceArgs {
            limits: LimitArgs {
                memory: text("64m"),
                memory_swap: text("-1"),
                cpus: Some(1.5),
                pids_limit: Some(-1),
                cpuset_cpus: text("0-1"),
                ..LimitArgs::default()
            },
            ulimit: vec!["nofile=10:20".to_owned(), "core=-1".to_owned()],
            ..ResourceArgs::default()
        };
        let expected = json!({
            "Memory": 67_108_864, "MemorySwap": -1, "NanoCpus": 1_500_000_000, "PidsLimit": -1,
            "CpusetCpus": "0-1",
            "Ulimits": [{ "Name": "nofile", "Soft": 10, "Hard": 20 }, { "Name": "core", "Soft": -1, "Hard": -1 }],
        });
        assert_eq!(resources(&args).expect("limits"), expected);
        assert_eq!(resources(&ResourceArgs::default()).expect("none"), json!({}));
        let limits = LimitArgs { memory: text("many"), ..LimitArgs::default() };
        assert!(resources(&ResourceArgs { limits, ..ResourceArgs::default() }).is_err());
    }
}
