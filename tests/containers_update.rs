//! `update` gives a running container limits of kinds that it was started without.

mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use support::{TestEnv, wait_until};

const LONG: Duration = Duration::from_secs(30);

/// Returns the cgroups of a name.
fn found(below: &Path, name: &str) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(below).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if entry.file_name() == name {
                all.push(entry.path());
            }
            all.extend(found(&entry.path(), name));
        }
    }
    all
}

fn cgroups(name: &str) -> usize {
    found(Path::new("/sys/fs/cgroup"), name).len()
}

#[test]
fn limits_of_all_kinds_come_while_it_runs() {
    let env = TestEnv::new().with_busybox();
    // One makes processes all the time, and each has to come along; it may end where it finds
    // no room for one. The other wants a whole processor, and the first process outlives both.
    let script = "(while :; do (:); done) & (while :; do :; done) & exec sleep 1000";
    let id = env.ok(&["run", "-d", "--network", "none", "--name", "web", "busybox", "sh", "-c", script]);
    let name = format!("skiff-{}", id.trim());
    let eats =
        || env.run(&["exec", "web", "sh", "-c", "head -c 60m /dev/zero | tail -c 60m >/dev/null"]).code;
    assert_eq!(eats(), Some(0), "nothing is limited");
    env.ok(&["update", "-m", "32m", "--memory-swap", "32m", "web"]);
    assert_eq!(eats(), Some(137), "the memory is limited at once");
    env.ok(&["update", "--pids-limit", "10", "web"]);
    let forks =
        || env.run(&["exec", "web", "sh", "-c", "for i in $(seq 20); do sleep 1 & done; wait"]).stderr;
    let full = |said: String| assert!(said.contains("can't fork"), "{said}");
    full(forks());
    env.ok(&["update", "--cpus", "0.1", "web"]);
    wait_until("a pause for want of processor time", LONG, || {
        found(Path::new("/sys/fs/cgroup"), &name).iter().any(|group| {
            let stat = std::fs::read_to_string(group.join("cpu.stat")).unwrap_or_default();
            let count = stat.lines().find_map(|line| line.strip_prefix("nr_throttled "));
            count.is_some_and(|count| count != "0")
        })
    });
    let format = "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}";
    assert_eq!(env.ok(&["inspect", "-f", format, "web"]), "33554432 100000000 10\n");
    // The next run has them from the beginning.
    let before = cgroups(&name);
    assert!(before > 0);
    env.ok(&["update", "--cpus", "1", "web"]);
    env.ok(&["restart", "-t", "0", "web"]);
    assert_eq!(cgroups(&name), before);
    assert_eq!(eats(), Some(137), "the memory is still limited");
    full(forks());
    env.ok(&["rm", "-f", "web"]);
    assert_eq!(cgroups(&name), 0);
}

#[test]
fn a_killed_monitors_further_cgroups_are_found() {
    let env = TestEnv::new().with_busybox();
    let id = env.ok(&["run", "-d", "--network", "none", "--name", "web", "busybox", "sleep", "1000"]);
    let name = format!("skiff-{}", id.trim());
    env.ok(&["update", "-m", "32m", "--pids-limit", "10", "web"]);
    let pid = env.ok(&["inspect", "-f", "{{.State.Pid}}", "web"]);
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).expect("it runs");
    let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)).expect("a parent");
    let parent = rustix::process::Pid::from_raw(parent.parse().expect("a number")).expect("a process");
    rustix::process::kill_process(parent, rustix::process::Signal::KILL).expect("the monitor lives");
    wait_until("the end of the container", LONG, || env.ok(&["ps", "-q"]).is_empty());
    assert_eq!(cgroups(&name), 0);
    env.ok(&["start", "web"]);
    // What was made below them ends with them.
    let groups = found(Path::new("/sys/fs/cgroup"), &name);
    assert!(groups.iter().all(|group| std::fs::create_dir_all(group.join("x/y")).is_ok()), "{groups:?}");
    env.ok(&["rm", "-f", "web"]);
    assert_eq!(cgroups(&name), 0);
}
