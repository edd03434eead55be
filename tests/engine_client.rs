//! `-H`, `DOCKER_HOST` and contexts: the commands as a client of a real docker engine, and of this program's own service.

mod support;

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use support::engine::Engine;
use support::peer::Peer;
use support::pty::Pty;
use support::{Ran, TestEnv, base, wait_until};

const PATIENCE: Duration = Duration::from_secs(30);

/// A client of an engine, whose own store must stay untouched.
struct Client {
    env: TestEnv,
    host: String,
}

impl Client {
    fn new(host: String) -> Self {
        Self { env: TestEnv::new(), host }
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.env.run_with(args, &[("DOCKER_HOST", &self.host)])
    }

    #[track_caller]
    fn ok(&self, args: &[&str]) -> String {
        self.run(args).success().stdout
    }

    /// Runs a command with standard input.
    fn fed(&self, args: &[&str], input: &[u8]) -> (Option<i32>, Vec<u8>) {
        let mut command = self.env.skiff(args);
        command.env("DOCKER_HOST", &self.host).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        let input = input.to_vec();
        let writing = std::thread::spawn(move || stdin.write_all(&input));
        let output = child.wait_with_output().expect("it ends");
        let _ = writing.join();
        (output.status.code(), output.stdout)
    }

    /// Takes away what the tests make, also what an earlier run has left.
    fn clean(&self) {
        for name in ["ec-1", "ec-2", "ec-3"] {
            self.run(&["rm", "-f", "-v", name]);
        }
        self.run(&["volume", "rm", "-f", "ec-v"]);
        self.run(&["rmi", "-f", "ec:1", "ec:2", "ec:built", "ec:committed"]);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.clean();
        if !std::thread::panicking() {
            assert!(!self.env.store().exists(), "a client of an engine needs no store");
        }
    }
}

fn images(client: &Client) {
    let archive = base("busybox.tar");
    let id = client.ok(&["import", "-c", "CMD [\"sh\"]", archive.to_str().expect("a path"), "ec:1"]);
    assert!(id.starts_with("sha256:"), "{id}");
    client.ok(&["tag", "ec:1", "ec:2"]);
    let listed = client.ok(&["images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}", "ec"]);
    let short = &id.trim()[7..19];
    let mut lines: Vec<&str> = listed.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, [format!("ec:1 {short}"), format!("ec:2 {short}")]);
    assert_eq!(client.ok(&["rmi", "ec:2"]).lines().next(), Some("Untagged: ec:2"));
    let missing = client.run(&["image", "inspect", "ec:none"]).fails_with(1);
    assert_eq!(missing.stdout, "[]\n");
    assert!(
        missing.stderr.contains("Error response from daemon: No such image: ec:none"),
        "{}",
        missing.stderr
    );
    let saved = client.env.work().join("saved.tar");
    client.ok(&["save", "-o", saved.to_str().expect("a path"), "ec:1"]);
    assert_eq!(client.ok(&["load", "-i", saved.to_str().expect("a path")]), "Loaded image: ec:1\n");
    assert!(client.ok(&["history", "-q", "ec:1"]).contains(short));
}

fn codes_and_streams(client: &Client) {
    let run = ["run", "--rm", "--network", "none"];
    let both = client.run(&[&run[..], &["ec:1", "sh", "-c", "echo out; echo err >&2; exit 3"]].concat());
    assert_eq!((both.code, both.stdout.as_str(), both.stderr.as_str()), (Some(3), "out\n", "err\n"));
    let missing = client.run(&[&run[..], &["ec:1", "no-such"]].concat()).fails_with(127);
    assert!(missing.stderr.starts_with("docker: Error response from daemon: "), "{}", missing.stderr);
    client.run(&[&run[..], &["ec:1", "/etc"]].concat()).fails_with(126);
    client.run(&[&run[..], &["--pull", "never", "ec:none"]].concat()).fails_with(125);
    // The end of our input is the end of theirs, and the output after it comes whole.
    let (code, out) = client.fed(&[&run[..], &["-i", "ec:1", "sh", "-c", "cat; echo end"]].concat(), b"in\n");
    assert_eq!((code, out), (Some(0), b"in\nend\n".to_vec()));
}

