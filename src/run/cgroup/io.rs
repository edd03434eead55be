//! Weights and rates of block devices, as runc writes them.
//!
//! | what | v1 | v2 |
//! |---|---|---|
//! | weight | `blkio.weight`, with BFQ `blkio.bfq.weight` | `io.bfq.weight`, else `io.weight` (another scale) |
//! | of a device | the same with `_device` | the same files, a line each |
//! | rates | `blkio.throttle.*_device` | `io.max` |

use std::path::Path;

use super::super::error::{RunError, Warning};
use super::super::spec::{BlockIo, DeviceValue};
use super::limit;
use crate::fs::{Follow, Root};

/// A file of a cgroup, a line to write into it, and what that limits.
type Line = (&'static str, String, &'static str);

/// Which files for weights a cgroup has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weights {
    /// Of the scheduler BFQ, in v2 also for single devices or not.
    Bfq { devices: bool },
    /// Of any other.
    Usual,
}

/// Sets what a v1 cgroup limits.
///
/// # Errors
/// A device is not there, or the kernel refuses a value.
pub(super) fn set_old(root: &Root, io: &BlockIo, warnings: &mut Vec<Warning>) -> Result<(), RunError> {
    let bfq = !has(root, "blkio.weight") && has(root, "blkio.bfq.weight");
    write_all(root, old_lines(io, bfq, &number)?, warnings)
}

/// Sets what a v2 cgroup limits.
///
/// # Errors
/// A device is not there, or the kernel refuses a value.
pub(super) fn set(root: &Root, io: &BlockIo, warnings: &mut Vec<Warning>) -> Result<(), RunError> {
    let weights = match root.read("io.bfq.weight", 4096) {
        // Kernels before 5.4 have one number there, and no devices.
        Ok(text) => Weights::Bfq { devices: text.starts_with(b"default") },
        Err(_) => Weights::Usual,
    };
    write_all(root, lines(io, weights, &number)?, warnings)
}

fn has(root: &Root, file: &str) -> bool {
    matches!(root.stat(file, Follow::No), Ok(Some(_)))
}

fn write_all(root: &Root, lines: Vec<Line>, warnings: &mut Vec<Warning>) -> Result<(), RunError> {
    lines.into_iter().try_for_each(|(file, line, what)| limit(root, file, &line, what, warnings))
}

fn number(path: &str) -> Result<String, RunError> {
    device_number(path).map(|(major, minor)| format!("{major}:{minor}"))
}

/// Returns the numbers of a device file of the host.
///
/// # Errors
/// It is not there.
pub(in super::super) fn device_number(path: &str) -> Result<(u32, u32), RunError> {
    let inside = Path::new(path).strip_prefix("/").unwrap_or(Path::new(path));
    let stat = Root::open(Path::new("/"))?.stat(inside, Follow::Yes)?;
    let stat = stat.ok_or_else(|| RunError::NoDevice { path: path.to_owned() })?;
    Ok(stat.rdev)
}

impl BlockIo {
    /// Looks whether all devices are there.
    ///
    /// # Errors
    /// One is not.
    pub fn check(&self) -> Result<(), RunError> {
        let all = [&self.weights, &self.read_bps, &self.write_bps, &self.read_iops, &self.write_iops];
        all.into_iter().flatten().try_for_each(|one| device_number(&one.path).map(drop))
    }
}

type Numbers<'a> = &'a dyn Fn(&str) -> Result<String, RunError>;

fn old_lines(io: &BlockIo, bfq: bool, number: Numbers<'_>) -> Result<Vec<Line>, RunError> {
    let mut lines = Vec::new();
    let (one, device) = match bfq {
        true => ("blkio.bfq.weight", "blkio.bfq.weight_device"),
        false => ("blkio.weight", "blkio.weight_device"),
    };
    if let Some(weight) = io.weight {
        lines.push((one, weight.to_string(), "block I/O weight"));
    }
    for DeviceValue { path, value } in io.weights.iter().filter(|one| one.value != 0) {
        lines.push((device, format!("{} {value}", number(path)?), "block I/O weight of a device"));
    }
    for (list, file, what) in [
        (&io.read_bps, "blkio.throttle.read_bps_device", "rate of reading"),
        (&io.write_bps, "blkio.throttle.write_bps_device", "rate of writing"),
        (&io.read_iops, "blkio.throttle.read_iops_device", "number of reads"),
        (&io.write_iops, "blkio.throttle.write_iops_device", "number of writes"),
    ] {
        for DeviceValue { path, value } in list {
            lines.push((file, format!("{} {value}", number(path)?), what));
        }
    }
    Ok(lines)
}

