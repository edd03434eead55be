//! Resource flags to limits.

use super::super::error::{CliError, flag_size};
use super::args::{LimitArgs, ResourceArgs};
use super::{available, lacking};
use crate::containers::RlimitConfig;
use crate::run::{Limits, resource};

/// Least memory limit, as docker's.
const MIN_MEMORY: u64 = 6 << 20;

/// Returns the limits that need a cgroup, and warnings for what this kernel can't limit; `cpus` is how many CPUs there
/// are.
///
/// # Errors
/// A value is none, or two flags contradict each other.
pub fn limits(args: &ResourceArgs, cpus: usize) -> Result<(Limits, Vec<String>), CliError> {
    let given = &args.limits;
    let (memory, memory_swap) = memory(given)?;
    available::check(given)?;
    let mut limits = Limits {
        memory,
        memory_swap,
        memory_reservation: reservation(given, memory)?,
        cpu_quota: quota(given, cpus)?,
        cpu_period: given.cpu_period.filter(|n| *n > 0),
        cpu_shares: given.cpu_shares.filter(|n| *n > 0),
        cpuset_cpus: given.cpuset_cpus.clone(),
        cpuset_mems: given.cpuset_mems.clone(),
        pids: given.pids_limit.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0),
        devices: !args.device_cgroup_rule.is_empty(),
        device_rules: device_rules(&args.device_cgroup_rule)?,
        parent: args.cgroup_parent.clone(),
        ..Limits::default()
    };
    let warnings = lacking::add(args, &mut limits)?;
    Ok((limits, warnings))
}

/// Checks rules for devices: `c 42:* rmw`.
fn device_rules(texts: &[String]) -> Result<Vec<String>, CliError> {
    let number = |text: &str| text == "*" || (!text.is_empty() && text.bytes().all(|c| c.is_ascii_digit()));
    let is_rule = |text: &str| {
        let parts: Vec<&str> = text.split(' ').collect();
        let [kind, numbers, access] = parts[..] else { return false };
        let numbers = numbers.split_once(':').is_some_and(|(a, b)| number(a) && number(b));
        let access = (1..=3).contains(&access.len()) && access.bytes().all(|c| b"rwm".contains(&c));
        ["a", "b", "c"].contains(&kind) && numbers && access
    };
    match texts.iter().find(|text| !is_rule(text)) {
        Some(text) => Err(CliError::flag(
            "--device-cgroup-rule",
            text,
            format!("invalid device cgroup format '{text}'"),
        )),
        None => Ok(texts.to_vec()),
    }
}

fn memory(args: &LimitArgs) -> Result<(Option<u64>, Option<u64>), CliError> {
    let memory = args
        .memory
        .as_deref()
        .map(|text| flag_size("-m, --memory", text))
        .transpose()?
        .filter(|bytes| *bytes > 0);
    let wrong = |text: &str| Err(CliError::new(format!("Error response from daemon: {text}")));
    if memory.is_some_and(|bytes| bytes < MIN_MEMORY) {
        return wrong("Minimum memory limit allowed is 6MB");
    }
    let swap = match (args.memory_swap.as_deref(), memory) {
        (Some("-1"), _) => Some(u64::MAX),
        (None | Some("0" | ""), memory) => memory.map(|bytes| bytes.saturating_mul(2)),
        (Some(_), None) => {
            return wrong("You should always set the Memory limit when using Memoryswap limit, see usage");
        }
        (Some(text), Some(memory)) => match flag_size("--memory-swap", text)? {
            total if total < memory => {
                return wrong("Minimum memoryswap limit should be larger than memory limit, see usage");
            }
            total => Some(total),
        },
    };
    Ok((memory, swap))
}

fn reservation(args: &LimitArgs, memory: Option<u64>) -> Result<Option<u64>, CliError> {
    let reservation = args
        .memory_reservation
        .as_deref()
        .map(|text| flag_size("--memory-reservation", text))
        .transpose()?
        .filter(|bytes| *bytes > 0);
    if reservation.is_some_and(|bytes| bytes < MIN_MEMORY) {
        return Err(CliError::new("Error response from daemon: Minimum memory reservation allowed is 6MB"));
    }
    if reservation.unwrap_or(0) > memory.unwrap_or(u64::MAX) {
        return Err(CliError::new(
            "Error response from daemon: Minimum memory limit can not be less than memory reservation limit, see usage",
        ));
    }
    Ok(reservation)
}

