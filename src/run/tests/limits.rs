//! Limits by cgroup, on whatever layout this machine has.

use super::super::*;
use super::support::*;

/// Runs a script under limits; none, with a word why, where the machine can't limit.
#[allow(clippy::print_stderr, reason = "a skipped test says why")]
fn limited(rig: &Rig, script: &str, limits: Limits) -> Option<(Exit, String, bool)> {
    let (mut reader, io) = piped(Input::Null);
    let spec = ProcessSpec { limits, ..shell(script) };
    let mut running = match rig.executor.start(&spec, rig.rootfs(), io) {
        Ok(running) => running,
        Err(error) => panic!("{}", chain(&error)),
    };
    let mut text = String::new();
    std::io::Read::read_to_string(&mut reader, &mut text).expect("the output is text");
    let exit = running.wait().expect("it ends");
    if !running.warnings().is_empty() {
        eprintln!("skipped: {:?}", running.warnings());
        return None;
    }
    Some((exit, text, running.out_of_memory()))
}

#[test]
fn memory() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    let limits = || Limits { memory: Some(32 << 20), memory_swap: Some(32 << 20), ..Limits::default() };
    let script = "sh -c 'dd if=/dev/zero of=/dev/shm/big bs=1M count=48 2>/dev/null'; exit $?";
    let Some((exit, text, oom)) = limited(&rig, script, limits()) else { return };
    assert_eq!((exit, oom), (Exit::Code(137), true), "{text}");
    let (exit, _, oom) = limited(&rig, "true", limits()).expect("it could be limited just now");
    assert_eq!((exit, oom), (Exit::Code(0), false));
}

#[test]
fn processes() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    let limits = Limits { pids: Some(5), ..Limits::default() };
    let script = "for i in 1 2 3 4 5 6 7 8 9; do sleep 1 & done; echo all";
    let Some((exit, text, _)) = limited(&rig, script, limits) else { return };
    assert!(exit != Exit::Code(0) && text.contains("can't fork"), "{text}");
}

#[test]
fn cpus() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    let limits = Limits { cpuset_cpus: Some("0".into()), cpu_shares: Some(512), ..Limits::default() };
    let Some((_, text, _)) = limited(&rig, "grep Cpus_allowed_list /proc/self/status", limits) else {
        return;
    };
    assert_eq!(text, "Cpus_allowed_list:\t0\n");
    let limits = Limits { cpu_quota: Some(20_000), cpu_period: Some(100_000), ..Limits::default() };
    let script = "s=$(date +%s%N); i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; times | head -1; cat /proc/uptime";
    assert!(limited(&rig, script, limits).is_some_and(|(exit, ..)| exit == Exit::Code(0)));
    let limits = Limits { cpuset_cpus: Some("900".into()), ..Limits::default() };
    let spec = ProcessSpec { limits, ..shell("true") };
    let error = rig.try_run(&spec, rig.rootfs()).expect_err("there is no such CPU");
    assert!(error.to_string().starts_with("cannot limit the set of CPUs to 900"), "{error}");
}

#[test]
fn devices_by_number() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    let limits = || Limits { devices: true, ..Limits::default() };
    // Device files work wherever they are, but only the allowed ones: what debootstrap needs.
    let script =
        "mknod /null c 1 3 && echo x > /null && mknod /mem c 1 1 && ! head -c 1 /mem 2>&1; cat /dev/null";
    let Some((exit, text, _)) = limited(&rig, script, limits()) else { return };
    assert_eq!(exit, Exit::Code(0), "{text}");
    assert!(text.contains("Operation not permitted"), "{text}");
    let more = Limits { device_rules: vec!["c 1:1 r".into()], ..limits() };
    let script = "mknod /mem2 c 1 1 && head -c 1 /mem2 2>&1 >/dev/null; true";
    let (_, text, _) = limited(&rig, script, more).expect("it could be limited just now");
    assert!(!text.contains("Operation not permitted"), "{text}");
}

#[test]
fn a_cgroup_is_seen_as_the_root() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    let limits = Limits { pids: Some(100), ..Limits::default() };
    let Some((_, text, _)) = limited(&rig, "grep pids /proc/self/cgroup || cat /proc/self/cgroup", limits)
    else {
        return;
    };
    assert!(text.ends_with(":/\n"), "{text}");
}

#[test]
fn processes_that_outlive_the_first_are_killed_with_the_cgroup() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    let (mut reader, io) = piped(Input::Null);
    let limits = Limits { pids: Some(100), ..Limits::default() };
    let mut spec = ProcessSpec { limits, ..shell("sleep 1000 & echo started") };
    spec.namespaces.pid = Namespace::Caller;
    let mut running = rig.executor.start(&spec, rig.rootfs(), io).expect("it starts");
    let mut text = [0; 8];
    std::io::Read::read_exact(&mut reader, &mut text).expect("read");
    assert_eq!(running.wait().expect("it ends"), Exit::Code(0));
    if running.warnings().is_empty() {
        assert_eq!(std::io::Read::read(&mut reader, &mut text).expect("read"), 0);
    }
}
