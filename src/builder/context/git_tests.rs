//! Git URLs as a table, and checkouts of a repository made on the spot.

use std::path::Path;

use super::*;

#[test]
fn reads_git_urls() {
    type Parts = (&'static str, Option<&'static str>, Option<&'static str>);
    let table: &[(&str, Option<Parts>)] = &[
        ("https://h/x.git", Some(("https://h/x.git", None, None))),
        ("https://h/x.git#main", Some(("https://h/x.git", Some("main"), None))),
        ("https://h/x.git#main:sub/dir", Some(("https://h/x.git", Some("main"), Some("sub/dir")))),
        ("https://h/x.git#:sub", Some(("https://h/x.git", None, Some("sub")))),
        ("https://h/x.git?ref=v1&subdir=a", Some(("https://h/x.git", Some("v1"), Some("a")))),
        ("https://h/x.git?tag=v1", Some(("https://h/x.git", Some("refs/tags/v1"), None))),
        ("https://h/x.tar.gz", None),
        ("https://h/x", None),
        ("git://h/x", Some(("git://h/x", None, None))),
        ("ssh://git@h/x", Some(("ssh://git@h/x", None, None))),
        ("git@h:x/y.git#b", Some(("git@h:x/y.git", Some("b"), None))),
        ("github.com/x/y", Some(("https://github.com/x/y", None, None))),
        ("./dir", None),
        ("a@b", None),
        ("dir/a@b:c", None),
    ];
    for (text, expected) in table {
        let found = GitSource::parse(text, true).expect(text);
        let shape = found.as_ref().map(|s| (s.remote.as_str(), s.reference.as_deref(), s.subdir.as_deref()));
        assert_eq!(shape, *expected, "{text}");
    }
    assert_eq!(GitSource::parse("github.com/x/y", false).expect("fine"), None);
    for (text, expected) in [
        ("https://h/x.git?nope=1", "unexpected query \"nope\""),
        ("https://h/x.git?ref=a&ref=b", "ref conflicts: \"a\" vs \"b\""),
    ] {
        assert!(GitSource::parse(text, true).expect_err(text).to_string().contains(expected), "{text}");
    }
}

fn git(dir: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main"])
        .args(arguments)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("git is installed");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn checks_out_what_was_asked_for() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    git(dir.path(), &["init", "-q"]);
    std::fs::create_dir(dir.path().join("sub")).expect("a directory");
    std::fs::write(dir.path().join("sub/x"), "one").expect("a file");
    git(dir.path(), &["add", "."]);
    git(dir.path(), &["commit", "-q", "-m", "a"]);
    let first = git(dir.path(), &["rev-parse", "HEAD"]);
    git(dir.path(), &["tag", "-a", "-m", "t", "v1"]);
    std::fs::write(dir.path().join("sub/x"), "two").expect("a file");
    git(dir.path(), &["commit", "-q", "-a", "-m", "b"]);
    let spool_dir = tempfile::tempdir().expect("a temporary directory");
    let spool = Root::open(spool_dir.path()).expect("it exists");
    let options = GitOptions { spool: &spool, secret: &|_| None, ssh: None, allow_file: true, cancel: None };
    let source = |reference: Option<&str>| GitSource {
        remote: format!("file://{}", dir.path().display()),
        reference: reference.map(str::to_owned),
        subdir: Some("sub".to_owned()),
        ..GitSource::default()
    };
    let content = |source: &GitSource| {
        let tree = checkout(source, &options).expect("it is there");
        let node = tree.stat(b"x").expect("readable").expect("there");
        assert_eq!((node.mode, node.uid), (0o644, 0));
        (
            tree.commit.clone(),
            String::from_utf8(tree.fetch(b"x", &node).expect("readable").bytes).expect("text"),
        )
    };
    assert_eq!(content(&source(None)).1, "two");
    assert_eq!(content(&source(Some("v1"))), (first.clone(), "one".to_owned()));
    assert_eq!(content(&source(Some(&first))).1, "one");
    assert_eq!(content(&GitSource { checksum: Some(first[..7].to_owned()), ..source(Some("v1")) }).1, "one");
    let wrong = GitSource { checksum: Some(first), ..source(None) };
    assert!(
        checkout(&wrong, &options)
            .expect_err("another commit")
            .to_string()
            .contains("expected checksum to match")
    );
    let error = checkout(&source(Some("none")), &options).expect_err("no such ref");
    assert!(error.to_string().contains("repository does not contain ref none"), "{error}");
    for (keep, expected) in [(None, false), (Some(true), true)] {
        let whole = GitSource { subdir: None, keep_git_dir: keep, ..source(None) };
        let tree = checkout(&whole, &options).expect("it is there");
        assert_eq!(tree.stat(b".git").expect("readable").is_some(), expected);
    }
    checkout(&GitSource { remote: "--upload-pack=x".to_owned(), ..GitSource::default() }, &options)
        .expect_err("an option is no repository");
    let no_file = GitOptions { allow_file: false, ..options };
    checkout(&source(None), &no_file).expect_err("local paths are not allowed");
    assert_eq!(std::fs::read_dir(spool_dir.path()).expect("readable").count(), 0, "checkouts are removed");
}
