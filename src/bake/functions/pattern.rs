//! Regular expressions. Their syntax is RE2's, as in Go.

use std::collections::BTreeMap;

use regex::{Captures, Regex, RegexBuilder};

use super::Takes::String as Str;
use super::{Arguments, Fail, Function, fixed};
use crate::bake::value::Value;

/// Bytes that a compiled expression may take.
const MAX_COMPILED: usize = 4 << 20;

pub(super) const TABLE: &[Function] = &[
    fixed("regex", &[("pattern", Str), ("string", Str)], |a| {
        let regex =
            compile(a.text(0)).map_err(|why| Fail::Argument(0, format!("invalid regexp pattern: {why}")))?;
        check_groups(&regex)?;
        let found = regex.captures(a.text(1)).ok_or("pattern did not match any part of the given string")?;
        Ok(value(&regex, &found))
    }),
    fixed("regexall", &[("pattern", Str), ("string", Str)], |a| {
        let regex =
            compile(a.text(0)).map_err(|why| Fail::Argument(0, format!("invalid regexp pattern: {why}")))?;
        check_groups(&regex)?;
        let mut all = Vec::new();
        for found in regex.captures_iter(a.text(1)) {
            a.budget.take(1 + found.len())?;
            all.push(value(&regex, &found));
        }
        Ok(Value::list(all))
    }),
    fixed("regex_replace", &[("str", Str), ("pattern", Str), ("replace", Str)], replace_all),
];

/// Returns a compiled expression, or why it is none in Go's words where they are the same.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern).size_limit(MAX_COMPILED).nest_limit(100).build().map_err(|error| match error {
        regex::Error::Syntax(text) if text.contains("unclosed group") => {
            format!("missing closing ) in {pattern}")
        }
        regex::Error::Syntax(text) if text.contains("unclosed character class") => {
            format!("missing closing ] in {pattern}")
        }
        regex::Error::Syntax(text) => {
            let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            format!("{why} in {pattern}")
        }
        other => other.to_string(),
    })
}

fn check_groups(regex: &Regex) -> Result<(), Fail> {
    let named = regex.capture_names().skip(1).filter(Option::is_some).count();
    if named > 0 && named + 1 != regex.captures_len() {
        let why = "invalid regexp pattern: cannot mix both named and unnamed capture groups";
        return Err(Fail::Argument(0, why.to_owned()));
    }
    Ok(())
}

/// The whole match without groups, else a tuple of them, or an object of named ones.
fn value(regex: &Regex, found: &Captures<'_>) -> Value {
    let text = |group: Option<regex::Match<'_>>| group.map_or(Value::Null, |m| Value::string(m.as_str()));
    if regex.captures_len() == 1 {
        return text(found.get(0));
    }
    let names: Vec<_> = regex.capture_names().skip(1).flatten().collect();
    if names.is_empty() {
        return Value::tuple((1..found.len()).map(|index| text(found.get(index))).collect());
    }
    let fields: BTreeMap<_, _> =
        names.into_iter().map(|name| (name.to_owned(), text(found.name(name)))).collect();
    Value::map(fields)
}

fn replace_all(a: &Arguments<'_>) -> Result<Value, Fail> {
    let regex = compile(a.text(1)).map_err(|why| {
        let why = why.replace(" in ", ": `");
        Fail::Call(format!("error parsing regexp: {why}`"))
    })?;
    let (text, template) = (a.text(0), a.text(2));
    let mut out = String::new();
    let mut end = 0;
    for found in regex.captures_iter(text) {
        let whole = found.get(0).expect("a match has a whole");
        out.push_str(&text[end..whole.start()]);
        found.expand(template, &mut out);
        end = whole.end();
        a.budget.take(1 + template.len())?;
    }
    out.push_str(&text[end..]);
    Ok(Value::string(out))
}
