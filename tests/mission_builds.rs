//! The rows of users' notes about Dockerfiles (F1 to F17), as they are typed there.

mod support;

use support::TestEnv;

fn run(env: &TestEnv, line: &str) -> String {
    env.ok(&[&["run", "--rm", "--network", "none"][..], &line.split(' ').collect::<Vec<_>>()].concat())
}

#[test]
fn a_named_file_is_built_in_its_context() {
    let env = TestEnv::new().with_busybox();
    env.write("dockerfile1", "FROM busybox\nCMD echo \"----end----\"\nCMD /bin/sh -c 'echo last'\n");
    // F2
    env.ok(&["build", "-f", "dockerfile1", "-t", "kuangshen/centos:1.0", "."]);
    let without = env.run(&["build", "-f", "dockerfile1", "-t", "kuangshen/centos:1.0"]).fails_with(1);
    assert!(without.stderr.starts_with("skiff: 'skiff build' requires 1 argument\n"), "{}", without.stderr);
    // F11
    assert_eq!(run(&env, "kuangshen/centos:1.0"), "last\n");
    assert_eq!(run(&env, "kuangshen/centos:1.0 echo x"), "x\n");
}

#[test]
fn each_instruction_does_what_the_notes_say() {
    let env = TestEnv::new().with_busybox();
    let file = env.write("a", "content\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o751);
    std::fs::set_permissions(file, mode).expect("a mode");
    let packed =
        std::process::Command::new("tar").args(["cf", "t.tar", "a"]).current_dir(env.work()).status();
    assert!(packed.expect("tar runs").success());
    env.write(
        "Dockerfile",
        "# a comment\nfrom busybox\nMAINTAINER someone <s@example>\nRUN echo \"$K\" > /early\nENV K=v\n\
         RUN echo \"$K\" > /hi\nWORKDIR /wd\nCOPY a /a\nADD t.tar /t/\nEXPOSE 80\nVOLUME [\"/v\"]\n",
    );
    let built = env.run(&["build", "-t", "it", "."]).success();
    // F5
    assert!(built.stderr.contains("MaintainerDeprecated"), "{}", built.stderr);
    assert_eq!(env.ok(&["inspect", "-f", "{{.Author}}", "it"]), "someone <s@example>\n");
    // F3, F4
    let history = env.ok(&["history", "--no-trunc", "--format", "{{.CreatedBy}}", "it"]);
    let first: Vec<&str> =
        history.lines().rev().map(|line| line.split(' ').next().unwrap_or_default()).collect();
    let base = env.ok(&["history", "--format", "{{.CreatedBy}}", "busybox"]).lines().count();
    assert_eq!(
        first[base..],
        ["MAINTAINER", "RUN", "ENV", "RUN", "WORKDIR", "COPY", "ADD", "EXPOSE", "VOLUME"],
        "{history}"
    );
    // F6, F7, F8, F10, F14, F15
    assert_eq!(run(&env, "it cat /early /hi /t/a"), "\nv\ncontent\n");
    assert_eq!(run(&env, "it pwd"), "/wd\n");
    assert_eq!(run(&env, "it env").lines().filter(|line| *line == "K=v").count(), 1);
    assert_eq!(run(&env, "it stat -c %a /a"), "751\n");
    assert_eq!(
        env.ok(&["inspect", "-f", "{{.Config.ExposedPorts}} {{.Config.Volumes}}", "it"]),
        "map[80/tcp:map[]] map[/v:map[]]\n"
    );
}

#[test]
fn entrypoints_and_triggers() {
    let env = TestEnv::new().with_busybox();
    // F12
    env.write("Dockerfile", "FROM busybox\nENTRYPOINT [\"echo\"]\n");
    env.ok(&["build", "-q", "-t", "echo", "."]);
    assert_eq!(run(&env, "echo a b"), "a b\n");
    // F13
    env.write("Dockerfile", "FROM busybox\nONBUILD RUN echo triggered > /trigger\n");
    env.ok(&["build", "-q", "-t", "parent", "."]);
    assert_eq!(env.run(&["run", "--rm", "--network", "none", "parent", "ls", "/trigger"]).code, Some(1));
    env.write("Dockerfile", "FROM parent\nRUN cp /trigger /copy\n");
    env.ok(&["build", "-q", "-t", "child", "."]);
    assert_eq!(run(&env, "child cat /copy"), "triggered\n");
}
