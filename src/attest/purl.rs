//! Package URLs (purl-spec), and URLs without what nobody should read.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::image::{Platform, Reference};

/// Returns the package URL of an image, as BuildKit writes it.
pub fn image_purl(reference: &Reference, platform: Option<&Platform>) -> String {
    let mut qualifiers = BTreeMap::new();
    if let Some(platform) = platform {
        qualifiers.insert("platform", platform.to_string());
    }
    if let Some(digest) = reference.digest() {
        qualifiers.insert("digest", digest.to_string());
    }
    let repository = reference.familiar_repository();
    let (namespace, name) =
        repository.rsplit_once('/').map_or((None, repository.as_str()), |(space, name)| (Some(space), name));
    purl("docker", namespace, name, reference.tag(), &qualifiers)
}

/// Returns a package URL.
pub(super) fn purl(
    kind: &str,
    namespace: Option<&str>,
    name: &str,
    version: Option<&str>,
    qualifiers: &BTreeMap<&str, String>,
) -> String {
    let mut text = format!("pkg:{kind}/");
    for part in namespace.iter().flat_map(|space| space.split('/')).filter(|part| !part.is_empty()) {
        escape(&mut text, part);
        text.push('/');
    }
    escape(&mut text, name);
    if let Some(version) = version.filter(|version| !version.is_empty()) {
        text.push('@');
        escape(&mut text, version);
    }
    for (number, (key, value)) in qualifiers.iter().enumerate() {
        text.push(if number == 0 { '?' } else { '&' });
        let _ = write!(text, "{key}=");
        escape(&mut text, value);
    }
    text
}

/// Percent-encodes what is neither a letter, a digit, nor one of `.-_~:`.
fn escape(into: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' | b':' => {
                into.push(char::from(byte));
            }
            other => {
                let _ = write!(into, "%{other:02X}");
            }
        }
    }
}

/// Returns a URL without user name and password.
pub fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_have_package_urls() {
        let amd64 = Platform::parse("linux/amd64").unwrap();
        for (name, platform, expected) in [
            ("busybox", None, "pkg:docker/busybox@latest"),
            ("t:1", Some(&amd64), "pkg:docker/t@1?platform=linux%2Famd64"),
            ("ghcr.io/a/b:2", None, "pkg:docker/ghcr.io/a/b@2"),
            ("localhost:5000/b:2", None, "pkg:docker/localhost:5000/b@2"),
        ] {
            let reference = Reference::parse(name).unwrap().or_latest();
            assert_eq!(image_purl(&reference, platform), expected, "{name}");
        }
    }

    #[test]
    fn credentials_are_cut_out() {
        for (url, expected) in [
            ("https://u:p@h/x.git#main", "https://h/x.git#main"),
            ("https://h/x@y", "https://h/x@y"),
            ("https://u@p@h:1/x", "https://h:1/x"),
            ("git@h:x", "git@h:x"),
        ] {
            assert_eq!(without_credentials(url), expected);
        }
    }
}
