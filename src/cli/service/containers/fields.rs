//! The fields of a JSON object as Go reads them: names in any case, null as nothing.

use serde_json::{Map, Value};

use crate::engine::ApiError;

/// The fields of an object.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    map: &'a Map<String, Value>,
    /// Where the object is, for errors.
    of: &'a str,
}

/// What an absent object is.
static NOTHING: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);

impl<'a> Fields<'a> {
    /// Looks into a value.
    ///
    /// # Errors
    /// It is no object.
    pub fn of(value: &'a Value, of: &'a str) -> Result<Self, ApiError> {
        match value {
            Value::Null => Ok(Self { map: &NOTHING, of }),
            Value::Object(map) => Ok(Self { map, of }),
            _ => Err(ApiError::bad(format!("invalid JSON: {of} must be an object"))),
        }
    }

    fn bad(&self, key: &str, what: &str) -> ApiError {
        ApiError::bad(format!("invalid JSON: {}.{key} must be {what}", self.of))
    }

    /// Returns a field that is there and not null.
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        let other =
            || self.map.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value);
        self.map.get(key).or_else(other).filter(|value| !value.is_null())
    }

    /// Returns a text, empty without one.
    ///
    /// # Errors
    /// It is something else.
    pub fn text(&self, key: &str) -> Result<String, ApiError> {
        match self.get(key) {
            None => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(_) => Err(self.bad(key, "a string")),
        }
    }

    /// Returns a text that is there and not empty.
    ///
    /// # Errors
    /// It is something else.
    pub fn some_text(&self, key: &str) -> Result<Option<String>, ApiError> {
        Ok(Some(self.text(key)?).filter(|text| !text.is_empty()))
    }

    /// Returns whether something is true.
    ///
    /// # Errors
    /// It is no truth value.
    pub fn flag(&self, key: &str) -> Result<bool, ApiError> {
        Ok(self.some_flag(key)?.unwrap_or(false))
    }

    /// Returns whether something is true, if it is said.
    ///
    /// # Errors
    /// It is no truth value.
    pub fn some_flag(&self, key: &str) -> Result<Option<bool>, ApiError> {
        self.get(key).map(|value| value.as_bool().ok_or_else(|| self.bad(key, "a boolean"))).transpose()
    }

    /// Returns a whole number.
    ///
    /// # Errors
    /// It is none.
    pub fn number(&self, key: &str) -> Result<Option<i64>, ApiError> {
        self.get(key).map(|value| value.as_i64().ok_or_else(|| self.bad(key, "an integer"))).transpose()
    }

    /// Returns a whole number that is there and not 0.
    ///
    /// # Errors
    /// It is none.
    pub fn some_number(&self, key: &str) -> Result<Option<i64>, ApiError> {
        Ok(self.number(key)?.filter(|number| *number != 0))
    }

    /// Returns a list of texts; a single text is one of one.
    ///
    /// # Errors
    /// It is something else.
    pub fn some_words(&self, key: &str) -> Result<Option<Vec<String>>, ApiError> {
        let word = |value: &Value| value.as_str().map(str::to_owned);
        let words = match self.get(key) {
            None => return Ok(None),
            Some(Value::String(text)) => Some(vec![text.clone()]),
            Some(Value::Array(list)) => list.iter().map(word).collect(),
            Some(_) => None,
        };
        words.map(Some).ok_or_else(|| self.bad(key, "a list of strings"))
    }

    /// Returns a list of texts, empty without one.
    ///
    /// # Errors
    /// It is something else.
    pub fn words(&self, key: &str) -> Result<Vec<String>, ApiError> {
        Ok(self.some_words(key)?.unwrap_or_default())
    }

    /// Returns the objects of a list.
    ///
    /// # Errors
    /// It is no list of objects.
    pub fn objects(&self, key: &'a str) -> Result<Vec<Fields<'a>>, ApiError> {
        match self.get(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(list)) => list.iter().map(|value| Self::of(value, key)).collect(),
            Some(_) => Err(self.bad(key, "a list")),
        }
    }

    /// Returns an object, an empty one without one.
    ///
    /// # Errors
    /// It is something else.
    pub fn object(&self, key: &'a str) -> Result<Fields<'a>, ApiError> {
        Self::of(self.get(key).unwrap_or(&Value::Null), key)
    }

    /// Returns the names of the fields, and their values.
    pub fn each(&self) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
        self.map.iter()
    }

    /// Returns an object of texts as pairs.
    ///
    /// # Errors
    /// It is something else.
    pub fn texts(&self, key: &'a str) -> Result<Vec<(String, String)>, ApiError> {
        let pair = |(name, value): (&String, &Value)| match value {
            Value::String(text) => Ok((name.clone(), text.clone())),
            Value::Null => Ok((name.clone(), String::new())),
            _ => Err(self.bad(key, "an object of strings")),
        };
        self.object(key)?.each().map(pair).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_read_as_go_does() {
        let value = json!({ "image": "x", "Cmd": "sh", "Env": ["a=b"], "Tty": null, "Memory": 5, "Labels": { "a": "b" } });
        let fields = Fields::of(&value, "Config").expect("an object");
        assert_eq!(fields.text("Image").expect("a text"), "x");
        assert_eq!(fields.words("Cmd").expect("a list"), ["sh"]);
        assert_eq!(fields.words("env").expect("a list"), ["a=b"]);
        assert!(!fields.flag("Tty").expect("null is false"));
        assert_eq!(fields.some_number("Memory").expect("a number"), Some(5));
        assert_eq!(fields.texts("Labels").expect("texts"), [("a".to_owned(), "b".to_owned())]);
        assert!(
            fields.words("Memory").is_err() && fields.flag("Memory").is_err() && fields.text("Env").is_err()
        );
        assert!(Fields::of(&json!([]), "Config").is_err());
    }
}
