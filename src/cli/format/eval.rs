//! Running a template over a JSON value.

use serde_json::Value;

use super::TemplateError;
use super::functions::{self, truth};
use super::parse::{Node, Operand, Pipeline, Term, Tree};
use super::print::show;
use super::typed;

/// How deep templates may call each other.
const MAX_DEPTH: usize = 100;
/// Most bytes of output, and of one text on the way to it.
const MAX_OUTPUT: usize = 16 << 20;
/// Most nodes that are run, so that loops and templates that double end.
const MAX_STEPS: usize = 5_000_000;
/// A value while a template runs: JSON, or the lack of one.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Val {
    Json(Value),
    /// An object that docker has as a struct; prints as `{a b}`.
    Struct(Value),
    /// A list that is nil; prints as `[]`, though its JSON is `null`.
    NoList,
    /// A map that is nil; prints as `map[]`, though its JSON is `null`.
    NoMap,
    /// A key that a map has not got; prints as `<no value>`.
    Missing,
}

impl Val {
    pub(super) fn json(&self) -> &Value {
        match self {
            Self::Json(value) | Self::Struct(value) => value,
            Self::Missing | Self::NoList | Self::NoMap => &Value::Null,
        }
    }
}

/// Whether missing keys are errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// An object's missing key is an error, a map's is `<no value>`.
    Error,
    /// Every missing key is `<no value>`.
    NoValue,
}

/// What the method `Label` of a row returns.
pub(super) type Label<'a> = &'a dyn Fn(&str) -> String;

pub(super) fn run(
    tree: &Tree,
    data: &Value,
    missing: Missing,
    label: Option<Label<'_>>,
) -> Result<String, TemplateError> {
    let mut state =
        State { tree, missing, label, out: String::new(), variables: Vec::new(), depth: 0, steps: 0 };
    state.variables.push((String::new(), Val::Json(data.clone())));
    state.nodes(&tree.main, &Val::Json(data.clone()))?;
    Ok(state.out)
}

struct State<'a> {
    tree: &'a Tree,
    missing: Missing,
    label: Option<Label<'a>>,
    out: String,
    variables: Vec<(String, Val)>,
    depth: usize,
    steps: usize,
}

/// Why a list of nodes ended early.
enum Flow {
    Next,
    Break,
    Continue,
}

