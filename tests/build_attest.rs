//! Attestations of built images: provenance and bills of materials, as manifests of an index and as files.

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use support::{TestEnv, is_root};

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
        .unwrap()
}

/// What an index in a layout directory says about its images.
struct Attested {
    /// Manifests of attestations.
    manifests: Vec<Value>,
    /// Statements by predicate type.
    statements: BTreeMap<String, Value>,
    /// The image's manifest.
    image: String,
}

fn attested(layout: &Path) -> Attested {
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
        json(&layout.join("blobs/sha256").join(digest))
    };
    let top = json(&layout.join("index.json"));
    let index = blob(top["manifests"].as_array().unwrap().last().unwrap());
    let mut found = Attested { manifests: Vec::new(), statements: BTreeMap::new(), image: String::new() };
    for entry in index["manifests"].as_array().unwrap() {
        if entry["platform"]["os"] != "unknown" {
            found.image = entry["digest"].as_str().unwrap().to_owned();
            continue;
        }
        assert_eq!(entry["annotations"]["vnd.docker.reference.type"], "attestation-manifest");
        assert_eq!(entry["annotations"]["vnd.docker.reference.digest"], found.image.as_str());
        let manifest = blob(entry);
        for layer in manifest["layers"].as_array().unwrap() {
            assert_eq!(layer["mediaType"], "application/vnd.in-toto+json");
            let statement = blob(layer);
            let kind = layer["annotations"]["in-toto.io/predicate-type"].as_str().unwrap();
            assert_eq!(statement["predicateType"], kind);
            assert_eq!(statement["_type"], "https://in-toto.io/Statement/v0.1");
            let subject = format!("sha256:{}", statement["subject"][0]["digest"]["sha256"].as_str().unwrap());
            assert_eq!(subject, found.image);
            found.statements.insert(kind.to_owned(), statement);
        }
        found.manifests.push(manifest);
    }
    found
}

const OUTPUT: &str = "type=oci,dest=layout,tar=false";
const V1: &str = "https://slsa.dev/provenance/v1";

#[test]
fn nothing_is_attested_unless_asked_for() {
    let env = TestEnv::new();
    env.write("Dockerfile", "FROM scratch\nLABEL a=1\n");
    for flags in [&[][..], &["--provenance=false", "--sbom=false"], &["--attest", "type=sbom,disabled=true"]]
    {
        let _ = std::fs::remove_dir_all(env.work().join("layout"));
        env.ok(&[&["build", "-q", "-o", OUTPUT], flags, &["."]].concat());
        let kind = json(&env.work().join("layout/index.json"))["manifests"][0]["mediaType"].clone();
        assert_eq!(kind, "application/vnd.oci.image.manifest.v1+json", "{flags:?}");
    }
}

#[test]
fn provenance_says_how_and_of_what() {
    if !is_root() {
        return;
    }
    let env = TestEnv::new().with_busybox();
    env.write("secret", "hunter2");
    env.write(
        "Dockerfile",
        "FROM busybox\nARG V\nRUN --mount=type=secret,id=s,required=false --network=none cat /run/secrets/s > /dev/null; echo $V\n",
    );
    let build = |provenance: &str| {
        let _ = std::fs::remove_dir_all(env.work().join("layout"));
        env.ok(&[
            "build",
            "-q",
            "-t",
            "x:1",
            "--build-arg",
            "V=value",
            "--label",
            "l=1",
            "--secret",
            "id=s,src=secret",
            "--provenance",
            provenance,
            "-o",
            OUTPUT,
            ".",
        ]);
        attested(&env.work().join("layout"))
    };
    let max = build("mode=max,builder-id=https://ci/1");
    assert_eq!(max.manifests[0]["artifactType"], "application/vnd.docker.attestation.manifest.v1+json");
    assert_eq!(max.manifests[0]["subject"]["digest"], max.image.as_str());
    let statement = &max.statements[V1];
    assert_eq!(statement["subject"][0]["name"], format!("pkg:docker/x@1?platform=linux%2F{}", arch()));
    let definition = &statement["predicate"]["buildDefinition"];
    let request = &definition["externalParameters"]["request"];
    assert_eq!(request["args"]["build-arg:V"], "value");
    assert_eq!(request["args"]["label:l"], "1");
    assert_eq!(request["secrets"][0], serde_json::json!({"id": "s", "optional": true}));
    assert_eq!(
        definition["resolvedDependencies"][0]["uri"],
        format!("pkg:docker/busybox@latest?platform=linux%2F{}", arch())
    );
    let steps = definition["internalParameters"]["buildConfig"]["llbDefinition"].as_array().unwrap();
    assert_eq!(steps.len(), 3, "the base, the process, the result");
    assert_eq!(steps[1]["op"]["Op"]["exec"]["meta"]["cwd"], "/");
    let details = &statement["predicate"]["runDetails"];
    assert_eq!(details["builder"]["id"], "https://ci/1");
    assert_eq!(details["metadata"]["buildkit_completeness"]["request"], true);
    assert!(!statement.to_string().contains("hunter2"), "{statement}");

    let min = build("true").statements[V1].to_string();
    for hidden in ["build-arg", "label:", "secrets", "llbDefinition", "infos"] {
        assert!(!min.contains(hidden), "{hidden}: {min}");
    }
    assert!(min.contains("pkg:docker/busybox"), "{min}");
    let old = build("version=v0.2").statements["https://slsa.dev/provenance/v0.2"].clone();
    assert_eq!(old["predicate"]["invocation"]["configSource"]["entryPoint"], "Dockerfile");
}

