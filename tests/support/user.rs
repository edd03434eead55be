//! An ordinary user, for tests that run as root.

use std::path::PathBuf;
use std::process::{Command, Output};

use super::{TestEnv, base, is_root};

/// An ordinary user's id that no account of a Debian system has.
const USER: u32 = 54_321;

/// An ordinary user with a store of their own.
pub struct User {
    /// Where the user works.
    pub env: TestEnv,
    subordinate: bool,
    /// A program that the user's commands can't run.
    pub hidden: Option<&'static str>,
}

impl User {
    /// Makes an environment that belongs to an ordinary user; none where this process can't become one.
    #[allow(clippy::print_stderr, reason = "a skipped test says why")]
    pub fn new(subordinate: bool) -> Option<Self> {
        if !is_root() {
            eprintln!("skipped: becoming another user needs root");
            return None;
        }
        let env = TestEnv::new();
        // The repository may lie where only root may look.
        for (from, name) in [
            (PathBuf::from(env!("CARGO_BIN_EXE_skiff")), "skiff"),
            (base("busybox.tar"), "busybox.tar"),
            (base("debian.tar"), "debian.tar"),
        ] {
            let to = env.work().with_file_name(name);
            std::fs::copy(&from, &to).expect("the file can be copied");
        }
        let top = env.work().parent().expect("work has a parent").to_owned();
        let status = Command::new("chown").arg("-R").arg(format!("{USER}:{USER}")).arg(&top).status();
        assert!(status.is_ok_and(|s| s.success()), "chown works as root");
        Some(Self { env, subordinate, hidden: None })
    }

    /// Runs the binary as the user. Subordinate ids are given by files bound over
    /// `/etc/subuid`, `/etc/subgid` and `/etc/passwd` in a mount namespace of the command's own; `/dev/net/tun` can be
    /// opened there as on machines with udev.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("unshare starts")
    }

    /// Returns a command for the binary as the user.
    pub fn command(&self, args: &[&str]) -> Command {
        let ids = if self.subordinate { "tester:600100000:65536" } else { "" };
        let hidden = self.hidden.map_or(String::new(), |program| {
            format!("if [ -e {program} ]; then mount --bind /dev/null {program}; fi\n")
        });
        let script = format!(
            "set -e\nd=$(mktemp -d)\nmount -t tmpfs tmpfs $d\nprintf '%s\\n' '{ids}' > $d/sub\n\
             (cat /etc/passwd; echo tester:x:{USER}:{USER}::/nonexistent:/bin/sh) > $d/passwd\n\
             mount --bind $d/passwd /etc/passwd\n\
             for f in /etc/subuid /etc/subgid; do mount --bind $d/sub $f; done\n\
             if [ -c /dev/net/tun ]; then mknod -m 666 $d/tun c 10 200; mount --bind $d/tun /dev/net/tun; fi\n\
             {hidden}cd \"$WORK\"\nexec setpriv --reuid {USER} --regid {USER} --clear-groups \"$@\""
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", &script, "sh"]);
        command.arg(self.file("skiff")).args(args);
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .env("HOME", self.env.work().with_file_name("home"))
            .env("SKIFF_ROOT", self.env.store())
            .env("WORK", self.env.work());
        command
    }

    /// Returns a file that the user can read.
    pub fn file(&self, name: &str) -> String {
        self.env.work().with_file_name(name).to_str().expect("a plain path").to_owned()
    }

    /// Runs the binary as the user, which must succeed, and returns its standard output.
    #[track_caller]
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{args:?}\n{stdout}{}", String::from_utf8_lossy(&output.stderr));
        stdout
    }
}
