//! The rows of users' notes with mistyped or contradictory commands (I1 to I10): what is said then.

mod support;

use support::TestEnv;

#[test]
fn a_line_without_its_command_names_the_one_that_takes_it() {
    let env = TestEnv::new();
    // I1, I2, I4
    for (line, error, hint) in [
        (
            "-d -P --name nginx02 -v juming-nginx:/etc/nginx:ro nginx",
            "unknown shorthand flag: 'd' in -d",
            "did you mean: skiff run -d -P --name nginx02 -v juming-nginx:/etc/nginx:ro nginx",
        ),
        (
            "--tail 0 -f daemon_dave",
            "unknown flag: --tail",
            "did you mean: skiff logs --tail 0 -f daemon_dave",
        ),
        ("-rm x", "unknown shorthand flag: 'r' in -rm", "did you mean: skiff rm x"),
    ] {
        let ran = env.run(&line.split(' ').collect::<Vec<_>>()).fails_with(125);
        assert!(ran.stderr.starts_with(&format!("{error}\n{hint}\n\nUsage:")), "{}", ran.stderr);
    }
    for (word, near) in [("imspect", "inspect"), ("rnu", "run"), ("pss", "ps")] {
        let ran = env.run(&[word, "x"]).fails_with(1);
        let text = format!("skiff: unknown command: skiff {word} (did you mean {near}?)\n");
        assert!(ran.stderr.starts_with(&text), "{}", ran.stderr);
    }
}

#[test]
fn flags_and_values_that_are_nearly_right_are_recognised() {
    let env = TestEnv::new().with_busybox();
    // I9
    for (line, text) in [
        ("search --starts=3 x", "unknown flag: --starts (did you mean --stars?)"),
        ("run --resetart=always busybox", "unknown flag: --resetart (did you mean --restart?)"),
        (
            "run --restart=on-ailure busybox",
            "invalid restart policy: unknown policy 'on-ailure'; use one of 'no', 'always', 'on-failure', or \
             'unless-stopped'",
        ),
    ] {
        let ran = env.run(&line.split(' ').collect::<Vec<_>>()).fails_with(125);
        assert!(ran.stderr.contains(text), "{}", ran.stderr);
    }
    // I5
    let ran = env.run(&["logs", "-f", "-t", "--tail", "IMAGE"]).fails_with(1);
    let text =
        "skiff: 'skiff logs' requires 1 argument\n\"IMAGE\" was taken as the value of --tail\n\nUsage:";
    assert!(ran.stderr.starts_with(text), "{}", ran.stderr);
}

#[test]
fn what_is_no_container_is_recognised() {
    let env = TestEnv::new().with_busybox();
    // I3
    let ran = env.run(&["rm", "sudo docker ps -a -q"]).fails_with(1);
    assert!(ran.stderr.starts_with("Error response from daemon: No such container: sudo docker ps -a -q\n"));
    assert!(ran.stderr.contains("$(sudo docker ps -a -q)"), "{}", ran.stderr);
    // I6
    env.ok(&["create", "--name", "made", "busybox"]);
    let id = env.ok(&["images", "-q", "busybox"]);
    for line in
        ["top busybox", "cp busybox:/etc/passwd .", "start busybox", "inspect --type container busybox"]
    {
        let ran = env.run(&line.split(' ').collect::<Vec<_>>()).fails_with(1);
        let text = "Error response from daemon: No such container: busybox\n\
                    busybox is an image; containers from it: made\n";
        assert!(ran.stderr.starts_with(text), "{line}: {}", ran.stderr);
    }
    let ran = env.run(&["start", id.trim_end()]).fails_with(1);
    assert!(ran.stderr.contains("is an image; containers from it: made"), "{}", ran.stderr);
    // I8: export writes, import reads.
    env.ok(&["export", "-o", "made.tar", "made"]);
    assert!(env.ok(&["import", "made.tar", "again:1"]).starts_with("sha256:"));
}

#[test]
fn wide_characters_are_kept_and_counted() {
    let env = TestEnv::new().with_busybox();
    // I10
    let run = ["run", "--network", "none", "--name"];
    assert_eq!(env.ok(&[&run[..], &["i10", "busybox", "echo", "“hello world"]].concat()), "“hello world\n");
    assert_eq!(env.ok(&["logs", "i10"]), "“hello world\n");
    assert_eq!(env.ok(&["inspect", "-f", "{{json .Args}}", "i10"]), "[\"“hello world\"]\n");
    env.ok(&[&run[..], &["wide", "busybox", "echo", "全角文字列文字列全角文字列文字列"]].concat());
    let table = env.ok(&["ps", "-a"]);
    assert!(table.contains("\"echo '“hello world'\""), "{table}");
    assert!(table.contains("\"echo 全角文字列文字…\""), "twenty columns: {table}");
    // The next column begins in the same place of the screen.
    let table = env.ok(&["ps", "-a", "--format", "table {{.Command}}\t{{.Names}}"]);
    let wide = |c: char| ('\u{2e80}'..='\u{ffef}').contains(&c);
    let width = |text: &str| text.chars().map(|c| if wide(c) { 2 } else { 1 }).sum::<usize>();
    for (row, last) in table.lines().zip(["NAMES", "wide", "i10"]) {
        assert_eq!(width(&row[..row.find(last).expect("a name")]), 25, "{table}");
    }
}

#[test]
fn values_that_nothing_can_be_made_of_are_refused_in_dockers_words() {
    let env = TestEnv::new().with_busybox();
    let format = "bad format of filter (expected name=value)";
    for (line, code, text) in [
        ("ps --filter name", 125, format!("invalid argument \"name\" for \"-f, --filter\" flag: {format}\n\nUsage:")),
        ("network ls -f x", 125, format!("invalid argument \"x\" for \"-f, --filter\" flag: {format}\n\nUsage:")),
        (
            "stop --timeout x y",
            125,
            "invalid argument \"x\" for \"-t, --timeout\" flag: strconv.ParseInt: parsing \"x\": invalid syntax\n".into(),
        ),
        (
            "create --cap-add BOGUS busybox true",
            1,
            "Error response from daemon: invalid CapAdd: unknown capability: \"CAP_BOGUS\"\n".into(),
        ),
        (
            "run --cap-drop bogus busybox true",
            125,
            "docker: Error response from daemon: invalid CapDrop: unknown capability: \"CAP_BOGUS\"\n\nRun".into(),
        ),
        (
            "create --log-driver bogus busybox true",
            1,
            "Error response from daemon: error looking up logging plugin bogus: plugin \"bogus\" not found\n".into(),
        ),
    ] {
        let ran = env.run(&line.split(' ').collect::<Vec<_>>()).fails_with(code);
        assert!(ran.stderr.starts_with(&text), "{line}: {}", ran.stderr);
    }
}