fn arch() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

/// A tree with packages of every kind that are text.
fn packages(env: &TestEnv) {
    env.write("t/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n");
    env.write(
        "t/var/lib/dpkg/status",
        "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36\n\n\
         Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n",
    );
    env.write("t/lib/apk/db/installed", "P:musl\nV:1.2\nA:x86_64\nL:MIT\n\n");
    env.write("t/usr/lib/python3/a_b-1.dist-info/METADATA", "Name: A_b\nVersion: 1\n");
    env.write("t/app/node_modules/@s/n/package.json", r#"{"name":"@s/n","version":"2.0.0","license":"MIT"}"#);
    env.write("t/app/package.json", r#"{"name":"mine","version":"0.0.0"}"#);
    env.write("t/app/Cargo.lock", "[[package]]\nname = \"c\"\nversion = \"3.0.0\"\n");
    env.write("t/bad/node_modules/x/package.json", "{");
    env.write("Dockerfile", "FROM scratch\nCOPY t /\n");
}

#[test]
fn a_bill_of_materials_lists_what_is_in_the_tree() {
    let env = TestEnv::new();
    packages(&env);
    let epoch = ["--build-arg", "SOURCE_DATE_EPOCH=0"];
    env.ok(&[&["build", "-q", "-t", "x", "--sbom=true", "-o", OUTPUT], &epoch[..], &["."]].concat());
    let first = attested(&env.work().join("layout"));
    let document = &first.statements["https://spdx.dev/Document"]["predicate"];
    assert_eq!((&document["spdxVersion"], &document["name"]), (&"SPDX-2.3".into(), &"x:latest".into()));
    let listed: Vec<String> = document["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|package| Some(package["externalRefs"][0]["referenceLocator"].as_str()?.to_owned()))
        .collect();
    assert_eq!(
        listed,
        [
            "pkg:apk/debian/musl@1.2?arch=x86_64&distro=debian-12",
            "pkg:cargo/c@3.0.0",
            "pkg:deb/debian/libc6@2.36?arch=amd64&distro=debian-12",
            "pkg:npm/%40s/n@2.0.0",
            "pkg:pypi/a-b@1"
        ]
    );
    env.ok(&[&["build", "-q", "-t", "x", "--no-cache", "--sbom=true", "-o", OUTPUT], &epoch[..], &["."]]
        .concat());
    assert_eq!(attested(&env.work().join("layout")).statements, first.statements, "the same every time");
}

#[test]
fn files_have_their_attestations_beside_them() {
    let env = TestEnv::new();
    packages(&env);
    let output = "type=local,dest=out,attestation-prefix=my-";
    env.ok(&["build", "-q", "--provenance=true", "--sbom=true", "-o", output, "."]);
    let provenance = json(&env.work().join("out/my-provenance.json"));
    assert_eq!(provenance["predicateType"], V1);
    let names: Vec<&str> =
        provenance["subject"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"app/Cargo.lock") && !names.contains(&"app"), "{names:?}");
    let sbom = json(&env.work().join("out/my-sbom.spdx.json"));
    assert_eq!(sbom["predicate"]["packages"].as_array().unwrap().len(), 6);
    env.ok(&["build", "-q", "--provenance=inline-only=true", "-o", "plain", "."]);
    assert!(!env.work().join("plain/provenance.json").exists());
}

#[test]
fn the_old_form_and_other_wishes() {
    let env = TestEnv::new();
    env.write("Dockerfile", "FROM scratch\nLABEL a=1\n");
    env.ok(&["build", "-q", "--sbom=1", "-o", "type=oci,dest=layout,tar=false,oci-artifact=false", "."]);
    let old = attested(&env.work().join("layout"));
    assert_eq!(old.manifests[0]["config"]["mediaType"], "application/vnd.oci.image.config.v1+json");
    assert_eq!(old.manifests[0].get("subject"), None);
    for (flag, expected) in [
        ("--attest=type=foo", "unknown attestation type \"foo\""),
        ("--provenance=mode=foo", "invalid mode \"foo\""),
        ("--sbom=generator=img", "SBOM generator \"img\" is not available"),
    ] {
        let failed = env.run(&["build", flag, "."]).fails_with(1);
        assert!(failed.stderr.contains(expected), "{flag}: {}", failed.stderr);
    }
}
