//! Objects, indexes, attributes, splats and `for`.

use std::collections::BTreeMap;
use std::ops::Range;

use hcl_edit::expr::{ForExpr, Object, ObjectKey, TraversalOperator};
use hcl_edit::{Decorated, Ident, Span as _};

use super::{Evaluator, Scope};
use crate::bake::error::BakeError;
use crate::bake::value::Value;

impl Evaluator<'_> {
    pub(super) fn object(&self, object: &Object, scope: &Scope<'_>) -> Result<Value, BakeError> {
        let mut values = BTreeMap::new();
        for (key, value) in object.iter() {
            let key = match key {
                ObjectKey::Ident(name) => name.as_str().to_owned(),
                ObjectKey::Expression(hcl_edit::expr::Expression::Variable(name)) => name.as_str().to_owned(),
                ObjectKey::Expression(expr) => {
                    let key = self.eval(expr, scope)?;
                    let text = key.to_text().ok_or_else(|| {
                        let detail = match key {
                            Value::Null => "Can't use a null value as a key.".to_owned(),
                            _ => "Can't use this value as a key: string required.".to_owned(),
                        };
                        self.error(expr.span(), "Incorrect key type", detail)
                    })?;
                    text.to_string()
                }
            };
            values.insert(key, self.eval(value.expr(), scope)?);
        }
        Ok(Value::map(values))
    }

    pub(super) fn operators(
        &self,
        mut value: Value,
        operators: &[Decorated<TraversalOperator>],
        scope: &Scope<'_>,
    ) -> Result<Value, BakeError> {
        for (index, operator) in operators.iter().enumerate() {
            let span = operator.span();
            value = match operator.value() {
                TraversalOperator::GetAttr(name) => self.get_attribute(&value, name, span)?,
                TraversalOperator::Index(expr) => {
                    let key = self.eval(expr, scope)?;
                    self.index(&value, &key, span)?
                }
                TraversalOperator::LegacyIndex(number) => {
                    let key = usize::try_from(*number.value()).unwrap_or(usize::MAX);
                    self.index(&value, &Value::count(key), span)?
                }
                TraversalOperator::AttrSplat(_) => {
                    let is_attribute = |op: &&Decorated<TraversalOperator>| {
                        matches!(
                            op.value(),
                            TraversalOperator::GetAttr(_) | TraversalOperator::LegacyIndex(_)
                        )
                    };
                    let count = operators[index + 1..].iter().take_while(is_attribute).count();
                    let each = &operators[index + 1..index + 1 + count];
                    let list = self.splat(&value, each, scope)?;
                    return self.operators(list, &operators[index + 1 + count..], scope);
                }
                TraversalOperator::FullSplat(_) => return self.splat(&value, &operators[index + 1..], scope),
            };
        }
        Ok(value)
    }

    /// A splat of `null` is empty, of a single value the tuple of it.
    fn splat(
        &self,
        value: &Value,
        each: &[Decorated<TraversalOperator>],
        scope: &Scope<'_>,
    ) -> Result<Value, BakeError> {
        let single = [value.clone()];
        let elements: &[Value] = match value {
            Value::Null => &[],
            Value::List(_, elements) => elements,
            _ => &single,
        };
        self.budget.take(elements.len())?;
        let results = elements.iter().map(|element| self.operators(element.clone(), each, scope));
        Ok(Value::tuple(results.collect::<Result<_, _>>()?))
    }

    fn get_attribute(
        &self,
        value: &Value,
        name: &Ident,
        span: Option<Range<usize>>,
    ) -> Result<Value, BakeError> {
        match value {
            Value::Map(values) => values.get(name.as_str()).cloned().ok_or_else(|| {
                let detail = format!("This object does not have an attribute named {:?}.", name.as_str());
                self.error(span, "Unsupported attribute", detail)
            }),
            Value::Null => Err(self.error(
                span,
                "Attempt to get attribute from null value",
                "This value is null, so it does not have any attributes.",
            )),
            _ => Err(self.error(span, "Unsupported attribute", "This value does not have any attributes.")),
        }
    }

    fn index(&self, value: &Value, key: &Value, span: Option<Range<usize>>) -> Result<Value, BakeError> {
        let invalid = |detail: &str| self.error(span.clone(), "Invalid index", detail);
        match value {
            Value::List(_, elements) => {
                let number = key
                    .to_number()
                    .ok_or_else(|| invalid("The given key does not identify an element in this collection value: a number is required."))?;
                let element = number.to_i64().and_then(|index| usize::try_from(index).ok());
                element.and_then(|index| elements.get(index)).cloned().ok_or_else(|| {
                    invalid("The given key does not identify an element in this collection value: the given index is greater than or equal to the length of the collection.")
                })
            }
            Value::Map(values) => {
                let key = key
                    .to_text()
                    .ok_or_else(|| invalid("The given key does not identify an element in this collection value: string required."))?;
                values.get(&*key).cloned().ok_or_else(|| {
                    invalid("The given key does not identify an element in this collection value.")
                })
            }
            Value::Null => Err(self.error(
                span,
                "Attempt to index null value",
                "This value is null, so it does not have any indices.",
            )),
            _ => Err(invalid("This value does not have any indices.")),
        }
    }

    pub(super) fn for_expr(&self, expr: &ForExpr, scope: &Scope<'_>) -> Result<Value, BakeError> {
        let intro = &expr.intro;
        let collection = self.eval(&intro.collection_expr, scope)?;
        let key_name = intro.key_var.as_ref().map(|name| name.as_str());
        let pairs = self.pairs(&collection, intro.collection_expr.span())?;
        let (mut list, mut object, mut groups) = (Vec::new(), BTreeMap::new(), BTreeMap::<_, Vec<_>>::new());
        for (key, value) in pairs {
            self.budget.take(1)?;
            let inner = bind(scope, key_name, key, intro.value_var.as_str(), value);
            if let Some(condition) = &expr.cond {
                let keep = self.eval(&condition.expr, &inner)?;
                let keep = keep.to_bool().ok_or_else(|| {
                    let detail = "The value of the 'if' clause must be a bool.";
                    self.error(condition.expr.span(), "Invalid 'for' condition", detail)
                })?;
                if !keep {
                    continue;
                }
            }
            let result = self.eval(&expr.value_expr, &inner)?;
            let Some(key_expr) = &expr.key_expr else {
                list.push(result);
                continue;
            };
            let key = self.eval(key_expr, &inner)?.to_text().ok_or_else(|| {
                let detail = "The key expression produced an invalid result: string required.";
                self.error(key_expr.span(), "Invalid object key", detail)
            })?;
            if expr.grouping {
                groups.entry(key.to_string()).or_default().push(result);
            } else if object.insert(key.to_string(), result).is_some() {
                let detail = format!(
                    "Two different items produced the key {key:?} in this 'for' expression. If duplicates are expected, use the ellipsis (...) after the value expression to enable grouping by key."
                );
                return Err(self.error(key_expr.span(), "Duplicate object key", detail));
            }
        }
        Ok(match (&expr.key_expr, expr.grouping) {
            (None, _) => Value::tuple(list),
            (Some(_), false) => Value::map(object),
            (Some(_), true) => Value::map(groups.into_iter().map(|(k, v)| (k, Value::tuple(v))).collect()),
        })
    }

    /// Keys and values of what a `for` goes through.
    pub(super) fn pairs(
        &self,
        collection: &Value,
        span: Option<Range<usize>>,
    ) -> Result<Vec<(Value, Value)>, BakeError> {
        match collection {
            Value::List(super::super::value::Sequence::Set, elements) => {
                Ok(elements.iter().map(|element| (element.clone(), element.clone())).collect())
            }
            Value::List(_, elements) => {
                Ok(elements.iter().enumerate().map(|(i, value)| (Value::count(i), value.clone())).collect())
            }
            Value::Map(values) => {
                Ok(values.iter().map(|(key, value)| (Value::string(key.as_str()), value.clone())).collect())
            }
            Value::Null => Err(self.error(
                span,
                "Iteration over null value",
                "A null value cannot be used as the collection in a 'for' expression.",
            )),
            other => {
                let detail = format!(
                    "A value of type {} cannot be used as the collection in a 'for' expression.",
                    other.type_name()
                );
                Err(self.error(span, "Iteration over non-iterable value", detail))
            }
        }
    }
}

/// A scope inside another with the names of one turn.
pub(super) fn bind<'a>(
    scope: &'a Scope<'a>,
    key_name: Option<&str>,
    key: Value,
    value_name: &str,
    value: Value,
) -> Scope<'a> {
    let mut names = BTreeMap::new();
    names.extend(key_name.map(|name| (name.to_owned(), key)));
    names.insert(value_name.to_owned(), value);
    Scope { names, parent: Some(scope) }
}
