//! Packages as an SPDX 2.3 document.

use serde_json::{Value, json};

use super::Package;
use crate::image::Digest;

const NONE: &str = "NOASSERTION";
const ROOT: &str = "SPDXRef-DocumentRoot";

/// What the document says besides its packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpdxInput {
    /// What is described, e.g. an image's name.
    pub name: String,
    /// Digest of what is described; makes the document's own name distinct.
    pub digest: Digest,
    /// When it was made, RFC 3339.
    pub created: String,
    /// Name and version of this program.
    pub tool: String,
}

/// Returns the document; the same packages and input give the same document.
pub fn spdx(packages: &[Package], input: &SpdxInput) -> Value {
    let mut listed = vec![json!({
        "SPDXID": ROOT,
        "name": input.name,
        "versionInfo": input.digest.to_string(),
        "downloadLocation": NONE,
        "filesAnalyzed": false,
        "licenseConcluded": NONE,
        "licenseDeclared": NONE,
        "copyrightText": NONE,
        "primaryPackagePurpose": "CONTAINER",
        "checksums": [{"algorithm": "SHA256", "checksumValue": input.digest.hex()}],
    })];
    listed.extend(packages.iter().map(package));
    let mut relations = vec![json!({
        "spdxElementId": "SPDXRef-DOCUMENT",
        "relatedSpdxElement": ROOT,
        "relationshipType": "DESCRIBES",
    })];
    relations.extend(packages.iter().map(|package| {
        json!({
            "spdxElementId": ROOT,
            "relatedSpdxElement": id(package),
            "relationshipType": "CONTAINS",
        })
    }));
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": input.name,
        "documentNamespace": format!("urn:skiff:sbom:{}", input.digest),
        "creationInfo": {"creators": [format!("Tool: {}", input.tool)], "created": input.created},
        "packages": listed,
        "relationships": relations,
    })
}

fn package(package: &Package) -> Value {
    let mut document = json!({
        "SPDXID": id(package),
        "name": package.name,
        "versionInfo": package.version,
        "supplier": package.supplier.as_deref().unwrap_or(NONE),
        "downloadLocation": NONE,
        "filesAnalyzed": false,
        "sourceInfo": format!("acquired package info from: /{}", package.found),
        "licenseConcluded": NONE,
        "licenseDeclared": package.license.as_deref().filter(|text| is_expression(text)).unwrap_or(NONE),
        "copyrightText": NONE,
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": package.purl,
        }],
    });
    if let Some(text) = package.license.as_deref().filter(|text| !is_expression(text)) {
        document["licenseComments"] = json!(format!("as the package says it: {text}"));
    }
    document
}

/// Letters, digits, `.` and `-` are all that an identifier may hold.
fn id(package: &Package) -> String {
    let legal = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let name: String = package.name.chars().map(legal).take(64).collect();
    let digest = Digest::of(format!("{}\n{}", package.purl, package.found).as_bytes()).hex();
    format!("SPDXRef-Package-{}-{name}-{}", package.kind, &digest[..16])
}

/// Whether a licence is plainly an expression of identifiers (SPDX 2.3, annex D), not a sentence.
fn is_expression(text: &str) -> bool {
    const KNOWN: &[&str] =
        &["MIT", "ISC", "Zlib", "Unlicense", "PostgreSQL", "Python-2.0", "0BSD", "X11", "curl"];
    const PREFIXES: &[&str] = &[
        "Apache-",
        "BSD-",
        "GPL-",
        "LGPL-",
        "AGPL-",
        "MPL-",
        "CC0-",
        "CC-BY-",
        "BSL-",
        "Artistic-",
        "OFL-",
        "EPL-",
    ];
    let known = |word: &str| {
        let word = word.trim_matches(['(', ')']);
        let versioned = |prefix: &&str| {
            word.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        };
        KNOWN.contains(&word) || PREFIXES.iter().any(versioned)
    };
    let mut words = text.split(' ');
    let mut name = true;
    words.all(|word| {
        let fits = if name { known(word) } else { ["AND", "OR"].contains(&word) };
        name = !name;
        fits
    }) && !name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences_are_expressions_or_not() {
        for (text, expected) in [
            ("MIT", true),
            ("MIT OR Apache-2.0", true),
            ("(MIT AND BSD-3-Clause)", true),
            ("MIT License", false),
            ("GPL", false),
            ("MIT AND", false),
            ("", false),
        ] {
            assert_eq!(is_expression(text), expected, "{text}");
        }
    }

    #[test]
    fn a_document_describes_its_root() {
        let one = Package {
            kind: "npm",
            name: "@a/b_c".to_owned(),
            version: "1".to_owned(),
            license: None,
            supplier: None,
            purl: "pkg:npm/%40a/b_c@1".to_owned(),
            found: "x/package.json".to_owned(),
        };
        let input = SpdxInput {
            name: "x".to_owned(),
            digest: Digest::of(b""),
            created: "1970-01-01T00:00:00Z".to_owned(),
            tool: "skiff-0".to_owned(),
        };
        let document = spdx(&[one], &input);
        assert_eq!(document, spdx(&[document_package()], &input));
        assert_eq!(document["packages"].as_array().unwrap().len(), 2);
        let id = document["packages"][1]["SPDXID"].as_str().unwrap();
        assert!(id.starts_with("SPDXRef-Package-npm--a-b-c-"), "{id}");
        assert_eq!(document["relationships"][1]["relatedSpdxElement"], json!(id));
    }

    fn document_package() -> Package {
        Package {
            kind: "npm",
            name: "@a/b_c".to_owned(),
            version: "1".to_owned(),
            license: None,
            supplier: None,
            purl: "pkg:npm/%40a/b_c@1".to_owned(),
            found: "x/package.json".to_owned(),
        }
    }
}
