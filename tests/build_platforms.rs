//! Builds for several platforms: one graph, an index in the store, foreign processes.

mod support;

use serde_json::Value;

use support::{TestEnv, is_root};

/// Whether this machine runs arm64 binaries, natively or by an emulator.
fn runs_arm64() -> bool {
    cfg!(target_arch = "aarch64") || std::path::Path::new("/proc/sys/fs/binfmt_misc/qemu-aarch64").exists()
}

fn other() -> &'static str {
    if cfg!(target_arch = "aarch64") { "linux/amd64" } else { "linux/arm64" }
}

fn host() -> &'static str {
    if cfg!(target_arch = "aarch64") { "linux/arm64" } else { "linux/amd64" }
}

const FILE: &str =
    "FROM scratch\nARG TARGETARCH BUILDPLATFORM\nCOPY f /f\nLABEL target=$TARGETARCH build=$BUILDPLATFORM\n";

#[test]
fn an_index_is_seen_by_every_command() {
    let env = TestEnv::new();
    env.write("Dockerfile", FILE);
    env.write("f", "x");
    env.ok(&["build", "-q", "--platform", "linux/amd64,linux/arm64", "--provenance=true", "-t", "m:1", "."]);
    let images = env.ok(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    assert_eq!(images, "m:1\n", "the platforms of an index are no images without a name");
    for platform in ["linux/amd64", "linux/arm64"] {
        let shown = env.ok(&["image", "inspect", "--platform", platform, "m:1"]);
        let shown: Value = serde_json::from_str(&shown).unwrap();
        let labels = &shown[0]["Config"]["Labels"];
        assert_eq!(labels["target"], platform.trim_start_matches("linux/"));
        assert_eq!(labels["build"], host());
        assert_eq!(shown[0]["RepoTags"][0], "m:1");
    }
    env.ok(&["system", "prune", "-f"]);
    env.ok(&["save", "-o", "m.tar", "m:1"]);
    let mut tar = tar::Archive::new(std::fs::File::open(env.work().join("m.tar")).unwrap());
    let names: Vec<String> =
        tar.entries().unwrap().map(|e| e.unwrap().path().unwrap().display().to_string()).collect();
    // An index, two manifests, two configs, one layer; and twice an attestation with its statement, one `{}`.
    let blobs = names.iter().filter(|name| name.starts_with("blobs/sha256/") && name.len() > 20).count();
    assert_eq!(blobs, 1 + 2 + 2 + 1 + 2 + 2 + 1, "{names:?}");
    let fresh = TestEnv::new();
    let archive = env.work().join("m.tar");
    assert_eq!(fresh.ok(&["load", "-i", archive.to_str().unwrap()]), "Loaded image: m:1\n");
    fresh.ok(&["image", "inspect", "--platform", "linux/arm64", "m:1"]);
    env.ok(&["rmi", "m:1"]);
    assert_eq!(env.ok(&["images", "-q", "-a"]), "");
}

#[test]
fn what_platforms_share_runs_once() {
    if !is_root() {
        return;
    }
    let env = TestEnv::new().with_busybox();
    env.write(
        "Dockerfile",
        "FROM --platform=$BUILDPLATFORM busybox AS tool\nRUN head -c8 /dev/urandom | md5sum > /random\n\
         FROM --platform=$BUILDPLATFORM busybox AS each\nARG TARGETARCH\nRUN echo $TARGETARCH > /arch\n\
         FROM scratch\nCOPY --from=tool /random /\nCOPY --from=each /arch /\n",
    );
    let ran = env.run(&[
        "build",
        "--no-cache",
        "--progress",
        "plain",
        "--platform",
        "linux/amd64,linux/arm64",
        "-o",
        "out",
        ".",
    ]);
    let said = ran.success().stderr;
    let read = |path: &str| std::fs::read_to_string(env.work().join("out").join(path)).unwrap();
    assert_eq!(read("linux_amd64/random"), read("linux_arm64/random"), "{said}");
    assert_eq!(
        (read("linux_amd64/arch"), read("linux_arm64/arch")),
        ("amd64\n".to_owned(), "arm64\n".to_owned())
    );
    // A step that another one interrupts is named again, under its one number.
    let steps: std::collections::BTreeSet<&str> =
        said.lines().filter(|line| line.contains("RUN head -c8")).collect();
    assert_eq!(steps.len(), 1, "{said}");
    let mine = host();
    let theirs = other().trim_start_matches("linux/");
    assert!(said.contains(&format!("[{mine}->{theirs} each 2/2] RUN")), "{said}");
}

#[test]
fn a_base_of_several_platforms_is_chosen_by_platform() {
    let env = TestEnv::new();
    env.write("base/Dockerfile", FILE);
    env.write("base/f", "x");
    let both = "linux/amd64,linux/arm64";
    env.ok(&["build", "-q", "--platform", both, "-t", "base:1", "-o", "type=oci,dest=base.tar", "base"]);
    env.ok(&["load", "-i", "base.tar"]);
    env.write("Dockerfile", "FROM base:1\nLABEL more=1\n");
    env.ok(&["build", "-q", "--platform", both, "-t", "m", "."]);
    for platform in ["amd64", "arm64"] {
        let full = format!("linux/{platform}");
        let shown = env.ok(&[
            "image",
            "inspect",
            "--platform",
            &full,
            "-f",
            "{{.Architecture}} {{.Config.Labels.target}}",
            "m",
        ]);
        assert_eq!(shown, format!("{platform} {platform}\n"));
    }
}

#[test]
#[allow(clippy::print_stderr, reason = "a skipped test says why")]
fn a_process_that_the_machine_cannot_run_says_what_to_install() {
    if !is_root() || runs_arm64() {
        eprintln!("skipped: this machine runs arm64 binaries, or this is no root");
        return;
    }
    let env = TestEnv::new();
    // An ELF header of an arm64 binary is all that the kernel looks at.
    let mut elf = vec![0u8; 120];
    elf[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    elf[16..20].copy_from_slice(&[2, 0, 0xb7, 0]);
    elf[20] = 1;
    env.write("sh", elf);
    env.write("Dockerfile", "FROM scratch\nCOPY --chmod=755 sh /bin/sh\nRUN true\n");
    let failed = env.run(&["build", "--platform", "linux/arm64", "."]).fails_with(1);
    for part in
        ["linux/arm64", "apt-get install qemu-user-static binfmt-support", "qemu-aarch64", "Dockerfile:3"]
    {
        assert!(failed.stderr.contains(part), "{part}: {}", failed.stderr);
    }
}
