//! Lists, tuples, maps and objects.

use std::collections::BTreeMap;

use super::Takes::{Any, List, Nullable, Number as Num, Strings};
use super::{Arguments, Fail, Function, fixed, variadic};
use crate::bake::eval::equal;
use crate::bake::number::Number;
use crate::bake::value::Value;

const NOT_A_COLLECTION: &str = "collection must be a list, a map or a tuple";

/// Most values a `range` gives.
const MAX_RANGE: usize = 1024;

pub(super) const TABLE: &[Function] = &[
    fixed("chunklist", &[("list", List), ("size", Num)], chunk_list),
    variadic("coalesce", &[], ("vals", Nullable), |a| {
        let values = Value::unify(a.values.to_vec());
        values.into_iter().find(|value| !value.is_null()).ok_or_else(|| "no non-null arguments".into())
    }),
    variadic("coalescelist", &[], ("vals", Nullable), |a| {
        let filled = |value: &&Value| value.elements().is_some_and(|elements| !elements.is_empty());
        a.values.iter().find(filled).cloned().ok_or_else(|| "no non-null arguments".into())
    }),
    fixed("compact", &[("list", Strings)], |a| {
        let kept = a.list(0).iter().filter(|value| !value.is_null() && **value != Value::string(""));
        Ok(Value::list(kept.cloned().collect()))
    }),
    variadic("concat", &[], ("seqs", Any), |a| {
        let mut all = Vec::new();
        for (index, value) in a.values.iter().enumerate() {
            let elements = value.elements().ok_or_else(|| {
                Fail::Argument(
                    index,
                    "all arguments must be lists or tuples; got ".to_owned() + value.type_name(),
                )
            })?;
            all.extend(elements.iter().cloned());
        }
        Ok(Value::tuple(all))
    }),
    fixed("contains", &[("list", Any), ("value", Any)], |a| {
        let elements = a.values[0].elements().ok_or("argument must be list, tuple, or set")?;
        Ok(Value::Bool(elements.iter().any(|value| equal(value, &a.values[1]))))
    }),
    fixed("distinct", &[("list", List)], |a| {
        let mut kept: Vec<Value> = Vec::new();
        for value in a.list(0) {
            a.budget.take(kept.len())?;
            if !kept.iter().any(|other| equal(other, value)) {
                kept.push(value.clone());
            }
        }
        Ok(Value::list(kept))
    }),
    fixed("element", &[("list", Any), ("index", Num)], element),
    fixed("flatten", &[("list", Any)], |a| {
        let elements = a.values[0].elements().ok_or("can only flatten lists, sets and tuples")?;
        let mut all = Vec::new();
        flatten(elements, a, &mut all)?;
        Ok(Value::tuple(all))
    }),
    fixed("hasindex", &[("collection", Any), ("key", Any)], |a| has_index(a).map(Value::Bool)),
    fixed("index", &[("collection", Any), ("key", Any)], index),
    fixed("indexof", &[("list", Any), ("value", Any)], |a| {
        let elements = a.values[0].elements().ok_or("argument must be a list or tuple")?;
        if elements.is_empty() {
            return Err("cannot search an empty list".into());
        }
        let found = elements.iter().position(|value| equal(value, &a.values[1]));
        found.map(Value::count).ok_or_else(|| "item not found".into())
    }),
    fixed("keys", &[("inputMap", Any)], |a| {
        let keys = map(&a.values[0], "keys() requires a map as the first argument")?.keys();
        Ok(Value::tuple(keys.map(|key| Value::string(key.as_str())).collect()))
    }),
    fixed("length", &[("collection", Any)], |a| match &a.values[0] {
        Value::List(_, values) => Ok(Value::count(values.len())),
        Value::Map(values) => Ok(Value::count(values.len())),
        _ => Err(NOT_A_COLLECTION.into()),
    }),
    fixed("lookup", &[("inputMap", Any), ("key", super::Takes::String), ("default", Nullable)], |a| {
        let values = map(&a.values[0], "lookup() requires a map as the first argument")?;
        Ok(values.get(a.text(1)).unwrap_or(&a.values[2]).clone())
    }),
    variadic("merge", &[], ("maps", Nullable), |a| {
        let mut merged = BTreeMap::new();
        for value in a.values.iter().filter(|value| !value.is_null()) {
            let text = format!("arguments must be maps or objects, got {:?}", value.type_name());
            merged.extend(map(value, &text)?.clone());
        }
        Ok(Value::map(merged))
    }),
    variadic("range", &[], ("params", Num), range),
    fixed("reverselist", &[("list", Any)], |a| {
        let elements = a.values[0].elements().ok_or("can only reverse list or tuple values")?;
        Ok(Value::tuple(elements.iter().rev().cloned().collect()))
    }),
    fixed("slice", &[("list", Any), ("start_index", Num), ("end_index", Num)], slice),
    fixed("sort", &[("list", Strings)], |a| {
        let mut values = a.list(0).to_vec();
        if values.iter().any(Value::is_null) {
            return Err("given list element is null; a null string cannot be sorted".into());
        }
        values.sort_by(Value::order);
        Ok(Value::list(values))
    }),
    fixed("values", &[("mapping", Any)], |a| {
        let values = map(&a.values[0], "values() requires a map as the first argument")?.values();
        Ok(Value::tuple(values.cloned().collect()))
    }),
    fixed("zipmap", &[("keys", Strings), ("values", Any)], |a| {
        let values = a.values[1]
            .elements()
            .ok_or_else(|| Fail::Argument(1, "values must be a list or tuple value".to_owned()))?;
        let keys = a.list(0);
        if keys.len() != values.len() {
            return Err(format!(
                "number of keys ({}) does not match number of values ({})",
                keys.len(),
                values.len()
            )
            .into());
        }
        let keys = keys.iter().filter_map(Value::to_text).map(|key| key.to_string());
        Ok(Value::map(keys.zip(values.iter().cloned()).collect()))
    }),
    fixed("jsondecode", &[("str", super::Takes::String)], |a| {
        let json: serde_json::Value = serde_json::from_str(a.text(0)).map_err(|e| e.to_string())?;
        a.budget.take(a.text(0).len())?;
        Ok(Value::from_json(&json))
    }),
    fixed("jsonencode", &[("val", Nullable)], |a| Ok(Value::string(a.values[0].to_json()))),
];

