//! Contexts that mean harm, or only bad luck.

use std::os::unix::ffi::OsStrExt as _;

use super::*;
use crate::builder::context::{ContextError, resolve};

#[test]
fn no_symlink_leads_out_of_the_context() {
    let outside = Files::new(&["f secret 644 outside"]);
    let path = outside.0.path().display();
    let files = Files::new(&[
        "f inside 644 in",
        &format!("l abs {path}/secret"),
        &format!("l dir {path}"),
        "l up ../../../../../../etc/hostname",
        "l magic /proc/self/root/etc/hostname",
        "l loop loop",
        "l one two",
        "l two one",
        "l chain inside",
    ]);
    let tree = files.context();
    for source in ["abs", "dir/secret", "dir", "up", "magic"] {
        let error = select(&request(&tree, &[source], "/x")).expect_err(source);
        assert!(matches!(error, CopyError::NotFound { .. }), "{source}: {error}");
    }
    for source in ["loop", "one", "two/x"] {
        let error = select(&request(&tree, &[source], "/x")).expect_err(source).to_string();
        assert!(error.starts_with("too many levels of symbolic links"), "{source}: {error}");
    }
    assert_eq!(layer(&request(&tree, &["chain"], "/x"), &Files::new(&[])), ["f x 644 in"]);
    // Links are copied as they are.
    let lines = layer(&request(&tree, &["."], "/x"), &Files::new(&[]));
    assert!(lines.contains(&"l x/loop loop".to_owned()) && lines.len() == 10, "{lines:?}");
}

#[test]
fn destination_links_stay_inside_the_parent() {
    let files = Files::new(&["f a 644 a"]);
    let outside = tempfile::tempdir().expect("a temporary directory");
    let parent = Files::new(&[
        &format!("l abs {}", outside.path().display()),
        "l up ../../../../etc",
        "l loop loop",
        "l etc/self .",
    ]);
    let expected = format!("f {}/a 644 a", outside.path().display()).replacen(" /", " ", 1);
    assert!(layer(&request(&files.context(), &["a"], "/abs/"), &parent).contains(&expected));
    assert_eq!(layer(&request(&files.context(), &["a"], "/up/"), &parent)[1], "f etc/a 644 a");
    assert_eq!(layer(&request(&files.context(), &["a"], "/etc/self/self/b"), &parent)[1], "f etc/b 644 a");
    assert!(failure(&request(&files.context(), &["a"], "/loop/x"), &parent).contains("symbolic links"));
    assert!(std::fs::read_dir(outside.path()).expect("readable").next().is_none());
}

#[test]
fn names_are_bytes() {
    let files = Files::new(&[]);
    for name in [&b"new\nline"[..], b"\xff\xfe", b"-rf", b" ", b"a\\b", "☃".as_bytes()] {
        std::fs::write(files.0.path().join(std::ffi::OsStr::from_bytes(name)), name).expect("a file");
    }
    let recorder = run(&request(&files.context(), &["."], "/d"), None).expect("works");
    let names: Vec<_> = recorder.entries[1..].iter().map(|e| e.split().1.to_vec()).collect();
    assert_eq!(names, [&b" "[..], b"-rf", b"a\\b", b"new\nline", "☃".as_bytes(), b"\xff\xfe"]);
}

#[test]
fn deep_trees_and_long_names() {
    let files = Files::new(&[]);
    let mut dir = files.root();
    for _ in 0..300 {
        dir.create_dir("dddddddd", 0o755).expect("a directory");
        dir = dir.dir("dddddddd").expect("it exists");
    }
    dir.create_file("n".repeat(255), 0o644).expect("a file");
    let tree = files.context();
    let selection = select(&request(&tree, &["."], "/"));
    let deep = selection.expect("300 levels are 2,700 bytes");
    assert_eq!(deep.len(), 302);
    let recorder = run(&request(&tree, &["."], "/"), None).expect("works");
    assert_eq!(recorder.entries.len(), 301);
}

