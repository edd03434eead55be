//! `.env` files: `NAME=value` lines with quotes, comments and variables.

use std::collections::BTreeMap;

/// Reads a file; `known` gives variables from elsewhere, which may go before the file's own.
///
/// # Errors
/// A line is no assignment, or a quote stays open.
pub fn parse(
    text: &str,
    known: &dyn Fn(&str) -> Option<String>,
    known_first: bool,
) -> Result<BTreeMap<String, String>, String> {
    let mut found = BTreeMap::new();
    let mut rest = text.trim_start_matches('\u{feff}');
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(found);
        }
        if rest.starts_with('#') {
            rest = rest.split_once('\n').map_or("", |(_, after)| after);
            continue;
        }
        let (name, inherited, after) = name(rest)?;
        rest = after;
        if inherited {
            found.extend(known(&name).map(|value| (name, value)));
            continue;
        }
        let (value, after) = value(rest, &found, known)?;
        rest = after;
        let outside = known(&name).filter(|_| known_first);
        found.insert(name, outside.unwrap_or(value));
    }
}

/// The name at the beginning, whether it stands without a value, and what follows.
fn name(text: &str) -> Result<(String, bool, &str), String> {
    let exported = text.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t']));
    let text = exported.unwrap_or(text).trim_start_matches([' ', '\t']);
    let end = text.find(['=', ':', '\n']).unwrap_or(text.len());
    let name = text[..end].trim();
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '[' | ']');
    if let Some(wrong) = name.chars().find(|c| !fits(*c)) {
        let line = text.lines().next().unwrap_or_default();
        return Err(match wrong {
            ' ' => "key cannot contain a space".to_owned(),
            wrong => format!("unexpected character \"{wrong}\" in variable name near {line:?}"),
        });
    }
    let separator = text[end..].chars().next();
    let inherited = !matches!(separator, Some('=' | ':'));
    let after = if separator.is_some() { &text[end + 1..] } else { "" };
    Ok((name.to_owned(), inherited, after))
}

fn value<'a>(
    text: &'a str,
    found: &BTreeMap<String, String>,
    known: &dyn Fn(&str) -> Option<String>,
) -> Result<(String, &'a str), String> {
    let text = text.trim_start_matches([' ', '\t', '\r']);
    let look_up = |name: &str| known(name).or_else(|| found.get(name).cloned());
    let expanded = |text: &str| {
        let mut node = super::node::Node::Text(text.to_owned());
        let variables = super::interpolate::LookUp { value: &look_up, blank: &|_| {} };
        super::interpolate::interpolate(&mut node, "a variable", variables)?;
        Ok::<_, String>(node.to_text().unwrap_or_default())
    };
    let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        let (line, after) = text.split_once('\n').unwrap_or((text, ""));
        let line = line.trim_end_matches('\r');
        let comment = if line.starts_with('#') { Some(0) } else { line.find(" #") };
        return Ok((expanded(line[..comment.unwrap_or(line.len())].trim_end())?, after));
    };
    let inside = &text[1..];
    let mut escaped = false;
    for (index, c) in inside.char_indices() {
        if c == quote && !escaped {
            let (raw, after) = (&inside[..index], &inside[index + 1..]);
            let after = after.split_once('\n').map_or("", |(_, after)| after);
            let value = if quote == '"' { expanded(&unescaped(raw))? } else { raw.to_owned() };
            return Ok((value, after));
        }
        escaped = c == '\\' && !escaped;
    }
    Err(format!("unterminated quoted value {}", text.lines().next().unwrap_or_default()))
}

/// Escapes of double quotes; `\$` keeps a dollar from being a variable.
fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some('t') => out.push('\t'),
                Some('$') => out.push_str("$$"),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            (c, false) => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_quotes_and_variables() {
        let text = "# c\nA=1.2 # comment\nexport B=\"a b ${A}\"\nC='a $A'\nD: yaml\nE=\"x\\ny\\$A\"\nF=\nHOME\n\
                    G=a#b\nH=\"two\nlines\"\r\nSET=file\n";
        let known = |name: &str| match name {
            "HOME" => Some("/h".to_owned()),
            "SET" => Some("outside".to_owned()),
            _ => None,
        };
        let expected = [
            ("A", "1.2"),
            ("B", "a b 1.2"),
            ("C", "a $A"),
            ("D", "yaml"),
            ("E", "x\ny$A"),
            ("F", ""),
            ("G", "a#b"),
            ("H", "two\nlines"),
            ("HOME", "/h"),
            ("SET", "outside"),
        ];
        let expected = expected.map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(parse(text, &known, true), Ok(BTreeMap::from(expected)));
    }

    #[test]
    fn wrong_lines_are_named() {
        let nothing = |_: &str| None;
        assert_eq!(parse("a b=1", &nothing, true).unwrap_err(), "key cannot contain a space");
        assert!(parse("a!=1", &nothing, true).unwrap_err().contains("unexpected character \"!\""));
        assert_eq!(parse("A=\"x\nB=1", &nothing, true).unwrap_err(), "unterminated quoted value \"x");
    }
}
