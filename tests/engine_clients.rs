//! Programs that speak docker's API, at our service: its Python library and Compose.

mod support;

use std::process::{Command, Output};

use support::engine::Engine;
use support::{TestEnv, repository};

/// Runs a client of the engine.
#[track_caller]
fn client(env: &TestEnv, engine: &Engine, program: &str, args: &[&str]) -> Output {
    let mut command = Command::new(program);
    // Compose 1 asks for the newest version, but knows no answer of 1.45 or later.
    command.env("COMPOSE_API_VERSION", "1.44");
    command.args(args).env("DOCKER_HOST", engine.host()).env("HOME", env.work()).current_dir(env.work());
    let output = command.env_remove("DOCKER_CONFIG").output();
    output.unwrap_or_else(|e| panic!("{program}: {e} (scripts/packages test installs it)"))
}

/// Runs it; it has to succeed. Returns what it printed on both streams.
#[track_caller]
fn said(env: &TestEnv, engine: &Engine, program: &str, args: &[&str]) -> String {
    let output = client(env, engine, program, args);
    let text = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat();
    assert!(output.status.success(), "{program} {args:?}: {text}\nservice: {}", engine.said());
    text
}

#[test]
fn dockers_python_library_finds_all_it_asks_for() {
    let env = TestEnv::new().with_busybox();
    let engine = Engine::start(&env);
    let script = repository().join("tests/support/docker_py.py");
    let text = said(&env, &engine, "/usr/bin/python3", &[script.to_str().expect("a plain path")]);
    assert!(text.contains("all of it works"), "{text}");
    assert_eq!(env.ok(&["ps", "-aq"]), "", "nothing is left");
}

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

const PROJECT: &str = r#"
version: "3.9"
services:
  web:
    image: busybox
    command: sh -c "mkdir -p /www && echo page > /www/index.html && exec httpd -f -p 80 -h /www"
    stop_signal: SIGKILL
    volumes: ["data:/data"]
    networks: {default: {aliases: [site]}}
    healthcheck: {test: ["CMD", "wget", "-qO-", "http://127.0.0.1/"], interval: 1s, retries: 30}
  asker:
    image: busybox
    command: sh -c "wget -qO- http://web/ && wget -qO- http://site/ && echo asked && exec sleep 1000"
    stop_signal: SIGKILL
    depends_on: {web: {condition: service_healthy}}
volumes:
  data: {labels: {kept: "no"}}
"#;

#[test]
fn compose_brings_a_project_up_and_down() {
    let env = TestEnv::new().with_busybox();
    let engine = Engine::start(&env);
    env.write("docker-compose.yml", PROJECT);
    let compose = |args: &[&str]| said(&env, &engine, "docker-compose", &[&["-p", "p"][..], args].concat());
    compose(&["up", "-d", "--scale", "asker=3"]);
    let listed = compose(&["ps"]);
    assert!(listed.contains("Up (healthy)") && listed.matches("p_asker_").count() == 3, "{listed}");
    support::wait_until("all have asked", PATIENCE, || {
        compose(&["logs", "asker"]).matches("asked").count() == 3
    });
    let logs = compose(&["logs", "--no-color"]);
    assert_eq!(logs.matches("| page").count(), 6, "{logs}");
    assert!(compose(&["exec", "-T", "web", "cat", "/www/index.html"]).contains("page"));
    // Nothing has changed, so nothing is made anew; with another command one service is.
    let ids = |label: &str| env.ok(&["ps", "-aq", "--filter", &format!("label={label}")]);
    let (web, askers) = ("com.docker.compose.service=web", "com.docker.compose.service=asker");
    let before = (ids(web), ids(askers));
    compose(&["up", "-d", "--scale", "asker=3"]);
    assert_eq!((ids(web), ids(askers)), before);
    env.write("docker-compose.yml", PROJECT.replace("sleep 1000", "sleep 2000"));
    compose(&["up", "-d", "--scale", "asker=1", "-t", "0"]);
    assert_eq!(ids(web), before.0);
    assert!(!before.1.contains(ids(askers).trim()) && ids(askers).lines().count() == 1);
    compose(&["stop", "-t", "0"]);
    assert!(!compose(&["ps"]).contains("Up"), "all have ended");
    compose(&["start"]);
    compose(&["down", "-v", "-t", "0"]);
    assert_eq!(env.ok(&["ps", "-aq"]), "");
    assert_eq!(env.ok(&["volume", "ls", "-q"]), "");
    assert_eq!(env.ok(&["network", "ls", "-q", "--filter", "type=custom"]), "");
}
