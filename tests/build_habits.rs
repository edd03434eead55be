//! What users of buildah, podman and kaniko bring along, and what the client's surroundings say.

mod support;

use std::process::Command;

use support::TestEnv;
use support::image::Archived;

fn built(env: &TestEnv, dockerfile: &str, args: &[&str]) -> Archived {
    env.write("c/Dockerfile", dockerfile);
    env.run(&[&["build", "--progress=plain", "-t", "made"], args, &["c"]].concat()).success();
    env.ok(&["save", "-o", "made.tar", "made"]);
    support::image::read(&env.work().join("made.tar"))
}

fn fails(env: &TestEnv, args: &[&str], text: &str) {
    let ran = env.run(&[&["build", "--progress=plain"], args, &["c"]].concat());
    assert!(ran.code != Some(0) && ran.stderr.contains(text), "{args:?} lacks {text:?}: {}", ran.stderr);
}

fn text(env: &TestEnv, path: &str) -> String {
    env.ok(&["run", "--rm", "made", "cat", path])
}

#[test]
fn arguments_come_from_files() {
    let env = TestEnv::new();
    env.write("one", "# a comment\nA=file\n\n  B=two words  \nHOME\n");
    env.write("two", "A=later\n");
    let file = "FROM scratch\nARG A\nARG B\nARG HOME\nLABEL a=$A b=$B home=$HOME\n";
    let labels = |args: &[&str]| built(&env, file, args).config["config"]["Labels"].clone();
    let found = labels(&["--build-arg-file", "one"]);
    assert_eq!((found["a"].as_str(), found["b"].as_str()), (Some("file"), Some("two words")));
    assert!(found["home"].as_str().unwrap().ends_with("/home"));
    assert_eq!(labels(&["--build-arg-file", "one", "--build-arg-file", "two"])["a"], "later");
    assert_eq!(labels(&["--build-arg", "A=mine", "--build-arg-file", "one"])["a"], "mine");
    fails(&env, &["--build-arg-file", "nosuch"], "nosuch");
}

#[test]
fn the_image_is_changed_from_the_command_line() {
    let env = TestEnv::new().with_busybox();
    env.write("base/Dockerfile", "FROM busybox\nENV KEEP=1 GO=2\nLABEL keep=1 go=2\nRUN touch /base\n");
    env.ok(&["build", "-q", "-t", "base", "base"]);
    let file = "FROM scratch AS one\nRUN env > /env\nFROM one\nENV LATE=${GIVEN}-late\nRUN env > /env2\n";
    let image =
        built(&env, file, &["--from", "base", "--env", "GIVEN=yes", "--env", "PATH", "--unsetenv", "GO"]);
    assert!(image.tree.contains_key("base"));
    assert!(text(&env, "/env").contains("GIVEN=yes\n") && text(&env, "/env2").contains("LATE=yes-late\n"));
    let variables = image.config["config"]["Env"].to_string();
    assert!(variables.contains("GIVEN=yes") && variables.contains("KEEP=1"), "{variables}");
    assert!(!variables.contains("GO=2"), "{variables}");
    let labels = |args: &[&str]| {
        built(&env, "FROM base\nLABEL own=3\n", args).config["config"]["Labels"].as_object().unwrap().len()
    };
    assert_eq!((labels(&[]), labels(&["--unsetlabel", "go"])), (3, 2));
    assert_eq!((labels(&["--inherit-labels=false"]), labels(&["--inherit-labels"])), (1, 3));
    let image = built(&env, "FROM base\nRUN touch /x\n", &["--omit-history"]);
    assert!(image.config["history"].as_array().is_none_or(Vec::is_empty));
}

