//! Pull and push against Debian's registry: what they print, what they move, and what they do not move again.

#![allow(clippy::print_stderr, reason = "seeds, kills and skipped tests are told")]

mod support;

use std::collections::HashSet;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use support::proxy::Proxy;
use support::registry::{DebianRegistry, RegistryOptions};
use support::serve::Serve;
use support::{TestEnv, is_root};

const MB: u64 = 1 << 20;
/// More than the headers and documents of a pull or push, less than any layer here.
const SMALL: u64 = 100 << 10;

/// Bytes that no compression makes smaller, others for each seed.
fn noise(seed: u64, length: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..length / 8).flat_map(|_| next()).collect()
}

/// Builds an image with a layer for each seed on busybox.
fn build(env: &TestEnv, name: &str, seeds: &[u64], size: u64) {
    let mut text = "FROM busybox\n".to_owned();
    for seed in seeds {
        env.write(&format!("image/f{seed}"), noise(*seed, size));
        text.push_str(&format!("COPY f{seed} /f{seed}\n"));
    }
    env.write("image/Dockerfile", text);
    env.ok(&["build", "-q", "-t", name, "image"]);
    std::fs::remove_dir_all(env.work().join("image")).unwrap();
}

fn builder() -> TestEnv {
    TestEnv::new().with_busybox()
}

fn manifest(registry: &DebianRegistry, name: &str) -> serde_json::Value {
    let url = format!("docker://{}/{name}", registry.address);
    let shown = std::process::Command::new("skopeo")
        .args(["inspect", "--raw", "--tls-verify=false", &url])
        .output()
        .expect("skopeo is installed (scripts/packages test)");
    serde_json::from_slice(&shown.stdout).unwrap_or_else(|e| panic!("{e}: {shown:?}"))
}

#[test]
fn pull_and_push_print_what_docker_prints() {
    let (registry, env) = (DebianRegistry::start(), builder());
    let host = &registry.address;
    build(&env, &format!("{host}/app:1"), &[1], MB);
    let pushed = env.ok(&["push", &format!("{host}/app:1")]);
    let lines: Vec<&str> = pushed.lines().collect();
    assert_eq!(lines[0], format!("The push refers to repository [{host}/app]"));
    assert_eq!(pushed.matches(": Preparing\n").count(), 2);
    assert_eq!(pushed.matches(": Pushed\n").count(), 2);
    let last = lines.last().unwrap();
    assert!(last.starts_with("1: digest: sha256:") && last.contains(" size: "), "{last}");
    let digest = last.split_whitespace().nth(2).unwrap().to_owned();
    let again = env.ok(&["push", &format!("{host}/app:1")]);
    assert_eq!(again.matches(": Layer already exists\n").count(), 2, "{again}");
    assert_eq!(again.lines().last(), Some(*last));

    env.ok(&["tag", &format!("{host}/app:1"), &format!("{host}/app:2")]);
    assert_eq!(
        env.ok(&["push", "-a", "-q", &format!("{host}/app")]),
        format!("{host}/app\n"),
        "docker names the repository once"
    );
    assert_eq!(env.ok(&["push", "-q", &format!("{host}/app:1")]), format!("{host}/app:1\n"));
    let none = env.run(&["push", &format!("{host}/none")]).fails_with(1);
    assert!(
        none.stderr.contains(&format!("An image does not exist locally with the tag: {host}/none")),
        "{none:?}"
    );

    let other = TestEnv::new();
    let pulled = other.ok(&["pull", &format!("{host}/app:1")]);
    let lines: Vec<&str> = pulled.lines().collect();
    assert_eq!(lines[0], "1: Pulling from app");
    assert_eq!(pulled.matches(": Pull complete\n").count(), 2, "{pulled}");
    assert_eq!(pulled.matches(": Download complete\n").count(), 2, "{pulled}");
    assert_eq!(lines[lines.len() - 3], format!("Digest: {digest}"));
    assert_eq!(lines[lines.len() - 2], format!("Status: Downloaded newer image for {host}/app:1"));
    assert_eq!(lines[lines.len() - 1], format!("{host}/app:1"));
    let again = other.ok(&["pull", &format!("{host}/app:1")]);
    assert!(again.contains(&format!("Status: Image is up to date for {host}/app:1\n")), "{again}");

    let by_digest = TestEnv::new();
    assert_eq!(
        by_digest.ok(&["pull", "-q", &format!("{host}/app@{digest}")]),
        format!("{host}/app@{digest}\n")
    );
    let told = by_digest.ok(&["pull", &format!("{host}/app@{digest}")]);
    assert!(told.starts_with(&format!("{host}/app@{digest}: Pulling from app\n")), "{told}");
    let shown = by_digest.ok(&["images", "--digests", "--format", "{{.Tag}} {{.Digest}}"]);
    assert_eq!(shown, format!("<none> {digest}\n"));
    let all = TestEnv::new();
    assert_eq!(all.ok(&["pull", "-a", "-q", &format!("{host}/app")]), format!("{host}/app\n"));
    assert_eq!(all.ok(&["images", "--format", "{{.Tag}}"]).lines().count(), 2);
    let both = all.run(&["pull", "-a", &format!("{host}/app:1")]).fails_with(1);
    assert!(both.stderr.contains("tag can't be used with --all-tags/-a"), "{both:?}");
    let gone = all.run(&["pull", &format!("{host}/app:9")]).fails_with(1);
    assert!(
        gone.stderr.contains(&format!("manifest for {host}/app:9 not found: manifest unknown")),
        "{gone:?}"
    );
}

