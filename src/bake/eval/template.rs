//! Templates: literal text with `${...}` and `%{...}`.

use hcl_edit::Span as _;
use hcl_edit::template::{Directive, Element, HeredocTemplate, StringTemplate, Template};

use super::collection::bind;
use super::{Evaluator, Scope};
use crate::bake::error::BakeError;
use crate::bake::value::Value;

/// Which ends of a sequence of elements touch a `~`.
#[derive(Clone, Copy, Default)]
struct Edges {
    start: bool,
    end: bool,
}

impl Evaluator<'_> {
    /// `"${x}"` alone is the value itself, whatever its type.
    pub(super) fn string_template(
        &self,
        template: &StringTemplate,
        scope: &Scope<'_>,
    ) -> Result<Value, BakeError> {
        let elements: Vec<&Element> = template.iter().collect();
        if let [Element::Interpolation(only)] = elements.as_slice() {
            return self.eval(&only.expr, scope);
        }
        let mut text = String::new();
        self.elements(&elements, Edges::default(), scope, &mut text)?;
        Ok(Value::string(text))
    }

    pub(super) fn heredoc(&self, heredoc: &HeredocTemplate, scope: &Scope<'_>) -> Result<Value, BakeError> {
        let mut text = String::new();
        self.template(&heredoc.template, Edges::default(), scope, &mut text)?;
        Ok(Value::string(text))
    }

    fn template(
        &self,
        template: &Template,
        edges: Edges,
        scope: &Scope<'_>,
        text: &mut String,
    ) -> Result<(), BakeError> {
        let elements: Vec<&Element> = template.iter().collect();
        self.elements(&elements, edges, scope, text)
    }

    fn elements(
        &self,
        elements: &[&Element],
        edges: Edges,
        scope: &Scope<'_>,
        text: &mut String,
    ) -> Result<(), BakeError> {
        for (index, element) in elements.iter().enumerate() {
            let before = text.len();
            match element {
                Element::Literal(literal) => {
                    let trim_start = index.checked_sub(1).map_or(edges.start, |i| strips(elements[i]).end);
                    let trim_end = elements.get(index + 1).map_or(edges.end, |next| strips(next).start);
                    let mut part: &str = literal.value();
                    if trim_start {
                        part = part.trim_start();
                    }
                    if trim_end {
                        part = part.trim_end();
                    }
                    text.push_str(part);
                }
                Element::Interpolation(interpolation) => {
                    let value = self.eval(&interpolation.expr, scope)?;
                    let part = value.to_text().ok_or_else(|| {
                        let detail = match value {
                            Value::Null => "The expression result is null. Cannot include a null value in a string template.",
                            _ => "Cannot include the given value in a string template: string required.",
                        };
                        self.error(interpolation.expr.span(), "Invalid template interpolation value", detail)
                    })?;
                    text.push_str(&part);
                }
                Element::Directive(directive) => self.directive(directive, scope, text)?,
            }
            self.budget.take(1 + text.len().saturating_sub(before))?;
        }
        Ok(())
    }

    fn directive(
        &self,
        directive: &Directive,
        scope: &Scope<'_>,
        text: &mut String,
    ) -> Result<(), BakeError> {
        match directive {
            Directive::If(choice) => {
                let condition = self.eval(&choice.if_expr.cond_expr, scope)?;
                let chosen = condition.to_bool().ok_or_else(|| {
                    let detail = "The condition expression must be of type bool.";
                    self.error(choice.if_expr.cond_expr.span(), "Incorrect condition type", detail)
                })?;
                let close = choice.endif_expr.strip.strip_start();
                if chosen {
                    let end = choice.else_expr.as_ref().map_or(close, |other| other.strip.strip_start());
                    let edges = Edges { start: choice.if_expr.strip.strip_end(), end };
                    self.template(&choice.if_expr.template, edges, scope, text)
                } else if let Some(other) = &choice.else_expr {
                    let edges = Edges { start: other.strip.strip_end(), end: close };
                    self.template(&other.template, edges, scope, text)
                } else {
                    Ok(())
                }
            }
            Directive::For(repeat) => {
                let head = &repeat.for_expr;
                let collection = self.eval(&head.collection_expr, scope)?;
                let edges =
                    Edges { start: head.strip.strip_end(), end: repeat.endfor_expr.strip.strip_start() };
                let key_name = head.key_var.as_ref().map(|name| name.as_str());
                for (key, value) in self.pairs(&collection, head.collection_expr.span())? {
                    let inner = bind(scope, key_name, key, head.value_var.as_str(), value);
                    self.template(&head.template, edges, &inner, text)?;
                }
                Ok(())
            }
        }
    }
}

/// Which sides of an element have a `~`.
fn strips(element: &Element) -> Edges {
    let both = |open: hcl_edit::template::Strip, close: hcl_edit::template::Strip| Edges {
        start: open.strip_start(),
        end: close.strip_end(),
    };
    match element {
        Element::Literal(_) => Edges::default(),
        Element::Interpolation(interpolation) => both(interpolation.strip, interpolation.strip),
        Element::Directive(directive) => match &**directive {
            Directive::If(choice) => both(choice.if_expr.strip, choice.endif_expr.strip),
            Directive::For(repeat) => both(repeat.for_expr.strip, repeat.endfor_expr.strip),
        },
    }
}
