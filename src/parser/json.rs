//! The JSON form of arguments: one array of strings.

use nom::bytes::complete::{tag, take_while, take_while_m_n, take_while1};
use nom::character::complete::{anychar, char};
use nom::combinator::{all_consuming, cut, map_opt};
use nom::multi::{fold_many0, separated_list0};
use nom::sequence::{delimited, preceded};
use nom::{IResult, Parser, branch::alt};
use serde::de::IgnoredAny;

/// What arguments are, seen as JSON.
#[derive(Debug, PartialEq)]
pub(super) enum Json {
    /// An array of strings.
    Strings(Vec<String>),
    /// A valid array with something else in it.
    Mixed,
    /// No array; the arguments have shell form.
    None,
}

/// Reads arguments as a JSON array.
///
/// Trailing text, single quotes or bad escapes make it [`Json::None`], as docker has it.
pub(super) fn read(text: &str) -> Json {
    let text = text.trim_start();
    if !text.starts_with('[') {
        return Json::None;
    }
    if let Ok((_, strings)) = all_consuming(array).parse(text) {
        return Json::Strings(strings);
    }
    // Skipping values is iterative, so depth costs no stack.
    match serde_json::from_str::<Vec<IgnoredAny>>(text) {
        Ok(_) => Json::Mixed,
        Err(_) => Json::None,
    }
}

/// Returns strings as a JSON array that [`read`] reads back.
pub(super) fn write(strings: &[String]) -> String {
    let items: Vec<String> =
        strings.iter().map(|s| serde_json::to_string(s).expect("strings serialise")).collect();
    format!("[{}]", items.join(", "))
}

fn blanks(input: &str) -> IResult<&str, &str> {
    take_while(|c| matches!(c, ' ' | '\t' | '\r' | '\n')).parse(input)
}

fn array(input: &str) -> IResult<&str, Vec<String>> {
    let comma = delimited(blanks, char(','), blanks);
    let items = separated_list0(comma, string);
    delimited((char('['), blanks), items, (blanks, char(']'), blanks)).parse(input)
}

fn string(input: &str) -> IResult<&str, String> {
    let plain = take_while1(|c: char| c >= ' ' && c != '"' && c != '\\');
    let part = alt((plain.map(Part::Text), escape.map(Part::Char)));
    let parts = fold_many0(part, String::new, |mut text, part| {
        match part {
            Part::Text(part) => text.push_str(part),
            Part::Char(c) => text.push(c),
        }
        text
    });
    delimited(char('"'), parts, char('"')).parse(input)
}

enum Part<'a> {
    Text(&'a str),
    Char(char),
}

fn escape(input: &str) -> IResult<&str, char> {
    let simple = map_opt(anychar, |c| {
        Some(match c {
            '"' | '\\' | '/' => c,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            _ => return None,
        })
    });
    preceded(char('\\'), cut(alt((preceded(char('u'), unicode), simple)))).parse(input)
}

fn unit(input: &str) -> IResult<&str, u32> {
    let digits = take_while_m_n(4, 4, |c: char| c.is_ascii_hexdigit());
    map_opt(digits, |digits| u32::from_str_radix(digits, 16).ok()).parse(input)
}

/// `\uXXXX`, or two of them for one character; half a pair becomes U+FFFD as in Go.
fn unicode(input: &str) -> IResult<&str, char> {
    let (rest, high) = unit(input)?;
    if let Some(c) = char::from_u32(high) {
        return Ok((rest, c));
    }
    let low = preceded(tag("\\u"), unit).parse(rest);
    if let (0xd800..=0xdbff, Ok((after, low @ 0xdc00..=0xdfff))) = (high, low) {
        let c = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
        return Ok((after, char::from_u32(c).unwrap_or('\u{fffd}')));
    }
    Ok((rest, '\u{fffd}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_and_what_is_none() {
        let strings = |items: &[&str]| Json::Strings(items.iter().map(|s| (*s).to_owned()).collect());
        for (text, expected) in [
            ("[]", strings(&[])),
            (" [ ] ", strings(&[])),
            (r#"["a","b c"]"#, strings(&["a", "b c"])),
            (r#"[ "a" , "" ]  "#, strings(&["a", ""])),
            (r#"["\"\\\/\b\f\n\r\t"]"#, strings(&["\"\\/\u{8}\u{c}\n\r\t"])),
            (r#"["\u0041\u00e9\ud83d\ude00"]"#, strings(&["Aé😀"])),
            (r#"["\ud800x\udc00"]"#, strings(&["\u{fffd}x\u{fffd}"])),
            (r#"["a", 1]"#, Json::Mixed),
            (r#"[null]"#, Json::Mixed),
            (r#"[["a"]]"#, Json::Mixed),
            (r#"[{"a": [1e5, -0.1]}, true]"#, Json::Mixed),
            (r#"['a']"#, Json::None),
            (r#"["a",]"#, Json::None),
            (r#"["a"] x"#, Json::None),
            (r#"["a"#, Json::None),
            (r#"["\x"]"#, Json::None),
            (r#"["\u12"]"#, Json::None),
            ("[\"a\tb\"]", Json::None),
            (r#"[a]"#, Json::None),
            (r#""a""#, Json::None),
            ("[ -d /x ] && y", Json::None),
            ("", Json::None),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!("{}{}", "[".repeat(1 << 20), "]".repeat(1 << 20));
        assert_eq!(read(&deep), Json::Mixed);
        assert_eq!(read(&"[".repeat(1 << 20)), Json::None);
    }
}