fn lines(io: &BlockIo, weights: Weights, number: Numbers<'_>) -> Result<Vec<Line>, RunError> {
    let mut lines = Vec::new();
    let (file, scale): (_, fn(u64) -> u64) = match weights {
        Weights::Bfq { .. } => ("io.bfq.weight", |weight| weight),
        Weights::Usual => ("io.weight", usual_weight),
    };
    if let Some(weight) = io.weight {
        lines.push((file, scale(weight.into()).to_string(), "block I/O weight"));
    }
    for DeviceValue { path, value } in io.weights.iter().filter(|one| one.value != 0) {
        let file = if weights == (Weights::Bfq { devices: false }) { "io.weight" } else { file };
        let value = if file == "io.weight" { usual_weight(*value) } else { *value };
        lines.push((file, format!("{} {value}", number(path)?), "block I/O weight of a device"));
    }
    for (list, key, what) in [
        (&io.read_bps, "rbps", "rate of reading"),
        (&io.write_bps, "wbps", "rate of writing"),
        (&io.read_iops, "riops", "number of reads"),
        (&io.write_iops, "wiops", "number of writes"),
    ] {
        for DeviceValue { path, value } in list {
            let value = if *value == 0 { "max".to_owned() } else { value.to_string() };
            lines.push(("io.max", format!("{} {key}={value}", number(path)?), what));
        }
    }
    Ok(lines)
}

/// Converts a v1 weight (10 to 1000) to one of `io.weight` (1 to 10,000), as runc does.
fn usual_weight(weight: u64) -> u64 {
    1 + weight.saturating_sub(10) * 9999 / 990
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(path: &str, value: u64) -> DeviceValue {
        DeviceValue { path: path.to_owned(), value }
    }

    fn all() -> BlockIo {
        BlockIo {
            weight: Some(500),
            weights: vec![device("/dev/a", 1000), device("/dev/b", 0)],
            read_bps: vec![device("/dev/a", 1 << 20)],
            write_bps: vec![device("/dev/a", 7), device("/dev/b", 0)],
            read_iops: vec![device("/dev/b", 9)],
            write_iops: vec![device("/dev/a", 10)],
        }
    }

    fn number(path: &str) -> Result<String, RunError> {
        Ok(if path == "/dev/a" { "8:0" } else { "8:16" }.to_owned())
    }

    fn text(lines: Vec<Line>) -> Vec<String> {
        lines.into_iter().map(|(file, line, _)| format!("{file} {line}")).collect()
    }

    #[test]
    fn v1_has_a_file_for_each() {
        let rates = [
            "blkio.throttle.read_bps_device 8:0 1048576",
            "blkio.throttle.write_bps_device 8:0 7",
            "blkio.throttle.write_bps_device 8:16 0",
            "blkio.throttle.read_iops_device 8:16 9",
            "blkio.throttle.write_iops_device 8:0 10",
        ];
        let cfq = text(old_lines(&all(), false, &number).expect("devices"));
        assert_eq!(cfq[..2], ["blkio.weight 500", "blkio.weight_device 8:0 1000"]);
        assert_eq!(cfq[2..], rates);
        let bfq = text(old_lines(&all(), true, &number).expect("devices"));
        assert_eq!(bfq[..2], ["blkio.bfq.weight 500", "blkio.bfq.weight_device 8:0 1000"]);
        assert_eq!(bfq[2..], rates);
    }

    #[test]
    fn v2_has_one_file_for_rates() {
        let rates = [
            "io.max 8:0 rbps=1048576",
            "io.max 8:0 wbps=7",
            "io.max 8:16 wbps=max",
            "io.max 8:16 riops=9",
            "io.max 8:0 wiops=10",
        ];
        for (weights, expected) in [
            (Weights::Usual, ["io.weight 4950", "io.weight 8:0 10000"]),
            (Weights::Bfq { devices: true }, ["io.bfq.weight 500", "io.bfq.weight 8:0 1000"]),
            (Weights::Bfq { devices: false }, ["io.bfq.weight 500", "io.weight 8:0 10000"]),
        ] {
            let found = text(lines(&all(), weights, &number).expect("devices"));
            assert_eq!(found[..2], expected, "{weights:?}");
            assert_eq!(found[2..], rates, "{weights:?}");
        }
    }

    #[test]
    fn weights_have_another_scale() {
        for (old, new) in [(10, 1), (100, 910), (500, 4950), (1000, 10_000), (0, 1)] {
            assert_eq!(usual_weight(old), new, "{old}");
        }
    }

    #[test]
    fn devices_are_looked_up() {
        assert_eq!(super::number("/dev/null").expect("the null device"), "1:3");
        let error = super::number("/dev/nothing-of-the-kind").expect_err("nothing").to_string();
        assert_eq!(error, "stat /dev/nothing-of-the-kind: no such file or directory");
    }
}
