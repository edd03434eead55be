//! Times as Go writes them: `1h15m30.5s`.

use nom::bytes::complete::tag;
use nom::character::complete::digit0;
use nom::combinator::opt;
use nom::sequence::preceded;
use nom::{IResult, Parser};

use super::quote::quoted;

/// A text that is no time, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not of the form, or too long.
    #[error("time: invalid duration {}", quoted(text))]
    Invalid {
        /// The text.
        text: String,
    },
    /// A number without a unit.
    #[error("time: missing unit in duration {}", quoted(text))]
    MissingUnit {
        /// The text.
        text: String,
    },
    /// A unit that does not exist.
    #[error("time: unknown unit {} in duration {}", quoted(unit), quoted(text))]
    UnknownUnit {
        /// The unit.
        unit: String,
        /// The text.
        text: String,
    },
}

/// Returns the nanoseconds of a Go duration.
///
/// # Errors
/// Says as Go does what is wrong.
pub fn parse_duration(text: &str) -> Result<i64, DurationError> {
    let invalid = || DurationError::Invalid { text: text.to_owned() };
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let (after, (whole, fraction)) = number(rest).map_err(|_| invalid())?;
        if whole.is_empty() && fraction.is_none_or(str::is_empty) {
            return Err(invalid());
        }
        let (unit, scale) = unit(after, text)?;
        rest = &after[unit.len()..];
        total += scaled(whole, fraction.unwrap_or_default(), scale).ok_or_else(invalid)?;
        if total > i128::from(i64::MAX) {
            return Err(invalid());
        }
    }
    i64::try_from(if negative { -total } else { total }).map_err(|_| invalid())
}

/// Digits with an optional fraction.
fn number(input: &str) -> IResult<&str, (&str, Option<&str>)> {
    (digit0, opt(preceded(tag("."), digit0))).parse(input)
}

/// Returns the unit at the start of `input` with its nanoseconds.
fn unit<'a>(input: &'a str, text: &str) -> Result<(&'a str, i128), DurationError> {
    let end = input.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(input.len());
    let unit = &input[..end];
    let scale = match unit {
        "" => return Err(DurationError::MissingUnit { text: text.to_owned() }),
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return Err(DurationError::UnknownUnit { unit: unit.to_owned(), text: text.to_owned() }),
    };
    Ok((unit, scale))
}

fn scaled(whole: &str, fraction: &str, scale: i128) -> Option<i128> {
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    // Digits beyond the eighteenth are less than any unit's nanosecond.
    let digits = &fraction[..fraction.len().min(18)];
    let part: i128 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    let divisor = 10i128.pow(u32::try_from(digits.len()).ok()?);
    Some(i128::from(whole) * scale + part * scale / divisor)
}

/// Returns the bytes of a size like `64m` or `1.5GiB`, in powers of 1024.
pub fn parse_size(text: &str) -> Option<u64> {
    let (rest, (whole, fraction)) = number(text).ok()?;
    if whole.is_empty() && fraction.is_none_or(str::is_empty) {
        return None;
    }
    let unit = rest.strip_prefix(' ').unwrap_or(rest).to_ascii_lowercase();
    let power = match unit.as_str() {
        "" | "b" => 0,
        unit => {
            let letter = unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(unit);
            1 + ["k", "m", "g", "t", "p"].iter().position(|known| *known == letter)?
        }
    };
    u64::try_from(scaled(whole, fraction.unwrap_or_default(), 1i128 << (10 * power))?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_in_go() {
        for (text, expected) in [
            ("0", Ok(0)),
            ("30s", Ok(30_000_000_000)),
            ("1h2m3s4ms5us6ns", Ok(3_723_004_005_006)),
            ("1.5s", Ok(1_500_000_000)),
            (".5m", Ok(30_000_000_000)),
            ("5.s", Ok(5_000_000_000)),
            ("-1s", Ok(-1_000_000_000)),
            ("+1µs", Ok(1000)),
            ("2562047h47m16.854775807s", Ok(i64::MAX)),
            ("2562047h47m16.854775808s", Err("time: invalid duration \"2562047h47m16.854775808s\"")),
            ("99999999999999999999s", Err("time: invalid duration \"99999999999999999999s\"")),
            ("", Err("time: invalid duration \"\"")),
            ("-", Err("time: invalid duration \"-\"")),
            (".s", Err("time: invalid duration \".s\"")),
            ("abc", Err("time: invalid duration \"abc\"")),
            ("5", Err("time: missing unit in duration \"5\"")),
            ("5x", Err("time: unknown unit \"x\" in duration \"5x\"")),
            ("1s 2s", Err("time: unknown unit \"s \" in duration \"1s 2s\"")),
        ] {
            let got = parse_duration(text).map_err(|e| e.to_string());
            assert_eq!(got, expected.map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("0", Some(0)),
            ("512", Some(512)),
            ("512b", Some(512)),
            ("64m", Some(64 << 20)),
            ("64MB", Some(64 << 20)),
            ("64 MiB", Some(64 << 20)),
            ("1.5g", Some(3 << 29)),
            ("2k", Some(2048)),
            ("", None),
            ("m", None),
            ("1x", None),
            ("-1", None),
            ("1mm", None),
            ("99999999999999999999p", None),
            ("9223372036854775807p", None),
        ] {
            assert_eq!(parse_size(text), expected, "{text}");
        }
    }
}
