//! Ranges: what a reader asks for, and what an uploader says it sends.

use std::ops::Range;

/// What a `Range` header asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Everything: no header, or one of a kind that may be ignored.
    All,
    /// These bytes.
    Part(Range<u64>),
    /// Nothing that is there.
    Unsatisfiable,
}

/// Reads `bytes=A-B`, `bytes=A-` or `bytes=-N` for a blob of `size` bytes; several ranges are answered with everything.
pub fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some(spec) = header.and_then(|text| text.trim().strip_prefix("bytes=")) else { return Wanted::All };
    let Some((first, last)) = spec.split_once('-').filter(|_| !spec.contains(',')) else {
        return Wanted::All;
    };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let range = match (first.trim().is_empty(), last.trim().is_empty()) {
        (true, true) => return Wanted::All,
        (true, false) => number(last).map(|count| (size.saturating_sub(count), size, count == 0)),
        (false, true) => number(first).map(|first| (first, size, false)),
        (false, false) => number(first)
            .zip(number(last))
            .map(|(first, last)| (first, last.saturating_add(1).min(size), last < first)),
    };
    match range {
        None => Wanted::All,
        // A last byte before the first one may be ignored or refused (RFC 9110, section 14.2); the
        // distribution specification's own tests want it refused.
        Some((first, _, empty)) if first >= size || empty => Wanted::Unsatisfiable,
        Some((first, end, _)) => Wanted::Part(first..end),
    }
}

/// Reads an uploader's `A-B` (also `bytes A-B/N`): the first byte and the number of bytes.
pub fn sent(header: &str) -> Option<(u64, u64)> {
    let text = header.trim();
    let text = text.strip_prefix("bytes").map_or(text, |rest| rest.trim_start_matches([' ', '=']));
    let text = text.split_once('/').map_or(text, |(range, _)| range);
    let (first, last) = text.split_once('-')?;
    let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    Some((first, last.checked_sub(first)?.checked_add(1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers() {
        for (header, size, expected) in [
            (None, 10, Wanted::All),
            (Some("bytes=0-"), 10, Wanted::Part(0..10)),
            (Some("bytes=3-5"), 10, Wanted::Part(3..6)),
            (Some("bytes=3-99"), 10, Wanted::Part(3..10)),
            (Some("bytes=-4"), 10, Wanted::Part(6..10)),
            (Some("bytes=-40"), 10, Wanted::Part(0..10)),
            (Some("bytes=10-"), 10, Wanted::Unsatisfiable),
            (Some("bytes=10-12"), 10, Wanted::Unsatisfiable),
            (Some("bytes=0-"), 0, Wanted::Unsatisfiable),
            (Some("bytes=-0"), 10, Wanted::Unsatisfiable),
            (Some("bytes=5-3"), 10, Wanted::Unsatisfiable),
            (Some("bytes=0-1,4-5"), 10, Wanted::All),
            (Some("bytes=x-"), 10, Wanted::All),
            (Some("lines=1-2"), 10, Wanted::All),
            (Some("bytes=0-18446744073709551615"), 10, Wanted::Part(0..10)),
        ] {
            assert_eq!(wanted(header, size), expected, "{header:?} of {size}");
        }
    }

    #[test]
    fn uploaders() {
        assert_eq!(sent("0-9"), Some((0, 10)));
        assert_eq!(sent("bytes 10-19/100"), Some((10, 10)));
        for bad in ["", "5-3", "a-b", "5", "0-18446744073709551615"] {
            assert_eq!(sent(bad), None, "{bad}");
        }
    }
}
