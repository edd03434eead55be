//! Go's `filepath.Match`, byte for byte: the wildcards of `COPY` and `ADD` sources.
//!
//! `*` is any run without `/`, `?` one character but `/`, `[a-z]` and `[^a-z]`
//! one character (also `/`, as in Go), `\` takes the next character literally.
//! There is no `**` and no `{a,b}`. A bad pattern is an error even where the
//! part before it already fails to match.

/// The pattern is malformed; the text is Go's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("syntax error in pattern")]
pub struct BadPattern;

/// Decodes the first character; an invalid byte stands for U+FFFD and is one byte long, as in Go.
pub(super) fn decode(bytes: &[u8]) -> (char, usize) {
    let first = bytes[0];
    if first < 0x80 {
        return (first as char, 1);
    }
    let longest = bytes.len().min(4);
    for length in 2..=longest {
        if let Ok(text) = std::str::from_utf8(&bytes[..length]) {
            return (text.chars().next().expect("a valid sequence holds a character"), length);
        }
    }
    (char::REPLACEMENT_CHARACTER, 1)
}

/// Whether a word holds an unescaped `*`, `?` or `[`.
pub fn has_wildcards(word: &[u8]) -> bool {
    let mut bytes = word.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'*' | b'?' | b'[' => return true,
            _ => {}
        }
    }
    false
}

/// Checks the syntax of a pattern.
pub fn check(pattern: &[u8]) -> Result<(), BadPattern> {
    matches(pattern, b".").map(|_| ())
}

/// Whether the whole of `name` matches `pattern`.
pub fn matches(mut pattern: &[u8], mut name: &[u8]) -> Result<bool, BadPattern> {
    'pattern: while !pattern.is_empty() {
        let (star, chunk, rest) = next_chunk(pattern);
        pattern = rest;
        if star && chunk.is_empty() {
            return Ok(!name.contains(&b'/'));
        }
        if let Some(left) = match_chunk(chunk, name)?
            && (left.is_empty() || !pattern.is_empty())
        {
            name = left;
            continue;
        }
        if star {
            for start in 0..name.len() {
                if name[start] == b'/' {
                    break;
                }
                let Some(left) = match_chunk(chunk, &name[start + 1..])? else { continue };
                if pattern.is_empty() && !left.is_empty() {
                    continue;
                }
                name = left;
                continue 'pattern;
            }
        }
        while !pattern.is_empty() {
            let (_, chunk, rest) = next_chunk(pattern);
            pattern = rest;
            match_chunk(chunk, b"")?;
        }
        return Ok(false);
    }
    Ok(name.is_empty())
}

/// Splits off leading stars and the part up to the next one: (was there a star, the part, what follows).
fn next_chunk(pattern: &[u8]) -> (bool, &[u8], &[u8]) {
    let stars = pattern.iter().take_while(|b| **b == b'*').count();
    let pattern = &pattern[stars..];
    let mut in_class = false;
    let mut at = 0;
    while at < pattern.len() {
        match pattern[at] {
            b'\\' if at + 1 < pattern.len() => at += 1,
            b'[' => in_class = true,
            b']' => in_class = false,
            b'*' if !in_class => break,
            _ => {}
        }
        at += 1;
    }
    (stars > 0, &pattern[..at], &pattern[at..])
}

/// Matches a star-free part at the start of `name` and returns what is left of it.
///
/// The part is read to its end even after a mismatch, so that a malformed one is always found.
fn match_chunk<'a>(mut chunk: &[u8], name: &'a [u8]) -> Result<Option<&'a [u8]>, BadPattern> {
    let mut left = Some(name);
    while !chunk.is_empty() {
        if left.is_some_and(<[u8]>::is_empty) {
            left = None;
        }
        match chunk[0] {
            b'[' => {
                let taken = left.map(|s| {
                    let (c, length) = decode(s);
                    (c, &s[length..])
                });
                let (hit, rest) = match_class(&chunk[1..], taken.map_or('\0', |(c, _)| c))?;
                chunk = rest;
                left = taken.filter(|_| hit).map(|(_, s)| s);
            }
            b'?' => {
                left = left.filter(|s| s[0] != b'/').map(|s| &s[decode(s).1..]);
                chunk = &chunk[1..];
            }
            byte => {
                if byte == b'\\' {
                    chunk = &chunk[1..];
                }
                let wanted = *chunk.first().ok_or(BadPattern)?;
                left = left.filter(|s| s[0] == wanted).map(|s| &s[1..]);
                chunk = &chunk[1..];
            }
        }
    }
    Ok(left)
}