fn quota(args: &LimitArgs, have: usize) -> Result<Option<u64>, CliError> {
    let Some(cpus) = args.cpus.filter(|cpus| *cpus != 0.0) else {
        return Ok(args.cpu_quota.filter(|n| *n > 0));
    };
    if args.cpu_period.is_some() || args.cpu_quota.is_some() {
        let other = if args.cpu_period.is_some() { "Period" } else { "Quota" };
        return Err(CliError::new(format!(
            "Error response from daemon: Conflicting options: Nano CPUs and CPU {other} cannot both be set"
        )));
    }
    if !(0.01..=have as f64).contains(&cpus) {
        return Err(CliError::new(format!(
            "Error response from daemon: range of CPUs is from 0.01 to {have}.00, as there are only {have} CPUs available"
        )));
    }
    Ok(Some((cpus * 100_000.0).round() as u64))
}

/// Reads `TYPE=SOFT[:HARD]`.
///
/// # Errors
/// It is not of that form, there is no such type, or the soft limit is above the hard one.
pub fn rlimit(text: &str) -> Result<RlimitConfig, CliError> {
    let bad = |why: &str| CliError::flag("--ulimit", text, why);
    let (name, values) =
        text.split_once('=').ok_or_else(|| bad(&format!("invalid ulimit argument: {text}")))?;
    resource(name).ok_or_else(|| bad(&format!("invalid ulimit type: {name}")))?;
    let number = |text: &str| match text {
        "-1" | "unlimited" => Ok(None),
        text => text.parse().map(Some).map_err(|_| bad(&format!("'{text}' is no limit"))),
    };
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    let (soft, hard) = (number(soft)?, number(hard)?);
    if soft.unwrap_or(u64::MAX) > hard.unwrap_or(u64::MAX) {
        let show = |limit: Option<u64>| limit.map_or("-1".to_owned(), |n| n.to_string());
        let why = "ulimit soft limit must be less than or equal to hard limit";
        return Err(bad(&format!("{why}: {} > {}", show(soft), show(hard))));
    }
    Ok(RlimitConfig { name: name.to_owned(), soft, hard })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Option<String> {
        (!text.is_empty()).then(|| text.to_owned())
    }

    #[test]
    fn memory_and_swap_together() {
        const M: u64 = 1 << 20;
        for (memory, swap, expected) in [
            ("", "", Ok((None, None))),
            ("0", "", Ok((None, None))),
            ("64m", "", Ok((Some(64 * M), Some(128 * M)))),
            ("64m", "0", Ok((Some(64 * M), Some(128 * M)))),
            ("64m", "-1", Ok((Some(64 * M), Some(u64::MAX)))),
            ("64m", "64m", Ok((Some(64 * M), Some(64 * M)))),
            ("1.5g", "2g", Ok((Some(1536 * M), Some(2048 * M)))),
            ("64m", "32m", Err("Minimum memoryswap limit should be larger")),
            ("", "64m", Err("You should always set the Memory limit")),
            ("5m", "", Err("Minimum memory limit allowed is 6MB")),
            ("many", "", Err("invalid size: 'many'")),
        ] {
            let args = LimitArgs { memory: text(memory), memory_swap: text(swap), ..LimitArgs::default() };
            match (super::memory(&args), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{memory} {swap}"),
                (Err(error), Err(part)) => assert!(error.text.contains(part), "{}", error.text),
                (found, expected) => panic!("{memory} {swap}: {found:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn cpus_are_a_quota() {
        let of = |cpus: f64, quota: Option<u64>| {
            let args = LimitArgs { cpus: Some(cpus), cpu_quota: quota, ..LimitArgs::default() };
            super::quota(&args, 2).map_err(|e| e.text)
        };
        assert_eq!(of(0.5, None), Ok(Some(50_000)));
        assert_eq!(of(0.29, None), Ok(Some(29_000)));
        assert_eq!(of(0.0, Some(7)), Ok(Some(7)));
        assert!(
            of(3.0, None)
                .is_err_and(|e| e.ends_with("from 0.01 to 2.00, as there are only 2 CPUs available"))
        );
        assert!(of(f64::NAN, None).is_err());
        assert!(of(1.0, Some(1)).is_err_and(|e| e.contains("Nano CPUs and CPU Quota")));
    }

    #[test]
    fn ulimits() {
        let of = |text: &str| rlimit(text).map(|l| (l.soft, l.hard)).map_err(|e| e.text);
        assert_eq!(of("nofile=1024"), Ok((Some(1024), Some(1024))));
        assert_eq!(of("nofile=1:2"), Ok((Some(1), Some(2))));
        assert_eq!(of("core=-1"), Ok((None, None)));
        assert_eq!(of("core=0:-1"), Ok((Some(0), None)));
        for (bad, part) in [
            ("nofile", "invalid ulimit argument"),
            ("files=1", "invalid ulimit type: files"),
            ("nofile=x", "'x' is no limit"),
            ("nofile=2:1", "must be less than or equal to hard limit: 2 > 1"),
            ("nofile=-1:1", "hard limit: -1 > 1"),
        ] {
            assert!(of(bad).is_err_and(|e| e.contains(part)), "{bad}");
        }
    }
}
