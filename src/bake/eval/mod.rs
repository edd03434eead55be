//! Expressions to values, as HCL says.
//!
//! Names are looked up when they are met, so that variables and blocks may stand in any order;
//! [`Names`] finds what is global, [`Scope`] what a `for`, a matrix or a parameter binds.

mod collection;
mod operator;
mod template;

pub use operator::equal;

use std::collections::BTreeMap;
use std::ops::Range;

use hcl_edit::Span as _;
use hcl_edit::expr::{Expression, FuncCall, Traversal, TraversalOperator};

use super::budget::Budget;
use super::error::BakeError;
use super::functions;
use super::number::Number;
use super::source::SourceFile;
use super::syntax::start;
use super::value::Value;

/// What is known everywhere in the files.
pub trait Names {
    /// Returns a variable's value; none when there is no such variable.
    ///
    /// # Errors
    /// Its expression can't be evaluated.
    fn variable(&self, name: &str) -> Result<Option<Value>, BakeError>;

    /// Returns the value of `kind.name` or of its attribute; none when `kind` is no kind of block.
    ///
    /// # Errors
    /// Its expressions can't be evaluated.
    fn block(&self, kind: &str, name: Option<&str>, key: Option<&str>) -> Result<Option<Value>, BakeError>;

    /// Calls a function of the files; none when there is no such function.
    ///
    /// # Errors
    /// It can't be evaluated.
    fn call(&self, name: &str, arguments: &[Value]) -> Result<Option<Value>, BakeError>;
}

/// Names that only hold in a part of an expression.
#[derive(Debug, Default, Clone)]
pub struct Scope<'a> {
    /// The names with their values.
    pub names: BTreeMap<String, Value>,
    /// The scope around this one.
    pub parent: Option<&'a Scope<'a>>,
}

impl Scope<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.names.get(name).or_else(|| self.parent.and_then(|parent| parent.get(name)))
    }
}

/// Evaluates expressions of one file.
pub struct Evaluator<'a> {
    /// The file that spans speak of.
    pub file: &'a SourceFile,
    /// What is known everywhere.
    pub names: &'a dyn Names,
    /// What an evaluation may take.
    pub budget: &'a Budget,
    /// What functions know of the machine.
    pub host: &'a functions::Host,
}

