//! Further processes in the container, which the monitor starts for clients and for health checks.
//!
//! A client brings the pipes (or gets a terminal) and carries the bytes itself; the monitor only waits for the end. It
//! keeps the other ends too: when the client is gone, it reads what the process still writes, so that this neither stands
//! still nor dies of it.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::super::error::ContainerError;
use super::super::protocol::{Exec, Kind};
use super::super::remote::Failure;
use super::super::start::guest;
use super::super::state::Status;
use super::super::volumes;
use super::client::Role;
use super::{Monitor, failure};
use crate::run::{CapSet, Exit, Input, Io, Joined, NamespaceExecutor, Output, Running, process_root};

/// A process beside the container's first.
pub(super) struct Guest {
    /// 64 digits.
    pub id: String,
    pub process: Box<dyn Running>,
    /// What it writes to, seen from here; the client's as long as that is there.
    outputs: Vec<OwnedFd>,
}

impl Guest {
    /// Returns what has to be read in the place of a client that is gone.
    pub fn outputs(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.outputs.iter().map(|fd| fd.as_fd())
    }

    /// Reads what is there and forgets it.
    pub fn drain(&mut self) {
        let mut buffer = [0; 16 << 10];
        self.outputs.retain(|fd| {
            let mut ready = [PollFd::new(fd, PollFlags::IN)];
            match poll(&mut ready, Some(&Timespec::default())) {
                Ok(1..) => !matches!(rustix::io::read(fd, &mut buffer[..]), Ok(0) | Err(_)),
                _ => true,
            }
        });
    }
}

/// Whether a process has ended, without waiting for it.
pub(super) fn has_ended(process: &dyn Running) -> bool {
    let fd = process.pidfd();
    let mut ready = [PollFd::new(&fd, PollFlags::IN)];
    matches!(poll(&mut ready, Some(&Timespec::default())), Ok(1..))
}

/// A container that can't take a guest now.
fn refused(text: String) -> Failure {
    Failure { code: 1, text }
}

impl Monitor {
    /// Starts a process for a client.
    pub(super) fn exec(&mut self, number: usize, request: &Exec) {
        let fds = std::mem::take(&mut self.clients[number].descriptors);
        let started = self.client_guest(request, fds);
        self.rest_at = Some(std::time::Instant::now() + super::REST);
        let client = &mut self.clients[number];
        match started {
            Err(failure) => {
                client.send_json(Kind::Failed, &failure);
                client.role = Role::Answered;
            }
            Ok(guest) => {
                client.role = if request.detach { Role::Answered } else { Role::Guest };
                client.guest = (!request.detach).then(|| guest.id.clone());
                match guest.process.terminal().filter(|_| !request.detach) {
                    Some(terminal) => client.send_descriptor(Kind::Done, terminal),
                    None => client.send(Kind::Done, b""),
                }
                self.guests.push(guest);
            }
        }
    }

    fn client_guest(&self, request: &Exec, mut fds: Vec<OwnedFd>) -> Result<Guest, Failure> {
        let id = &self.container.config.id;
        let running = self.run.as_ref().is_some_and(|run| run.ended.is_none());
        match self.state.status {
            Status::Paused => {
                return Err(refused(format!("Container {id} is paused, unpause the container before exec")));
            }
            Status::Restarting => {
                return Err(refused(format!(
                    "Container {id} is restarting, wait until the container is running"
                )));
            }
            _ if !running => return Err(refused(format!("container {id} is not running"))),
            _ => {}
        }
        if let Some(record) = &request.id {
            self.container.begin_exec(record).map_err(|error| failure(&error))?;
        }
        let mut next = || if fds.is_empty() { None } else { Some(fds.remove(0)) };
        let stdin = if request.stdin && !request.tty { next() } else { None };
        let stdin = stdin.map_or(Input::Null, Input::Fd);
        let (output, outputs) = match (request.tty, request.detach) {
            (true, _) => (Output::Terminal { rows: request.rows, columns: request.columns }, Vec::new()),
            (false, true) => (Output::Null, Vec::new()),
            (false, false) => {
                let missing = || refused("a client of exec brings two pipes".to_owned());
                let (stdout, stderr) = (next().ok_or_else(missing)?, next().ok_or_else(missing)?);
                (Output::Pipes { stdout, stderr }, fds)
            }
        };
        let started = self.start_guest(request, Io { stdin, output }, outputs);
        if let (Ok(guest), Some(record)) = (&started, &request.id) {
            self.container.note_exec(record, |record| record.pid = guest.process.pid());
        }
        started.map_err(|error| {
            let Failure { code, text } = failure(&error);
            let code = match &error {
                ContainerError::Start(_) if code == 125 => 126,
                ContainerError::Start(_) => code,
                _ => 1,
            };
            if let Some(record) = &request.id {
                self.container.note_exec(record, |record| record.exit_code = Some(i32::from(code)));
            }
            // What was found out before the process was made is not the runtime's fault.
            let text = match &error {
                ContainerError::Start(_) => {
                    let said = text.trim_start_matches("failed to create task for container: ");
                    format!("OCI runtime exec failed: exec failed: unable to start container process: {said}")
                }
                _ => text,
            };
            Failure { code, text }
        })
    }

