//! Variables: defaults, types, what the environment says, validation.

use std::sync::Arc;

use hcl_edit::Span as _;

use super::Resolver;
use crate::bake::entries::parse_bool;
use crate::bake::error::BakeError;
use crate::bake::eval::{Names as _, Scope};
use crate::bake::functions::csv_records;
use crate::bake::kind::Kind;
use crate::bake::number::Number;
use crate::bake::syntax::Block;
use crate::bake::value::Value;

/// A variable as `--list variables` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// The name.
    pub name: String,
    /// Its type's name, if it has one.
    pub kind: Option<String>,
    /// Its value; none for `null`.
    pub value: Option<String>,
    /// What it is for.
    pub description: String,
}

impl Resolver<'_> {
    /// Evaluates and validates all variables.
    pub(super) fn variables(&self) -> Result<Vec<Variable>, BakeError> {
        let mut found = Vec::new();
        for (name, block) in &self.variables {
            let value = self.variable(name).map_err(|error| match error {
                BakeError::Plain(detail) => {
                    // Where the brace stands.
                    let end = block.head.end + 1;
                    BakeError::at(&block.file, end..end, "Invalid value", detail)
                }
                placed => placed,
            })?;
            let value = value.unwrap_or(Value::Null);
            let shown = match &value {
                Value::Null => None,
                value => Some(value.to_text().map_or_else(|| value.to_json(), |text| text.to_string())),
            };
            let description = match block.body.attribute("description") {
                Some(attribute) => {
                    let text = self.eval(attribute, &Scope::default())?.to_text();
                    text.map(|text| text.to_string()).unwrap_or_default()
                }
                None => String::new(),
            };
            let kind = self.kind(block)?.map(|kind| kind.friendly());
            found.push(Variable { name: name.clone(), kind, value: shown, description });
        }
        self.variables.values().try_for_each(|block| self.validate(block))?;
        Ok(found)
    }

    pub(super) fn find_variable(&self, name: &str) -> Result<Value, BakeError> {
        if let Some(text) = self.around.built_in.get(name) {
            let text = (self.around.look_up)(name).unwrap_or_else(|| text.clone());
            return Ok(Value::string(text));
        }
        if let Some(attribute) = self.attributes.get(name) {
            let value = self.eval(attribute, &Scope::default())?;
            return match self.variables.get(name) {
                Some(block) => self.overridden(name, block, value),
                None => Ok(value),
            };
        }
        let block = &self.variables[name];
        match block.body.attribute("default") {
            Some(default) => {
                let value = self.eval(default, &Scope::default())?;
                self.overridden(name, block, value)
            }
            None if self.kind(block)?.is_some() => self.overridden(name, block, Value::Null),
            None => Ok(Value::string((self.around.look_up)(name).unwrap_or_default())),
        }
    }

    /// The type that a variable's block names.
    fn kind(&self, block: &Block) -> Result<Option<Kind>, BakeError> {
        let Some(attribute) = block.body.attribute("type") else { return Ok(None) };
        Kind::parse(&attribute.expr).map(Some).map_err(|why| {
            let span = attribute.expr.span().unwrap_or_else(|| attribute.span.clone());
            BakeError::at(&attribute.file, span, "Invalid type specification", why)
        })
    }

    /// The environment's value if it has one, else the default, of the type that is declared.
    fn overridden(&self, name: &str, block: &Block, default: Value) -> Result<Value, BakeError> {
        let look_up = self.around.look_up;
        let Some(kind) = self.kind(block)? else {
            let is_plain =
                matches!(default, Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Null);
            let json = || look_up(&format!("{name}_JSON")).filter(|_| !is_plain);
            let Some(text) = look_up(name).or_else(json) else { return Ok(default) };
            return match default {
                Value::Bool(_) => go_bool(name, &text),
                Value::Number(_) => go_number(name, &text),
                Value::String(_) | Value::Null => Ok(Value::string(text)),
                other => Err(BakeError::plain(format!(
                    "unsupported type {} for variable {name}",
                    other.type_name()
                ))),
            };
        };
        let json = look_up(&format!("{name}_JSON")).filter(|_| !kind.is_primitive());
        if let Some(text) = json {
            let failed =
                |why: String| BakeError::plain(format!("failed to convert variable {name} from JSON: {why}"));
            let json: serde_json::Value = serde_json::from_str(&text).map_err(|e| failed(e.to_string()))?;
            return kind.convert(&Value::from_json(&json)).map_err(failed);
        }
        if let Some(text) = look_up(name) {
            return from_text(name, &kind, &text);
        }
        kind.convert(&default).map_err(|why| {
            BakeError::plain(format!(
                "invalid type {} for variable {name} default value: {why}",
                kind.friendly()
            ))
        })
    }

    fn validate(&self, block: &Block) -> Result<(), BakeError> {
        for validation in block.body.blocks.iter().filter(|inner| inner.kind == "validation") {
            let scope = Scope::default();
            let part = |name: &str| {
                validation.body.attribute(name).ok_or_else(|| {
                    let detail = format!("The argument {name:?} is required, but no definition was found.");
                    BakeError::at(
                        &validation.file,
                        validation.head.clone(),
                        "Missing required argument",
                        detail,
                    )
                })
            };
            let (condition, message) = (part("condition")?, part("error_message")?);
            let span = condition.expr.span().unwrap_or_else(|| condition.span.clone());
            let holds = self.eval(condition, &scope)?.to_bool().ok_or_else(|| {
                let detail = "The condition must be a bool.";
                BakeError::at(&condition.file, span.clone(), "Invalid validation", detail)
            })?;
            if !holds {
                let text = self.eval(message, &scope)?.to_text().unwrap_or_default();
                return Err(BakeError::at(&condition.file, span, "Validation failed", &*text));
            }
        }
        Ok(())
    }
}