#[test]
fn what_did_not_change_waits_for_no_disk() {
    let (registry, env) = (DebianRegistry::start(), builder());
    let name = format!("{}/app:1", registry.address);
    build(&env, &name, &[5], MB);
    env.ok(&["push", "-q", &name]);
    env.ok(&["pull", "-q", &name]);
    for verb in ["push", "pull"] {
        let calls = env.work().join("calls");
        let ran = std::process::Command::new("strace")
            .args([
                "-f",
                "-qq",
                "-e",
                "trace=fsync,fdatasync,sync_file_range,syncfs",
                "-e",
                "signal=none",
                "-o",
            ])
            .arg(&calls)
            .arg(env!("CARGO_BIN_EXE_skiff"))
            .args([verb, "-q", &name])
            .env("SKIFF_ROOT", env.store())
            .output()
            .expect("strace is installed (scripts/packages test)");
        if !ran.status.success() && String::from_utf8_lossy(&ran.stderr).contains("PTRACE") {
            eprintln!("skipped: processes can't be traced here");
            return;
        }
        assert!(ran.status.success(), "{ran:?}");
        let calls = std::fs::read_to_string(calls).unwrap();
        assert!(!calls.contains("sync"), "an unchanged {verb} syncs: {calls}");
    }
}

#[test]
fn a_platform_of_an_index_is_pulled_when_asked_for() {
    let (registry, env) = (DebianRegistry::start(), TestEnv::new());
    let name = format!("{}/many:1", registry.address);
    env.write("image/Dockerfile", "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /arch\n");
    env.write("image/amd64", "amd64");
    env.write("image/arm64", "arm64");
    env.ok(&["build", "-q", "--platform", "linux/amd64,linux/arm64", "-t", &name, "image"]);
    env.ok(&["push", "-q", &name]);
    let other = TestEnv::new();
    other.ok(&["pull", "-q", "--platform", "linux/arm64", &name]);
    let shown =
        other.ok(&["image", "inspect", "--platform", "linux/arm64", "--format", "{{.Architecture}}", &name]);
    assert_eq!(shown, "arm64\n");
    let none = other.run(&["pull", "--platform", "linux/s390x", &name]).fails_with(1);
    let text = "no matching manifest for linux/s390x in the manifest list entries";
    assert!(none.stderr.contains(text), "{none:?}");
}

