//! Images for several platforms: as a tree, and without some of their platforms.

mod support;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use support::engine::Engine;
use support::{TestEnv, is_root};

const ALL: &str = "linux/amd64,linux/arm64,linux/arm/v7";

/// Builds an image for several platforms, each with a layer that all have and one of its own.
fn build(env: &TestEnv, name: &str, platforms: &str) {
    env.write(
        "Dockerfile",
        "FROM scratch\nARG TARGETPLATFORM\nCOPY shared /shared\nCOPY $TARGETPLATFORM /own\n",
    );
    env.write("shared", "all have it");
    for platform in platforms.split(',') {
        env.write(platform, format!("{name} {platform}"));
    }
    env.ok(&["build", "-q", "--platform", platforms, "-t", name, "."]);
}

fn tree(env: &TestEnv, args: &[&str]) -> Vec<Vec<String>> {
    let text = env.ok(&[&["images", "--tree"], args].concat());
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
    text.lines().skip(3).filter(|line| !line.is_empty()).map(words).collect()
}

/// The platforms of an image that are here.
fn here(env: &TestEnv, name: &str) -> Vec<String> {
    let rows = tree(env, &[name]);
    let rows = rows.iter().filter(|row| ["├─", "└─"].contains(&row[0].as_str()) && row[3] != "0B");
    rows.map(|row| row[1].clone()).collect()
}

fn stored(env: &TestEnv) -> BTreeSet<String> {
    let names = |dir: &str| {
        let entries = std::fs::read_dir(env.store().join(dir)).expect("the store has it");
        entries.map(|entry| entry.expect("it is read").file_name().into_string().expect("hexadecimal"))
    };
    names("blobs/sha256").chain(names("layers")).collect()
}

#[test]
fn a_tree_shows_platforms_sizes_and_use() {
    let env = TestEnv::new();
    build(&env, "multi:1", ALL);
    env.ok(&["tag", "multi:1", "registry.example/quite/a/long/name/of/multi:2"]);
    build(&env, "one:1", "linux/amd64");
    let text = env.ok(&["images", "--tree"]);
    assert!(text.starts_with(&format!("{:62}Info ->  U In Use \n\nIMAGE ", "")), "{text}");
    assert!(text.contains("   ID             DISK USAGE   CONTENT SIZE   EXTRA\n"), "{text}");
    let rows = tree(&env, &[]);
    let first: Vec<(&str, usize)> = rows.iter().map(|row| (row[0].as_str(), row.len())).collect();
    let both = [
        ("registry.example/quite/a/long/name/of/multi:2", 1),
        ("multi:1", 4),
        ("├─", 5),
        ("├─", 5),
        ("└─", 5),
    ];
    let one = [("one:1", 4), ("└─", 5)];
    assert!(first == [&both[..], &one].concat() || first == [&one[..], &both].concat(), "{text}");
    assert_eq!(here(&env, "multi:1"), ALL.split(',').collect::<Vec<_>>());
    // An id of the tree is one for other commands.
    let child =
        tree(&env, &["multi:1"]).into_iter().find(|row| row[1] == "linux/arm64").expect("it is there");
    let platform = env.ok(&["image", "inspect", "-f", "{{.Architecture}}", &child[2]]);
    assert_eq!(platform, "arm64\n");

    env.ok(&["create", "--name", "c1", "--platform", "linux/arm64", "multi:1", "x"]);
    let used: Vec<String> = tree(&env, &[])
        .into_iter()
        .filter(|row| row.last().is_some_and(|last| last == "U"))
        .map(|row| row[0].clone() + &row[1])
        .collect();
    assert_eq!(used.len(), 2, "{used:?}");
    assert!(used[0].starts_with("multi:1") && used[1] == "├─linux/arm64", "{used:?}");
    env.ok(&["rm", "c1"]);

    // What has no name is shown to who asks for it.
    env.ok(&["rmi", "one:1"]);
    build(&env, "one:1", "linux/amd64");
    env.write("shared", "another");
    env.write("linux/amd64", "another");
    env.ok(&["build", "-q", "-t", "one:1", "--platform", "linux/amd64", "."]);
    let unnamed = |args: &[&str]| tree(&env, args).iter().filter(|row| row[0] == "<untagged>").count();
    assert_eq!((unnamed(&[]), unnamed(&["-a"]), unnamed(&["-f", "dangling=true"])), (0, 1, 1));

    for (flags, named) in [
        (&["-q"][..], "--quiet"),
        (&["--no-trunc"], "--no-trunc"),
        (&["--digests"], "--digests"),
        (&["--format", "json"], "--format"),
        (&["-q", "--format", "json"], "--quiet"),
    ] {
        let refused = env.run(&[&["images", "--tree"], flags].concat()).fails_with(1);
        assert_eq!(refused.stderr, format!("{named} is not yet supported with --tree\n"));
    }
}

