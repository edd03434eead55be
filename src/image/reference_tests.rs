//! References as the distribution library reads them: facts of its tables, and properties.

use proptest::prelude::*;

use super::Reference;

const HEX: &str = "1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a";

/// Typed, domain, path.
const NAMES: &[(&str, &str, &str)] = &[
    ("foo", "docker.io", "library/foo"),
    ("d/docker", "docker.io", "d/docker"),
    ("docker.io/foo", "docker.io", "library/foo"),
    ("docker.io/library/foo", "docker.io", "library/foo"),
    ("docker.io/library/foo/bar", "docker.io", "library/foo/bar"),
    ("index.docker.io/foo", "docker.io", "library/foo"),
    ("index.docker.io/library/foo", "docker.io", "library/foo"),
    ("library/foo/bar", "docker.io", "library/foo/bar"),
    ("store/foo/bar", "docker.io", "store/foo/bar"),
    ("other/library", "docker.io", "other/library"),
    ("test.com/foo", "test.com", "foo"),
    ("test_com/foo", "docker.io", "test_com/foo"),
    ("test.com:8080/foo", "test.com:8080", "foo"),
    ("test-com:8080/foo", "test-com:8080", "foo"),
    ("xn--n3h.com/foo", "xn--n3h.com", "foo"),
    ("xn--n3h.com:18080/foo", "xn--n3h.com:18080", "foo"),
    ("127.0.0.1:5000/library/debian", "127.0.0.1:5000", "library/debian"),
    ("192.168.0.1", "docker.io", "library/192.168.0.1"),
    ("192.168.0.1:80", "docker.io", "library/192.168.0.1"),
    ("192.168.0.1:8/debian", "192.168.0.1:8", "debian"),
    ("192.168.0.2:25000/debian", "192.168.0.2:25000", "debian"),
    ("[fc00::1]:5000/docker/docker", "[fc00::1]:5000", "docker/docker"),
    ("[fc00:1:2:3:4:5:6:7]:5000/library/debian", "[fc00:1:2:3:4:5:6:7]:5000", "library/debian"),
    ("localhost/foo", "localhost", "foo"),
    ("localhost:5000/foo", "localhost:5000", "foo"),
    ("Docker/docker", "Docker", "docker"),
    ("DOCKER/docker", "DOCKER", "docker"),
    ("docker-rules/docker", "docker.io", "docker-rules/docker"),
    ("docker---rules/docker", "docker.io", "docker---rules/docker"),
    ("dock__er/docker", "docker.io", "dock__er/docker"),
    (
        "thisisthesongthatneverendsitgoesonandonandonthisisthesongthatnev",
        "docker.io",
        "library/thisisthesongthatneverendsitgoesonandonandonthisisthesongthatnev",
    ),
];

const REFUSED: &[&str] = &[
    "https://github.com/docker/docker",
    "docker/Docker",
    "-docker",
    "-docker/docker",
    "-docker.io/docker/docker",
    "docker-/docker",
    "-docker-/docker",
    "docker///docker",
    "docker.io/docker/Docker",
    "docker.io/docker///docker",
    "[fc00::1]",
    "[fc00::1]:5000",
    "fc00::1:5000/debian",
    "[fe80::1%eth0]:5000/debian",
    "[2001:db8:3:4::192.0.2.33]:5000/debian",
    HEX,
    "____/____",
    "_docker/_docker",
    "dock..er/docker",
    "dock_.er/docker",
    "dock-.er/docker",
    "docker/",
    "/docker",
    ":tag",
    "foo:",
    "foo:-tag",
    "foo@",
    "foo@sha256",
    "foo@bar",
    "foo@sha256:1",
    "foo bar",
    "foo\n",
    "foo:tag:tag",
    "a b/c",
];

#[test]
fn names_split_as_distribution_splits_them() {
    for (typed, domain, path) in NAMES {
        let reference = Reference::parse(typed).unwrap_or_else(|error| panic!("{typed}: {error}"));
        assert_eq!((reference.domain(), reference.path()), (*domain, *path), "{typed}");
    }
    for typed in REFUSED {
        let read = Reference::parse(typed);
        assert!(read.is_err(), "{typed}: {read:?}");
    }
    // A domain tells such a name from an image's id.
    assert_eq!(Reference::parse(&format!("docker.io/{HEX}")).unwrap().path(), format!("library/{HEX}"));
    assert!(Reference::parse(&HEX[1..]).is_ok());
}

