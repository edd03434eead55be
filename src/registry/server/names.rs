//! What names may be: repositories, tags, and the parts of a request's path.

/// Whether a text names a repository: components of `[a-z0-9]+` joined by `.`, `_`, `__` or dashes, at most 255 bytes.
pub fn is_repository(name: &str) -> bool {
    name.len() <= 255 && name.split('/').all(is_component)
}

fn is_component(text: &str) -> bool {
    let alnum = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    if !alnum(*first) || !alnum(*last) {
        return false;
    }
    // What stands between runs of letters and digits is one of the separators.
    text.split(|c: char| c.is_ascii() && alnum(c as u8))
        .filter(|separator| !separator.is_empty())
        .all(|separator| matches!(separator, "." | "_" | "__") || separator.bytes().all(|b| b == b'-'))
}

/// Whether a text is a tag: a word character, then at most 127 of word characters, dots and dashes.
pub fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let mut bytes = text.bytes();
    text.len() <= 128 && bytes.next().is_some_and(word) && bytes.all(|b| word(b) || b == b'.' || b == b'-')
}

/// Decodes `%XX`; none if the result is no text. A plus is one: media types have them, and nothing here has spaces.
pub fn percent_decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let pair = [bytes.next()?, bytes.next()?];
                out.push(u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()?);
            }
            other => out.push(other),
        }
    }
    String::from_utf8(out).ok()
}

/// The pairs of a query.
#[derive(Debug, Default, Clone)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads what stands behind the question mark; pairs that are no text are left out.
    pub fn parse(text: &str) -> Self {
        let pair = |part: &str| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            Some((percent_decoded(key)?, percent_decoded(value)?))
        };
        Self(text.split('&').filter(|part| !part.is_empty()).filter_map(pair).collect())
    }

    /// Returns the first value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Returns every value of a key.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories() {
        for good in ["a", "a/b", "team/app-x", "a.b_c__d--e", "0/1/2", &"a".repeat(255)] {
            assert!(is_repository(good), "{good}");
        }
        for bad in ["", "/", "a/", "/a", "A", "a//b", "_a", "a_", "a..b", "a___b", "a/../b", "a.-b", "é"] {
            assert!(!is_repository(bad), "{bad}");
        }
        assert!(!is_repository(&"a".repeat(256)));
    }

    #[test]
    fn tags() {
        for good in ["latest", "_x", "1.2-3", &"a".repeat(128)] {
            assert!(is_tag(good), "{good}");
        }
        for bad in ["", ".a", "-a", "a/b", "a:b", "é", &"a".repeat(129)] {
            assert!(!is_tag(bad), "{bad}");
        }
    }

    #[test]
    fn queries() {
        let query = Query::parse("digest=sha256%3Aab&tag=a&tag=b+c&empty&bad=%zz");
        assert_eq!(query.get("digest"), Some("sha256:ab"));
        assert_eq!(query.all("tag").collect::<Vec<_>>(), ["a", "b+c"]);
        assert_eq!(query.get("empty"), Some(""));
        assert_eq!(query.get("bad"), None);
    }
}