impl State<'_> {
    fn nodes(&mut self, nodes: &[Node], dot: &Val) -> Result<Flow, TemplateError> {
        self.steps += nodes.len() + 1;
        if self.steps > MAX_STEPS {
            return Err(TemplateError::run("the template takes too many steps"));
        }
        for node in nodes {
            match self.node(node, dot)? {
                Flow::Next => {}
                other => return Ok(other),
            }
        }
        Ok(Flow::Next)
    }

    fn node(&mut self, node: &Node, dot: &Val) -> Result<Flow, TemplateError> {
        let scope = self.variables.len();
        match node {
            Node::Text(text) => self.write(text)?,
            Node::Action(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                if pipeline.variables.is_empty() {
                    self.write(&show(&value))?;
                }
            }
            Node::If { condition, then, otherwise } => {
                let value = self.pipeline(condition, dot)?;
                let flow = self.nodes(if truth(&value) { then } else { otherwise }, dot)?;
                self.variables.truncate(scope);
                return Ok(flow);
            }
            Node::With { value, then, otherwise } => {
                let value = self.pipeline(value, dot)?;
                let flow =
                    if truth(&value) { self.nodes(then, &value)? } else { self.nodes(otherwise, dot)? };
                self.variables.truncate(scope);
                return Ok(flow);
            }
            Node::Range { value, body, otherwise } => {
                let flow = self.range(value, body, otherwise, dot)?;
                self.variables.truncate(scope);
                return Ok(flow);
            }
            Node::Template { name, value } => self.call(name, value.as_ref(), dot)?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn write(&mut self, text: &str) -> Result<(), TemplateError> {
        self.out.push_str(text);
        if self.out.len() > MAX_OUTPUT { Err(TemplateError::run("the output is too large")) } else { Ok(()) }
    }

    fn call(&mut self, name: &str, value: Option<&Pipeline>, dot: &Val) -> Result<(), TemplateError> {
        let tree = self.tree;
        let body = tree
            .named
            .get(name)
            .ok_or_else(|| TemplateError::run(format!("template {name:?} not defined")))?;
        let value = value.map(|pipeline| self.pipeline(pipeline, dot)).transpose()?;
        let value = value.unwrap_or(Val::Json(Value::Null));
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(TemplateError::run("exceeded maximum template depth"));
        }
        let outer = std::mem::replace(&mut self.variables, vec![(String::new(), value.clone())]);
        self.nodes(body, &value)?;
        self.variables = outer;
        self.depth -= 1;
        Ok(())
    }

    fn range(
        &mut self,
        pipeline: &Pipeline,
        body: &[Node],
        otherwise: &[Node],
        dot: &Val,
    ) -> Result<Flow, TemplateError> {
        let value = self.commands(pipeline, dot)?;
        let mut items = items(&value)?.peekable();
        if items.peek().is_none() {
            return self.nodes(otherwise, dot);
        }
        let scope = self.variables.len();
        for (key, item) in items {
            let item = Val::Json(item);
            match pipeline.variables.as_slice() {
                [one] => self.declare(one, item.clone(), pipeline.assigns)?,
                [first, second] => {
                    self.declare(first, Val::Json(key), false)?;
                    self.declare(second, item.clone(), false)?;
                }
                _ => {}
            }
            let flow = self.nodes(body, &item)?;
            self.variables.truncate(scope);
            if matches!(flow, Flow::Break) {
                break;
            }
        }
        Ok(Flow::Next)
    }

    fn declare(&mut self, name: &str, value: Val, assigns: bool) -> Result<(), TemplateError> {
        if assigns {
            let known = self.variables.iter_mut().rev().find(|(known, _)| known == name);
            let known = known.ok_or_else(|| TemplateError::run(format!("undefined variable \"${name}\"")))?;
            known.1 = value;
        } else {
            self.variables.push((name.to_owned(), value));
        }
        Ok(())
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Val) -> Result<Val, TemplateError> {
        let value = self.commands(pipeline, dot)?;
        if let [name] = pipeline.variables.as_slice() {
            self.declare(name, value.clone(), pipeline.assigns)?;
        }
        Ok(value)
    }

    fn commands(&mut self, pipeline: &Pipeline, dot: &Val) -> Result<Val, TemplateError> {
        let mut last = None;
        for command in &pipeline.commands {
            last = Some(self.command(command, dot, last)?);
        }
        Ok(last.expect("a pipeline has a command"))
    }

    fn command(&mut self, command: &[Operand], dot: &Val, piped: Option<Val>) -> Result<Val, TemplateError> {
        let (first, rest) = command.split_first().expect("a command has a word");
        let Term::Function(name) = &first.term else {
            if let (Some(label), Term::Dot, [method], [key]) =
                (self.label, &first.term, first.fields.as_slice(), rest)
                && method == "Label"
                && let Value::String(key) = self.operand(key, dot)?.json()
            {
                return Ok(Val::Json(label(key).into()));
            }
            if !rest.is_empty() || piped.is_some() {
                return Err(TemplateError::at(first.at, "can't give argument to non-function"));
            }
            return self.operand(first, dot);
        };
        if name == "and" || name == "or" {
            return self.short_circuit(name == "and", first, rest, dot, piped);
        }
        let mut arguments = Vec::with_capacity(rest.len() + 1);
        for operand in rest {
            arguments.push(self.operand(operand, dot)?);
        }
        arguments.extend(piped);
        let value = functions::call(name, &arguments)
            .map_err(|reason| TemplateError::at(first.at, format!("error calling {name}: {reason}")))?;
        if value.json().as_str().is_some_and(|text| text.len() > MAX_OUTPUT) {
            return Err(TemplateError::at(first.at, format!("error calling {name}: the text is too large")));
        }
        self.fields(&value, first)
    }

    /// `and` and `or` stop at the argument that decides.
    fn short_circuit(
        &mut self,
        and: bool,
        first: &Operand,
        rest: &[Operand],
        dot: &Val,
        piped: Option<Val>,
    ) -> Result<Val, TemplateError> {
        let mut last = None;
        for operand in rest {
            let value = self.operand(operand, dot)?;
            if truth(&value) != and {
                return Ok(value);
            }
            last = Some(value);
        }
        piped
            .or(last)
            .ok_or_else(|| TemplateError::at(first.at, "wrong number of args: want at least 1 got 0"))
    }

    fn operand(&mut self, operand: &Operand, dot: &Val) -> Result<Val, TemplateError> {
        let value = match &operand.term {
            // A row has many fields of which one is wanted.
            Term::Dot => return self.fields(dot, operand),
            Term::Constant(value) => Val::Json(value.clone()),
            Term::Variable(name) => {
                let known = self.variables.iter().rev().find(|(known, _)| known == name);
                let known = known.ok_or_else(|| {
                    TemplateError::at(operand.at, format!("undefined variable \"${name}\""))
                })?;
                return self.fields(&known.1, operand);
            }
            Term::Function(_) => return self.command(std::slice::from_ref(operand), dot, None),
            Term::Group(pipeline) => {
                let scope = self.variables.len();
                let value = self.pipeline(pipeline, dot)?;
                self.variables.truncate(scope);
                value
            }
        };
        self.fields(&value, operand)
    }

    fn fields(&self, start: &Val, operand: &Operand) -> Result<Val, TemplateError> {
        let (mut value, mut parent) = (None, "");
        for (n, name) in operand.fields.iter().enumerate() {
            let next = match value.as_ref().unwrap_or(start).json() {
                Value::Object(map) => match map.get(name) {
                    Some(found) => typed::of(name, found),
                    None if self.missing == Missing::NoValue || typed::is_map(parent) => Val::Missing,
                    None => match typed::left_out(parent, name) {
                        Some(empty) if n + 1 == operand.fields.len() => empty,
                        _ => return Err(missing_key(name, map, operand)),
                    },
                },
                Value::Null if self.missing == Missing::NoValue => Val::Missing,
                Value::Null => {
                    let text = format!("nil pointer evaluating interface {{}}.{name}");
                    return Err(TemplateError::executing(operand.at, &path(operand), text));
                }
                other => {
                    let kind = functions::kind(other);
                    let text = format!("can't evaluate field {name} in type {kind}");
                    return Err(TemplateError::executing(operand.at, &path(operand), text));
                }
            };
            value = Some(next);
            parent = name;
        }
        Ok(value.unwrap_or_else(|| start.clone()))
    }
}

