//! Compiled as `#[cfg(test)]`: single entries, what they replace, and what is refused.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;

use super::support::{Mounted, cannot_mount, entry, file, fsck, index, snapshot};
use crate::fs::mount::read_only_view;
use crate::layers::erofs::{IndexError, NO_DATA};
use crate::layers::{Entry, EntryKind, Mtime};

/// A file that stands for a tar, of whole blocks.
fn device(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("written");
    file.as_file().set_len((text.len() as u64).next_multiple_of(512)).expect("padded");
    file
}

fn mount(entries: &[(Entry, u64)], device: &tempfile::NamedTempFile) -> Mounted {
    let size = device.as_file().metadata().expect("a stat").len();
    let image = index(entries, size).expect("indexed");
    fsck(&image, device.path());
    Mounted::new(&image, device.as_file())
}

fn link(path: &str, target: &str) -> (Entry, u64) {
    entry(path, EntryKind::HardLink { target: target.into() })
}

fn symlink(path: &str, target: &str) -> (Entry, u64) {
    entry(path, EntryKind::Symlink { target: target.into() })
}

/// Names with kinds, as `name/` for a directory, `name!` for a whiteout, `name=` for an opaque directory.
fn outline(mounted: &Mounted) -> String {
    let facts = snapshot(&mounted.path());
    let names = facts.iter().filter(|(name, _)| !name.is_empty()).map(|(name, facts)| {
        let opaque =
            facts.xattrs.get(b"trusted.overlay.opaque".as_slice()).is_some_and(|value| value == b"y");
        let sign = match facts.mode & libc::S_IFMT {
            libc::S_IFDIR if opaque => "=",
            libc::S_IFDIR => "/",
            libc::S_IFCHR if facts.device == 0 => "!",
            _ => "",
        };
        format!("{}{sign}", String::from_utf8_lossy(name))
    });
    names.collect::<Vec<_>>().join(" ")
}

#[test]
fn entries_replace_as_unpacking_does() {
    if cannot_mount() {
        return;
    }
    let dir = |path| entry(path, EntryKind::Directory);
    let gone = |path| entry(path, EntryKind::Whiteout);
    let opaque = |path| entry(path, EntryKind::Opaque);
    let cases = [
        (vec![], ""),
        (vec![file("a/b/c", 0, 1)], "a/ a/b/ a/b/c"),
        (vec![file("a/b", 0, 1), dir("a"), file("a/c", 0, 1)], "a/ a/b a/c"),
        (vec![file("a/b", 0, 1), file("a", 0, 1)], "a"),
        (vec![file("a", 0, 1), dir("a")], "a/"),
        (vec![file("a/b/c", 0, 1), symlink("a", "x"), dir("a"), file("a/d", 0, 0)], "a/ a/d"),
        (vec![file("a/b", 0, 1), link("c", "a/b"), file("a", 0, 1)], "a c"),
        (vec![gone("a"), gone("b/c")], "a! b/ b/c!"),
        (vec![gone("a"), file("a", 0, 1)], "a"),
        (vec![gone("a"), dir("a")], "a="),
        (vec![gone("a"), file("a/b", 0, 1)], "a= a/b"),
        (vec![file("a", 0, 1), gone("a")], "a"),
        (vec![file("a/b", 0, 1), gone("a")], "a= a/b"),
        (vec![opaque("a/b"), file("a/b/c", 0, 1)], "a/ a/b= a/b/c"),
        (vec![opaque("a"), dir("a")], "a="),
        (vec![dir("a"), opaque("a")], "a="),
        (vec![entry("a", EntryKind::CharDevice { major: 0, minor: 0 })], "a!"),
    ];
    for (entries, wanted) in cases {
        let device = device("x");
        assert_eq!(outline(&mount(&entries, &device)), wanted, "{entries:?}");
    }
}

