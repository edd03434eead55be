//! Where things land, and with what metadata (reference 3.9; list of section 13, 16 to 22 and 25).

use super::*;

fn context() -> Files {
    Files::new(&[
        "f a.txt 640 one",
        "f b.txt 755 two",
        "d dir 700",
        "f dir/x 600 x",
        "d dir/sub 711",
        "f dir/sub/y 604 y",
        "l dir/link x",
        "l link-to-file a.txt",
        "l link-to-dir dir",
    ])
}

#[test]
fn files_land_as_the_table_says() {
    let files = context();
    let tree = files.context();
    let parent = Files::new(&[
        "d have 750",
        "o have 5 6",
        "f file 600 old",
        "l to-have have",
        "l to-file file",
        "l dangling new/place",
        "l abs /have",
        "l up ../../have",
    ]);
    let table: &[(&[&str], &str, &[&str])] = &[
        // Missing, without slash: that name.
        (&["a.txt"], "/new", &["f new 640 one"]),
        (&["a.txt"], "/deep/er/new", &["d deep 755", "d deep/er 755", "f deep/er/new 640 one"]),
        // A slash forces a directory.
        (&["a.txt"], "/new/", &["d new 755", "f new/a.txt 640 one"]),
        (&["a.txt"], "/new/.", &["d new 755", "f new/a.txt 640 one"]),
        // An existing directory: inside; it comes along as the parent has it.
        (&["a.txt"], "/have", &["d have 750 5:6", "f have/a.txt 640 one"]),
        (&["a.txt"], "/have/", &["d have 750 5:6", "f have/a.txt 640 one"]),
        (&["a.txt"], "/file", &["f file 640 one"]),
        (&["a.txt"], "/", &["f a.txt 640 one"]),
        (&["a.txt"], "", &["f a.txt 640 one"]),
        // Destination symlinks are followed, the last one too, inside the root.
        (&["a.txt"], "/to-have", &["d have 750 5:6", "f have/a.txt 640 one"]),
        (&["a.txt"], "/to-have/n", &["d have 750 5:6", "f have/n 640 one"]),
        (&["a.txt"], "/to-file", &["f file 640 one"]),
        (&["a.txt"], "/abs/n", &["d have 750 5:6", "f have/n 640 one"]),
        (&["a.txt"], "/up/n", &["d have 750 5:6", "f have/n 640 one"]),
        (&["a.txt"], "/dangling", &["d new 755", "f new/place 640 one"]),
        (&["a.txt"], "/dangling/", &["d new 755", "d new/place 755", "f new/place/a.txt 640 one"]),
        // Several sources to a name without slash: each overwrites the last.
        (&["a.txt", "b.txt"], "/new", &["f new 755 two"]),
        (&["a.txt", "b.txt"], "/new/", &["d new 755", "f new/a.txt 640 one", "f new/b.txt 755 two"]),
        // A named link is followed and keeps its name.
        (&["link-to-file"], "/new/", &["d new 755", "f new/link-to-file 640 one"]),
        (
            &["link-to-dir"],
            "/new",
            &["d new 755", "l new/link x", "d new/sub 711", "f new/sub/y 604 y", "f new/x 600 x"],
        ),
    ];
    for (sources, destination, expected) in table {
        let lines = layer(&request(&tree, sources, destination), &parent);
        assert_eq!(lines, *expected, "COPY {sources:?} {destination:?}");
    }
}

