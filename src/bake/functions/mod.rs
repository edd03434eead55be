//! The functions that expressions may call, with docker's names, parameters and messages.
//!
//! A table a file. `try`, `can` and `convert` are in the evaluator: they look at expressions.
//! `byteslen` and `bytesslice` take a type that no bake file can make: they are known, and refuse.

mod collection;
mod crypto;
mod format;
mod logic;
mod net;
mod pattern;
mod sets;
mod text;
mod time;

pub use text::records as csv_records;

use super::budget::Budget;
use super::error::BakeError;
use super::number::Number;
use super::value::Value;

/// What a parameter takes; values are converted to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Text.
    String,
    /// A number.
    Number,
    /// A truth value.
    Bool,
    /// Anything but null.
    Any,
    /// Anything.
    Nullable,
    /// A sequence.
    List,
    /// A sequence of text.
    Strings,
    /// A sequence, made a set.
    Set,
    /// Raw bytes, which no expression gives.
    Bytes,
}

/// A parameter: its name and what it takes.
pub type Parameter = (&'static str, Takes);

/// A function.
pub struct Function {
    name: &'static str,
    parameters: &'static [Parameter],
    variadic: Option<Parameter>,
    run: fn(&Arguments<'_>) -> Result<Value, Fail>,
}

/// What functions know of the machine.
#[derive(Debug, Clone, Default)]
pub struct Host {
    /// The user's home directory.
    pub home: String,
    /// Seconds since 1970.
    pub now: i64,
}

/// Why a call failed.
#[derive(Debug)]
pub enum Fail {
    /// An argument is wrong.
    Argument(usize, String),
    /// An argument is missing.
    TooFew(String),
    /// The argument with this number is one too many.
    TooMany(usize, String),
    /// The call as a whole failed.
    Call(String),
}

impl From<BakeError> for Fail {
    fn from(error: BakeError) -> Self {
        Self::Call(error.to_string())
    }
}

impl From<String> for Fail {
    fn from(text: String) -> Self {
        Self::Call(text)
    }
}

impl From<&str> for Fail {
    fn from(text: &str) -> Self {
        Self::Call(text.to_owned())
    }
}

/// The converted arguments of a call.
pub struct Arguments<'a> {
    values: &'a [Value],
    budget: &'a Budget,
    host: &'a Host,
}

impl Arguments<'_> {
    fn text(&self, index: usize) -> &str {
        match self.values.get(index) {
            Some(Value::String(text)) => text,
            _ => "",
        }
    }

    fn number(&self, index: usize) -> Number {
        match self.values.get(index) {
            Some(Value::Number(number)) => number.clone(),
            _ => Number::from(0_i64),
        }
    }

    /// A whole number of 64 bits.
    fn integer(&self, index: usize) -> Result<i64, Fail> {
        self.number(index).to_i64().ok_or_else(|| {
            Fail::Argument(
                index,
                "value must be a whole number, between -9223372036854775808 and 9223372036854775807"
                    .to_owned(),
            )
        })
    }

    fn bool(&self, index: usize) -> bool {
        self.values.get(index) == Some(&Value::Bool(true))
    }

    fn list(&self, index: usize) -> &[Value] {
        match self.values.get(index) {
            Some(Value::List(_, values)) => values,
            _ => &[],
        }
    }

    fn from(&self, index: usize) -> &[Value] {
        self.values.get(index..).unwrap_or_default()
    }
}

fn tables() -> impl Iterator<Item = &'static Function> {
    [
        collection::TABLE,
        crypto::TABLE,
        format::TABLE,
        logic::TABLE,
        net::TABLE,
        pattern::TABLE,
        sets::TABLE,
        text::TABLE,
        time::TABLE,
    ]
    .into_iter()
    .flatten()
}

/// Returns a function by name.
pub fn find(name: &str) -> Option<&'static Function> {
    tables().find(|function| function.name == name)
}

