//! Python distributions.

use std::collections::BTreeMap;

use super::{Package, paragraphs};

/// Reads the metadata of an installed distribution (Python packaging, core metadata).
pub(super) fn package(text: &str, path: &str) -> Option<Package> {
    // The description follows the first empty line.
    let fields = paragraphs(text).next()?;
    let (name, version) = (fields.get("Name")?, fields.get("Version")?);
    // purl-spec, pypi: lower case, `_` becomes `-`.
    let normal = name.to_lowercase().replace('_', "-");
    let mut package = Package::new("pypi", None, &normal, version, &BTreeMap::new(), path);
    package.name = (*name).to_owned();
    let license = fields.get("License-Expression").or_else(|| fields.get("License"));
    package.license =
        license.filter(|text| !text.is_empty() && **text != "UNKNOWN").map(|text| (*text).to_owned());
    Some(package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_gives_a_package() {
        let text =
            "Metadata-Version: 2.1\nName: Typing_Extensions\nVersion: 4.9.0\nLicense: UNKNOWN\n\nName: no\n";
        let found = package(text, "x").unwrap();
        assert_eq!((found.purl.as_str(), found.license), ("pkg:pypi/typing-extensions@4.9.0", None));
        assert_eq!(package("Name: x\n", "x"), None);
    }
}
