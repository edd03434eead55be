//! Images through the commands: names, lists, templates, archives, removal, exit codes and words.

mod support;

use support::TestEnv;

#[test]
fn a_list_shows_every_name() {
    let env = TestEnv::new();
    assert_eq!(env.ok(&["images"]), "REPOSITORY   TAG       IMAGE ID   CREATED   SIZE\n");
    let env = env.with_busybox();
    env.ok(&["tag", "busybox", "localhost:5000/other:v2"]);
    let table = env.ok(&["images"]);
    let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows.len(), 2, "{table}");
    assert_eq!(
        (rows[0][0], rows[0][1], rows[1][0], rows[1][1]),
        ("busybox", "latest", "localhost:5000/other", "v2")
    );
    assert!(rows[0][2] == rows[1][2] && rows[0][2].len() == 12, "{table}");
    assert!(table.contains(" ago ") && table.contains("2.13MB"), "{table}");
    assert_eq!(env.ok(&["images", "-q", "busy*"]).trim().len(), 12);
    assert_eq!(env.ok(&["images", "--format", "{{.Repository}}:{{.Tag}}", "other"]), "");
    assert_eq!(
        env.ok(&["images", "--filter", "reference=localhost:5000/*:v*", "--format", "{{.Tag}}"]),
        "v2\n"
    );
    assert!(env.ok(&["images", "--format", "table {{.ID}}\\t{{.Size}}"]).starts_with("IMAGE ID"));
    let json: serde_json::Value =
        serde_json::from_str(env.ok(&["images", "--format", "json", "busybox"]).trim()).unwrap();
    assert_eq!(json["Repository"], "busybox");
    let bad = env.run(&["images", "--filter", "nosuch=1"]).fails_with(1);
    assert!(bad.stderr.contains("invalid filter 'nosuch'"), "{}", bad.stderr);
}

#[test]
fn an_image_is_inspected_by_name_and_by_id() {
    let env = TestEnv::new().with_busybox();
    let id = env.ok(&["inspect", "-f", "{{.Id}}", "busybox"]).trim().to_owned();
    for name in [&id[..], &id[7..], &id[7..10], "busybox:latest", "docker.io/library/busybox"] {
        assert_eq!(env.ok(&["image", "inspect", "--format={{.Id}}", name]).trim(), id, "{name}");
    }
    let text = env.ok(&["inspect", "busybox"]);
    assert!(text.starts_with("[\n    {\n        \"Id\": \"sha256:"), "{text}");
    assert_eq!(
        env.ok(&["inspect", "-f", "{{json .Config.Cmd}} {{index .RepoTags 0}}", "busybox"]),
        "[\"sh\"] busybox:latest\n"
    );
    let missing = env.run(&["inspect", "nosuch"]).fails_with(1);
    assert_eq!((missing.stdout.as_str(), missing.stderr.trim()), ("[]\n", "error: no such object: nosuch"));
    let missing = env.run(&["image", "inspect", "nosuch"]).fails_with(1);
    assert_eq!(missing.stderr.trim(), "Error response from daemon: No such image: nosuch:latest");
    let field = env.run(&["inspect", "-f", "{{.config.Cmd}}", "busybox"]).fails_with(1);
    assert!(field.stderr.contains("did you mean .Config?"), "{}", field.stderr);
    env.run(&["inspect", "-f", "{{.Id", "busybox"]).fails_with(64);
}

#[test]
fn removing_unties_names_first() {
    let env = TestEnv::new().with_busybox();
    env.ok(&["tag", "busybox", "second"]);
    let id = env.ok(&["images", "-q", "busybox"]).trim().to_owned();
    let conflict = env.run(&["rmi", &id]).fails_with(1);
    let expected = format!(
        "conflict: unable to delete {id} (must be forced) - image is referenced in multiple repositories"
    );
    assert!(conflict.stderr.contains(&expected), "{}", conflict.stderr);
    assert_eq!(env.ok(&["rmi", "second"]), "Untagged: second:latest\n");
    let gone = env.ok(&["image", "rm", "busybox"]);
    assert!(gone.starts_with("Untagged: busybox:latest\nDeleted: sha256:"), "{gone}");
    assert_eq!(std::fs::read_dir(env.store().join("layers")).unwrap().count(), 0);
    env.run(&["rmi", "nosuch"]).fails_with(1);
    let forced = env.run(&["rmi", "-f", "nosuch"]).success();
    assert!(forced.stderr.contains("No such image: nosuch:latest"), "{}", forced.stderr);
}

