//! Which files are meant, and what their identity holds (reference 3.9, 4 and 6; section 13, 18, 19, 23, 33).

use super::*;

/// Names below the sources of a selection.
fn names(request: &CopyRequest) -> Vec<String> {
    let selection = select(request).expect("sources are there");
    let items = selection.sources.iter().flat_map(|source| {
        let name = String::from_utf8_lossy(&source.name).into_owned();
        source.items.iter().map(move |item| {
            let relative = String::from_utf8_lossy(item.relative());
            let mark = if item.implied { "?" } else { "" };
            if relative.is_empty() { format!("{name}:") } else { format!("{mark}{relative}") }
        })
    });
    items.collect()
}

#[test]
fn wildcards_match_as_go_does() {
    let files = Files::new(&[
        "f a1.txt 644 1",
        "f a2.txt 644 2",
        "f b.md 644 b",
        "f d1/x.c 644 x",
        "f d1/deep/x.c 644 x",
        "f d2/y.c 644 y",
        "l ld d1",
        "f [odd] 644 o",
        "f a\\b 644 o",
    ]);
    let tree = files.context();
    for (source, expected) in [
        ("a*.txt", &["a1.txt:", "a2.txt:"][..]),
        ("a?.txt", &["a1.txt:", "a2.txt:"]),
        ("a[2-9].txt", &["a2.txt:"]),
        ("*.none", &[]),
        ("d1/none*/x", &[]),
        ("d*", &["d1:", "deep", "deep/x.c", "x.c", "d2:", "y.c"]),
        ("d?/*.c", &["x.c:", "y.c:"]),
        // No `**`: it is two stars.
        ("**/x.c", &["x.c:"]),
        // A link on the way is not entered after a wildcard, but followed before one and when matched.
        ("l*/x.c", &[]),
        ("ld/x.*", &["x.c:"]),
        ("l?", &["ld:", "deep", "deep/x.c", "x.c"]),
        ("[[]odd]", &["[odd]:"]),
        ("a\\b", &["a\\b:"]),
        ("/a1.txt", &["a1.txt:"]),
        ("../../a1.txt", &["a1.txt:"]),
    ] {
        assert_eq!(names(&request(&tree, &[source], "/x/")), expected, "{source}");
    }
    for (source, shown) in [
        ("missing", "/missing"),
        ("d1/none", "/d1/none"),
        ("%61", "/%61"),
        ("b.md/x", "/b.md/x"),
        // Nothing may match, but the directory before a wildcard is named.
        ("none/*", "/none"),
    ] {
        let error = select(&request(&tree, &[source], "/x/")).expect_err("it is missing");
        let wanted = format!(
            "failed to compute cache key: failed to calculate checksum of ref context: {shown:?}: not found"
        );
        assert_eq!(error.to_string(), wanted);
    }
    let error = select(&request(&tree, &["a["], "/x/")).expect_err("bad syntax");
    assert_eq!(std::error::Error::source(&error).expect("a source").to_string(), "syntax error in pattern");
}

#[test]
fn ignored_files_are_not_there() {
    let files = Files::new(&["f a 644 a", "f d/keep 644 k", "f d/drop 644 d", "f e/x 644 e", "l to-a a"]);
    let tree = files.ignoring(&["a", "d", "!d/keep", "e"]);
    assert_eq!(names(&request(&tree, &["."], "/")), [":", "d", "d/keep", "to-a"]);
    assert_eq!(names(&request(&tree, &["d"], "/")), ["d:", "keep"]);
    for missing in ["a", "d/drop", "e", "e/x", "to-a"] {
        select(&request(&tree, &[missing], "/")).expect_err(missing);
    }
    // Excluded as a whole, exceptions or not: a directory is there only for what is in it.
    let tree = files.ignoring(&["*", "!nothing/in/here", "!e/other"]);
    assert_eq!(names(&request(&tree, &["."], "/")), [":"]);
}

#[test]
fn excludes_are_rooted_at_the_copied_directory() {
    let files = Files::new(&[
        "f d/a.log 644 a",
        "f d/b 644 b",
        "f d/s/a.log 644 a",
        "f d/s/c 644 c",
        "f x.log 644 x",
    ]);
    let tree = files.context();
    let with = |sources: &[&str], excludes: &[&str]| {
        let mut request = request(&tree, sources, "/n/");
        request.excludes = excludes.iter().map(|e| (*e).to_owned()).collect();
        names(&request)
    };
    assert_eq!(with(&["d"], &["*.log"]), ["d:", "b", "s", "s/a.log", "s/c"]);
    assert_eq!(with(&["d"], &["**/*.log"]), ["d:", "b", "s", "s/c"]);
    assert_eq!(with(&["d"], &["s", "!s/c"]), ["d:", "a.log", "b", "?s", "s/c"]);
    assert_eq!(with(&["d"], &["d/b"]), ["d:", "a.log", "b", "s", "s/a.log", "s/c"]);
    assert_eq!(with(&["x.log"], &["*.log"]), ["x.log:"], "a named file stays");
}