#[test]
fn a_platform_goes_and_the_others_stay() {
    let env = TestEnv::new();
    build(&env, "multi:1", ALL);
    let id = env.ok(&["images", "-q", "multi"]);
    env.ok(&["save", "-o", "all.tar", "multi:1"]);
    // The cache needs the layers as well.
    env.ok(&["builder", "prune", "-af"]);
    let before = stored(&env);
    let force =
        "Content will be removed from all images referencing this variant. Use --force to force delete.";
    let refused = env.run(&["rmi", "--platform", "linux/arm64", "multi:1"]).fails_with(1);
    assert_eq!(refused.stderr, format!("Error response from daemon: {force}\n"));
    // One that is not there takes none of the others along.
    let missing = env.run(&["rmi", "-f", "--platform", "linux/arm64,linux/s390x", "multi:1"]).success();
    assert!(
        missing.stderr.starts_with(
            "Error response from daemon: failed to delete platform linux/s390x for image sha256:"
        )
    );
    assert!(
        missing.stderr.ends_with(
            "image with reference multi:1 was found but does not provide the specified platform (linux/s390x)\n"
        ),
        "{}",
        missing.stderr
    );
    env.run(&["rmi", "-f", "--platform", "no/such/thing/x", "multi:1"]).fails_with(1);
    assert_eq!((stored(&env), missing.stdout.as_str()), (before.clone(), ""));

    let gone = env.ok(&["rmi", "--force", "--platform", "linux/arm64/v8", "multi:1"]);
    assert!(gone.starts_with("Deleted: sha256:") && gone.lines().count() == 1, "{gone}");
    assert_eq!(here(&env, "multi:1"), ["linux/amd64", "linux/arm/v7"]);
    // Its manifest, its config and its own layer; not what others have as well.
    let after = stored(&env);
    assert_eq!(before.difference(&after).count(), 3, "{before:?} {after:?}");
    assert!(after.is_subset(&before));
    env.run(&["image", "inspect", "--platform", "linux/arm64", "multi:1"]).fails_with(1);
    assert_eq!(env.ok(&["image", "prune", "-f"]), "Total reclaimed space: 0B\n");
    // The name and its digest stay, and the rest is whole.
    assert_eq!(env.ok(&["images", "-q", "multi"]), id);
    env.ok(&["save", "-o", "rest.tar", "multi:1"]);
    let fresh = TestEnv::new();
    fresh.ok(&["load", "-i", env.work().join("rest.tar").to_str().expect("a plain path")]);
    fresh.ok(&["image", "inspect", "--platform", "linux/arm/v7", "multi:1"]);
    // What was taken away can come back.
    env.ok(&["load", "-i", "all.tar"]);
    assert_eq!(here(&env, "multi:1").len(), 3);
    assert_eq!(stored(&env), before);
}

