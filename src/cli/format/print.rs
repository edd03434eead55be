//! Printing values as Go's `fmt` does.

use serde_json::Value;

use super::eval::Val;

/// Go's `%v`: `map[k:v]`, `[a b]`, `<nil>`, `<no value>`.
pub(super) fn show(value: &Val) -> String {
    match value {
        Val::Missing => "<no value>".to_owned(),
        Val::NoList => "[]".to_owned(),
        Val::NoMap => "map[]".to_owned(),
        Val::Struct(Value::Object(map)) => {
            format!("{{{}}}", map.values().map(show_json).collect::<Vec<_>>().join(" "))
        }
        Val::Json(value) | Val::Struct(value) => show_json(value),
    }
}

fn show_json(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => number_text(number),
        Value::Bool(value) => value.to_string(),
        Value::Array(items) => format!("[{}]", items.iter().map(show_json).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let mut pairs: Vec<String> = map.iter().map(|(k, v)| format!("{k}:{}", show_json(v))).collect();
            pairs.sort();
            format!("map[{}]", pairs.join(" "))
        }
    }
}

fn number_text(number: &serde_json::Number) -> String {
    match number.as_f64() {
        Some(value) if number.is_f64() => go_float(value),
        _ => number.to_string(),
    }
}

/// Go's `%g` with the shortest digits: an exponent below -4 or from 21.
fn go_float(value: f64) -> String {
    let exponent = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
    if !(-4..21).contains(&exponent) {
        let text = format!("{value:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    format!("{value}")
}

/// Go's `%q`.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\x0b' => out.push_str("\\v"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Go's `Sprint`: a blank between two operands that are both no strings.
pub(super) fn sprint(values: &[Val]) -> String {
    let mut out = String::new();
    for (n, value) in values.iter().enumerate() {
        let both = n > 0 && !values[n - 1].json().is_string() && !value.json().is_string();
        if both {
            out.push(' ');
        }
        out.push_str(&show(value));
    }
    out
}

/// Most columns of a padded verb.
const MAX_WIDTH: usize = 10_000;

/// Go's `Sprintf` for the verbs `v s d q x X o b c t f e g U T` with flags, width and precision.
pub(super) fn sprintf(format: &str, values: &[Val]) -> String {
    let mut out = String::new();
    let mut values = values.iter();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut spec = Spec::default();
        while let Some(flag) = chars.next_if(|c| "+-# 0".contains(*c)) {
            match flag {
                '-' => spec.left = true,
                '0' => spec.zero = true,
                '+' => spec.plus = true,
                '#' => spec.sharp = true,
                _ => spec.blank = true,
            }
        }
        let mut digits = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| {
            if chars.next_if_eq(&'*').is_some() {
                return values.next().and_then(|v| v.json().as_u64()).map(|n| n as usize);
            }
            let mut text = String::new();
            while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                text.push(digit);
            }
            text.parse().ok()
        };
        spec.width = digits(&mut chars).unwrap_or(0).min(MAX_WIDTH);
        if chars.next_if_eq(&'.').is_some() {
            spec.precision = Some(digits(&mut chars).unwrap_or(0).min(MAX_WIDTH));
        }
        match chars.next() {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(verb) => match values.next() {
                None => out.push_str(&format!("%!{verb}(MISSING)")),
                Some(value) => out.push_str(&spec.apply(verb, value)),
            },
        }
    }
    let rest: Vec<String> = values.map(|value| format!("{}={}", kind_of(value), show(value))).collect();
    if !rest.is_empty() {
        out.push_str(&format!("%!(EXTRA {})", rest.join(", ")));
    }
    out
}

fn kind_of(value: &Val) -> &'static str {
    super::functions::kind(value.json())
}

#[derive(Default)]
struct Spec {
    left: bool,
    zero: bool,
    plus: bool,
    sharp: bool,
    blank: bool,
    width: usize,
    precision: Option<usize>,
}

impl Spec {
    fn apply(&self, verb: char, value: &Val) -> String {
        let json = value.json();
        let bad = || format!("%!{verb}({}={})", kind_of(value), show(value));
        let text = match (verb, json) {
            ('v', Value::Number(_)) if self.plus => self.signed(show(value)),
            ('v', Value::String(text)) if self.sharp => quote(text),
            ('v', _) => show(value),
            ('s', Value::Number(_) | Value::Bool(_)) => return bad(),
            ('s', _) => self.cut(show(value)),
            ('q', Value::String(text)) => quote(&self.cut(text.clone())),
            ('q', Value::Array(items)) => {
                let items: Vec<String> = items.iter().map(|v| quote(&show_json(v))).collect();
                format!("[{}]", items.join(" "))
            }
            ('t', Value::Bool(value)) => value.to_string(),
            ('d', Value::Number(n)) if !n.is_f64() => self.signed(n.to_string()),
            ('x', Value::String(text)) => crate::image::id::to_hex(text.as_bytes()),
            ('X', Value::String(text)) => crate::image::id::to_hex(text.as_bytes()).to_uppercase(),
            ('x' | 'X' | 'o' | 'b' | 'c' | 'U', Value::Number(n)) => match n.as_i64() {
                Some(n) => self.integer(verb, n),
                None => return bad(),
            },
            ('f' | 'F' | 'e' | 'g', Value::Number(n)) if n.is_f64() => {
                self.float(verb, n.as_f64().unwrap_or(0.0))
            }
            ('T', _) => kind_of(value).to_owned(),
            _ => return bad(),
        };
        self.pad(text, json.is_number())
    }

    fn signed(&self, text: String) -> String {
        match text.starts_with('-') {
            false if self.plus => format!("+{text}"),
            false if self.blank => format!(" {text}"),
            _ => text,
        }
    }

    fn cut(&self, text: String) -> String {
        match self.precision {
            Some(limit) => text.chars().take(limit).collect(),
            None => text,
        }
    }

    fn integer(&self, verb: char, n: i64) -> String {
        let sign = if n < 0 { "-" } else { "" };
        let n = n.unsigned_abs();
        let mark = |prefix: &str| if self.sharp { prefix.to_owned() } else { String::new() };
        match verb {
            'x' => format!("{sign}{}{n:x}", mark("0x")),
            'X' => format!("{sign}{}{n:X}", mark("0X")),
            'o' => format!("{sign}{}{n:o}", mark("0")),
            'b' => format!("{sign}{}{n:b}", mark("0b")),
            'U' => format!("U+{n:04X}"),
            _ => u32::try_from(n).ok().and_then(char::from_u32).unwrap_or('\u{fffd}').to_string(),
        }
    }

    fn float(&self, verb: char, value: f64) -> String {
        let text = match (verb, self.precision) {
            ('f' | 'F', precision) => format!("{value:.*}", precision.unwrap_or(6)),
            ('e', precision) => {
                let text = format!("{value:.*e}", precision.unwrap_or(6));
                let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
                let (sign, digits) =
                    exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
                format!("{mantissa}e{sign}{digits:0>2}")
            }
            _ => go_float(value),
        };
        self.signed(text)
    }

    fn pad(&self, text: String, number: bool) -> String {
        let missing = self.width.saturating_sub(text.chars().count());
        if missing == 0 {
            return text;
        }
        match (self.left, self.zero) {
            (true, _) => text + &" ".repeat(missing),
            (false, true) if number => {
                let (sign, digits) = text.split_at(usize::from(text.starts_with(['-', '+'])));
                format!("{sign}{}{digits}", "0".repeat(missing))
            }
            (false, true) => "0".repeat(missing) + &text,
            (false, false) => " ".repeat(missing) + &text,
        }
    }
}
