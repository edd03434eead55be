//! The main job on a real Debian: build, keep, move, run.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use support::{TestEnv, free_port, repository, wait_until};

fn example(name: &str) -> String {
    repository().join("examples").join(name).to_str().expect("a plain path").to_owned()
}

#[test]
fn a_c_program_is_compiled_in_one_stage_and_runs_from_a_slim_one() {
    let env = TestEnv::new().with_busybox().with_debian();
    env.ok(&["build", "-t", "hello", &example("c")]);
    let said = env.ok(&["run", "--rm", "hello", "tests"]);
    assert!(said.starts_with("hello tests, from process 1 of user 65534"), "{said}");

    // Saved, forgotten, loaded: the same image under the same id.
    let id = env.ok(&["image", "inspect", "--format", "{{.Id}}", "hello"]);
    env.ok(&["save", "-o", "hello.tar", "hello"]);
    let fresh = TestEnv::new();
    let archive = env.work().join("hello.tar");
    assert_eq!(fresh.ok(&["load", "-i", archive.to_str().unwrap()]), "Loaded image: hello:latest\n");
    assert_eq!(fresh.ok(&["image", "inspect", "--format", "{{.Id}}", "hello"]), id);
    assert_eq!(fresh.ok(&["run", "--rm", "hello", "tests"]), said);
}

#[test]
fn a_python_web_application_answers_over_loopback() {
    let env = TestEnv::new().with_debian();
    env.ok(&["build", "-t", "web", &example("web")]);
    let port = free_port();
    let mut server = env
        .skiff(&["run", "--rm", "--init", "--network", "host", "-e", &format!("PORT={port}"), "web"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let mut answer = String::new();
    wait_until("an answer", Duration::from_secs(60), || {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
        let asked = stream.write_all(b"GET /tester HTTP/1.0\r\n\r\n").is_ok();
        answer.clear();
        asked && stream.read_to_string(&mut answer).is_ok() && !answer.is_empty()
    });
    assert!(answer.contains("tester from a container"), "{answer}");

    // The signal reaches the application through the command.
    let pid = rustix::process::Pid::from_raw(server.id().cast_signed()).expect("a pid is positive");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("our own child");
    let status = server.wait().expect("our own child");
    assert_eq!(status.code(), Some(143), "ended by SIGTERM");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "the application is gone");
}

#[test]
fn apt_works_in_a_step_and_a_second_build_does_nothing() {
    let env = TestEnv::new().with_debian();
    env.write(
        "Dockerfile",
        "FROM debian:bookworm\nRUN apt-get update && apt-get install -y --no-install-recommends file\nRUN file --version\n",
    );
    env.ok(&["build", "-t", "first", "."]);
    let again = env.run(&["build", "--progress", "plain", "-t", "second", "."]).success();
    assert_eq!(again.stderr.matches("CACHED").count(), 2, "{}", again.stderr);
    let id = |name: &str| env.ok(&["image", "inspect", "-f", "{{.Id}}", name]);
    assert_eq!(id("first"), id("second"));
    assert!(env.ok(&["run", "--rm", "second", "file", "/bin/dash"]).contains("ELF"));
}

#[test]
fn other_tools_read_what_is_saved() {
    let env = TestEnv::new().with_busybox();
    env.write("a", "a\n");
    env.write(
        "Dockerfile",
        "FROM busybox\nRUN echo hi > /x && ln /x /y && rm -r /home\nCOPY a /etc/\nLABEL l=1\n",
    );
    env.ok(&["build", "-q", "-t", "mine:1", "."]);
    env.ok(&["tag", "mine:1", "mine:2"]);
    env.ok(&["save", "-o", "mine.tar", "mine:1", "mine:2"]);
    let archive = env.work().join("mine.tar");
    let id = env.ok(&["image", "inspect", "-f", "{{.Id}}", "mine:1"]);
    for source in ["docker-archive", "oci-archive"] {
        let name = if source == "oci-archive" { ":1" } else { ":mine:1" };
        let inspected =
            peer("skopeo", &["inspect", "--config", &format!("{source}:{}{name}", archive.display())]);
        assert!(inspected.contains("\"l\": \"1\""), "{source}: {inspected}");
    }
    let layout = env.work().join("layout");
    peer(
        "skopeo",
        &["copy", &format!("oci-archive:{}:2", archive.display()), &format!("oci:{}:2", layout.display())],
    );
    let bundle = env.work().join("bundle");
    peer("umoci", &["unpack", "--image", &format!("{}:2", layout.display()), bundle.to_str().unwrap()]);
    let read =
        |path: &str| std::fs::read_to_string(bundle.join("rootfs").join(path)).expect("a file of the image");
    assert_eq!((read("y"), read("etc/a")), ("hi\n".to_owned(), "a\n".to_owned()));
    assert!(!bundle.join("rootfs/home").exists(), "the whiteout is applied");

    let storage = env.work().join("podman");
    let (root, run) = (storage.join("root"), storage.join("run"));
    let podman = |args: &[&str]| {
        let own =
            ["--root", root.to_str().unwrap(), "--runroot", run.to_str().unwrap(), "--storage-driver", "vfs"];
        peer("podman", &[&own[..], args].concat())
    };
    podman(&["load", "-i", archive.to_str().unwrap()]);
    let theirs = podman(&["image", "inspect", "--format", "{{.Id}}", "mine:2"]);
    assert_eq!(format!("sha256:{}", theirs.trim()), id.trim());
}

#[test]
fn what_other_tools_save_is_loaded() {
    let env = TestEnv::new().with_busybox();
    env.ok(&["save", "-o", "base.tar", "busybox"]);
    let base = env.work().join("base.tar");
    let from = format!("docker-archive:{}", base.display());
    for (number, (form, tar)) in
        [("oci-archive", "oci.tar"), ("docker-archive", "docker.tar")].into_iter().enumerate()
    {
        let name = format!("loaded:{number}");
        let to = env.work().join(tar);
        peer("skopeo", &["copy", &from, &format!("{form}:{}:{name}", to.display())]);
        for compressor in ["cat", "gzip", "bzip2", "xz", "zstd"] {
            let packed = env.work().join(format!("{tar}.{compressor}"));
            let out = std::fs::File::create(&packed).expect("a file can be made");
            let input = std::fs::File::open(&to).expect("skopeo wrote it");
            let packed_well = Command::new(compressor).stdin(input).stdout(out).status();
            assert!(packed_well.is_ok_and(|s| s.success()), "{compressor}");
            let fresh = TestEnv::new();
            let said = fresh.ok(&["load", "-i", packed.to_str().unwrap()]);
            let expected = format!("Loaded image: {name}\n");
            assert!(
                said == expected || said == format!("Loaded image: localhost/{name}\n"),
                "{form} {compressor}: {said}"
            );
            let image = said.trim().rsplit(' ').next().unwrap().to_owned();
            assert_eq!(fresh.ok(&["run", "--rm", &image, "echo", "ok"]), "ok\n");
        }
    }
}

#[track_caller]
fn peer(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output();
    let output =
        output.unwrap_or_else(|error| panic!("{program}: {error}; scripts/packages test installs it"));
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{program} {args:?}\n{stdout}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    stdout
}