#[test]
fn the_last_platform_takes_the_names_along() {
    let env = TestEnv::new();
    build(&env, "multi:1", ALL);
    env.ok(&["tag", "multi:1", "other:2"]);
    let gone = env.ok(&[
        "rmi",
        "-f",
        "--platform",
        "linux/amd64,linux/arm64",
        "--platform",
        "linux/arm/v7",
        "multi:1",
    ]);
    assert!(gone.starts_with("Untagged: multi:1\nUntagged: other:2\nDeleted: sha256:"), "{gone}");
    assert_eq!(env.ok(&["images", "-aq"]), "");
    assert_eq!(env.ok(&["images", "--tree", "-a"]).lines().count(), 3);
    // An image for one platform is the same as its platform.
    build(&env, "one:1", "linux/amd64");
    env.run(&["rmi", "-f", "--platform", "linux/arm64", "one:1"]).success();
    assert_eq!(env.ok(&["images", "-q"]).lines().count(), 1);
    assert!(
        env.ok(&["rmi", "-f", "--platform", "linux/amd64", "one:1"])
            .starts_with("Untagged: one:1\nDeleted: ")
    );
    assert_eq!(env.ok(&["images", "-aq"]), "");
    assert_eq!(
        env.run(&["rmi", "-f", "--platform", "linux/amd64", "one:1"]).success().stderr,
        "Error response from daemon: No such image: one:1\n"
    );
}

#[test]
fn a_platform_that_something_needs_stays() {
    let env = TestEnv::new();
    build(&env, "multi:1", ALL);
    env.ok(&["create", "--name", "c1", "--platform", "linux/arm64", "multi:1", "x"]);
    let before = stored(&env);
    let used = env.run(&["rmi", "-f", "--platform", "linux/arm64", "multi:1"]).fails_with(1);
    assert!(
        used.stderr.contains("(cannot be forced) - image is being used by stopped container"),
        "{}",
        used.stderr
    );
    assert_eq!(stored(&env), before);
    // The image as a whole has it as well.
    let whole = env.run(&["rmi", "multi:1"]).fails_with(1);
    assert!(
        whole.stderr.contains("unable to remove repository reference \"multi:1\" (must force)"),
        "{}",
        whole.stderr
    );
    assert_eq!(stored(&env), before);
    // Another platform is another matter.
    env.ok(&["rmi", "-f", "--platform", "linux/amd64", "multi:1"]);
    env.ok(&["rm", "c1"]);
    // A name of the manifest itself goes with it, and so does the platform of every index that names it.
    let child =
        tree(&env, &["multi:1"]).into_iter().find(|row| row[1] == "linux/arm64").expect("it is there");
    env.ok(&["tag", &child[2], "alone:1"]);
    let gone = env.ok(&["rmi", "-f", "--platform", "linux/arm64", "multi:1"]);
    assert!(gone.starts_with("Untagged: alone:1\nDeleted: sha256:"), "{gone}");
    assert_eq!(here(&env, "multi:1"), ["linux/arm/v7"]);
    env.run(&["image", "inspect", "alone:1"]).fails_with(1);
}

#[test]
fn an_archive_is_loaded_only_for_a_platform_that_it_has() {
    let env = TestEnv::new();
    build(&env, "multi:1", ALL);
    build(&env, "one:1", "linux/arm64");
    env.ok(&["save", "-o", "multi.tar", "multi:1"]);
    env.ok(&["save", "-o", "one.tar", "one:1"]);
    env.ok(&["rmi", "multi:1", "one:1"]);
    for (archive, image) in [("multi.tar", "image sha256:"), ("one.tar", "image one:1 ")] {
        let none = env.run(&["load", "-i", archive, "--platform", "linux/s390x"]).fails_with(1);
        let error = none.stderr.trim_start_matches("Error response from daemon: ");
        assert!(error.starts_with(image), "{error}");
        assert!(error.ends_with(" doesn't provide the requested platform (linux/s390x)\n"), "{error}");
        assert_eq!(env.ok(&["images", "-aq"]), "");
    }
    for archive in ["multi.tar", "one.tar"] {
        env.ok(&["load", "-i", archive, "--platform", "linux/arm64"]);
    }
    assert_eq!(
        (here(&env, "multi:1"), here(&env, "one:1")),
        (vec!["linux/arm64".to_owned()], vec!["linux/arm64".to_owned()])
    );
    let missing = env.run(&["save", "-o", "x.tar", "--platform", "linux/amd64", "one:1"]).fails_with(1);
    assert!(
        missing
            .stderr
            .contains("does not match the specified platform: wanted linux/amd64, actual: linux/arm64")
    );
    assert!(!env.work().join("x.tar").exists());
    // No platform is any.
    env.ok(&["save", "-o", "x.tar", "--platform", "", "one:1"]);
    env.ok(&["load", "-i", "x.tar", "--platform", ""]);
}

