//! A real docker engine to compare with (`scripts/peer-engine`).

use std::path::PathBuf;
use std::process::{Command, Output};

use super::repository;

/// A running engine; stopped when dropped.
pub struct Peer {
    root: PathBuf,
}

impl Peer {
    /// Starts the engine; none, with the reason printed, where its root file system was not made.
    #[allow(clippy::print_stderr, reason = "a skipped test says why")]
    pub fn start() -> Option<Self> {
        if !super::is_root() {
            eprintln!("skipped: the peer engine needs root");
            return None;
        }
        let root = script(&["root"]);
        let root = PathBuf::from(String::from_utf8_lossy(&root.stdout).trim());
        if !root.with_file_name("made").exists() {
            assert!(
                std::env::var_os("CI").is_none(),
                "in CI the peer engine must be there: run scripts/peer-engine make"
            );
            eprintln!("skipped: no peer engine; scripts/peer-engine make makes one");
            return None;
        }
        let started = script(&["start"]);
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
        Some(Self { root })
    }

    /// Returns the root file system that the engine and its client see.
    pub fn root(&self) -> &std::path::Path {
        &self.root
    }

    /// Returns the value of `DOCKER_HOST` that leads to it from outside its root file system.
    pub fn host(&self) -> String {
        let pid = std::fs::read_to_string(self.root.with_file_name("pid")).expect("it runs");
        format!("unix:///proc/{}/root/run/docker.sock", pid.trim())
    }

    /// Runs the engine's docker client, which must succeed, and returns its standard output.
    #[track_caller]
    pub fn docker(&self, args: &[&str]) -> String {
        let output = self.try_docker(args);
        assert!(
            output.status.success(),
            "docker {args:?} failed\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs the engine's docker client.
    pub fn try_docker(&self, args: &[&str]) -> Output {
        self.try_docker_with(args, &[])
    }

    /// Runs the engine's docker client with more variables in its environment.
    pub fn try_docker_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut command = Command::new(repository().join("scripts/peer-engine"));
        command.arg("docker").args(args).envs(variables.iter().copied()).output().expect("the script starts")
    }

    /// Runs a program of the engine's root file system, which must succeed.
    #[track_caller]
    pub fn inside(&self, command: &[&str]) -> String {
        let output = script(&[&["inside"][..], command].concat());
        let said = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{command:?} failed\n{said}");
        said
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        script(&["stop"]);
    }
}

fn script(args: &[&str]) -> Output {
    Command::new(repository().join("scripts/peer-engine")).args(args).output().expect("the script starts")
}
