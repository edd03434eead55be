//! `ADD` of archives: what lands where, and what hostile ones cannot do (section 13, 26).

use std::io::Write as _;

use proptest::prelude::*;
use tar::{EntryType, Header};

use super::*;

/// Writes a tar of (type, name, link or content).
fn tar(entries: &[(char, &str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (kind, name, rest) in entries {
        let mut header = Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_mode(if *kind == 'd' { 0o711 } else { 0o640 });
        header.set_uid(1000);
        header.set_gid(1001);
        header.set_mtime(42);
        let mut body: &[u8] = &[];
        match kind {
            'd' => header.set_entry_type(EntryType::Directory),
            'f' => {
                header.set_entry_type(EntryType::Regular);
                header.set_size(rest.len() as u64);
                body = rest.as_bytes();
            }
            'l' | 'h' => {
                header.set_entry_type(if *kind == 'l' { EntryType::Symlink } else { EntryType::Link });
                header.as_mut_bytes()[157..157 + rest.len()].copy_from_slice(rest.as_bytes());
            }
            other => panic!("unknown kind {other}"),
        }
        header.set_cksum();
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(body);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

fn add(bytes: &[u8], destination: &str) -> (Files, CopyRequest) {
    let files = Files::new(&[]);
    std::fs::write(files.0.path().join("a.bin"), bytes).expect("a file");
    let mut request = request(&files.context(), &["a.bin"], destination);
    request.sources[0].unpack = true;
    (files, request)
}

fn added(
    entries: &[(char, &str, &str)],
    destination: &str,
    parent: &[&str],
) -> Result<Vec<String>, CopyError> {
    let (_files, request) = add(&tar(entries), destination);
    run(&request, Some(&Files::new(parent).stage())).map(|recorder| recorder.lines)
}

#[test]
fn archives_are_recognised_by_content() {
    let plain = tar(&[('f', "x", "hello")]);
    let compress = |kind: &str| -> Vec<u8> {
        match kind {
            "gzip" => {
                let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                out.write_all(&plain).expect("in memory");
                out.finish().expect("in memory")
            }
            "bzip2" => {
                let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                out.write_all(&plain).expect("in memory");
                out.finish().expect("in memory")
            }
            "xz" => liblzma::encode_all(&plain[..], 1).expect("in memory"),
            "zstd" => zstd::encode_all(&plain[..], 1).expect("in memory"),
            _ => plain.clone(),
        }
    };
    for kind in ["plain", "gzip", "bzip2", "xz", "zstd"] {
        let (_files, request) = add(&compress(kind), "/d");
        let lines = run(&request, None).expect("it unpacks").lines;
        assert_eq!(lines, ["d d 755", "f d/x 640 1000:1001 hello"], "{kind}");
        let mut copied = request.clone();
        copied.sources[0].unpack = false;
        let entries = run(&copied, None).expect("it is copied").entries;
        assert_eq!(
            (entries.len(), entries[0].path.as_slice()),
            (1, &b"d"[..]),
            "{kind}: --unpack=false copies"
        );
    }
    // Not archives: copied as they are.
    let truncated_gzip = &compress("gzip")[..12];
    for bytes in [&b"plain text"[..], b"", &[0; 1024], &[0; 10240], b"BZh9 but not bzip2", truncated_gzip] {
        let (_files, request) = add(bytes, "/d/");
        let entries = run(&request, None).expect("it is copied").entries;
        assert_eq!(entries[1].path, b"d/a.bin", "{bytes:?}");
    }
    // Begun as an archive, then broken: an error, not a copy.
    let (_files, request) = add(&tar(&[('f', "x", "hello"), ('f', "y", "more")])[..1100], "/d");
    run(&request, None).map(|r| r.lines).expect_err("the archive ends early");
}

#[test]
fn entries_land_as_tar_puts_them() {
    type Row =
        (&'static [(char, &'static str, &'static str)], &'static [&'static str], &'static [&'static str]);
    let table: &[Row] = &[
        (
            &[('d', "./", ""), ('d', "./a/", ""), ('f', "./a/x", "1")],
            &[],
            &["d d 755", "d d/a 711 1000:1001", "f d/a/x 640 1000:1001 1"],
        ),
        // Parents that the archive leaves out are made.
        (&[('f', "p/q/x", "1")], &[], &["d d 755", "d d/p 755", "d d/p/q 755", "f d/p/q/x 640 1000:1001 1"]),
        // Later entries win; a directory may come after what is in it.
        (
            &[('f', "a/x", "1"), ('f', "a/x", "2"), ('d', "a", "")],
            &[],
            &["d d 755", "d d/a 711 1000:1001", "f d/a/x 640 1000:1001 2"],
        ),
        // Directories merge, everything else is replaced.
        (
            &[('d', "a", ""), ('f', "b", "new"), ('l', "c", "b")],
            &["d d/a 700", "f d/a/old 644 o", "d d/b 700", "f d/b/old 644 o", "f d/c 644 o"],
            &["d d 755", "d d/a 711 1000:1001", "f d/b 640 1000:1001 new", "l d/c 1000:1001 b"],
        ),
        // A directory over a link replaces it; one that is only implied follows it.
        (
            &[('d', "lib", ""), ('f', "lib/x", "1")],
            &["l d/lib usr", "d d/usr 755"],
            &["d d 755", "d d/lib 711 1000:1001", "f d/lib/x 640 1000:1001 1"],
        ),
        (
            &[('f', "lib/x", "1")],
            &["l d/lib usr", "d d/usr 755"],
            &["d d 755", "d d/usr 755", "f d/usr/x 640 1000:1001 1"],
        ),
        // Links of the destination are followed inside the destination, as in a change of root.
        (
            &[('f', "etc/x", "1")],
            &["l d/etc /sub", "d d/sub 755", "d sub 755"],
            &["d d 755", "d d/sub 755", "f d/sub/x 640 1000:1001 1"],
        ),
        // Hard links are kept, to links too.
        (
            &[('f', "b", "1"), ('h', "a", "b"), ('l', "s", "b"), ('h', "t", "s")],
            &[],
            &["d d 755", "f d/a 640 1000:1001 1", "h d/b d/a", "l d/s 1000:1001 b", "l d/t 1000:1001 b"],
        ),
        // A directory that was replaced by a file and came back hides what it held.
        (
            &[('f', "b", "1"), ('d', "b", ""), ('f', "b/n", "2")],
            &["d d/b 700", "f d/b/old 644 o", "f d/b/n 644 o"],
            &["d d 755", "d d/b 711 1000:1001", "f d/b/n 640 1000:1001 2"],
        ),
    ];
    for (entries, parent, expected) in table {
        assert_eq!(
            added(entries, "/d", parent).expect("it unpacks"),
            *expected,
            "{entries:?} over {parent:?}"
        );
    }
    let (_files, mut request) = add(&tar(&[('f', "a/x", "1")]), "/d/");
    request.chown = Some("7:8".to_owned());
    let request = request.with_chmod("600").expect("octal");
    let lines = run(&request, None).expect("it unpacks").lines;
    assert_eq!(lines[1..], ["d d/a 755 7:8", "f d/a/x 640 7:8 1"], "--chown applies, --chmod does not");
}

#[test]
fn hostile_archives_stay_inside_or_are_refused() {
    let parent: &[&str] = &["d d 755", "f etc/passwd 644 root", "l d/up ..", "l d/abs /", "l d/loop /loop"];
    for entries in [
        &[('f', "../etc/passwd", "x")][..],
        &[('f', "a/../../etc/passwd", "x")],
        &[('h', "x", "../etc/passwd")],
        &[('h', "x", "/etc/passwd")],
        &[('h', "x", "none")],
        &[('f', "f", "x"), ('f', "f/below", "x")],
        &[('f', ".wh.passwd", "")],
        &[('f', "a/.wh..wh..opq", "")],
        &[('l', "a", "b"), ('l', "b", "a"), ('f', "a/x", "1")],
        &[('f', "loop/x", "1")],
    ] {
        match added(entries, "/d", parent) {
            Err(error) => assert!(!error.to_string().is_empty()),
            Ok(lines) => panic!("{entries:?} gave {lines:?}"),
        }
    }
    for entries in [
        &[('l', "out", "/etc"), ('f', "out/passwd", "x")][..],
        &[('l', "out", "../../../etc"), ('f', "out/passwd", "x")],
        &[('f', "up/etc/passwd", "x")],
        &[('f', "abs/etc/passwd", "x")],
        &[('f', "/etc/passwd", "x")],
    ] {
        let lines = added(entries, "/d", parent).expect("it stays inside");
        assert!(lines.iter().all(|line| !line.starts_with("f etc")), "{entries:?}: {lines:?}");
        assert!(lines.iter().any(|line| line.starts_with("f d/") && line.ends_with(" x")), "{lines:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever an archive holds, entries stay below the destination and parents come first (the recorder checks).
    #[test]
    fn any_archive_stays_below_its_destination(
        entries in prop::collection::vec(
            (prop::sample::select(vec!['d', 'f', 'l', 'h']), "(\\.\\./|/)?[abc](/[abc]){0,2}", "(\\.\\./|/)?[abc](/[abc])?"),
            1..8,
        ),
    ) {
        let entries: Vec<_> = entries.iter().map(|(kind, name, rest)| (*kind, name.as_str(), rest.as_str())).collect();
        let parent = ["d d/a 755", "f d/b 644 x", "l d/c ../c", "d c 755"];
        if let Ok(lines) = added(&entries, "/d", &parent) {
            for line in lines {
                let path = line.split(' ').nth(1).unwrap_or("");
                prop_assert!(path == "d" || path.starts_with("d/"), "{line}");
            }
        }
    }

    #[test]
    fn damaged_archives_never_panic(at in 0_usize..2000, value: u8) {
        let mut bytes = tar(&[('f', "x", "hello"), ('l', "y", "x"), ('d', "z", "")]);
        let at = at % bytes.len();
        bytes[at] = value;
        let (_files, request) = add(&bytes, "/d/");
        let _ = run(&request, None);
    }
}