fn life(client: &Client) {
    let made = client.ok(&[
        "run",
        "-d",
        "--name",
        "ec-1",
        "--network",
        "none",
        "-e",
        "A=b",
        "-l",
        "k=v",
        "-v",
        "ec-v:/data",
        "--tmpfs",
        "/t:size=1m",
        "-m",
        "64m",
        "--restart",
        "no",
        "ec:1",
        "sh",
        "-c",
        "echo one; echo two >&2; trap 'exit 7' TERM; while :; do sleep 0.1; done",
    ]);
    assert_eq!(made.trim().len(), 64);
    let row =
        client.ok(&["ps", "--filter", "name=ec-1", "--format", "{{.ID}} {{.Image}} {{.State}} {{.Names}}"]);
    assert_eq!(row, format!("{} ec:1 running ec-1\n", &made[..12]));
    assert_eq!(client.ok(&["ps", "-q", "--no-trunc", "--filter", "label=k=v"]), made);
    let shown = client.ok(&["inspect", "ec-1"]);
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(shown[0]["HostConfig"]["Memory"], 64 << 20);
    assert_eq!(shown[0]["HostConfig"]["NetworkMode"], "none");
    assert_eq!(shown[0]["HostConfig"]["Binds"], serde_json::json!(["ec-v:/data"]));
    assert!(client.ok(&["volume", "ls", "-q"]).lines().any(|name| name == "ec-v"));
    wait_until("the log", PATIENCE, || client.run(&["logs", "ec-1"]).stderr == "two\n");
    let log = client.run(&["logs", "--timestamps", "--since", "1h", "ec-1"]).success();
    assert!(log.stdout.ends_with("Z one\n") && log.stderr.ends_with("Z two\n"), "{log:?}");
    let said = client.run(&["exec", "-w", "/t", "ec-1", "sh", "-c", "echo $A; pwd; exit 5"]).fails_with(5);
    assert_eq!(said.stdout, "b\n/t\n");
    let noise: Vec<u8> = (0..3_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let (code, echoed) = client.fed(&["exec", "-i", "ec-1", "cat"], &noise);
    assert!(code == Some(0) && echoed == noise, "bytes come back as they went");
    let busy = client.run(&["rm", "ec-1"]).fails_with(1);
    assert!(busy.stderr.starts_with("Error response from daemon: "), "{}", busy.stderr);
    assert_eq!(client.ok(&["pause", "ec-1"]), "ec-1\n");
    assert_eq!(client.ok(&["unpause", "ec-1"]), "ec-1\n");
    assert_eq!(client.ok(&["rename", "ec-1", "ec-2"]), "");
    assert_eq!(client.ok(&["stop", "-t", "60", "ec-2"]), "ec-2\n");
    assert_eq!(client.ok(&["wait", "ec-2"]), "7\n");
    assert_eq!(client.ok(&["rm", "ec-2"]), "ec-2\n");
    let gone = client.run(&["inspect", "ec-2"]).fails_with(1);
    assert_eq!((gone.stdout.as_str(), gone.stderr.as_str()), ("[]\n", "error: no such object: ec-2\n"));
    client.ok(&["rm", "-f", "ec-2"]);
}

/// What is measured of a container that runs.
fn measures(client: &Client) {
    client.ok(&["run", "-d", "--name", "ec-1", "--network", "none", "ec:1", "sleep", "1000"]);
    assert!(client.ok(&["top", "ec-1"]).starts_with("UID  "), "top has titles");
    assert!(client.ok(&["stats", "--no-stream", "--format", "{{.Name}}", "ec-1"]).starts_with("ec-1"));
    assert!(client.ok(&["system", "df"]).starts_with("TYPE  "));
    client.ok(&["rm", "-f", "ec-1"]);
}

fn files(client: &Client) {
    client.ok(&["create", "--name", "ec-1", "--network", "none", "ec:1", "sh", "-c", "cat /d/f; exec ls /e"]);
    client.env.write("d/f", "content\n");
    client.env.write("d/g", "");
    client.ok(&["cp", "d", "ec-1:/"]);
    client.ok(&["cp", "d/.", "ec-1:/e"]);
    assert_eq!(client.ok(&["start", "-a", "ec-1"]), "content\nf\ng\n");
    client.ok(&["cp", "ec-1:/d/f", "back"]);
    client.ok(&["cp", "ec-1:/d", "folder"]);
    for name in ["back", "folder/f"] {
        let text = std::fs::read_to_string(client.env.work().join(name)).expect(name);
        assert_eq!(text, "content\n");
    }
    let missing = client.run(&["cp", "ec-1:/nope", "."]).fails_with(1);
    assert!(missing.stderr.contains("Could not find the file /nope in container ec-1"), "{}", missing.stderr);
    assert!(client.ok(&["diff", "ec-1"]).lines().any(|line| line == "A /d/f"));
    let id = client.ok(&["commit", "-m", "why", "-c", "ENV Q=1", "ec-1", "ec:committed"]);
    assert_eq!(client.ok(&["image", "inspect", "-f", "{{.Id}}", "ec:committed"]), id);
    client.ok(&["rm", "ec-1"]);
}

fn signals_and_terminals(client: &Client) {
    let script = "trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.1; done";
    let words = ["run", "--rm", "--name", "ec-3", "--network", "none", "ec:1", "sh", "-c", script];
    let mut command = client.env.skiff(&words);
    command.env("DOCKER_HOST", &client.host).stdout(Stdio::piped());
    let child = command.spawn().expect("the binary starts");
    wait_until("the trap", PATIENCE, || client.run(&["logs", "ec-3"]).stdout == "ready\n");
    let pid = i32::try_from(child.id()).expect("a pid");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM).expect("sent");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), output.stdout), (Some(9), b"ready\ncaught\n".to_vec()));

    let words = ["run", "-it", "--name", "ec-3", "--network", "none", "ec:1", "sh"];
    let mut command = client.env.skiff(&words);
    command.env("DOCKER_HOST", &client.host);
    let mut terminal = Pty::start(&command, 30, 90);
    terminal.wait_for("#");
    terminal.type_in("while [ \"$(stty size)\" != '30 90' ]; do sleep 0.1; done; echo first-$((1+1))\r");
    terminal.wait_for("first-2");
    terminal.resize(40, 100);
    terminal.type_in("while [ \"$(stty size)\" != '40 100' ]; do sleep 0.1; done; echo then-$((1+1))\r");
    terminal.wait_for("then-2");
    // The keys leave it running.
    terminal.type_in("\u{10}\u{11}");
    assert_eq!(terminal.code(), Some(0));
    assert_eq!(client.ok(&["inspect", "-f", "{{.State.Running}}", "ec-3"]), "true\n");
    let mut command = client.env.skiff(&["attach", "ec-3"]);
    command.env("DOCKER_HOST", &client.host);
    let mut terminal = Pty::start(&command, 30, 90);
    terminal.type_in("\recho again-$((1+1)); exit 4\r");
    terminal.wait_for("again-2");
    assert_eq!(terminal.code(), Some(4));
    client.ok(&["rm", "ec-3"]);
}

