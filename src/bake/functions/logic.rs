//! Arithmetic, comparison and logic by name.

use super::Takes::{Any, Bool, Nullable, Number as Num, String as Str};
use super::{Arguments, Fail, Function, fixed, variadic};
use crate::bake::eval::equal;
use crate::bake::number::Number;
use crate::bake::value::Value;

pub(super) const TABLE: &[Function] = &[
    fixed("absolute", &[("num", Num)], |a| {
        let number = a.number(0);
        Ok(Value::Number(if number.is_negative() { number.negate() } else { number }))
    }),
    fixed("add", &[("a", Num), ("b", Num)], |a| Ok(Value::Number(a.number(0).add(&a.number(1))))),
    fixed("subtract", &[("a", Num), ("b", Num)], |a| Ok(Value::Number(a.number(0).subtract(&a.number(1))))),
    fixed("multiply", &[("a", Num), ("b", Num)], |a| number(a.number(0).multiply(&a.number(1)))),
    fixed("divide", &[("a", Num), ("b", Num)], |a| {
        if a.number(1).is_zero() {
            return Err("division by zero".into());
        }
        number(a.number(0).divide(&a.number(1)))
    }),
    // Without a divisor nothing is taken away.
    fixed("modulo", &[("a", Num), ("b", Num)], |a| {
        Ok(Value::Number(a.number(0).modulo(&a.number(1)).unwrap_or_else(|| a.number(0))))
    }),
    fixed("negate", &[("num", Num)], |a| Ok(Value::Number(a.number(0).negate()))),
    fixed("ceil", &[("num", Num)], |a| Ok(Value::Number(a.number(0).negate().floor().negate()))),
    fixed("floor", &[("num", Num)], |a| Ok(Value::Number(a.number(0).floor()))),
    fixed("int", &[("num", Num)], |a| Ok(Value::Number(a.number(0).truncate()))),
    fixed("signum", &[("num", Num)], |a| {
        let sign = a.number(0).cmp(&Number::from(0_i64)) as i64;
        Ok(Value::Number(Number::from(sign)))
    }),
    fixed("log", &[("num", Num), ("base", Num)], |a| {
        float(a.number(0).to_f64().ln() / a.number(1).to_f64().ln())
    }),
    fixed("pow", &[("num", Num), ("power", Num)], |a| float(a.number(0).to_f64().powf(a.number(1).to_f64()))),
    variadic("max", &[], ("numbers", Num), |a| extreme(a, Iterator::max)),
    variadic("min", &[], ("numbers", Num), |a| extreme(a, Iterator::min)),
    fixed("parseint", &[("number", Any), ("base", Num)], parse_int),
    fixed("and", &[("a", Bool), ("b", Bool)], |a| Ok(Value::Bool(a.bool(0) && a.bool(1)))),
    fixed("or", &[("a", Bool), ("b", Bool)], |a| Ok(Value::Bool(a.bool(0) || a.bool(1)))),
    fixed("not", &[("val", Bool)], |a| Ok(Value::Bool(!a.bool(0)))),
    fixed("equal", &[("a", Nullable), ("b", Nullable)], |a| {
        Ok(Value::Bool(equal(&a.values[0], &a.values[1])))
    }),
    fixed("notequal", &[("a", Nullable), ("b", Nullable)], |a| {
        Ok(Value::Bool(!equal(&a.values[0], &a.values[1])))
    }),
    fixed("greaterthan", &[("a", Num), ("b", Num)], |a| Ok(Value::Bool(a.number(0) > a.number(1)))),
    fixed("greaterthanorequalto", &[("a", Num), ("b", Num)], |a| Ok(Value::Bool(a.number(0) >= a.number(1)))),
    fixed("lessthan", &[("a", Num), ("b", Num)], |a| Ok(Value::Bool(a.number(0) < a.number(1)))),
    fixed("lessthanorequalto", &[("a", Num), ("b", Num)], |a| Ok(Value::Bool(a.number(0) <= a.number(1)))),
    fixed("semvercmp", &[("version", Str), ("constraint", Str)], |a| {
        super::text::semver_matches(a.text(0), a.text(1)).map(Value::Bool)
    }),
];

fn number(number: Option<Number>) -> Result<Value, Fail> {
    number.map(Value::Number).ok_or_else(|| "the number is too big".into())
}

fn float(value: f64) -> Result<Value, Fail> {
    // Go's logarithms of exact powers come out exact.
    let near = value.round();
    let value = if (value - near).abs() < 1e-12 * near.abs().max(1.0) { near } else { value };
    Number::from_f64(value).map(Value::Number).ok_or_else(|| "the result is no number".into())
}

fn extreme(
    arguments: &Arguments<'_>,
    pick: fn(std::vec::IntoIter<Number>) -> Option<Number>,
) -> Result<Value, Fail> {
    let numbers: Vec<Number> = arguments.values.iter().filter_map(Value::to_number).collect();
    pick(numbers.into_iter()).map(Value::Number).ok_or_else(|| "must pass at least one number".into())
}

fn parse_int(a: &Arguments<'_>) -> Result<Value, Fail> {
    let Value::String(text) = &a.values[0] else {
        return Err(Fail::Argument(
            0,
            format!("first argument must be a string, not {}", a.values[0].type_name()),
        ));
    };
    let base = a.integer(1)?;
    let Some(base) = u32::try_from(base).ok().filter(|base| (2..=36).contains(base)) else {
        return Err(Fail::Argument(
            1,
            "base must be a whole number between 2 and 62 inclusive; beyond 36 is not available".to_owned(),
        ));
    };
    let parsed = Number::from_base(text, base).map(Value::Number);
    parsed.ok_or_else(|| Fail::Argument(0, format!("cannot parse {text:?} as a base {base} integer")))
}