impl Evaluator<'_> {
    /// Returns an expression's value.
    ///
    /// # Errors
    /// Something in it is wrong, with its place.
    pub fn eval(&self, expr: &Expression, scope: &Scope<'_>) -> Result<Value, BakeError> {
        self.budget.take(1)?;
        self.budget.deeper(|| self.eval_inner(expr, scope))
    }

    fn eval_inner(&self, expr: &Expression, scope: &Scope<'_>) -> Result<Value, BakeError> {
        match expr {
            Expression::Null(_) => Ok(Value::Null),
            Expression::Bool(value) => Ok(Value::Bool(*value.value())),
            Expression::Number(_) => self.number(expr),
            Expression::String(text) => Ok(Value::string(text.as_str())),
            Expression::Array(array) => {
                let values: Result<Vec<_>, _> = array.iter().map(|expr| self.eval(expr, scope)).collect();
                Ok(Value::tuple(values?))
            }
            Expression::Object(object) => self.object(object, scope),
            Expression::StringTemplate(template) => self.string_template(template, scope),
            Expression::HeredocTemplate(heredoc) => self.heredoc(heredoc, scope),
            Expression::Parenthesis(inner) => self.eval(inner.inner(), scope),
            Expression::Variable(name) => self.variable(name.as_str(), expr.span(), scope),
            Expression::Conditional(conditional) => self.conditional(conditional, scope),
            Expression::FuncCall(call) => self.call(call, scope),
            Expression::Traversal(traversal) => self.traversal(traversal, scope),
            Expression::UnaryOp(op) => self.unary(op, scope),
            Expression::BinaryOp(op) => self.binary(op, scope),
            Expression::ForExpr(expr) => self.for_expr(expr, scope),
        }
    }

    /// An error at a part of the file.
    pub fn error(&self, span: Option<Range<usize>>, summary: &str, detail: impl Into<String>) -> BakeError {
        BakeError::at(self.file, span.unwrap_or(0..1), summary, detail)
    }

    /// Literals are read from the text: the syntax tree has them as doubles.
    fn number(&self, expr: &Expression) -> Result<Value, BakeError> {
        let text = expr.span().and_then(|span| self.file.text.get(span)).map(str::trim);
        let number = text.and_then(Number::parse).or_else(|| {
            let number = expr.as_number()?;
            number.as_i64().map(Number::from).or_else(|| number.as_f64().and_then(Number::from_f64))
        });
        number.map(Value::Number).ok_or_else(|| {
            self.error(expr.span(), "Invalid number literal", "Not a number that can be read.")
        })
    }

    fn variable(
        &self,
        name: &str,
        span: Option<Range<usize>>,
        scope: &Scope<'_>,
    ) -> Result<Value, BakeError> {
        if let Some(value) = scope.get(name) {
            return Ok(value.clone());
        }
        let found = self.names.variable(name).map_err(|error| self.here(error, span.clone()))?;
        if let Some(value) = found {
            return Ok(value);
        }
        if let Some(value) = self.names.block(name, None, None)? {
            return Ok(value);
        }
        Err(self.error(span, "Unknown variable", format!("There is no variable named {name:?}.")))
    }

    /// Gives an error that has no place the one where it was met.
    pub fn here(&self, error: BakeError, span: Option<Range<usize>>) -> BakeError {
        match error {
            BakeError::Plain(detail) => self.error(span, "Invalid expression", detail),
            placed => placed,
        }
    }

    fn traversal(&self, traversal: &Traversal, scope: &Scope<'_>) -> Result<Value, BakeError> {
        let mut skipped = 0;
        let mut value = None;
        if let Expression::Variable(root) = &traversal.expr
            && scope.get(root.as_str()).is_none()
            && matches!(root.as_str(), "target" | "group")
        {
            let name_of = |index: usize| match traversal.operators.get(index).map(|op| op.value()) {
                Some(TraversalOperator::GetAttr(name)) => Some(name.as_str()),
                _ => None,
            };
            if let Some(name) = name_of(0) {
                let key = name_of(1);
                let found = self.names.block(root.as_str(), Some(name), key);
                value = found.map_err(|error| self.here(error, traversal.expr.span()))?;
                skipped = 1 + usize::from(key.is_some());
                if value.is_none() {
                    let detail = format!("This object does not have an attribute named {name:?}.");
                    return Err(self.error(traversal.operators[0].span(), "Unsupported attribute", detail));
                }
            }
        }
        let value = match value {
            Some(value) => value,
            None => self.eval(&traversal.expr, scope)?,
        };
        self.operators(value, &traversal.operators[skipped..], scope)
    }

    fn call(&self, call: &FuncCall, scope: &Scope<'_>) -> Result<Value, BakeError> {
        let name = call.name.name.as_str();
        let span = call.name.name.span();
        if call.name.is_namespaced() {
            return Err(self.error(
                span,
                "Call to unknown function",
                "There are no functions in namespaces.",
            ));
        }
        if let Some(value) = self.lazy_function(name, call, scope)? {
            return Ok(value);
        }
        let mut arguments = Vec::with_capacity(call.args.len());
        let mut spans: Vec<_> = Vec::with_capacity(call.args.len());
        for (index, argument) in call.args.iter().enumerate() {
            let value = self.eval(argument, scope)?;
            if !call.args.expand_final() || index + 1 < call.args.len() {
                arguments.push(value);
                spans.push(start(argument));
                continue;
            }
            let Some(elements) = value.elements() else {
                let detail =
                    "The expanding argument (indicated by ...) must be of a tuple, list, or set type.";
                return Err(self.error(argument.span(), "Invalid expanding argument value", detail));
            };
            arguments.extend(elements.iter().cloned());
            spans.resize(arguments.len(), start(argument));
        }
        let placed = |error: BakeError| match error {
            BakeError::Plain(text) => {
                let open = span.clone().map(|span| span.start..span.end + 1);
                self.error(
                    open,
                    "Error in function call",
                    format!("Call to function {name:?} failed: {text}."),
                )
            }
            placed => placed,
        };
        if let Some(value) = self.names.call(name, &arguments).map_err(placed)? {
            return Ok(value);
        }
        let Some(function) = functions::find(name) else {
            return Err(self.error(span, "Call to unknown function", functions::unknown(name)));
        };
        let result = functions::call(function, arguments, self.budget, self.host);
        result.map_err(|error| match error {
            functions::Fail::Argument(index, why) => {
                let parameter = function.parameter(index).unwrap_or_default();
                let detail = format!("Invalid value for {parameter:?} parameter: {why}.");
                self.error(spans.get(index).cloned().flatten(), "Invalid function argument", detail)
            }
            functions::Fail::TooFew(detail) => {
                let end = call.span().map(|span| span.end.saturating_sub(1)..span.end);
                self.error(end, "Not enough function arguments", detail)
            }
            functions::Fail::TooMany(index, detail) => {
                self.error(spans.get(index).cloned().flatten(), "Too many function arguments", detail)
            }
            functions::Fail::Call(text) => placed(BakeError::plain(text)),
        })
    }

    /// `try` and `can` look at whether their arguments can be evaluated; `convert` reads a type.
    fn lazy_function(
        &self,
        name: &str,
        call: &FuncCall,
        scope: &Scope<'_>,
    ) -> Result<Option<Value>, BakeError> {
        let arguments: Vec<&Expression> = call.args.iter().collect();
        match (name, arguments.as_slice()) {
            ("can", [expr]) => Ok(Some(Value::Bool(self.eval(expr, scope).is_ok()))),
            ("try", _) => {
                let mut last = None;
                for expr in arguments {
                    match self.eval(expr, scope) {
                        Ok(value) => return Ok(Some(value)),
                        Err(error) => last = Some(error),
                    }
                }
                let why = match last {
                    None => "at least one argument is required".to_owned(),
                    Some(error) => format!("no expression succeeded: {error}"),
                };
                let open = call.name.name.span().map(|span| span.start..span.end + 1);
                let detail = format!("Call to function \"try\" failed: {why}");
                Err(self.error(open, "Error in function call", detail))
            }
            ("convert", [expr, kind]) => {
                let value = self.eval(expr, scope)?;
                let kind = super::kind::Kind::parse(kind)
                    .map_err(|why| self.error(kind.span(), "Invalid type specification", why))?;
                let converted = kind.convert(&value);
                let detail = |why: String| format!("Invalid value for \"value\" parameter: {why}.");
                converted
                    .map(Some)
                    .map_err(|why| self.error(start(expr), "Invalid function argument", detail(why)))
            }
            _ => Ok(None),
        }
    }
}
