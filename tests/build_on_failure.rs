//! `build --on-failure`: a shell in the failed step's state on a terminal, an image of it where there is none.

mod support;

use std::io::Write as _;
use std::process::{Command, Stdio};

use support::{TestEnv, is_root};

const FILE: &str = "\
FROM busybox
ARG V=7
ENV A=b
WORKDIR /w
RUN --mount=type=secret,id=s --mount=type=cache,target=/c \
  echo made > /made; echo in > /c/x; test -s /run/secrets/s; exit 3
";

fn app() -> (TestEnv, String, String) {
    let env = TestEnv::new().with_busybox();
    env.write("app/Dockerfile", FILE);
    let secret = format!("--secret=id=s,src={}", env.write("secret", "s3cret\n").display());
    let app = env.work().join("app").display().to_string();
    (env, secret, app)
}

#[test]
fn without_a_terminal_the_state_is_an_image_to_enter() {
    let (env, secret, app) = app();
    let ran = env.run(&["build", "--on-failure=shell", &secret, &app]).fails_with(1);
    let name = ran.stderr.split("are kept as image ").nth(1).and_then(|rest| rest.split(',').next());
    let name = name.unwrap_or_else(|| panic!("no name in {}", ran.stderr)).to_owned();
    assert!(ran.stderr.contains("ERROR: failed to build: failed to solve: process "), "{}", ran.stderr);
    assert!(ran.stderr.contains(&format!("skiff run -it --rm {name}")), "{}", ran.stderr);
    let inside = "pwd; echo $A $V; cat /made; ls /c /run/secrets 2>&1; true";
    let said = env.ok(&["run", "--rm", "--network=none", &name, "sh", "-c", inside]);
    assert!(said.starts_with("/w\nb 7\nmade\n"), "{said}");
    assert!(said.contains("/c: No such file") && said.contains("/run/secrets: No such file"), "{said}");
    // The same failure has the same name, even if its files have other times, and goes as any image does.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let again = env.run(&["build", "--on-failure=keep", &secret, &app]).fails_with(1);
    assert!(again.stderr.contains(&name), "{}", again.stderr);
    env.ok(&["rmi", &name]);
}

#[test]
fn nothing_secret_is_in_the_image_that_is_kept() {
    let (env, secret, app) = app();
    let ran = env.run(&["build", "--on-failure=keep", &secret, &app]).fails_with(1);
    assert!(!ran.stderr.contains("s3cret"), "{}", ran.stderr);
    let found = Command::new("grep").args(["-rl", "s3cret"]).arg(env.store()).output().expect("grep starts");
    assert_eq!(String::from_utf8_lossy(&found.stdout), "", "the store holds the secret");
}

#[test]
fn without_the_flag_nothing_is_kept() {
    let (env, secret, app) = app();
    let ran = env.run(&["build", &secret, &app]).fails_with(1);
    assert!(!ran.stderr.contains("kept"), "{}", ran.stderr);
    assert!(!env.ok(&["images"]).contains("skiff-failed"));
    let ran = env.run(&["build", "--on-failure=panic", &secret, &app]);
    assert_eq!(ran.code, Some(125), "{}", ran.stderr);
}

#[test]
fn a_step_that_is_stopped_or_no_process_keeps_nothing() {
    let env = TestEnv::new().with_busybox();
    env.write("app/Dockerfile", "FROM busybox\nCOPY missing /x\n");
    let app = env.work().join("app").display().to_string();
    let ran = env.run(&["build", "--on-failure=keep", &app]).fails_with(1);
    assert!(!ran.stderr.contains("kept as"), "{}", ran.stderr);
}

/// Runs a command on a terminal of its own, types `input`, and returns what the terminal showed.
fn on_terminal(command: &Command, input: &str) -> (String, Option<i32>) {
    let quoted = |text: &std::ffi::OsStr| format!("'{}'", text.to_string_lossy());
    let words: Vec<String> =
        std::iter::once(command.get_program()).chain(command.get_args()).map(quoted).collect();
    let mut script = Command::new("script");
    script.args(["-qefc", &words.join(" "), "/dev/null"]).env("TERM", "xterm");
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    let mut child = script
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("script starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    // The terminal holds what is typed until the shell is there; the end of input would end it too early.
    stdin.write_all(input.as_bytes()).expect("script reads");
    let output = child.wait_with_output().expect("script ends");
    drop(stdin);
    (String::from_utf8_lossy(&output.stdout).replace('\r', ""), output.status.code())
}

#[test]
fn on_a_terminal_a_shell_opens_in_the_steps_state() {
    if !is_root() {
        return;
    }
    let (env, secret, app) = app();
    let command = env.skiff(&["build", "--progress=plain", "--on-failure=shell", &secret, &app]);
    let typed = "pwd; echo \"A=$A V=$V\"; cat /made /c/x /run/secrets/s; tty; touch /left; exit\n";
    let (shown, code) = on_terminal(&command, typed);
    assert_eq!(code, Some(1), "{shown}");
    for part in [
        "A shell in this step's state",
        "\n/w\nA=b V=7\nmade\nin\ns3cret\n/dev/pts/0\n",
        "ERROR: failed to build: failed to solve: process ",
    ] {
        assert!(shown.contains(part), "no {part:?} in\n{shown}");
    }
    assert!(!shown.contains("kept as image"), "{shown}");
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("there");
    assert!(!mounts.contains(&env.store().display().to_string()), "{mounts}");
}
