//! The same Dockerfiles built by Skiff and by a real BuildKit: config, history and the whole tree must agree.
//!
//! Every folder of `testdata/dockerfiles/build/` is a case: `Dockerfile` and context files,
//! optionally `setup.sh` (run in a copy of the folder, makes what a repository can't hold),
//! `args` (further build arguments, one a line; `@` stands for the case's folder),
//! `env` (variables of the client, one a line) and `differs` (why a difference is meant,
//! then lines `ignore: CONFIG-KEY` or `ignore: /path`).
//!
//! The peer may need another `Dockerfile.peer`: one that says the same in the language it knows.
//! A folder `context` in a case is its build context, otherwise the case itself is.
//!
//! Every folder of `testdata/dockerfiles/refused/` and `testdata/dockerfiles/bad/` is a
//! build that both refuse, in the same words. Where the words are meant to differ,
//! `differs` says why and what: `theirs: TEXT`, `builds` where the peer is no judge, or
//! `both build` where the fault shows later (a bad trigger, that only its use refuses).
//!
//! `SKIFF_CASE` takes the cases whose names contain it, or one of several with commas between.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use support::image::{Archived, read};
use support::peer::Peer;
use support::{TestEnv, base, repository};

/// What `RUN --mount=type=secret` cases read.
const SECRET: (&str, &str) = ("SKIFF_TEST_SECRET", "s3cret");

/// Builds that run at a time; each is a Skiff build, a BuildKit build and two archives.
const WORKERS: usize = 2;

struct Case {
    kind: String,
    name: String,
    folder: PathBuf,
}

impl Case {
    fn folder_name(&self) -> String {
        format!("{}-{}", self.kind, self.name)
    }

    fn lines(&self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.folder.join(file)).unwrap_or_default();
        text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    /// Further arguments of the build, with the folder that one of the builders sees.
    fn args(&self, folder: &Path) -> Vec<String> {
        let folder = folder.to_str().expect("a plain path");
        self.lines("args").iter().map(|arg| arg.replace('@', folder)).collect()
    }

    /// Variables of the client's environment.
    fn variables(&self) -> Vec<(String, String)> {
        let secret = (SECRET.0.to_owned(), SECRET.1.to_owned());
        let lines = self.lines("env");
        let own = lines.iter().filter_map(|line| line.split_once('='));
        own.map(|(key, value)| (key.to_owned(), value.to_owned())).chain([secret]).collect()
    }

    fn ignored(&self) -> BTreeSet<String> {
        self.lines("differs")
            .iter()
            .filter_map(|line| line.strip_prefix("ignore: ").map(str::to_owned))
            .collect()
    }
}