#[test]
fn layers_become_one() {
    let env = TestEnv::new().with_busybox();
    let file = "FROM busybox\n\
        RUN mkdir /d && echo 1 > /d/a && echo 1 > /d/b && ln /d/a /d/hard && ln -s a /d/soft\n\
        RUN rm /d/b && echo 2 > /d/a && echo new > /d/c && chmod 4711 /d/c && chown 5:6 /d/c\n\
        RUN rm -r /bin/busybox.d /home; mkdir /home && touch /home/mine && rm /etc/passwd\n\
        ENV X=1\nRUN mkfifo /fifo && mkdir -p /empty && echo end > /end\n";
    let plain = built(&env, file, &[]);
    for (args, layers) in [(&["--squash"][..], 2), (&["--layers=false"], 2), (&["--squash-all"], 1)] {
        let image = built(&env, file, args);
        assert_eq!((image.layers, plain.layers), (layers, 5), "{args:?}");
        assert_eq!(image.tree, plain.tree, "{args:?}");
        let history = image.config["history"].as_array().unwrap();
        let of_layers = history.iter().filter(|entry| entry["empty_layer"] != true).count();
        assert_eq!((history.len(), of_layers), (plain.config["history"].as_array().unwrap().len(), layers));
    }
    // On the base the same is hidden as before.
    let shown =
        env.ok(&["run", "--rm", "made", "sh", "-c", "ls /home /d; cat /d/hard /d/a; test ! -e /etc/passwd"]);
    assert_eq!(shown, "/d:\na\nc\nhard\nsoft\n\n/home:\nmine\n1\n2\n");
    built(&env, file, &["--squash"]);
    assert_eq!(env.ok(&["run", "--rm", "made", "sh", "-c", "ls /home; test ! -e /etc/passwd"]), "mine\n");
    // One layer is one already.
    let one = "FROM busybox\nRUN touch /x\n";
    assert_eq!(built(&env, one, &["--squash"]).config["rootfs"], built(&env, one, &[]).config["rootfs"]);
}

#[test]
fn every_run_sees_volumes_and_mounts() {
    let env = TestEnv::new().with_busybox();
    env.write("host/f", "shared");
    env.write("c/from-context", "context");
    let volume = format!("{}:/v:ro", env.work().join("host").display());
    let writable = "host:/w";
    let image = built(
        &env,
        "FROM busybox\nRUN cat /v/f > /a; ! touch /v/x 2>/dev/null && echo ' ro' >> /a\n\
         RUN echo out > /w/written; cat /m/from-context > /b\n\
         RUN --mount=type=cache,target=/cache ls /m >> /b\n",
        &["-v", &volume, "--volume", writable, "--mount", "type=bind,target=/m"],
    );
    assert_eq!(
        (text(&env, "/a").as_str(), text(&env, "/b").as_str()),
        ("shared ro\n", "contextDockerfile\nfrom-context\n")
    );
    assert!(!image.tree.keys().any(|path| path == "v" || path == "w" || path == "m" || path == "cache"));
    assert_eq!(std::fs::read_to_string(env.work().join("host/written")).unwrap(), "out\n");
    let stage = "FROM busybox AS tools\nRUN echo tool > /tool\nFROM busybox\nRUN cat /t/tool > /n\n";
    // The mount's own stage cannot mount itself.
    env.write("c/Dockerfile", stage);
    fails(&env, &["--mount", "from=tools,target=/t"], "circular dependency");
    fails(&env, &["-v", "nosuch:/x"], "nosuch");
    fails(&env, &["-v", "host:/x:O"], "option O is not available");
    fails(&env, &["--mount", "type=bnd,target=/x"], "unsupported mount type");
}

#[test]
fn the_sandbox_is_changed_from_the_command_line() {
    let env = TestEnv::new().with_busybox();
    let file = "FROM busybox\nRUN grep CapBnd /proc/self/status | cut -f2 > /caps; \
        grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status | tr '\\n\\t' '  ' > /confined; \
        cat /etc/resolv.conf > /resolv; cat /etc/hosts > /seen; ls /dev > /devices\n";
    let with = |args: &[&str]| drop(built(&env, file, args));
    with(&[]);
    assert_eq!(text(&env, "/caps"), "00000000a80425fb\n");
    let confined = text(&env, "/confined");
    assert!(confined.contains("NoNewPrivs: 0") && confined.contains("Seccomp: 2"), "{confined}");
    with(&["--cap-add", "SYS_ADMIN,NET_ADMIN", "--cap-drop=CHOWN"]);
    assert_eq!(text(&env, "/caps"), "00000000a82435fa\n");
    with(&[
        "--security-opt",
        "seccomp=unconfined",
        "--security-opt",
        "no-new-privileges",
        "--security-opt",
        "label=disable",
    ]);
    let confined = text(&env, "/confined");
    assert!(confined.contains("NoNewPrivs: 1") && confined.contains("Seccomp: 0"), "{confined}");
    with(&["--no-cache", "--dns", "9.9.9.9", "--dns-search", "example.org", "--dns-option", "ndots:3"]);
    let resolv = text(&env, "/resolv");
    assert!(resolv.contains("nameserver 9.9.9.9\n") && resolv.matches("nameserver").count() == 1, "{resolv}");
    assert!(resolv.contains("search example.org\n") && resolv.contains("options ndots:3\n"), "{resolv}");
    with(&["--device", "/dev/null:/dev/mine"]);
    assert!(text(&env, "/devices").contains("mine\n"));
    with(&["--no-cache", "--no-hosts"]);
    assert!(!text(&env, "/seen").contains("buildkitsandbox"));
    fails(&env, &["--cap-add", "NOSUCH"], "NOSUCH");
    fails(&env, &["--device", "/dev/nosuch"], "/dev/nosuch");
    fails(&env, &["--security-opt", "nosuch=1"], "invalid --security-opt 2: \"nosuch=1\"");
    fails(&env, &["--dns", "name"], "name");
}

