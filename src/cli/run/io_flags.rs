//! Flags of block devices: a path and a number.

use super::super::human;
use crate::run::DeviceValue;

/// Reads `--blkio-weight`.
///
/// # Errors
/// It is no number of 16 bits; Go's words.
pub fn weight(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| {
        let digits = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
        let why = if digits { "value out of range" } else { "invalid syntax" };
        format!("strconv.ParseUint: parsing \"{text}\": {why}")
    })
}

/// Reads `--kernel-memory`.
///
/// # Errors
/// It is no size.
pub fn kernel_memory(text: &str) -> Result<u64, String> {
    human::parse_size(text).ok_or_else(|| format!("invalid size: '{text}'"))
}

/// Reads `PATH:WEIGHT`.
///
/// # Errors
/// It is not of that form, or the weight is none.
pub fn device_weight(text: &str) -> Result<DeviceValue, String> {
    let (path, value) = device(text)?;
    let weight: Option<u16> = digits(value).filter(|weight| *weight == 0 || (10..=1000).contains(weight));
    let value = weight.ok_or_else(|| format!("invalid weight for device: {text}"))?.into();
    Ok(DeviceValue { path, value })
}

/// Reads `PATH:BYTES`, with a unit or not.
///
/// # Errors
/// It is not of that form, or the rate is none.
pub fn bytes(text: &str) -> Result<DeviceValue, String> {
    let (path, value) = device(text)?;
    let value = human::parse_size(value).ok_or_else(|| {
        format!(
            "invalid rate for device: {text}. The correct format is <device-path>:<number>[<unit>]. Number must be a \
             positive integer. Unit is optional and can be kb, mb, or gb"
        )
    })?;
    Ok(DeviceValue { path, value })
}

/// Reads `PATH:NUMBER`.
///
/// # Errors
/// It is not of that form, or the rate is none.
pub fn operations(text: &str) -> Result<DeviceValue, String> {
    let (path, value) = device(text)?;
    let value = digits(value).ok_or_else(|| {
        format!(
            "invalid rate for device: {text}. The correct format is <device-path>:<number>. Number must be a positive \
             integer"
        )
    })?;
    Ok(DeviceValue { path, value })
}

fn device(text: &str) -> Result<(String, &str), String> {
    match text.split_once(':') {
        None | Some(("", _)) => Err(format!("bad format: {text}")),
        Some((path, _)) if !path.starts_with("/dev/") => Err(format!("bad format for device path: {text}")),
        Some((path, value)) => Ok((path.to_owned(), value)),
    }
}

/// Reads digits alone: Go takes no sign here.
fn digits<N: std::str::FromStr>(text: &str) -> Option<N> {
    text.parse().ok().filter(|_| !text.starts_with('+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Read = fn(&str) -> Result<DeviceValue, String>;

    #[test]
    fn devices_and_numbers() {
        let weight: Read = device_weight;
        for (read, text, expected) in [
            (weight, "/dev/sda:300", Ok(300)),
            (weight, "/dev/sda:0", Ok(0)),
            (weight, "/dev/sda:9", Err("invalid weight for device: /dev/sda:9")),
            (weight, "/dev/sda:1001", Err("invalid weight for device: /dev/sda:1001")),
            (weight, "/dev/sda:70000", Err("invalid weight for device: /dev/sda:70000")),
            (weight, "/dev/sda", Err("bad format: /dev/sda")),
            (weight, ":300", Err("bad format: :300")),
            (weight, "sda:300", Err("bad format for device path: sda:300")),
            (bytes, "/dev/sda:1mb", Ok(1 << 20)),
            (bytes, "/dev/sda:1.5k", Ok(1536)),
            (bytes, "/dev/sda:7", Ok(7)),
            (bytes, "/dev/sda:-1", Err("positive integer. Unit is optional and can be kb, mb, or gb")),
            (bytes, "/dev/sda:", Err("invalid rate for device: /dev/sda:. The correct format is")),
            (bytes, "/sda:1", Err("bad format for device path: /sda:1")),
            (operations, "/dev/sda:1000", Ok(1000)),
            (operations, "/dev/sda:1k", Err("<device-path>:<number>. Number must be a positive integer")),
            (operations, "/dev/sda:+1", Err("invalid rate for device")),
            (operations, "x", Err("bad format: x")),
        ] {
            match (read(text), expected) {
                (Ok(found), Ok(value)) => assert_eq!((&*found.path, found.value), ("/dev/sda", value)),
                (Err(said), Err(part)) => assert!(said.contains(part), "{text}: {said}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }

    #[test]
    fn weights_are_numbers() {
        assert_eq!(weight("300"), Ok(300));
        assert_eq!(weight("x"), Err("strconv.ParseUint: parsing \"x\": invalid syntax".to_owned()));
        assert_eq!(
            weight("70000"),
            Err("strconv.ParseUint: parsing \"70000\": value out of range".to_owned())
        );
        assert_eq!(kernel_memory("50m"), Ok(50 << 20));
        assert_eq!(kernel_memory("zzz"), Err("invalid size: 'zzz'".to_owned()));
    }
}
