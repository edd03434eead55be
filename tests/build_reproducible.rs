//! `--reproducible`: the same digest at another time, in another place, by another user.

mod support;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use support::user::User;
use support::{TestEnv, repository};

/// What a build by someone gives: all that can differ is in the descriptor's digest.
fn digest(work: &Path, ok: &dyn Fn(&[&str]) -> String, context: &str) -> String {
    let file = work.join("metadata.json");
    let metadata = file.to_str().unwrap();
    ok(&["build", "-q", "--reproducible", "-t", "it", "--metadata-file", metadata, context]);
    let metadata: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    metadata["containerimage.digest"].as_str().unwrap().to_owned()
}

/// Copies a folder with times of now, as a fresh checkout has them.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    let copied = Command::new("cp").arg("-r").arg("--preserve=mode").arg(from).arg(to).status();
    assert!(copied.unwrap().success());
}

/// Gives a store the base images of another one, which imported them at a time of its own.
fn share(from: &TestEnv, names: &[&str]) -> String {
    let archive = from.work().join("bases.tar");
    let archive = archive.to_str().unwrap().to_owned();
    from.ok(&[&["save", "-o", &archive], names].concat());
    archive
}

/// Builds a folder twice as root, in two stores, and once as an ordinary user, some time apart.
fn check(folder: &Path, bases: &TestEnv, names: &[&str]) {
    let archive = share(bases, names);
    let mut digests = Vec::new();
    for place in ["here", "some/where/else"] {
        let env = TestEnv::new();
        env.ok(&["load", "-i", &archive]);
        let context = env.work().join(place);
        copy(folder, &context);
        digests.push(digest(&env.work(), &|args| env.ok(args), context.to_str().unwrap()));
        std::thread::sleep(Duration::from_millis(1100));
    }
    assert_eq!(digests[0], digests[1], "{}: another time, another place", folder.display());
    let Some(user) = User::new(true) else { return };
    let theirs = user.env.work().join("bases.tar");
    std::fs::copy(&archive, &theirs).unwrap();
    let context = user.env.work().join("theirs");
    copy(folder, &context);
    let owned = Command::new("chown").arg("-R").arg("54321:54321").arg(user.env.work()).status();
    assert!(owned.unwrap().success());
    user.ok(&["load", "-i", theirs.to_str().unwrap()]);
    let theirs = digest(&user.env.work(), &|args| user.ok(args), context.to_str().unwrap());
    assert_eq!(theirs, digests[0], "{}: another user", folder.display());
}

#[test]
fn times_owners_and_places_leave_no_trace() {
    if !support::is_root() {
        return;
    }
    let bases = TestEnv::new().with_busybox();
    bases.write("ctx/a/b", "content");
    bases.write(
        "ctx/Dockerfile",
        "FROM busybox\nWORKDIR /w\nCOPY --chown=7:8 a a\n\
         RUN --network=none mkdir -p d/e && touch d/e/f && chown 9:10 d/e && ln d/e/f g && ln -s g h && rm -r /home\n\
         RUN --network=none echo $SOURCE_DATE_EPOCH > epoch && mkdir -p /var/log && date > /var/log/dpkg.log\n",
    );
    check(&bases.work().join("ctx"), &bases, &["busybox"]);
}

#[test]
fn the_c_example_gives_the_same_image() {
    if !support::is_root() {
        return;
    }
    let bases = TestEnv::new().with_busybox().with_debian();
    check(&repository().join("examples/c"), &bases, &["busybox", "debian:bookworm"]);
}

#[test]
fn the_web_example_gives_the_same_image() {
    if !support::is_root() {
        return;
    }
    let bases = TestEnv::new().with_debian();
    check(&repository().join("examples/web"), &bases, &["debian:bookworm"]);
}

#[test]
fn the_epoch_of_the_environment_counts() {
    let env = TestEnv::new();
    env.write("Dockerfile", "FROM scratch\nCOPY f /\n");
    env.write("f", "x");
    let build = |epoch: &str| {
        let ran = env.run_with(
            &["build", "-q", "--reproducible", "-o", "type=tar,dest=out.tar", "."],
            &[("SOURCE_DATE_EPOCH", epoch)],
        );
        ran.success();
        let bytes = std::fs::read(env.work().join("out.tar")).unwrap();
        let mut tar = tar::Archive::new(&bytes[..]);
        let entry = tar.entries().unwrap().next().unwrap().unwrap();
        entry.header().mtime().unwrap()
    };
    assert_eq!((build("77"), build("")), (77, 0));
}
