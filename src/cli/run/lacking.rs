//! Limits that not every kernel has: what is asked for in vain is dropped with docker's words.

use super::super::error::CliError;
use super::args::ResourceArgs;
use crate::run::{BlockIo, DeviceValue, LimitKinds, Limits};

/// Adds those limits that this kernel has to the others; returns warnings for what it has not.
///
/// # Errors
/// A value is none, or two contradict each other.
pub fn add(args: &ResourceArgs, limits: &mut Limits) -> Result<Vec<String>, CliError> {
    let kinds = match Asked::of(args) == Asked::default() {
        true => LimitKinds::default(),
        false => LimitKinds::find().map_err(|e| CliError::engine(&e))?,
    };
    add_known(args, &kinds, limits)
}

/// What is asked for of what not every kernel has.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    swappiness: Option<i64>,
    oom_kill_disable: bool,
    real_time: (Option<i64>, Option<i64>),
    io: BlockIo,
}

impl Asked {
    fn of(args: &ResourceArgs) -> Self {
        let list = |list: &[DeviceValue]| list.to_vec();
        Self {
            swappiness: args.memory_swappiness.filter(|n| *n != -1),
            oom_kill_disable: args.oom_kill_disable,
            real_time: (
                args.limits.cpu_rt_period.filter(|n| *n != 0),
                args.limits.cpu_rt_runtime.filter(|n| *n != 0),
            ),
            io: BlockIo {
                weight: args.limits.blkio_weight.filter(|n| *n != 0),
                weights: list(&args.blkio_weight_device),
                read_bps: list(&args.device_read_bps),
                write_bps: list(&args.device_write_bps),
                read_iops: list(&args.device_read_iops),
                write_iops: list(&args.device_write_iops),
            },
        }
    }
}

fn add_known(args: &ResourceArgs, kinds: &LimitKinds, limits: &mut Limits) -> Result<Vec<String>, CliError> {
    let mut asked = Asked::of(args);
    let mut warnings = Vec::new();
    let mut lacks = |what: &str| warnings.push(format!("Your kernel does not support {what}"));
    let wrong = |text: &str| Err(CliError::new(format!("Error response from daemon: {text}")));
    if let Some(value) = asked.swappiness.filter(|value| !(0..=100).contains(value)) {
        return Err(CliError::new(format!("invalid value: {value}. Valid memory swappiness range is 0-100")));
    }
    if asked.swappiness.is_some() && !kinds.swappiness {
        lacks("memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.");
        asked.swappiness = None;
    }
    if args.kernel_memory.is_some_and(|bytes| bytes > 0) {
        lacks("kernel memory limit capabilities or the cgroup is not mounted. Limitation discarded.");
    }
    if asked.oom_kill_disable && !kinds.oom_kill_disable {
        lacks("OomKillDisable. OomKillDisable discarded.");
        asked.oom_kill_disable = false;
    }
    if asked.real_time != (None, None) && !kinds.real_time {
        lacks("CPU realtime scheduler. CPU real-time period/runtime discarded.");
        asked.real_time = (None, None);
    }
    if let (Some(period), Some(runtime)) = asked.real_time
        && runtime > period
    {
        return wrong("cpu real-time runtime cannot be higher than cpu real-time period");
    }
    keep_io(&mut asked.io, kinds, &mut lacks);
    if asked.io.weight.is_some_and(|weight| !(10..=1000).contains(&weight)) {
        return wrong("Range of blkio weight is from 10 to 1000");
    }
    if asked.oom_kill_disable && limits.memory.is_none() {
        warnings.push(
            "OOM killer is disabled for the container, but no memory limit is set, this can result in the system \
             running out of resources."
                .to_owned(),
        );
    }
    limits.swappiness = asked.swappiness.and_then(|n| u64::try_from(n).ok());
    limits.oom_kill_disable = asked.oom_kill_disable;
    limits.cpu_rt_period = asked.real_time.0.and_then(|n| u64::try_from(n).ok());
    limits.cpu_rt_runtime = asked.real_time.1;
    limits.io = asked.io;
    Ok(warnings)
}