/// Returns what to say of a name that is no function's.
pub fn unknown(name: &str) -> String {
    let text = format!("There is no function named {name:?}.");
    let near = tables().map(|function| (edits(name, function.name), function.name)).min();
    match near {
        Some((distance, other)) if distance < 3 => format!("{text} Did you mean {other:?}?"),
        _ => text,
    }
}

/// Edits between two words.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    if a.len() > 64 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let cost = before + usize::from(x != *y);
            before = row[j + 1];
            row[j + 1] = cost.min(before + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

impl Function {
    /// Returns the name of the parameter that an argument is for.
    pub fn parameter(&self, index: usize) -> Option<&'static str> {
        self.parameters.get(index).or(self.variadic.as_ref()).map(|(name, _)| *name)
    }
}

/// Calls a function.
///
/// # Errors
/// The arguments are not what it takes, it fails, or the budget is used up.
pub fn call(
    function: &Function,
    mut values: Vec<Value>,
    budget: &Budget,
    host: &Host,
) -> Result<Value, Fail> {
    let expected = function.parameters.len();
    if let Some((missing, _)) = function.parameters.get(values.len()) {
        let least = if function.variadic.is_some() { "at least " } else { "" };
        return Err(Fail::TooFew(format!(
            "Function {:?} expects {least}{expected} argument(s). Missing value for {missing:?}.",
            function.name
        )));
    }
    if function.variadic.is_none() && values.len() > expected {
        return Err(Fail::TooMany(
            expected,
            format!("Function {:?} expects only {expected} argument(s).", function.name),
        ));
    }
    for (index, value) in values.iter_mut().enumerate() {
        let takes =
            function.parameters.get(index).or(function.variadic.as_ref()).map_or(Takes::Nullable, |p| p.1);
        *value = convert(takes, value).map_err(|why| Fail::Argument(index, why))?;
    }
    let result = (function.run)(&Arguments { values: &values, budget, host })?;
    budget.take(result.weight())?;
    Ok(result)
}

fn convert(takes: Takes, value: &Value) -> Result<Value, String> {
    if takes == Takes::Nullable {
        return Ok(value.clone());
    }
    if value.is_null() {
        return Err("argument must not be null".to_owned());
    }
    let needs = |what: &str| match value {
        Value::String(_) if what != "string" => format!("a {what} is required"),
        _ => format!("{what} required"),
    };
    let list = |what: &str| value.elements().ok_or_else(|| format!("{what} required"));
    match takes {
        Takes::Bytes => Err("bytes required".to_owned()),
        Takes::Any | Takes::Nullable => Ok(value.clone()),
        Takes::String => value.to_text().map(Value::String).ok_or_else(|| needs("string")),
        Takes::Number => value.to_number().map(Value::Number).ok_or_else(|| needs("number")),
        Takes::Bool => value.to_bool().map(Value::Bool).ok_or_else(|| needs("bool")),
        Takes::List => Ok(Value::list(Value::unify(list("list of any single type")?.to_vec()))),
        Takes::Set => Ok(Value::set(Value::unify(list("set of any single type")?.to_vec()))),
        Takes::Strings => {
            let texts = list("list of string")?.iter().map(|value| match value {
                Value::Null => Ok(Value::Null),
                value => value
                    .to_text()
                    .map(Value::String)
                    .ok_or_else(|| "incorrect list element type: string required".to_owned()),
            });
            Ok(Value::list(texts.collect::<Result<_, _>>()?))
        }
    }
}

/// A function with a fixed number of parameters.
const fn fixed(
    name: &'static str,
    parameters: &'static [Parameter],
    run: fn(&Arguments<'_>) -> Result<Value, Fail>,
) -> Function {
    Function { name, parameters, variadic: None, run }
}

/// A function with any number of last parameters.
const fn variadic(
    name: &'static str,
    parameters: &'static [Parameter],
    rest: Parameter,
    run: fn(&Arguments<'_>) -> Result<Value, Fail>,
) -> Function {
    Function { name, parameters, variadic: Some(rest), run }
}
