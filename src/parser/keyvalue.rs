//! Words of `ENV`, `LABEL` and `ARG`: split at blanks outside quotes, quotes kept.

use nom::branch::alt;
use nom::bytes::complete::{take_while, take_while1};
use nom::character::complete::{anychar, char, none_of};
use nom::combinator::{opt, recognize};
use nom::multi::{many0_count, many1_count};
use nom::{IResult, Parser};

use super::error::Problem;
use super::instruction::{Arg, KeyValues};

/// Characters that split the words of most instructions.
pub(super) fn is_blank(c: char) -> bool {
    matches!(c, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ')
}

/// Splits text into words; a lone escape character at the end is dropped.
pub(super) fn words(text: &str, escape: char) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Ok((after, word)) = word(escape, rest) {
        words.push(word);
        rest = after.trim_start();
    }
    words
}

fn word(escape: char, input: &str) -> IResult<&str, &str> {
    let plain = take_while1(|c: char| !c.is_whitespace() && c != escape && !matches!(c, '\'' | '"'));
    let pair = recognize((char(escape), anychar));
    let single = recognize((char('\''), take_while(|c| c != '\''), opt(char('\''))));
    let double = |input| double(escape, input);
    recognize(many1_count(alt((plain, pair, single, double)))).parse(input)
}

fn double(escape: char, input: &str) -> IResult<&str, &str> {
    let plain = take_while1(|c| c != '"' && c != escape);
    let pair = recognize((char(escape), anychar));
    recognize((char('"'), many0_count(alt((plain, pair))), opt(char('"')))).parse(input)
}

/// Reads `KEY=VALUE …` or `KEY rest of line`; none where there is nothing.
pub(super) fn pairs(text: &str, keyword: &'static str, escape: char) -> Result<Option<KeyValues>, Problem> {
    let words = words(text, escape);
    let Some(first) = words.first() else { return Ok(None) };
    if !first.contains('=') {
        let (rest, key) = recognize(many0_count(none_of::<_, _, nom::error::Error<&str>>("\t\u{b}\u{c}\r ")))
            .parse(text)
            .map_err(|_| Problem::TwoArguments { keyword })?;
        let value = rest.trim_start_matches(is_blank);
        if rest.is_empty() {
            return Err(Problem::TwoArguments { keyword });
        }
        return Ok(Some(KeyValues { pairs: vec![(key.into(), value.into())], legacy: true }));
    }
    let mut pairs = Vec::with_capacity(words.len());
    for word in words {
        let (key, value) = word.split_once('=').ok_or_else(|| Problem::NoEquals { word: word.to_owned() })?;
        pairs.push((key.to_owned(), value.to_owned()));
    }
    Ok(Some(KeyValues { pairs, legacy: false }))
}

/// Reads `NAME[=DEFAULT] …`.
pub(super) fn arguments(text: &str, escape: char) -> Result<Vec<Arg>, Problem> {
    let words = words(text, escape);
    if words.is_empty() {
        return Err(Problem::AtLeastOne { keyword: "ARG" });
    }
    let item = |word: &str| match word.split_once('=') {
        Some(("", _)) => Err(Problem::BlankName { keyword: "ARG" }),
        Some((name, default)) => Ok(Arg { name: name.into(), default: Some(default.into()) }),
        None => Ok(Arg { name: word.into(), default: None }),
    };
    words.into_iter().map(item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_words() {
        for (text, expected) in [
            ("a=b c=d", vec!["a=b", "c=d"]),
            ("a=\"b c\" d='e f'g", vec!["a=\"b c\"", "d='e f'g"]),
            ("a=b\\ c d", vec!["a=b\\ c", "d"]),
            ("a=\"b\\\" c\" d", vec!["a=\"b\\\" c\"", "d"]),
            ("a='b\\' c", vec!["a='b\\'", "c"]),
            ("a=\"b c", vec!["a=\"b c"]),
            ("a=b\\", vec!["a=b"]),
            ("\\", vec![]),
            ("a=\"b\\", vec!["a=\"b"]),
            ("", vec![]),
        ] {
            assert_eq!(words(text, '\\'), expected, "{text}");
        }
        assert_eq!(words("a=C:\\ b=x` y", '`'), ["a=C:\\", "b=x` y"]);
    }
}