fn map<'a>(value: &'a Value, otherwise: &str) -> Result<&'a BTreeMap<String, Value>, Fail> {
    match value {
        Value::Map(values) => Ok(values),
        _ => Err(otherwise.into()),
    }
}

fn chunk_list(a: &Arguments<'_>) -> Result<Value, Fail> {
    let size = usize::try_from(a.integer(1)?).map_err(|_| "the size argument must be positive")?;
    let elements = a.list(0);
    let size = if size == 0 { elements.len().max(1) } else { size };
    Ok(Value::list(elements.chunks(size).map(|chunk| Value::list(chunk.to_vec())).collect()))
}

fn element(a: &Arguments<'_>) -> Result<Value, Fail> {
    let elements = a.values[0]
        .elements()
        .ok_or_else(|| Fail::Argument(0, format!("cannot read elements from {}", a.values[0].type_name())))?;
    let index = a.number(1).to_i64().ok_or(
        "invalid index: value must be a whole number, between -9223372036854775808 and 9223372036854775807",
    )?;
    let index = usize::try_from(index).map_err(|_| "cannot use element function with a negative index")?;
    if elements.is_empty() {
        return Err("cannot use element function with an empty list".into());
    }
    Ok(elements[index % elements.len()].clone())
}

fn flatten(elements: &[Value], a: &Arguments<'_>, all: &mut Vec<Value>) -> Result<(), Fail> {
    a.budget.take(elements.len())?;
    for value in elements {
        match value {
            Value::List(_, inner) => a.budget.deeper(|| {
                flatten(inner, a, all)
                    .map_err(|_| crate::bake::BakeError::plain("the list is too big to flatten"))
            })?,
            value => all.push(value.clone()),
        }
    }
    Ok(())
}

fn has_index(a: &Arguments<'_>) -> Result<bool, Fail> {
    match &a.values[0] {
        Value::List(_, values) => {
            let index = a.values[1].to_number().and_then(|n| n.to_i64());
            Ok(index.and_then(|index| usize::try_from(index).ok()).is_some_and(|index| index < values.len()))
        }
        Value::Map(values) => Ok(a.values[1].to_text().is_some_and(|key| values.contains_key(&*key))),
        _ => Err(NOT_A_COLLECTION.into()),
    }
}

fn index(a: &Arguments<'_>) -> Result<Value, Fail> {
    match &a.values[0] {
        Value::List(_, values) => {
            let index = a.values[1].to_number().and_then(|n| n.to_i64());
            let found =
                index.and_then(|index| usize::try_from(index).ok()).and_then(|index| values.get(index));
            found
                .cloned()
                .ok_or_else(|| format!("key must be between 0 and {} inclusive", values.len()).into())
        }
        Value::Map(values) => {
            let found = a.values[1].to_text().and_then(|key| values.get(&*key));
            found.cloned().ok_or_else(|| "the given key does not exist in the map".into())
        }
        _ => Err(NOT_A_COLLECTION.into()),
    }
}

fn range(a: &Arguments<'_>) -> Result<Value, Fail> {
    let (zero, one) = (Number::from(0_i64), Number::from(1_i64));
    let (start, end, step) = match a.values.len() {
        1 => (zero.clone(), a.number(0), None),
        2 => (a.number(0), a.number(1), None),
        3 => (a.number(0), a.number(1), Some(a.number(2))),
        _ => return Err("must have one, two, or three arguments".into()),
    };
    let down = end < start;
    let step = step.unwrap_or_else(|| if down { one.negate() } else { one });
    if (down && step > zero) || (!down && step.is_negative()) {
        let (place, sign) = if down { ("less", "negative") } else { ("greater", "positive") };
        return Err(Fail::Argument(2, format!("step must be {sign} when end is {place} than start")));
    }
    let mut values = Vec::new();
    let mut number = start;
    while if down { number > end } else { number < end } {
        if values.len() >= MAX_RANGE {
            return Err(format!("more than {MAX_RANGE} values were generated; either decrease the difference between start and end or use a smaller step").into());
        }
        values.push(Value::Number(number.clone()));
        number = number.add(&step);
    }
    Ok(Value::list(values))
}

fn slice(a: &Arguments<'_>) -> Result<Value, Fail> {
    let elements = a.values[0]
        .elements()
        .ok_or_else(|| Fail::Argument(0, "must be a list or tuple value".to_owned()))?;
    let (start, end) = (a.integer(1)?, a.integer(2)?);
    let Ok(first) = usize::try_from(start) else {
        return Err(Fail::Argument(1, "start index must not be less than zero".to_owned()));
    };
    if first > elements.len() {
        return Err(Fail::Argument(
            1,
            "start index must not be greater than the length of the list".to_owned(),
        ));
    }
    if start > end {
        return Err(Fail::Argument(1, "start index must not be greater than end index".to_owned()));
    }
    let last = usize::try_from(end).unwrap_or(0);
    if last > elements.len() {
        return Err(Fail::Argument(
            2,
            "end index must not be greater than the length of the list".to_owned(),
        ));
    }
    Ok(Value::tuple(elements[first..last].to_vec()))
}
