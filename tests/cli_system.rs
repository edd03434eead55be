//! What takes place, what is in use, and what pruning takes away.

mod support;

use std::process::{Child, Stdio};
use std::time::Duration;

use support::{TestEnv, wait_until};

/// Starts a container that stays, and waits until it runs.
fn running(env: &TestEnv, args: &[&str]) -> Child {
    let all = [&["run", "--rm", "--network", "none"], args, &["busybox", "sh", "-c", "echo up; sleep 1000"]]
        .concat();
    let mut child = env.skiff(&all).stdout(Stdio::piped()).spawn().expect("the binary starts");
    let mut line = String::new();
    let mut out = std::io::BufReader::new(child.stdout.take().expect("it is piped"));
    std::io::BufRead::read_line(&mut out, &mut line).expect("the container speaks");
    assert_eq!(line, "up\n");
    child
}

fn table(env: &TestEnv) -> Vec<Vec<String>> {
    let text =
        env.ok(&["system", "df", "--format", "{{.Type}}|{{.TotalCount}}|{{.Active}}|{{.Reclaimable}}"]);
    text.lines().map(|line| line.split('|').map(str::to_owned).collect()).collect()
}

#[test]
fn a_running_container_keeps_its_image_and_an_ended_one_is_pruned() {
    let env = TestEnv::new().with_busybox();
    let mut child = running(&env, &["--name", "keeper", "-v", "data:/data"]);
    assert_eq!(table(&env)[0][1..3], ["1", "1"]);
    assert_eq!(table(&env)[1][1..3], ["1", "1"]);
    assert_eq!(table(&env)[2][1..3], ["1", "1"]);
    let verbose = env.ok(&["system", "df", "-v"]);
    for part in ["Containers space usage:", "\"sh -c 'echo up; sle…\"", "keeper", "VOLUME NAME", "data"] {
        assert!(verbose.contains(part), "{part}: {verbose}");
    }
    let id = env.ok(&["images", "-q"]).trim().to_owned();
    let named = env.run(&["rmi", "busybox"]).fails_with(1);
    let conflict = "conflict: unable to remove repository reference \"busybox\" (must force) - container ";
    assert!(named.stderr.contains(conflict), "{}", named.stderr);
    let by_id = env.run(&["rmi", "-f", &id]).fails_with(1);
    assert!(
        by_id.stderr.contains("(cannot be forced) - image is being used by running container"),
        "{}",
        by_id.stderr
    );
    assert_eq!(env.ok(&["image", "prune", "-af"]), "Total reclaimed space: 0B\n");

    env.ok(&["kill", "keeper"]);
    child.wait().expect("our own child");
    wait_until("the container's end", Duration::from_secs(30), || table(&env)[1][1..3] == ["0", "0"]);
    env.ok(&["run", "--network", "none", "busybox", "touch", "/mine"]);
    let planned = env.ok(&["system", "prune", "-f", "--dry-run"]);
    assert!(planned.starts_with("Deleted Containers:\n") && planned.contains("reclaimable"), "{planned}");
    assert_eq!(env.ok(&["ps", "-aq"]).lines().count(), 1, "nothing happened yet");
    let pruned = env.ok(&["system", "prune", "-af"]);
    assert!(
        pruned.contains("Deleted Containers:\n") && pruned.contains("untagged: busybox:latest\n"),
        "{pruned}"
    );
    assert_eq!(env.ok(&["ps", "-aq"]), "");
    assert_eq!(table(&env)[2][1..3], ["1", "0"], "volumes with names stay");
}

#[test]
fn pruning_asks_and_without_a_terminal_the_answer_is_no() {
    let env = TestEnv::new().with_busybox();
    let said = env.ok(&["system", "prune", "-a"]);
    assert!(said.starts_with("WARNING! This will remove:\n  - all stopped containers\n"), "{said}");
    assert!(said.contains("Are you sure you want to continue? [y/N]"), "{said}");
    assert_eq!(env.ok(&["images", "-q"]).lines().count(), 1);
    let labelled = ["image", "prune", "-af", "--filter", "label=keep"];
    assert_eq!(env.ok(&labelled), "Total reclaimed space: 0B\n");
    let until = ["image", "prune", "-af", "--filter", "until=24h"];
    assert_eq!(env.ok(&until), "Total reclaimed space: 0B\n");
    assert!(env.ok(&["image", "prune", "-af", "--filter", "label!=keep"]).contains("deleted: sha256:"));
}

#[test]
fn engines_are_refused_rather_than_passed_over() {
    let env = TestEnv::new();
    for (args, variables, part) in [
        (&["-H", "unix:///nope", "bake"][..], &[][..], "`skiff bake` can't be done through an engine"),
        (&["container", "bundle", "x", "y"], &[("DOCKER_HOST", "unix:///nope")], "can't be done through"),
        (&["--context", "far", "images"], &[], "context \"far\": context not found"),
        (&["images"], &[("DOCKER_CONTEXT", "far")], "context \"far\": context not found"),
        (&["-H", "gopher://x", "images"], &[], "invalid bind address format: gopher://x"),
        (&["-H", "unix:///nope", "-c", "far", "ps"], &[], "cannot specify both --host and --context"),
    ] {
        let ran = env.run_with(args, variables).fails_with(1);
        assert!(ran.stderr.contains(part), "{args:?}: {}", ran.stderr);
    }
    env.run_with(&["images"], &[("DOCKER_HOST", ""), ("DOCKER_CONTEXT", "default")]).success();
    env.run_with(&["logout"], &[("DOCKER_HOST", "unix:///nope")]).success();
}