#[test]
fn old_results_do_not_count() {
    let env = TestEnv::new().with_busybox();
    let file = "FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /n\n";
    built(&env, file, &[]);
    let first = text(&env, "/n");
    built(&env, file, &["--cache-ttl", "1h"]);
    assert_eq!(text(&env, "/n"), first);
    built(&env, file, &["--cache-ttl", "0s"]);
    assert_ne!(text(&env, "/n"), first);
    fails(&env, &["--cache-ttl", "soon"], "--cache-ttl");
}

#[test]
fn unused_stages_are_built_when_asked_for() {
    let env = TestEnv::new().with_busybox();
    let file = "FROM busybox AS bad\nRUN exit 3\nFROM busybox\nRUN true\n";
    built(&env, file, &[]);
    built(&env, file, &["--skip-unused-stages"]);
    fails(&env, &["--skip-unused-stages=false"], "exit code: 3");
}

#[test]
fn results_are_written_to_files() {
    let env = TestEnv::new();
    env.write("c/sub/Dockerfile", "FROM scratch\nCOPY f /in-sub\n");
    env.write("c/sub/f", "1");
    let image = built(
        &env,
        "FROM scratch\n",
        &["--context-sub-path", "sub", "--iidfile", "id", "--iidfile-raw", "raw", "--digest-file", "digest"],
    );
    assert!(image.tree.contains_key("in-sub"));
    let read = |name: &str| std::fs::read_to_string(env.work().join(name)).unwrap();
    assert_eq!(read("id"), format!("sha256:{}", read("raw")));
    assert!(read("digest").starts_with("sha256:") && read("digest").len() == 71);
}

#[test]
fn what_is_not_there_is_refused_by_name() {
    let env = TestEnv::new();
    env.write("c/Dockerfile", "FROM scratch\n");
    for args in [
        &["--manifest", "x"][..],
        &["--all-platforms"],
        &["--creds", "a:b"],
        &["--authfile", "f"],
        &["--tls-verify=false"],
        &["--retry", "3"],
        &["--logfile", "f"],
        &["--runtime", "crun"],
        &["--userns", "auto"],
        &["--ipc", "host"],
        &["--stdin"],
        &["--snapshot-mode", "redo"],
        &["--cache-repo", "r"],
        &["--registry-mirror", "r"],
        &["--policy", "reset=true"],
        &["--save-stages", "x"],
    ] {
        let name = args[0].split('=').next().unwrap();
        fails(&env, args, &format!("{name} is not available in this version"));
    }
    for args in
        [&["--userns", "host"][..], &["--identity-label=false"], &["--no-push"], &["--isolation", "oci"]]
    {
        env.run(&[&["build", "-q"], args, &["c"]].concat()).success();
    }
}

#[test]
fn proxies_come_from_the_configuration() {
    let env = TestEnv::new().with_busybox();
    env.write(
        "config/config.json",
        r#"{"proxies": {"default": {"httpProxy": "http://p:1", "noProxy": "n"}}}"#,
    );
    let file = "FROM busybox\nRUN env | grep -i proxy | sort > /n || true\n";
    env.write("c/Dockerfile", file);
    let config = env.work().join("config");
    let with = |args: &[&str], variables: &[(&str, &str)]| {
        let all = [&["build", "--no-cache", "-q", "-t", "made"], args, &["c"]].concat();
        let variables = [&[("DOCKER_CONFIG", config.to_str().unwrap())], variables].concat();
        env.run_with(&all, &variables).success();
        text(&env, "/n").replace('\n', " ")
    };
    let both = "HTTP_PROXY=http://p:1 NO_PROXY=n http_proxy=http://p:1 no_proxy=n ";
    assert_eq!(with(&[], &[("https_proxy", "https://env")]), both);
    assert_eq!(with(&["--http-proxy=false"], &[]), "");
    let mine = with(&["--build-arg", "http_proxy=mine"], &[]);
    assert!(mine.contains("HTTP_PROXY=mine") && mine.contains("http_proxy=mine"), "{mine}");
    assert!(with(&["--http-proxy"], &[("https_proxy", "https://env")]).contains("HTTPS_PROXY=https://env"));
    let history = env.ok(&["history", "--no-trunc", "made"]) + &env.ok(&["inspect", "made"]);
    assert!(!history.contains("p:1"), "{history}");
    env.write("config/config.json", "{");
    let ran = env.run_with(&["build", "c"], &[("DOCKER_CONFIG", config.to_str().unwrap())]).success();
    assert!(ran.stderr.contains("WARNING: Error parsing config file"), "{}", ran.stderr);
}

