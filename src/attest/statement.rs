//! in-toto statements (in-toto attestation framework, v0.1, as BuildKit writes them).

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::image::Digest;

/// Type of every statement.
const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v0.1";
/// Type of a statement whose predicate is an SPDX document.
pub const SPDX_PREDICATE: &str = "https://spdx.dev/Document";

/// What a statement is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// A package URL, or a path.
    pub name: String,
    /// Digest of its bytes.
    pub digest: Digest,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Statement<'a> {
    #[serde(rename = "_type")]
    kind: &'a str,
    predicate_type: &'a str,
    subject: Vec<SubjectJson<'a>>,
    predicate: &'a Value,
}

#[derive(Serialize)]
struct SubjectJson<'a> {
    name: &'a str,
    digest: BTreeMap<&'a str, String>,
}

/// Returns the bytes of a statement about subjects; `pretty` indents it, as for people.
pub fn statement(predicate_type: &str, predicate: &Value, subjects: &[Subject], pretty: bool) -> Vec<u8> {
    let subject = subjects
        .iter()
        .map(|subject| SubjectJson {
            name: &subject.name,
            digest: BTreeMap::from([("sha256", subject.digest.hex())]),
        })
        .collect();
    let statement = Statement { kind: STATEMENT_TYPE, predicate_type, subject, predicate };
    let bytes = if pretty { serde_json::to_vec_pretty(&statement) } else { serde_json::to_vec(&statement) };
    bytes.expect("a statement serialises")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_has_the_fields_of_in_toto() {
        let subject = Subject { name: "pkg:docker/x@1".to_owned(), digest: Digest::of(b"") };
        let bytes = statement("t", &serde_json::json!({"a": 1}), &[subject], false);
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            r#"{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"t","subject":[{"name":"pkg:docker/x@1","digest":{"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}}],"predicate":{"a":1}}"#
        );
    }
}
