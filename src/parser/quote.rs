//! Text between double quotes as docker's messages show it (Go's `%q`).

use std::fmt::Write;

/// Returns `text` between double quotes, with Go's escapes for what does not print.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' || c == '\u{7f}' => write(&mut out, format_args!("\\x{:02x}", u32::from(c))),
            c if c.is_control() || (c.is_whitespace() && c != ' ') => {
                write(&mut out, format_args!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn write(out: &mut String, args: std::fmt::Arguments<'_>) {
    out.write_fmt(args).expect("a string takes every write");
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn quotes_like_go() {
        for (text, expected) in [
            ("", r#""""#),
            ("a b", r#""a b""#),
            (r#"a"b\c"#, r#""a\"b\\c""#),
            ("a\nb\tc\u{1}", r#""a\nb\tc\x01""#),
            ("é\u{a0}", r#""é\u00a0""#),
        ] {
            assert_eq!(quoted(text), expected);
        }
    }
}