#[test]
fn what_is_there_moves_no_byte() {
    let (registry, env) = (DebianRegistry::start(), builder());
    let proxy = Proxy::before(&registry.address);
    let name = format!("{}/app:1", proxy.address);
    build(&env, &name, &[11, 12], 2 * MB);
    env.ok(&["push", "-q", &name]);
    assert!(proxy.up() > 4 * MB);
    let before = (proxy.up(), proxy.down());
    env.ok(&["push", "-q", &name]);
    assert!(proxy.up() - before.0 < SMALL && proxy.down() - before.1 < SMALL, "an unchanged push asks only");

    // To another repository of the registry, nothing is sent either.
    let beside = format!("{}/team/other:1", proxy.address);
    env.ok(&["tag", &name, &beside]);
    let before = proxy.up();
    let pushed = env.ok(&["push", &beside]);
    assert_eq!(pushed.matches(": Mounted from app\n").count(), 3, "{pushed}");
    assert!(proxy.up() - before < SMALL, "mounts send nothing");

    let other = TestEnv::new();
    other.ok(&["pull", "-q", &name]);
    let before = (proxy.up(), proxy.down());
    other.ok(&["pull", "-q", &name]);
    other.ok(&["pull", "-q", &beside]);
    assert!(proxy.up() - before.0 < SMALL && proxy.down() - before.1 < SMALL, "an unchanged pull asks only");

    // A layer more is the only one that moves.
    build(&env, &name, &[11, 12, 13], 2 * MB);
    let before = proxy.up();
    env.ok(&["push", "-q", &name]);
    assert!((2 * MB..3 * MB).contains(&(proxy.up() - before)), "{}", proxy.up() - before);
    let before = proxy.down();
    other.ok(&["pull", "-q", &name]);
    assert!((2 * MB..3 * MB).contains(&(proxy.down() - before)), "{}", proxy.down() - before);
}