#[test]
fn attributes_of_directories() {
    if cannot_mount() {
        return;
    }
    let mut root = entry("", EntryKind::Directory);
    root.0.meta.mode = 0o1700;
    root.0.meta.mtime = Mtime { seconds: 99, nanos: 1 };
    let mut later = entry("a", EntryKind::Directory);
    later.0.meta.uid = 5;
    later.0.meta.xattrs = vec![(b"user.x".to_vec(), b"y".to_vec())];
    let facts = snapshot(&mount(&[file("a/f", 0, 1), root, later, file("b/f", 0, 1)], &device("x")).path());
    let of = |name: &str| &facts[name.as_bytes()];
    assert_eq!((of("").mode & 0o7777, of("").mtime), (0o1700, (99, 1)));
    assert_eq!((of("a").owner, of("a").mtime, of("a").xattrs.len()), ((5, 0), (7, 0), 1));
    assert_eq!((of("b").owner, of("b").mtime, of("b").mode & 0o7777), ((0, 0), (0, 0), 0o755));
    assert_eq!((of("").links, of("a").links, of("a/f").links), (4, 2, 1));
}

#[test]
fn attributes_keep_their_names_but_overlayfs_marks() {
    if cannot_mount() {
        return;
    }
    let acl = b"\x02\0\0\0\x01\0\x06\0\xff\xff\xff\xff\x02\0\x04\0\x07\0\0\0\x04\0\x04\0\xff\xff\xff\xff\
        \x10\0\x06\0\xff\xff\xff\xff\x20\0\x04\0\xff\xff\xff\xff";
    let mut dir = entry("d", EntryKind::Directory);
    let names = [
        ("security.selinux", &b"system_u:object_r:etc_t:s0\0"[..]),
        ("system.posix_acl_access", acl),
        ("system.posix_acl_default", acl),
        ("trusted.mine", b"1"),
        ("trusted.overlay.redirect", b"/etc"),
        ("user.overlay.opaque", b"y"),
        ("user.mine", &[7; 60_000]),
    ];
    dir.0.meta.xattrs =
        names.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec())).collect();
    let facts = snapshot(&mount(&[dir, entry("d", EntryKind::Opaque)], &device("x")).path());
    let mut wanted: Vec<(Vec<u8>, Vec<u8>)> = names
        .iter()
        .filter(|(name, _)| !name.contains(".overlay."))
        .map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec()))
        .collect();
    wanted.push((b"trusted.overlay.opaque".to_vec(), b"y".to_vec()));
    assert_eq!(facts[&b"d"[..]].xattrs, wanted.into_iter().collect());
}

#[test]
fn what_an_index_cannot_show_is_refused() {
    let with_xattr = |name: &str, size: usize| {
        let mut entry = file("a", 0, 1);
        entry.0.meta.xattrs = vec![(name.into(), vec![0; size])];
        entry
    };
    let nul = String::from_utf8(vec![b'a', 0]).expect("text");
    let long = "n".repeat(256);
    let mut late = file("a", 0, 0);
    late.0.meta.mtime.nanos = 1_000_000_000;
    let cases = [
        (vec![file("a", NO_DATA, 1)], "one piece"),
        (vec![file("a", 100, 1)], "start within a block"),
        (vec![file("a", 512, 1 << 41)], "more than 2 TiB"),
        (vec![file("a", u64::MAX - 511, 600)], "more than 2 TiB"),
        (vec![file("a", 512, 1 << 20)], "last block ends at byte 1049088 of a tar of 1024"),
        (vec![symlink("a", "b"), file("a/c", 0, 1)], "below a symlink"),
        (vec![file("a", 0, 1), file("a/c", 0, 1)], "no directory"),
        (vec![file("a", 0, 1), entry("a/c", EntryKind::Whiteout)], "no directory"),
        (vec![link("a", "b")], "that this layer lacks"),
        (vec![entry("b", EntryKind::Whiteout), link("a", "b")], "removed file"),
        (vec![entry("b", EntryKind::Directory), link("a", "b")], "hard link to a directory"),
        (vec![symlink("b", "c"), file("c/f", 0, 1), link("a", "b/f")], "that this layer lacks"),
        (vec![file("", 0, 1)], "the root is not a directory"),
        (vec![file("a/../b", 0, 1)], "dotted"),
        (vec![file("a//b", 0, 1)], "dotted"),
        (vec![file("..", 0, 1)], "dotted"),
        (vec![entry(&nul, EntryKind::Fifo)], "zero byte"),
        (vec![entry(&long, EntryKind::Fifo)], "255 bytes"),
        (vec![file(&format!("{long}/a"), 0, 1)], "255 bytes"),
        (vec![file(&"a/".repeat(2048).trim_end_matches('/').repeat(2), 0, 1)], "4095 bytes"),
        (vec![symlink("a", "")], "empty, too long"),
        (vec![symlink("a", &"t".repeat(4096))], "empty, too long"),
        (vec![entry("a", EntryKind::BlockDevice { major: 4096, minor: 0 })], "device number"),
        (vec![entry("a", EntryKind::CharDevice { major: 1, minor: 1 << 20 })], "device number"),
        (vec![with_xattr("system.nfs4_acl", 1)], "unknown kind"),
        (vec![with_xattr("user.", 1)], "unknown kind"),
        (vec![with_xattr("user.x", 1 << 16)], "too large"),
        (vec![late], "more than a second"),
    ];
    for (entries, wanted) in cases {
        let error = index(&entries, 1024).expect_err(wanted);
        assert!(error.to_string().contains(wanted), "{error}");
        assert!(error.wants_unpacking());
    }
}

