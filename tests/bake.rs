//! `bake`: what files resolve to is what docker's own command printed, and the builds run.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{TestEnv, is_root, peer::Peer, repository};

/// A folder of `testdata/bake`: files, and in `cases` one command line each, variables first.
struct Folder {
    path: PathBuf,
    cases: Vec<Case>,
}

struct Case {
    line: String,
    variables: Vec<(String, String)>,
    words: Vec<String>,
    /// What docker printed; of a failure the message alone.
    expected: String,
}

fn folders() -> Vec<Folder> {
    let mut found = Vec::new();
    for entry in fs::read_dir(repository().join("testdata/bake")).unwrap() {
        let path = entry.unwrap().path();
        let expected = fs::read_to_string(path.join("expected")).unwrap();
        let mut expected = expected.split("=== ").skip(1).map(|text| text.split_once('\n').unwrap());
        let lines = fs::read_to_string(path.join("cases")).unwrap();
        let cases = lines.lines().map(|line| {
            let (title, expected) = expected.next().unwrap();
            assert_eq!(title, line, "{}: cases and expected go together", path.display());
            case(line, expected)
        });
        let cases = cases.collect();
        found.push(Folder { path, cases });
    }
    found
}

fn case(line: &str, expected: &str) -> Case {
    let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let mut variables = Vec::new();
    while let Some((name, value)) =
        words.first().filter(|w| !w.starts_with('-')).and_then(|w| w.split_once('='))
    {
        variables.push((name.to_owned(), value.to_owned()));
        words.remove(0);
    }
    if !words.iter().any(|word| word == "--list") {
        words.insert(0, "--print".to_owned());
    }
    words.splice(0..0, ["--progress".to_owned(), "quiet".to_owned()]);
    Case { line: line.to_owned(), variables, words, expected: expected.to_owned() }
}

fn result(output: &std::process::Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        return String::from_utf8_lossy(&output.stdout).into_owned();
    }
    let message = said.rfind("ERROR:").map_or(&*said, |at| &said[at..]);
    // HCL's own library goes on after the first mistake.
    message.replace(", and 1 other diagnostic(s)", "")
}

fn run(mut command: Command, case: &Case, place: &Path) -> String {
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", "/root");
    command.envs(case.variables.iter().map(|(k, v)| (k, v))).args(&case.words);
    result(&command.current_dir(place).output().unwrap())
}

#[test]
fn files_resolve_to_what_docker_prints() {
    let mut count = 0;
    for folder in folders() {
        for case in &folder.cases {
            let mut command = Command::new(env!("CARGO_BIN_EXE_skiff"));
            command.arg("bake");
            let got = run(command, case, &folder.path);
            assert_eq!(got, case.expected, "{}: {}", folder.path.display(), case.line);
            count += 1;
        }
    }
    assert!(count > 60, "{count}");
}

