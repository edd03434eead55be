//! Sizes and durations as docker prints them, and sizes as people type them.

use jiff::{SignedDuration, Timestamp};

/// Returns a size in powers of 1000 with three digits: `0B`, `1.23kB`, `72.9MB`.
pub fn size(bytes: u64) -> String {
    scaled(bytes as f64, 1000.0, &["B", "kB", "MB", "GB", "TB", "PB", "EB"], 3)
}

/// Returns a size in powers of 1000 with four digits, as what moves is counted: `8.608MB`.
pub fn transferred(bytes: u64) -> String {
    scaled(bytes as f64, 1000.0, &["B", "kB", "MB", "GB", "TB", "PB", "EB"], 4)
}

/// Returns a size in powers of 1024 with four digits: `5.629MiB`.
pub fn memory(bytes: u64) -> String {
    scaled(bytes as f64, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"], 4)
}

fn scaled(mut value: f64, base: f64, units: &[&str], digits: usize) -> String {
    let mut unit = 0;
    while value >= base && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    format!("{}{}", significant(value, digits), units[unit])
}

/// Go's `%.Ng` for values below ten thousand, but never with an exponent.
fn significant(value: f64, digits: usize) -> String {
    let whole = if value < 1.0 { 1 } else { value.log10().floor() as usize + 1 };
    let decimals = digits.saturating_sub(whole);
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Returns a span of time as docker says it: `Less than a second`, `5 seconds`, `About an hour`, `2 weeks`.
pub fn duration(span: SignedDuration) -> String {
    let seconds = span.as_secs();
    let minutes = seconds / 60;
    // Hours are rounded, everything above is cut.
    let hours = (span.as_secs_f64() / 3600.0 + 0.5) as i64;
    match () {
        () if seconds < 1 => "Less than a second".to_owned(),
        () if seconds == 1 => "1 second".to_owned(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".to_owned(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".to_owned(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        () if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        () => format!("{} years", hours / 24 / 365),
    }
}

/// Returns how long ago a moment was: `3 weeks ago`; `N/A` for none.
pub fn ago(moment: Option<Timestamp>) -> String {
    moment.map_or("N/A".to_owned(), |moment| {
        format!("{} ago", duration(Timestamp::now().duration_since(moment)))
    })
}

/// Returns a moment as docker's `CreatedAt` fields have it: `2006-01-02 15:04:05 -0700 MST`.
pub fn created_at(moment: Option<Timestamp>) -> String {
    let moment = moment.unwrap_or(Timestamp::UNIX_EPOCH);
    moment.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %z %Z").to_string()
}

/// Reads a size: a number, maybe with a fraction, and a unit of 1024 (`b k m g t p`, also `kb`, `KiB`).
pub fn parse_size(text: &str) -> Option<u64> {
    let lower = text.trim().to_lowercase();
    let end = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let number: f64 = lower[..end].parse().ok()?;
    let power = match lower[end..].trim_start() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        "p" | "pb" | "pib" => 5,
        _ => return None,
    };
    Some((number * 1024f64.powi(power)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits() {
        for (bytes, text) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1kB"),
            (1234, "1.23kB"),
            (72_912_345, "72.9MB"),
            (127_100_000, "127MB"),
            (1_090_000_000, "1.09GB"),
            (999_900, "1000kB"),
            (10_500, "10.5kB"),
        ] {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(memory(5_902_434), "5.629MiB");
        assert_eq!(memory(2_096_103_424), "1.952GiB");
    }

    #[test]
    fn durations_are_dockers() {
        for (seconds, text) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (59 * 60, "59 minutes"),
            (3600, "About an hour"),
            (2 * 3600 - 1, "2 hours"),
            (47 * 3600, "47 hours"),
            (48 * 3600, "2 days"),
            (13 * 86400, "13 days"),
            (14 * 86400, "2 weeks"),
            (59 * 86400, "8 weeks"),
            (60 * 86400, "2 months"),
            (3 * 365 * 86400, "3 years"),
        ] {
            assert_eq!(duration(SignedDuration::from_secs(seconds)), text, "{seconds}");
        }
    }

    #[test]
    fn typed_sizes_are_powers_of_1024() {
        for (text, bytes) in
            [("64m", 64 << 20), ("1.5g", 3 << 29), ("100", 100), ("2KiB", 2048), ("1 kb", 1024), ("7B", 7)]
        {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for bad in ["", "m", "1x", "1.2.3", "-1"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
    }
}