fn keep_io(io: &mut BlockIo, kinds: &LimitKinds, lacks: &mut impl FnMut(&str)) {
    const NONE: &str = "or the cgroup is not mounted.";
    if io.weight.is_some() && !kinds.weight {
        lacks(&format!("Block I/O weight {NONE} Weight discarded."));
        io.weight = None;
    }
    if !io.weights.is_empty() && !kinds.device_weight {
        lacks(&format!("Block I/O weight_device {NONE} Weight-device discarded."));
        io.weights.clear();
    }
    for (list, what, short) in [
        (&mut io.read_bps, "BPS Block I/O read limit", "BPS read"),
        (&mut io.write_bps, "BPS Block I/O write limit", "BPS write"),
        (&mut io.read_iops, "IOPS Block read limit", "IOPS read"),
        (&mut io.write_iops, "IOPS Block write limit", "IOPS write"),
    ] {
        if !list.is_empty() && !kinds.rates {
            lacks(&format!("{what} {NONE} Block I/O {short} limit discarded."));
            list.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::args::LimitArgs;
    use super::*;

    const ALL: LimitKinds = LimitKinds {
        weight: true,
        device_weight: true,
        rates: true,
        swappiness: true,
        oom_kill_disable: true,
        real_time: true,
    };

    fn args() -> ResourceArgs {
        let device = |value| vec![DeviceValue { path: "/dev/sda".to_owned(), value }];
        ResourceArgs {
            limits: LimitArgs {
                blkio_weight: Some(300),
                cpu_rt_period: Some(1000),
                cpu_rt_runtime: Some(500),
                ..LimitArgs::default()
            },
            blkio_weight_device: device(400),
            device_read_bps: device(1),
            device_write_bps: device(2),
            device_read_iops: device(3),
            device_write_iops: device(4),
            memory_swappiness: Some(0),
            oom_kill_disable: true,
            ..ResourceArgs::default()
        }
    }

    #[test]
    fn what_the_kernel_has_is_kept() {
        let mut limits = Limits { memory: Some(1 << 30), ..Limits::default() };
        assert_eq!(add_known(&args(), &ALL, &mut limits).expect("limits"), Vec::<String>::new());
        assert_eq!((limits.swappiness, limits.oom_kill_disable), (Some(0), true));
        assert_eq!((limits.cpu_rt_period, limits.cpu_rt_runtime), (Some(1000), Some(500)));
        assert_eq!((limits.io.weight, limits.io.write_iops[0].value), (Some(300), 4));
    }

    #[test]
    fn what_it_has_not_is_said_and_dropped() {
        let mut limits = Limits::default();
        let warnings = add_known(&args(), &LimitKinds::default(), &mut limits).expect("limits");
        assert!(limits.is_empty(), "{limits:?}");
        let begins = [
            "Your kernel does not support memory swappiness capabilities",
            "Your kernel does not support OomKillDisable. OomKillDisable discarded.",
            "Your kernel does not support CPU realtime scheduler.",
            "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.",
            "Your kernel does not support Block I/O weight_device or the cgroup is not mounted. Weight-device discarded.",
            "Your kernel does not support BPS Block I/O read limit or the cgroup is not mounted. Block I/O BPS read limit",
            "Your kernel does not support BPS Block I/O write limit or the cgroup is not mounted. Block I/O BPS write",
            "Your kernel does not support IOPS Block read limit or the cgroup is not mounted. Block I/O IOPS read limit",
            "Your kernel does not support IOPS Block write limit or the cgroup is not mounted. Block I/O IOPS write",
        ];
        assert_eq!(warnings.len(), begins.len(), "{warnings:#?}");
        for (warning, begin) in warnings.iter().zip(begins) {
            assert!(warning.starts_with(begin), "{warning}");
        }
    }

    #[test]
    fn bad_values_are_refused() {
        let of = |args: ResourceArgs| add_known(&args, &ALL, &mut Limits::default()).map_err(|e| e.text);
        let limited = |limits| ResourceArgs { limits, ..ResourceArgs::default() };
        let weight = |n| of(limited(LimitArgs { blkio_weight: Some(n), ..LimitArgs::default() }));
        assert_eq!(weight(0), Ok(Vec::new()));
        for bad in [9, 1001] {
            assert!(
                weight(bad).is_err_and(|text| text.ends_with("Range of blkio weight is from 10 to 1000"))
            );
        }
        let swappiness = |n| of(ResourceArgs { memory_swappiness: Some(n), ..ResourceArgs::default() });
        assert_eq!((swappiness(-1), swappiness(100)), (Ok(Vec::new()), Ok(Vec::new())));
        for bad in [-2, 101] {
            let text = format!("invalid value: {bad}. Valid memory swappiness range is 0-100");
            assert_eq!(swappiness(bad), Err(text));
        }
        let times = LimitArgs { cpu_rt_period: Some(10), cpu_rt_runtime: Some(11), ..LimitArgs::default() };
        assert!(of(limited(times)).is_err_and(|text| text.contains("runtime cannot be higher than")));
        let alone = ResourceArgs { oom_kill_disable: true, ..ResourceArgs::default() };
        assert!(
            of(alone)
                .is_ok_and(|said| said[0].starts_with("OOM killer is disabled for the container, but no"))
        );
        let kernel = ResourceArgs { kernel_memory: Some(1), ..ResourceArgs::default() };
        assert!(of(kernel).is_ok_and(|said| said[0].contains("kernel memory limit capabilities")));
    }
}