    /// Starts a process in the container.
    pub(super) fn start_guest(
        &self,
        request: &Exec,
        io: Io,
        mut outputs: Vec<OwnedFd>,
    ) -> Result<Guest, ContainerError> {
        let gone =
            || ContainerError::Refused(format!("container {} is not running", self.container.config.id));
        let run = self.run.as_ref().filter(|run| run.ended.is_none()).ok_or_else(gone)?;
        let config = &self.container.config;
        let joined = Joined {
            pid: run.process.pid(),
            pidfd: run.process.pidfd(),
            cgroups: &self.state.cgroups,
            capabilities: CapSet(config.capabilities),
        };
        let root = joined.root().map_err(|_| gone())?;
        let spec = guest(&self.container, request, &root)?;
        let command = request.args.join(" ");
        let id = match &request.id {
            Some(id) => id.clone(),
            None => {
                let id = random_id()?;
                self.container.event(&format!("exec_create: {command}"), &[("execID", &id)]);
                id
            }
        };
        let process = self.join(&joined, &spec, io)?;
        if let Some(terminal) = process.terminal() {
            let copy = terminal.try_clone_to_owned();
            outputs.push(copy.map_err(|e| ContainerError::io("duplicate a terminal", e))?);
        }
        self.container.event(&format!("exec_start: {command}"), &[("execID", &id)]);
        Ok(Guest { id, process, outputs })
    }

    fn join(
        &self,
        joined: &Joined<'_>,
        spec: &crate::run::ProcessSpec,
        io: Io,
    ) -> Result<Box<dyn Running>, ContainerError> {
        NamespaceExecutor::join(&self.executor, joined, spec, io).map_err(ContainerError::Start)
    }

    /// Gives a client the root that the container's processes see.
    pub(super) fn give_root(&mut self, number: usize) {
        let running = self.run.as_ref().filter(|run| run.ended.is_none());
        let root = running.and_then(|run| process_root(run.process.pid()).ok());
        let client = &mut self.clients[number];
        match root {
            Some(root) => client.send_descriptor(Kind::Done, root.as_fd()),
            None => client.send(Kind::Done, b""),
        }
        client.role = Role::Answered;
    }

    /// Gives the file system of a volume to another container's monitor.
    pub(super) fn give_volume(&mut self, number: usize, name: &str) {
        let running = self.run.as_ref().filter(|run| run.ended.is_none());
        let place = volumes::path(self.container.all(), name);
        let parts = running.and_then(|run| run.volumes.get(name)).and_then(|shared| shared.parts(&place));
        let client = &mut self.clients[number];
        match &parts {
            Some((mount, namespace)) => client.send_descriptors(Kind::Done, &[mount.as_fd(), *namespace]),
            None => client.send(Kind::Done, b""),
        }
        client.role = Role::Answered;
    }

    /// Whether a guest's client is there.
    pub(super) fn has_client(&self, guest: &Guest) -> bool {
        self.clients.iter().any(|client| !client.gone && client.guest.as_ref() == Some(&guest.id))
    }

    /// Tells the clients of guests that have ended.
    pub(super) fn guests_turn(&mut self) {
        let mut at = 0;
        while let Some(guest) = self.guests.get(at) {
            if has_ended(&*guest.process) {
                let guest = self.guests.remove(at);
                self.guest_ended(guest);
            } else {
                at += 1;
            }
        }
    }

    fn guest_ended(&mut self, mut guest: Guest) {
        let code = guest.process.wait().map_or(137, Exit::code);
        self.container.note_exec(&guest.id, |record| record.exit_code = Some(code));
        for client in self.clients.iter_mut().filter(|client| client.guest.as_ref() == Some(&guest.id)) {
            client.send(Kind::Exit, &code.to_le_bytes());
            (client.role, client.guest) = (Role::Answered, None);
        }
        self.container.event("exec_die", &[("execID", &guest.id), ("exitCode", &code.to_string())]);
    }

    /// Gives the terminal of a guest another size.
    pub(super) fn resize_guest(&self, id: &str, rows: u16, columns: u16) -> Result<(), String> {
        let guest = self.guests.iter().find(|guest| guest.id == id);
        let guest = guest.ok_or_else(|| format!("Exec process {id} is not running"))?;
        // Without a terminal there is nothing to resize.
        let _ = guest.process.resize(rows, columns);
        Ok(())
    }

    /// Ends the guests of a run that has ended.
    pub(super) fn end_guests(&mut self) {
        for guest in std::mem::take(&mut self.guests) {
            let _ = guest.process.kill(libc::SIGKILL);
            self.guest_ended(guest);
        }
    }
}

fn random_id() -> Result<String, ContainerError> {
    let mut bytes = [0u8; 32];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|e| ContainerError::io("make an id", e))?;
    Ok(crate::image::id::to_hex(&bytes))
}