#[test]
fn labels_tell_the_repository() {
    let env = TestEnv::new();
    env.write("c/docker/Dockerfile", "FROM scratch\nLABEL a=b\n");
    let git = |args: &[&str]| {
        let output = Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main"])
            .args(args)
            .current_dir(env.work().join("c"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "one"]);
    git(&["remote", "add", "origin", "https://user:hush@example.org/x.git"]);
    let head = git(&["rev-parse", "HEAD"]);
    let labels = |args: &[&str], variables: &[(&str, &str)]| {
        let all = [&["build", "-q", "-t", "made", "-f", "c/docker/Dockerfile"], args, &["c"]].concat();
        env.run_with(&all, variables).success();
        env.ok(&["inspect", "-f", "{{json .Config.Labels}}", "made"])
    };
    assert_eq!(labels(&[], &[]).trim(), r#"{"a":"b"}"#);
    assert_eq!(labels(&[], &[("BUILDX_GIT_LABELS", "0")]).trim(), r#"{"a":"b"}"#);
    let found = labels(&[], &[("BUILDX_GIT_LABELS", "1")]);
    for part in [
        &format!("\"org.opencontainers.image.revision\":\"{head}\""),
        "\"org.opencontainers.image.source\":\"https://example.org/x.git\"",
        "\"com.docker.image.source.entrypoint\":\"docker/Dockerfile\"",
    ] {
        assert!(found.contains(part), "{found} lacks {part}");
    }
    env.write("c/untracked", "1");
    let dirty = labels(&[], &[("BUILDX_GIT_LABELS", "full"), ("BUILDX_GIT_CHECK_DIRTY", "1")]);
    assert!(dirty.contains(&format!("{head}-dirty")), "{dirty}");
    let own = labels(&["--label", "org.opencontainers.image.revision=mine"], &[("BUILDX_GIT_LABELS", "1")]);
    assert!(own.contains("\"org.opencontainers.image.revision\":\"mine\""), "{own}");
}

#[test]
fn output_is_limited() {
    let env = TestEnv::new().with_busybox();
    // So much that no machine takes the time in which the limit lets all of it through.
    let line = "y".repeat(999);
    env.write("c/Dockerfile", format!("FROM busybox\nRUN yes {line} | head -c 2000000; echo done >&2\n"));
    let said = |variables: &[(&str, &str)]| {
        let all = ["build", "--no-cache", "--progress=plain", "c"];
        let stderr = env.run_with(&all, variables).success().stderr;
        (stderr.matches(&format!(" {line}\n")).count(), stderr)
    };
    let (lines, fast) = said(&[]);
    assert!((204..2_000).contains(&lines), "{lines} lines");
    assert!(fast.contains("[output clipped, log limit 200KiB/s reached]") && fast.contains(" done"));
    let (lines, unlimited) = said(&[("BUILDKIT_STEP_LOG_MAX_SPEED", "-1")]);
    assert!(lines == 2_000 && !unlimited.contains("clipped"), "{lines} lines");
    let (lines, small) =
        said(&[("BUILDKIT_STEP_LOG_MAX_SIZE", "5120"), ("BUILDKIT_STEP_LOG_MAX_SPEED", "-1")]);
    assert!(small.contains("[output clipped, log limit 5KiB reached]"), "{small:.9000}");
    assert_eq!(lines, 5);
}

#[test]
fn outputs_are_shaped_as_buildah_and_kaniko_do() {
    let env = TestEnv::new().with_busybox();
    let file = "FROM busybox\nRUN touch -d '2001-01-01 00:00:00' /old; touch /new\n";
    let image = built(&env, file, &["--timestamp", "1234567890"]);
    assert_eq!(image.config["created"], "2009-02-13T23:31:30Z");
    let stat = |path: &str| env.ok(&["run", "--rm", "made", "stat", "-c", "%Y", path]).trim().to_owned();
    assert_eq!((stat("/old").as_str(), stat("/new").as_str()), ("1234567890", "1234567890"));
    built(&env, file, &["--source-date-epoch", "1234567890", "--rewrite-timestamp"]);
    assert_eq!((stat("/old").as_str(), stat("/new").as_str()), ("978307200", "1234567890"));
    let image = built(&env, file, &["--source-date-epoch=1234567890"]);
    assert_eq!(image.config["created"], "2009-02-13T23:31:30Z");
    assert_ne!(stat("/new"), "1234567890");
    built(&env, file, &["--tar-path", "kaniko.tar", "--oci-layout-path", "layout", "--format", "docker"]);
    env.ok(&["rmi", "made"]);
    assert!(env.ok(&["load", "-i", "kaniko.tar"]).contains("made"));
    assert_eq!(stat("/old"), "978307200");
    assert!(env.work().join("layout/oci-layout").is_file());
    let kind = |args: &[&str]| {
        let all = [&["build", "-q", "-o", "type=oci,tar=false,dest=out"], args, &["c"]].concat();
        env.ok(&all);
        let index = std::fs::read(env.work().join("out/index.json")).unwrap();
        std::fs::remove_dir_all(env.work().join("out")).unwrap();
        let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
        index["manifests"][0]["mediaType"].as_str().unwrap().to_owned()
    };
    assert_eq!(kind(&["--format", "docker"]), "application/vnd.docker.distribution.manifest.v2+json");
    assert_eq!(kind(&["--format", "oci"]), "application/vnd.oci.image.manifest.v1+json");
    fails(&env, &["--format", "tar"], "unrecognized image type \"tar\"");
    let ran = env.run(&["build", "--timestamp", "1", "--source-date-epoch", "2", "c"]);
    assert!(ran.code != Some(0), "{}", ran.stderr);
}

#[test]
fn steps_see_the_hosts_limits_and_memory_they_are_given() {
    let env = TestEnv::new().with_busybox();
    let file = "FROM busybox\nRUN cat /etc/hosts > /seen; df -k /dev/shm | tail -1 | awk '{print $2}' > /shm; \
        ulimit -n > /files; ulimit -Hn >> /files\n";
    let with = |args: &[&str]| drop(built(&env, file, args));
    with(&[
        "--add-host",
        "a:1.2.3.4",
        "--add-host=b=5.6.7.8,[::5]",
        "--add-host",
        "c:host-gateway",
        "--add-host",
        "d:::6",
    ]);
    let hosts = text(&env, "/seen");
    for line in [
        "127.0.0.1\tlocalhost buildkitsandbox\n",
        "1.2.3.4\ta\n",
        "5.6.7.8\tb\n",
        "::5\tb\n",
        "127.0.0.1\tc\n",
        "::6\td\n",
    ] {
        assert!(hosts.contains(line), "{hosts} lacks {line}");
    }
    assert_eq!(text(&env, "/shm"), "65536\n");
    with(&["--shm-size", "1m", "--ulimit", "nofile=100:200"]);
    assert_eq!((text(&env, "/shm").as_str(), text(&env, "/files").as_str()), ("1024\n", "100\n200\n"));
    with(&["--resource", "memory=64m,cpu-shares=512", "--resource", "cpu-quota=50000"]);
    fails(&env, &["--resource", "memory=big"], "invalid size: 'big'");
    fails(&env, &["--resource", "nosuch=1"], "unknown resource key \"nosuch\"");
    fails(&env, &["--add-host", "nothing"], "bad format for add-host: \"nothing\"");
    fails(&env, &["--ulimit", "nofile=5:4"], "soft limit must be less than or equal to hard limit");
    fails(&env, &["--ulimit", "nosuch=5"], "invalid ulimit type: nosuch");
    fails(&env, &["--network", "nosuch"], "network mode \"nosuch\" not supported");
    fails(&env, &["--allow", "nosuch"], "unknown entitlement nosuch");
    let ran = env.run_with(&["build", "c"], &[("DOCKER_BUILDKIT", "maybe")]).fails_with(1);
    assert!(
        ran.stderr.contains("DOCKER_BUILDKIT environment variable expects boolean value"),
        "{}",
        ran.stderr
    );
}
