//! What a start costs: `cargo test --release --lib run::tests::measure -- --ignored --nocapture`.

use std::time::Instant;

use super::super::*;
use super::support::*;

const ROUNDS: usize = 300;

#[test]
#[ignore = "a measurement"]
#[allow(clippy::print_stderr, reason = "a measurement is for reading")]
fn start_of_true() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    let mounts = || {
        vec![
            Mount::file("/etc/hosts", "127.0.0.1 localhost\n", 0o644).read_only(true),
            Mount::file("/etc/resolv.conf", "nameserver 1.1.1.1\n", 0o644).read_only(true),
        ]
    };
    let spec = |network| ProcessSpec {
        args: args(&["/bin/true"]),
        hostname: Some("h".into()),
        mounts: mounts(),
        network,
        ..ProcessSpec::default()
    };
    let (none, host) = (spec(Network::None), spec(Network::Host));
    let limited =
        ProcessSpec { limits: Limits { pids: Some(100), ..Limits::default() }, ..spec(Network::Host) };
    for (what, spec) in [("host network", &host), ("own network", &none), ("pids limit", &limited)] {
        eprintln!("{what}: {}", times(&rig, spec));
    }
    let heap = vec![1u8; 512 << 20];
    eprintln!("host network, 512 MiB resident: {}", times(&rig, &host));
    assert_eq!(heap[heap.len() - 1], 1);
    let mut plain: Vec<u128> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            let status = std::process::Command::new(rig.path("image/bin/true")).status();
            assert!(status.expect("it starts").success());
            start.elapsed().as_micros()
        })
        .collect();
    plain.sort_unstable();
    eprintln!("plain spawn of the same: median {} us", plain[ROUNDS / 2]);
}

fn times(rig: &Rig, spec: &ProcessSpec) -> String {
    let (mut started, mut whole) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let name = format!("run/{round}");
        let rootfs = rig.rootfs_with(&format!("{name}/upper"), &format!("{name}/work"));
        let io = Io { stdin: Input::Null, output: Output::Null };
        let start = Instant::now();
        let mut running = rig.executor.start(spec, rootfs, io).unwrap_or_else(|e| panic!("{}", chain(&e)));
        started.push(start.elapsed().as_micros());
        assert_eq!(running.wait().expect("it ends"), Exit::Code(0));
        whole.push(start.elapsed().as_micros());
    }
    started.sort_unstable();
    whole.sort_unstable();
    format!(
        "start {} us, to the end {} us (medians of {ROUNDS}; best {}, 90th {})",
        started[ROUNDS / 2],
        whole[ROUNDS / 2],
        whole[0],
        whole[ROUNDS * 9 / 10]
    )
}
