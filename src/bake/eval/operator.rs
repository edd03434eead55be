//! Arithmetic, comparison, logic, conditionals.

use hcl_edit::Span as _;
use hcl_edit::expr::{BinaryOp, BinaryOperator, Conditional, Expression, UnaryOp, UnaryOperator};

use super::{Evaluator, Scope};
use crate::bake::error::BakeError;
use crate::bake::number::Number;
use crate::bake::value::Value;

impl Evaluator<'_> {
    pub(super) fn unary(&self, op: &UnaryOp, scope: &Scope<'_>) -> Result<Value, BakeError> {
        let value = self.eval(&op.expr, scope)?;
        let bad = |kind: &str| {
            let detail = format!("Unsuitable value for unary operand: {kind} required.");
            self.error(op.expr.span(), "Invalid operand", detail)
        };
        match op.operator.value() {
            UnaryOperator::Neg => Ok(Value::Number(value.to_number().ok_or_else(|| bad("number"))?.negate())),
            UnaryOperator::Not => Ok(Value::Bool(!value.to_bool().ok_or_else(|| bad("bool"))?)),
        }
    }

    pub(super) fn binary(&self, op: &BinaryOp, scope: &Scope<'_>) -> Result<Value, BakeError> {
        let left = self.eval(&op.lhs_expr, scope)?;
        let operator = *op.operator.value();
        if matches!(operator, BinaryOperator::And | BinaryOperator::Or) {
            return self.logic(op, operator, &left, scope);
        }
        let right = self.eval(&op.rhs_expr, scope)?;
        match operator {
            BinaryOperator::Eq => return Ok(Value::Bool(equal(&left, &right))),
            BinaryOperator::NotEq => return Ok(Value::Bool(!equal(&left, &right))),
            _ => {}
        }
        let a = self.operand(&op.lhs_expr, &left, "left", "number", Value::to_number)?;
        let b = self.operand(&op.rhs_expr, &right, "right", "number", Value::to_number)?;
        let failed = |text: &str| {
            self.error(op.span(), "Operation failed", format!("Error during operation: {text}."))
        };
        let number = |n: Option<Number>| n.map(Value::Number).ok_or_else(|| failed("the number is too big"));
        let divided = |n: Option<Number>| match n {
            None if b.is_zero() => {
                Err(self.error(op.rhs_expr.span(), "Division by zero", "Second operand must not be zero."))
            }
            other => number(other),
        };
        match operator {
            BinaryOperator::Plus => Ok(Value::Number(a.add(&b))),
            BinaryOperator::Minus => Ok(Value::Number(a.subtract(&b))),
            BinaryOperator::Mul => number(a.multiply(&b)),
            BinaryOperator::Div => divided(a.divide(&b)),
            BinaryOperator::Mod => divided(a.modulo(&b)),
            BinaryOperator::Less => Ok(Value::Bool(a < b)),
            BinaryOperator::LessEq => Ok(Value::Bool(a <= b)),
            BinaryOperator::Greater => Ok(Value::Bool(a > b)),
            BinaryOperator::GreaterEq => Ok(Value::Bool(a >= b)),
            BinaryOperator::Eq | BinaryOperator::NotEq | BinaryOperator::And | BinaryOperator::Or => {
                Err(failed("an operator stands where it can't"))
            }
        }
    }

    fn logic(
        &self,
        op: &BinaryOp,
        operator: BinaryOperator,
        left: &Value,
        scope: &Scope<'_>,
    ) -> Result<Value, BakeError> {
        let left = self.operand(&op.lhs_expr, left, "left", "bool", Value::to_bool)?;
        let right = self.eval(&op.rhs_expr, scope)?;
        let right = self.operand(&op.rhs_expr, &right, "right", "bool", Value::to_bool)?;
        Ok(Value::Bool(if operator == BinaryOperator::And { left && right } else { left || right }))
    }

    fn operand<T>(
        &self,
        expr: &Expression,
        value: &Value,
        side: &str,
        kind: &str,
        convert: impl Fn(&Value) -> Option<T>,
    ) -> Result<T, BakeError> {
        convert(value).ok_or_else(|| {
            let why = match value {
                Value::Null => "argument must not be null".to_owned(),
                Value::String(_) if kind == "number" => "a number is required".to_owned(),
                Value::String(_) if kind == "bool" => "a bool is required".to_owned(),
                _ => format!("{kind} required"),
            };
            let detail = format!("Unsuitable value for {side} operand: {why}.");
            self.error(expr.span(), "Invalid operand", detail)
        })
    }

    pub(super) fn conditional(&self, expr: &Conditional, scope: &Scope<'_>) -> Result<Value, BakeError> {
        let condition = self.eval(&expr.cond_expr, scope)?;
        let span = expr.cond_expr.span();
        if condition.is_null() {
            let detail = "The condition value is null. Conditions must either be true or false.";
            return Err(self.error(span, "Null condition", detail));
        }
        let Some(chosen) = condition.to_bool() else {
            let detail = "The condition expression must be of type bool.";
            return Err(self.error(span, "Incorrect condition type", detail));
        };
        // Both sides are looked at: their common type is the result's. What is wrong in the side
        // that is not chosen does not matter.
        let (wanted, other) =
            if chosen { (&expr.true_expr, &expr.false_expr) } else { (&expr.false_expr, &expr.true_expr) };
        let value = self.eval(wanted, scope)?;
        let Ok(other) = self.eval(other, scope) else { return Ok(value) };
        if let (true, Some(text)) = (matches!(other, Value::String(_)), value.to_text()) {
            return Ok(Value::String(text));
        }
        let shape = |value: &Value| match value {
            Value::Null => 0,
            Value::Bool(_) | Value::Number(_) | Value::String(_) => 1,
            Value::List(..) => 2,
            Value::Map(_) => 3,
        };
        let (a, b) = (shape(&value), shape(&other));
        let mixed_primitives = matches!(
            (&value, &other),
            (Value::Bool(_), Value::Number(_)) | (Value::Number(_), Value::Bool(_))
        );
        if (a != b && a != 0 && b != 0) || mixed_primitives {
            let (yes, no) = if chosen { (&value, &other) } else { (&other, &value) };
            let detail = format!(
                "The true and false result expressions must have consistent types. The 'true' value is {}, but the 'false' value is {}.",
                yes.type_name(),
                no.type_name()
            );
            let span = expr.true_expr.span().zip(expr.false_expr.span()).map(|(yes, no)| yes.start..no.end);
            return Err(self.error(span, "Inconsistent conditional result types", detail));
        }
        Ok(value)
    }
}

/// Values of different types are different, except that tuples equal lists.
pub fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::List(_, a), Value::List(_, b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| equal(a, b))
        }
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.0 == b.0 && equal(a.1, b.1))
        }
        (a, b) => a == b,
    }
}