#[test]
fn directories_copy_their_contents() {
    let files = context();
    let tree = files.context();
    let parent =
        Files::new(&["d app 750", "o app 3 4", "d app/sub 700", "o app/sub 3 4", "l app/x /etc/passwd"]);
    let contents = ["l app/link x", "d app/sub 711", "f app/sub/y 604 y", "f app/x 600 x"];
    for source in ["dir", "dir/", "dir/.", "/dir", "../dir", "./dir//", "link-to-dir/"] {
        let lines = layer(&request(&tree, &[source], "/app"), &parent);
        // The existing top keeps mode and owner; below, the source's metadata win.
        assert_eq!(lines[0], "d app 750 3:4", "{source}");
        assert_eq!(lines[1..], contents, "{source}");
        let lines = layer(&request(&tree, &[source], "/app"), &Files::new(&[]));
        assert_eq!(lines[0], "d app 755", "{source}: a new top is 0755 root");
        assert_eq!(lines[1..], contents, "{source}");
    }
    let mut relative = request(&tree, &["dir"], ".");
    relative.workdir = "/app".to_owned();
    assert_eq!(layer(&relative, &parent)[0], "d app 750 3:4");
    let whole = layer(&request(&tree, &["."], "/"), &Files::new(&[]));
    assert!(whole.contains(&"d dir 700".to_owned()) && whole.contains(&"f a.txt 640 one".to_owned()));
}

