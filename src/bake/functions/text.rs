//! Text.

use super::Takes::{Bytes, Number as Num, String as Str, Strings};
use super::{Arguments, Fail, Function, fixed, variadic};
use crate::bake::value::Value;

pub(super) const TABLE: &[Function] = &[
    fixed("basename", &[("path", Str)], |a| Ok(Value::string(base(a.text(0))))),
    fixed("dirname", &[("path", Str)], |a| Ok(Value::string(directory(a.text(0))))),
    fixed("byteslen", &[("buf", Bytes)], |_| Err("bytes required".into())),
    fixed(
        "bytesslice",
        &[("buf", Bytes), ("offset", Num), ("length", Num)],
        |_| Err("bytes required".into()),
    ),
    fixed("chomp", &[("str", Str)], |a| Ok(Value::string(a.text(0).trim_end_matches(['\r', '\n'])))),
    fixed("csvdecode", &[("str", Str)], csv),
    fixed("indent", &[("spaces", Num), ("str", Str)], |a| {
        let count =
            usize::try_from(a.integer(0)?).map_err(|_| "the number of spaces must not be negative")?;
        a.budget.take(count.saturating_mul(a.text(1).matches('\n').count()))?;
        Ok(Value::string(a.text(1).replace('\n', &format!("\n{}", " ".repeat(count.min(1 << 20))))))
    }),
    variadic("join", &[("separator", Str)], ("lists", Strings), |a| {
        let mut texts = Vec::new();
        for list in a.from(1) {
            for (index, value) in list.elements().map_or(&[][..], |v| v).iter().enumerate() {
                let text = value.to_text();
                texts.push(
                    text.ok_or_else(|| format!("element {index} is null; cannot concatenate null values"))?,
                );
            }
        }
        if a.values.len() < 2 {
            return Err("at least one list is required".into());
        }
        let size: usize = texts.iter().map(|text| text.len() + a.text(0).len()).sum();
        a.budget.take(size)?;
        Ok(Value::string(texts.join(a.text(0))))
    }),
    fixed("lower", &[("str", Str)], |a| Ok(Value::string(a.text(0).to_lowercase()))),
    fixed("upper", &[("str", Str)], |a| Ok(Value::string(a.text(0).chars().map(upper).collect::<String>()))),
    fixed("replace", &[("str", Str), ("substr", Str), ("replace", Str)], |a| {
        let count =
            if a.text(1).is_empty() { a.text(0).len() + 1 } else { a.text(0).matches(a.text(1)).count() };
        a.budget.take(count.saturating_mul(a.text(2).len()))?;
        Ok(Value::string(a.text(0).replace(a.text(1), a.text(2))))
    }),
    fixed("reverse", &[("str", Str)], |a| {
        let mut parts = clusters(a.text(0));
        parts.reverse();
        Ok(Value::string(parts.concat()))
    }),
    fixed("sanitize", &[("name", Str)], |a| {
        let kept = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
        Ok(Value::string(a.text(0).chars().map(kept).collect::<String>()))
    }),
    fixed("split", &[("separator", Str), ("str", Str)], split),
    fixed("strlen", &[("str", Str)], |a| Ok(Value::count(clusters(a.text(0)).len()))),
    fixed("substr", &[("str", Str), ("offset", Num), ("length", Num)], substring),
    fixed("title", &[("str", Str)], |a| {
        let mut before = ' ';
        let mut text = String::new();
        for c in a.text(0).chars() {
            let begins = !(before.is_alphanumeric() || before == '_' || before == '\'');
            match c.to_uppercase().collect::<Vec<_>>().as_slice() {
                [upper] if begins || before == '\'' => text.push(*upper),
                _ => text.push(c),
            }
            before = c;
        }
        Ok(Value::string(text))
    }),
    fixed("trim", &[("str", Str), ("cutset", Str)], |a| {
        let set: Vec<char> = a.text(1).chars().collect();
        Ok(Value::string(a.text(0).trim_matches(set.as_slice())))
    }),
    fixed("trimprefix", &[("str", Str), ("prefix", Str)], |a| {
        Ok(Value::string(a.text(0).strip_prefix(a.text(1)).unwrap_or(a.text(0))))
    }),
    fixed("trimsuffix", &[("str", Str), ("suffix", Str)], |a| {
        Ok(Value::string(a.text(0).strip_suffix(a.text(1)).unwrap_or(a.text(0))))
    }),
    fixed("trimspace", &[("str", Str)], |a| Ok(Value::string(a.text(0).trim()))),
    fixed("homedir", &[], |a| Ok(Value::string(a.host.home.as_str()))),
];

