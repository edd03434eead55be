//! `buildx`: what scripts of continuous integration type, and images pushed by a build.

mod support;

use std::process::Command;

use serde_json::Value;

use support::TestEnv;
use support::registry::DebianRegistry;

fn env() -> TestEnv {
    let env = TestEnv::new();
    env.write("Dockerfile", "FROM scratch\nARG TARGETARCH\nCOPY a /a\nLABEL arch=$TARGETARCH\n");
    env.write("a", "content\n");
    env
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn skopeo(args: &[&str]) -> String {
    let ran =
        Command::new("skopeo").args(args).output().expect("skopeo is installed (scripts/packages test)");
    assert!(ran.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

const PLATFORMS: &str = "linux/amd64,linux/arm64";

#[test]
fn a_build_pushes_what_its_metadata_say() {
    let (registry, env) = (DebianRegistry::start(), env());
    let host = &registry.address;
    let (one, two) = (format!("{host}/team/app:1"), format!("{host}/other:2"));
    let flags = ["--provenance=true", "--sbom=true", "--metadata-file", "md", "--platform", PLATFORMS];
    env.ok(&[&["build", "-q", "--push", "-t", &one, "-t", &two], &flags[..], &["."]].concat());
    let said = json(&std::fs::read_to_string(env.work().join("md")).unwrap());
    let digest = said["containerimage.digest"].as_str().unwrap();
    assert_eq!(said["image.name"], format!("{one},{two}"));
    for name in [&one, &two] {
        let raw = json(&skopeo(&["inspect", "--raw", "--tls-verify=false", &format!("docker://{name}")]));
        assert_eq!(raw["manifests"].as_array().unwrap().len(), 4, "{raw}");
        let inspect = |format: &str| env.ok(&["buildx", "imagetools", "inspect", "--format", format, name]);
        assert_eq!(inspect("{{.Manifest.Digest}} {{.Name}}"), format!("{digest} {name}"));
        let image = json(&inspect("{{json .Image}}"));
        assert_eq!(image["linux/arm64"]["config"]["Labels"]["arch"], "arm64");
        let provenance = json(&inspect("{{json .Provenance}}"));
        let definition = &provenance["linux/amd64"]["SLSA"]["buildDefinition"];
        assert_eq!(definition["externalParameters"]["configSource"]["path"], "Dockerfile");
        let sbom = json(&inspect("{{json .SBOM}}"));
        assert_eq!(sbom["linux/amd64"]["SPDX"]["spdxVersion"], "SPDX-2.3");
    }
    let other = TestEnv::new();
    other.ok(&["pull", "-q", &one]);
}

#[test]
fn a_push_by_digest_leaves_tags_alone_and_a_failed_one_fails_the_build() {
    let (registry, env) = (DebianRegistry::start(), env());
    let host = &registry.address;
    let output = format!("type=image,name={host}/quiet,push=true,push-by-digest=true");
    env.ok(&["build", "-q", "--metadata-file", "md", "-o", &output, "."]);
    let said = json(&std::fs::read_to_string(env.work().join("md")).unwrap());
    let digest = said["containerimage.digest"].as_str().unwrap().to_owned();
    let place = format!("docker://{host}/quiet@{digest}");
    assert!(skopeo(&["inspect", "--raw", "--tls-verify=false", &place]).contains("\"layers\""));
    let tags = Command::new("skopeo")
        .args(["list-tags", "--tls-verify=false", &format!("docker://{host}/quiet")])
        .output()
        .unwrap();
    assert!(!String::from_utf8_lossy(&tags.stdout).contains("latest"));
    // Nobody listens on the port of a registry that has gone.
    let gone = registry.address.clone();
    drop(registry);
    let ran = env.run(&["build", "-q", "--push", "-t", &format!("{gone}/x:1"), "."]).fails_with(1);
    let expected = format!("ERROR: failed to build: failed to solve: failed to push {gone}/x:1: ");
    assert!(ran.stderr.contains(&expected), "{}", ran.stderr);
}

#[test]
fn imagetools_join_copy_and_choose() {
    let (registry, env) = (DebianRegistry::start(), env());
    let host = &registry.address;
    let name = |rest: &str| format!("{host}/{rest}");
    env.ok(&["build", "-q", "--push", "-t", &name("amd:1"), "--platform", "linux/amd64", "."]);
    env.ok(&["build", "-q", "--push", "-t", &name("arm:1"), "--platform", "linux/arm64", "."]);
    let create = |args: &[&str]| env.ok(&[&["buildx", "imagetools", "create"], args].concat());
    let inspect =
        |format: &str, name: &str| env.ok(&["buildx", "imagetools", "inspect", "--format", format, name]);
    create(&["-t", &name("joined:1"), "-t", &name("more:2"), &name("amd:1"), &name("arm:1")]);
    let digest = inspect("{{.Manifest.Digest}}", &name("joined:1"));
    assert_eq!(inspect("{{.Manifest.Digest}}", &name("more:2")), digest);
    let other = TestEnv::new();
    for platform in ["linux/amd64", "linux/arm64"] {
        other.ok(&["pull", "-q", "--platform", platform, &name("joined:1")]);
    }
    // A whole index is copied as it is; a part of it becomes another one.
    create(&["-t", &name("copy:1"), &name("joined:1")]);
    assert_eq!(inspect("{{.Manifest.Digest}}", &name("copy:1")), digest);
    let chosen = json(&create(&["--dry-run", "-p", "linux/arm64", &name("joined:1")]));
    assert_eq!(chosen["manifests"].as_array().unwrap().len(), 1);
    let pair = ["--annotation", "index:a=b", "--annotation", "manifest-descriptor[linux/amd64]:c=d"];
    let annotated = json(&create(&[&["--dry-run"], &pair[..], &[&name("joined:1")]].concat()));
    assert_eq!(annotated["annotations"]["a"], "b");
    assert_eq!(annotated["manifests"][0]["annotations"]["c"], "d");
    assert!(annotated["manifests"][1]["annotations"].is_null());
    // One more joins what is there.
    create(&["-t", &name("amd:1"), "--append", &name("arm:1")]);
    let grown = json(&inspect("{{json .Manifest}}", &name("amd:1")));
    assert_eq!(grown["manifests"].as_array().unwrap().len(), 2);
    for (args, expected) in [
        (&["-t", "x/y"][..], "ERROR: no sources specified"),
        (&[&*name("arm:1")], "can't push with no tags specified"),
        (&["--dry-run", "-p", "linux/s390x", &name("copy:1")], "none of the manifests match"),
        (&["--dry-run", &name("nosuch:1")], "nosuch:1: not found"),
        (&["--dry-run", "--annotation", "a=b", &name("copy:1")], "annotations are not supported yet"),
    ] {
        let ran = env.run(&[&["buildx", "imagetools", "create"], args].concat()).fails_with(1);
        assert!(ran.stderr.contains(expected), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn builders_are_names_of_the_one_there_is() {
    let env = env();
    assert!(env.ok(&["buildx", "version"]).split(' ').nth(1).unwrap().starts_with("v0."));
    let first = env.run(&["buildx", "create", "--name", "ci", "--driver", "docker-container", "--use"]);
    assert_eq!(first.success().stdout, "ci\n");
    env.ok(&["buildx", "inspect", "--bootstrap", "--builder", "ci"]);
    assert!(env.ok(&["buildx", "ls"]).contains("ci*"));
    env.ok(&["buildx", "--builder", "ci", "build", "-q", "."]);
    let all: Vec<Value> = env.ok(&["buildx", "ls", "--format", "json"]).lines().map(json).collect();
    assert_eq!((all.len(), &all[0]["Name"], &all[0]["Current"]), (2, &"ci".into(), &true.into()));
    for (args, expected) in [
        (&["create", "--name", "ci"][..], "existing instance for \"ci\""),
        (&["create", "--driver", "kubernetes"], "driver \"kubernetes\" is not available"),
        (&["create", "--append"], "--append is not available"),
        (&["inspect", "nosuch"], "no builder \"nosuch\" found"),
        (&["use", "nosuch"], "failed to find instance \"nosuch\""),
        (&["rm", "default"], "failed to remove one or more builders"),
        (&["history", "ls"], "is not available in this version"),
    ] {
        let ran = env.run(&[&["buildx"], args].concat()).fails_with(1);
        assert!(ran.stderr.contains(expected), "{args:?}: {}", ran.stderr);
    }
    env.run(&["buildx", "rm", "ci"]).success();
    assert!(env.ok(&["buildx", "ls"]).contains("default*"));
}

#[test]
fn the_cache_is_listed_and_removed_by_filters() {
    let env = env();
    env.write("Dockerfile", "FROM scratch AS one\nCOPY a /a\nFROM scratch\nCOPY --from=one /a /b\n");
    env.ok(&["build", "-q", "-o", "type=cacheonly", "."]);
    let ids = |args: &[&str]| -> Vec<String> {
        let all = [&["buildx", "du", "--format", "{{.ID}}"], args].concat();
        env.ok(&all).lines().map(str::to_owned).collect()
    };
    let regular = ids(&["--filter", "type=regular"]);
    assert_eq!(regular.len(), 2, "{regular:?}");
    let copy = ids(&["--filter", "description~=from=one"]);
    assert_eq!(copy.len(), 1, "{copy:?}");
    assert!(env.ok(&["buildx", "du"]).contains("\nTotal:"));
    assert!(env.ok(&["buildx", "du", "--verbose"]).contains("Type:         regular"));
    // Nothing is old enough, nothing needs the room.
    for kept in [&["--filter", "until=24h"][..], &["--reserved-space", "1gb"], &["--min-free-space", "1"]] {
        env.ok(&[&["builder", "prune", "-f"], kept].concat());
        assert_eq!(ids(&["--filter", "type=regular"]), regular, "{kept:?}");
    }
    let id = format!("id={}", copy[0]);
    let said = env.ok(&["buildx", "prune", "-f", "--filter", &id]);
    assert!(said.starts_with("ID\t") && said.contains(&copy[0]), "{said}");
    assert_eq!(ids(&["--filter", "type=regular"]).len(), 1);
    env.ok(&["buildx", "prune", "-af", "--max-used-space", "0"]);
    assert_eq!(ids(&["--filter", "type=regular"]).len(), 0);
    let ran = env.run(&["builder", "prune", "-f", "--filter", "foo=1"]).fails_with(1);
    assert!(ran.stderr.contains("unknown key \"foo\""), "{}", ran.stderr);
}

#[test]
fn metadata_have_provenance_and_warnings_as_buildx_writes_them() {
    let env = env();
    env.write("Dockerfile", "from scratch\nCOPY a /a\n");
    let metadata = |args: &[&str], variables: &[(&str, &str)]| {
        let all = [&["build", "-q", "--metadata-file", "md"], args, &["."]].concat();
        env.run_with(&all, variables).success();
        json(&std::fs::read_to_string(env.work().join("md")).unwrap())
    };
    let plain = metadata(&[], &[]);
    assert!(plain["buildx.build.provenance"]["buildDefinition"].is_object(), "{plain}");
    assert!(plain["buildx.build.warnings"].is_null());
    assert!(metadata(&["--provenance=false"], &[])["buildx.build.provenance"].is_null());
    let config = |value: &Value| {
        value["buildx.build.provenance"]["buildDefinition"]["internalParameters"]["buildConfig"].is_object()
    };
    assert!(!config(&metadata(&["--provenance=mode=max"], &[])));
    assert!(config(&metadata(&[], &[("BUILDX_METADATA_PROVENANCE", "max")])));
    let warned = metadata(&[], &[("BUILDX_METADATA_WARNINGS", "1")]);
    let warning = &warned["buildx.build.warnings"][0];
    assert_eq!(warning["sourceInfo"]["filename"], "Dockerfile");
    assert_eq!(warning["range"][0]["start"]["line"], 1);
    assert!(warning["url"].as_str().unwrap().ends_with("consistent-instruction-casing/"));
    // Bytes are base64: "ConsistentInstruction...".
    assert!(warning["short"].as_str().unwrap().starts_with("Q29uc2lzdGVudEluc3RydWN0aW9u"));
}

#[test]
fn further_stages_and_the_context_are_scanned_when_asked_for() {
    let env = env();
    env.write("Cargo.lock", "version = 3\n[[package]]\nname = \"ctx\"\nversion = \"1.0.0\"\n");
    env.write("hidden/Cargo.lock", "version = 3\n[[package]]\nname = \"hid\"\nversion = \"1.0.0\"\n");
    env.write("stage.lock", "version = 3\n[[package]]\nname = \"dep\"\nversion = \"2.0.0\"\n");
    env.write(".dockerignore", "hidden\n");
    let file = "FROM scratch AS build\nARG BUILDKIT_SBOM_SCAN_STAGE=true\nCOPY stage.lock /src/Cargo.lock\n\
                COPY a /a\nFROM scratch\nCOPY --from=build /a /a\n";
    env.write("Dockerfile", file);
    env.ok(&["build", "-q", "--sbom=true", "--build-arg", "BUILDKIT_SBOM_SCAN_CONTEXT=1", "-o", "out", "."]);
    let names = |file: &str| -> Vec<String> {
        let text = std::fs::read_to_string(env.work().join("out").join(file)).unwrap();
        let packages = json(&text)["predicate"]["packages"].as_array().cloned().unwrap();
        packages.iter().map(|package| package["name"].as_str().unwrap().to_owned()).collect()
    };
    let has = |file: &str, name: &str| names(file).iter().any(|one| one == name);
    assert!(has("sbom-build.spdx.json", "dep"));
    assert!(has("sbom-context.spdx.json", "ctx") && !has("sbom-context.spdx.json", "hid"));
    assert!(!has("sbom.spdx.json", "dep") && !has("sbom.spdx.json", "ctx"));
}
