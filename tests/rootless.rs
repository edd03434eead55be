//! As an ordinary user: the same images as root's, with subordinate ids and without.

mod support;

use std::path::PathBuf;
use std::process::{Command, Output};

use support::{TestEnv, base, is_root};

/// An ordinary user's id that no account of a Debian system has.
const USER: u32 = 54_321;

struct User {
    env: TestEnv,
    subordinate: bool,
}

impl User {
    /// Makes an environment that belongs to an ordinary user; none where this process can't become one.
    #[allow(clippy::print_stderr, reason = "a skipped test says why")]
    fn new(subordinate: bool) -> Option<Self> {
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
        Some(Self { env, subordinate })
    }

    /// Runs the binary as the user. Subordinate ids are given by files bound over
    /// `/etc/subuid`, `/etc/subgid` and `/etc/passwd` in a mount namespace of the command's own.
    fn run(&self, args: &[&str]) -> Output {
        let ids = if self.subordinate { "tester:600100000:65536" } else { "" };
        let script = format!(
            "set -e\nd=$(mktemp -d)\nmount -t tmpfs tmpfs $d\nprintf '%s\\n' '{ids}' > $d/sub\n\
             (cat /etc/passwd; echo tester:x:{USER}:{USER}::/nonexistent:/bin/sh) > $d/passwd\n\
             mount --bind $d/passwd /etc/passwd\n\
             for f in /etc/subuid /etc/subgid; do mount --bind $d/sub $f; done\n\
             cd \"$WORK\"\nexec setpriv --reuid {USER} --regid {USER} --clear-groups \"$@\""
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", &script, "sh"]);
        command.arg(self.file("skiff")).args(args);
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .env("HOME", self.env.work().with_file_name("home"))
            .env("SKIFF_ROOT", self.env.store())
            .env("WORK", self.env.work())
            .output()
            .expect("unshare starts")
    }

    /// Returns a file that the user can read.
    fn file(&self, name: &str) -> String {
        self.env.work().with_file_name(name).to_str().expect("a plain path").to_owned()
    }

    #[track_caller]
    fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{args:?}\n{stdout}{}", String::from_utf8_lossy(&output.stderr));
        stdout
    }
}

const FILE: &str = "FROM busybox\n\
    RUN echo hi > /x && mkdir -p /d/e && ln /x /y && ln -s x /z && rm -r /home\n\
    RUN rm -r /d && mkdir /d && echo new > /d/f\n\
    COPY --chown=7:8 data /data\n\
    WORKDIR /w\n\
    RUN id -u > id && cat /data/a > a\n\
    CMD [\"cat\", \"/w/a\"]\n";

/// What must be the same: the config but for times, and the list of files with their owners.
fn build_and_describe(import: &str, ok: &dyn Fn(&[&str]) -> String) -> (String, String, String) {
    ok(&["import", "--change", "CMD [\"sh\"]", import, "busybox"]);
    ok(&["build", "-q", "-t", "it", "."]);
    let config = ok(&["image", "inspect", "-f", "{{json .Config}}", "it"]);
    let files = "find / -xdev -path /proc -prune -o -path /sys -prune -o -path /dev -prune -o -type f -exec stat -c '%n %a %u %g %s %h' {} + | sort";
    let files = ok(&["run", "--rm", "--network", "none", "it", "sh", "-c", files]);
    let said = ok(&["run", "--rm", "--network", "none", "it"]);
    (config, files, said)
}

fn prepare(env: &TestEnv) {
    env.write("Dockerfile", FILE);
    env.write("data/a", "content\n");
}

#[test]
fn an_ordinary_user_with_subordinate_ids_builds_what_root_builds() {
    let Some(user) = User::new(true) else { return };
    prepare(&user.env);
    let root = TestEnv::new();
    prepare(&root);
    let busybox = user.file("busybox.tar");
    let theirs = build_and_describe(&busybox, &|args| user.ok(args));
    let ours = build_and_describe(&busybox, &|args| root.ok(args));
    assert_eq!(theirs, ours);
    assert_eq!(ours.2, "content\n");
}

#[test]
fn an_ordinary_user_without_subordinate_ids_builds_and_runs() {
    let Some(user) = User::new(false) else { return };
    prepare(&user.env);
    let (config, files, said) = build_and_describe(&user.file("busybox.tar"), &|args| user.ok(args));
    assert!(config.contains("cat"), "{config}");
    assert!(files.contains("/x 644 0 0 3 2"), "{files}");
    assert_eq!(said, "content\n");
    // What leaves the machine has the owners that the Dockerfile asked for, though the disk can't hold them.
    let archive = user.env.work().join("it.tar");
    user.ok(&["save", "-o", archive.to_str().unwrap(), "it"]);
    let image = support::image::read(&archive);
    assert_eq!(image.tree["data/a"].owner, (7, 8));
}

#[test]
fn rootless_debian_installs_packages() {
    let Some(user) = User::new(true) else { return };
    user.ok(&["import", "--change", "CMD [\"bash\"]", &user.file("debian.tar"), "debian:bookworm"]);
    user.env.write(
        "Dockerfile",
        "FROM debian:bookworm\nRUN apt-get update && apt-get install -y --no-install-recommends file && file --version\n",
    );
    user.ok(&["build", "-q", "-t", "deb", "."]);
    let said = user.ok(&["run", "--rm", "--network", "host", "deb", "file", "/bin/dash"]);
    assert!(said.contains("ELF"), "{said}");
}