type Items<'a> = Box<dyn Iterator<Item = (Value, Value)> + 'a>;

/// What `range` goes through, with keys: a list, a map by its sorted keys, the numbers below a number.
fn items(value: &Val) -> Result<Items<'_>, TemplateError> {
    Ok(match value.json() {
        Value::Array(items) => Box::new(items.iter().enumerate().map(|(n, v)| (n.into(), v.clone()))),
        Value::Object(map) => {
            let mut items: Vec<_> = map.iter().collect();
            items.sort_by_key(|(key, _)| *key);
            Box::new(items.into_iter().map(|(k, v)| (Value::from(k.clone()), v.clone())))
        }
        Value::Number(n) if n.is_i64() || n.is_u64() => {
            Box::new((0..n.as_u64().unwrap_or(0)).map(|n| (n.into(), n.into())))
        }
        Value::Null => Box::new(std::iter::empty()),
        other => {
            let shown = show(&Val::Json(other.clone()));
            return Err(TemplateError::run(format!("range can't iterate over {shown}")));
        }
    })
}

fn path(operand: &Operand) -> String {
    operand.fields.iter().map(|name| format!(".{name}")).collect()
}

/// The error for a key that an object has not got, with a hint where only the case is wrong.
fn missing_key(name: &str, map: &serde_json::Map<String, Value>, operand: &Operand) -> TemplateError {
    let near = map.keys().find(|key| key.eq_ignore_ascii_case(name));
    let hint = near.map(|key| format!(" (did you mean .{key}?)")).unwrap_or_default();
    TemplateError::executing(operand.at, &path(operand), format!("map has no entry for key {name:?}{hint}"))
}
