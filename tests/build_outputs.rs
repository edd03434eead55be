//! `build --output`: files, tars, layouts, archives, the store; and what scripts read of it.

mod support;

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};

use support::{TestEnv, is_root};

const FILE: &str = "FROM scratch\nARG TARGETARCH\nCOPY --chown=5:6 src /x\nLABEL a=$TARGETARCH\n";

fn env() -> TestEnv {
    let env = TestEnv::new();
    env.write("Dockerfile", FILE);
    env.write("src/a.txt", "content\n");
    let src = env.work().join("src");
    std::fs::hard_link(src.join("a.txt"), src.join("b.txt")).unwrap();
    std::os::unix::fs::symlink("a.txt", src.join("link")).unwrap();
    std::fs::set_permissions(src.join("a.txt"), std::fs::Permissions::from_mode(0o640)).unwrap();
    env
}

fn names(bytes: &[u8]) -> Vec<String> {
    let mut tar = tar::Archive::new(bytes);
    tar.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect()
}

fn blobs(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut tar = tar::Archive::new(std::fs::File::open(path).unwrap());
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        found.insert(entry.path().unwrap().display().to_string(), bytes);
    }
    found
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the blob of a descriptor, whose digest and size must be true.
#[track_caller]
fn blob(blobs: &BTreeMap<String, Vec<u8>>, descriptor: &Value) -> Vec<u8> {
    let digest = descriptor["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
    let bytes = &blobs[&format!("blobs/sha256/{digest}")];
    assert_eq!((hex(bytes), bytes.len() as u64), (digest, descriptor["size"].as_u64().unwrap()));
    bytes.clone()
}

#[test]
fn a_directory_gets_the_files_and_keeps_its_own() {
    let env = env();
    env.write("out/x/mine", "mine");
    env.write("out/x/a.txt", "old and longer than the new one");
    env.ok(&["build", "-q", "-o", "out", "."]);
    let out = env.work().join("out/x");
    assert_eq!(std::fs::read_to_string(out.join("a.txt")).unwrap(), "content\n");
    assert_eq!(std::fs::read_to_string(out.join("mine")).unwrap(), "mine");
    assert_eq!(std::fs::read_link(out.join("link")).unwrap(), Path::new("a.txt"));
    let meta = std::fs::metadata(out.join("a.txt")).unwrap();
    assert_eq!((meta.mode() & 0o7777, meta.nlink()), (0o640, 2));
    // Owners are the caller's, as buildx's client leaves them.
    assert_eq!(meta.uid(), rustix::process::geteuid().as_raw());
    assert_eq!(env.ok(&["images", "-q"]), "", "files are no image");

    let refused = env.run(&["build", "-q", "-o", "type=local,dest=out,mode=delete", "."]).fails_with(1);
    assert!(refused.stderr.contains("--allow buildx.local.delete"), "{}", refused.stderr);
    env.ok(&["build", "-q", "--allow", "buildx.local.delete", "-o", "type=local,dest=out,mode=delete", "."]);
    assert!(!out.join("mine").exists() && out.join("a.txt").exists());
}

#[test]
fn several_platforms_have_folders_and_must_not_collide() {
    let env = env();
    let both = ["--platform", "linux/amd64,linux/arm64"];
    let epoch = ["--build-arg", "SOURCE_DATE_EPOCH=1000000"];
    env.ok(&[&["build", "-q", "-o", "out"], &both[..], &epoch, &["."]].concat());
    for folder in ["linux_amd64", "linux_arm64", "linux_amd64/x/a.txt"] {
        assert_eq!(
            std::fs::metadata(env.work().join("out").join(folder)).unwrap().mtime(),
            1_000_000,
            "{folder}"
        );
    }
    let output = "type=local,dest=deep/new,platform-split=false";
    let failed = env.run(&[&["build", "-q", "-o", output], &both[..], &["."]].concat()).fails_with(1);
    assert!(failed.stderr.contains("when split option is disabled"), "{}", failed.stderr);
    assert!(!env.work().join("deep").exists(), "nothing half-written stays");
}

#[test]
fn a_tar_goes_to_a_file_or_to_standard_output() {
    let env = env();
    env.ok(&["build", "-q", "-o", "type=tar,dest=out.tar", "--build-arg", "SOURCE_DATE_EPOCH=9", "."]);
    let written = std::fs::read(env.work().join("out.tar")).unwrap();
    let expected = ["x/", "x/a.txt", "x/b.txt", "x/link"];
    assert_eq!(names(&written), expected);
    let output =
        env.skiff(&["build", "-q", "-o", "-", "--build-arg", "SOURCE_DATE_EPOCH=9", "."]).output().unwrap();
    assert_eq!(output.stdout, written, "{}", String::from_utf8_lossy(&output.stderr));
    let mut tar = tar::Archive::new(&written[..]);
    for entry in tar.entries().unwrap() {
        let header = entry.unwrap().header().clone();
        assert_eq!((header.mtime().unwrap(), header.uid().unwrap()), (9, 5));
    }
}

#[test]
fn a_layout_names_its_images_and_every_blob_is_what_it_says() {
    let env = env();
    env.write("x", "");
    for (number, (attributes, kind)) in [
        ("", "tar+gzip"),
        (",compression=zstd,compression-level=19", "tar+zstd"),
        (",compression=uncompressed", "tar"),
    ]
    .into_iter()
    .enumerate()
    {
        let dest = format!("out{number}.tar");
        let output = format!("type=oci,dest={dest}{attributes}");
        env.ok(&["build", "-q", "-t", "a:1", "-t", "b:2", "--annotation", "k=v", "-o", &output, "."]);
        let blobs = blobs(&env.work().join(dest));
        let index = json(&blobs["index.json"]);
        let entries = index["manifests"].as_array().unwrap();
        let name = |n: usize| entries[n]["annotations"]["io.containerd.image.name"].as_str().unwrap();
        assert_eq!((entries.len(), name(0), name(1)), (2, "docker.io/library/a:1", "docker.io/library/b:2"));
        let manifest = json(&blob(&blobs, &entries[0]));
        assert_eq!(manifest["annotations"]["k"], "v");
        let config = json(&blob(&blobs, &manifest["config"]));
        let layer = &manifest["layers"][0];
        assert_eq!(layer["mediaType"], format!("application/vnd.oci.image.layer.v1.{kind}"));
        let packed = blob(&blobs, layer);
        let plain = match kind {
            "tar+gzip" => {
                let mut plain = Vec::new();
                flate2::read::MultiGzDecoder::new(&packed[..]).read_to_end(&mut plain).unwrap();
                plain
            }
            "tar+zstd" => zstd::decode_all(&packed[..]).unwrap(),
            _ => packed,
        };
        assert_eq!(config["rootfs"]["diff_ids"][0], format!("sha256:{}", hex(&plain)));
        assert_eq!(names(&plain), ["x/", "x/a.txt", "x/b.txt", "x/link"]);
    }
}

#[test]
fn a_layout_directory_keeps_its_other_names() {
    let env = env();
    for name in ["a", "b", "a"] {
        env.ok(&["build", "-q", "-t", name, "-o", "type=oci,dest=layout,tar=false", "."]);
    }
    let index = json(&std::fs::read(env.work().join("layout/index.json")).unwrap());
    let names: Vec<&str> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["annotations"]["io.containerd.image.name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["docker.io/library/b:latest", "docker.io/library/a:latest"]);
    assert!(env.ok(&["load", "-i", "layout"]).contains("Loaded image: a:latest"));
}

#[test]
fn a_docker_archive_loads_again() {
    let env = env();
    let output = ["-o", "type=docker,dest=out.tar"];
    let id = env.ok(&[&["build", "-q", "-t", "a:1"], &output[..], &["."]].concat());
    let blobs = blobs(&env.work().join("out.tar"));
    let list = json(&blobs["manifest.json"]);
    assert_eq!(list[0]["RepoTags"][0], "a:1");
    assert_eq!(format!("sha256:{}\n", hex(&blobs[list[0]["Config"].as_str().unwrap()])), id);
    let entry = &json(&blobs["index.json"])["manifests"][0];
    assert_eq!(entry["mediaType"], "application/vnd.docker.distribution.manifest.v2+json");
    assert_eq!(env.ok(&["images", "-q"]), "");
    assert_eq!(env.ok(&["load", "-i", "out.tar"]), "Loaded image: a:1\n");
    assert_eq!(env.ok(&["image", "inspect", "-f", "{{.Id}}", "a:1"]), id);
    let several = ["--platform", "linux/amd64,linux/arm64"];
    let failed = env.run(&[&["build"], &several[..], &output, &["."]].concat()).fails_with(1);
    assert!(failed.stderr.contains("does not support exporting manifest lists"), "{}", failed.stderr);
}

#[test]
fn several_outputs_are_written_in_one_build() {
    let env = env();
    env.ok(&["build", "-q", "-t", "a", "-o", "out", "-o", "type=oci,dest=a.tar", "--load", "."]);
    assert!(env.work().join("out/x/a.txt").exists() && env.work().join("a.tar").exists());
    assert!(env.ok(&["images"]).contains("latest"));
    let other = TestEnv::new();
    other.write("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    other.ok(&["build", "-q", "-t", "a", "-o", "type=cacheonly", "."]);
    assert_eq!(other.ok(&["images", "-q"]), "");
}

#[test]
fn what_scripts_read_is_written() {
    let env = env();
    let id = env.ok(&["build", "-q", "-t", "a:1", "--metadata-file", "m.json", "--iidfile", "id", "."]);
    assert_eq!(std::fs::read_to_string(env.work().join("id")).unwrap() + "\n", id);
    let metadata = json(&std::fs::read(env.work().join("m.json")).unwrap());
    let keys: Vec<&String> = metadata.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "buildx.build.provenance",
            "buildx.build.ref",
            "containerimage.config.digest",
            "containerimage.descriptor",
            "containerimage.digest",
            "image.name"
        ]
    );
    assert_eq!(metadata["containerimage.config.digest"], id.trim());
    assert_eq!(metadata["containerimage.descriptor"]["digest"], metadata["containerimage.digest"]);
    assert_eq!(metadata["containerimage.descriptor"]["platform"]["os"], "linux");
    assert_eq!(metadata["image.name"], "docker.io/library/a:1");
    assert!(metadata["buildx.build.ref"].as_str().unwrap().starts_with("default/default/"));
}

#[test]
fn times_of_files_are_lowered_on_the_way_out() {
    let env = env();
    let epoch = "source-date-epoch=1000,rewrite-timestamp=true";
    let one = |dest: &str| {
        let output = format!("type=oci,dest={dest},{epoch}");
        env.ok(&["build", "-q", "--no-cache", "-t", "a", "-o", &output, "."])
    };
    let first = one("a.tar");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let touched = std::process::Command::new("touch").arg(env.work().join("src/a.txt")).status();
    assert!(touched.unwrap().success());
    assert_eq!(one("b.tar"), first);
    assert_eq!(
        std::fs::read(env.work().join("a.tar")).unwrap(),
        std::fs::read(env.work().join("b.tar")).unwrap()
    );
    let blobs = blobs(&env.work().join("a.tar"));
    let entry = json(&blobs["index.json"])["manifests"][0].clone();
    assert_eq!(entry["annotations"]["org.opencontainers.image.created"], "1970-01-01T00:16:40Z");
}

#[test]
fn what_cannot_be_done_is_said_before_anything_is_built() {
    let env = env();
    env.write("file", "");
    for (flags, expected) in [
        (&["-o", "type=local"][..], "ERROR: failed to build: dest is required for local exporter"),
        (&["-o", "type=nope"], "exporter \"nope\" could not be found"),
        (&["-o", "type=local,dest=file"], "destination directory file is a file"),
        (&["-o", "type=oci,dest=src"], "destination file src is a directory"),
        (&["-o", "type=oci,dest=x,compression=estargz"], "compression=estargz is not available"),
        (&["-o", "out", "--iidfile", "x"], "local and tar exporters are incompatible with image ID file"),
        (&["-o", "-", "-o", "type=oci,dest=-"], "multiple outputs configured to write to stdout"),
        (&["--push"], "tag is needed when pushing to registry"),
        (&["--annotation", "foo:x=y"], "parse annotations: unknown annotation type \"foo\""),
        (&["--platform", "linux/foo/bar/baz"], "invalid platform"),
    ] {
        let ran = env.run(&[&["build"], flags, &["."]].concat()).fails_with(1);
        assert!(ran.stderr.contains(expected), "{flags:?}: {}", ran.stderr);
        assert!(!ran.stderr.contains("#1 "), "{flags:?} built something: {}", ran.stderr);
    }
    let ran = env.run(&["build", "--annotation", "index:a=b", "."]).fails_with(1);
    assert!(
        ran.stderr.contains("index annotations not supported for single platform export"),
        "{}",
        ran.stderr
    );
}

/// A listing of a tar as `tar tv` would show it, times and all.
fn listing(bytes: &[u8]) -> Vec<String> {
    let mut tar = tar::Archive::new(bytes);
    let line = |entry: tar::Entry<'_, &[u8]>| {
        let header = entry.header();
        format!(
            "{:?} {:o} {}/{} {} {} {:?} {:?}",
            header.entry_type(),
            header.mode().unwrap(),
            header.uid().unwrap(),
            header.gid().unwrap(),
            entry.size(),
            header.mtime().unwrap(),
            entry.path().unwrap(),
            entry.link_name().unwrap(),
        )
    };
    tar.entries().unwrap().map(|entry| line(entry.unwrap())).collect()
}

