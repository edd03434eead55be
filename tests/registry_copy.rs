//! `copy` between Debian's registry, layouts, archives and the store; read by podman's tools too.

mod support;

use std::process::{Command, Stdio};

use support::TestEnv;
use support::proxy::Proxy;
use support::registry::DebianRegistry;

/// Builds a small image for two platforms in the store.
fn env() -> TestEnv {
    let env = TestEnv::new();
    env.write("image/Dockerfile", "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /arch\n");
    env.write("image/amd64", "amd64".repeat(1000));
    env.write("image/arm64", "arm64".repeat(1000));
    env.ok(&["build", "-q", "--platform", "linux/amd64,linux/arm64", "-t", "many:1", "image"]);
    env
}

fn copied(env: &TestEnv, from: &str, to: &str, more: &[&str]) -> String {
    env.ok(&[&["copy", "-q"], more, &[from, to]].concat()).trim().to_owned()
}

fn skopeo(args: &[&str]) -> String {
    let ran =
        Command::new("skopeo").args(args).output().expect("skopeo is installed (scripts/packages test)");
    assert!(ran.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

#[test]
fn digests_stay_the_same_from_place_to_place() {
    let (registry, env) = (DebianRegistry::start(), env());
    let host = &registry.address;
    let first = copied(&env, "store:many:1", &format!("docker://{host}/many:1"), &[]);
    let here = |name: &str| env.work().join(name).display().to_string();
    let steps = [
        (format!("docker://{host}/many:1"), format!("docker://{host}/team/other:2")),
        (format!("docker://{host}/team/other:2"), format!("oci:{}:x", here("layout"))),
        (format!("oci:{}:x", here("layout")), format!("oci-archive:{}:x", here("a.tar"))),
        (format!("oci-archive:{}:x", here("a.tar")), format!("docker://{host}/third:3")),
        (format!("docker://{host}/third:3"), format!("docker-archive:{}:me/app:4", here("d.tar"))),
        (format!("docker-archive:{}:me/app:4", here("d.tar")), "store:back:5".to_owned()),
        ("store:back:5".to_owned(), format!("docker://{host}/fourth:6")),
    ];
    for (from, to) in &steps {
        assert_eq!(copied(&env, from, to, &[]), first, "{from} -> {to}");
    }
    // Other tools read what was written.
    let raw = skopeo(&["inspect", "--raw", "--tls-verify=false", &format!("docker://{host}/third:3")]);
    assert_eq!(raw.matches("\"platform\"").count(), 2, "{raw}");
    for place in [format!("oci:{}:x", here("layout")), format!("oci-archive:{}:x", here("a.tar"))] {
        assert!(skopeo(&["inspect", "--override-arch", "amd64", &place]).contains("\"amd64\""), "{place}");
    }
    assert!(skopeo(&["inspect", &format!("docker-archive:{}", here("d.tar"))]).contains("amd64"));
    let other = TestEnv::new();
    other.ok(&["load", "-q", "-i", &here("d.tar")]);
    assert_eq!(other.ok(&["images", "--format", "{{.Repository}}:{{.Tag}}"]), "me/app:4\n");
}

#[test]
fn one_platform_is_copied_when_asked_for() {
    let (registry, env) = (DebianRegistry::start(), env());
    let place = format!("docker://{}/many:1", registry.address);
    copied(&env, "store:many:1", &place, &[]);
    let other = TestEnv::new();
    let layout = format!("oci:{}:x", other.work().join("l").display());
    let digest = copied(&other, &place, &layout, &["--platform", "linux/arm64"]);
    let shown = skopeo(&["inspect", "--raw", &layout]);
    assert!(shown.contains("\"layers\"") && !shown.contains("\"manifests\""), "{shown}");
    assert_eq!(copied(&other, &layout, "store:arm:1", &[]), digest);
    assert_eq!(other.ok(&["inspect", "--format", "{{.Architecture}}", "arm:1"]), "arm64\n");
    let none = other.run(&["copy", "--platform", "linux/s390x", &place, &layout]).fails_with(1);
    assert!(none.stderr.contains("no matching manifest for linux/s390x"), "{none:?}");
}

#[test]
fn what_is_there_does_not_move_and_a_killed_copy_goes_on() {
    let (registry, env) = (DebianRegistry::start(), TestEnv::new());
    let proxy = Proxy::before(&registry.address);
    let noise: Vec<u8> =
        (0..6u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8 ^ (n >> 9) as u8).collect();
    env.write("image/f", noise);
    env.write("image/Dockerfile", "FROM scratch\nCOPY f /f\n");
    env.ok(&["build", "-q", "-t", "app:1", "image"]);
    let place = format!("docker://{}/app:1", proxy.address);
    copied(&env, "store:app:1", &place, &[]);
    let size = proxy.up();
    assert!(size > 1 << 20, "{size}");
    let layout = format!("oci:{}", env.work().join("l").display());
    proxy.slow(2 << 20);
    let before = proxy.down();
    let mut child = env.skiff(&["copy", "-q", &place, &layout]).stdout(Stdio::null()).spawn().unwrap();
    support::wait_until("some of it came", std::time::Duration::from_secs(30), || {
        proxy.down() - before > size / 2
    });
    child.kill().unwrap();
    child.wait().unwrap();
    proxy.slow(0);
    copied(&env, &place, &layout, &[]);
    assert!(proxy.down() - before < size + size / 4, "{} of {size}", proxy.down() - before);
    let before = (proxy.up(), proxy.down());
    copied(&env, &place, &layout, &[]);
    copied(&env, &place, &format!("docker://{}/other:1", proxy.address), &[]);
    assert!(proxy.up() - before.0 < 60_000 && proxy.down() - before.1 < 60_000, "mounted, or there already");
}

#[test]
fn archives_of_other_tools_are_read() {
    let env = env();
    let here = |name: &str| env.work().join(name).display().to_string();
    copied(&env, "store:many:1", &format!("oci:{}:x", here("l")), &["--platform", "linux/amd64"]);
    let old = format!("docker-archive:{}", here("old.tar"));
    skopeo(&["copy", "-q", &format!("oci:{}:x", here("l")), &format!("{old}:me/old:1")]);
    copied(&env, &old, "store:old:1", &[]);
    let id = |name: &str| env.ok(&["inspect", "--format", "{{json .RootFS.Layers}}", name]);
    copied(&env, &format!("oci:{}:x", here("l")), "store:new:1", &[]);
    assert_eq!(id("old:1"), id("new:1"));
    let wrong = env.run(&["copy", &format!("{old}:you/old:1"), "store:x"]).fails_with(1);
    assert!(wrong.stderr.contains("there is no image docker.io/you/old:1"), "{wrong:?}");
}

#[test]
fn wrong_bytes_and_wrong_places_are_refused() {
    let env = env();
    let layout = format!("oci:{}", env.work().join("l").display());
    copied(&env, "store:many:1", &layout, &["--platform", "linux/amd64"]);
    let blobs = env.work().join("l/blobs/sha256");
    let largest = blobs.read_dir().unwrap().flatten().max_by_key(|e| e.metadata().unwrap().len()).unwrap();
    let mut bytes = std::fs::read(largest.path()).unwrap();
    bytes[600] ^= 1;
    std::fs::write(largest.path(), bytes).unwrap();
    let empty = TestEnv::new();
    for to in [format!("oci:{}", empty.work().join("o").display()), "store:x:1".to_owned()] {
        let ran = empty.run(&["copy", &layout, &to]).fails_with(1);
        assert!(ran.stderr.contains("digest"), "{ran:?}");
    }
    assert!(!empty.work().join("o/index.json").exists(), "nothing is named");
    assert_eq!(empty.ok(&["images", "-q"]), "");
    let archive = empty.work().join("o.tar");
    empty.run(&["copy", &layout, &format!("oci-archive:{}", archive.display())]).fails_with(1);
    assert!(!archive.exists(), "half an archive gets no name");
    for (from, to, said) in [
        ("debian", "store:x", "expected KIND:NAME"),
        ("dir:x", "store:x", "unknown kind of place"),
        ("docker:x", "store:x", "begins with docker://"),
        ("store:none", "oci:y", "No such image: none:latest"),
    ] {
        let ran = empty.run(&["copy", from, to]).fails_with(1);
        assert!(ran.stderr.contains(said), "{ran:?}");
    }
}