/// Runs a command and kills it after a while, again and again until `half` bytes moved, then lets it end.
fn killed_until_done(env: &TestEnv, args: &[&str], proxy: &Proxy, half: u64, seed: u64) -> u32 {
    let start = proxy.up() + proxy.down();
    let mut state = seed;
    for kills in 0..40 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Later attempts get longer, so that a slow machine ends as well.
        let wait = Duration::from_millis(150 + (state >> 33) % 350 + u64::from(kills) * 40);
        let mut child = env.skiff(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let begun = Instant::now();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                let output = child.wait_with_output().unwrap();
                assert!(status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                return kills;
            }
            if begun.elapsed() >= wait && proxy.up() + proxy.down() - start < half {
                child.kill().unwrap();
                child.wait().unwrap();
                eprintln!("killed after {wait:?}: {} bytes up, {} down", proxy.up(), proxy.down());
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    panic!("it never ended");
}

fn seed() -> u64 {
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
    eprintln!("seed {seed}");
    seed
}

#[test]
fn a_killed_pull_goes_on_where_it_was() {
    let (registry, env) = (DebianRegistry::start(), builder());
    let proxy = Proxy::before(&registry.address);
    let name = format!("{}/app:1", proxy.address);
    build(&env, &name, &[21, 22, 23, 24], 8 * MB);
    env.ok(&["push", "-q", &name]);
    let other = TestEnv::new();
    proxy.slow(4 * MB);
    let before = proxy.down();
    let kills = killed_until_done(&other, &["pull", "-q", &name], &proxy, 20 * MB, seed());
    let moved = proxy.down() - before;
    assert!(kills >= 2, "only {kills} kills");
    // What was on its way through sockets when it was killed was not there yet.
    let whole = 33 * MB + u64::from(kills) * MB;
    assert!(moved <= whole, "{moved} bytes moved in {kills} kills, of {whole} that are right");
    assert_same(&env, &other, &name);
    // Killed between a layer's last step and the removal of its parts, one leaves them to the next prune.
    assert!(leftovers(&other) <= 1, "a whole pull leaves no parts");
    other.ok(&["system", "prune", "-f"]);
    assert_eq!(leftovers(&other), 0, "a prune takes the rest");
}

#[test]
fn a_killed_push_goes_on_where_it_was() {
    let env = builder();
    let registry = Serve::start(&env.work().join("registry"), &[]);
    let proxy = Proxy::before(&registry.address);
    let name = format!("{}/app:1", proxy.address);
    build(&env, &name, &[31, 32, 33, 34], 8 * MB);
    proxy.slow(4 * MB);
    let kills = killed_until_done(&env, &["push", "-q", &name], &proxy, 28 * MB, seed());
    let moved = proxy.up();
    assert!(kills >= 2, "only {kills} kills");
    // Without going on it were 28 MB and then all of it. What is in sockets when it is killed
    // may still arrive when the next one asks, and costs it a refused attempt.
    assert!(moved <= 46 * MB, "{moved} bytes moved in {kills} kills, of 33 MB that are right");
    let other = TestEnv::new();
    proxy.slow(0);
    other.ok(&["pull", "-q", &name]);
    assert_same(&env, &other, &name);
}

/// Debian's registry forgets an upload that broke off within a request; whole blobs it keeps.
#[test]
fn a_killed_push_sends_no_whole_blob_again() {
    let (registry, env) = (DebianRegistry::start(), builder());
    let proxy = Proxy::before(&registry.address);
    let name = format!("{}/app:1", proxy.address);
    build(&env, &name, &(301..313).collect::<Vec<_>>(), MB);
    proxy.slow(3 * MB);
    let kills = killed_until_done(&env, &["push", "-q", &name], &proxy, 8 * MB, seed());
    assert!(kills >= 1, "it was too fast to be killed");
    let log = registry.log();
    let finished: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("\"PUT /v2/app/blobs/uploads/") && line.contains("\" 201 "))
        .filter_map(|line| line.split("digest=").nth(1)?.get(..75))
        .collect();
    let distinct: HashSet<&str> = finished.iter().copied().collect();
    assert!(distinct.len() >= 13, "{finished:#?}\n{log}");
    assert_eq!(distinct.len(), finished.len(), "a blob was sent twice: {finished:#?}");
    let other = TestEnv::new();
    proxy.slow(0);
    other.ok(&["pull", "-q", &name]);
    assert_same(&env, &other, &name);
}

/// The files of both stores' images are the same.
fn assert_same(one: &TestEnv, other: &TestEnv, name: &str) {
    let layers = |env: &TestEnv| env.ok(&["inspect", "--format", "{{json .RootFS.Layers}}", name]);
    assert_eq!(layers(one), layers(other));
}

/// Parts of transfers that lie in a store.
fn leftovers(env: &TestEnv) -> usize {
    std::fs::read_dir(env.store().join("tmp")).map_or(0, |found| {
        found.flatten().filter(|e| e.file_name().to_string_lossy().contains("part")).count()
    })
}

#[test]
fn dropped_connections_are_taken_up() {
    let env = builder();
    let registry = Serve::start(&env.work().join("registry"), &[]);
    let debian = DebianRegistry::start();
    let ours = Proxy::before(&registry.address);
    let theirs = Proxy::before(&debian.address);
    build(&env, "app:1", &[41, 42], 8 * MB);
    // Debian's registry begins the blob anew that broke off, ours goes on in the middle of it.
    for (proxy, again) in [(&ours, MB), (&theirs, 8 * MB)] {
        let name = format!("{}/app:1", proxy.address);
        env.ok(&["tag", "app:1", &name]);
        // As fast as reading goes, so that little is on its way when a connection breaks.
        proxy.slow(16 * MB);
        proxy.cut_after(5 * MB);
        env.ok(&["push", "-q", &name]);
        assert_eq!(proxy.cuts(), 1);
        assert!(proxy.up() < 18 * MB + again, "{}", proxy.up());
        let other = TestEnv::new();
        proxy.cut_after(7 * MB);
        let before = proxy.down();
        other.ok(&["pull", "-q", &name]);
        assert_eq!(proxy.cuts(), 2);
        assert!(proxy.down() - before < 19 * MB, "{}", proxy.down() - before);
        assert_same(&env, &other, &name);
    }
}

#[test]
fn layers_may_be_zstd_or_gzip() {
    let (registry, env) = (DebianRegistry::start(), builder());
    for (kind, flag) in [("gzip", "gzip:6"), ("zstd", "zstd")] {
        let name = format!("{}/{kind}:1", registry.address);
        build(&env, &name, &[51], MB);
        env.ok(&["push", "-q", "--compression", flag, &name]);
        let manifest = manifest(&registry, &format!("{kind}:1"));
        for layer in manifest["layers"].as_array().unwrap() {
            assert!(layer["mediaType"].as_str().unwrap().ends_with(&format!("+{kind}")), "{manifest}");
        }
        let other = TestEnv::new();
        other.ok(&["pull", "-q", &name]);
        assert_same(&env, &other, &name);
        assert_eq!(other.ok(&["push", "-q", &name]), format!("{name}\n"));
        assert_eq!(
            self::manifest(&registry, &format!("{kind}:1")),
            manifest,
            "a pulled image is pushed as it was"
        );
    }
    let wrong = env.run(&["push", "--compression", "lz4", "x"]).fails_with(1);
    assert!(wrong.stderr.contains("invalid compression"), "{wrong:?}");
}

#[test]
fn run_and_build_pull_what_is_missing() {
    if !is_root() {
        eprintln!("skipped: run needs root here");
        return;
    }
    let (registry, env) = (DebianRegistry::start(), builder());
    let name = format!("{}/app:1", registry.address);
    build(&env, &name, &[61], MB);
    env.ok(&["push", "-q", &name]);
    let other = TestEnv::new();
    let ran = other.run(&["run", "--rm", "--network", "none", &name, "wc", "-c", "/f61"]).success();
    assert_eq!(ran.stdout, format!("{MB} /f61\n"));
    assert!(ran.stderr.contains(&format!("Unable to find image '{name}' locally\n")), "{}", ran.stderr);
    assert!(ran.stderr.contains(&format!("Status: Downloaded newer image for {name}\n")), "{}", ran.stderr);
    let other = TestEnv::new();
    other.write("c/Dockerfile", format!("FROM {name}\nRUN --network=none wc -c /f61 > /n\n"));
    other.ok(&["build", "-q", "-t", "built", "c"]);
    assert_eq!(other.ok(&["run", "--rm", "--network", "none", "built", "cat", "/n"]), format!("{MB} /f61\n"));
}

#[test]
fn a_pull_through_mirror_is_asked_first_and_asks_once() {
    let (origin, env) = (DebianRegistry::start(), builder());
    let upstream = Some(format!("http://{}", origin.address));
    let mirror = DebianRegistry::start_with(&RegistryOptions { upstream, ..RegistryOptions::default() });
    build(&env, &format!("{}/team/app:1", origin.address), &[71], MB);
    env.ok(&["push", "-q", &format!("{}/team/app:1", origin.address)]);
    let from_mirror = |env: &TestEnv| {
        let text = format!(r#"{{"registry-mirrors":["http://{}"]}}"#, mirror.address);
        env.write("../home/.config/skiff/config.json", text);
        env.ok(&["pull", "-q", "team/app:1"]);
    };
    let other = TestEnv::new();
    from_mirror(&other);
    assert_same_as(&env, &format!("{}/team/app:1", origin.address), &other, "team/app:1");
    let blobs = |log: String| log.lines().filter(|l| l.contains("GET") && l.contains("/blobs/")).count();
    let asked = blobs(origin.log());
    assert!(asked > 0, "the mirror fetched from its upstream");
    let third = TestEnv::new();
    from_mirror(&third);
    assert_eq!(blobs(origin.log()), asked, "the mirror had it all");
}

fn assert_same_as(one: &TestEnv, first: &str, other: &TestEnv, second: &str) {
    let layers =
        |env: &TestEnv, name: &str| env.ok(&["inspect", "--format", "{{json .RootFS.Layers}}", name]);
    assert_eq!(layers(one, first), layers(other, second));
}

#[test]
fn two_pulls_at_once_fetch_every_layer_once() {
    let (registry, env) = (DebianRegistry::start(), builder());
    let proxy = Proxy::before(&registry.address);
    let name = format!("{}/app:1", proxy.address);
    build(&env, &name, &[81, 82], 4 * MB);
    env.ok(&["push", "-q", &name]);
    let other = TestEnv::new();
    proxy.slow(8 * MB);
    let before = proxy.down();
    let start = || other.skiff(&["pull", "-q", &name]).stdout(Stdio::null()).spawn().unwrap();
    let (mut one, mut two) = (start(), start());
    assert!(one.wait().unwrap().success() && two.wait().unwrap().success());
    assert!(proxy.down() - before < 10 * MB, "{}", proxy.down() - before);
    assert!(Path::new(&other.store()).join("layers").read_dir().unwrap().count() >= 3);
}