/// Reads a class after its `[`: (whether `c` is in it, what follows the `]`).
fn match_class(mut chunk: &[u8], c: char) -> Result<(bool, &[u8]), BadPattern> {
    let negated = chunk.first() == Some(&b'^');
    if negated {
        chunk = &chunk[1..];
    }
    let mut hit = false;
    let mut ranges = 0;
    loop {
        if chunk.first() == Some(&b']') && ranges > 0 {
            return Ok((hit != negated, &chunk[1..]));
        }
        let (low, rest) = class_character(chunk)?;
        chunk = rest;
        let mut high = low;
        if chunk[0] == b'-' {
            (high, chunk) = class_character(&chunk[1..])?;
        }
        hit |= low <= c && c <= high;
        ranges += 1;
    }
}

/// Reads one character of a class; something must follow it.
fn class_character(chunk: &[u8]) -> Result<(char, &[u8]), BadPattern> {
    let chunk = match chunk.first() {
        None | Some(b'-' | b']') => return Err(BadPattern),
        Some(b'\\') => &chunk[1..],
        Some(_) => chunk,
    };
    if chunk.is_empty() {
        return Err(BadPattern);
    }
    let (c, length) = decode(chunk);
    let invalid = c == char::REPLACEMENT_CHARACTER && length == 1;
    if invalid || chunk.len() == length {
        return Err(BadPattern);
    }
    Ok((c, &chunk[length..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAD: Result<bool, BadPattern> = Err(BadPattern);
    const YES: Result<bool, BadPattern> = Ok(true);
    const NO: Result<bool, BadPattern> = Ok(false);

    /// The facts of Go's own test table (`path/filepath/match_test.go`).
    #[test]
    fn matches_as_go_does() {
        let table: &[(&str, &str, Result<bool, BadPattern>)] = &[
            ("abc", "abc", YES),
            ("*", "abc", YES),
            ("*c", "abc", YES),
            ("a*", "a", YES),
            ("a*", "abc", YES),
            ("a*", "ab/c", NO),
            ("a*/b", "abc/b", YES),
            ("a*/b", "a/c/b", NO),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", YES),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/f", YES),
            ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", NO),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", NO),
            ("a*b?c*x", "abxbbxdbxebxczzx", YES),
            ("a*b?c*x", "abxbbxdbxebxczzy", NO),
            ("ab[c]", "abc", YES),
            ("ab[b-d]", "abc", YES),
            ("ab[e-g]", "abc", NO),
            ("ab[^c]", "abc", NO),
            ("ab[^b-d]", "abc", NO),
            ("ab[^e-g]", "abc", YES),
            ("a\\*b", "a*b", YES),
            ("a\\*b", "ab", NO),
            ("a?b", "a☺b", YES),
            ("a[^a]b", "a☺b", YES),
            ("a???b", "a☺b", NO),
            ("a[^a][^a][^a]b", "a☺b", NO),
            ("[a-ζ]*", "α", YES),
            ("*[a-ζ]", "A", NO),
            ("a?b", "a/b", NO),
            ("a*b", "a/b", NO),
            ("[\\]a]", "]", YES),
            ("[\\-]", "-", YES),
            ("[x\\-]", "x", YES),
            ("[x\\-]", "-", YES),
            ("[x\\-]", "z", NO),
            ("[\\-x]", "x", YES),
            ("[\\-x]", "-", YES),
            ("[\\-x]", "a", NO),
            ("[]a]", "]", BAD),
            ("[-]", "-", BAD),
            ("[x-]", "x", BAD),
            ("[x-]", "-", BAD),
            ("[x-]", "z", BAD),
            ("[-x]", "x", BAD),
            ("[-x]", "-", BAD),
            ("[-x]", "a", BAD),
            ("\\", "a", BAD),
            ("[a-b-c]", "a", BAD),
            ("[", "a", BAD),
            ("[^", "a", BAD),
            ("[^bc", "a", BAD),
            ("a[", "a", BAD),
            ("a[", "ab", BAD),
            ("a[", "x", BAD),
            ("a/b[", "x", BAD),
            ("*x", "xxx", YES),
            // Not wildcards here, though in other globs they are.
            ("[!a]", "b", NO),
            ("[!a]", "!", YES),
            ("{a,b}", "a", NO),
            ("**", "a/b", NO),
            ("**", "ab", YES),
            ("**/b", "a/x/b", NO),
        ];
        for (pattern, name, expected) in table {
            assert_eq!(
                matches(pattern.as_bytes(), name.as_bytes()),
                *expected,
                "pattern {pattern:?}, name {name:?}"
            );
        }
    }

    #[test]
    fn finds_wildcards() {
        for (word, expected) in [
            ("a", false),
            ("a*", true),
            ("a\\*", false),
            ("a\\", false),
            ("[", true),
            ("a?b", true),
            ("\\\\*", true),
        ] {
            assert_eq!(has_wildcards(word.as_bytes()), expected, "{word}");
        }
    }

    #[test]
    fn invalid_utf8_is_one_character_a_byte() {
        assert_eq!(matches(b"a?b", b"a\xffb"), Ok(true));
        assert_eq!(matches(b"a??b", b"a\xff\xfeb"), Ok(true));
        assert_eq!(matches(b"[\xff-\xfe]", b"a"), Err(BadPattern));
    }
}