#[test]
fn too_many_attributes_are_refused() {
    let mut many = file("a", 0, 1);
    many.0.meta.xattrs = (0..5).map(|n| (format!("user.{n}").into_bytes(), vec![0; 60_000])).collect();
    let error = index(&[many], 1024).expect_err("too many");
    assert!(error.to_string().contains("too large together"), "{error}");
}

#[test]
fn a_failing_writer_is_told_of() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let error = crate::layers::erofs::IndexBuilder::new().finish(&mut Full, 0).expect_err("full");
    assert!(matches!(error, IndexError::Write(_)) && !error.wants_unpacking());
}

#[test]
fn data_at_the_end_of_a_tar() {
    let entries = [file("tail", 512, 512 * 2 + 77), file("one", 0, 3)];
    let error = index(&entries, 512 * 3 + 77).expect_err("the last block is cut short");
    assert!(error.to_string().contains("last block ends at byte 2048 of a tar of 1613"), "{error}");
    if cannot_mount() {
        return;
    }
    let text = "x".repeat(512 * 4);
    let mounted = mount(&entries, &device(&text));
    assert_eq!(fs::read_to_string(mounted.path().join("tail")).expect("read"), text[512..1613]);
    assert_eq!(fs::read_to_string(mounted.path().join("one")).expect("read"), "xxx");
}

#[test]
fn whiteouts_and_opaque_directories_hide_lower_layers() {
    if cannot_mount() {
        return;
    }
    let device = device("data");
    let lower = mount(
        &[file("gone", 0, 4), file("kept", 0, 4), file("o/hidden", 0, 4), file("d/shown", 0, 4)],
        &device,
    );
    let upper = mount(
        &[
            entry("gone", EntryKind::Whiteout),
            entry("o", EntryKind::Opaque),
            file("o/new", 0, 2),
            file("d/new", 0, 2),
        ],
        &device,
    );
    let view = read_only_view(&[upper.mount.as_fd(), lower.mount.as_fd()], false).expect("mounted");
    let view = Mounted { mount: view };
    assert_eq!(outline(&view), "d/ d/new d/shown kept o/ o/new");
    assert_eq!(fs::read_to_string(view.path().join("d/shown")).expect("read"), "data");
    let whole = mount(&[entry("", EntryKind::Opaque), file("new", 0, 4)], &device);
    let view = read_only_view(&[whole.mount.as_fd(), lower.mount.as_fd()], false).expect("mounted");
    let names = outline(&Mounted { mount: view });
    assert_eq!(names, "d/ d/shown gone kept new o/ o/hidden", "a root is never opaque to overlayfs");
    let single = Mounted { mount: read_only_view(&[upper.mount.as_fd()], false).expect("mounted") };
    assert_eq!(outline(&single), "d/ d/new o/ o/new", "nothing to hide");
}

#[test]
fn a_giant_of_more_than_one_chunk() {
    if cannot_mount() {
        return;
    }
    let device = tempfile::NamedTempFile::new().expect("a file");
    let size = (1_u64 << 40) + 1024;
    device.as_file().set_len(512 + size).expect("sparse");
    std::os::unix::fs::FileExt::write_at(device.as_file(), b"end", 512 + size - 3).expect("written");
    // Without the checker, which would read it all.
    let image = index(&[file("giant", 512, size)], 512 + size).expect("indexed");
    let mounted = Mounted::new(&image, device.as_file());
    let giant = File::open(mounted.path().join("giant")).expect("opened");
    let mut end = [0; 3];
    std::os::unix::fs::FileExt::read_exact_at(&giant, &mut end, size - 3).expect("read");
    assert_eq!(&end, b"end");
}
