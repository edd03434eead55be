//! The functions that templates may call: Go's, and docker's few more.

use std::cmp::Ordering;

use serde_json::Value;

use super::eval::Val;
use super::print::{show, sprint, sprintf};

const NAMES: &[&str] = &[
    "and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "index", "slice", "len", "print", "printf",
    "println", "html", "js", "urlquery", "call", "json", "split", "join", "title", "lower", "upper", "pad",
    "truncate",
];

pub(super) fn exists(name: &str) -> bool {
    NAMES.contains(&name)
}

/// Go's truth: not false, zero, empty or nil.
pub(super) fn truth(value: &Val) -> bool {
    match value.json() {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// The name of a value's type, near enough to Go's.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

type Result<T> = std::result::Result<T, String>;

pub(super) fn call(name: &str, arguments: &[Val]) -> Result<Val> {
    let text = |text: String| Ok(Val::Json(Value::String(text)));
    let boolean = |value: bool| Ok(Val::Json(Value::Bool(value)));
    match name {
        "not" => boolean(!truth(one(arguments)?)),
        "eq" => equal_to_any(arguments).and_then(boolean),
        "ne" => {
            let (a, b) = two(arguments)?;
            boolean(!equal(a, b)?)
        }
        "lt" | "le" | "gt" | "ge" => {
            let (a, b) = two(arguments)?;
            let order = compare(a, b)?;
            boolean(match name {
                "lt" => order == Ordering::Less,
                "le" => order != Ordering::Greater,
                "gt" => order == Ordering::Greater,
                _ => order != Ordering::Less,
            })
        }
        "index" => index(arguments),
        "slice" => slice(arguments),
        "len" => match one(arguments)?.json() {
            Value::String(text) => Ok(Val::Json(text.len().into())),
            Value::Array(items) => Ok(Val::Json(items.len().into())),
            Value::Object(map) => Ok(Val::Json(map.len().into())),
            Value::Null => Ok(Val::Json(0.into())),
            other => Err(format!("len of type {}", kind(other))),
        },
        "print" => text(sprint(arguments)),
        "println" => text(arguments.iter().map(show).collect::<Vec<_>>().join(" ") + "\n"),
        "printf" => {
            let (format, rest) =
                arguments.split_first().ok_or("wrong number of args: want at least 1 got 0")?;
            text(sprintf(string(format)?, rest))
        }
        "html" => text(html(&sprint(arguments))),
        "js" => text(js(&sprint(arguments))),
        "urlquery" => text(url_query(&sprint(arguments))),
        "json" => {
            let value = one(arguments)?.json();
            text(serde_json::to_string(value).map_err(|e| e.to_string())?)
        }
        "split" => {
            let (value, separator) = two(arguments)?;
            let parts = split(string(value)?, string(separator)?);
            Ok(Val::Json(parts.into()))
        }
        "join" => {
            let (list, separator) = two(arguments)?;
            text(strings(list)?.join(string(separator)?))
        }
        "title" => text(title(string(one(arguments)?)?)),
        "lower" => text(string(one(arguments)?)?.to_lowercase()),
        "upper" => text(string(one(arguments)?)?.to_uppercase()),
        "pad" => pad(arguments).and_then(text),
        "truncate" => {
            let (value, limit) = two(arguments)?;
            let limit = limit.json().as_u64().ok_or("the length is no number")? as usize;
            text(string(value)?.chars().take(limit).collect())
        }
        _ => Err("there is nothing to call".to_owned()),
    }
}

fn one(arguments: &[Val]) -> Result<&Val> {
    match arguments {
        [value] => Ok(value),
        other => Err(format!("wrong number of args: want 1 got {}", other.len())),
    }
}

fn two(arguments: &[Val]) -> Result<(&Val, &Val)> {
    match arguments {
        [a, b] => Ok((a, b)),
        other => Err(format!("wrong number of args: want 2 got {}", other.len())),
    }
}

fn string(value: &Val) -> Result<&str> {
    value
        .json()
        .as_str()
        .ok_or_else(|| format!("wrong type for value; expected string; got {}", kind(value.json())))
}

/// The strings of a list, or a map's values in order.
fn strings(value: &Val) -> Result<Vec<String>> {
    let plain = |value: &Value| show(&Val::Json(value.clone()));
    match value.json() {
        Value::Array(items) => Ok(items.iter().map(plain).collect()),
        Value::Object(map) => {
            let mut values: Vec<String> = map.values().map(plain).collect();
            values.sort();
            Ok(values)
        }
        Value::Null => Ok(Vec::new()),
        other => Err(format!("expected slice, got {}", kind(other))),
    }
}

fn split(text: &str, separator: &str) -> Vec<String> {
    if separator.is_empty() {
        return text.chars().map(String::from).collect();
    }
    text.split(separator).map(str::to_owned).collect()
}

fn equal_to_any(arguments: &[Val]) -> Result<bool> {
    let (first, rest) = arguments.split_first().ok_or("missing argument for comparison")?;
    if rest.is_empty() {
        return Err("missing argument for comparison".to_owned());
    }
    for other in rest {
        if equal(first, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn equal(a: &Val, b: &Val) -> Result<bool> {
    match (a.json(), b.json()) {
        (Value::Null, other) | (other, Value::Null) => Ok(other.is_null()),
        (Value::Array(_) | Value::Object(_), _) | (_, Value::Array(_) | Value::Object(_)) => {
            Err("non-comparable type".to_owned())
        }
        (a, b) if kind(a) != kind(b) => Err("incompatible types for comparison".to_owned()),
        (a, b) => Ok(a == b),
    }
}

fn compare(a: &Val, b: &Val) -> Result<Ordering> {
    let incompatible = || "incompatible types for comparison".to_owned();
    match (a.json(), b.json()) {
        (Value::String(a), Value::String(b)) => Ok(a.cmp(b)),
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => Ok(a.cmp(&b)),
            _ => a.as_f64().partial_cmp(&b.as_f64()).ok_or_else(incompatible),
        },
        _ => Err(incompatible()),
    }
}

fn index(arguments: &[Val]) -> Result<Val> {
    let (first, keys) = arguments.split_first().ok_or("wrong number of args: want at least 1 got 0")?;
    let mut value = first.clone();
    for key in keys {
        value = match (value.json(), key.json()) {
            (Value::Array(items), Value::Number(n)) => {
                let found = n.as_u64().and_then(|n| items.get(n as usize));
                Val::Json(found.cloned().ok_or_else(|| format!("index out of range: {n}"))?)
            }
            (Value::String(text), Value::Number(n)) => {
                let found = n.as_u64().and_then(|n| text.as_bytes().get(n as usize));
                Val::Json(found.copied().ok_or_else(|| format!("index out of range: {n}"))?.into())
            }
            // A map's missing key is its zero value; of the maps here that is the empty string, or nothing.
            (Value::Object(map), Value::String(key)) => match map.get(key) {
                Some(found) => Val::Json(found.clone()),
                None if map.values().all(Value::is_string) => Val::Json(Value::String(String::new())),
                None => Val::Json(Value::Null),
            },
            (Value::Null, Value::String(_)) => Val::Json(Value::String(String::new())),
            (Value::Null, _) => return Err("index of untyped nil".to_owned()),
            (other, key) => {
                return Err(format!("can't index item of type {} with {}", kind(other), kind(key)));
            }
        };
    }
    Ok(value)
}

fn slice(arguments: &[Val]) -> Result<Val> {
    let (first, bounds) = arguments.split_first().ok_or("wrong number of args: want at least 1 got 0")?;
    let length = match first.json() {
        Value::String(text) => text.len(),
        Value::Array(items) => items.len(),
        other => return Err(format!("can't slice item of type {}", kind(other))),
    };
    let bound = |n: usize, default: usize| match bounds.get(n).map(Val::json) {
        None => Ok(default),
        Some(value) => value.as_u64().map(|n| n as usize).ok_or_else(|| "a bound is no number".to_owned()),
    };
    let (from, to) = (bound(0, 0)?, bound(1, length)?);
    if from > to || to > length {
        return Err(format!("index out of range: {from}:{to}"));
    }
    match first.json() {
        Value::String(text) => {
            Ok(Val::Json(String::from_utf8_lossy(&text.as_bytes()[from..to]).into_owned().into()))
        }
        Value::Array(items) => Ok(Val::Json(items[from..to].to_vec().into())),
        _ => unreachable!("the length was taken of a string or a list"),
    }
}

/// `pad STR BEFORE AFTER`: blanks around a text that is not empty.
fn pad(arguments: &[Val]) -> Result<String> {
    let [value, before, after] = arguments else {
        return Err(format!("wrong number of args: want 3 got {}", arguments.len()));
    };
    let value = string(value)?;
    let count = |n: &Val| n.json().as_u64().map_or(0, |n| n.min(10_000) as usize);
    Ok(if value.is_empty() {
        String::new()
    } else {
        format!("{}{value}{}", " ".repeat(count(before)), " ".repeat(count(after)))
    })
}

fn title(text: &str) -> String {
    let mut start = true;
    text.chars()
        .map(|c| {
            let out = if start { c.to_uppercase().next().unwrap_or(c) } else { c };
            start = !(c.is_alphanumeric() || c == '_');
            out
        })
        .collect()
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('\'', "&#39;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&#34;")
}

fn js(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' | '>' | '&' | '=' => out.push_str(&format!("\\u{:04X}", c as u32)),
            c if (c as u32) < 0x20 => out.push_str(&format!("\\u{:04X}", c as u32)),
            c => out.push(c),
        }
    }
    out
}

fn url_query(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
