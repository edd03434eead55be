//! Killed at any instant, and many at once: every name in the store still means its content.

mod support;

use std::process::Stdio;
use std::time::Duration;

use support::{TestEnv, wait_until};

const STEPS: &str = "FROM busybox\n\
    RUN i=0; while [ $i -lt 200 ]; do echo $i > /f$i; i=$((i+1)); done\n\
    COPY data /data\n\
    RUN rm /f1* && echo done > /done\n\
    WORKDIR /w\n\
    RUN mv /f2 /w/ && cat /data/* > all\n";

fn with_context(env: &TestEnv) {
    env.write("Dockerfile", STEPS);
    for n in 0..300 {
        env.write(&format!("data/{n}"), format!("{n}\n").repeat(n));
    }
}

/// A cheap sequence of numbers that is the same in every run.
fn shuffle(seed: u64) -> u64 {
    let x = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (x ^ (x >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 32
}

#[test]
fn a_build_killed_at_any_instant_leaves_a_true_store_and_goes_on() {
    let calm = TestEnv::new().with_busybox();
    with_context(&calm);
    let start = std::time::Instant::now();
    calm.ok(&["build", "-q", "-t", "it", "."]);
    let whole = start.elapsed();
    let expected_count = calm.ok(&["image", "inspect", "-f", "{{len .RootFS.Layers}}", "it"]);

    let env = TestEnv::new().with_busybox();
    with_context(&env);
    for round in 0..60 {
        // A new argument now and then makes steps run again; otherwise the build goes on where it was.
        let tag = format!("it:{}", round % 3);
        let args = ["build", "-q", "--build-arg", &format!("ROUND={}", round / 4), "-t", &tag, "."];
        let mut child =
            env.skiff(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary starts");
        let span = u64::try_from(whole.as_micros()).unwrap_or(u64::MAX).clamp(1000, 3_000_000);
        std::thread::sleep(Duration::from_micros(shuffle(round) % span));
        child.kill().expect("our own child");
        child.wait().expect("our own child");
        // Every name that exists is whole: its layers are there, a container runs from it.
        for name in env.ok(&["images", "--format", "{{.Repository}}:{{.Tag}}", "it"]).lines() {
            env.ok(&["run", "--rm", "--network", "none", name, "cat", "/done"]);
        }
    }
    env.ok(&["build", "-q", "-t", "it:end", "."]);
    assert_eq!(env.ok(&["image", "inspect", "-f", "{{len .RootFS.Layers}}", "it:end"]), expected_count);
    let files = env.ok(&["run", "--rm", "it:end", "sh", "-c", "ls / /w /data | wc -l; md5sum /w/all"]);
    assert_eq!(files, calm.ok(&["run", "--rm", "it", "sh", "-c", "ls / /w /data | wc -l; md5sum /w/all"]));
    // The debris of the killed ones is found and removed.
    env.ok(&["system", "prune", "-af"]);
    let left = std::fs::read_dir(env.store().join("tmp")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "prune empties tmp/");
}

#[test]
fn a_load_killed_at_any_instant_records_nothing_or_all() {
    let source = TestEnv::new().with_busybox();
    source.write("Dockerfile", "FROM busybox\nRUN head -c 30000000 /dev/urandom > /big\n");
    source.ok(&["build", "-q", "-t", "big", "."]);
    source.ok(&["save", "-o", "big.tar", "big"]);
    let archive = source.work().join("big.tar");
    let env = TestEnv::new();
    for round in 0..25 {
        let args = ["load", "-q", "-i", archive.to_str().unwrap()];
        let mut child =
            env.skiff(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary starts");
        std::thread::sleep(Duration::from_micros(shuffle(round + 99) % 150_000));
        let _ = child.kill();
        child.wait().expect("our own child");
        if !env.ok(&["images", "-q", "big"]).is_empty() {
            assert_eq!(env.ok(&["run", "--rm", "big", "stat", "-c", "%s", "/big"]), "30000000\n");
            env.ok(&["rmi", "big"]);
        }
    }
    env.ok(&["load", "-q", "-i", archive.to_str().unwrap()]);
    assert_eq!(env.ok(&["run", "--rm", "big", "stat", "-c", "%s", "/big"]), "30000000\n");
}

#[test]
fn eight_builds_of_the_same_file_run_every_step_once() {
    let env = TestEnv::new().with_busybox();
    // The step leaves a mark in a cache mount each time it really runs.
    env.write(
        "Dockerfile",
        "FROM busybox\nRUN --mount=type=cache,id=marks,target=/marks echo x >> /marks/n && sleep 0.3 && date +%N > /stamp\n",
    );
    let children: Vec<_> = (0..8)
        .map(|n| {
            env.skiff(&["build", "-q", "-t", &format!("same:{n}"), "."])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("the binary starts")
        })
        .collect();
    let mut ids: Vec<String> = children
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().expect("our own child");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8_lossy(&output.stdout).into_owned()
        })
        .collect();
    ids.dedup();
    assert_eq!(ids.len(), 1, "all builds give the same image: {ids:?}");
    env.write(
        "Dockerfile",
        "FROM busybox\nRUN --mount=type=cache,id=marks,target=/marks wc -l < /marks/n > /n\n",
    );
    env.ok(&["build", "-q", "-t", "count", "."]);
    assert_eq!(env.ok(&["run", "--rm", "count", "cat", "/n"]), "1\n");
}

#[test]
fn builds_loads_runs_and_prunes_at_once_do_not_disturb_each_other() {
    let env = TestEnv::new().with_busybox();
    env.write(
        "Dockerfile",
        "ARG N\nFROM busybox\nARG N\nRUN echo $N > /n\nCOPY Dockerfile /\nRUN cat /n /Dockerfile > /all\n",
    );
    env.ok(&["save", "-o", "base.tar", "busybox"]);
    let env = &env;
    std::thread::scope(|scope| {
        let mut workers = Vec::new();
        for worker in 0..4 {
            workers.push(scope.spawn(move || {
                for round in 0..6 {
                    let tag = format!("w{worker}:{round}");
                    env.ok(&["build", "-q", "--build-arg", &format!("N={worker}-{round}"), "-t", &tag, "."]);
                    assert_eq!(env.ok(&["run", "--rm", &tag, "cat", "/n"]), format!("{worker}-{round}\n"));
                }
            }));
        }
        workers.push(scope.spawn(move || {
            for _ in 0..6 {
                env.ok(&["load", "-q", "-i", "base.tar"]);
            }
        }));
        workers.push(scope.spawn(move || {
            for _ in 0..10 {
                env.ok(&["builder", "prune", "-af"]);
                env.ok(&["image", "prune", "-f"]);
            }
        }));
        for worker in workers {
            worker.join().expect("no worker fails");
        }
    });
    for worker in 0..4 {
        for round in 0..6 {
            let said = env.ok(&["run", "--rm", &format!("w{worker}:{round}"), "head", "-n", "1", "/all"]);
            assert_eq!(said, format!("{worker}-{round}\n"));
        }
    }
}

#[test]
fn nothing_is_left_behind() {
    let env = TestEnv::new().with_busybox();
    let here = env.store().display().to_string();
    let mounts = || {
        let all = std::fs::read_to_string("/proc/self/mountinfo").expect("proc is mounted");
        all.lines().filter(|line| line.contains(&here)).map(str::to_owned).collect::<Vec<_>>()
    };
    // Others on this machine sleep too.
    let nap = format!("sleep 1000{}", std::process::id());
    env.write("Dockerfile", format!("FROM busybox\nRUN sleep 0.01 & echo left > /x\nRUN ({nap} &) ; true\n"));
    env.ok(&["build", "-q", "-t", "x", "."]);
    env.ok(&["run", "--rm", "x", "sh", "-c", &format!("({nap} &) ; true")]);
    assert_eq!(mounts(), Vec::<String>::new(), "no mount outlives its command");
    let store = env.store();
    wait_until("the end of every process", Duration::from_secs(30), || {
        !processes_below().iter().any(|line| line.contains(&nap))
    });
    let containers = std::fs::read_dir(store.join("containers")).map_or(0, Iterator::count);
    assert_eq!(containers, 0, "no writable layer outlives its container");
}

fn processes_below() -> Vec<String> {
    std::fs::read_dir("/proc")
        .expect("proc is mounted")
        .flatten()
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .collect()
}
