//! `--use-api-socket`: containers that speak to a service, with the credentials of their user.

mod support;

use support::TestEnv;

#[test]
fn a_container_speaks_to_the_service() {
    let env = TestEnv::new().with_busybox();
    if !support::is_root() {
        return;
    }
    let refused = env.run(&["create", "--use-api-socket", "busybox"]);
    if !std::path::Path::new("/var/run/docker.sock").exists() {
        let said = refused.fails_with(1).stderr;
        let why = "Error response from daemon: nobody listens at /var/run/docker.sock for --use-api-socket: there is no daemon";
        assert!(said.starts_with(why), "{said}");
    }
    // The place of sockets is this test's own.
    let script = "mount -t tmpfs run /run && { \"$@\" system service & } && i=0 && \
                  until test -S /run/docker.sock || test $i = 300; do sleep 0.1; i=$((i + 1)); done; \
                  for at in '' '-H unix:///run/docker.sock'; do \
                  \"$@\" $at run --rm --network none --use-api-socket busybox sh -c \
                  'test -S /var/run/docker.sock && echo socket; echo $DOCKER_CONFIG; cat $DOCKER_CONFIG/config.json'; done; \
                  \"$@\" run --name kept --network none --use-api-socket busybox touch /new; \
                  \"$@\" commit kept kept >/dev/null; \"$@\" run --rm --network none kept grep -r YTpi /run /new; \"$@\" export kept | grep -c YTpi; \
                  \"$@\" create --name box --use-api-socket -e DOCKER_CONFIG=/mine busybox >/dev/null; kill $!; wait";
    env.write("config.json", "{\"auths\": {\"r.example\": {\"auth\": \"YTpi\"}}}");
    let command = env.skiff(&[]);
    let mut unshared = std::process::Command::new("unshare");
    unshared.args(["-m", "sh", "-c", script, "sh"]).arg(command.get_program());
    unshared.env_clear().envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let output =
        unshared.env("DOCKER_CONFIG", env.work()).current_dir(env.work()).output().expect("unshare runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let one = "socket\n/run/secrets/docker\n{\n  \"auths\": {\n    \"r.example\": {\n      \"auth\": \"YTpi\"\n    }\n  }\n}";
    assert_eq!(said, format!("{one}{one}0\n"), "{}", String::from_utf8_lossy(&output.stderr));
    let shown = env.ok(&["inspect", "-f", "{{json .HostConfig.Mounts}} {{json .Config.Env}}", "box"]);
    let mount = "[{\"Type\":\"bind\",\"Source\":\"/var/run/docker.sock\",\"Target\":\"/var/run/docker.sock\",\"BindOptions\":{}}] ";
    assert!(shown.starts_with(mount) && shown.ends_with(",\"DOCKER_CONFIG=/mine\"]\n"), "{shown}");
    assert_eq!(shown.matches("DOCKER_CONFIG").count(), 1, "the user's own counts: {shown}");
}
