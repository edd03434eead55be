//! Caches that machines share: two stores that have nothing in common but a folder.

mod support;

use support::TestEnv;

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
