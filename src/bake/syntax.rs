//! Text to blocks and attributes: HCL's own syntax and its JSON form.

use std::ops::Range;
use std::sync::Arc;

use hcl_edit::Span as _;
use hcl_edit::expr::{Array, Expression, Object, ObjectKey, ObjectValue};
use hcl_edit::parser;
use hcl_edit::structure::{Body as HclBody, Structure};
use hcl_edit::template::StringTemplate;

use super::error::BakeError;
use super::source::SourceFile;

/// `name = expression`
#[derive(Debug, Clone)]
pub struct Attribute {
    /// The name.
    pub name: String,
    /// What stands after the equals sign.
    pub expr: Arc<Expression>,
    /// Where the name begins and the expression ends.
    pub span: Range<usize>,
    /// The file it stands in.
    pub file: Arc<SourceFile>,
}

/// `kind "label" { ... }`
#[derive(Debug, Clone)]
pub struct Block {
    /// E.g. `target`.
    pub kind: String,
    /// The labels with their places.
    pub labels: Vec<(String, Range<usize>)>,
    /// What is inside.
    pub body: Body,
    /// Where the kind and the labels are.
    pub head: Range<usize>,
    /// The file it stands in.
    pub file: Arc<SourceFile>,
}

/// What a file or a block holds, in order.
#[derive(Debug, Clone, Default)]
pub struct Body {
    /// The attributes.
    pub attributes: Vec<Attribute>,
    /// The blocks.
    pub blocks: Vec<Block>,
}

impl Body {
    /// Returns an attribute by name.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }
}

/// Kinds of blocks at the top of a file; the JSON form can't tell them from attributes.
const TOP_BLOCKS: [&str; 4] = ["target", "group", "variable", "function"];

/// Largest file that is read.
const MAX_FILE: usize = 4 << 20;

/// Reads HCL or, by the name's ending or when it is no HCL, JSON.
///
/// # Errors
/// It is neither; the error is that of the form the name asks for.
pub fn parse(file: &Arc<SourceFile>) -> Result<Body, BakeError> {
    if file.text.len() > MAX_FILE {
        return Err(BakeError::plain(format!("{}: more than {MAX_FILE} bytes", file.name)));
    }
    if file.name.to_lowercase().ends_with(".json") {
        return parse_json(file);
    }
    match parse_hcl(file) {
        Err(error) if file.text.trim_start().starts_with('{') => parse_json(file).map_err(|_| error),
        parsed => parsed,
    }
}

fn parse_hcl(file: &Arc<SourceFile>) -> Result<Body, BakeError> {
    let body = parser::parse_body(&file.text).map_err(|error| {
        let offset = error.location().offset();
        let detail = format!("{}.", error.message().replace('\n', "; "));
        BakeError::at(file, offset..offset + 1, "Invalid expression", detail)
    })?;
    convert_body(body, file)
}

fn convert_body(body: HclBody, file: &Arc<SourceFile>) -> Result<Body, BakeError> {
    let mut converted = Body::default();
    for structure in body {
        match structure {
            Structure::Attribute(attribute) => {
                let name = attribute.key.as_str().to_owned();
                let key = attribute.key.span().unwrap_or(0..0);
                if let Some(before) = converted.attribute(&name) {
                    let place = file.place(before.span.clone());
                    return Err(BakeError::at(
                        file,
                        key,
                        "Attribute redefined",
                        format!(
                            "The argument {name:?} was already set at {place}. Each argument may be set only once."
                        ),
                    ));
                }
                let end = attribute.value.span().map_or(key.end, |span| span.end);
                let expr = Arc::new(attribute.value);
                converted.attributes.push(Attribute {
                    name,
                    expr,
                    span: key.start..end,
                    file: Arc::clone(file),
                });
            }
            Structure::Block(block) => {
                let head = block.ident.span().unwrap_or(0..0);
                let labels: Vec<_> = block
                    .labels
                    .iter()
                    .map(|label| (label.as_str().to_owned(), label.span().unwrap_or_else(|| head.clone())))
                    .collect();
                let end = labels.last().map_or(head.end, |(_, span)| span.end);
                converted.blocks.push(Block {
                    kind: block.ident.as_str().to_owned(),
                    labels,
                    body: convert_body(block.body, file)?,
                    head: head.start..end,
                    file: Arc::clone(file),
                });
            }
        }
    }
    Ok(converted)
}

