//! The hooks of a container's devices: programs that the machine's vendors want to be run around its start and its end.
//!
//! They find the container as the OCI runtime specification has it: its state on their standard input, and a bundle
//! with `config.json` and `rootfs`, in the container's directory. `prestart` and `createRuntime` run beside the
//! monitor; `createContainer` where the container's mounts are, all of them below `rootfs`, with the host's files still
//! in sight; `startContainer` as a further process of the container, with no more rights than its first. Only files of
//! the machine name hooks, no image does.

use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::pipe::PipeFlags;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::{Value, json};

use super::bundle;
use super::error::ContainerError;
use super::files::Container;
use super::start::{cgroup_name, process};
use super::state::State;
use crate::fs::Follow;
use crate::run::{
    CapSet, Hook, Hooks, Input, Io, Joined, NamespaceExecutor, Output, ProcessSpec, RunError, ends_by,
    in_namespaces, left_cgroups, oci_of_any, own_cgroups, process_root, read_all, verdict,
};

/// The bundle in the container's directory.
const BUNDLE: &str = "bundle";
/// The version of the runtime specification that is followed.
const VERSION: &str = "1.0.2";
/// When hooks run beside the monitor before the process does.
const BESIDE: [&str; 2] = ["prestart", "createRuntime"];

/// The hooks of one start.
#[derive(Debug)]
struct OfDevices {
    container: Container,
    hooks: Vec<Hook>,
    bundle: PathBuf,
    rootfs: PathBuf,
}

/// Returns what runs hooks around a start of the process, and writes the bundle for them.
///
/// # Errors
/// The bundle can't be written.
pub(super) fn around(
    container: &Container,
    hooks: Vec<Hook>,
    spec: &ProcessSpec,
) -> Result<Arc<dyn Hooks>, ContainerError> {
    let dir = container.dir();
    if dir.stat(BUNDLE, Follow::No)?.is_some() {
        dir.remove_tree(BUNDLE)?;
    }
    dir.create_dir_all(Path::new(BUNDLE).join("rootfs"), 0o755)?;
    let bundle = dir.name().join(BUNDLE);
    let rootfs = bundle.join("rootfs");
    let document = document(container, &hooks, spec, &rootfs)?;
    let text = serde_json::to_vec_pretty(&document).expect("JSON serialises");
    let written = dir.dir(BUNDLE)?.create_file("config.json", 0o600)?.write_all(&text);
    written.map_err(|e| ContainerError::io("write the bundle's config.json", e))?;
    Ok(Arc::new(OfDevices { container: container.clone(), hooks, bundle, rootfs }))
}

fn document(
    container: &Container,
    hooks: &[Hook],
    spec: &ProcessSpec,
    rootfs: &Path,
) -> Result<Value, ContainerError> {
    let config = &container.config;
    let mut document = oci_of_any(spec).map_err(ContainerError::Run)?;
    document["root"] = json!({ "path": rootfs, "readonly": config.read_only });
    document["process"]["terminal"] = json!(config.tty);
    document["annotations"] = annotations(container);
    if let Value::Array(mounts) = &mut document["mounts"] {
        // What has no source of its own on the host is of no interest to hooks.
        mounts.extend(config.mounts.iter().filter_map(|mount| bundle::mounted(container, mount).ok()));
    }
    let mut named = json!({});
    for hook in hooks {
        let mut shown = json!({ "path": hook.path, "args": hook.args, "env": hook.env });
        if let Some(seconds) = hook.timeout {
            shown["timeout"] = json!(seconds);
        }
        match &mut named[&hook.when] {
            Value::Array(list) => list.push(shown),
            empty => *empty = json!([shown]),
        }
    }
    document["hooks"] = named;
    Ok(document)
}

fn annotations(container: &Container) -> Value {
    let config = &container.config;
    config.labels.iter().chain(&config.annotations).map(|(key, value)| (key.clone(), json!(value))).collect()
}

/// Returns the state as hooks read it.
fn state(container: &Container, status: &str, pid: i32) -> Vec<u8> {
    let mut state = json!({
        "ociVersion": VERSION,
        "id": container.config.id,
        "status": status,
        "bundle": container.dir().name().join(BUNDLE),
        "annotations": annotations(container),
    });
    if pid != 0 {
        state["pid"] = json!(pid);
    }
    serde_json::to_vec(&state).expect("JSON serialises")
}

/// Returns the hooks of one time with their numbers among those.
fn of<'a>(hooks: &'a [Hook], when: &'a str) -> impl Iterator<Item = (usize, &'a Hook)> {
    hooks.iter().filter(move |hook| hook.when == when).enumerate()
}