fn build(client: &Client) {
    client
        .env
        .write("b/Dockerfile", "FROM ec:1\nARG A\nCOPY . /x\nRUN echo arg-$A; ls /x; test ! -e /x/left\n");
    client.env.write("b/.dockerignore", "left\nDockerfile\n");
    client.env.write("b/left", "");
    client.env.write("b/taken", "");
    let built = client.ok(&["build", "-t", "ec:built", "--network", "none", "--build-arg", "A=5", "b"]);
    for part in ["arg-5\n", "taken\n", "Successfully tagged ec:built\n"] {
        assert!(built.contains(part), "{part}: {built}");
    }
    client.env.write("c/Dockerfile", "FROM ec:1\nRUN exit 9\n");
    let failed = client.run(&["build", "--network", "none", "c"]).fails_with(9);
    assert!(failed.stderr.contains("returned a non-zero code: 9"), "{}", failed.stderr);
}

fn looks(client: &Client) {
    let version = client.ok(&["version", "-f", "{{.Server.Version}} {{.Client.ApiVersion}}"]);
    assert!(version.split_whitespace().count() == 2, "{version}");
    assert!(client.ok(&["info"]).contains("\n Server Version: "));
    assert!(client.ok(&["network", "ls", "--format", "{{.Name}}"]).lines().any(|name| name == "none"));
    let seen = client.ok(&["events", "--since", "10m", "--until", "0s", "--format", "{{.Type}} {{.Action}}"]);
    assert!(seen.lines().any(|line| line == "container die"), "{seen}");
    // An older version is fixed by its user.
    let old = client.env.run_with(
        &["ps", "--format", "{{.ID}}"],
        &[("DOCKER_HOST", client.host.as_str()), ("DOCKER_API_VERSION", "1.40")],
    );
    assert_eq!(old.success().stderr, "");
    let new = client
        .env
        .run_with(&["ps"], &[("DOCKER_HOST", client.host.as_str()), ("DOCKER_API_VERSION", "1.99")])
        .fails_with(1);
    assert!(new.stderr.contains("client version 1.99 is too new"), "{}", new.stderr);
}

