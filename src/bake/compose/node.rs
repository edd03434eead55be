//! YAML as it stands in a compose file: untyped values, and the tags that steer merging.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Tagged;

/// Fields by name.
pub type Fields = BTreeMap<String, Node>;

/// A YAML value.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it is written out again.
    Number(String),
    /// Text.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping.
    Map(Fields),
    /// `!reset`: what an earlier file says does not count.
    Reset,
    /// `!override`: this takes the place of what an earlier file says.
    Override(Box<Node>),
}

/// Nodes nested deeper than this are refused.
const MAX_DEPTH: usize = 100;

/// Reads the documents of a file; later ones are merged into earlier ones by the caller.
///
/// # Errors
/// It is no YAML, or bigger, deeper or more repetitive than anything that people write.
pub fn parse(text: &str) -> Result<Vec<Node>, String> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH, max_nodes: 200_000 },
        strict_booleans: true,
        legacy_octal_numbers: true,
        with_snippet: false,
    };
    let documents: Vec<Tagged<Node>> = serde_saphyr::from_multiple_with_options(text, options)
        .map_err(|error| format!("yaml: {}", error.to_string().trim_end()))?;
    Ok(documents.into_iter().map(untagged).collect())
}

impl Node {
    /// Returns scalar values as text, as Go prints them.
    pub fn to_text(&self) -> Option<String> {
        match self {
            Self::Text(text) | Self::Number(text) => Some(text.clone()),
            Self::Bool(value) => Some(value.to_string()),
            _ => None,
        }
    }

    /// Returns what the value is called in messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null | Self::Reset => "null",
            Self::Bool(_) => "boolean",
            Self::Number(_) => "number",
            Self::Text(_) => "string",
            Self::List(_) => "array",
            Self::Map(_) => "mapping",
            Self::Override(inner) => inner.kind(),
        }
    }
}

fn untagged(tagged: Tagged<Node>) -> Node {
    match tagged.1.as_deref() {
        Some("!reset") => Node::Reset,
        Some("!override") => Node::Override(Box::new(tagged.0)),
        Some("tag:yaml.org,2002:str") => Node::Text(tagged.0.to_text().unwrap_or_default()),
        _ => tagged.0,
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Node, E> {
        Ok(Node::Number(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Node, E> {
        Ok(Node::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Number(float(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Tagged<Node>>()? {
            list.push(untagged(item));
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut fields = Fields::new();
        while let Some((key, value)) = entries.next_entry::<String, Tagged<Node>>()? {
            fields.insert(key, untagged(value));
        }
        Ok(Node::Map(fields))
    }
}

/// Go's `%v`: an exponent for the very small and the very large.
fn float(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || (1e-4..1e21).contains(&size) {
        return value.to_string();
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
            format!("{digits}e{sign}{exponent:0>2}")
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Node {
        parse(text).unwrap().remove(0)
    }

    #[test]
    fn scalars_are_what_go_makes_of_them() {
        let table = [
            ("1.50", Node::Number("1.5".into())),
            ("1e3", Node::Number("1000".into())),
            ("0x10", Node::Number("16".into())),
            ("010", Node::Number("8".into())),
            ("12345678901234567890", Node::Number("12345678901234567890".into())),
            ("1e-7", Node::Number("1e-07".into())),
            ("true", Node::Bool(true)),
            ("yes", Node::Text("yes".into())),
            ("'1'", Node::Text("1".into())),
            ("~", Node::Null),
            ("!!str 5", Node::Text("5".into())),
            ("!reset null", Node::Reset),
            ("!override [a]", Node::Override(Box::new(Node::List(vec![Node::Text("a".into())])))),
            ("2020-01-02", Node::Text("2020-01-02".into())),
        ];
        for (text, expected) in table {
            let Node::Map(fields) = one(&format!("k: {text}")) else { panic!("{text}") };
            assert_eq!(fields["k"], expected, "{text}");
        }
    }

    #[test]
    fn anchors_merge_and_bombs_are_refused() {
        let Node::Map(fields) = one("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\n") else { panic!() };
        let expected = [("x", "1"), ("y", "3")].map(|(k, v)| (k.to_owned(), Node::Number(v.to_owned())));
        assert_eq!(fields["b"], Node::Map(Fields::from(expected)));
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let inner = vec![format!("*a{}", level - 1); 10].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
        }
        assert!(parse(&bomb).is_err());
        assert!(parse(&"[".repeat(10_000)).is_err());
        assert!(parse("a: [").is_err());
    }
}
