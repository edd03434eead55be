//! The same Dockerfiles built by Skiff and by a real BuildKit: config, history and the whole tree must agree.
//!
//! Every folder of `testdata/dockerfiles/build/` is a case: `Dockerfile` and context files,
//! optionally `setup.sh` (run in a copy of the folder, makes what a repository can't hold),
//! `args` (further build arguments, one a line) and `differs` (why a difference is meant,
//! then lines `ignore: CONFIG-KEY` or `ignore: /path`).

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use support::image::{Archived, read};
use support::peer::Peer;
use support::{TestEnv, base, repository};

/// What `RUN --mount=type=secret` cases read.
const SECRET: (&str, &str) = ("SKIFF_TEST_SECRET", "s3cret");

struct Case {
    name: String,
    folder: PathBuf,
}

impl Case {
    fn lines(&self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.folder.join(file)).unwrap_or_default();
        text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    fn ignored(&self) -> BTreeSet<String> {
        self.lines("differs")
            .iter()
            .filter_map(|line| line.strip_prefix("ignore: ").map(str::to_owned))
            .collect()
    }
}

fn cases() -> Vec<Case> {
    let wanted = std::env::var("SKIFF_CASE").ok();
    let folder = repository().join("testdata/dockerfiles/build");
    let mut cases: Vec<Case> = fs::read_dir(&folder)
        .expect("the cases are in the repository")
        .flatten()
        .map(|entry| Case { name: entry.file_name().to_string_lossy().into_owned(), folder: entry.path() })
        .filter(|case| wanted.as_ref().is_none_or(|wanted| case.name.contains(wanted.as_str())))
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

/// Copies a case below the peer's root, so that both builders see the same inodes' metadata.
fn prepare(case: &Case, peer: &Peer) -> PathBuf {
    let copy = peer.root().join("work").join(&case.name);
    let _ = fs::remove_dir_all(&copy);
    fs::create_dir_all(copy.parent().expect("below the root")).expect("the root is writable");
    let copied = Command::new("cp").arg("-a").arg(&case.folder).arg(&copy).status();
    assert!(copied.is_ok_and(|s| s.success()), "{}: cp failed", case.name);
    if copy.join("setup.sh").exists() {
        let ran = Command::new("sh").arg("setup.sh").current_dir(&copy).status();
        assert!(ran.is_ok_and(|s| s.success()), "{}: setup.sh failed", case.name);
    }
    copy
}

fn differences(case: &Case, ours: &Archived, theirs: &Archived) -> Vec<String> {
    let ignored = case.ignored();
    let mut found = Vec::new();
    let (mine, other) = (comparable(&ours.config), comparable(&theirs.config));
    let keys: BTreeSet<&String> = mine.keys().chain(other.keys()).collect();
    for key in keys {
        if mine.get(key) != other.get(key) && !ignored.contains(key) {
            let show = |v: Option<&Value>| v.map_or("absent".to_owned(), Value::to_string);
            found.push(format!("{key}: ours {} theirs {}", show(mine.get(key)), show(other.get(key))));
        }
    }
    let paths: BTreeSet<&String> = ours.tree.keys().chain(theirs.tree.keys()).collect();
    for path in paths {
        let (mine, other) = (ours.tree.get(path), theirs.tree.get(path));
        if mine != other && !ignored.contains(&format!("/{path}")) {
            found.push(format!("/{path}:\n     ours {mine:?}\n   theirs {other:?}"));
        }
    }
    if ours.layers != theirs.layers && !ignored.contains("layers") {
        found.push(format!("layers: ours {} theirs {}", ours.layers, theirs.layers));
    }
    found
}

/// The parts of a config that two builders must agree on, flat: times and digests are their own.
fn comparable(config: &Value) -> std::collections::BTreeMap<String, Value> {
    let mut flat = std::collections::BTreeMap::new();
    for key in ["architecture", "os", "variant", "author"] {
        if let Some(value) = config.get(key) {
            flat.insert(key.to_owned(), value.clone());
        }
    }
    for (key, value) in config["config"].as_object().into_iter().flatten() {
        flat.insert(format!("config.{key}"), value.clone());
    }
    let history: Vec<Value> = config["history"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|entry| {
            let mut entry = entry.clone();
            if let Some(map) = entry.as_object_mut() {
                map.remove("created");
            }
            entry
        })
        .collect();
    for (n, entry) in history.into_iter().enumerate() {
        flat.insert(format!("history[{n:02}]"), entry);
    }
    flat
}

fn build_pair(case: &Case, env: &TestEnv, peer: &Peer) -> Vec<String> {
    let context = prepare(case, peer);
    let inside = Path::new("/work").join(&case.name);
    let extra = case.lines("args");
    let extra: Vec<&str> = extra.iter().map(String::as_str).collect();
    let ours_tar = env.work().join("ours.tar");
    let theirs_tar = peer.root().join("work").join("theirs.tar");
    let tag = format!("case-{}", case.name.to_lowercase());

    let arguments =
        [&["build", "--network", "host", "-t", &tag][..], &extra, &[context.to_str().unwrap()]].concat();
    let built = env.run_with(&arguments, &[SECRET]);
    if built.code != Some(0) {
        return vec![format!("skiff failed:\n{}", built.stderr)];
    }
    let saved = env.run(&["save", "-o", ours_tar.to_str().unwrap(), &tag]);
    if saved.code != Some(0) {
        return vec![format!("skiff save failed:\n{}", saved.stderr)];
    }
    let arguments = [
        &["build", "--network", "host", "--provenance=false", "-t", &tag][..],
        &extra,
        &[inside.to_str().unwrap()],
    ]
    .concat();
    let built = peer.try_docker_with(&arguments, &[SECRET]);
    if !built.status.success() {
        return vec![format!("the peer failed:\n{}", String::from_utf8_lossy(&built.stderr))];
    }
    peer.docker(&["save", "-o", "/work/theirs.tar", &tag]);
    let found = differences(case, &read(&ours_tar), &read(&theirs_tar));
    let _ = fs::remove_file(&theirs_tar);
    let _ = fs::remove_dir_all(&context);
    found
}

#[test]
#[allow(clippy::print_stderr, reason = "a table of cases is what this test is for")]
fn skiff_builds_what_buildkit_builds() {
    let Some(peer) = Peer::start() else { return };
    let env = TestEnv::new();
    share_base(&env, &peer, "busybox.tar", "busybox:latest", r#"CMD ["sh"]"#);
    share_base(&env, &peer, "debian.tar", "debian:bookworm", r#"CMD ["bash"]"#);
    let cases = cases();
    assert!(!cases.is_empty(), "there are cases");
    let mut failed = Vec::new();
    for case in &cases {
        let found = build_pair(case, &env, &peer);
        eprintln!("{} {}", if found.is_empty() { "same  " } else { "DIFFER" }, case.name);
        if !found.is_empty() {
            failed.push(format!("== {}\n  {}", case.name, found.join("\n  ")));
        }
    }
    assert!(failed.is_empty(), "{} of {} cases differ\n{}", failed.len(), cases.len(), failed.join("\n"));
}

/// Imports a base into the peer and carries the very same image to Skiff.
fn share_base(env: &TestEnv, peer: &Peer, tar: &str, name: &str, change: &str) {
    let work = peer.root().join("work");
    fs::create_dir_all(&work).expect("the root is writable");
    fs::copy(base(tar), work.join(tar)).expect("the base can be copied");
    peer.docker(&["import", "--change", change, &format!("/work/{tar}"), name]);
    peer.docker(&["save", "-o", "/work/base.tar", name]);
    let saved = work.join("base.tar");
    env.ok(&["load", "-q", "-i", saved.to_str().unwrap()]);
    for file in [saved, work.join(tar)] {
        fs::remove_file(file).expect("what was written can be removed");
    }
}