fn contexts(client: &Client) {
    let env = &client.env;
    env.ok(&[
        "context",
        "create",
        "far",
        "--description",
        "an engine",
        "--docker",
        &format!("host={}", client.host),
    ]);
    let listed = env.ok(&["context", "ls", "--format", "{{.Name}} {{.Current}} {{.Description}}"]);
    assert_eq!(listed, "default true The local store\nfar false an engine\n");
    let by_flag = env.ok(&["--context", "far", "version", "-f", "{{.Client.Context}}"]);
    assert_eq!(by_flag, "far\n");
    assert_eq!(env.run(&["context", "use", "far"]).success().stdout, "far\n");
    assert_eq!(env.ok(&["context", "show"]), "far\n");
    assert_eq!(env.ok(&["version", "-f", "{{.Client.Context}}"]), "far\n");
    // A host goes before the current context.
    env.run(&["-H", "unix:///nope", "ps"]).fails_with(1);
    let used = env.run(&["context", "rm", "far"]).fails_with(1);
    assert!(used.stderr.contains("context \"far\" is in use"), "{}", used.stderr);
    env.ok(&["context", "rm", "-f", "far"]);
    assert_eq!(env.ok(&["context", "ls", "-q"]), "default\n");
}

#[test]
fn a_real_engine_does_what_its_own_client_has_it_do() {
    let Some(peer) = Peer::start() else { return };
    let client = Client::new(peer.host());
    client.clean();
    images(&client);
    codes_and_streams(&client);
    life(&client);
    measures(&client);
    files(&client);
    signals_and_terminals(&client);
    build(&client);
    looks(&client);
    contexts(&client);
    // What was made here is what the engine's own client sees.
    assert!(peer.docker(&["images", "-q", "ec:built"]).len() > 12);
}

#[test]
fn our_own_service_does_the_same() {
    if !support::is_root() {
        return;
    }
    let served = TestEnv::new();
    let engine = Engine::start(&served);
    let client = Client::new(engine.host());
    images(&client);
    codes_and_streams(&client);
    life(&client);
    measures(&client);
    files(&client);
    signals_and_terminals(&client);
    build(&client);
    looks(&client);
    contexts(&client);
    // What was made over the API is what the store has without it.
    assert_eq!(served.ok(&["images", "-q", "ec:built"]).lines().count(), 1);
}