/// Text of the environment as a value of a declared type: lists and maps are comma-separated.
fn from_text(name: &str, kind: &Kind, text: &str) -> Result<Value, BakeError> {
    let failed = |why: String| BakeError::plain(format!("failed to convert variable {name} from CSV: {why}"));
    let fields = || -> Result<Vec<String>, BakeError> {
        Ok(csv_records(text)
            .map_err(failed)?
            .into_iter()
            .next()
            .map(|(_, fields)| fields)
            .unwrap_or_default())
    };
    let element = |inner: &Kind, text: &str| {
        from_text(name, inner, text)
            .map_err(|error| failed(format!("failed to parse element of type {}: {error}", kind.friendly())))
    };
    match kind {
        Kind::String | Kind::Any => Ok(Value::string(text)),
        Kind::Bool => go_bool(name, text),
        Kind::Number => go_number(name, text),
        Kind::List(inner) | Kind::Set(inner) => {
            let values =
                fields()?.iter().map(|field| element(inner, field)).collect::<Result<Vec<_>, _>>()?;
            Ok(if matches!(kind, Kind::Set(_)) { Value::set(values) } else { Value::list(values) })
        }
        Kind::Tuple(kinds) => {
            let fields = fields()?;
            if fields.len() != kinds.len() {
                return Err(failed(format!("{} elements expected, got {}", kinds.len(), fields.len())));
            }
            let values = kinds.iter().zip(&fields).map(|(inner, field)| element(inner, field));
            Ok(Value::List(crate::bake::value::Sequence::Tuple, Arc::new(values.collect::<Result<_, _>>()?)))
        }
        Kind::Map(_) | Kind::Object(_) => {
            let pairs = fields()?.into_iter().map(|field| {
                let (key, value) = field
                    .split_once(':')
                    .ok_or_else(|| failed(format!("expected one k/v pair but got 1 pieces from {field}")))?;
                Ok((key.to_owned(), Value::string(value)))
            });
            kind.convert(&Value::map(pairs.collect::<Result<_, BakeError>>()?)).map_err(failed)
        }
    }
}

fn go_bool(name: &str, text: &str) -> Result<Value, BakeError> {
    parse_bool(text).map(Value::Bool).ok_or_else(|| {
        let why = format!("strconv.ParseBool: parsing {text:?}: invalid syntax");
        BakeError::plain(format!("failed to parse {name} as bool: {why}"))
    })
}

fn go_number(name: &str, text: &str) -> Result<Value, BakeError> {
    Number::parse(text).map(Value::Number).ok_or_else(|| {
        let why = format!("strconv.ParseFloat: parsing {text:?}: invalid syntax");
        BakeError::plain(format!("failed to parse {name} as number: {why}"))
    })
}
