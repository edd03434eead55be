//! Commands and monitors killed at any instant, and many containers at once: what `ps` says is true, nothing stands
//! still, nothing is left. `SKIFF_CRASH_ROUNDS` and `SKIFF_MANY_CONTAINERS` ask for more than a quick run does.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use support::{TestEnv, own_seconds, wait_until};

const LONG: Duration = Duration::from_secs(30);

fn count(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// A cheap sequence of numbers that is the same in every run.
fn shuffle(seed: u64) -> u64 {
    let x = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (x ^ (x >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 32
}

fn spawn(env: &TestEnv, args: &[&str]) -> Child {
    env.skiff(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary starts")
}

fn kill(mut child: Child) {
    child.kill().expect("our own child");
    child.wait().expect("our own child");
}

fn entries(path: &Path) -> BTreeSet<String> {
    let listed = path.read_dir().into_iter().flatten().flatten();
    listed.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// The numbers of the processes that have all these words in their command lines.
fn processes(words: &[&str]) -> Vec<u32> {
    let is_one = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        words.iter().all(|word| line.contains(word))
    };
    entries(Path::new("/proc")).iter().filter_map(|name| name.parse().ok()).filter(is_one).collect()
}

fn monitors(env: &TestEnv) -> Vec<u32> {
    processes(&["container-monitor", &env.store().display().to_string()])
}

/// The directories of cgroups of these containers.
fn cgroups(ids: &BTreeSet<String>) -> Vec<String> {
    let (mut found, mut todo) = (Vec::new(), vec![std::path::PathBuf::from("/sys/fs/cgroup")]);
    while let Some(directory) = todo.pop() {
        for entry in directory.read_dir().into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.strip_prefix("skiff-").is_some_and(|id| ids.contains(id)) {
                    found.push(entry.path().display().to_string());
                }
                todo.push(entry.path());
            }
        }
    }
    found
}

/// What the store has of containers, which is nothing once all are removed.
fn left(env: &TestEnv) -> Vec<String> {
    let mut left = Vec::new();
    for folder in ["containers", "container-names", "volumes", "tmp"] {
        left.extend(entries(&env.store().join(folder)).into_iter().map(|name| format!("{folder}/{name}")));
    }
    for network in entries(&env.store().join("networks")) {
        let endpoints = env.store().join("networks").join(&network).join("endpoints");
        left.extend(entries(&endpoints).into_iter().map(|name| format!("endpoint {name}")));
    }
    left.extend(monitors(env).into_iter().map(|pid| format!("process {pid}")));
    left
}

/// The interfaces that hang on the bridges of the store's networks.
fn interfaces(env: &TestEnv) -> Vec<String> {
    let mut found = Vec::new();
    for network in entries(&env.store().join("networks")) {
        let config = fs::read_to_string(env.store().join("networks").join(&network).join("config.json"));
        let config: serde_json::Value = serde_json::from_str(&config.unwrap_or_default()).unwrap_or_default();
        if let Some(bridge) = config["bridge"].as_str() {
            found.extend(entries(&Path::new("/sys/class/net").join(bridge).join("brif")));
        }
    }
    found
}

/// The mounts on this machine that have to do with the store.
fn mounts(env: &TestEnv) -> Vec<String> {
    let (all, store) = (fs::read_to_string("/proc/self/mountinfo"), env.store().display().to_string());
    let all = all.expect("readable");
    all.lines().filter(|line| line.contains(&store)).map(str::to_owned).collect()
}

/// Begins something with a container, and kills it after a while.
fn one_round(env: &TestEnv, round: u64, seconds: &str) {
    let random = |what: u64| shuffle(round * 16 + what);
    let after = |most: u64| std::thread::sleep(Duration::from_micros(random(1) % (most * 1000)));
    let (name, network) = (format!("c{round}"), ["none", "bridge"][random(2) as usize % 2]);
    let mut flags = vec!["--network", network, "--name", &name];
    if random(3) % 3 == 0 {
        flags.extend(["-v", "/data"]);
    }
    if random(4) % 3 == 0 {
        flags.extend(["-m", "32m"]);
    }
    let sleeper = ["busybox", "sleep", seconds];
    match round % 8 {
        0 => {
            let child = spawn(env, &[&["run", "-d"][..], &flags, &sleeper].concat());
            after(150);
            kill(child);
        }
        1 => {
            let child = spawn(env, &[&["create"][..], &flags, &sleeper].concat());
            after(60);
            kill(child);
        }
        2 => {
            let child = spawn(env, &[&["run", "--rm"][..], &flags, &sleeper].concat());
            after(150);
            kill(child);
        }
        kind @ (3 | 4) => {
            let policy = ["--restart", "always", "busybox", "sleep", "0.05"];
            let what = if kind == 3 { &sleeper[..] } else { &policy };
            let mut child = spawn(env, &[&["run", "-d"][..], &flags, what].concat());
            if random(5) % 2 == 0 {
                child.wait().expect("our own child");
            }
            after(150);
            let pids = monitors(env).into_iter().filter_map(|pid| i32::try_from(pid).ok());
            for pid in pids.filter_map(rustix::process::Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
            child.wait().expect("our own child");
        }
        kind => {
            env.ok(&[&["run", "-d"][..], &flags, &sleeper].concat());
            let other = format!("{name}x");
            let words: &[&str] = match kind {
                5 => &["rm", "-f", "-v", &name],
                6 => &["rename", &name, &other],
                _ => &["stop", "-t", "0", &name],
            };
            let child = spawn(env, words);
            after(60);
            kill(child);
        }
    }
}

/// Compares what `ps` says with what there is.
fn the_truth_is_told(env: &TestEnv, round: u64, seen: &mut BTreeSet<String>) {
    let listed = || -> Vec<(String, String, String)> {
        let text = env.ok(&["ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}} {{.State}}"]);
        let row = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            (words[0].to_owned(), words[1].to_owned(), words[2].to_owned())
        };
        text.lines().map(row).collect()
    };
    for (id, _, state) in listed() {
        seen.insert(id.clone());
        let pid = env.run(&["inspect", "-f", "{{.State.Pid}}", &id]);
        let alive = |pid: &str| pid != "0" && Path::new("/proc").join(pid).exists();
        if state == "running" && pid.code == Some(0) && !alive(pid.stdout.trim()) {
            // It may have ended between the two looks; it must not be said to run for ever.
            let now = env.run(&["inspect", "-f", "{{.State.Status}} {{.State.Pid}}", &id]).stdout;
            let is_lie = now.strip_prefix("running ").is_some_and(|pid| !alive(pid.trim()));
            assert!(!is_lie, "round {round}: {id} is said to run");
        }
    }
    // What was left half made is gone with the look, unless a monitor is still at it.
    wait_until("debris goes", LONG, || {
        let rows = listed();
        let ids: BTreeSet<String> = rows.iter().map(|row| row.0.clone()).collect();
        let names: BTreeSet<String> = rows.iter().map(|row| row.1.clone()).collect();
        entries(&env.store().join("containers")) == ids
            && entries(&env.store().join("container-names")) == names
    });
}

fn remove_all(env: &TestEnv) {
    let ids = env.ok(&["ps", "-aq"]);
    let ids: Vec<&str> = ids.split_whitespace().collect();
    if ids.is_empty() {
        return;
    }
    env.ok(&[&["rm", "-f", "-v"][..], &ids].concat());
}

/// Waits until nothing is left; what a monitor has told the end of goes a moment later.
#[track_caller]
fn all_is_gone(env: &TestEnv, ids: &BTreeSet<String>) {
    wait_until("all is gone", LONG, || left(env).is_empty() && interfaces(env).is_empty());
    wait_until("no cgroup is left", LONG, || cgroups(ids).is_empty());
    wait_until("nothing is mounted", LONG, || mounts(env).is_empty());
}

#[test]
fn what_is_killed_at_any_instant_leaves_the_truth_and_nothing_else() {
    let env = TestEnv::new().with_busybox();
    let (mut seen, seconds) = (BTreeSet::new(), own_seconds());
    env.ok(&["run", "--rm", "busybox", "true"]);
    for round in 0..count("SKIFF_CRASH_ROUNDS", 32) {
        one_round(&env, round, &seconds);
        the_truth_is_told(&env, round, &mut seen);
        if round % 16 == 15 {
            remove_all(&env);
        }
    }
    remove_all(&env);
    all_is_gone(&env, &seen);
    let sleeping = || processes(&["sleep", &seconds]);
    wait_until("the end of all processes", LONG, || sleeping().is_empty());
}

#[test]
fn many_at_once_leave_nothing() {
    let env = TestEnv::new().with_busybox();
    env.ok(&["run", "--rm", "busybox", "true"]);
    let each = count("SKIFF_MANY_CONTAINERS", 48) / 8;
    let ids = std::thread::scope(|scope| {
        let work = |worker: u64| {
            let env = &env;
            move || {
                let mut ids = BTreeSet::new();
                for number in 0..each {
                    let name = format!("m{worker}-{number}");
                    let network = ["none", "bridge"][number as usize % 2];
                    let mut flags = vec!["--network", network];
                    if number % 3 == 0 {
                        flags.extend(["-v", "/data", "-m", "50m"]);
                    }
                    let what = ["busybox", "sleep", "1000"];
                    if number % 4 == 3 {
                        env.ok(&[&["run", "--rm"][..], &flags, &["busybox", "true"]].concat());
                        continue;
                    }
                    let args = [&["run", "-d", "--name", &name][..], &flags, &what].concat();
                    ids.insert(env.ok(&args).trim().to_owned());
                    assert_eq!(env.ok(&["exec", &name, "echo", "there"]), "there\n");
                    env.ok(&["rm", "-f", "-v", &name]);
                }
                ids
            }
        };
        let workers: Vec<_> = (0..8).map(|worker| scope.spawn(work(worker))).collect();
        let all = workers.into_iter().map(|worker| worker.join().expect("none failed"));
        all.fold(BTreeSet::new(), |mut all, mut ids| {
            all.append(&mut ids);
            all
        })
    });
    assert_eq!(env.ok(&["ps", "-aq"]), "");
    all_is_gone(&env, &ids);
}