#[test]
fn saving_is_whole_or_not_at_all() {
    let env = TestEnv::new().with_busybox();
    env.ok(&["tag", "busybox", "busybox:two"]);
    env.ok(&["save", "-o", "all.tar", "busybox"]);
    let listed = support::image::read(&env.work().join("all.tar"));
    assert_eq!(listed.layers, 1);
    let piped = env.skiff(&["save", "busybox"]).output().unwrap();
    assert_eq!(piped.stdout, std::fs::read(env.work().join("all.tar")).unwrap(), "the same bytes to a pipe");
    env.run(&["save", "-o", "bad.tar", "busybox", "nosuch"]).fails_with(1);
    assert!(!env.work().join("bad.tar").exists());
    let fresh = TestEnv::new();
    let all = env.work().join("all.tar");
    let said = fresh.ok(&["load", "-i", all.to_str().unwrap()]);
    assert_eq!(said, "Loaded image: busybox:latest\nLoaded image: busybox:two\n");
    let garbage = env.write("garbage.tar", vec![7u8; 5000]);
    let failed = fresh.run(&["load", "-i", garbage.to_str().unwrap()]).fails_with(1);
    assert!(failed.stderr.contains("tar"), "{}", failed.stderr);
}

#[test]
fn mistakes_have_dockers_words_and_codes() {
    let env = TestEnv::new();
    let says = |args: &[&str], code: i32, text: &str| {
        let ran = env.run(args).fails_with(code);
        assert!(ran.stderr.contains(text), "{args:?}: {}", ran.stderr);
    };
    says(&["rmi"], 1, "'skiff rmi' requires at least 1 argument");
    says(&["tag", "a"], 1, "'skiff tag' requires 2 arguments");
    says(&["images", "--nosuch"], 125, "unknown flag: --nosuch");
    says(&["images", "-z"], 125, "unknown shorthand flag: 'z' in -z");
    says(&["nosuchcommand"], 1, "unknown command: skiff nosuchcommand");
    says(&["swarm"], 1, "'skiff swarm' is not available in this version");
    says(&["tag", "a", "B"], 1, "must be lowercase");
    says(&["build", "--push", "."], 1, "tag is needed when pushing to registry");
    let help = env.ok(&["build", "--help"]);
    assert!(
        help.contains("Usage:  skiff build [OPTIONS] PATH | URL | -") && help.contains("--no-cache-filter"),
        "{help}"
    );
    let link = env.work().join("docker");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_skiff"), &link).unwrap();
    let output = std::process::Command::new(&link).args(["rmi"]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("'docker rmi' requires"));
    for shell in ["bash", "zsh", "fish"] {
        assert!(env.ok(&["completion", shell]).contains("images"), "{shell}");
    }
}

#[test]
fn information_names_what_is_used() {
    let env = TestEnv::new().with_busybox();
    let version = env.ok(&["version"]);
    assert!(
        version.contains("Client:") && version.contains("Server:") && version.contains("API version:"),
        "{version}"
    );
    let info = env.ok(&["info"]);
    for part in ["Images: 1", "Storage Driver: overlay", "Layer Form:", "Kernel Version:", "Docker Root Dir:"]
    {
        assert!(info.contains(part), "{part} is missing in\n{info}");
    }
    assert_eq!(env.ok(&["info", "-f", "{{.Images}} {{.OSType}}"]), "1 linux\n");
    let df = env.ok(&["system", "df"]);
    assert_eq!(df.lines().count(), 5, "{df}");
    assert_eq!(
        env.ok(&["system", "df", "--format", "{{.Type}} {{.TotalCount}}"]).lines().next(),
        Some("Images 1")
    );
    let history = env.ok(&["history", "--format", "{{.Comment}}", "busybox"]);
    assert!(history.starts_with("Imported from"), "{history}");
}

#[test]
fn both_layer_forms_serve() {
    for form in ["index", "directory"] {
        let env = TestEnv::new();
        let with = |args: &[&str]| env.run_with(args, &[("SKIFF_LAYER_FORM", form)]).success().stdout;
        let busybox = support::base("busybox.tar");
        with(&["import", "-c", "CMD [\"cat\", \"/etc/passwd\"]", busybox.to_str().unwrap(), "b"]);
        assert!(with(&["run", "--rm", "--network", "none", "b"]).starts_with("root:"), "{form}");
        with(&["save", "-o", "b.tar", "b"]);
        with(&["rmi", "b"]);
        with(&["load", "-i", "b.tar"]);
        assert!(with(&["run", "--rm", "--network", "none", "b"]).starts_with("root:"), "{form}");
    }
}
