//! Limits, rights and life of a request, as flags have them.

use super::super::super::super::run::args::{LifeArgs, LimitArgs, ResourceArgs, SecurityArgs};
use super::super::super::super::run::kept::KeptArgs;
use super::super::fields::Fields;
use crate::engine::ApiError;
use crate::image::HealthConfig;
use crate::run::{DeviceValue, MASKED_PATHS, READ_ONLY_PATHS};

/// Reads the limits, for `update` as well.
///
/// # Errors
/// A value is none.
pub fn limits(host: &Fields<'_>) -> Result<ResourceArgs, ApiError> {
    let bytes = |key| Ok::<_, ApiError>(host.some_number(key)?.map(|n| n.to_string()));
    let count = |key| Ok::<_, ApiError>(host.some_number(key)?.and_then(|n| u64::try_from(n).ok()));
    let ulimits = host.objects("Ulimits")?.into_iter().map(|limit| {
        let soft = limit.number("Soft")?.unwrap_or(0);
        Ok(format!("{}={soft}:{}", limit.text("Name")?, limit.number("Hard")?.unwrap_or(0)))
    });
    let badness = host.some_number("OomScoreAdj")?;
    if badness.is_some_and(|n| !(-1000..=1000).contains(&n)) {
        let text =
            format!("Invalid value {}, range for oom score adj is [-1000, 1000]", badness.unwrap_or(0));
        return Err(ApiError::bad(text));
    }
    if host.number("Memory")?.is_some_and(|n| n < 0) || host.number("NanoCpus")?.is_some_and(|n| n < 0) {
        return Err(ApiError::bad("invalid limit: Memory and NanoCpus must not be negative"));
    }
    if host.number("IOMaximumBandwidth")?.unwrap_or(0) != 0 || host.number("IOMaximumIOps")?.unwrap_or(0) != 0
    {
        let text = "Invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps";
        return Err(ApiError::bad(text));
    }
    let swappiness = host.number("MemorySwappiness")?;
    if let Some(value) = swappiness.filter(|value| !(-1..=100).contains(value)) {
        let text = format!("Invalid value: {value}, valid memory swappiness range is 0-100");
        return Err(ApiError::bad(text));
    }
    let weight = host.some_number("BlkioWeight")?;
    let weight = weight.map(u16::try_from).transpose();
    let limits = LimitArgs {
        blkio_weight: weight.map_err(|_| ApiError::bad("Range of blkio weight is from 10 to 1000"))?,
        cpu_rt_period: host.some_number("CpuRealtimePeriod")?,
        cpu_rt_runtime: host.some_number("CpuRealtimeRuntime")?,
        memory: bytes("Memory")?,
        memory_swap: bytes("MemorySwap")?,
        memory_reservation: bytes("MemoryReservation")?,
        cpus: host.some_number("NanoCpus")?.map(|n| n as f64 / 1e9),
        cpu_shares: count("CpuShares")?,
        cpu_period: count("CpuPeriod")?,
        cpu_quota: count("CpuQuota")?,
        cpuset_cpus: host.some_text("CpusetCpus")?,
        cpuset_mems: host.some_text("CpusetMems")?,
        pids_limit: host.some_number("PidsLimit")?,
    };
    Ok(ResourceArgs {
        limits,
        blkio_weight_device: devices(host, "BlkioWeightDevice", "Weight")?,
        device_read_bps: devices(host, "BlkioDeviceReadBps", "Rate")?,
        device_write_bps: devices(host, "BlkioDeviceWriteBps", "Rate")?,
        device_read_iops: devices(host, "BlkioDeviceReadIOps", "Rate")?,
        device_write_iops: devices(host, "BlkioDeviceWriteIOps", "Rate")?,
        memory_swappiness: swappiness,
        oom_kill_disable: host.flag("OomKillDisable")?,
        kernel_memory: count("KernelMemory")?.or(count("KernelMemoryTCP")?),
        cgroup_parent: host.some_text("CgroupParent")?.map(Into::into),
        device_cgroup_rule: host.words("DeviceCgroupRules")?,
        oom_score_adj: badness.and_then(|n| i32::try_from(n).ok()),
        ulimit: ulimits.collect::<Result<_, ApiError>>()?,
    })
}

/// Reads a list of devices with their weights or rates.
fn devices<'a>(host: &Fields<'a>, list: &'a str, key: &str) -> Result<Vec<DeviceValue>, ApiError> {
    let device = |device: Fields<'_>| {
        let value = device.number(key)?.unwrap_or(0);
        let value = u64::try_from(value).map_err(|_| {
            ApiError::bad(format!("invalid JSON: {list}.{key} must be an integer that is not negative"))
        })?;
        Ok(DeviceValue { path: device.text("Path")?, value })
    };
    host.objects(list)?.into_iter().map(device).collect()
}

/// Warns of what only engines on Windows have.
///
/// # Errors
/// A value is none.
pub fn foreign(host: &Fields<'_>) -> Result<Vec<String>, ApiError> {
    let mut warnings = Vec::new();
    for (key, what, short) in [("CpuCount", "CPU count", "Count"), ("CpuPercent", "CPU percent", "Percent")] {
        if host.some_number(key)?.is_some() {
            warnings.push(format!("linux does not support {what}. {short} discarded."));
        }
    }
    Ok(warnings)
}

