//! What a build may take: limits of RUN, and of what is shown of it.

use super::super::error::{CliError, flag_size};
use super::super::human;
use super::args::BuildArgs;
use crate::builder::{Limits, LogLimits, Ulimit};

/// Returns the limits of every RUN: `--resource`, and docker's older flags for the same.
///
/// # Errors
/// A value is none.
pub fn limits(args: &BuildArgs) -> Result<Limits, CliError> {
    let swap = |text: &str| match text {
        "-1" => Ok(-1),
        text => size(text).map(u64::cast_signed),
    };
    let mut limits = Limits {
        memory: args.memory.as_deref().map(size).transpose()?,
        memory_swap: args.memory_swap.as_deref().map(swap).transpose()?,
        cpu_shares: args.cpu_shares,
        cpu_period: args.cpu_period,
        cpu_quota: args.cpu_quota,
        cpuset_cpus: args.cpuset_cpus.clone(),
        cpuset_mems: args.cpuset_mems.clone(),
    };
    for pair in args.resource.iter().flat_map(|text| text.split(',')).filter(|pair| !pair.is_empty()) {
        let bad = || CliError::new(format!("ERROR: invalid resource {pair:?}"));
        let (key, value) = pair.split_once('=').ok_or_else(bad)?;
        match key {
            "memory" => limits.memory = Some(size(value)?),
            "memory-swap" => limits.memory_swap = Some(swap(value)?),
            "cpu-shares" => limits.cpu_shares = Some(value.parse().map_err(|_| bad())?),
            "cpu-period" => limits.cpu_period = Some(value.parse().map_err(|_| bad())?),
            "cpu-quota" => limits.cpu_quota = Some(value.parse().map_err(|_| bad())?),
            "cpuset-cpus" => limits.cpuset_cpus = Some(value.to_owned()),
            "cpuset-mems" => limits.cpuset_mems = Some(value.to_owned()),
            _ => return Err(CliError::new(format!("ERROR: unknown resource key {key:?}"))),
        }
    }
    Ok(limits)
}

/// Returns what BuildKit's variables say of output; -1 is no limit, and what is no number changes nothing, as there.
pub fn log_limits() -> LogLimits {
    let limit =
        |name: &str, default: Option<u64>| match std::env::var(name).ok().map(|text| text.parse::<i64>()) {
            Some(Ok(-1)) => None,
            Some(Ok(number)) => u64::try_from(number).map_or(default, Some),
            _ => default,
        };
    let default = LogLimits::default();
    LogLimits {
        size: limit("BUILDKIT_STEP_LOG_MAX_SIZE", default.size),
        speed: limit("BUILDKIT_STEP_LOG_MAX_SPEED", default.speed),
    }
}

/// Reads `NAME=SOFT[:HARD]`.
///
/// # Errors
/// It is of another form, or the soft limit is above the hard one.
pub fn ulimit(text: &str) -> Result<Ulimit, CliError> {
    let invalid = |why: &str| CliError::flag("--ulimit", text, why);
    let bad = || invalid(&format!("invalid ulimit argument: {text}"));
    let (name, values) = text.split_once('=').ok_or_else(bad)?;
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    let number = |text: &str| match text {
        "-1" | "unlimited" => Ok(u64::MAX),
        text => text.parse().map_err(|_| bad()),
    };
    let (soft, hard) = (number(soft)?, number(hard)?);
    if soft > hard {
        let why = format!("ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}");
        return Err(invalid(&why));
    }
    Ok(Ulimit { name: name.to_owned(), soft, hard })
}

/// Reads a number of bytes.
///
/// # Errors
/// It is none.
pub fn size(text: &str) -> Result<u64, CliError> {
    human::parse_size(text).ok_or_else(|| CliError::new(format!("ERROR: invalid size: '{text}'")))
}

/// Reads `--shm-size`.
///
/// # Errors
/// It is no number of bytes.
pub fn shm_size(text: &str) -> Result<u64, CliError> {
    flag_size("--shm-size", text)
}

/// Refuses a `DOCKER_BUILDKIT` that is no boolean, as docker does; 0 asks for a builder that is not here.
///
/// # Errors
/// It is no boolean.
pub fn check_docker_buildkit() -> Result<(), CliError> {
    match std::env::var("DOCKER_BUILDKIT").as_deref() {
        Err(_) | Ok("" | "1" | "t" | "T" | "true" | "TRUE" | "True") => {}
        Ok("0" | "f" | "F" | "false" | "FALSE" | "False") => super::super::output::talk(
            "WARNING: DOCKER_BUILDKIT=0 asks for the legacy builder, which is not here: building all the same",
        ),
        Ok(other) => {
            return Err(CliError::new(format!(
                "DOCKER_BUILDKIT environment variable expects boolean value: strconv.ParseBool: parsing {other:?}: invalid syntax"
            )));
        }
    }
    Ok(())
}
