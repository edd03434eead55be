//! `format` and `formatlist`: printf with the verbs of Go.

use super::Takes::{Any, Nullable, String as Str};
use super::{Arguments, Fail, Function, variadic};
use crate::bake::number::Number;
use crate::bake::value::Value;

/// Widest field and most digits.
const MAX_WIDTH: usize = 1 << 16;

pub(super) const TABLE: &[Function] = &[
    variadic("format", &[("format", Str)], ("args", Nullable), |a| {
        Ok(Value::string(format(a.text(0), a.from(1), a)?))
    }),
    variadic("formatlist", &[("format", Str)], ("args", Any), format_list),
];

fn format_list(a: &Arguments<'_>) -> Result<Value, Fail> {
    let mut length: Option<(usize, usize)> = None;
    for (index, value) in a.values.iter().enumerate().skip(1) {
        let Some(elements) = value.elements() else { continue };
        match length {
            None => length = Some((index, elements.len())),
            Some((first, expected)) if expected != elements.len() => {
                return Err(Fail::Argument(
                    index,
                    format!(
                        "argument {index} has length {}, which is inconsistent with argument {first} of length {expected}",
                        elements.len()
                    ),
                ));
            }
            Some(_) => {}
        }
    }
    let count = length.map_or(1, |(_, count)| count);
    let mut texts = Vec::new();
    for row in 0..count {
        let pick = |value: &Value| value.elements().map_or_else(|| value.clone(), |all| all[row].clone());
        let values: Vec<Value> = a.from(1).iter().map(pick).collect();
        let text = format(a.text(0), &values, a).map_err(|fail| match fail {
            Fail::Call(why) => Fail::Call(format!("error on format iteration {row}: {why}")),
            other => other,
        })?;
        texts.push(Value::string(text));
    }
    Ok(Value::list(texts))
}

/// A verb with its flags.
#[derive(Default)]
struct Verb<'a> {
    raw: &'a str,
    at: usize,
    zero: bool,
    minus: bool,
    plus: bool,
    space: bool,
    sharp: bool,
    width: Option<usize>,
    precision: Option<usize>,
    mode: char,
}

fn format(format: &str, values: &[Value], a: &Arguments<'_>) -> Result<String, Fail> {
    let mut out = String::new();
    let (mut next, mut used) = (0, 0);
    let mut rest = format;
    while let Some(percent) = rest.find('%') {
        out.push_str(&rest[..percent]);
        rest = &rest[percent..];
        if let Some(after) = rest.strip_prefix("%%") {
            out.push('%');
            rest = after;
            continue;
        }
        let at = format.len() - rest.len();
        let (verb, argument, length) = parse_verb(rest, at)?;
        rest = &rest[length..];
        let index = argument.unwrap_or(next);
        let value = values.get(index).ok_or_else(|| {
            format!(
                "not enough arguments for {:?} at {at}: need index {} but have {} total",
                verb.raw,
                index + 1,
                values.len()
            )
        })?;
        next = index + 1;
        used = used.max(next);
        let text = verb.print(value)?;
        a.budget.take(text.len())?;
        out.push_str(&text);
    }
    out.push_str(rest);
    if used < values.len() {
        let why = if used == 0 {
            "too many arguments; no verbs in format string".to_owned()
        } else {
            format!("too many arguments; only {used} used by format string")
        };
        return Err(Fail::Argument(used + 1, why));
    }
    Ok(out)
}

/// Reads `%[flags][width][.precision][[index]]verb`; gives the argument's index and the length.
fn parse_verb(text: &str, at: usize) -> Result<(Verb<'_>, Option<usize>, usize), Fail> {
    let bytes = text.as_bytes();
    let mut verb = Verb { at, ..Verb::default() };
    let mut i = 1;
    while let Some(flag) = bytes.get(i).filter(|b| b"0#- +".contains(b)) {
        match flag {
            b'0' => verb.zero = true,
            b'#' => verb.sharp = true,
            b'-' => verb.minus = true,
            b' ' => verb.space = true,
            _ => verb.plus = true,
        }
        i += 1;
    }
    let number = |i: &mut usize| -> Result<Option<usize>, Fail> {
        let start = *i;
        while bytes.get(*i).is_some_and(u8::is_ascii_digit) {
            *i += 1;
        }
        if start == *i {
            return Ok(None);
        }
        let parsed = text[start..*i].parse().ok().filter(|n| *n <= MAX_WIDTH);
        parsed
            .map(Some)
            .ok_or_else(|| format!("a width, precision or index above {MAX_WIDTH} at {at}").into())
    };
    verb.width = number(&mut i)?;
    if bytes.get(i) == Some(&b'.') {
        i += 1;
        verb.precision = Some(number(&mut i)?.unwrap_or(0));
    }
    let mut argument = None;
    if bytes.get(i) == Some(&b'[') {
        i += 1;
        let index = number(&mut i)?.filter(|index| *index > 0);
        argument = Some(index.ok_or_else(|| format!("invalid argument index at {at}"))? - 1);
        if bytes.get(i) != Some(&b']') {
            return Err(format!("unrecognized format character at offset {}", at + i).into());
        }
        i += 1;
    }
    let Some(mode) = text[i..].chars().next() else {
        return Err(format!("unterminated format verb {text:?} at offset {at}").into());
    };
    if !mode.is_ascii_alphabetic() {
        return Err(format!("unrecognized format character {mode:?} at offset {}", at + i).into());
    }
    i += mode.len_utf8();
    verb.mode = mode;
    verb.raw = &text[..i];
    Ok((verb, argument, i))
}