#[test]
fn the_expected_texts_are_docker_s() {
    let Some(peer) = Peer::start() else { return };
    let mut wrong = Vec::new();
    for folder in folders() {
        let place = tempfile::tempdir_in(peer.root().join("work")).unwrap();
        // Under its own name, by which some of its files find others.
        let copied = Command::new("cp").arg("-r").arg(&folder.path).arg(place.path()).status().unwrap();
        assert!(copied.success());
        let copy = place.path().join(folder.path.file_name().unwrap());
        let inside = Path::new("/").join(copy.strip_prefix(peer.root()).unwrap());
        // Where our text is meant to differ, the folder says so.
        let own = fs::read_to_string(folder.path.join("own")).unwrap_or_default();
        for case in folder.cases.iter().filter(|case| !own.lines().any(|line| line == case.line)) {
            let mut command = Command::new("chroot");
            command.arg(peer.root()).args(["/bin/sh", "-c", "cd \"$0\" && exec docker buildx bake \"$@\""]);
            command.arg(&inside);
            let got = run(command, case, Path::new("/"));
            if lines(&got) != lines(&case.expected) {
                wrong.push(format!("{}: {}\n{got}", folder.path.display(), case.line));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The lines in an order of ours: docker walks a matrix of several keys in another order each time.
fn lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().map(|line| line.trim_end_matches(',')).collect();
    lines.sort_unstable();
    lines
}

fn read(env: &TestEnv, path: &str) -> String {
    fs::read_to_string(env.work().join(path)).unwrap()
}

const FILE: &str = r#"
variable "WHO" { default = "world" }
group "default" { targets = ["app"] }
target "base" {
  dockerfile-inline = "FROM busybox\nRUN echo base > /base\n"
}
target "app" {
  contexts = { root = "target:base" }
  dockerfile-inline = <<-EOT
    FROM root AS one
    ARG WHO
    RUN echo "hello $WHO" > /hello
    FROM root AS two
    COPY --from=one /hello /hi
  EOT
  args = { WHO = WHO }
  tags = ["app:1"]
}
target "files" {
  name   = "files-${n}"
  matrix = { n = ["a", "b"] }
  dockerfile-inline = "FROM scratch\nARG N\nCOPY <<EOF /name\n$${N}\nEOF\n"
  args   = { N = n }
  output = ["type=local,dest=out-${n}"]
}
"#;

#[test]
fn targets_are_built_after_those_they_need() {
    if !is_root() {
        return;
    }
    let env = TestEnv::new().with_busybox();
    env.write("docker-bake.hcl", FILE);
    let ran = env.run(&["bake", "--progress", "plain", "--metadata-file", "meta.json", "--var", "WHO=there"]);
    let said = ran.success().stderr;
    assert!(said.contains("[base") && said.contains("[app"), "{said}");
    let shown = env.ok(&["run", "--rm", "app:1", "cat", "/base", "/hi"]);
    assert_eq!(shown, "base\nhello there\n");
    let meta: serde_json::Value = serde_json::from_str(&read(&env, "meta.json")).unwrap();
    let id = env.ok(&["image", "inspect", "-f", "{{.Id}}", "app:1"]);
    assert_eq!(meta["app"]["containerimage.config.digest"], id.trim(), "{meta}");
    assert_eq!(meta["app"]["image.name"], "docker.io/library/app:1", "{meta}");
    env.ok(&["bake", "files", "--allow", "fs.write=."]);
    assert_eq!((read(&env, "out-a/name").as_str(), read(&env, "out-b/name").as_str()), ("a\n", "b\n"));
}

#[test]
fn compose_services_are_built() {
    if !is_root() {
        return;
    }
    let env = TestEnv::new().with_busybox();
    env.write(".env", "GREETING=hey\n");
    env.write(
        "compose.yaml",
        "services:\n  db: { image: other }\n  web:\n    image: web:${TAG:-1}\n    build:\n      context: ./web\n\
         \x20     args: [ GREETING ]\n      additional_contexts: { lib: service:lib.x }\n  lib.x:\n    build:\n\
         \x20     context: .\n      dockerfile_inline: |\n        FROM busybox\n        RUN echo ${GREETING} > /lib\n",
    );
    env.write("web/Dockerfile", "FROM lib\nARG GREETING\nRUN echo $GREETING > /web\n");
    env.ok(&["bake", "web"]);
    assert_eq!(env.ok(&["run", "--rm", "web:1", "cat", "/lib", "/web"]), "hey\nhey\n");
}

#[test]
fn a_failed_target_is_named_and_others_stop() {
    if !is_root() {
        return;
    }
    let env = TestEnv::new().with_busybox();
    env.write(
        "docker-bake.hcl",
        "target \"bad\" {\n  dockerfile-inline = \"FROM busybox\\nRUN exit 7\\n\"\n}\n",
    );
    let ran = env.run(&["bake", "--progress", "plain", "bad"]);
    let said = ran.fails_with(1).stderr;
    assert!(said.contains("ERROR: target bad: failed to solve:"), "{said}");
    assert!(said.contains("exit code: 7"), "{said}");
    let said = env.run(&["bake", "https://example.com/x.git"]).fails_with(1).stderr;
    assert!(said.contains("not available in this version"), "{said}");
    let said = env.run(&["bake", "nope"]).fails_with(1).stderr;
    assert!(said.contains("failed to find target nope"), "{said}");
}

#[test]
fn checks_and_calls_build_nothing() {
    let env = TestEnv::new();
    env.write("docker-bake.hcl", "target \"default\" {}\ntarget \"good\" {\n  dockerfile = \"Good\"\n}\n");
    env.write("Dockerfile", "from scratch\nCOPY . /\n");
    env.write("Good", "FROM scratch AS only\nCOPY . /\n");
    let ran = env.run(&["bake", "--check"]);
    let said = ran.fails_with(1);
    assert!(format!("{}{}", said.stdout, said.stderr).contains("ConsistentInstructionCasing"), "{said:?}");
    env.ok(&["bake", "--check", "good"]);
    assert!(env.ok(&["bake", "--call", "targets", "good"]).contains("only"));
    assert_eq!(env.ok(&["images", "-q"]), "");
}
