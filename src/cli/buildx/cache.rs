//! The build cache as rows, and the filters that choose among them.

use jiff::{SignedDuration, Timestamp};

use super::super::error::CliError;
use crate::parser::parse_duration;
use crate::store::Usage;

/// Keys of `--filter`.
const KEYS: [&str; 10] =
    ["id", "parents", "description", "inuse", "mutable", "immutable", "shared", "private", "type", "until"];

/// A cache record or a cache mount.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its id, as `du` shows it.
    pub id: String,
    /// What it is: `regular`, `internal`, `source.local`, `exec.cachemount`...
    pub kind: String,
    /// What made it.
    pub description: String,
    /// Whether it changes in place, as cache mounts do.
    pub mutable: bool,
    /// Whether something else needs its layers too.
    pub shared: bool,
    /// Whether a living process uses it.
    pub in_use: bool,
    /// Bytes.
    pub size: u64,
    /// When it was made.
    pub created: Timestamp,
    /// When it was used last.
    pub last_used: Timestamp,
    /// How often it was used; none where that is not counted.
    pub uses: Option<u64>,
}

/// Digits of a record's key that are its id.
const ID: usize = 25;

/// Returns the id of a key in hexadecimal digits, or of a mount's name.
pub fn id_of(name: &str) -> String {
    name.chars().take(ID).collect()
}

/// Returns everything in the cache, the smallest first.
pub fn entries(usage: &Usage) -> Vec<Entry> {
    let records = usage.cache_list.iter().map(|one| Entry {
        id: id_of(&one.record.key.hex()),
        kind: one.record.kind.clone(),
        description: one.record.description.clone(),
        mutable: false,
        shared: one.shared,
        in_use: one.in_use,
        size: one.size,
        created: one.record.created,
        last_used: one.record.last_used,
        uses: Some(one.record.uses),
    });
    let mounts = usage.mounts.iter().map(|one| Entry {
        id: id_of(&one.mount.name),
        kind: "exec.cachemount".to_owned(),
        description: format!("cache mount {}", one.mount.id),
        mutable: true,
        shared: false,
        in_use: false,
        size: one.size,
        created: one.mount.created,
        last_used: one.mount.last_used,
        uses: None,
    });
    let mut all: Vec<Entry> = records.chain(mounts).collect();
    all.sort_by(|a, b| (a.size, &a.id).cmp(&(b.size, &b.id)));
    all
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    Unequal,
    Matches,
}

#[derive(Debug, Clone)]
struct Rule {
    key: String,
    operator: Operator,
    value: String,
    pattern: Option<regex::Regex>,
}

/// Filters that must all hold.
#[derive(Debug, Clone, Default)]
pub struct CacheFilter {
    rules: Vec<Rule>,
    /// Takes only what was not used for so long.
    unused_for: Option<SignedDuration>,
}

impl CacheFilter {
    /// Reads `KEY=VALUE`, `KEY!=VALUE`, `KEY~=REGEX`, and keys that are yes or no alone.
    ///
    /// # Errors
    /// A key is unknown, an expression or a duration is none.
    pub fn parse(given: &[String]) -> Result<Self, CliError> {
        let mut filter = Self::default();
        for text in given {
            let rule = rule(text)?;
            match rule.key.as_str() {
                "until" => filter.unused_for = Some(age(&rule)?),
                _ => filter.rules.push(rule),
            }
        }
        Ok(filter)
    }

    /// Whether everything passes.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.unused_for.is_none()
    }

    /// Whether an entry passes, at this moment.
    pub fn takes(&self, entry: &Entry, now: Timestamp) -> bool {
        let old = |age: SignedDuration| now.duration_since(entry.last_used) >= age;
        self.unused_for.is_none_or(old) && self.rules.iter().all(|rule| rule.holds(entry))
    }
}

