//! Process ids and IPC that a container has of another one, which must run.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::process::{Pid, PidfdFlags};

use super::error::ContainerError;
use super::files::Container;
use super::settle::start_time;
use super::state::Status;
use crate::fs::Root;
use crate::fs::mount::clone_tree;
use crate::net::is_rootless;
use crate::run::{Namespace, ProcessSpec, SharedMemory, shared_memory};

/// Puts into a process what its container shares with others, or with the host.
pub(super) fn share(container: &Container, spec: &mut ProcessSpec) -> Result<(), ContainerError> {
    let config = &container.config;
    if let Some(id) = &config.shares.pids {
        let (_, process) = first_process(container, id).map_err(|why| failed("PID", why))?;
        spec.namespaces.pid = Namespace::Of(Arc::new(process));
    }
    // With a mount of one's own there, the memory of others is nowhere to be seen.
    let shows = |path: &str| config.mounts.iter().all(|mount| mount.target != Path::new(path));
    if let Some(id) = &config.shares.ipc {
        let (other, process) = first_process(container, id).map_err(|why| failed("IPC", why))?;
        let of_other = &other.config;
        if of_other.own_ipc && !of_other.shares.shareable {
            let hint = "hint: use IpcMode:shareable for the donor container";
            return Err(failed("IPC", format!("container {}: non-shareable IPC ({hint})", of_other.id)));
        }
        if shows("/dev/shm") {
            spec.shm = SharedMemory::Given(shared_memory(process.as_fd()).map_err(ContainerError::Run)?);
        }
        spec.namespaces.ipc = Namespace::Of(Arc::new(process));
    } else if !config.own_ipc && shows("/dev/shm") {
        spec.shm = SharedMemory::Given(of_host()?);
    }
    Ok(())
}

fn failed(kind: &str, why: String) -> ContainerError {
    ContainerError::Refused(format!("failed to join {kind} namespace: {why}"))
}

/// Returns the host's `/dev/shm` once more.
fn of_host() -> Result<OwnedFd, ContainerError> {
    let place = crate::fs::open_path(Path::new("/dev/shm"))?;
    clone_tree(place.as_fd(), false)
        .map_err(|e| ContainerError::io("show the host's /dev/shm", std::io::Error::other(e)))
}

fn proc_link(path: &str) -> Option<Vec<u8>> {
    Root::open(Path::new("/proc")).and_then(|proc| proc.read_link(path)).ok()
}

/// Returns another container and a descriptor of its first process.
fn first_process(container: &Container, id: &str) -> Result<(Container, OwnedFd), String> {
    let other = container.all().find(id).map_err(|error| error.to_string())?;
    let state = other.state().map_err(|error| error.to_string())?;
    let full = &other.config.id;
    let stopped = || format!("container {full} is not running");
    match state.status {
        Status::Restarting => {
            return Err(format!("Container {full} is restarting, wait until the container is running"));
        }
        status if !status.is_running() => return Err(stopped()),
        _ => {}
    }
    let pid = Pid::from_raw(state.pid).ok_or_else(stopped)?;
    let process = rustix::process::pidfd_open(pid, PidfdFlags::empty()).map_err(|_| stopped())?;
    // The number may be another one's by now.
    if start_time(state.pid) != Some(state.pid_start) {
        return Err(stopped());
    }
    let namespace = |pid: &str| proc_link(&format!("{pid}/ns/user"));
    if is_rootless().unwrap_or(false) && namespace(&state.pid.to_string()) != namespace("self") {
        return Err(format!(
            "container {full} is in another user namespace than this one: it was started when the one that a user's \
             containers have in common could not be had, and can be joined when it is started again"
        ));
    }
    Ok((other, process))
}