fn parse_json(file: &Arc<SourceFile>) -> Result<Body, BakeError> {
    let json: serde_json::Value = serde_json::from_str(&file.text).map_err(|error| {
        let line_start: usize =
            file.text.split('\n').take(error.line().saturating_sub(1)).map(|l| l.len() + 1).sum();
        let offset = line_start + error.column().saturating_sub(1);
        BakeError::at(file, offset..offset + 1, "Invalid JSON", format!("{error}."))
    })?;
    let Some(object) = json.as_object() else {
        return Err(BakeError::at(
            file,
            0..1,
            "Root value must be object",
            "The root value in a JSON-based configuration must be either a JSON object or a JSON array of objects.",
        ));
    };
    let mut body = Body::default();
    for (key, value) in object {
        if TOP_BLOCKS.contains(&key.as_str()) {
            for labelled in one_or_many(value) {
                for (label, content) in labelled.as_object().into_iter().flatten() {
                    for content in one_or_many(content) {
                        body.blocks.push(json_block(key, Some(label), content, file)?);
                    }
                }
            }
        } else {
            body.attributes.push(json_attribute(key, value, file)?);
        }
    }
    Ok(body)
}

/// In JSON a list stands for the same block several times.
fn one_or_many(value: &serde_json::Value) -> Vec<&serde_json::Value> {
    match value {
        serde_json::Value::Array(values) => values.iter().collect(),
        value => vec![value],
    }
}

fn json_block(
    kind: &str,
    label: Option<&str>,
    content: &serde_json::Value,
    file: &Arc<SourceFile>,
) -> Result<Block, BakeError> {
    let mut body = Body::default();
    let Some(object) = content.as_object() else {
        return Err(BakeError::at(
            file,
            0..1,
            "Incorrect JSON value type",
            format!("{kind} {}: a JSON object is required.", label.unwrap_or_default()),
        ));
    };
    for (key, value) in object {
        if kind == "variable" && key == "validation" {
            for value in one_or_many(value) {
                body.blocks.push(json_block(key, None, value, file)?);
            }
        } else {
            body.attributes.push(json_attribute(key, value, file)?);
        }
    }
    let labels = label.map(|label| (label.to_owned(), 0..1)).into_iter().collect();
    Ok(Block { kind: kind.to_owned(), labels, body, head: 0..1, file: Arc::clone(file) })
}

fn json_attribute(
    name: &str,
    value: &serde_json::Value,
    file: &Arc<SourceFile>,
) -> Result<Attribute, BakeError> {
    let expr = Arc::new(json_expression(value, file)?);
    Ok(Attribute { name: name.to_owned(), expr, span: 0..1, file: Arc::clone(file) })
}

/// Strings are templates, in keys too.
fn json_expression(value: &serde_json::Value, file: &SourceFile) -> Result<Expression, BakeError> {
    Ok(match value {
        serde_json::Value::Null => Expression::null(),
        serde_json::Value::Bool(value) => Expression::from(*value),
        serde_json::Value::Number(number) => json_number(number, file)?,
        serde_json::Value::String(text) => json_template(text, file)?,
        serde_json::Value::Array(values) => {
            let mut array = Array::new();
            for value in values {
                array.push(json_expression(value, file)?);
            }
            Expression::from(array)
        }
        serde_json::Value::Object(values) => {
            let mut object = Object::new();
            for (key, value) in values {
                let key = ObjectKey::Expression(json_template(key, file)?);
                object.insert(key, ObjectValue::new(json_expression(value, file)?));
            }
            Expression::from(object)
        }
    })
}

fn json_number(number: &serde_json::Number, file: &SourceFile) -> Result<Expression, BakeError> {
    if let Some(value) = number.as_i64() {
        return Ok(Expression::from(value));
    }
    number.to_string().parse().map_err(|_| {
        BakeError::at(file, 0..1, "Invalid JSON number", format!("{number} is no number that can be read."))
    })
}

fn json_template(text: &str, file: &SourceFile) -> Result<Expression, BakeError> {
    if !text.contains("${") && !text.contains("%{") {
        return Ok(Expression::from(text));
    }
    let template = parser::parse_template(text).map_err(|error| {
        let message = error.message().replace('\n', "; ");
        BakeError::at(file, 0..1, "Invalid template", format!("{text:?}: {message}."))
    })?;
    Ok(Expression::from(template.into_iter().collect::<StringTemplate>()))
}

/// Returns where an expression begins: its first sign, or the text inside quotes.
pub fn start(expr: &Expression) -> Option<Range<usize>> {
    let span = expr.span()?;
    Some(match expr {
        Expression::String(_) if span.len() > 2 => span.start + 1..span.end - 1,
        Expression::Array(_)
        | Expression::Object(_)
        | Expression::ForExpr(_)
        | Expression::StringTemplate(_) => span.start..span.start + 1,
        Expression::FuncCall(call) => call.name.name.span()?,
        Expression::Traversal(traversal) => start(&traversal.expr)?,
        Expression::BinaryOp(op) => start(&op.lhs_expr)?,
        Expression::Conditional(choice) => start(&choice.cond_expr)?,
        Expression::Parenthesis(_) => span.start..span.start + 1,
        _ => span,
    })
}
