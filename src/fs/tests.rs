//! Hostile trees against [`Root`].

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// A root in a folder that also holds an outside file which must never be reached.
fn scene() -> (tempfile::TempDir, Root) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("outside"), "secret").unwrap();
    let root = dir.path().join("root");
    std::fs::create_dir_all(root.join("a/b")).unwrap();
    std::fs::write(root.join("a/file"), "inside").unwrap();
    (dir, Root::open(&root).unwrap())
}

#[test]
fn no_path_leads_outside() {
    let (dir, root) = scene();
    let base = dir.path().join("root");
    symlink("../outside", base.join("up")).unwrap();
    symlink(dir.path().join("outside"), base.join("absolute")).unwrap();
    symlink("../../../../../..", base.join("a/top")).unwrap();
    symlink("/proc/self/root", base.join("magic")).unwrap();
    for path in ["../outside", "up", "absolute", "a/top/outside", "a/../../outside", "magic/etc/passwd"] {
        assert!(root.open_file(path).is_err(), "{path}");
        assert_eq!(root.stat(path, Follow::Yes).unwrap(), None, "{path}");
    }
    assert_eq!(root.read("a/top/a/file", 100).unwrap(), b"inside");
    assert_eq!(root.read("/../a/./file", 100).unwrap(), b"inside");
    root.create_dir("a/top/made", 0o755).unwrap();
    assert!(base.join("made").is_dir());
    assert!(root.create_file("up", 0o644).is_err(), "a link at the end is not written through");
    assert_eq!(std::fs::read(dir.path().join("outside")).unwrap(), b"secret");
}

#[test]
fn links_that_go_round_are_an_error() {
    let (dir, root) = scene();
    symlink("two", dir.path().join("root/one")).unwrap();
    symlink("one", dir.path().join("root/two")).unwrap();
    assert!(root.open_file("one").is_err());
    assert!(root.resolve("one/x").is_err());
    assert!(root.stat("one", Follow::No).unwrap().unwrap().is_symlink());
}

#[test]
fn resolving_keeps_what_is_missing() {
    let (dir, root) = scene();
    let base = dir.path().join("root");
    symlink("/a/b", base.join("ab")).unwrap();
    symlink("../../nowhere/x", base.join("a/b/dangling")).unwrap();
    let resolved = |path: &str| root.resolve(path).unwrap();
    assert_eq!(resolved("ab/new/file"), Path::new("a/b/new/file"));
    assert_eq!(resolved("ab/dangling"), Path::new("nowhere/x"));
    assert_eq!(resolved("ab/../file"), Path::new("a/file"), "dots act on what the link led to");
    assert_eq!(resolved("/"), PathBuf::new());
    assert_eq!(resolved("../.."), PathBuf::new());
    let made = root.create_dir_all("ab/dangling/deep", 0o755).unwrap();
    assert_eq!(made, ["nowhere", "nowhere/x", "nowhere/x/deep"].map(PathBuf::from));
    assert!(root.create_dir_all("a/file/x", 0o755).is_err());
}

#[test]
fn metadata_is_set_on_the_name_itself() {
    let (dir, root) = scene();
    let outside = dir.path().join("outside");
    symlink(&outside, dir.path().join("root/link")).unwrap();
    let before = std::fs::metadata(&outside).unwrap();
    root.set_mode("link", 0o777).unwrap();
    root.set_times("link", Time { seconds: 5, nanos: 6 }).unwrap();
    assert!(root.set_xattr("link", b"user.x", b"1").is_err());
    let after = std::fs::metadata(&outside).unwrap();
    assert_eq!((before.mode(), before.mtime()), (after.mode(), after.mtime()));
    root.set_mode("a/file", 0o4711).unwrap();
    root.set_times("a/file", Time { seconds: -5, nanos: 6 }).unwrap();
    root.set_xattr("a/file", b"user.x", b"1").unwrap();
    root.set_xattr("a/file", b"user.a", &[7; 3000]).unwrap();
    let stat = root.stat("a/file", Follow::No).unwrap().unwrap();
    assert_eq!((stat.mode, stat.mtime), (0o4711, Time { seconds: -5, nanos: 6 }));
    assert_eq!(
        root.xattrs("a/file").unwrap(),
        [(b"user.a".to_vec(), vec![7; 3000]), (b"user.x".to_vec(), b"1".to_vec())]
    );
    root.remove_xattr("a/file", b"user.a").unwrap();
    assert_eq!(root.xattrs("a/file").unwrap().len(), 1);
    root.set_times(".", Time { seconds: 9, nanos: 0 }).unwrap();
    assert_eq!(root.stat("", Follow::No).unwrap().unwrap().mtime.seconds, 9);
}

#[test]
fn a_tree_is_removed_without_following_links() {
    let (dir, root) = scene();
    let base = dir.path().join("root");
    symlink(dir.path(), base.join("a/b/out")).unwrap();
    std::fs::create_dir_all(base.join("a/x/y/z")).unwrap();
    std::fs::set_permissions(base.join("a/x"), std::fs::Permissions::from_mode(0o000)).unwrap();
    root.remove_tree("a").unwrap();
    assert!(!base.join("a").exists());
    assert!(dir.path().join("outside").exists());
    root.remove_tree("a").unwrap();
    let mut deep = PathBuf::new();
    for _ in 0..300 {
        deep.push("d");
    }
    root.create_dir_all(&deep, 0o755).unwrap();
    root.remove_tree("d").unwrap();
    assert!(root.entries("").unwrap().is_empty());
}

#[test]
fn a_race_of_renames_never_leads_outside() {
    let (dir, root) = scene();
    let base = dir.path().join("root");
    std::fs::create_dir_all(base.join("swap/in")).unwrap();
    std::fs::create_dir_all(dir.path().join("away/in")).unwrap();
    std::fs::write(dir.path().join("away/outside"), "secret").unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                // The inner directory moves out of the root and back while it is walked through.
                let _ = std::fs::rename(base.join("swap/in"), dir.path().join("moved"));
                let _ = std::fs::rename(dir.path().join("moved"), base.join("swap/in"));
            }
        });
        for _ in 0..3000 {
            let found = root.read("swap/in/../../../outside", 100);
            assert!(found.is_err(), "reached {found:?}");
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_file_is_replaced_whole_or_not_at_all() {
    let (_dir, root) = scene();
    write_atomic(&root, "name", b"one", true).unwrap();
    write_atomic(&root, "name", b"two", false).unwrap();
    assert_eq!(root.read("name", 3).unwrap(), b"two");
    assert_eq!(root.read("name", 2).unwrap_err().kind(), std::io::ErrorKind::FileTooLarge);
    assert_eq!(root.entries("").unwrap().len(), 2, "no temporary file stays");
    assert!(write_atomic(&root, "a", b"x", false).is_err(), "a directory is in the way");
    assert_eq!(root.entries("").unwrap().len(), 2);
}
