//! Patterns of `${v#p}`, `${v%p}` and `${v/p/r}`: literal text, `*` and `?`.
//!
//! A pattern is cut at its stars into pieces. The shortest match places each
//! piece as early, the longest as late as possible, so there is no backtracking
//! and the work is bounded by value times piece.

/// A piece between two stars; none is `?`.
type Piece = Vec<Option<char>>;

/// A pattern cut at its stars.
#[derive(Debug, PartialEq)]
pub(super) struct Pattern {
    pieces: Vec<Piece>,
}

/// Work that no honest substitution needs: characters of the value times those of the pattern.
const MAX_WORK: usize = 1 << 28;

impl Pattern {
    /// Parses a pattern whose escapes are still there.
    ///
    /// Errors with the character that must not be escaped (none at the end of the pattern).
    pub(super) fn parse(text: &str) -> Result<Self, Option<char>> {
        let mut pieces = vec![Piece::new()];
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            let item = match c {
                '*' => {
                    pieces.push(Piece::new());
                    continue;
                }
                '?' => None,
                '\\' => match chars.next() {
                    Some(next @ ('*' | '?' | '\\' | '}' | '/')) => Some(next),
                    other => return Err(other),
                },
                c => Some(c),
            };
            pieces.last_mut().expect("there is always one piece").push(item);
        }
        Ok(Self { pieces })
    }

    /// Returns whether matching against `value` costs too much.
    pub(super) fn is_too_much(&self, value: usize) -> bool {
        let length = self.pieces.iter().map(Vec::len).max().unwrap_or(0);
        length.saturating_mul(value) > MAX_WORK
    }

    /// Returns the end of the match that starts at the start of `value`.
    fn prefix(&self, value: &[char], longest: bool) -> Option<usize> {
        let (first, stars) = self.pieces.split_first().expect("there is always one piece");
        if !fits(first, value) {
            return None;
        }
        let mut at = first.len();
        let Some((last, middle)) = stars.split_last() else { return Some(at) };
        for piece in middle {
            at = earliest(piece, value, at)? + piece.len();
        }
        let start = if longest { latest(last, value, at)? } else { earliest(last, value, at)? };
        Some(start + last.len())
    }

    /// Removes the shortest or longest match from the start of `value`.
    pub(super) fn trim_start(&self, value: &str, longest: bool) -> String {
        let value: Vec<char> = value.chars().collect();
        value[self.prefix(&value, longest).unwrap_or(0)..].iter().collect()
    }

    /// Removes the shortest or longest match from the end of `value`.
    pub(super) fn trim_end(mut self, value: &str, longest: bool) -> String {
        self.pieces.reverse();
        self.pieces.iter_mut().for_each(|piece| piece.reverse());
        let value: Vec<char> = value.chars().rev().collect();
        value[self.prefix(&value, longest).unwrap_or(0)..].iter().rev().collect()
    }

    /// Replaces the first or every match, each as long as possible, by `with`; stops beyond `limit` bytes.
    pub(super) fn replace(&self, value: &str, with: &str, all: bool, limit: usize) -> Option<String> {
        let value: Vec<char> = value.chars().collect();
        let mut out = String::new();
        let (mut at, mut after_match) = (0, false);
        while at <= value.len() {
            let Some((start, end)) = self.find(&value, at) else { break };
            out.extend(&value[at..start]);
            if start == end && after_match && start == at {
                // An empty match right behind another one does not count.
                if let Some(c) = value.get(at) {
                    out.push(*c);
                }
                (at, after_match) = (at + 1, false);
                continue;
            }
            out.push_str(with);
            if out.len() > limit {
                return None;
            }
            at = end;
            after_match = true;
            if start == end {
                if let Some(c) = value.get(at) {
                    out.push(*c);
                }
                (at, after_match) = (at + 1, false);
            }
            if !all {
                break;
            }
        }
        out.extend(value.get(at..).unwrap_or_default());
        Some(out)
    }

    /// Returns the first match at or behind `from`.
    fn find(&self, value: &[char], from: usize) -> Option<(usize, usize)> {
        let first = &self.pieces[0];
        // Where the first piece fits earliest the rest fits too, if it fits anywhere.
        let start = earliest(first, value, from)?;
        Some((start, start + self.prefix(&value[start..], true)?))
    }
}

fn fits(piece: &Piece, value: &[char]) -> bool {
    value.len() >= piece.len() && piece.iter().zip(value).all(|(p, c)| p.is_none_or(|p| p == *c))
}

fn earliest(piece: &Piece, value: &[char], from: usize) -> Option<usize> {
    (from..=value.len().checked_sub(piece.len())?).find(|at| fits(piece, &value[*at..]))
}

fn latest(piece: &Piece, value: &[char], from: usize) -> Option<usize> {
    (from..=value.len().checked_sub(piece.len())?).rev().find(|at| fits(piece, &value[*at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_like_a_regular_expression() {
        for (value, pattern, with, first, all) in [
            ("abcabc", "b", "X", "aXcabc", "aXcaXc"),
            ("abcabc", "b*", "X", "aX", "aX"),
            ("abc", "", "X", "Xabc", "XaXbXcX"),
            ("", "", "X", "X", "X"),
            ("abc", "*", "X", "X", "X"),
            ("", "*", "X", "X", "X"),
            ("aaa", "aa", "X", "Xa", "Xa"),
            ("a.b.c", "?.", "", "b.c", "c"),
            ("abc", "z", "X", "abc", "abc"),
            ("a/b/c", "\\/", "-", "a-b/c", "a-b-c"),
            ("xaybzb", "a*b", "-", "x-", "x-"),
        ] {
            let pattern = Pattern::parse(pattern).expect("a good pattern");
            assert_eq!(pattern.replace(value, with, false, 1 << 20).as_deref(), Some(first), "{value}");
            assert_eq!(pattern.replace(value, with, true, 1 << 20).as_deref(), Some(all), "{value}");
        }
    }

    #[test]
    fn bad_escapes_are_told() {
        assert_eq!(Pattern::parse("\\x"), Err(Some('x')));
        assert_eq!(Pattern::parse("\\"), Err(None));
        assert_eq!(Pattern::parse("\\\\\\"), Err(None));
    }
}
