//! Other people's clients: podman and skopeo with a home and a storage of the test's own.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use super::TestEnv;

/// Where the clients keep their things.
pub struct Clients {
    home: PathBuf,
}

impl Clients {
    /// Gives the clients a folder in a test's environment.
    pub fn new(env: &TestEnv) -> Self {
        let home = env.work().join("clients");
        // Without a policy of its own a machine may have none at all.
        let policy = r#"{"default": [{"type": "insecureAcceptAnything"}]}"#;
        std::fs::create_dir_all(home.join(".config/containers")).expect("folders can be made");
        std::fs::write(home.join(".config/containers/policy.json"), policy).expect("written");
        std::fs::write(home.join("auth.json"), "{}").expect("written");
        Self { home }
    }

    fn run(&self, program: &str, args: &[&str]) -> Output {
        Command::new(program)
            .args(args)
            .env("HOME", &self.home)
            .env("XDG_CONFIG_HOME", self.home.join(".config"))
            .env("XDG_RUNTIME_DIR", &self.home)
            .env("REGISTRY_AUTH_FILE", self.home.join("auth.json"))
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{program}: {error}; scripts/packages test installs it"))
    }

    /// Runs skopeo.
    pub fn try_skopeo(&self, args: &[&str]) -> Output {
        self.run("skopeo", args)
    }

    /// Runs skopeo, which must succeed, and returns its standard output.
    #[track_caller]
    pub fn skopeo(&self, args: &[&str]) -> String {
        succeeded("skopeo", args, &self.try_skopeo(args))
    }

    /// Runs podman.
    pub fn try_podman(&self, args: &[&str]) -> Output {
        let (root, run) = (self.home.join("root"), self.home.join("run"));
        let own =
            ["--root", root.to_str().unwrap(), "--runroot", run.to_str().unwrap(), "--storage-driver", "vfs"];
        self.run("podman", &[&own[..], args].concat())
    }

    /// Runs podman, which must succeed, and returns its standard output.
    #[track_caller]
    pub fn podman(&self, args: &[&str]) -> String {
        succeeded("podman", args, &self.try_podman(args))
    }
}

#[track_caller]
fn succeeded(program: &str, args: &[&str], output: &Output) -> String {
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}\n{stdout}{stderr}");
    stdout
}

/// Returns what a command that failed said.
#[track_caller]
pub fn failed(output: &Output) -> String {
    let said = [&output.stdout[..], &output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(!output.status.success(), "{said}");
    said
}
