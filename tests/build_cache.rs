//! Caches that machines share: two stores that have nothing in common but a folder.

mod support;

use std::process::Command;

use support::registry::{DebianRegistry, RegistryOptions};
use support::{TestEnv, is_root};

const DOCKERFILE: &str = "\
FROM busybox AS build
RUN echo built > /out; echo RAN-BUILD
RUN head -c 100000 /dev/urandom > /big; echo RAN-BIG
FROM busybox
COPY --from=build /out /out
COPY f /f
RUN cat /out /f > /all; head -c 16 /dev/urandom | od -An -tx1 > /id; echo RAN-FINAL
WORKDIR /w/x
";

fn machine() -> TestEnv {
    let machine = TestEnv::new().with_busybox();
    machine.write("Dockerfile", DOCKERFILE);
    machine.write("f", "hello\n");
    machine
}

fn build(machine: &TestEnv, extra: &[&str]) -> String {
    let work = machine.work();
    let mut args = vec!["build", "-t", "x"];
    args.extend(extra);
    args.push(work.to_str().expect("a path of text"));
    machine.run(&args).success().stderr
}

/// What its output tells of the steps that ran.
fn ran(output: &str) -> Vec<&str> {
    output.lines().filter(|line| !line.contains("RUN")).filter_map(|line| line.split("RAN-").nth(1)).collect()
}

#[test]
fn another_machine_runs_no_step_and_fetches_only_the_image() {
    let (first, second) = (machine(), machine());
    let folder = first.work().join("../cache").display().to_string();
    let to = format!("type=local,dest={folder}");
    let from = format!("type=local,src={folder}");
    assert_eq!(ran(&build(&first, &["--cache-to", &to])), ["BUILD", "BIG", "FINAL"]);
    let output = build(&second, &["--cache-from", &from]);
    assert!(ran(&output).is_empty(), "{output}");
    let id = |machine: &TestEnv| machine.ok(&["run", "--rm", "--network", "none", "x", "cat", "/id", "/all"]);
    assert_eq!(id(&first), id(&second));
    // The layers of the first stage are in no cache of mode=min, and nobody missed them.
    let layers =
        |machine: &TestEnv| std::fs::read_dir(machine.store().join("layers")).expect("layers").count();
    assert_eq!(layers(&second) + 2, layers(&first));
}

#[test]
fn what_the_cache_has_lost_is_made_again() {
    let (first, second, third) = (machine(), machine(), machine());
    let folder = first.work().join("../cache");
    let to = format!("type=local,dest={}", folder.display());
    let from = format!("type=local,src={}", folder.display());
    build(&first, &["--cache-to", &to]);
    // Something of the first stage that the image did not have: its layers are not in the cache.
    second.write("Dockerfile", DOCKERFILE.replace("/out /out", "/out /big /"));
    let output = build(&second, &["--cache-from", &from]);
    assert_eq!(ran(&output), ["BUILD", "BIG", "FINAL"], "{output}");
    assert!(output.contains("has lost layers"), "{output}");
    // A cache whose blobs are damaged costs the steps, never the image.
    for blob in std::fs::read_dir(folder.join("blobs/sha256")).expect("blobs").flatten() {
        std::fs::write(blob.path(), b"damaged").expect("written");
    }
    let output = build(&third, &["--cache-from", &from]);
    assert_eq!(ran(&output), ["BUILD", "BIG", "FINAL"], "{output}");
    third.ok(&["run", "--rm", "--network", "none", "x", "cat", "/all"]);
}

#[test]
fn with_mode_max_a_later_stage_may_take_more() {
    let (first, second) = (machine(), machine());
    let folder = first.work().join("../cache").display().to_string();
    build(&first, &["--cache-to", &format!("type=local,dest={folder},mode=max,compression=gzip")]);
    second.write("Dockerfile", DOCKERFILE.replace("/out /out", "/out /big /"));
    let output = build(&second, &["--cache-from", &format!("type=local,src={folder}")]);
    assert_eq!(ran(&output), ["FINAL"], "{output}");
    second.ok(&["run", "--rm", "--network", "none", "x", "test", "-s", "/big"]);
}