/// Reads rights and namespaces.
///
/// # Errors
/// A value is none.
pub fn security(host: &Fields<'_>) -> Result<SecurityArgs, ApiError> {
    let mut options = host.words("SecurityOpt")?;
    for option in &options {
        let value = option.split_once('=').or_else(|| option.split_once(':'));
        if let Some(("seccomp", profile)) = value
            && !["unconfined", "builtin"].contains(&profile)
            && !profile.trim_start().starts_with('{')
        {
            return Err(ApiError::bad(format!("Decoding seccomp profile failed: {profile:?} is no JSON")));
        }
    }
    match (host.some_words("MaskedPaths")?, host.some_words("ReadonlyPaths")?) {
        (Some(masked), Some(fixed)) if masked.is_empty() && fixed.is_empty() => {
            options.push("systempaths=unconfined".to_owned());
        }
        (masked, fixed) => {
            usual("MaskedPaths", masked, MASKED_PATHS)?;
            usual("ReadonlyPaths", fixed, READ_ONLY_PATHS)?;
        }
    }
    let sysctls = host.texts("Sysctls")?.into_iter().map(|(key, value)| format!("{key}={value}"));
    let mode = |key| host.some_text(key);
    Ok(SecurityArgs {
        cap_add: host.words("CapAdd")?,
        cap_drop: host.words("CapDrop")?,
        privileged: host.flag("Privileged")?,
        security_opt: options,
        sysctl: sysctls.collect(),
        pid: mode("PidMode")?,
        ipc: mode("IpcMode")?,
        uts: mode("UTSMode")?,
        cgroupns: mode("CgroupnsMode")?,
        userns: mode("UsernsMode")?,
    })
}

/// Reads annotations, and which engine parts are wanted.
///
/// # Errors
/// A value is none.
pub fn kept(host: &Fields<'_>) -> Result<KeptArgs, ApiError> {
    let pairs = |key| {
        let texts = host.texts(key)?.into_iter();
        Ok::<_, ApiError>(texts.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>())
    };
    Ok(KeptArgs {
        annotation: pairs("Annotations")?,
        runtime: host.some_text("Runtime")?,
        isolation: host.some_text("Isolation")?,
        volume_driver: host.some_text("VolumeDriver")?,
        storage_opt: pairs("StorageOpt")?,
        use_api_socket: None,
        disable_content_trust: None,
    })
}

/// Refuses other lists of paths than the usual one.
fn usual(key: &str, given: Option<Vec<String>>, known: &[&str]) -> Result<(), ApiError> {
    match given {
        Some(list) if list != known => {
            Err(ApiError::bad(format!("a HostConfig.{key} of one's own is not available in this version")))
        }
        _ => Ok(()),
    }
}

/// Reads what becomes of it.
///
/// # Errors
/// A value is none.
pub fn life(config: &Fields<'_>, host: &Fields<'_>) -> Result<LifeArgs, ApiError> {
    let log = host.object("LogConfig")?;
    let options = log.texts("Config")?.into_iter().map(|(key, value)| format!("{key}={value}"));
    Ok(LifeArgs {
        rm: host.flag("AutoRemove")?,
        restart: restart(&host.object("RestartPolicy")?)?,
        stop_signal: config.some_text("StopSignal")?,
        stop_timeout: config.number("StopTimeout")?,
        log_driver: log.some_text("Type")?,
        log_opt: options.collect(),
        ..LifeArgs::default()
    })
}

/// Reads a restart policy as the flag has it, for `update` as well.
///
/// # Errors
/// A count stands where none may.
pub fn restart(policy: &Fields<'_>) -> Result<Option<String>, ApiError> {
    let (name, count) = (policy.some_text("Name")?, policy.number("MaximumRetryCount")?.unwrap_or(0));
    let wrong = |why: &str| Err(ApiError::bad(format!("invalid restart policy: {why}")));
    match (name.as_deref(), count) {
        (_, ..0) => wrong("maximum retry count cannot be negative"),
        (_, 0) => Ok(name),
        (Some("on-failure"), count) => Ok(Some(format!("on-failure:{count}"))),
        _ => wrong("maximum retry count can only be used with 'on-failure'"),
    }
}

/// Reads a health check.
///
/// # Errors
/// A value is none.
pub fn health(config: &Fields<'_>) -> Result<Option<HealthConfig>, ApiError> {
    if config.get("Healthcheck").is_none() {
        return Ok(None);
    }
    let check = config.object("Healthcheck")?;
    let time = |key| Ok::<_, ApiError>(check.number(key)?.unwrap_or(0));
    Ok(Some(HealthConfig {
        test: check.words("Test")?,
        interval: time("Interval")?,
        timeout: time("Timeout")?,
        start_period: time("StartPeriod")?,
        start_interval: time("StartInterval")?,
        retries: time("Retries")?,
    }))
}