#[test]
fn a_file_that_changes_is_noticed() {
    let files = Files::new(&["f d/x 644 one", "f d/y 644 y"]);
    let request = request(&files.context(), &["d"], "/n");
    let spool = files.root();
    let changes: &[(&str, &dyn Fn())] = &[
        ("longer", &|| std::fs::write(files.0.path().join("d/x"), "longer").expect("written")),
        ("removed", &|| std::fs::remove_file(files.0.path().join("d/x")).expect("removed")),
        ("a pipe", &|| {
            let _ = std::fs::remove_file(files.0.path().join("d/x"));
            make(files.0.path(), "p d/x");
        }),
        ("a link", &|| {
            std::fs::remove_file(files.0.path().join("d/x")).expect("removed");
            make(files.0.path(), "l d/x /etc/hostname");
        }),
        ("a directory", &|| {
            std::fs::remove_file(files.0.path().join("d/x")).expect("removed");
            make(files.0.path(), "d d/x 755");
        }),
    ];
    for (what, change) in changes {
        let _ = std::fs::remove_file(files.0.path().join("d/x"));
        make(files.0.path(), "f d/x 644 one");
        let selection = select(&request).expect("there");
        change();
        let errors = [
            content_digest(&selection).expect_err(what),
            write(&request, &selection, None, &spool, &mut Recorder::default()).expect_err(what),
        ];
        for error in errors {
            let shown = error.to_string();
            assert!(shown.contains("/d/x"), "{what}: {shown}");
            let known = matches!(
                error,
                CopyError::Context(ContextError::Changed { .. } | ContextError::Lookup { .. })
            );
            assert!(known, "{what}: {shown}");
        }
    }
    // A directory that goes away while it is walked.
    let tree = files.context();
    std::fs::remove_dir_all(files.0.path().join("d")).expect("removed");
    tree.list(b"d").expect_err("it is gone");
}

#[test]
fn special_files_do_not_block() {
    let files = Files::new(&["p pipe", "s sock", "f d/x 644 x"]);
    let tree = files.context();
    let lines = layer(&request(&tree, &["pipe"], "/n"), &Files::new(&[]));
    assert_eq!(lines, ["p n 644"]);
    digest(&request(&tree, &["."], "/n"));
}

#[test]
fn unreadable_files_matter_only_if_they_are_copied() {
    // We are root: a directory that cannot be listed is one whose reading fails, as a dead mount does.
    let files = Files::new(&["f ok 644 x", "f bad/x 644 x"]);
    let tree = files.ignoring(&["bad"]);
    std::fs::set_permissions(files.0.path().join("bad"), std::fs::Permissions::from_mode(0o0))
        .expect("chmod");
    let as_user = |work: &dyn Fn()| {
        // Dropping the capability to read everything, for this thread alone.
        let capabilities = rustix::thread::capabilities(None).expect("readable");
        let mut fewer = capabilities;
        fewer.effective.remove(
            rustix::thread::CapabilitySet::DAC_OVERRIDE | rustix::thread::CapabilitySet::DAC_READ_SEARCH,
        );
        rustix::thread::set_capabilities(None, fewer).expect("may be lowered");
        std::os::unix::fs::chown(files.0.path(), None, None).expect("no change");
        work();
        rustix::thread::set_capabilities(None, capabilities).expect("may be raised again");
    };
    std::os::unix::fs::chown(files.0.path().join("bad"), Some(1234), Some(1234)).expect("chown");
    as_user(&|| {
        assert_eq!(select(&request(&tree, &["."], "/")).expect("bad is not looked at").len(), 2);
        let error = select(&request(&files.context(), &["bad"], "/")).expect_err("it can't be read");
        assert!(error.to_string().contains("/bad"), "{error}");
    });
}

#[test]
fn lookups_agree_with_the_kernel() {
    let files = Files::new(&[
        "f a/b/c 644 x",
        "l a/up ..",
        "l abs /a/b",
        "l a/dot .",
        "l gone nowhere/x",
        "l a/b/rel ../../a",
    ]);
    let tree = files.context();
    let root = files.root();
    for path in
        ["a/up/a/b", "abs/c", "a/dot/dot/b/../up", "gone", "abs/../b", "abs/rel/b", "../abs", "a/b/c/d"]
    {
        let (ours, _) = resolve(&*tree, path.as_bytes(), true).expect("no loop");
        let kernel = root.resolve(path).expect("no loop");
        assert_eq!(String::from_utf8_lossy(&ours), kernel.to_string_lossy(), "{path}");
    }
}
