//! Packages of npm.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Package;

/// Whether a `package.json` is that of an installed package rather than of a project or a folder in one.
pub(super) fn is_installed(path: &str) -> bool {
    let mut parts = path.rsplit('/').skip(2);
    match (parts.next(), parts.next()) {
        (Some("node_modules"), _) => true,
        (Some(scope), Some("node_modules")) => scope.starts_with('@'),
        _ => false,
    }
}

/// Reads a `package.json`.
pub(super) fn package(text: &str, path: &str) -> Option<Package> {
    let document: Value = serde_json::from_str(text).ok()?;
    let (whole, version) = (document.get("name")?.as_str()?, document.get("version")?.as_str()?);
    let (scope, name) = whole.split_once('/').map_or((None, whole), |(scope, name)| (Some(scope), name));
    let mut package = Package::new("npm", scope, name, version, &BTreeMap::new(), path);
    package.license = match document.get("license") {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Object(map)) => map.get("type").and_then(Value::as_str).map(str::to_owned),
        _ => None,
    };
    Some(package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installed_packages_are_told_from_projects() {
        for (path, expected) in [
            ("app/node_modules/a/package.json", true),
            ("app/node_modules/@s/a/package.json", true),
            ("app/package.json", false),
            ("app/node_modules/a/test/package.json", false),
        ] {
            assert_eq!(is_installed(path), expected, "{path}");
        }
        let found = package(r#"{"name":"@s/a","version":"1.0.0","license":"MIT"}"#, "x").unwrap();
        assert_eq!((found.name.as_str(), found.purl.as_str()), ("@s/a", "pkg:npm/%40s/a@1.0.0"));
    }
}
