//! What the engine checks of CPUs and memory nodes before anything is made: whether they are there, and sane times.

use super::super::error::CliError;
use super::args::LimitArgs;

/// Checks flags about CPUs against the machine.
///
/// # Errors
/// In docker's words.
pub fn check(args: &LimitArgs) -> Result<(), CliError> {
    let wrong = |text: String| Err(CliError::new(format!("Error response from daemon: {text}")));
    if args.cpu_period.is_some_and(|n| n != 0 && !(1000..=1_000_000).contains(&n)) {
        return wrong(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)".to_owned(),
        );
    }
    if args.cpu_quota.is_some_and(|n| n != 0 && n < 1000) {
        return wrong("CPU cfs quota can not be less than 1ms (i.e. 1000)".to_owned());
    }
    for (given, kind, what, online) in [
        (&args.cpuset_cpus, "cpus", "CPUs", "/sys/devices/system/cpu/online"),
        (&args.cpuset_mems, "mems", "memory nodes", "/sys/devices/system/node/online"),
    ] {
        let Some(text) = given.as_deref().filter(|text| !text.is_empty()) else { continue };
        let Some(asked) = numbers(text) else {
            return wrong(format!("Invalid value {text} for cpuset {kind}: invalid format: {text}"));
        };
        // A machine that does not say what it has is asked by the kernel itself.
        let there = crate::fs::read_named(online.as_ref(), 4096).ok();
        let there = there.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        let Some((there, have)) = there.and_then(|text| numbers(&text).map(|have| (text, have))) else {
            continue;
        };
        if asked
            .iter()
            .any(|(first, last)| (*first..=*last).any(|n| !have.iter().any(|(a, b)| (*a..=*b).contains(&n))))
        {
            return wrong(format!(
                "Requested {what} are not available - requested {text}, available: {there}"
            ));
        }
    }
    Ok(())
}

/// Reads a list as cpuset(7) has it: `0-3,5`.
fn numbers(text: &str) -> Option<Vec<(u16, u16)>> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        (first <= last).then_some((first, last))
    };
    text.split(',').map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_of_ranges() {
        for (text, expected) in [
            ("0", Some(vec![(0, 0)])),
            ("0-3,5", Some(vec![(0, 3), (5, 5)])),
            ("x", None),
            ("3-1", None),
            ("1,", None),
            ("70000", None),
        ] {
            assert_eq!(numbers(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_there_is_said() {
        let of = |args: LimitArgs| {
            check(&args).map_err(|error| error.text.replace("Error response from daemon: ", ""))
        };
        let cpus = |text: &str| LimitArgs { cpuset_cpus: Some(text.to_owned()), ..LimitArgs::default() };
        assert_eq!(of(cpus("0")), Ok(()));
        assert!(
            of(cpus("60000"))
                .unwrap_err()
                .starts_with("Requested CPUs are not available - requested 60000, available: 0")
        );
        assert_eq!(of(cpus("x")).unwrap_err(), "Invalid value x for cpuset cpus: invalid format: x");
        let period = |n| LimitArgs { cpu_period: Some(n), ..LimitArgs::default() };
        assert_eq!(of(period(100_000)), Ok(()));
        assert!(of(period(1)).unwrap_err().starts_with("CPU cfs period"));
        let quota = LimitArgs { cpu_quota: Some(10), ..LimitArgs::default() };
        assert!(of(quota).unwrap_err().starts_with("CPU cfs quota"));
    }
}
