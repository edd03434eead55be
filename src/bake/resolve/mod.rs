//! Files to variables, groups and targets: names are resolved when they are needed, in any order.

mod blocks;
mod variables;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use hcl_edit::Span as _;
use hcl_edit::expr::Expression;

use super::budget::Budget;
use super::config::{Config, Group};
use super::error::BakeError;
use super::eval::{Evaluator, Names, Scope};
use super::functions::Host;
use super::source::SourceFile;
use super::syntax::{Attribute, Block, Body};
use super::value::Value;

pub use variables::Variable;

/// What evaluation knows of the world.
pub struct Surroundings<'a> {
    /// Values that override variables' defaults.
    pub look_up: &'a dyn Fn(&str) -> Option<String>,
    /// `BAKE_CMD_CONTEXT` and `BAKE_LOCAL_PLATFORM`.
    pub built_in: &'a BTreeMap<String, String>,
    /// What functions know.
    pub host: Host,
}

/// Targets that one matrix makes at most.
const MAX_MATRIX: usize = 4096;

/// Everything that the files define, with what was evaluated so far.
pub(super) struct Resolver<'a> {
    around: &'a Surroundings<'a>,
    budget: &'a Budget,
    attributes: HashMap<String, Attribute>,
    variables: BTreeMap<String, Block>,
    functions: HashMap<String, Block>,
    blocks: Vec<Block>,
    values: RefCell<HashMap<String, Value>>,
    pending: RefCell<HashSet<String>>,
    names: RefCell<Option<Arc<Vec<Named>>>>,
}

/// A block under one of the names that its matrix gives it.
#[derive(Clone)]
pub(super) struct Named {
    name: String,
    block: usize,
    scope: BTreeMap<String, Value>,
}

/// Evaluates the files' blocks.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn resolve(
    bodies: Vec<Body>,
    config: &mut Config,
    around: &Surroundings<'_>,
    budget: &Budget,
) -> Result<Vec<Variable>, BakeError> {
    let resolver = Resolver::new(bodies, around, budget);
    resolver.check_functions()?;
    let variables = resolver.variables()?;
    let named = resolver.named()?;
    let mut renamed: Vec<(String, Vec<String>)> = Vec::new();
    for one in named.iter() {
        let block = &resolver.blocks[one.block];
        let label = &block.labels[0].0;
        if block.kind == "target" {
            match renamed.iter_mut().find(|(old, _)| old == label) {
                Some((_, names)) if names.contains(&one.name) => {}
                Some((_, names)) => names.push(one.name.clone()),
                None => renamed.push((label.clone(), vec![one.name.clone()])),
            }
        }
    }
    for one in named.iter() {
        let scope = Scope { names: one.scope.clone(), parent: None };
        if resolver.blocks[one.block].kind == "group" {
            config.add_group(resolver.group(one, &scope)?);
        } else {
            config.add_target(resolver.target(one, &scope)?);
        }
    }
    for name in resolver.attributes.keys() {
        resolver.variable(name)?;
    }
    for (old, names) in renamed {
        if names.len() != 1 || names[0] != old {
            config.groups.push(Group { name: old, targets: names, ..Group::default() });
        }
    }
    Ok(variables)
}

impl<'a> Resolver<'a> {
    fn new(bodies: Vec<Body>, around: &'a Surroundings<'a>, budget: &'a Budget) -> Self {
        let (mut attributes, mut variables, mut functions, mut blocks) =
            (HashMap::new(), BTreeMap::new(), HashMap::new(), Vec::new());
        for body in bodies {
            for attribute in body.attributes {
                attributes.entry(attribute.name.clone()).or_insert(attribute);
            }
            for block in body.blocks {
                let label = block.labels.first().map(|(label, _)| label.clone()).unwrap_or_default();
                match block.kind.as_str() {
                    "variable" => drop(variables.insert(label, block)),
                    "function" => drop(functions.insert(label, block)),
                    "target" | "group" => blocks.push(block),
                    _ => {}
                }
            }
        }
        for reserved in around.built_in.keys() {
            variables.remove(reserved);
            attributes.remove(reserved);
        }
        Self {
            around,
            budget,
            attributes,
            variables,
            functions,
            blocks,
            values: RefCell::default(),
            pending: RefCell::default(),
            names: RefCell::default(),
        }
    }

    fn evaluator<'b>(&'b self, file: &'b SourceFile) -> Evaluator<'b> {
        Evaluator { file, names: self, budget: self.budget, host: &self.around.host }
    }

    fn eval(&self, attribute: &Attribute, scope: &Scope<'_>) -> Result<Value, BakeError> {
        self.evaluator(&attribute.file).eval(&attribute.expr, scope)
    }

