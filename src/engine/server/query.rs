//! Parameters of a request.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::engine::ApiError;

/// The parameters behind a path.
#[derive(Debug, Clone, Default)]
pub struct Query(Vec<(String, String)>);

/// What lists are narrowed down to: words, each with the values that fit.
pub type Filters = BTreeMap<String, Vec<String>>;

impl Query {
    /// Reads what stands behind the question mark.
    pub fn parse(text: &str) -> Self {
        let pairs = url::form_urlencoded::parse(text.as_bytes());
        Self(pairs.map(|(key, value)| (key.into_owned(), value.into_owned())).collect())
    }

    /// Returns a parameter that is there and not empty.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.given(key).filter(|value| !value.is_empty())
    }

    /// Returns a parameter, also an empty one.
    pub fn given(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Returns all values of a parameter.
    pub fn all(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Whether a parameter is true; everything is but a few words.
    pub fn flag(&self, key: &str) -> bool {
        self.flag_or(key, false)
    }

    /// Whether a parameter is true, with what counts when it is absent.
    pub fn flag_or(&self, key: &str, absent: bool) -> bool {
        self.given(key).map_or(absent, |value| {
            !["", "0", "no", "false", "none"].contains(&value.trim().to_lowercase().as_str())
        })
    }

    /// Reads a whole number.
    ///
    /// # Errors
    /// The parameter is there and none.
    pub fn number<N: std::str::FromStr>(&self, key: &str) -> Result<Option<N>, ApiError> {
        let read = |value: &str| {
            value.parse().map_err(|_| ApiError::bad(format!("invalid value for {key}: {value:?}")))
        };
        self.text(key).map(read).transpose()
    }

    /// Reads `filters` in both of its forms: lists of values, and maps from values to true.
    ///
    /// # Errors
    /// It is neither.
    pub fn filters(&self) -> Result<Filters, ApiError> {
        let Some(text) = self.text("filters") else { return Ok(Filters::new()) };
        let bad = || ApiError::bad(format!("invalid filters: {text}"));
        let Ok(Value::Object(keys)) = serde_json::from_str::<Value>(text) else { return Err(bad()) };
        let values = |value: Value| match value {
            Value::Array(list) => list
                .into_iter()
                .map(|one| match one {
                    Value::String(text) => Some(text),
                    Value::Bool(_) | Value::Number(_) => Some(one.to_string()),
                    _ => None,
                })
                .collect(),
            Value::Object(map) => {
                let set = map.into_iter().filter(|(_, value)| value != &Value::Bool(false));
                Some(set.map(|(key, _)| key).collect())
            }
            _ => None,
        };
        keys.into_iter().map(|(key, value)| Ok((key, values(value).ok_or_else(bad)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_true_unless_they_say_no() {
        for (text, expected) in [
            ("", false),
            ("all", false),
            ("all=", false),
            ("all=0", false),
            ("all=False", false),
            ("all=none", false),
            ("all=1", true),
            ("all=true", true),
            ("all=anything", true),
        ] {
            assert_eq!(Query::parse(text).flag("all"), expected, "{text}");
        }
    }

    #[test]
    fn filters_have_two_forms() {
        let list = Query::parse("filters=%7B%22label%22%3A%5B%22a%3Db%22%5D%7D").filters().expect("a list");
        let map =
            Query::parse("filters=%7B%22label%22%3A%7B%22a%3Db%22%3Atrue%7D%7D").filters().expect("a map");
        assert_eq!(list, map);
        assert_eq!(list["label"], ["a=b"]);
        for bad in ["filters=x", "filters=[]", "filters={\"a\":1}", "filters={\"a\":[[]]}"] {
            assert!(Query::parse(bad).filters().is_err(), "{bad}");
        }
        assert!(Query::parse("filters=").filters().expect("empty is none").is_empty());
    }
}