impl Rule {
    fn holds(&self, entry: &Entry) -> bool {
        let yes = |value: bool| {
            let said = self.value.is_empty() || matches!(self.value.as_str(), "1" | "t" | "true");
            (value == said) == (self.operator != Operator::Unequal)
        };
        match self.key.as_str() {
            "id" => self.fits(&entry.id),
            // What a record stands on is part of its layers here: it names no parent.
            "parents" => self.operator == Operator::Unequal,
            "description" => self.fits(&entry.description),
            "type" => self.fits(&entry.kind),
            "inuse" => yes(entry.in_use),
            "mutable" => yes(entry.mutable),
            "immutable" => yes(!entry.mutable),
            "shared" => yes(entry.shared),
            _ => yes(!entry.shared),
        }
    }

    fn fits(&self, text: &str) -> bool {
        match (self.operator, &self.pattern) {
            (Operator::Matches, Some(pattern)) => pattern.is_match(text),
            (Operator::Unequal, _) => text != self.value,
            _ => text == self.value,
        }
    }
}

fn rule(text: &str) -> Result<Rule, CliError> {
    let bad = |why: String| CliError::new(format!("ERROR: invalid filter {text:?}: {why}"));
    let (key, operator, value) = match text.find('=') {
        None => (text, Operator::Equal, ""),
        Some(at) => {
            let value = text[at + 1..].trim_start_matches('=');
            match text[..at].chars().next_back() {
                Some('!') => (&text[..at - 1], Operator::Unequal, value),
                Some('~') => (&text[..at - 1], Operator::Matches, value),
                _ => (&text[..at], Operator::Equal, value),
            }
        }
    };
    let key = key.trim().to_lowercase();
    let is_switch = ["inuse", "mutable", "immutable", "shared", "private"].contains(&key.as_str());
    if !KEYS.contains(&key.as_str()) {
        return Err(bad(format!("unknown key {key:?}, use one of {}", KEYS.join(", "))));
    }
    if !text.contains('=') && !is_switch {
        return Err(bad("bad format of filter (expected name=value)".to_owned()));
    }
    let pattern = match operator {
        Operator::Matches => Some(regex::Regex::new(value).map_err(|e| bad(e.to_string()))?),
        _ => None,
    };
    Ok(Rule { key, operator, value: value.to_owned(), pattern })
}

fn age(rule: &Rule) -> Result<SignedDuration, CliError> {
    let bad = |why: String| {
        CliError::new(format!("ERROR: \"until\" filter expects a duration (e.g., '24h'): {why}"))
    };
    if rule.operator != Operator::Equal {
        return Err(bad("it knows = alone".to_owned()));
    }
    let nanos = parse_duration(&rule.value).map_err(|e| bad(e.to_string()))?;
    Ok(SignedDuration::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            id: "abc".to_owned(),
            kind: "regular".to_owned(),
            description: "[1/2] RUN make".to_owned(),
            mutable: false,
            shared: true,
            in_use: false,
            size: 1,
            created: Timestamp::UNIX_EPOCH,
            last_used: Timestamp::from_second(1000).unwrap(),
            uses: Some(2),
        }
    }

    #[test]
    fn filters_choose() {
        for (text, expected) in [
            ("id=abc", true),
            ("id=ab", false),
            ("id~=^ab", true),
            ("id!=abc", false),
            ("type=regular", true),
            ("type==regular", true),
            ("type=exec.cachemount", false),
            ("description~=RUN", true),
            ("inuse", false),
            ("inuse=false", true),
            ("mutable", false),
            ("immutable", true),
            ("shared", true),
            ("shared!=true", false),
            ("private", false),
            ("until=10m", true),
            ("until=20m", false),
        ] {
            let filter = CacheFilter::parse(&[text.to_owned()]).unwrap();
            let now = Timestamp::from_second(1000 + 15 * 60).unwrap();
            assert_eq!(filter.takes(&entry(), now), expected, "{text}");
        }
        let both = CacheFilter::parse(&["shared".to_owned(), "mutable".to_owned()]).unwrap();
        assert!(!both.takes(&entry(), Timestamp::now()) && !both.is_empty());
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for (text, expected) in [
            ("foo=1", "unknown key \"foo\""),
            ("id", "expected name=value"),
            ("id~=[", "invalid filter"),
            ("until=foo", "expects a duration"),
        ] {
            let error = CacheFilter::parse(&[text.to_owned()]).unwrap_err();
            assert!(error.text.contains(expected), "{text}: {}", error.text);
        }
    }
}
