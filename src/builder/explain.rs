//! Why a step ran: the fields that differ from the nearest earlier record.

use std::collections::HashMap;

/// What became of a step, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The step's line.
    pub name: String,
    /// The line of the step whose result it extends.
    pub parent: Option<String>,
    /// Why it ran, or that it did not.
    pub reason: Reason,
}

/// Why a step ran, or that it did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Its result was known.
    Cached,
    /// It was to run whatever is known.
    NotAllowed,
    /// Nothing like it is known.
    Unknown,
    /// The nearest earlier step differs.
    Differs(Vec<Difference>),
    /// The nearest earlier step does not differ: its result is gone.
    Lost,
}

/// A field that differs; the names of files begin with `file `.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The field.
    pub field: String,
    /// Its earlier value; none if it was not there.
    pub before: Option<String>,
    /// Its value now; none if it is not there.
    pub now: Option<String>,
}

/// Returns the fields that differ, those of now first, then those that are gone.
pub fn differences(before: &[(String, String)], now: &[(String, String)]) -> Vec<Difference> {
    let mut earlier: HashMap<&str, &str> = before.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let mut found = Vec::new();
    for (field, value) in now {
        let old = earlier.remove(field.as_str());
        if old != Some(value) {
            found.push(Difference {
                field: field.clone(),
                before: old.map(str::to_owned),
                now: Some(value.clone()),
            });
        }
    }
    for (field, value) in before {
        if earlier.contains_key(field.as_str()) {
            found.push(Difference { field: field.clone(), before: Some(value.clone()), now: None });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn changed_new_and_gone_fields_are_named() {
        let found = differences(
            &fields(&[("a", "1"), ("b", "2"), ("gone", "3")]),
            &fields(&[("a", "1"), ("b", "4"), ("new", "5")]),
        );
        let shown: Vec<_> =
            found.iter().map(|d| (d.field.as_str(), d.before.as_deref(), d.now.as_deref())).collect();
        assert_eq!(shown, [("b", Some("2"), Some("4")), ("new", None, Some("5")), ("gone", Some("3"), None)]);
    }
}
