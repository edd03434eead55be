//! Types as variables and `convert` name them: `string`, `list(number)`, `object({a = string})`.

use std::collections::BTreeMap;
use std::sync::Arc;

use hcl_edit::expr::{Expression, Object, ObjectKey};

use super::value::{Sequence, Value};

/// A type.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// `any`
    Any,
    /// `string`
    String,
    /// `number`
    Number,
    /// `bool`
    Bool,
    /// `list(T)`
    List(Box<Kind>),
    /// `set(T)`
    Set(Box<Kind>),
    /// `map(T)`
    Map(Box<Kind>),
    /// `tuple([T, ...])`
    Tuple(Vec<Kind>),
    /// `object({name = T, ...})`; `true` for what is optional.
    Object(BTreeMap<String, (Kind, bool)>),
}

impl Kind {
    /// Reads a type expression.
    ///
    /// # Errors
    /// A sentence that says what a type looks like.
    pub fn parse(expr: &Expression) -> Result<Self, String> {
        match expr {
            Expression::Variable(name) => match name.as_str() {
                "any" => Ok(Self::Any),
                "string" => Ok(Self::String),
                "number" => Ok(Self::Number),
                "bool" => Ok(Self::Bool),
                name @ ("list" | "set" | "map") => {
                    Err(format!("The {name} type constructor requires one argument specifying the element type."))
                }
                "object" => Err("The object type constructor requires one argument specifying the attribute types and values as a map.".to_owned()),
                "tuple" => Err("The tuple type constructor requires one argument specifying the element types as a list.".to_owned()),
                name => Err(format!("The keyword {name:?} is not a valid type specification.")),
            },
            // In JSON a type is a text.
            Expression::String(text) => match text.as_str().parse::<Expression>() {
                Ok(Expression::String(_)) | Err(_) => Err(format!("{:?} is no type.", text.as_str())),
                Ok(expr) => Self::parse(&expr),
            },
            Expression::FuncCall(call) => {
                let arguments: Vec<&Expression> = call.args.iter().collect();
                let name = call.name.name.as_str();
                let [argument] = arguments.as_slice() else {
                    return Err(format!("The {name} type constructor requires one argument."));
                };
                match (name, argument) {
                    ("list", inner) => Ok(Self::List(Box::new(Self::parse(inner)?))),
                    ("set", inner) => Ok(Self::Set(Box::new(Self::parse(inner)?))),
                    ("map", inner) => Ok(Self::Map(Box::new(Self::parse(inner)?))),
                    ("tuple", Expression::Array(kinds)) => {
                        Ok(Self::Tuple(kinds.iter().map(Self::parse).collect::<Result<_, _>>()?))
                    }
                    ("object", Expression::Object(fields)) => Self::object(fields),
                    _ => Err(format!("The keyword {name:?} is not a valid type constructor.")),
                }
            }
            _ => Err("A type specification is either a primitive type keyword (bool, number, string) or a complex type constructor call, like list(string).".to_owned()),
        }
    }

    fn object(fields: &Object) -> Result<Self, String> {
        let mut found = BTreeMap::new();
        for (key, value) in fields.iter() {
            let name = match key {
                ObjectKey::Ident(name) => name.as_str(),
                ObjectKey::Expression(Expression::Variable(name)) => name.as_str(),
                ObjectKey::Expression(Expression::String(name)) => name.as_str(),
                ObjectKey::Expression(_) => {
                    return Err("Object constructor map keys must be attribute names.".to_owned());
                }
            };
            let kind = match value.expr() {
                Expression::FuncCall(call) if call.name.name.as_str() == "optional" => {
                    let inner = call.args.iter().next().ok_or("optional() requires a type argument.")?;
                    (Self::parse(inner)?, true)
                }
                expr => (Self::parse(expr)?, false),
            };
            found.insert(name.to_owned(), kind);
        }
        Ok(Self::Object(found))
    }

    /// Returns the name that messages use.
    pub fn friendly(&self) -> String {
        match self {
            Self::Any => "dynamic".to_owned(),
            Self::String => "string".to_owned(),
            Self::Number => "number".to_owned(),
            Self::Bool => "bool".to_owned(),
            Self::List(inner) => format!("list of {}", inner.friendly_of()),
            Self::Set(inner) => format!("set of {}", inner.friendly_of()),
            Self::Map(inner) => format!("map of {}", inner.friendly_of()),
            Self::Tuple(_) => "tuple".to_owned(),
            Self::Object(_) => "object".to_owned(),
        }
    }

    fn friendly_of(&self) -> String {
        if *self == Self::Any { "any single type".to_owned() } else { self.friendly() }
    }

    /// Returns whether text in the environment means a value of this type as it is.
    pub fn is_primitive(&self) -> bool {
        matches!(self, Self::Any | Self::String | Self::Number | Self::Bool)
    }

    /// Makes a value of this type.
    ///
    /// # Errors
    /// What is required instead.
    pub fn convert(&self, value: &Value) -> Result<Value, String> {
        if value.is_null() {
            return Ok(Value::Null);
        }
        match self {
            Self::Any => Ok(value.clone()),
            Self::String => value.to_text().map(Value::String).ok_or_else(|| "string required".to_owned()),
            Self::Number => value.to_number().map(Value::Number).ok_or_else(|| match value {
                Value::String(_) => "a number is required".to_owned(),
                _ => "number required".to_owned(),
            }),
            Self::Bool => value.to_bool().map(Value::Bool).ok_or_else(|| match value {
                Value::String(_) => "a bool is required".to_owned(),
                _ => "bool required".to_owned(),
            }),
            Self::List(inner) | Self::Set(inner) => {
                let elements = value.elements().ok_or_else(|| format!("{} required", self.friendly()))?;
                let converted: Result<Vec<_>, _> =
                    elements.iter().map(|value| inner.convert(value)).collect();
                let converted =
                    converted.map_err(|why| format!("incorrect {} element type: {why}", self.word()))?;
                let unified = if **inner == Self::Any { Value::unify(converted) } else { converted };
                Ok(if matches!(self, Self::Set(_)) { Value::set(unified) } else { Value::list(unified) })
            }
            Self::Map(inner) => {
                let Value::Map(fields) = value else { return Err(format!("{} required", self.friendly())) };
                let converted = fields.iter().map(|(key, value)| Ok((key.clone(), inner.convert(value)?)));
                Ok(Value::map(
                    converted
                        .collect::<Result<_, String>>()
                        .map_err(|why| format!("incorrect map element type: {why}"))?,
                ))
            }
            Self::Tuple(kinds) => {
                let elements = value.elements().filter(|e| e.len() == kinds.len());
                let elements =
                    elements.ok_or_else(|| format!("tuple of {} elements required", kinds.len()))?;
                let converted = kinds.iter().zip(elements.iter()).map(|(kind, value)| kind.convert(value));
                Ok(Value::List(Sequence::Tuple, Arc::new(converted.collect::<Result<_, _>>()?)))
            }
            Self::Object(kinds) => {
                let Value::Map(fields) = value else { return Err("object required".to_owned()) };
                let mut converted = BTreeMap::new();
                for (name, (kind, optional)) in kinds {
                    let value = match fields.get(name) {
                        Some(value) => {
                            kind.convert(value).map_err(|why| format!("attribute {name:?}: {why}"))?
                        }
                        None if *optional => Value::Null,
                        None => return Err(format!("attribute {name:?} is required")),
                    };
                    converted.insert(name.clone(), value);
                }
                Ok(Value::map(converted))
            }
        }
    }

    fn word(&self) -> &'static str {
        if matches!(self, Self::Set(_)) { "set" } else { "list" }
    }
}
