//! `--filter key=value`

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::error::CliError;

/// The filters of a command: same key or, different keys and.
#[derive(Debug, Default)]
pub struct Filters(BTreeMap<String, Vec<String>>);

impl Filters {
    /// Reads the filters; keys other than `known` are errors.
    ///
    /// # Errors
    /// A filter has no `=`, or an unknown key.
    pub fn parse(given: &[String], known: &[&str]) -> Result<Self, CliError> {
        let mut filters: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for filter in given {
            let (key, value) = filter.split_once('=').ok_or_else(|| {
                CliError::new(format!(
                    "invalid filter '{filter}': bad format of filter (expected name=value)"
                ))
            })?;
            let key = key.trim().to_lowercase();
            // Of `label!=x` the key is `label!`, which commands know that take it.
            if !known.contains(&key.as_str()) {
                return Err(CliError::new(format!("Error response from daemon: invalid filter '{key}'")));
            }
            filters.entry(key).or_default().push(value.trim().to_owned());
        }
        Ok(Self(filters))
    }

    /// Takes filters that are cut already; keys other than `known` are errors.
    ///
    /// # Errors
    /// A key is unknown.
    pub fn of(given: BTreeMap<String, Vec<String>>, known: &[&str]) -> Result<Self, CliError> {
        match given.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(CliError::new(format!("Error response from daemon: invalid filter '{key}'"))),
            None => Ok(Self(given)),
        }
    }

    /// Returns the values given for a key.
    pub fn values(&self, key: &str) -> &[String] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    /// Returns a boolean filter's value.
    ///
    /// # Errors
    /// The value is no boolean.
    pub fn boolean(&self, key: &str) -> Result<Option<bool>, CliError> {
        match self.values(key) {
            [] => Ok(None),
            [value] if truth(value).is_some() => Ok(truth(value)),
            values => Err(CliError::new(format!(
                "Error response from daemon: invalid filter '{key}=[{}]'",
                values.join(" ")
            ))),
        }
    }

    /// Returns a filter's moment: a time, or a duration counted back from now.
    ///
    /// # Errors
    /// The value is neither.
    pub fn time(&self, key: &str) -> Result<Option<Timestamp>, CliError> {
        let Some(value) = self.values(key).first() else { return Ok(None) };
        parse_time(value).map(Some).ok_or_else(|| {
            CliError::new(format!(
                "Error response from daemon: failed to parse value as time or duration: {value:?}"
            ))
        })
    }
}

/// Reads a word that the engine takes for true or false.
pub fn truth(word: &str) -> Option<bool> {
    match word.to_lowercase().as_str() {
        "1" | "true" | "t" => Some(true),
        "0" | "false" | "f" => Some(false),
        _ => None,
    }
}

/// Reads a time as docker takes it: RFC 3339, a date, Unix seconds, or a Go duration back from now.
pub fn parse_time(text: &str) -> Option<Timestamp> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment);
    }
    if let Ok(seconds) = text.parse::<f64>() {
        return Timestamp::from_millisecond((seconds * 1000.0) as i64).ok();
    }
    let local = jiff::tz::TimeZone::system();
    if let Ok(moment) = text.parse::<jiff::civil::DateTime>() {
        return moment.to_zoned(local).ok().map(|z| z.timestamp());
    }
    if let Ok(date) = text.parse::<jiff::civil::Date>() {
        return date.to_zoned(local).ok().map(|z| z.timestamp());
    }
    let span: jiff::SignedDuration = text.parse().ok()?;
    Timestamp::now().checked_sub(span).ok()
}

/// Whether labels hold `key` or `key=value`.
pub fn has_label(labels: &BTreeMap<String, String>, wanted: &str) -> bool {
    match wanted.split_once('=') {
        None => labels.contains_key(wanted),
        Some((key, value)) => labels.get(key).is_some_and(|found| found == value),
    }
}

/// Whether a text fits a pattern of `*`, `?` and `[...]`; `*` stops at a slash.
pub fn glob(pattern: &str, text: &str) -> bool {
    fn fits(pattern: &[char], text: &[char]) -> bool {
        match (pattern.first(), text.first()) {
            (None, None) => true,
            (Some('*'), _) => {
                fits(&pattern[1..], text)
                    || text.first().is_some_and(|c| *c != '/') && fits(pattern, &text[1..])
            }
            (Some('?'), Some(c)) => *c != '/' && fits(&pattern[1..], &text[1..]),
            (Some('['), Some(c)) => {
                let Some(end) = pattern.iter().skip(1).position(|p| *p == ']').map(|n| n + 1) else {
                    return false;
                };
                class(&pattern[1..end], *c) && fits(&pattern[end + 1..], &text[1..])
            }
            (Some(p), Some(c)) => p == c && fits(&pattern[1..], &text[1..]),
            _ => false,
        }
    }
    fn class(set: &[char], c: char) -> bool {
        let (negated, set) = match set.first() {
            Some('^') => (true, &set[1..]),
            _ => (false, set),
        };
        let mut found = false;
        let mut n = 0;
        while n < set.len() {
            if n + 2 < set.len() && set[n + 1] == '-' {
                found |= (set[n]..=set[n + 2]).contains(&c);
                n += 3;
            } else {
                found |= set[n] == c;
                n += 1;
            }
        }
        found != negated
    }
    // Stars in a row mean no more than one, and cost much more.
    let mut short: Vec<char> = pattern.chars().collect();
    short.dedup_by(|a, b| *a == '*' && *b == '*');
    fits(&short, &text.chars().collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_stop_at_slashes() {
        for (pattern, text, fits) in [
            ("deb*", "debian", true),
            ("*", "a/b", false),
            ("*/b", "a/b", true),
            ("a?c", "abc", true),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("debian:book*", "debian:bookworm", true),
            ("x", "xy", false),
        ] {
            assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn unknown_filters_are_refused() {
        let error = Filters::parse(&["x=1".to_owned()], &["label"]).unwrap_err();
        assert_eq!(error.text, "Error response from daemon: invalid filter 'x'");
        assert!(Filters::parse(&["label".to_owned()], &["label"]).is_err());
        let filters = Filters::parse(&["dangling=true".to_owned()], &["dangling"]).unwrap();
        assert_eq!(filters.boolean("dangling").unwrap(), Some(true));
    }

    #[test]
    fn moments_are_read_in_every_form() {
        let at = |text: &str| parse_time(text).map(|t| t.as_second());
        assert_eq!(at("1700000000"), Some(1_700_000_000));
        assert_eq!(at("2023-11-14T22:13:20Z"), Some(1_700_000_000));
        assert!(at("2023-11-14").is_some() && at("2023-11-14T22:13:20").is_some());
        let hour = Timestamp::now().as_second() - at("1h").unwrap();
        assert!((3599..=3601).contains(&hour));
        assert_eq!(at("yesterday"), None);
    }
}