#[test]
fn parents_keep_the_path() {
    let files = Files::new(&[
        "d a 711",
        "f a/b/c.txt 644 c",
        "f a/b/d.md 644 d",
        "f a/e.txt 644 e",
        "f f/b/c.txt 644 c",
        "f top.txt 644 t",
        "l through a",
    ]);
    let tree = files.context();
    let with = |sources: &[&str], excludes: &[&str]| {
        let mut request = request(&tree, sources, "/n/");
        request.parents = true;
        request.excludes = excludes.iter().map(|e| (*e).to_owned()).collect();
        request
    };
    for (source, expected) in [
        ("a/b/c.txt", &["d n 755", "d n/a 711", "d n/a/b 755", "f n/a/b/c.txt 644 c"][..]),
        ("./a/./b/c.txt", &["d n 755", "d n/b 755", "f n/b/c.txt 644 c"]),
        ("a/b/./c.txt", &["d n 755", "f n/c.txt 644 c"]),
        (
            "*/b/c.txt",
            &[
                "d n 755",
                "d n/a 711",
                "d n/a/b 755",
                "f n/a/b/c.txt 644 c",
                "d n/f 755",
                "d n/f/b 755",
                "f n/f/b/c.txt 644 c",
            ],
        ),
        ("a/**/*.txt", &["d n 755", "d n/a 711", "d n/a/b 755", "f n/a/b/c.txt 644 c", "f n/a/e.txt 644 e"]),
        ("a/b", &["d n 755", "d n/a 711", "d n/a/b 755", "f n/a/b/c.txt 644 c", "f n/a/b/d.md 644 d"]),
        ("none*", &["d n 755"]),
    ] {
        assert_eq!(layer(&with(&[source], &[]), &Files::new(&[])), expected, "{source}");
    }
    let lines = layer(&with(&["a"], &["a/b/*.md", "**/e.*"]), &Files::new(&[]));
    assert_eq!(lines, ["d n 755", "d n/a 711", "d n/a/b 755", "f n/a/b/c.txt 644 c"]);
    assert!(failure(&with(&["a/none"], &[]), &Files::new(&[])).ends_with("\"/a/none\": not found"));
    assert!(
        failure(&with(&["through/e.txt"], &[]), &Files::new(&[])).ends_with("not found"),
        "links are no parents"
    );
    assert_eq!(layer(&with(&["a/e.txt"], &["**/e.txt"]), &Files::new(&[])), ["d n 755"]);
    // On the way to something an existing directory takes only the mode.
    let parent = Files::new(&["d n/a 700", "o n/a 3 4"]);
    assert_eq!(layer(&with(&["a/e.txt"], &[]), &parent)[1], "d n/a 711 3:4");
}

#[test]
fn the_identity_holds_what_counts() {
    let base: &[&str] = &["f d/x 644 one", "f d/s/y 600 two", "l d/l x", "f z 644 three"];
    let all = |files: &Files| digest(&request(&files.context(), &["d", "z"], "/n/"));
    let before = all(&Files::new(base));
    let changed = |from: &str, to: &[&str]| {
        let lines = base.iter().copied().filter(|line| !line.starts_with(from)).chain(to.iter().copied());
        all(&Files::new(&lines.collect::<Vec<_>>()))
    };
    assert_eq!(changed("-", &[]), before, "times and inodes do not count");
    assert_eq!(changed("-", &["o d/x 5 5"]), before, "owners of a context do not count");
    assert_eq!(changed("-", &["d d 711"]), before, "the top directory's own mode is not copied");
    for (what, from, to) in [
        ("bytes", "f d/x", &["f d/x 644 ono"][..]),
        ("mode", "f d/x", &["f d/x 645 one"]),
        ("name", "f d/x", &["f d/w 644 one"]),
        ("target", "l d/l", &["l d/l y"]),
        ("type", "l d/l", &["f d/l 777 x"]),
        ("extra", "-", &["d d/new 755"]),
        ("directory mode", "-", &["d d/s 711"]),
        ("file to hard link elsewhere", "f z", &["f z 644 thre"]),
    ] {
        assert_ne!(changed(from, to), before, "{what}");
    }
    let stage = |lines: &[&str]| digest(&request(&Files::new(lines).stage(), &["d"], "/"));
    assert_ne!(stage(&["f d/x 644 a"]), stage(&["f d/x 644 a", "o d/x 5 5"]), "owners of a stage count");
    // A wildcard brings the names it matched, also those of directories.
    let wild = |lines: &[&str]| digest(&request(&Files::new(lines).context(), &["d*"], "/"));
    assert_ne!(wild(&["f d1/x 644 a"]), wild(&["f d2/x 644 a"]));
    let plain = |name: &str| {
        let files = Files::new(&[&format!("f {name}/x 644 a")]);
        digest(&request(&files.context(), &[name], "/"))
    };
    assert_eq!(plain("d1"), plain("d2"), "a named directory's name changes nothing");
}

#[test]
fn facts_explain_a_difference() {
    let selected = |lines: &[&str]| {
        let files = Files::new(lines);
        let selection = select(&request(&files.stage(), &["d"], "/")).expect("there");
        let content = content_digest(&selection).expect("readable");
        (selection, content)
    };
    let (selection, content) = selected(&["f d/x 644 one"]);
    let before: Vec<_> = content.facts(&selection).collect();
    for (lines, expected) in [
        (&["f d/x 644 one"][..], None),
        (&["f d/x 600 one"], Some("mode")),
        (&["f d/x 644 two"], Some("content")),
        (&["f d/x 644 longer"], Some("size")),
        (&["d d/x 644"], Some("type")),
        (&["f d/x 644 one", "o d/x 1 1"], Some("owner")),
    ] {
        let (selection, content) = selected(lines);
        let now: Vec<_> = content.facts(&selection).collect();
        assert_eq!(now[0].difference(&before[0]), expected, "{lines:?}");
        assert_eq!(now[0].shown() == before[0].shown(), expected.is_none(), "{lines:?}");
    }
}