#[test]
fn names_have_a_length_that_tags_and_digests_do_not_count_for() {
    let of_length = |length: usize| format!("a.b/{}", "x".repeat(length));
    let digest = format!("sha256:{HEX}");
    let longest = (1..300).filter(|length| Reference::parse(&of_length(*length)).is_ok()).max();
    let longest = longest.expect("some are short enough");
    assert!((240..=255).contains(&longest), "{longest}");
    let whole = format!("{}:{}@{digest}", of_length(longest), "t".repeat(128));
    let reference = Reference::parse(&whole).unwrap();
    assert_eq!(reference.tag().map(str::len), Some(128));
    assert_eq!(reference.to_string(), whole);
    assert!(Reference::parse(&format!("a:{}", "t".repeat(129))).is_err());
}

/// Names by distribution's grammar (reference.go), most of them legal.
fn name() -> impl Strategy<Value = String> {
    let component = "[a-z0-9]{1,4}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}";
    let domain = prop::option::of(prop_oneof![
        Just("localhost".to_owned()),
        Just("docker.io".to_owned()),
        Just("index.docker.io".to_owned()),
        "[a-zA-Z0-9]{1,4}(-[a-z0-9]{1,3})?\\.[a-z]{2,3}(:[0-9]{1,5})?",
        "\\[[0-9a-f:]{2,8}\\]:[0-9]{1,4}",
        "[A-Z]{1,4}",
    ]);
    (domain, prop::collection::vec(component, 1..4))
        .prop_map(|(domain, parts)| domain.map(|domain| domain + "/").unwrap_or_default() + &parts.join("/"))
        // With a dot the first part is a domain, which has no underscores.
        .prop_filter("a domain of another alphabet", |name| {
            let first = name.split_once('/').map_or("", |(first, _)| first);
            !(first.contains('.') && first.contains('_'))
        })
}

/// The long form, and the short one unless its first part would be taken for a domain, as it is with docker.
fn printed(reference: &Reference) -> Vec<String> {
    let first = reference.path().split('/').next().unwrap_or_default();
    let ambiguous = reference.domain() == "docker.io" && (first.contains('.') || first == "localhost");
    let short = (!ambiguous).then(|| reference.familiar());
    [reference.to_string()].into_iter().chain(short).collect()
}

proptest! {
    /// What is read prints to what reads the same, short and long.
    #[test]
    fn printing_and_reading_agree(
        name in name(),
        tag in prop::option::of("[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}"),
        digest in prop::option::of("[0-9a-f]{64}"),
    ) {
        let tag_text = tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
        let digest_text = digest.as_ref().map(|hex| format!("@sha256:{hex}")).unwrap_or_default();
        let text = format!("{name}{tag_text}{digest_text}");
        let reference = Reference::parse(&text);
        prop_assert!(reference.is_ok(), "{}: {:?}", text, reference);
        let reference = reference.unwrap();
        prop_assert_eq!(reference.tag(), tag.as_deref());
        prop_assert_eq!(reference.digest().map(|digest| digest.to_string()), digest.map(|hex| format!("sha256:{hex}")));
        for printed in printed(&reference) {
            let again = Reference::parse(&printed);
            prop_assert_eq!(again.as_ref(), Ok(&reference), "{}", printed);
        }
        let repository = format!("{}/{}", reference.domain(), reference.path());
        prop_assert!(reference.to_string().starts_with(&repository), "{}", reference);
        prop_assert_eq!(reference.clone().or_latest().tag().is_some(), tag.is_some() || digest_text.is_empty());
    }

    /// Any text is refused, or printed to what reads the same.
    #[test]
    fn any_text_is_an_answer(text in "[a-zA-Z0-9:/@._\\[\\] é-]{0,40}") {
        if let Ok(reference) = Reference::parse(&text) {
            for printed in printed(&reference) {
                let again = Reference::parse(&printed);
                prop_assert_eq!(again.as_ref(), Ok(&reference), "{}", printed);
            }
        }
    }
}
