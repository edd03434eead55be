//! Sets.

use super::Takes::{Any, Nullable, Set};
use super::{Arguments, Fail, Function, fixed, variadic};
use crate::bake::eval::equal;
use crate::bake::value::{Sequence, Value};

pub(super) const TABLE: &[Function] = &[
    fixed("sethaselement", &[("set", Set), ("elem", Nullable)], |a| {
        Ok(Value::Bool(has(a.list(0), &a.values[1])))
    }),
    variadic("setunion", &[("first_set", Set)], ("other_sets", Set), |a| {
        let all = a.values.iter().filter_map(Value::elements).flat_map(|values| values.iter().cloned());
        Ok(Value::set(Value::unify(all.collect())))
    }),
    variadic("setintersection", &[("first_set", Set)], ("other_sets", Set), |a| {
        let others = a.from(1);
        let everywhere =
            |value: &&Value| others.iter().all(|other| has(other.elements().map_or(&[], |v| v), value));
        Ok(Value::set(a.list(0).iter().filter(everywhere).cloned().collect()))
    }),
    fixed("setsubtract", &[("a", Set), ("b", Set)], |a| {
        Ok(Value::set(a.list(0).iter().filter(|value| !has(a.list(1), value)).cloned().collect()))
    }),
    variadic("setsymmetricdifference", &[("first_set", Set)], ("other_sets", Set), |a| {
        let mut odd: Vec<Value> = Vec::new();
        for set in a.values {
            for value in set.elements().map_or(&[][..], |values| values) {
                match odd.iter().position(|other| equal(other, value)) {
                    Some(at) => drop(odd.remove(at)),
                    None => odd.push(value.clone()),
                }
            }
        }
        Ok(Value::set(odd))
    }),
    variadic("setproduct", &[], ("sets", Any), product),
];

/// A set's values are sorted.
fn has(set: &[Value], value: &Value) -> bool {
    set.binary_search_by(|other| other.order(value)).is_ok()
}

fn product(a: &Arguments<'_>) -> Result<Value, Fail> {
    if a.values.len() < 2 {
        return Err("at least two arguments are required".into());
    }
    let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
    for (index, value) in a.values.iter().enumerate() {
        let elements = value
            .elements()
            .ok_or_else(|| Fail::Argument(index, "a set or a list is required".to_owned()))?;
        a.budget.take(rows.len().saturating_mul(elements.len()).saturating_mul(index + 1))?;
        rows = rows
            .iter()
            .flat_map(|row| {
                elements
                    .iter()
                    .map(|element| row.iter().cloned().chain([element.clone()]).collect::<Vec<_>>())
            })
            .collect();
    }
    let rows: Vec<Value> = rows.into_iter().map(Value::tuple).collect();
    let all_sets = a.values.iter().all(|value| matches!(value, Value::List(Sequence::Set, _)));
    Ok(if all_sets { Value::set(rows) } else { Value::list(rows) })
}