    /// Runs something under a name that must not be met again inside.
    fn once<T>(
        &self,
        key: &str,
        cycle: impl FnOnce() -> String,
        inside: impl FnOnce() -> Result<T, BakeError>,
    ) -> Result<T, BakeError> {
        if !self.pending.borrow_mut().insert(key.to_owned()) {
            return Err(BakeError::plain(cycle()));
        }
        let result = self.budget.deeper(inside);
        self.pending.borrow_mut().remove(key);
        result
    }
}

impl Names for Resolver<'_> {
    fn variable(&self, name: &str) -> Result<Option<Value>, BakeError> {
        if let Some(value) = self.values.borrow().get(name) {
            return Ok(Some(value.clone()));
        }
        if !self.attributes.contains_key(name)
            && !self.variables.contains_key(name)
            && !self.around.built_in.contains_key(name)
        {
            return Ok(None);
        }
        let cycle = || format!("variable cycle not allowed for {name}");
        let value = self.once(&format!("variable {name}"), cycle, || self.find_variable(name))?;
        self.values.borrow_mut().insert(name.to_owned(), value.clone());
        Ok(Some(value))
    }

    fn block(&self, kind: &str, name: Option<&str>, key: Option<&str>) -> Result<Option<Value>, BakeError> {
        if !matches!(kind, "target" | "group") {
            return Ok(None);
        }
        let Some(name) = name else { return self.all_blocks(kind).map(Some) };
        self.block_value(kind, name, key)
    }

    fn call(&self, name: &str, arguments: &[Value]) -> Result<Option<Value>, BakeError> {
        let Some(block) = self.functions.get(name).filter(|_| super::functions::find(name).is_none()) else {
            return Ok(None);
        };
        let (parameters, variadic, result) = self.signature(name, block)?;
        let mut names = BTreeMap::new();
        if let Some(missing) = parameters.get(arguments.len()) {
            let least = if variadic.is_some() { "at least " } else { "" };
            return Err(BakeError::plain(format!(
                "Function {name:?} expects {least}{} argument(s). Missing value for {missing:?}",
                parameters.len()
            )));
        }
        if variadic.is_none() && arguments.len() > parameters.len() {
            return Err(BakeError::plain(format!(
                "Function {name:?} expects only {} argument(s)",
                parameters.len()
            )));
        }
        names.extend(parameters.iter().cloned().zip(arguments.iter().cloned()));
        if let Some(rest) = variadic {
            names.insert(rest, Value::tuple(arguments[parameters.len()..].to_vec()));
        }
        let scope = Scope { names, parent: None };
        let cycle = || format!("function cycle not allowed for {name}");
        self.once(&format!("function {name}"), cycle, || self.eval(result, &scope)).map(Some)
    }
}

impl Resolver<'_> {
    /// Parameters, the one that takes the rest, and the result of a function of the files.
    fn signature<'b>(
        &self,
        name: &str,
        block: &'b Block,
    ) -> Result<(Vec<String>, Option<String>, &'b Attribute), BakeError> {
        let fail = |text: String| {
            let span = block.labels.first().map_or(block.head.clone(), |(_, span)| span.clone());
            BakeError::at(&block.file, span, "Invalid function", text)
        };
        let result = block
            .body
            .attribute("result")
            .ok_or_else(|| fail(format!("empty result not allowed for {name}")))?;
        let params = block
            .body
            .attribute("params")
            .ok_or_else(|| fail(format!("empty params not allowed for {name}")))?;
        let keyword = |expr: &Expression, file: &SourceFile| {
            let word = match expr {
                Expression::Variable(name) => Some(name.as_str().to_owned()),
                Expression::String(text) => Some(text.as_str().to_owned()),
                _ => None,
            };
            word.ok_or_else(|| {
                let span = expr.span().unwrap_or(0..1);
                BakeError::at(
                    file,
                    span,
                    "Invalid param element",
                    "Each parameter name must be an identifier.",
                )
            })
        };
        let Expression::Array(list) = &*params.expr else {
            let span = params.expr.span().unwrap_or_else(|| params.span.clone());
            let detail = "A static list expression is required.";
            return Err(BakeError::at(&params.file, span, "Invalid expression", detail));
        };
        let names: Result<Vec<String>, BakeError> =
            list.iter().map(|expr| keyword(expr, &params.file)).collect();
        let variadic = block.body.attribute("variadic_params");
        let variadic = variadic.map(|attribute| keyword(&attribute.expr, &attribute.file)).transpose()?;
        Ok((names?, variadic, result))
    }

    /// Every function can be read, called or not.
    fn check_functions(&self) -> Result<(), BakeError> {
        let mut names: Vec<_> = self.functions.keys().collect();
        names.sort();
        names.into_iter().try_for_each(|name| self.signature(name, &self.functions[name]).map(drop))
    }
}