#[test]
fn tars_and_folders_are_those_of_docker() {
    let Some(peer) = support::peer::Peer::start() else { return };
    assert!(is_root());
    let env = env();
    let work = peer.root().join("work/outputs-test");
    let _ = std::fs::remove_dir_all(&work);
    std::fs::create_dir_all(work.parent().unwrap()).unwrap();
    let copied = std::process::Command::new("cp").arg("-a").arg(env.work()).arg(&work).status();
    assert!(copied.unwrap().success());
    let inside = "/work/outputs-test";
    let flags = ["--build-arg", "SOURCE_DATE_EPOCH=1000000"];
    env.ok(&[&["build", "-q", "-o", "type=tar,dest=ours.tar"], &flags[..], &["."]].concat());
    let dest = format!("type=tar,dest={inside}/theirs.tar");
    peer.docker(&[&["buildx", "build", "-q", "-o", &dest], &flags[..], &[inside]].concat());
    let ours = listing(&std::fs::read(env.work().join("ours.tar")).unwrap());
    let theirs = listing(&std::fs::read(work.join("theirs.tar")).unwrap());
    assert_eq!(ours, theirs);
    // Directories: the same names, kinds, modes, links and times.
    env.ok(&[&["build", "-q", "-o", "ours"], &flags[..], &["."]].concat());
    let dest = format!("{inside}/theirs");
    peer.docker(&[&["buildx", "build", "-q", "-o", &dest], &flags[..], &[inside]].concat());
    let find = |dir: std::path::PathBuf| {
        let format = "%P %y %m %U:%G %n %l %T@\n";
        let output =
            std::process::Command::new("find").arg(dir).args(["-mindepth", "1", "-printf", format]).output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(find(env.work().join("ours")), find(work.join("theirs")));
    let _ = std::fs::remove_dir_all(&work);
}
