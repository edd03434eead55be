//! Blocks: names, matrices, groups, targets, and references to other blocks' attributes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{MAX_MATRIX, Named, Resolver};
use crate::bake::config::{Group, check_name};
use crate::bake::decode;
use crate::bake::error::BakeError;
use crate::bake::eval::Scope;
use crate::bake::syntax::{Attribute, Block, start};
use crate::bake::target::Target;
use crate::bake::value::Value;

impl Resolver<'_> {
    /// All blocks under all their names, in the files' order.
    pub(super) fn named(&self) -> Result<Arc<Vec<Named>>, BakeError> {
        if let Some(named) = &*self.names.borrow() {
            return Ok(Arc::clone(named));
        }
        let cycle = || "a matrix or a name depends on itself".to_owned();
        let named = self.once("names", cycle, || {
            let mut all = Vec::new();
            for (index, block) in self.blocks.iter().enumerate() {
                let found = self.names_of(index, block)?;
                self.budget.take(found.len())?;
                all.extend(found);
            }
            Ok(Arc::new(all))
        })?;
        *self.names.borrow_mut() = Some(Arc::clone(&named));
        Ok(named)
    }

    fn names_of(&self, index: usize, block: &Block) -> Result<Vec<Named>, BakeError> {
        let [(label, span)] = block.labels.as_slice() else {
            let labels: Vec<&str> = block.labels.iter().map(|(label, _)| label.as_str()).collect();
            let detail = format!("invalid block label: [{}]", labels.join(" "));
            return Err(BakeError::at(&block.file, block.head.clone(), "Invalid block", detail));
        };
        let wrong = |detail: String| BakeError::at(&block.file, span.clone(), "Invalid name", detail);
        let placed = |error: BakeError| match error {
            BakeError::Plain(detail) => wrong(detail),
            placed => placed,
        };
        check_name(label).map_err(wrong)?;
        if block.kind == "group" {
            for key in ["matrix", "name"] {
                if block.body.attribute(key).is_some() {
                    return Err(wrong(format!("{key} is not supported for groups")));
                }
            }
        }
        let name = block.body.attribute("name").filter(|_| block.kind == "target");
        let Some(matrix) = block.body.attribute("matrix") else {
            if name.is_some() {
                return Err(wrong("name requires matrix".to_owned()));
            }
            return Ok(vec![Named { name: label.clone(), block: index, scope: BTreeMap::new() }]);
        };
        let mut found = Vec::new();
        let mut seen = BTreeSet::new();
        for scope in self.matrix(matrix).map_err(placed)? {
            let chosen = match name {
                None => label.clone(),
                Some(name) => {
                    let inner = Scope { names: scope.clone(), parent: None };
                    let text = self.eval(name, &inner).map_err(placed)?.to_text();
                    text.ok_or_else(|| wrong("string required".to_owned()))?.to_string()
                }
            };
            check_name(&chosen).map_err(wrong)?;
            if !seen.insert(chosen.clone()) {
                return Err(wrong(format!("duplicate name {chosen:?}")));
            }
            found.push(Named { name: chosen, block: index, scope });
        }
        Ok(found)
    }

    /// The cross product of a matrix, the last key changing slowest.
    fn matrix(&self, matrix: &Attribute) -> Result<Vec<BTreeMap<String, Value>>, BakeError> {
        let value = self.eval(matrix, &Scope::default())?;
        let Value::Map(axes) = value else { return Err(BakeError::plain("matrix must be a map")) };
        let mut rows = vec![BTreeMap::new()];
        for (key, values) in axes.iter() {
            let values: Vec<Value> = match values {
                Value::List(_, values) => values.to_vec(),
                Value::Map(values) => values.values().cloned().collect(),
                _ => return Err(BakeError::plain("matrix values must be a list")),
            };
            let count = rows.len().saturating_mul(values.len());
            if count > MAX_MATRIX {
                return Err(BakeError::plain(format!("the matrix makes more than {MAX_MATRIX} targets")));
            }
            self.budget.take(count * axes.len())?;
            let with = |row: &BTreeMap<String, Value>, value: &Value| {
                let mut row = row.clone();
                row.insert(key.clone(), value.clone());
                row
            };
            rows = values
                .iter()
                .flat_map(|value| rows.iter().map(|row| with(row, value)).collect::<Vec<_>>())
                .collect();
        }
        Ok(rows)
    }

    pub(super) fn group(&self, one: &Named, scope: &Scope<'_>) -> Result<Group, BakeError> {
        let block = &self.blocks[one.block];
        let mut group = Group { name: one.name.clone(), ..Group::default() };
        for attribute in &block.body.attributes {
            let wrong = |why: String| unsuitable(attribute, &why);
            match attribute.name.as_str() {
                "targets" => {
                    let value = self.eval(attribute, scope)?;
                    group.targets = decode::strings(&value).map_err(wrong)?.unwrap_or_default();
                }
                "description" => {
                    let text = self.eval(attribute, scope)?.to_text();
                    group.description = text.ok_or_else(|| wrong("string required".to_owned()))?.to_string();
                }
                _ => {}
            }
        }
        if block.body.attribute("targets").is_none() {
            let detail = "The argument \"targets\" is required, but no definition was found.";
            return Err(BakeError::at(&block.file, block.head.clone(), "Missing required argument", detail));
        }
        Ok(group)
    }

    pub(super) fn target(&self, one: &Named, scope: &Scope<'_>) -> Result<Target, BakeError> {
        let block = &self.blocks[one.block];
        let mut target = Target { name: one.name.clone(), ..Target::default() };
        for attribute in &block.body.attributes {
            if decode::KEYS.contains(&attribute.name.as_str()) {
                let value = self.attribute(one, attribute, scope)?;
                decode::set(&mut target, &attribute.name, &value)
                    .map_err(|why| unsuitable(attribute, &why))?;
            }
        }
        Ok(target)
    }

    /// An attribute's value; one that asks for itself is a cycle.
    fn attribute(&self, one: &Named, attribute: &Attribute, scope: &Scope<'_>) -> Result<Value, BakeError> {
        let kind = &self.blocks[one.block].kind;
        let path = format!("{kind}.{}.{}", one.name, attribute.name);
        let key = format!("{path} in {}", one.block);
        self.once(&key, || format!("reference cycle not allowed for {path}"), || self.eval(attribute, scope))
    }

    /// `target.name` or `target.name.key`: of several blocks of a name the last one's.
    pub(super) fn block_value(
        &self,
        kind: &str,
        name: &str,
        key: Option<&str>,
    ) -> Result<Option<Value>, BakeError> {
        let named = self.named()?;
        let of_kind = |one: &&Named| one.name == name && self.blocks[one.block].kind == kind;
        let Some(one) = named.iter().rfind(of_kind) else { return Ok(None) };
        let scope = Scope { names: one.scope.clone(), parent: None };
        let attributes = &self.blocks[one.block].body.attributes;
        if let Some(key) = key {
            let found = attributes.iter().find(|attribute| attribute.name == key);
            return match found {
                Some(attribute) => self.attribute(one, attribute, &scope).map(Some),
                None if key == "name" => Ok(Some(Value::string(one.name.as_str()))),
                // The one attribute that is text even when nobody writes it.
                None if key == "description" => Ok(Some(Value::string(""))),
                None if decode::KEYS.contains(&key) || key == "targets" => Ok(Some(Value::Null)),
                None => {
                    Err(BakeError::plain(format!("This object does not have an attribute named {key:?}.")))
                }
            };
        }
        let mut fields: BTreeMap<String, Value> = BTreeMap::new();
        if kind == "target" {
            fields.extend(decode::KEYS.iter().map(|key| ((*key).to_owned(), Value::Null)));
        }
        fields.insert("name".to_owned(), Value::string(name));
        fields.insert("description".to_owned(), Value::string(""));
        for attribute in attributes.iter().filter(|a| !matches!(a.name.as_str(), "matrix" | "name")) {
            fields.insert(attribute.name.clone(), self.attribute(one, attribute, &scope)?);
        }
        Ok(Some(Value::map(fields)))
    }

    /// `target` or `group` alone: all of them by name.
    pub(super) fn all_blocks(&self, kind: &str) -> Result<Value, BakeError> {
        let named = self.named()?;
        let mut fields = BTreeMap::new();
        for one in named.iter().filter(|one| self.blocks[one.block].kind == kind) {
            if let Some(value) = self.block_value(kind, &one.name, None)? {
                fields.insert(one.name.clone(), value);
            }
        }
        Ok(Value::map(fields))
    }
}

/// An attribute's value is not of its type.
fn unsuitable(attribute: &Attribute, why: &str) -> BakeError {
    let detail = format!("Unsuitable value: {why}");
    let span = start(&attribute.expr).unwrap_or_else(|| attribute.span.clone());
    BakeError::at(&attribute.file, span, "Unsuitable value type", detail)
}
