//! What `inspect` shows as it was given: long, and seldom looked at.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// A JSON value that stays text until somebody looks at it: lists of containers are read without it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shown(Box<RawValue>);

impl Shown {
    /// Returns the value.
    pub fn value(&self) -> Value {
        serde_json::from_str(self.0.get()).unwrap_or_default()
    }

    /// Changes the value.
    pub fn change(&mut self, change: impl FnOnce(&mut Value)) {
        let mut value = self.value();
        change(&mut value);
        *self = value.into();
    }
}

impl Default for Shown {
    fn default() -> Self {
        Value::Null.into()
    }
}

impl From<Value> for Shown {
    fn from(value: Value) -> Self {
        Self(RawValue::from_string(value.to_string()).expect("a value is JSON"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_is_the_same_after_a_way_through_text() {
        let mut shown = Shown::from(json!({ "b": [1, "x"], "a": null }));
        shown.change(|value| value["c"] = true.into());
        let text = serde_json::to_string(&shown).expect("it serialises");
        assert_eq!(text, r#"{"b":[1,"x"],"a":null,"c":true}"#);
        let again: Shown = serde_json::from_str(&text).expect("it is read");
        assert_eq!(again.value(), json!({ "b": [1, "x"], "a": null, "c": true }));
    }
}
