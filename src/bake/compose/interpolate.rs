//! `${VARIABLE:-default}` in compose files.

use super::node::Node;

/// Gives variables' values.
#[derive(Clone, Copy)]
pub struct LookUp<'a> {
    /// A variable's value; none if it is not set.
    pub value: &'a dyn Fn(&str) -> Option<String>,
    /// Hears of variables that are not set and have no default.
    pub blank: &'a dyn Fn(&str),
}

impl LookUp<'_> {
    fn or_blank(self, name: &str) -> String {
        (self.value)(name).unwrap_or_else(|| {
            (self.blank)(name);
            String::new()
        })
    }
}

/// Defaults nested deeper than this are refused.
const MAX_DEPTH: usize = 50;

/// Replaces the variables in all text of a value; `path` names it in messages.
///
/// # Errors
/// A variable that must be there is not, or a `$` means nothing.
pub fn interpolate(node: &mut Node, path: &str, variables: LookUp<'_>) -> Result<(), String> {
    match node {
        Node::Text(text) => *text = expand(text, path, variables)?,
        Node::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                interpolate(item, &format!("{path}.[{index}]"), variables)?;
            }
        }
        Node::Map(fields) => {
            for (key, value) in fields.iter_mut() {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                interpolate(value, &path, variables)?;
            }
        }
        Node::Override(inner) => interpolate(inner, path, variables)?,
        Node::Null | Node::Bool(_) | Node::Number(_) | Node::Reset => {}
    }
    Ok(())
}

fn expand(text: &str, path: &str, variables: LookUp<'_>) -> Result<String, String> {
    substitute(text, variables, 0).map_err(|wrong| match wrong {
        Wrong::Missing(why) => format!("error while interpolating {path}: {why}"),
        Wrong::Form => format!(
            "invalid interpolation format for {path}.\nYou may need to escape any $ with another $.\n{text}"
        ),
    })
}

enum Wrong {
    /// A required variable, with what to say.
    Missing(String),
    /// A `$` that begins nothing.
    Form,
}

fn substitute(text: &str, variables: LookUp<'_>, depth: usize) -> Result<String, Wrong> {
    if depth > MAX_DEPTH {
        return Err(Wrong::Form);
    }
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(inside) = rest.strip_prefix('{') {
            let end = closing(inside).ok_or(Wrong::Form)?;
            out.push_str(&braced(&inside[..end], variables, depth)?);
            rest = &inside[end + 1..];
        } else {
            let length = name_length(rest);
            if length == 0 {
                return Err(Wrong::Form);
            }
            out.push_str(&variables.or_blank(&rest[..length]));
            rest = &rest[length..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// Where the brace that is open at the text's beginning closes.
fn closing(text: &str) -> Option<usize> {
    let (mut open, mut before) = (1, ' ');
    for (index, c) in text.char_indices() {
        match c {
            '{' if before == '$' => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(index);
        }
        before = c;
    }
    None
}

fn name_length(text: &str) -> usize {
    let first = |c: char| c == '_' || c.is_ascii_alphabetic();
    if !text.starts_with(first) {
        return 0;
    }
    text.find(|c: char| !first(c) && !c.is_ascii_digit()).unwrap_or(text.len())
}

fn braced(text: &str, variables: LookUp<'_>, depth: usize) -> Result<String, Wrong> {
    let (name, operator) = text.split_at(name_length(text));
    if name.is_empty() {
        return Err(Wrong::Form);
    }
    let value = (variables.value)(name);
    let (needs_text, operator) = match operator.strip_prefix(':') {
        Some(rest) => (true, rest),
        None => (false, operator),
    };
    let there = value.as_ref().filter(|value| !needs_text || !value.is_empty());
    let other = |rest: &str| substitute(rest, variables, depth + 1);
    match operator.chars().next() {
        None if !needs_text => Ok(variables.or_blank(name)),
        Some('-') => there.map_or_else(|| other(&operator[1..]), |value| Ok(value.clone())),
        Some('+') => there.map_or_else(|| Ok(String::new()), |_| other(&operator[1..])),
        Some('?') => match there {
            Some(value) => Ok(value.clone()),
            None => {
                let why = other(&operator[1..])?;
                Err(Wrong::Missing(format!("required variable {name} is missing a value: {why}")))
            }
        },
        _ => Err(Wrong::Form),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str) -> Option<String> {
        match name {
            "H" => Some("hh".to_owned()),
            "E" => Some(String::new()),
            _ => None,
        }
    }

    fn expanded(text: &str, path: &str) -> Result<String, String> {
        expand(text, path, LookUp { value: &value, blank: &|_| {} })
    }

    #[test]
    fn blanks_are_told() {
        let told = std::cell::RefCell::new(Vec::new());
        let blank = |name: &str| told.borrow_mut().push(name.to_owned());
        let text =
            expand("$A ${B} ${C:-c} ${D-d} ${E2+e} $H$E", "p", LookUp { value: &value, blank: &blank });
        assert_eq!((text.as_deref(), told.into_inner()), (Ok("  c d  hh"), vec!["A".into(), "B".to_owned()]));
    }

    #[test]
    fn variables_and_their_operators() {
        let table = [
            ("plain", "plain"),
            ("$H/$$H/${H}", "hh/$H/hh"),
            ("$U|${U}", "|"),
            ("${U:-d${W:-x}y}", "dxy"),
            ("${U-d}${E-d}${E:-d}", "dd"),
            ("${U+a}${E+b}${E:+c}${H:+d}", "bd"),
            ("${H?no}${H:?no}${E?no}", "hhhh"),
            ("${U:-}", ""),
            ("${U:-a}}", "a}"),
            ("$H-x", "hh-x"),
            ("$$", "$"),
        ];
        for (text, expected) in table {
            assert_eq!(expanded(text, "p").as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_means_nothing_is_an_error() {
        for text in ["${U", "$", "a $1", "${}", "${H!}", "${H:}", "${1}", &"${U:-".repeat(60_000)] {
            let error = expanded(text, "services.a").unwrap_err();
            assert!(error.starts_with("invalid interpolation format for services.a."), "{error}");
        }
        let error = expanded("${U:?set ${H}}", "a.b").unwrap_err();
        assert_eq!(error, "error while interpolating a.b: required variable U is missing a value: set hh");
    }
}