#[test]
fn steps_of_a_build_that_failed_are_shared_too() {
    let (first, second) = (machine(), machine());
    let folder = first.work().join("../cache").display().to_string();
    let failing = "FROM busybox\nRUN echo RAN-ONE\nRUN false\n";
    for machine in [&first, &second] {
        machine.write("Dockerfile", failing);
    }
    let work = first.work();
    let to = format!("type=local,dest={folder}");
    let failed = first.run(&["build", "--cache-to", &to, work.to_str().expect("text")]).fails_with(1);
    assert_eq!(ran(&failed.stderr), ["ONE"]);
    let work = second.work();
    let from = format!("type=local,src={folder}");
    let failed = second.run(&["build", "--cache-from", &from, work.to_str().expect("text")]).fails_with(1);
    assert!(ran(&failed.stderr).is_empty(), "{}", failed.stderr);
}

#[test]
fn a_cache_that_cannot_be_written_fails_the_build_unless_told_otherwise() {
    let machine = machine();
    let work = machine.work();
    let work = work.to_str().expect("text");
    let file = machine.write("file", "no folder");
    let to = format!("type=local,dest={}/x", file.display());
    let failed = machine.run(&["build", "--cache-to", &to, work]).fails_with(1);
    assert!(failed.stderr.contains("/file: Not a directory"), "{}", failed.stderr);
    let none = machine.run(&["build", "--cache-from", "type=local,src=/nowhere", work]).success();
    assert!(none.stderr.contains("cache import from /nowhere is empty"), "{}", none.stderr);
    let bad = machine.run(&["build", "--cache-to", "type=gha", work]).fails_with(1);
    assert!(bad.stderr.contains("type=gha is not supported"), "{}", bad.stderr);
}

#[test]
fn a_registry_serves_a_step_with_one_request_and_sends_only_what_is_read() {
    let (first, second) = (machine(), machine());
    let registry = DebianRegistry::start();
    let cache = format!("{}/team/cache:main", registry.address);
    assert_eq!(ran(&build(&first, &["--cache-to", &cache])), ["BUILD", "BIG", "FINAL"]);
    let before = registry.log();
    let output = build(&second, &["--cache-from", &cache]);
    assert!(ran(&output).is_empty(), "{output}");
    let log = registry.log();
    let asked = |what: &str| log[before.len()..].lines().filter(|line| line.contains(what)).count();
    // Six steps and the content of what is copied from the first stage; the four layers of the image.
    assert_eq!(
        (asked("\"GET /v2/team/cache/manifests/main-"), asked("\"GET /v2/team/cache/blobs/")),
        (7, 4),
        "{log}"
    );
    // Written again, nothing is sent.
    let before = registry.log();
    build(&first, &["--cache-to", &cache]);
    let log = registry.log();
    assert!(!log[before.len()..].contains("\"PUT "), "{}", &log[before.len()..]);
    // A cache that can't be reached costs the steps, and a word.
    drop(registry);
    let third = machine();
    let output = build(&third, &["--cache-from", &cache]);
    assert_eq!(ran(&output), ["BUILD", "BIG", "FINAL"], "{output}");
    assert!(output.contains("is given up"), "{output}");
}

/// Two network namespaces on one bridge; gone when dropped.
struct Network {
    id: u32,
}

impl Network {
    fn new() -> Self {
        let network = Self { id: std::process::id() % 10_000 };
        let id = network.id;
        let ip = |line: String| {
            let done = Command::new("ip").args(line.split(' ')).output().expect("ip is installed");
            assert!(done.status.success(), "ip {line}: {}", String::from_utf8_lossy(&done.stderr));
        };
        ip(format!("link add skt{id} type bridge"));
        ip(format!("addr add 10.213.7.1/24 dev skt{id}"));
        ip(format!("link set skt{id} up"));
        for n in [2, 3] {
            ip(format!("netns add skt{id}-{n}"));
            ip(format!("link add skt{id}h{n} type veth peer name eth0 netns skt{id}-{n}"));
            ip(format!("link set skt{id}h{n} master skt{id} up"));
            ip(format!("-n skt{id}-{n} addr add 10.213.7.{n}/24 dev eth0"));
            ip(format!("-n skt{id}-{n} link set eth0 up"));
        }
        network
    }

