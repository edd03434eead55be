//! The rows of users' notes about the system, help and configuration (A1 to A22) that need no service.

mod support;

use std::process::Command;
use std::time::Duration;

use support::{TestEnv, repository};

#[test]
fn version_and_info_are_told_in_dockers_order() {
    let env = TestEnv::new().with_busybox();
    // A1
    let version = env.ok(&["version"]);
    for side in ["Client:", "Server:"] {
        let block = &version[version.find(side).expect("a block")..];
        let block = block.split("\n\n").next().unwrap_or_default();
        assert!(["Version:", "API version:", "OS/Arch:"].iter().all(|key| block.contains(key)), "{version}");
    }
    // A2 to A5, A17, A18
    let info = env.ok(&["info"]);
    let root = format!(" Docker Root Dir: {}", env.store().display());
    let mut rest = info.as_str();
    for line in [
        "Client:",
        " Debug Mode: false",
        "Server:",
        " Containers: 0",
        "  Running: 0",
        "  Paused: 0",
        "  Stopped: 0",
        " Images: 1",
        " Server Version: ",
        " Storage Driver: overlay",
        "  Backing Filesystem: ",
        "  Supports d_type: true",
        "  Native Overlay Diff: true",
        " Logging Driver: json-file",
        " Cgroup Driver: cgroupfs",
        " Kernel Version: ",
        " Operating System: ",
        " OSType: linux",
        " Architecture: ",
        &root,
    ] {
        let at = rest.find(line).unwrap_or_else(|| panic!("{line:?} is missing or misplaced in\n{info}"));
        rest = &rest[at + line.len()..];
    }
    let debug = env.run(&["-D", "info"]).success();
    assert!(debug.stdout.contains(" Debug Mode: true"), "{}", debug.stdout);
    // A13
    let debug = env.run(&["-D", "ps"]).success();
    assert!(debug.stderr.to_lowercase().contains("debug"), "{}", debug.stderr);
    assert_eq!(
        env.ok(&["info", "-f", "{{.Driver}}|{{.LoggingDriver}}|{{.Images}}|{{.NCPU}}"]).split('|').count(),
        4
    );
}

#[test]
fn every_command_has_help() {
    let env = TestEnv::new();
    // A6
    let names = |text: &str| -> Vec<String> {
        let indented = text.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        indented
            .filter_map(|line| line.split_whitespace().next())
            .filter(|n| !n.starts_with('-'))
            .map(str::to_owned)
            .collect()
    };
    let mut todo: Vec<Vec<String>> = names(&env.ok(&["--help"])).into_iter().map(|name| vec![name]).collect();
    assert!(todo.len() > 50, "{todo:?}");
    let mut seen = 0;
    while let Some(command) = todo.pop() {
        let words: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
        let help = env.ok(&words);
        let usage = format!("Usage:  skiff {}", command.join(" "));
        assert!(help.contains(&usage), "{command:?}: {help}");
        if help.contains("\nCommands:\n") {
            let rest = help.split("Commands:\n").nth(1).unwrap_or_default();
            todo.extend(names(rest).into_iter().map(|name| [&command[..], &[name]].concat()));
        }
        seen += 1;
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn no_service_stays_behind_and_none_is_needed() {
    let env = TestEnv::new().with_busybox();
    // A8
    env.ok(&["run", "--rm", "--network", "none", "busybox", "true"]);
    let store = env.store();
    let left = || {
        std::fs::read_dir("/proc").expect("processes").flatten().any(|process| {
            let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(store.to_str().expect("a path"))
        })
    };
    // The monitor has told the end before it goes.
    support::wait_until("nothing of this store runs any more", Duration::from_secs(30), || !left());
    // A17
    let binary = std::fs::read(env!("CARGO_BIN_EXE_skiff")).expect("the binary");
    assert!(!binary.windows(13).any(|part| part == b"/ld-linux-x86"), "it needs no loader");
    // A22
    for url in ["unix:///nope.sock", "tcp://127.0.0.1:1"] {
        let text = format!("Cannot connect to the Docker daemon at {url}. Is the docker daemon running?\n");
        let dead = env.run_with(&["ps"], &[("DOCKER_HOST", url)]).fails_with(1);
        assert_eq!((dead.stdout.as_str(), dead.stderr.as_str()), ("", text.as_str()));
        let dead = env.run(&["-H", url, "version"]).fails_with(1);
        assert!(dead.stdout.starts_with("Client:") && !dead.stdout.contains("Server:"), "{}", dead.stdout);
        assert_eq!(dead.stderr, text);
    }
}

#[test]
fn mirrors_of_the_configuration_are_shown() {
    let env = TestEnv::new();
    // A19; that they are asked first is shown where registries are tested.
    let config =
        r#"{"registry-mirrors": ["https://mirror.example"], "insecure-registries": ["reg.example:5000"]}"#;
    env.write("../home/.config/skiff/config.json", config);
    let info = env.ok(&["info"]);
    assert!(info.contains("\n Registry Mirrors:\n  https://mirror.example/\n"), "{info}");
    assert!(info.contains("\n  127.0.0.0/8\n  reg.example:5000\n"), "{info}");
    assert_eq!(env.ok(&["info", "-f", "{{.RegistryConfig.Mirrors}}"]), "[https://mirror.example]\n");
}

#[test]
#[allow(clippy::print_stderr, reason = "a skipped test says why")]
fn the_unit_that_starts_containers_is_right() {
    let units: Vec<_> = std::fs::read_dir(repository().join("systemd"))
        .expect("units")
        .flatten()
        .map(|unit| unit.path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "service"))
        .collect();
    assert!(!units.is_empty());
    // A16, for the unit that there is; its program need not be installed here.
    let Ok(verified) = Command::new("systemd-analyze").arg("verify").args(&units).output() else {
        eprintln!("skipped: there is no systemd-analyze");
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr);
    let wrong = said.lines().filter(|line| line.contains("skiff") && !line.contains("is not executable"));
    assert_eq!(wrong.count(), 0, "{said}");
}
