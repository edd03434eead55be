use std::fs::{self, File};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::context::proc_path;
use super::overlay::{Passing, overlay_by};
use super::*;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn mount_table() -> String {
    fs::read_to_string("/proc/self/mountinfo").expect("proc is mounted")
}

/// The root of a mount, as a path that this process can use.
fn path(mount: &OwnedFd) -> PathBuf {
    PathBuf::from(proc_path(mount))
}

struct Tree {
    home: tempfile::TempDir,
}

impl Tree {
    fn new() -> Tree {
        Tree { home: tempfile::tempdir().expect("a temporary directory") }
    }

    fn dir(&self, name: &str) -> File {
        let path = self.home.path().join(name);
        fs::create_dir_all(&path).expect("created");
        File::open(path).expect("opened")
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.home.path().join(path);
        fs::create_dir_all(path.parent().expect("below home")).expect("created");
        fs::write(path, text).expect("written");
    }

    fn has(&self, path: &str) -> bool {
        self.home.path().join(path).symlink_metadata().is_ok()
    }
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn overlay_works(userxattr: bool, style: Passing) {
    let tree = Tree::new();
    tree.write("one/a", "one");
    tree.write("one/d/old", "old");
    tree.write("two/a", "two");
    tree.write("two/b", "two");
    let before = mount_table();
    let lowers = [tree.dir("one"), tree.dir("two")];
    let lowers = [lowers[0].as_fd(), lowers[1].as_fd()];
    let (upper, work) = (tree.dir("upper"), tree.dir("work"));
    let options = OverlayOptions {
        lowers: &lowers,
        upper: Some((upper.as_fd(), work.as_fd())),
        volatile: true,
        userxattr,
    };
    let mount = overlay_by(&options, style).expect("mounted");
    let root = path(&mount);
    assert_eq!(
        fs::read_to_string(root.join("a")).expect("read"),
        "one",
        "{style:?}: the first lower is the top"
    );
    assert_eq!(names(&root), ["a", "b", "d"]);
    fs::remove_file(root.join("b")).expect("removed");
    fs::remove_dir_all(root.join("d")).expect("removed");
    fs::create_dir(root.join("d")).expect("created");
    fs::write(root.join("new"), "new").expect("written");
    fs::rename(root.join("new"), root.join("d/newer")).expect("renamed");
    assert_eq!(names(&root.join("d")), ["newer"]);
    assert_eq!(mount_table(), before, "nothing is attached");
    drop(mount);
    let whiteout = fs::symlink_metadata(tree.home.path().join("upper/b")).expect("a whiteout");
    assert!(whiteout.file_type().is_char_device() && whiteout.rdev() == 0);
    let mark = if userxattr { "user.overlay.opaque" } else { "trusted.overlay.opaque" };
    let mut value = [0; 8];
    let length =
        rustix::fs::getxattr(tree.home.path().join("upper/d"), mark, &mut value).expect("an opaque mark");
    assert_eq!(&value[..length], b"y");
    assert!(tree.has("upper/d/newer") && !tree.has("upper/a"));
}

#[test]
fn overlay_takes_directories_each_way() {
    if !is_root() {
        return eprint_skip("mounting needs root");
    }
    for style in [Passing::Descriptor, Passing::Path, Passing::Joined] {
        overlay_works(false, style);
        overlay_works(true, style);
    }
}

#[expect(clippy::print_stderr, reason = "a skipped test says why")]
fn eprint_skip(why: &str) {
    eprintln!("skipped: {why}");
}

fn view_works(userxattr: bool) {
    let tree = Tree::new();
    let empty = read_only_view(&[], userxattr).expect("mounted");
    assert!(names(&path(&empty)).is_empty());
    assert_eq!(fs::metadata(path(&empty)).expect("stat").permissions().mode() & 0o7777, 0o755);
    tree.write("0/f", "0");
    let dirs: Vec<File> = (0..40)
        .map(|number| {
            tree.write(&format!("{number}/f"), &number.to_string());
            tree.write(&format!("{number}/own{number}"), "");
            tree.dir(&number.to_string())
        })
        .collect();
    for count in [1, 2, 40] {
        let lowers: Vec<BorrowedFd<'_>> = dirs[..count].iter().map(AsFd::as_fd).collect();
        let view = read_only_view(&lowers, userxattr).expect("mounted");
        let root = path(&view);
        assert_eq!(fs::read_to_string(root.join("f")).expect("read"), "0");
        assert_eq!(names(&root).len(), count + 1);
        for root in [&root, &path(&empty)] {
            let error = fs::write(root.join("x"), "x").expect_err("read-only");
            assert_eq!(error.raw_os_error(), Some(libc::EROFS));
        }
    }
}

#[test]
fn a_view_shows_any_number_of_layers() {
    if !is_root() {
        return eprint_skip("mounting needs root");
    }
    let before = mount_table();
    view_works(false);
    assert_eq!(mount_table(), before);
    // A whiteout in the only layer hides nothing, and is not shown as a device either.
    let tree = Tree::new();
    tree.write("only/f", "f");
    let whiteout = tree.home.path().join("only/gone");
    rustix::fs::mknodat(rustix::fs::CWD, &whiteout, rustix::fs::FileType::CharacterDevice, 0o600.into(), 0)
        .expect("made");
    let view = read_only_view(&[tree.dir("only").as_fd()], false).expect("mounted");
    assert_eq!(names(&path(&view)), ["f"]);
}

#[test]
fn too_many_layers_are_refused() {
    let tree = Tree::new();
    let dir = tree.dir("d");
    let lowers = vec![dir.as_fd(); MAX_LAYERS + 1];
    let error =
        overlay(&OverlayOptions { lowers: &lowers, ..OverlayOptions::default() }).expect_err("refused");
    assert_eq!(
        error.to_string(),
        "cannot stack 501 layers: this kernel takes 500 at most; squash some of them"
    );
}

#[test]
fn the_most_layers_are_stacked() {
    if !is_root() {
        return eprint_skip("mounting needs root");
    }
    let tree = Tree::new();
    let mut limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current = limit.maximum;
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).expect("raised");
    let dirs: Vec<File> = (0..MAX_LAYERS)
        .map(|number| {
            tree.write(&format!("{number}/own{number}"), "");
            tree.dir(&number.to_string())
        })
        .collect();
    let lowers: Vec<BorrowedFd<'_>> = dirs.iter().map(AsFd::as_fd).collect();
    let view = read_only_view(&lowers, false).expect("mounted");
    assert_eq!(names(&path(&view)).len(), MAX_LAYERS);
    let options = OverlayOptions { lowers: &lowers, ..OverlayOptions::default() };
    match overlay_by(&options, Passing::Joined) {
        Err(MountError::TooManyLayers { count: MAX_LAYERS, limit }) => {
            assert!((50..130).contains(&limit), "{limit}")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn errors_say_what_the_kernel_says() {
    if !is_root() {
        return eprint_skip("mounting needs root");
    }
    let tree = Tree::new();
    tree.write("image", &"no image".repeat(1000));
    let image = File::open(tree.home.path().join("image")).expect("opened");
    let error = erofs(image.as_fd(), &[]).expect_err("no image");
    assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    assert!(error.explain().starts_with("cannot mount erofs"), "{}", error.explain());
    let dir = tree.dir("d");
    let (upper, work) = (tree.dir("u"), tree.dir("w"));
    let lowers = [dir.as_fd()];
    let options = OverlayOptions { lowers: &lowers, ..OverlayOptions::default() };
    let error = overlay(&options).expect_err("one lower is not enough");
    assert_eq!(error.to_string(), "an overlay needs an upper directory or two lower ones, not 1 lower one");
    let error = Context::open("tmpfs").expect("opened").string("mode", "zz").expect_err("no mode");
    assert!(error.to_string().contains("Bad value for 'mode'"), "{error}");
    let upper = Some((upper.as_fd(), dir.as_fd()));
    let error =
        overlay(&OverlayOptions { upper, ..options }).expect_err("the work directory is the lower one");
    assert!(error.to_string().starts_with("cannot mount overlay"), "{error}");
    drop(work);
}

#[test]
fn attributes_and_attaching() {
    if !is_root() {
        return eprint_skip("mounting needs root");
    }
    // In a mount namespace of this thread alone.
    // SAFETY: the thread gives up sharing its mount table and working directory, not its descriptors.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS) }.expect("unshared");
    let tree = Tree::new();
    let whole = File::open("/").expect("opened");
    make_private(&whole, true).expect("private");
    let target = tree.dir("target");
    let mount = tmpfs(Some(1 << 20), 0o1777).expect("mounted");
    fs::write(path(&mount).join("f"), "f").expect("written");
    let attributes = Attributes { read_only: true, nosuid: true, nodev: true, noexec: true };
    set_attributes(&mount, attributes, false).expect("set");
    move_to(&mount, &target).expect("attached");
    let table = fs::read_to_string("/proc/thread-self/mountinfo").expect("proc is mounted");
    let place = tree.home.path().join("target");
    let line = table.lines().find(|line| line.contains(&*place.to_string_lossy())).expect("in the table");
    for word in ["ro,nosuid,nodev,noexec", "size=1024k", "tmpfs"] {
        assert!(line.contains(word), "{line}");
    }
    let clone = clone_tree(File::open(&place).expect("opened").as_fd(), true).expect("cloned");
    assert_eq!(names(&path(&clone)), ["f"]);
    // The mount goes with the thread's namespace.
}

#[test]
fn probing_tells_what_works_and_leaves_nothing() {
    if !is_root() {
        return eprint_skip("mounting needs root");
    }
    let (tree, before) = (Tree::new(), mount_table());
    let support = probe(tree.dir("store"));
    assert_eq!(support.overlay, Ok(()));
    assert!(!support.userxattr);
    assert_eq!(names(&tree.home.path().join("store")), Vec::<String>::new());
    assert_eq!(mount_table(), before);
    let debris = format!("store/.probe-{}-", std::process::id());
    (0..20).for_each(|number| tree.write(&format!("{debris}{number}/upper/f"), ""));
    assert_eq!(probe(tree.dir("store")).overlay, Ok(()), "a killed process left its directories");
    // An upper directory can stand neither on another overlay nor on proc.
    let support = probe(File::open("/proc").expect("proc"));
    assert!(support.overlay.is_err() && support.erofs.is_err(), "{support:?}");
    let lowers = [tree.dir("a"), tree.dir("b")];
    let lowers = [lowers[0].as_fd(), lowers[1].as_fd()];
    let upper = (tree.dir("upper"), tree.dir("work"));
    let options = OverlayOptions {
        lowers: &lowers,
        upper: Some((upper.0.as_fd(), upper.1.as_fd())),
        volatile: true,
        userxattr: false,
    };
    let nested = overlay(&options).expect("mounted");
    let support = probe(File::open(path(&nested)).expect("opened"));
    assert!(support.overlay.is_err(), "{support:?}");
}

const INSIDE: &str = "SKIFF_TEST_INSIDE_USER_NAMESPACE";

#[test]
fn inside_a_user_namespace() {
    if std::env::var_os(INSIDE).is_some() {
        let before = mount_table();
        overlay_works(true, Passing::Descriptor);
        overlay_works(true, Passing::Path);
        overlay_works(true, Passing::Joined);
        view_works(true);
        let tree = Tree::new();
        let support = probe(tree.dir("store"));
        assert_eq!(support.overlay, Ok(()));
        assert!(support.userxattr);
        let reason = support.erofs.expect_err("erofs is for the initial user namespace");
        assert!(reason.contains("only the initial user namespace may mount it"), "{reason}");
        assert_eq!(names(&tree.home.path().join("store")), Vec::<String>::new());
        assert_eq!(mount_table(), before);
        return;
    }
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount"])
        .arg(std::env::current_exe().expect("this test"))
        .args(["--exact", "--nocapture", "fs::mount::tests::inside_a_user_namespace"])
        .env(INSIDE, "1")
        .output();
    match output {
        Err(error) => eprint_skip(&format!("cannot run unshare: {error}")),
        Ok(output) if String::from_utf8_lossy(&output.stderr).contains("unshare failed") => {
            eprint_skip("user namespaces are not allowed here");
        }
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(
                output.status.success() && text.contains("1 passed"),
                "{text}{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
}