    fn namespace(&self, n: u32) -> String {
        format!("skt{}-{n}", self.id)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for n in [2, 3] {
            let _ = Command::new("ip").args(["netns", "del", &self.namespace(n)]).status();
        }
        let _ = Command::new("ip").args(["link", "del", &format!("skt{}", self.id)]).status();
    }
}

#[test]
#[allow(clippy::print_stderr, reason = "a skipped test says why")]
fn builders_in_two_networks_share_every_step_through_one_registry() {
    if !is_root() {
        eprintln!("skipped: network namespaces need root");
        return;
    }
    let network = Network::new();
    let registry = DebianRegistry::start_with(&RegistryOptions {
        host: "10.213.7.1".to_owned(),
        ..RegistryOptions::default()
    });
    let cache = format!("type=registry,ref={}/shared/cache,registry.insecure=true", registry.address);
    let (first, second) = (machine(), machine());
    let build = |machine: &TestEnv, n: u32, flag: &str| {
        let skiff =
            machine.skiff(&["build", flag, &cache, "-t", "x", machine.work().to_str().expect("text")]);
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &network.namespace(n)])
            .arg(skiff.get_program())
            .args(skiff.get_args());
        command.env_clear();
        for (name, value) in skiff.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        let done = command.output().expect("ip is installed");
        let output = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success(), "{output}");
        output
    };
    assert_eq!(ran(&build(&first, 2, "--cache-to")), ["BUILD", "BIG", "FINAL"]);
    let output = build(&second, 3, "--cache-from");
    assert!(ran(&output).is_empty(), "{output}");
}

#[test]
fn an_image_can_be_its_own_cache_and_buildkits_are_refused_by_name() {
    let (first, second, third) = (machine(), machine(), machine());
    let registry = DebianRegistry::start();
    let image = format!("{}/in/line:1", registry.address);
    let work = first.work();
    let work = work.to_str().expect("text");
    // Twice: the second build finds everything known, and its image says the same.
    for _ in 0..2 {
        first.ok(&["build", "--cache-to", "type=inline", "-t", &image, work]);
    }
    let archive = first.work().join("image.tar");
    first.ok(&["save", "-o", archive.to_str().expect("text"), &image]);
    let from = format!("docker-archive:{}", archive.display());
    let to = format!("docker://{image}");
    skopeo(&["copy", "-q", "--dest-tls-verify=false", &from, &to]);
    let output = build(&second, &["--cache-from", &image]);
    assert!(ran(&output).is_empty(), "{output}");

    // The same manifest with the config type of BuildKit's caches.
    let url = |tag: &str| format!("http://{}/v2/in/line/manifests/{tag}", registry.address);
    let curl = |args: &[&str]| {
        let done = Command::new("curl").arg("-sf").args(args).output().expect("curl is installed");
        assert!(done.status.success(), "curl {args:?}");
        String::from_utf8(done.stdout).expect("text")
    };
    let kind = "application/vnd.docker.distribution.manifest.v2+json";
    let manifest = curl(&["-H", &format!("Accept: {kind}"), &url("1")]);
    let foreign = manifest
        .replace("application/vnd.docker.container.image.v1+json", "application/vnd.buildkit.cacheconfig.v0");
    assert_ne!(manifest, foreign);
    let header = format!("Content-Type: {kind}");
    curl(&["-X", "PUT", "-H", &header, "--data-binary", &foreign, &url("bk")]);
    let output = build(&third, &["--cache-from", &format!("{}/in/line:bk", registry.address)]);
    assert_eq!(ran(&output), ["BUILD", "BIG", "FINAL"], "{output}");
    assert!(output.contains("is a cache of BuildKit"), "{output}");
}

fn skopeo(args: &[&str]) {
    let done = Command::new("skopeo").args(args).output().expect("skopeo is installed");
    assert!(done.status.success(), "skopeo {args:?}: {}", String::from_utf8_lossy(&done.stderr));
}