fn failed(when: &str, number: usize) -> impl FnOnce(String) -> RunError {
    let when = when.to_owned();
    move |why| RunError::Hook { when, number, why }
}

impl OfDevices {
    /// The number of the first process in its own namespace.
    fn inner_pid(&self, pid: i32) -> i32 {
        if self.container.config.own_pids { 1 } else { pid }
    }

    /// Runs a hook as a further process of the container.
    fn inside(&self, hook: &Hook, pid: i32) -> Result<(), String> {
        let config = &self.container.config;
        let words = |error: &dyn std::error::Error| {
            let more = error.source().map(|source| format!(": {source}")).unwrap_or_default();
            format!("{error}{more}")
        };
        let gone = |e: rustix::io::Errno| format!("open the container's process: {e}");
        let pidfd = Pid::from_raw(pid).ok_or(rustix::io::Errno::SRCH);
        let pidfd = pidfd.and_then(|pid| pidfd_open(pid, PidfdFlags::empty())).map_err(gone)?;
        let root = process_root(pid).map_err(|e| words(&e))?;
        let mut spec = process(&self.container, &config.user, &root).map_err(|e| words(&e))?;
        let rest = hook.args.iter().skip(1);
        spec.args = std::iter::once(&hook.path).chain(rest).map(|word| word.clone().into_bytes()).collect();
        let pair = |text: &String| {
            text.split_once('=').map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
        };
        spec.env = hook.env.iter().filter_map(pair).collect();
        (spec.cwd, spec.init) = (PathBuf::from("/"), false);
        let cgroups =
            left_cgroups(&own_cgroups(), config.limits.parent.as_deref(), &cgroup_name(&self.container));
        let joined = Joined {
            pid,
            pidfd: pidfd.as_fd(),
            cgroups: &cgroups,
            capabilities: CapSet(config.capabilities),
        };
        let pipe = || rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(|e| format!("make a pipe: {e}"));
        let ((stdin, ours), (out, stdout), (err, stderr)) = (pipe()?, pipe()?, pipe()?);
        let io = Io { stdin: Input::Fd(stdin), output: Output::Pipes { stdout, stderr } };
        let mut process = NamespaceExecutor::new().join(&joined, &spec, io).map_err(|e| words(&e))?;
        let limit = hook.limit();
        let _ = std::fs::File::from(ours).write_all(&state(&self.container, "created", self.inner_pid(pid)));
        let mut said = [Vec::new(), Vec::new()];
        if !read_all(&mut [Some(out), Some(err)], &mut said, limit) || !ends_by(process.pidfd(), limit) {
            // Dropped, it is killed.
            return Err(hook.too_late());
        }
        verdict(process.wait().map_err(|e| words(&e))?, &said[0], &said[1])
    }
}

impl Hooks for OfDevices {
    fn rootfs(&self) -> &Path {
        &self.rootfs
    }

    fn created(&self, pid: i32) -> Result<(), RunError> {
        let beside = state(&self.container, "creating", pid);
        for when in BESIDE {
            for (number, hook) in of(&self.hooks, when) {
                hook.run(&beside, &self.bundle).map_err(failed(when, number))?;
            }
        }
        let when = "createContainer";
        if of(&self.hooks, when).next().is_none() {
            return Ok(());
        }
        let inside = state(&self.container, "creating", self.inner_pid(pid));
        in_namespaces(pid, || {
            of(&self.hooks, when)
                .try_for_each(|(number, hook)| hook.run(&inside, &self.bundle).map_err(failed(when, number)))
        })?
    }

    fn starting(&self, pid: i32) -> Result<(), RunError> {
        let when = "startContainer";
        of(&self.hooks, when)
            .try_for_each(|(number, hook)| self.inside(hook, pid).map_err(failed(when, number)))
    }
}

/// Runs the hooks that belong behind the start of the process, and returns what went wrong.
pub(super) fn started(container: &Container, hooks: &[Hook], pid: i32) -> Vec<String> {
    let state = state(container, "running", pid);
    behind(container, hooks, "poststart", &state)
}

/// Runs the hooks that belong behind the end of the process, once, and returns what went wrong.
pub(super) fn stopped(container: &Container, state: &mut State) -> Vec<String> {
    let hooks = std::mem::take(&mut state.poststop);
    behind(container, &hooks, "poststop", &self::state(container, "stopped", 0))
}

fn behind(container: &Container, hooks: &[Hook], when: &str, state: &[u8]) -> Vec<String> {
    let bundle = container.dir().name().join(BUNDLE);
    let run = |(number, hook): (usize, &Hook)| {
        hook.run(state, &bundle).err().map(|why| failed(when, number)(why).to_string())
    };
    of(hooks, when).filter_map(run).collect()
}