#[test]
fn the_top_directory_takes_the_time_of_its_source() {
    let files = Files::new(&["f dir/x 644 x"]);
    let set = |path: &str, seconds: i64| {
        let times = crate::fs::Time { seconds, nanos: 5 };
        files.root().set_times(path, times).expect("it exists");
    };
    set("dir/x", 1000);
    set("dir", 2000);
    for parent in [Files::new(&[]), Files::new(&["d app 700"])] {
        let recorder =
            run(&request(&files.context(), &["dir"], "/app"), Some(&parent.stage())).expect("works");
        let times: Vec<_> = recorder.entries.iter().map(|e| e.meta.mtime.seconds).collect();
        assert_eq!(times, [2000, 1000]);
        assert_eq!(recorder.entries[1].meta.mtime.nanos, 5);
    }
    let mut timed = request(&files.context(), &["dir/x"], "/p/q/x");
    timed.created = Some(at(77));
    let recorder = run(&timed, None).expect("works");
    assert_eq!(recorder.entries.iter().map(|e| e.meta.mtime.seconds).collect::<Vec<_>>(), [77, 77, 1000]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let files = context();
    let tree = files.context();
    let parent = Files::new(&["d dir/x 755", "f file 644 f", "l merge/sub /etc", "f blocked/sub 644 f"]);
    for (sources, destination, expected) in [
        (&["dir"][..], "/dir", "cannot replace to directory /dir/x with file"),
        (&["dir"], "/file", "cannot copy to non-directory: /file"),
        (&["a.txt"], "/file/x", "cannot copy to non-directory: /file"),
        (&["a.txt"], "/file/", "cannot copy to non-directory: /file"),
        (&["dir"], "/merge", "cannot copy to non-directory: /merge/sub"),
        (&["dir"], "/blocked", "cannot copy to non-directory: /blocked/sub"),
    ] {
        assert_eq!(
            failure(&request(&tree, sources, destination), &parent),
            expected,
            "{sources:?} {destination}"
        );
    }
}

#[test]
fn owners_follow_the_destination() {
    let files = Files::new(&["f a 644 a", "f d/b 644 b", "o a 1000 1001", "o d 7 8"]);
    let parent = Files::new(&[
        "f etc/passwd 644 root:x:0:0::/:\nweb:x:33:44::/:\n# no:x:1:1\nbad:x:y:z\n",
        "f etc/group 644 root:x:0:\nstaff:x:50:web\n",
    ]);
    for (chown, owner) in [
        (None, ""),
        (Some("5"), " 5:5"),
        (Some("5:6"), " 5:6"),
        (Some("web"), " 33:44"),
        (Some("web:staff"), " 33:50"),
        (Some("web:9"), " 33:9"),
        (Some("5:staff"), " 5:50"),
        // Unknown names are 0, in BuildKit's code.
        (Some("nobody-knows"), ""),
        (Some("web:unknown"), " 33:44"),
        (Some("0"), ""),
    ] {
        let mut request = request(&files.context(), &["a"], "/n/");
        request.chown = chown.map(str::to_owned);
        let lines = layer(&request, &parent);
        assert_eq!(lines, [format!("d n 755{owner}"), format!("f n/a 644{owner} a")], "{chown:?}");
    }
    // A stage keeps owners, a context does not.
    assert_eq!(
        layer(&request(&files.stage(), &["a", "d"], "/n/"), &parent)[1..],
        ["f n/a 644 1000:1001 a".to_owned(), "f n/b 644 b".to_owned()]
    );
    let mut linked = request(&files.context(), &["a"], "/n");
    (linked.link, linked.chown) = (true, Some("web".to_owned()));
    assert_eq!(layer(&linked, &parent), ["f n 644 a"], "a linked copy looks no name up");
    let mut bad = request(&files.context(), &["a"], "/n");
    bad.chown = Some("4294967296".to_owned());
    assert_eq!(failure(&bad, &parent), "invalid user or group id \"4294967296\"");
}

#[test]
fn modes_follow_chmod() {
    let files = Files::new(&["f dir/x 600 x", "d dir/sub 700", "f dir/sub/run 700 r", "l dir/l x"]);
    let lines = |chmod: &str, destination: &str| {
        let request = request(&files.context(), &["dir"], destination).with_chmod(chmod).expect("good");
        layer(&request, &Files::new(&[]))
    };
    assert_eq!(
        lines("640", "/p/q"),
        ["d p 640", "d p/q 640", "l p/q/l x", "d p/q/sub 640", "f p/q/sub/run 640 r", "f p/q/x 640 x"]
    );
    assert_eq!(
        lines("u=rwX,go=rX", "/p/q"),
        ["d p 755", "d p/q 755", "l p/q/l x", "d p/q/sub 755", "f p/q/sub/run 755 r", "f p/q/x 644 x"]
    );
    assert_eq!(lines("04711", "/q")[1..2], ["l q/l x".to_owned()]);
    assert!(lines("04711", "/q").contains(&"f q/x 4711 x".to_owned()));
}

#[test]
fn linked_copies_ignore_the_parent() {
    let files = context();
    let parent = Files::new(&["d real 700", "l app real"]);
    let mut request = request(&files.context(), &["a.txt"], "/app/");
    assert_eq!(layer(&request, &parent), ["d real 700", "f real/a.txt 640 one"]);
    request.link = true;
    assert_eq!(layer(&request, &parent), ["d app 755", "f app/a.txt 640 one"]);
    // With --chmod it is a plain copy.
    let request = request.with_chmod("600").expect("good");
    assert_eq!(layer(&request, &parent), ["d real 700", "f real/a.txt 600 one"]);
}

#[test]
fn special_files_and_hard_links() {
    let files = Files::new(&[
        "f d/b 644 same",
        "h d/a d/b",
        "h d/sub/c d/b",
        "p d/pipe",
        "s d/sock",
        "d d/empty 755",
    ]);
    let mode = std::fs::metadata(files.0.path().join("d/sock")).expect("there").permissions().mode() & 0o7777;
    assert_eq!(
        layer(&request(&files.context(), &["d"], "/n"), &Files::new(&[])),
        [
            "d n 755".to_owned(),
            "f n/a 644 same".to_owned(),
            "h n/b n/a".to_owned(),
            "d n/empty 755".to_owned(),
            "p n/pipe 644".to_owned(),
            format!("f n/sock {mode:o} "),
            "d n/sub 755".to_owned(),
            "h n/sub/c n/a".to_owned(),
        ]
    );
    // Links hold inside one source only.
    let two = request(&files.context(), &["d/a", "d/b"], "/n/");
    assert_eq!(
        layer(&two, &Files::new(&[]))[1..],
        ["f n/a 644 same".to_owned(), "f n/b 644 same".to_owned()]
    );
}

#[test]
fn heredocs_are_files() {
    let mut memory = crate::builder::context::MemoryTree::new(at(9));
    memory.insert("run.sh", "echo hi\n");
    let tree: Arc<dyn Tree> = Arc::new(memory);
    let mut request = request(&tree, &["run.sh"], "/bin/");
    request.sources[0].wildcards = false;
    assert_eq!(layer(&request, &Files::new(&[])), ["d bin 755", "f bin/run.sh 644 echo hi\n"]);
    let request = request.with_chmod("755").expect("good");
    assert_eq!(layer(&request, &Files::new(&[])), ["d bin 755", "f bin/run.sh 755 echo hi\n"]);
}

#[test]
fn names_that_mean_deletion_are_refused() {
    let files = Files::new(&["f d/.wh.passwd 644 x", "f ok 644 x"]);
    let expected =
        "cannot copy /e/.wh.passwd: names that begin with \".wh.\" mean deleted files in image layers";
    assert_eq!(failure(&request(&files.context(), &["d"], "/e"), &Files::new(&[])), expected);
    let to = request(&files.context(), &["ok"], "/e/.wh.x");
    assert!(failure(&to, &Files::new(&[])).contains(".wh."));
    let below = request(&files.context(), &["ok"], "/.wh.dir/x");
    assert!(failure(&below, &Files::new(&[])).contains(".wh."));
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped says why")]
fn capabilities_are_kept_and_other_attributes_are_not() {
    let files = Files::new(&["f cap 755 x", "f user 644 x"]);
    let root = files.root();
    // VFS_CAP_REVISION_2, effective, CAP_NET_BIND_SERVICE (capabilities(7)).
    let mut value = vec![1, 0, 0, 2, 0, 4, 0, 0];
    value.resize(20, 0);
    if let Err(error) = root.set_xattr("cap", b"security.capability", &value) {
        eprintln!("skipped: {error}");
        return;
    }
    let kept_before = digest(&request(&files.context(), &["user"], "/"));
    root.set_xattr("user", b"user.note", b"hello").expect("the file system has user attributes");
    let recorder = run(&request(&files.context(), &["cap", "user"], "/"), None).expect("works");
    assert_eq!(recorder.entries[0].meta.xattrs, [(b"security.capability".to_vec(), value)]);
    assert_eq!(recorder.entries[1].meta.xattrs, []);
    assert_ne!(digest(&request(&files.context(), &["user"], "/")), kept_before, "it counts for the key");
}

#[test]
fn the_same_files_make_the_same_layer() {
    let files = Files::new(&["f d/x 644 x", "f d/s/y 600 y", "h d/z d/x", "l d/l x"]);
    std::fs::write(files.0.path().join("d/big"), vec![7; 3 << 20]).expect("a file");
    let layer = || {
        let out = Files::new(&[]);
        let mut sink = crate::layers::LayerSink::create(&out.root(), Default::default()).expect("empty");
        let request = request(&files.context(), &["d"], "/app/deep");
        let selection = select(&request).expect("there");
        let written = write(&request, &selection, None, &out.root(), &mut sink).expect("works");
        assert_eq!((written.entries, written.bytes), (8, (3 << 20) + 2));
        sink.finish().expect("works").diff_id
    };
    assert_eq!(layer(), layer());
}

#[test]
fn a_stage_is_an_overlay_as_well_as_a_directory() {
    let lower = Files::new(&["f d/low 644 low", "f d/gone 644 g", "h d/two d/low"]);
    let upper = Files::new(&["f d/up 640 up", "o d/up 5 6"]);
    std::fs::write(upper.0.path().join("d/low2"), "2").expect("a file");
    let (low, up) = (lower.root(), upper.root());
    let lowers = [std::os::fd::AsFd::as_fd(&up), std::os::fd::AsFd::as_fd(&low)];
    let options =
        crate::fs::mount::OverlayOptions { lowers: &lowers, upper: None, volatile: false, userxattr: false };
    let mounted = match crate::fs::mount::overlay(&options) {
        Ok(mounted) => Root::from_fd(mounted),
        Err(error) => panic!("overlays work on every kernel that tests run on: {error}"),
    };
    let tree: Arc<dyn Tree> = Arc::new(DirectoryTree::stage(mounted, "base"));
    let lines = super::run(&request(&tree, &["d"], "/n"), Some(&tree)).expect("works").lines;
    assert_eq!(
        lines,
        [
            "d n 755",
            "f n/gone 644 g",
            "f n/low 644 low",
            "f n/low2 644 2",
            "h n/two n/low",
            "f n/up 640 5:6 up"
        ]
    );
}
