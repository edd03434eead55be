//! What a build shows: `--progress`, BuildKit's variables, the block at the end of a failure, exit codes.

mod support;

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;
use support::pty::Pty;
use support::{Ran, TestEnv};

const FAILS: &str = "\
FROM busybox as base
RUN echo kept
RUN for n in 1 2 3 4 5 6 7 8 9 10 11 12; do echo line $n; done; echo problem >&2; exit 3
";

fn app(dockerfile: &str) -> (TestEnv, String) {
    let env = TestEnv::new().with_busybox();
    env.write("app/Dockerfile", dockerfile);
    let app = env.work().join("app").display().to_string();
    (env, app)
}

fn objects(ran: &Ran) -> Vec<Value> {
    let lines = ran.stderr.lines().take_while(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str(line).expect("an object a line")).collect()
}

/// Reads base64 with the shell's tool, which a reader of the stream has as well.
fn plain(text: &Value) -> String {
    let script = format!("printf %s '{}' | base64 -d", text.as_str().unwrap_or_default());
    let output = Command::new("sh").args(["-c", &script]).output().expect("sh starts");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn rawjson_is_buildkits_status() {
    let (env, app) = app(FAILS);
    let ran = env.run(&["build", "--progress=rawjson", &app]).fails_with(1);
    let all = objects(&ran);
    let list =
        |key: &str| -> Vec<&Value> { all.iter().filter_map(|one| one[key].as_array()).flatten().collect() };
    let failed = list("vertexes").into_iter().find(|one| one["error"].is_string()).expect("a failed step");
    assert!(failed["digest"].as_str().is_some_and(|text| text.starts_with("sha256:")), "{failed}");
    assert!(failed["started"].is_string() && failed["completed"].is_string(), "{failed}");
    assert!(failed["error"].as_str().is_some_and(|text| text.ends_with("exit code: 3")), "{failed}");
    let digests: BTreeSet<&str> = list("vertexes").iter().filter_map(|one| one["digest"].as_str()).collect();
    let logs = list("logs");
    assert!(logs.iter().all(|log| digests.contains(log["vertex"].as_str().unwrap_or_default())));
    let said = |stream: u64| -> String {
        logs.iter().filter(|log| log["stream"] == stream).map(|log| plain(&log["data"])).collect()
    };
    assert!(said(1).contains("kept\n") && said(1).contains("line 12\n"), "{}", said(1));
    assert_eq!(said(2), "problem\n");
    let warning = list("warnings")[0];
    assert_eq!(
        plain(&warning["short"]),
        "FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 1)"
    );
    assert_eq!(plain(&warning["sourceInfo"]["data"]), FAILS);
    assert_eq!(warning["range"][0]["start"]["line"], 1);
    // Behind the objects the lines and the error stand as in every mode.
    assert!(ran.stderr.contains("\nDockerfile:3\n--------------------\n"), "{}", ran.stderr);
    let again = env.run(&["build", "--progress=rawjson", &app]).fails_with(1);
    assert!(objects(&again).iter().any(|one| one["vertexes"][0]["cached"] == true), "{}", again.stderr);
}

#[test]
fn a_failure_ends_with_the_last_lines_the_file_and_the_error() {
    let (env, app) = app(FAILS);
    let ran = env.run(&["build", "--progress=plain", &app]).fails_with(1);
    let (_, end) = ran.stderr.rsplit_once("\n------\n > ").unwrap_or_else(|| panic!("{}", ran.stderr));
    assert!(!end.contains(" line 2\n") && end.contains(" line 12\n"), "{end}");
    let order = [
        "line 12\n",
        "problem\n",
        "------\n",
        " 1 warning found",
        "Dockerfile:3\n",
        "   3 | >>> RUN",
        "ERROR: failed to build: failed to solve: process \"/bin/sh -c",
    ];
    let places: Vec<_> =
        order.iter().map(|part| end.find(part).unwrap_or_else(|| panic!("no {part} in\n{end}"))).collect();
    assert!(places.is_sorted(), "{places:?}\n{end}");
    assert!(end.trim_end().ends_with("did not complete successfully: exit code: 3"), "{end}");
}

#[test]
fn the_variable_counts_where_nothing_is_asked_for() {
    let (env, app) = app("FROM busybox\nRUN true\n");
    let json = env.run_with(&["build", &app], &[("BUILDKIT_PROGRESS", "rawjson")]).success();
    assert!(json.stderr.starts_with('{'), "{}", json.stderr);
    let plain =
        env.run_with(&["build", "--progress=plain", &app], &[("BUILDKIT_PROGRESS", "rawjson")]).success();
    assert!(plain.stderr.starts_with("#1 "), "{}", plain.stderr);
    let quiet = env.run_with(&["build", "-q", &app], &[("BUILDKIT_PROGRESS", "plain")]).success();
    assert!(quiet.stderr.is_empty() && quiet.stdout.starts_with("sha256:"), "{}", quiet.stderr);
    let both = env.run(&["build", "-q", "--progress=plain", &app]).fails_with(1);
    assert!(both.stderr.contains("progress=plain and quiet cannot be used together"), "{}", both.stderr);
    let wrong = env.run_with(&["build", &app], &[("BUILDKIT_PROGRESS", "fancy")]).fails_with(1);
    assert!(wrong.stderr.contains("invalid progress mode fancy"), "{}", wrong.stderr);
}

#[test]
fn names_are_cut_when_asked() {
    let long = format!("FROM busybox\nRUN true {}\n", "x".repeat(200));
    let (env, app) = app(&long);
    let cut = env.run_with(&["build", "--progress=plain", &app], &[("PROGRESS_NO_TRUNC", "0")]).success();
    assert!(cut.stderr.contains("x...\n") && !cut.stderr.contains(&"x".repeat(100)), "{}", cut.stderr);
    let whole = env.run(&["build", "--progress=plain", "--no-cache", &app]).success();
    assert!(whole.stderr.contains(&"x".repeat(200)), "{}", whole.stderr);
}

#[test]
fn a_terminal_has_the_colours_and_lines_that_are_asked_for() {
    let (env, app) = app("FROM busybox\nARG T\nRUN seq 20; sleep $T\n");
    let begun = |time: &str, variables: &[(&str, &str)]| {
        let time = format!("--build-arg=T={time}");
        let mut command = env.skiff(&["build", "--progress=tty", "--no-cache", &time, &app]);
        command.env("TERM", "xterm").envs(variables.iter().copied());
        // As a shell starts what runs beside it: the signals that end the build are ignored.
        let mut ignoring = Command::new("sh");
        ignoring
            .args(["-c", "trap '' INT HUP; exec \"$@\"", "sh"])
            .arg(command.get_program())
            .args(command.get_args());
        ignoring.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
        ignoring.current_dir(env.work());
        Pty::start(&ignoring, 24, 80)
    };
    // The step goes on until its lines were seen.
    let mut screen = begun("300", &[("BUILDKIT_COLORS", "run=green"), ("BUILDKIT_TTY_LOG_LINES", "2")]);
    screen.wait_for("=> # 20");
    screen.type_in("\x03");
    let (green, code) = screen.finish();
    assert_eq!(code, Some(130), "{green}");
    assert!(green.contains("\x1b[32m =>") && !green.contains("\x1b[34m"), "{green}");
    assert!(
        green.contains("=> # 19")
            && green.contains("=> # 20")
            && !green.contains(
                "=> # 18\x1b[0m\r\n\r\x1b[2K\x1b[2m => => # 19\x1b[0m\r\n\r\x1b[2K\x1b[2m => => # 20"
            ),
        "{green}"
    );
    // Such a build also outlives its terminal, if it is told to.
    let screen = begun("2", &[]);
    screen.wait_for("=> # 20");
    screen.signal(rustix::process::Signal::HUP);
    let (whole, code) = screen.finish();
    assert!(code == Some(0) && whole.contains("FINISHED"), "{code:?} {whole}");
    let (grey, _) = begun("0", &[("NO_COLOR", "1")]).finish();
    assert!(!grey.contains("\x1b[34m") && grey.contains("FINISHED"), "{grey}");
}