impl Verb<'_> {
    fn print(&self, value: &Value) -> Result<String, Fail> {
        let bad =
            |why: &str| Fail::Call(format!("unsupported value for {:?} at {}: {why}", self.raw, self.at));
        let known = "vtbdoxXeEfFgGsq";
        if !known.contains(self.mode) {
            let text =
                format!("unsupported format verb {:?} in {:?} at offset {}", self.mode, self.raw, self.at);
            return Err(text.into());
        }
        if value.is_null() && self.mode != 'v' {
            return Err(bad("null value cannot be formatted"));
        }
        match self.mode {
            'v' => Ok(self.print_any(value)),
            't' => {
                let value = value.to_bool().ok_or_else(|| bad(needs(value, "bool")))?;
                Ok(self.pad(value.to_string()))
            }
            's' => {
                let text = value.to_text().ok_or_else(|| bad("string required"))?;
                Ok(self.pad(self.cut(&text)))
            }
            'q' => {
                let text = value.to_text().ok_or_else(|| bad("string required"))?;
                Ok(self.pad(quoted(&self.cut(&text))))
            }
            'b' | 'd' | 'o' | 'x' | 'X' => {
                let number = value.to_number().ok_or_else(|| bad(needs(value, "number")))?;
                self.integer(&number).ok_or_else(|| bad("an integer is required"))
            }
            _ => {
                let number = value.to_number().ok_or_else(|| bad(needs(value, "number")))?;
                Ok(self.float(&number))
            }
        }
    }

    fn print_any(&self, value: &Value) -> String {
        if self.sharp {
            return self.pad(value.to_json());
        }
        match value {
            Value::String(text) => self.pad(self.cut(text)),
            Value::Number(number) => self.pad(number.to_string()),
            other => self.pad(other.to_json()),
        }
    }

    fn cut(&self, text: &str) -> String {
        match self.precision {
            Some(count) => super::text::clusters(text).into_iter().take(count).collect(),
            None => text.to_owned(),
        }
    }

    fn integer(&self, number: &Number) -> Option<String> {
        let base = match self.mode {
            'b' => 2,
            'o' => 8,
            'x' | 'X' => 16,
            _ => 10,
        };
        let digits = number.to_base(base)?;
        let digits = if self.mode == 'X' { digits.to_uppercase() } else { digits };
        Some(self.signed(&digits))
    }

    fn float(&self, number: &Number) -> String {
        let value = number.to_f64();
        let text = match self.mode {
            'f' | 'F' => format!("{value:.*}", self.precision.unwrap_or(6)),
            'e' | 'E' => exponent(value, self.precision.unwrap_or(6)),
            _ => shortest(value, self.precision),
        };
        let text = if self.mode.is_uppercase() { text.to_uppercase() } else { text };
        self.signed(&text)
    }

    /// Puts the sign before zeros that fill.
    fn signed(&self, digits: &str) -> String {
        let (sign, digits) = match digits.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None if self.plus => ("+", digits),
            None if self.space => (" ", digits),
            None => ("", digits),
        };
        let zeros = match self.width {
            Some(width) if self.zero && !self.minus => width.saturating_sub(sign.len() + digits.len()),
            _ => 0,
        };
        self.pad(format!("{sign}{}{digits}", "0".repeat(zeros)))
    }

    fn pad(&self, text: String) -> String {
        let missing = self.width.unwrap_or(0).saturating_sub(super::text::clusters(&text).len());
        let blanks = " ".repeat(missing);
        if self.minus { text + &blanks } else { blanks + &text }
    }
}

fn needs(value: &Value, what: &'static str) -> &'static str {
    match (value, what) {
        (Value::String(_), "number") => "a number is required",
        (Value::String(_), "bool") => "a bool is required",
        (_, "number") => "number required",
        _ => "bool required",
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::new();
    crate::bake::json::write_string(text, &mut out);
    out
}

/// `1.500500e+03`: an exponent has a sign and two digits.
fn exponent(value: f64, precision: usize) -> String {
    two_digits(&format!("{value:.precision$e}"))
}

fn two_digits(text: &str) -> String {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}

fn shortest(value: f64, precision: Option<usize>) -> String {
    let text = match precision {
        Some(digits) => format!("{value:.*e}", digits.max(1) - 1),
        None => format!("{value:e}"),
    };
    let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
    let power: i32 = power.parse().unwrap_or(0);
    let limit = precision.map_or(21, |digits| i32::try_from(digits.max(1)).unwrap_or(i32::MAX));
    if power < -4 || power >= limit {
        let mantissa = if mantissa.contains('.') {
            mantissa.trim_end_matches('0').trim_end_matches('.')
        } else {
            mantissa
        };
        return two_digits(&format!("{mantissa}e{power}"));
    }
    let digits = mantissa.chars().filter(char::is_ascii_digit).count();
    let decimals = i32::try_from(digits).unwrap_or(0) - 1 - power;
    let fixed = format!("{value:.*}", usize::try_from(decimals.max(0)).unwrap_or(0));
    if fixed.contains('.') { fixed.trim_end_matches('0').trim_end_matches('.').to_owned() } else { fixed }
}
