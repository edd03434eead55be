//! Values of expressions, and how one becomes another's type.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::number::Number;

/// How a sequence came to be: what it prints is the same, what functions accept is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sequence {
    /// `[a, b]`: every element has its own type.
    Tuple,
    /// All elements are of one type.
    List,
    /// Sorted, each value once.
    Set,
}

/// A value of an expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text.
    String(Arc<str>),
    /// Values in order.
    List(Sequence, Arc<Vec<Value>>),
    /// Values by name; an object or a map.
    Map(Arc<BTreeMap<String, Value>>),
}

impl Value {
    /// Returns text.
    pub fn string(text: impl Into<Arc<str>>) -> Self {
        Self::String(text.into())
    }

    /// Returns a whole number.
    pub fn count(number: usize) -> Self {
        Self::Number(Number::from(number))
    }

    /// Returns a tuple.
    pub fn tuple(values: Vec<Self>) -> Self {
        Self::List(Sequence::Tuple, Arc::new(values))
    }

    /// Returns a list.
    pub fn list(values: Vec<Self>) -> Self {
        Self::List(Sequence::List, Arc::new(values))
    }

    /// Returns a set: sorted, each value once.
    pub fn set(mut values: Vec<Self>) -> Self {
        values.sort_by(Self::order);
        values.dedup_by(|a, b| a == b);
        Self::List(Sequence::Set, Arc::new(values))
    }

    /// Returns an object.
    pub fn map(values: BTreeMap<String, Self>) -> Self {
        Self::Map(Arc::new(values))
    }

    /// Returns whether it is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Returns the text of a string, number or boolean.
    pub fn to_text(&self) -> Option<Arc<str>> {
        match self {
            Self::String(text) => Some(Arc::clone(text)),
            Self::Number(number) => Some(number.to_string().into()),
            Self::Bool(value) => Some(if *value { "true" } else { "false" }.into()),
            _ => None,
        }
    }

    /// Returns the number of a number, or of a string that is one.
    pub fn to_number(&self) -> Option<Number> {
        match self {
            Self::Number(number) => Some(number.clone()),
            Self::String(text) => Number::parse(text),
            _ => None,
        }
    }

    /// Returns the boolean of a boolean, or of a string that is one.
    pub fn to_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::String(text) => match &**text {
                "true" | "1" => Some(true),
                "false" | "0" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    /// Returns the elements of a sequence.
    pub fn elements(&self) -> Option<&Arc<Vec<Self>>> {
        match self {
            Self::List(_, values) => Some(values),
            _ => None,
        }
    }

    /// Returns the type's name in error messages.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "dynamic",
            Self::Bool(_) => "bool",
            Self::Number(_) => "number",
            Self::String(_) => "string",
            Self::List(Sequence::Tuple, _) => "tuple",
            Self::List(Sequence::List, _) => "list",
            Self::List(Sequence::Set, _) => "set",
            Self::Map(_) => "object",
        }
    }

    /// Returns the size that counts against an evaluation's budget.
    pub fn weight(&self) -> usize {
        match self {
            Self::String(text) => 1 + text.len(),
            Self::List(_, values) => 1 + values.len(),
            Self::Map(values) => 1 + values.len(),
            _ => 1,
        }
    }

    /// A total order: the one in which a set's elements stand.
    pub fn order(&self, other: &Self) -> Ordering {
        let rank = |value: &Self| match value {
            Self::Null => 5,
            Self::Bool(_) => 0,
            Self::Number(_) => 1,
            Self::String(_) => 2,
            Self::List(..) => 3,
            Self::Map(_) => 4,
        };
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.cmp(b),
            (Self::String(a), Self::String(b)) => a.cmp(b),
            (Self::List(_, a), Self::List(_, b)) => {
                let pairs = a.iter().zip(b.iter()).map(|(a, b)| a.order(b));
                pairs.chain([a.len().cmp(&b.len())]).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
            }
            (Self::Map(a), Self::Map(b)) => {
                let pairs = a.iter().zip(b.iter()).map(|(a, b)| a.0.cmp(b.0).then_with(|| a.1.order(b.1)));
                pairs.chain([a.len().cmp(&b.len())]).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
            }
            (a, b) => rank(a).cmp(&rank(b)),
        }
    }

    /// Returns the values with one type where that is possible: text beside numbers makes all text.
    pub fn unify(values: Vec<Self>) -> Vec<Self> {
        let text = values.iter().any(|value| matches!(value, Self::String(_)));
        let primitive = |value: &Self| value.is_null() || value.to_text().is_some();
        if !text || !values.iter().all(primitive) {
            return values;
        }
        values.into_iter().map(|value| value.to_text().map_or(Self::Null, Self::String)).collect()
    }

    /// Writes the value as JSON: keys sorted, no blanks, as `jsonencode` says.
    pub fn write_json(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(number) => out.push_str(&number.to_string()),
            Self::String(text) => super::json::write_string(text, out),
            Self::List(_, values) => {
                out.push('[');
                for (index, value) in values.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    value.write_json(out);
                }
                out.push(']');
            }
            Self::Map(values) => {
                out.push('{');
                for (index, (key, value)) in values.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    super::json::write_string(key, out);
                    out.push(':');
                    value.write_json(out);
                }
                out.push('}');
            }
        }
    }

    /// Returns the value as JSON text.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        self.write_json(&mut out);
        out
    }

    /// Returns the value that a JSON text means.
    pub fn from_json(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(*value),
            serde_json::Value::Number(number) => {
                Number::parse(&number.to_string()).map_or(Self::Null, Self::Number)
            }
            serde_json::Value::String(text) => Self::string(text.as_str()),
            serde_json::Value::Array(values) => Self::tuple(values.iter().map(Self::from_json).collect()),
            serde_json::Value::Object(values) => {
                Self::map(values.iter().map(|(k, v)| (k.clone(), Self::from_json(v))).collect())
            }
        }
    }
}
