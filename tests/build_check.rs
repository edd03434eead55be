//! `build --check` and `--call`: what is printed for the Dockerfiles of `testdata/dockerfiles/check` and
//! `outline`, once against `expected.txt`, once against a real BuildKit.
//!
//! A case may have `args` (further build arguments, one a line) and `differs` (why the peer says
//! something else). `SKIFF_BLESS=1` writes the expectations anew.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use support::peer::Peer;
use support::{TestEnv, base, repository};

fn cases(kind: &str) -> Vec<PathBuf> {
    let folder = repository().join("testdata/dockerfiles").join(kind);
    let mut all: Vec<PathBuf> =
        fs::read_dir(folder).expect("the cases are there").flatten().map(|entry| entry.path()).collect();
    all.sort();
    all
}

fn name(case: &Path) -> String {
    case.file_name().expect("a folder").to_string_lossy().into_owned()
}

fn arguments(case: &Path) -> Vec<String> {
    let text = fs::read_to_string(case.join("args")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Standard output, standard error without progress and the final list, exit code.
#[derive(PartialEq, Debug)]
struct Said {
    out: String,
    err: String,
    code: Option<i32>,
}

fn skiff(env: &TestEnv, case: &Path, call: &str) -> Said {
    let mut words = vec!["build".to_owned(), format!("--call={call}")];
    words.extend(arguments(case));
    words.push(case.display().to_string());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ran = env.run(&words);
    let place = format!("{}/", case.display());
    Said { out: ran.stdout.replace(&place, ""), err: errors(&ran.stderr.replace(&place, "")), code: ran.code }
}

fn peer(peer: &Peer, kind: &str, case: &Path, call: &str) -> Said {
    let inside = format!("/work/{kind}/{}", name(case));
    let mut words =
        vec!["buildx".to_owned(), "build".into(), "--progress=plain".into(), format!("--call={call}")];
    words.extend(arguments(case));
    words.push(inside.clone());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let output = peer.try_docker(&words);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&format!("{inside}/"), "");
    Said { out: text(&output.stdout), err: errors(&text(&output.stderr)), code: output.status.code() }
}

/// What stays of standard error: no progress, no list of warnings, no blank lines.
fn errors(text: &str) -> String {
    let talk = |line: &&str| {
        let line = line.trim_start_matches("\x1b[0m");
        !(line.trim().is_empty()
            || line.starts_with('#')
            || line.starts_with(" \x1b")
            || line.starts_with(" - "))
    };
    text.lines().filter(talk).map(|line| format!("{line}\n")).collect()
}

#[test]
fn what_is_printed_is_as_expected() {
    let env = TestEnv::new().with_busybox();
    let mut wrong = Vec::new();
    for (kind, calls) in
        [("check", &["check"][..]), ("outline", &["outline", "targets", "outline,format=json"])]
    {
        for case in cases(kind) {
            let mut got = String::new();
            for call in calls {
                let said = skiff(&env, &case, call);
                got +=
                    &format!("== {call}: {}\n{}-- stderr\n{}", said.code.unwrap_or(-1), said.out, said.err);
            }
            let path = case.join("expected.txt");
            if std::env::var_os("SKIFF_BLESS").is_some() {
                fs::write(&path, &got).expect("expectations are writable");
            } else if fs::read_to_string(&path).unwrap_or_default() != got {
                wrong.push(format!("===== {kind}/{}\n{got}", name(&case)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every rule is found by some case.
#[test]
fn every_rule_has_a_case() {
    let mut found = BTreeSet::new();
    for case in cases("check") {
        let text = fs::read_to_string(case.join("expected.txt")).expect("expectations are there");
        found.extend(text.lines().filter_map(|line| {
            Some(line.strip_prefix("WARNING: ")?.split(' ').next().unwrap_or_default().to_owned())
        }));
    }
    for rule in skiff::lint::RULES {
        assert!(found.contains(rule.name) || rule.name == "InvalidBaseImagePlatform", "{}", rule.name);
    }
}

/// Of equal lines BuildKit reports variables in any order.
fn sorted(text: &str) -> Vec<String> {
    let mut blocks: Vec<String> = text.split("\nWARNING: ").map(|block| block.trim().to_owned()).collect();
    blocks[1..].sort();
    blocks
}

fn sorted_json(text: &str) -> Value {
    let mut value: Value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
    if let Some(sources) = value.get_mut("sources").and_then(Value::as_array_mut) {
        // How the peer came by the file is its own.
        sources
            .iter_mut()
            .filter_map(Value::as_object_mut)
            .for_each(|source| drop(source.remove("definition")));
    }
    if let Some(warnings) = value.get_mut("warnings").and_then(Value::as_array_mut) {
        warnings.sort_by_key(Value::to_string);
    }
    value
}

#[test]
fn buildkit_prints_the_same() {
    let Some(engine) = Peer::start() else { return };
    let env = TestEnv::new().with_busybox();
    let work = engine.root().join("work");
    fs::create_dir_all(&work).expect("the root is writable");
    fs::copy(base("busybox.tar"), work.join("busybox.tar")).expect("the base can be copied");
    engine.docker(&["import", "--change", r#"CMD ["sh"]"#, "/work/busybox.tar", "busybox:latest"]);
    let mut wrong = Vec::new();
    for (kind, calls) in [
        ("check", ["check", "check,format=json"]),
        ("outline", ["outline", "outline,format=json"]),
        ("outline", ["targets", "targets,format=json"]),
    ] {
        let folder = repository().join("testdata/dockerfiles").join(kind);
        let copied = Command::new("cp").arg("-a").arg(&folder).arg(&work).status();
        assert!(copied.is_ok_and(|status| status.success()), "cp failed");
        for case in cases(kind).into_iter().filter(|case| !case.join("differs").exists()) {
            for call in calls {
                let (ours, theirs) = (skiff(&env, &case, call), peer(&engine, kind, &case, call));
                let same_out = match call.ends_with("json") {
                    true => sorted_json(&ours.out) == sorted_json(&theirs.out),
                    false => sorted(&ours.out) == sorted(&theirs.out),
                };
                if !same_out || ours.err != theirs.err || ours.code != theirs.code {
                    wrong.push(format!("===== {kind}/{} {call}\n{ours:#?}\n{theirs:#?}", name(&case)));
                }
            }
        }
        let _ = fs::remove_dir_all(work.join(kind));
    }
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_build_tells_what_checks_find() {
    let env = TestEnv::new().with_busybox();
    env.write("app/Dockerfile", "FROM busybox as a\nRUN true\nMAINTAINER x\n");
    let app = env.work().join("app").display().to_string();
    let ran = env.run(&["build", "--progress=plain", &app]).success();
    assert!(ran.stderr.contains("#1 WARN: FromAsCasing: "), "{}", ran.stderr);
    let list = "\n 2 warnings found (use --debug to expand):\n - FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 1)\n - MaintainerDeprecated: ";
    assert!(ran.stderr.contains(list), "{}", ran.stderr);
    let ran = env.run(&["--debug", "build", "--progress=plain", &app]).success();
    let detail = " - FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 1)\nThe 'as' keyword should match the case of the 'from' keyword\nMore info: https://docs.docker.com/go/dockerfile/rule/from-as-casing/\nDockerfile:1\n--------------------\n   1 | >>> FROM busybox as a\n";
    assert!(ran.stderr.contains(detail), "{}", ran.stderr);
    let quiet = env.run(&["build", "-q", &app]).success();
    assert_eq!((quiet.stdout.lines().count(), quiet.stderr.as_str()), (1, ""));
    let skipped = env.run(&["build", "--build-arg", "BUILDKIT_DOCKERFILE_CHECK=skip=all", &app]).success();
    assert!(!skipped.stderr.contains("warning"), "{}", skipped.stderr);
}

#[test]
fn an_error_directive_fails_the_build_before_its_first_step() {
    let env = TestEnv::new().with_busybox();
    env.write("app/Dockerfile", "# check=error=true\nFROM busybox as a\nRUN echo never run\n");
    let app = env.work().join("app").display().to_string();
    let ran = env.run(&["build", "--progress=plain", &app]).fails_with(1);
    let error = "ERROR: failed to build: failed to solve: lint violation found for rules: FromAsCasing";
    assert!(ran.stderr.contains(error) && !ran.stderr.contains("never run\n#"), "{}", ran.stderr);
}

#[test]
fn a_check_takes_its_file_from_anywhere() {
    let env = TestEnv::new().with_busybox();
    let file = env.write("Other", "FROM busybox as a\n");
    env.write("app/x", "");
    let app = env.work().join("app").display().to_string();
    let ran = env.run(&["build", "--check", "-f", &file.display().to_string(), &app]).fails_with(1);
    assert!(ran.stdout.contains(&format!("\n{}:1\n", file.display())), "{}", ran.stdout);
    let ran = env.run(&["build", "--call=check,ignorestatus=true", "-f", &file.display().to_string(), &app]);
    assert_eq!(ran.code, Some(0));
    let ran = env.run(&["build", "--call=nonsense", &app]).fails_with(1);
    assert!(ran.stderr.contains("unsupported request frontend.nonsense"), "{}", ran.stderr);
    let ran =
        env.run(&["build", "--call=subrequests.describe", "-f", &file.display().to_string(), &app]).success();
    assert!(ran.stdout.starts_with("NAME                 VERSION DESCRIPTION\n"), "{}", ran.stdout);
}