fn cases(kind: &str) -> Vec<Case> {
    let wanted = std::env::var("SKIFF_CASE").ok();
    let folder = repository().join("testdata/dockerfiles").join(kind);
    let mut cases: Vec<Case> = fs::read_dir(&folder)
        .expect("the cases are in the repository")
        .flatten()
        .map(|entry| Case {
            kind: kind.to_owned(),
            name: entry.file_name().to_string_lossy().into_owned(),
            folder: entry.path(),
        })
        .filter(|case| {
            wanted
                .as_ref()
                .is_none_or(|all| all.split(',').any(|one| format!("{kind}/{}", case.name).contains(one)))
        })
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

/// Copies a case below the peer's root, so that both builders see the same inodes' metadata.
fn prepare(case: &Case, peer: &Peer) -> PathBuf {
    let copy = peer.root().join("work").join(case.folder_name());
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

/// The arguments of one build of a case by the builder that sees its folder as `seen`.
fn arguments(case: &Case, seen: &Path, copy: &Path, own: &[&str]) -> Vec<String> {
    let mut all = vec!["build".to_owned(), "--network".to_owned(), "host".to_owned()];
    all.extend(own.iter().map(ToString::to_string));
    all.extend(case.args(seen));
    let context = if copy.join("context").is_dir() { seen.join("context") } else { seen.to_owned() };
    if !all.iter().any(|arg| arg == "-") {
        all.push(context.to_str().expect("a plain path").to_owned());
    }
    all
}

/// Both builders' output for a case: exit code and standard error.
struct Both {
    ours: (Option<i32>, String),
    theirs: (Option<i32>, String),
}

fn build_both(case: &Case, env: &TestEnv, peer: &Peer, tag: &str) -> Both {
    let copy = prepare(case, peer);
    let inside = Path::new("/work").join(case.folder_name());
    let variables = case.variables();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let ours = arguments(case, &copy, &copy, &["-t", tag]);
    let mut theirs = arguments(case, &inside, &copy, &["--provenance=false", "-t", tag]);
    if copy.join("Dockerfile.peer").exists() {
        theirs.push(format!("--file={}/Dockerfile.peer", inside.display()));
    }
    let ours: Vec<&str> = ours.iter().map(String::as_str).collect();
    let theirs: Vec<&str> = theirs.iter().map(String::as_str).collect();
    let ours = env.run_with(&ours, &variables);
    let theirs = peer.try_docker_with(&theirs, &variables);
    let _ = fs::remove_dir_all(&copy);
    Both {
        ours: (ours.code, ours.stderr),
        theirs: (theirs.status.code(), String::from_utf8_lossy(&theirs.stderr).into_owned()),
    }
}

fn build_pair(case: &Case, env: &TestEnv, peer: &Peer) -> Vec<String> {
    let tag = format!("case-{}", case.name.to_lowercase());
    let mut both = build_both(case, env, peer, &tag);
    if both.theirs.0 != Some(0) {
        // An engine that could not once may have had a reason of its own.
        both = build_both(case, env, peer, &tag);
    }
    let Both { ours, theirs } = both;
    if theirs.0 != Some(0) {
        return vec![format!("the peer failed:\n{}", theirs.1)];
    }
    if ours.0 != Some(0) {
        return vec![format!("skiff failed:\n{}", ours.1)];
    }
    let ours_tar = env.work().join(format!("{tag}.tar"));
    let theirs_tar = peer.root().join("work").join(format!("{tag}.tar"));
    let saved = env.run(&["save", "-o", ours_tar.to_str().expect("a plain path"), &tag]);
    if saved.code != Some(0) {
        return vec![format!("skiff save failed:\n{}", saved.stderr)];
    }
    let saved = peer.try_docker(&["save", "-o", &format!("/work/{tag}.tar"), &tag]);
    if !saved.status.success() {
        return vec![format!("the peer's save failed:\n{}", String::from_utf8_lossy(&saved.stderr))];
    }
    let found = differences(case, &read(&ours_tar), &read(&theirs_tar));
    let _ = fs::remove_file(&ours_tar);
    let _ = fs::remove_file(&theirs_tar);
    found
}

/// Runs `check` on every case, two at a time, and fails with all that was found.
///
/// What agrees is listed only when cases were chosen: in a run of all it would bury what differs.
#[allow(clippy::print_stderr, reason = "a table of cases is what these tests are for")]
fn check_all(cases: &[(Case, bool)], check: impl Fn(&Case, bool) -> Vec<String> + Sync) {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let chosen = std::env::var_os("SKIFF_CASE").is_some();
    let work = || {
        while let Some((case, builds)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let start = std::time::Instant::now();
            let found = check(case, *builds);
            if found.is_empty() && chosen {
                eprintln!("same   {}/{} ({:.1?})", case.kind, case.name, start.elapsed());
            }
            if !found.is_empty() {
                let text = format!("== {}/{}\n  {}", case.kind, case.name, found.join("\n  "));
                failed.lock().expect("no panic holds it").push(text);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(work);
        }
    });
    let failed = failed.into_inner().expect("no panic holds it");
    assert!(failed.is_empty(), "{} of {} cases differ\n{}", failed.len(), cases.len(), failed.join("\n"));
}

/// A peer with the bases, and a store of ours with the same ones.
fn builders() -> Option<(Peer, TestEnv)> {
    let peer = Peer::start()?;
    let env = TestEnv::new();
    share_base(&env, &peer, "busybox.tar", "busybox:latest", r#"CMD ["sh"]"#);
    share_base(&env, &peer, "debian.tar", "debian:bookworm", r#"CMD ["bash"]"#);
    Some((peer, env))
}

#[test]
fn skiff_builds_and_refuses_what_buildkit_does() {
    let Some((peer, env)) = builders() else { return };
    let good = cases("build").into_iter().map(|case| (case, true));
    let bad = ["refused", "bad"].into_iter().flat_map(cases).map(|case| (case, false));
    let all: Vec<(Case, bool)> = good.chain(bad).collect();
    assert!(!all.is_empty(), "there are cases");
    check_all(&all, |case, builds| match builds {
        true => build_pair(case, &env, &peer),
        false => refuse_pair(case, &env, &peer),
    });
}

/// What is wrong with how both refuse a case.
///
/// Where two things are wrong at once the peer names the one that it met first, which is
/// not the same each time: a peer that changes its words is asked once more.
fn refuse_pair(case: &Case, env: &TestEnv, peer: &Peer) -> Vec<String> {
    let first = build_both(case, env, peer, "refused");
    let found = refusals(case, &first);
    if found.is_empty() {
        return found;
    }
    let second = build_both(case, env, peer, "refused");
    if core(&second.theirs.1) == core(&first.theirs.1) { found } else { refusals(case, &second) }
}

/// What is wrong with one pair of refusals.
fn refusals(case: &Case, both: &Both) -> Vec<String> {
    let differs = case.lines("differs");
    let Both { ours, theirs } = both;
    let mut found = Vec::new();
    if differs.iter().any(|line| line == "both build") {
        if (ours.0, theirs.0) != (Some(0), Some(0)) {
            found.push(format!("ours {:?} theirs {:?}\n{}\n{}", ours.0, theirs.0, ours.1, theirs.1));
        }
        return found;
    }
    if ours.0 != Some(1) {
        found.push(format!("skiff ended with {:?}\n{}", ours.0, ours.1));
    }
    if differs.iter().any(|line| line == "builds") {
        if theirs.0 != Some(0) {
            found.push(format!("the peer does not build it\n{}", theirs.1));
        }
        return found;
    }
    if theirs.0 != Some(1) {
        found.push(format!("the peer ended with {:?}\n{}", theirs.0, theirs.1));
    }
    let meant = differs.iter().find_map(|line| line.strip_prefix("theirs: "));
    let (mine, other) = (core(&ours.1), core(&theirs.1));
    match meant {
        Some(meant) if !theirs.1.contains(meant) => {
            found.push(format!("the peer lacks {meant:?}\n{}", theirs.1));
        }
        // The peer may say more of the way to the same cause.
        None if mine.is_empty() || !other.ends_with(&mine) => {
            found.push(format!("words differ\n     ours {mine}\n   theirs {other}"))
        }
        _ => {}
    }
    found
}

/// The message of a failed build without what each program puts around it: frames, ids, the engine's folders.
fn core(stderr: &str) -> String {
    let last = stderr.lines().rev().find(|line| line.contains("ERROR: ")).unwrap_or_default();
    let mut text = last.split_once("ERROR: ").map_or("", |(_, text)| text).to_owned();
    for frame in ["failed to build: ", "failed to solve: "] {
        text = text.strip_prefix(frame).unwrap_or(&text).to_owned();
    }
    let merged = text.find("/var/lib/docker/overlay2/").zip(text.find("/merged/"));
    if let Some((start, end)) = merged {
        text.replace_range(start..end + "/merged".len(), "");
    }
    if let Some((before, (_, after))) =
        text.split_once("checksum of ref ").and_then(|(b, rest)| Some((b, rest.split_once(": ")?)))
    {
        text = format!("{before}checksum: {after}");
    }
    text
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
