//! A root with busybox, and running scripts on it.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use super::super::*;
pub use crate::causes::chain;
use crate::fs::Root;

/// Whether these tests can run here; says why not.
#[allow(clippy::print_stderr, reason = "a skipped test says why")]
pub fn possible() -> bool {
    let root = rustix::process::geteuid().is_root();
    let busybox = Path::new("/bin/busybox").exists();
    if !root || !busybox {
        eprintln!("skipped: needs root (are we: {root}) and a static /bin/busybox (is there: {busybox})");
    }
    root && busybox
}

/// A temporary directory with the image and the writable side of a root.
pub struct Rig {
    pub dir: tempfile::TempDir,
    pub executor: NamespaceExecutor,
    pub userxattr: bool,
}

impl Rig {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let rig = Self { dir, executor: NamespaceExecutor::new(), userxattr: false };
        for name in ["image/bin", "image/tmp", "upper", "work"] {
            std::fs::create_dir_all(rig.path(name)).expect("made");
        }
        let alone = super::super::executor::alone();
        std::fs::copy("/bin/busybox", rig.path("image/bin/busybox")).expect("copied");
        drop(alone);
        let list = std::process::Command::new("/bin/busybox").arg("--list").output().expect("busybox runs");
        for name in String::from_utf8_lossy(&list.stdout).lines().filter(|n| *n != "busybox") {
            std::os::unix::fs::symlink("busybox", rig.path("image/bin").join(name)).expect("linked");
        }
        rig.write("image/etc/passwd", "root:x:0:0::/root:/bin/sh\nanna:x:1000:1000::/home/anna:/bin/sh\n");
        rig.write("image/etc/group", "root:x:0:\nanna:x:1000:\naudio:x:29:anna\n");
        rig
    }

    pub fn path(&self, below: &str) -> std::path::PathBuf {
        self.dir.path().join(below)
    }

    pub fn write(&self, below: &str, text: &str) {
        let path = self.path(below);
        std::fs::create_dir_all(path.parent().expect("it has a parent")).expect("made");
        std::fs::write(path, text).expect("written");
    }

    pub fn open(&self, below: &str) -> OwnedFd {
        File::open(self.path(below)).expect("it opens").into()
    }

    pub fn rootfs(&self) -> Rootfs {
        self.rootfs_with("upper", "work")
    }

    pub fn rootfs_with(&self, upper: &str, work: &str) -> Rootfs {
        for name in [upper, work] {
            std::fs::create_dir_all(self.path(name)).expect("made");
        }
        let root = |name: &str| Root::open(&self.path(name)).expect("it opens");
        Rootfs {
            lowers: vec![self.open("image")],
            upper: Some(UpperDir { upper: root(upper), work: root(work) }),
            read_only: false,
            userxattr: self.userxattr,
        }
    }

    /// Runs a script and returns its exit and what it wrote to both outputs.
    #[track_caller]
    pub fn sh(&self, script: &str) -> (Exit, String) {
        self.run(&shell(script), self.rootfs())
    }

    /// Runs a script that must succeed, and returns what it wrote.
    #[track_caller]
    pub fn ok(&self, spec: &ProcessSpec) -> String {
        let (exit, text) = self.run(spec, self.rootfs());
        assert_eq!(exit, Exit::Code(0), "{text}");
        text
    }

    #[track_caller]
    pub fn run(&self, spec: &ProcessSpec, rootfs: Rootfs) -> (Exit, String) {
        match self.try_run(spec, rootfs) {
            Ok(result) => result,
            Err(error) => panic!("{}", chain(&error)),
        }
    }

    pub fn try_run(&self, spec: &ProcessSpec, rootfs: Rootfs) -> Result<(Exit, String), RunError> {
        let (mut reader, io) = piped(Input::Null);
        let mut running = self.executor.start(spec, rootfs, io)?;
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("the output is text");
        Ok((running.wait()?, text))
    }

    /// Names below the upper directory, for what a layer would hold.
    pub fn upper(&self) -> Vec<String> {
        names(&self.path("upper"))
    }
}

pub fn names(directory: &Path) -> Vec<String> {
    let output =
        std::process::Command::new("find").arg(".").current_dir(directory).output().expect("find runs");
    let mut names: Vec<String> =
        String::from_utf8_lossy(&output.stdout).lines().filter(|n| *n != ".").map(str::to_owned).collect();
    names.sort();
    names
}

/// Returns a pipe's reading end and outputs that write into it.
pub fn piped(stdin: Input) -> (File, Io) {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("a pipe");
    let stderr = writer.try_clone().expect("duplicated");
    (File::from(reader), Io { stdin, output: Output::Pipes { stdout: writer, stderr } })
}

pub fn shell(script: &str) -> ProcessSpec {
    ProcessSpec { args: args(&["/bin/sh", "-c", script]), ..ProcessSpec::default() }
}

pub fn args(args: &[&str]) -> Vec<Vec<u8>> {
    args.iter().map(|a| a.as_bytes().to_vec()).collect()
}

/// Number of open descriptors of this process.
pub fn open_descriptors() -> usize {
    let directory = File::open("/proc/self/fd").expect("proc is mounted");
    let _ = directory.as_raw_fd();
    std::fs::read_dir("/proc/self/fd").expect("proc is mounted").count() - 1
}

/// Whether this process was started for the test of that name only. If not, starts one and checks that it passed.
#[track_caller]
pub fn alone(test: &str) -> bool {
    if std::env::var_os("SKIFF_TEST_ALONE").is_some() {
        return true;
    }
    // Mounts that others on this machine make meanwhile are not seen there.
    let output = std::process::Command::new("unshare")
        .args(["--mount", "--propagation", "private"])
        .arg(std::env::current_exe().expect("known"))
        .args(["--exact", test, "--nocapture"])
        .env("SKIFF_TEST_ALONE", "1")
        .output()
        .expect("the test binary starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let text = format!("{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    false
}