#[test]
fn the_same_goes_through_the_api_and_an_engine() {
    if !is_root() {
        return;
    }
    let env = TestEnv::new();
    build(&env, "multi:1", ALL);
    let engine = Engine::start(&env);
    let client = TestEnv::new();
    let host = engine.host();
    let far = |args: &[&str]| client.run(&[&["-H", &host], args].concat());
    assert_eq!(far(&["images", "--tree"]).success().stdout, env.ok(&["images", "--tree"]));
    assert_eq!(
        far(&["images", "--tree", "-q"]).fails_with(1).stderr,
        "--quiet is not yet supported with --tree\n"
    );
    let old =
        client.run_with(&["images", "--tree"], &[("DOCKER_HOST", &host), ("DOCKER_API_VERSION", "1.46")]);
    let words = "\"--tree\" requires API version 1.47, but the Docker daemon API version is 1.46\n";
    assert_eq!(old.fails_with(1).stderr, words);

    let encoded =
        |platform: Value| platform.to_string().replace('{', "%7B").replace('}', "%7D").replace('"', "%22");
    let arm = encoded(json!({ "os": "linux", "architecture": "arm64" }));
    let path = |force: &str, platform: &str| format!("/v1.51/images/multi:1?{force}platforms={platform}");
    assert!(engine.delete(&path("", &arm)).is(400).message().contains("Use --force"));
    let removed = engine.delete(&path("force=1&", &arm)).is(200).json();
    assert!(removed[0]["Deleted"].as_str().is_some_and(|id| id.starts_with("sha256:")), "{removed}");
    let again = engine.delete(&path("force=1&", &arm)).is(404).message();
    assert!(again.contains("does not provide the specified platform (linux/arm64)"), "{again}");
    let gone = far(&["rmi", "-f", "--platform", "linux/arm/v7", "multi:1"]).success();
    assert!(gone.stdout.starts_with("Deleted: sha256:"), "{gone:?}");
    let missing = far(&["rmi", "-f", "--platform", "linux/arm/v7", "multi:1"]).success();
    assert!(missing.stderr.contains("does not provide the specified platform (linux/arm/v7)"), "{missing:?}");
    assert_eq!(here(&env, "multi:1"), ["linux/amd64"]);
    // The list tells who uses which platform.
    env.ok(&["create", "--name", "c1", "--platform", "linux/amd64", "multi:1", "x"]);
    let listed = engine.get("/v1.51/images/json?manifests=1").is(200).json();
    let manifests = listed[0]["Manifests"].as_array().expect("it has some");
    let of = |architecture: &str| {
        let fits = |one: &&Value| one["ImageData"]["Platform"]["architecture"] == architecture;
        manifests.iter().find(fits).expect("it is named")
    };
    assert_eq!(of("amd64")["ImageData"]["Containers"].as_array().map(Vec::len), Some(1));
    assert!(of("amd64")["Size"]["Content"].as_u64() > Some(0) && of("amd64")["Available"] == true);
    assert_eq!(
        (&of("arm64")["Available"], &of("arm64")["Size"]),
        (&json!(false), &json!({ "Content": 0, "Total": 0 }))
    );
}