/// Characters with what combines with them.
pub(super) fn clusters(text: &str) -> Vec<&str> {
    let combines = |c: char| matches!(u32::from(c), 0x300..=0x36f | 0x1ab0..=0x1aff | 0x1dc0..=0x1dff | 0x20d0..=0x20ff | 0xfe00..=0xfe0f | 0xfe20..=0xfe2f | 0x200d | 0x1f3fb..=0x1f3ff);
    let mut starts: Vec<usize> = Vec::new();
    let mut joined = false;
    for (at, c) in text.char_indices() {
        let newline_pair = c == '\n' && text[..at].ends_with('\r');
        if starts.is_empty() || !(combines(c) || joined || newline_pair) {
            starts.push(at);
        }
        joined = c == '\u{200d}';
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts.iter().zip(ends).map(|(start, end)| &text[*start..end]).collect()
}

/// The last part of a path, as Go's `path.Base`.
fn base(path: &str) -> String {
    if path.is_empty() {
        return ".".to_owned();
    }
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() {
        "/".to_owned()
    } else {
        trimmed.rsplit('/').next().unwrap_or_default().to_owned()
    }
}

/// What is before the last slash, cleaned, as Go's `path.Dir`.
fn directory(path: &str) -> String {
    let at = path.rfind('/').map_or(0, |at| at + 1);
    crate::paths::clean(&path[..at])
}

fn split(a: &Arguments<'_>) -> Result<Value, Fail> {
    let (separator, text) = (a.text(0), a.text(1));
    let parts: Vec<Value> = if separator.is_empty() {
        text.chars().map(|c| Value::string(c.to_string())).collect()
    } else {
        text.split(separator).map(Value::string).collect()
    };
    Ok(Value::list(parts))
}

fn substring(a: &Arguments<'_>) -> Result<Value, Fail> {
    let parts = clusters(a.text(0));
    let (offset, length) = (a.integer(1)?, a.integer(2)?);
    let count = i64::try_from(parts.len()).unwrap_or(i64::MAX);
    let start = if offset < 0 { (count + offset).max(0) } else { offset.min(count) };
    let end = if length < 0 { count } else { start.saturating_add(length).min(count) };
    let place = |at: i64| usize::try_from(at).unwrap_or(0);
    Ok(Value::string(parts[place(start)..place(end)].concat()))
}

/// RFC 4180: the first line names the columns.
fn csv(a: &Arguments<'_>) -> Result<Value, Fail> {
    let mut rows = records(a.text(0))?.into_iter();
    let (_, header) = rows.next().ok_or("missing header line")?;
    let mut found = Vec::new();
    for (line, row) in rows {
        if row.len() != header.len() {
            return Err(format!("CSV parse error on line {line}: wrong number of fields").into());
        }
        a.budget.take(row.len())?;
        let fields = header.iter().cloned().zip(row.into_iter().map(Value::string));
        found.push(Value::map(fields.collect()));
    }
    Ok(Value::list(found))
}

/// The records of a CSV text with the lines they begin on.
pub fn records(text: &str) -> Result<Vec<(usize, Vec<String>)>, String> {
    let (mut rows, mut row, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut quoted, mut was_quoted, mut line, mut began) = (false, false, 1, 1);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.is_empty() && !was_quoted => (quoted, was_quoted) = (true, true),
            '"' => return Err(format!("CSV parse error on line {line}: bare \" in non-quoted-field")),
            ',' if !quoted => {
                row.push(std::mem::take(&mut field));
                was_quoted = false;
            }
            '\r' if !quoted && chars.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                if !row.is_empty() || !field.is_empty() || was_quoted {
                    row.push(std::mem::take(&mut field));
                    rows.push((began, std::mem::take(&mut row)));
                }
                was_quoted = false;
                line += 1;
                began = line;
            }
            c if was_quoted && !quoted => {
                return Err(format!(
                    "CSV parse error on line {line}: extraneous or missing {:?} in quoted-field near {c:?}",
                    '"'
                ));
            }
            c => {
                line += usize::from(c == '\n');
                field.push(c);
            }
        }
    }
    if quoted {
        return Err(format!("CSV parse error on line {line}: extraneous or missing \" in quoted-field"));
    }
    if !row.is_empty() || !field.is_empty() || was_quoted {
        row.push(field);
        rows.push((began, row));
    }
    Ok(rows)
}

/// Whether a version fulfils a constraint: comparisons joined by commas or blanks (all) and `||` (any).
pub(super) fn semver_matches(version: &str, constraint: &str) -> Result<bool, Fail> {
    let version = semver(version).ok_or_else(|| format!("invalid semantic version {version:?}"))?;
    for any in constraint.split("||") {
        let mut all = true;
        for part in any.split([',', ' ']).filter(|part| !part.is_empty()) {
            let digits = part.find(|c: char| c.is_ascii_digit() || c == 'v').unwrap_or(part.len());
            let (operator, wanted) = part.split_at(digits);
            let parsed = semver(wanted).ok_or_else(|| format!("improper constraint: {constraint}"))?;
            let places = wanted.split(['-', '+']).next().unwrap_or_default().split('.').count();
            let (major, minor, patch) = parsed.0;
            let below = |limit: (u64, u64, u64)| version.0 < limit && version >= parsed;
            all &= match operator {
                "" | "=" => match places {
                    1 => version.0.0 == major,
                    2 => (version.0.0, version.0.1) == (major, minor),
                    _ => version == parsed,
                },
                "!=" => version != parsed,
                ">" => version > parsed,
                "<" => version < parsed,
                ">=" | "=>" => version >= parsed,
                "<=" | "=<" => version <= parsed,
                "~" | "~>" if places == 1 => below((major + 1, 0, 0)),
                "~" | "~>" => below((major, minor + 1, 0)),
                "^" if major > 0 => below((major + 1, 0, 0)),
                "^" if minor > 0 => below((0, minor + 1, 0)),
                "^" => below((0, 0, patch + 1)),
                _ => return Err(format!("improper constraint: {constraint}").into()),
            };
        }
        if all {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Numbers, then whether it is a release: one is above its previews.
type Version = ((u64, u64, u64), bool, String);

fn semver(text: &str) -> Option<Version> {
    let text = text.strip_prefix('v').unwrap_or(text).split('+').next()?;
    let (numbers, preview) = text.split_once('-').unwrap_or((text, ""));
    let mut parts = numbers.split('.').map(|part| part.parse::<u64>().ok());
    let first = parts.next()??;
    let mut rest = || parts.next().map_or(Some(0), |part| part);
    let (second, third) = (rest()?, rest()?);
    (parts.next().is_none()).then(|| ((first, second, third), preview.is_empty(), preview.to_owned()))
}

/// One letter for one, as Go does: `ß` stays.
fn upper(c: char) -> char {
    let mut all = c.to_uppercase();
    match (all.next(), all.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}
