//! `WWW-Authenticate` (RFC 9110, section 11.6.1): what a registry wants to see.

use std::collections::BTreeMap;

/// Challenges that are read from one answer.
const MAX: usize = 16;

/// One way to log in that a server offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Scheme in small letters: `basic`, `bearer`.
    pub scheme: String,
    /// Parameters; names in small letters.
    pub parameters: BTreeMap<String, String>,
}

impl Challenge {
    /// Returns a parameter, if it says anything.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// Reads the challenges of one header line; several may stand in it.
pub fn parse(line: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    let mut rest = line.trim_start_matches([' ', ',', '\t']);
    while !rest.is_empty() && challenges.len() < MAX {
        let (word, after) = token(rest);
        if word.is_empty() {
            break;
        }
        let spaced = after.trim_start();
        match (spaced.strip_prefix('='), challenges.last_mut()) {
            (Some(value), Some(challenge)) => {
                let (value, after) = value_of(value.trim_start());
                challenge.parameters.entry(word.to_ascii_lowercase()).or_insert(value);
                rest = after;
            }
            (Some(_), None) => break,
            (None, _) => {
                challenges.push(Challenge { scheme: word.to_ascii_lowercase(), parameters: BTreeMap::new() });
                rest = after;
            }
        }
        rest = rest.trim_start_matches([' ', ',', '\t']);
    }
    challenges
}

fn token(text: &str) -> (&str, &str) {
    let end =
        text.find(|c: char| c.is_ascii_whitespace() || matches!(c, ',' | '=' | '"')).unwrap_or(text.len());
    text.split_at(end)
}

/// A quoted string with escapes, or a word up to the next comma.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut escaped = false;
    for (at, c) in quoted.char_indices() {
        match c {
            _ if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return (value, &quoted[at + 1..]),
            _ => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        let one = |c: &Challenge| {
            let parameters: Vec<_> = c.parameters.iter().map(|(k, v)| format!("{k}={v}")).collect();
            format!("{}[{}]", c.scheme, parameters.join("|"))
        };
        parse(line).iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn challenges_in_all_their_forms() {
        let table = [
            (
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a:pull,push""#,
                "bearer[realm=https://auth.docker.io/token|scope=repository:a:pull,push|service=registry.docker.io]",
            ),
            (r#"BASIC Realm="a b""#, "basic[realm=a b]"),
            (
                r#"Basic realm="x", Bearer realm="https://t/",service=s , error="insufficient_scope""#,
                "basic[realm=x] bearer[error=insufficient_scope|realm=https://t/|service=s]",
            ),
            (r#"Basic realm="say \"hi\"""#, r#"basic[realm=say "hi"]"#),
            ("Negotiate, Basic realm = x", "negotiate[] basic[realm=x]"),
            (r#"Bearer realm="never ends"#, "bearer[realm=never ends]"),
            ("", ""),
            (r#"="x""#, ""),
            (",,,", ""),
        ];
        for (line, expected) in table {
            assert_eq!(shown(line), expected, "{line}");
        }
    }

    #[test]
    fn the_first_of_equal_parameters_counts_and_lists_end() {
        assert_eq!(shown("Basic realm=a, realm=b"), "basic[realm=a]");
        assert_eq!(parse(&"x ".repeat(100)).len(), MAX);
    }
}
