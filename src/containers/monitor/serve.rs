//! What clients ask of a monitor.

use std::time::{Duration, Instant};

use super::super::error::ContainerError;
use super::super::protocol::{Frame, Kind, Request, number};
use super::super::remote::Failure;
use super::super::start::cgroup_name;
use super::super::state::Status;
use super::Monitor;
use super::client::Role;
use crate::run::{Limits, freeze_cgroup, thaw_cgroup};

impl Monitor {
    /// Reads what a client says, and does it.
    pub(super) fn serve(&mut self, number: usize) {
        let Some(client) = self.clients.get_mut(number) else { return };
        client.write();
        client.read();
        while let Some(frame) = self.clients.get_mut(number).and_then(super::Client::frame) {
            self.take(number, &frame);
        }
        let client = &self.clients[number];
        // The one who gave standard input has no more to give.
        if client.gone && client.role == Role::Attached && client.attach.stdin {
            self.end_of_input();
        }
    }

    fn end_of_input(&mut self) {
        if self.container.config.stdin_once
            && let Some(run) = &mut self.run
        {
            run.end_stdin();
        }
    }

    fn take(&mut self, number_of_client: usize, frame: &Frame) {
        let attached = self.clients[number_of_client].role == Role::Attached;
        let gives = attached && self.clients[number_of_client].attach.stdin;
        match frame.kind {
            Kind::Request => match serde_json::from_slice(&frame.bytes) {
                Ok(request) => self.answer(number_of_client, request),
                Err(_) => self.clients[number_of_client].gone = true,
            },
            Kind::Stdin if gives => self.run.iter_mut().for_each(|run| run.give(&frame.bytes)),
            Kind::StdinEnd if gives => self.end_of_input(),
            Kind::HangUp if gives => self.run.iter_mut().for_each(super::process::Run::hang_up),
            Kind::Resize => self.resize(&frame.bytes),
            Kind::Signal if attached => {
                if let Some(signal) = number(&frame.bytes) {
                    self.signal(signal);
                }
            }
            _ => {}
        }
    }

    fn resize(&mut self, bytes: &[u8]) {
        if let ([a, b, c, d], Some(run)) = (bytes, &self.run) {
            let (rows, columns) = (u16::from_le_bytes([*a, *b]), u16::from_le_bytes([*c, *d]));
            // Without a terminal there is nothing to resize.
            let _ = run.process.resize(rows, columns);
        }
    }

    fn answer(&mut self, number: usize, request: Request) {
        let done: Result<bool, String> = match request {
            Request::Start { .. } => Err("the container runs already".to_owned()),
            Request::Attach(attach) => {
                let client = &mut self.clients[number];
                (client.role, client.attach) = (Role::Attached, attach);
                client.send(Kind::Done, b"");
                if attach.rows > 0 {
                    // A size that changes makes programs draw again.
                    let odd = [(attach.rows + 1).to_le_bytes(), attach.columns.to_le_bytes()].concat();
                    let even = [attach.rows.to_le_bytes(), attach.columns.to_le_bytes()].concat();
                    self.resize(&odd);
                    self.resize(&even);
                }
                return;
            }
            Request::Root => return self.give_root(number),
            Request::Volume(name) => return self.give_volume(number, &name),
            Request::Exec(request) => return self.exec(number, &request),
            Request::Execs => {
                let ids: Vec<&str> = self.guests.iter().map(|guest| guest.id.as_str()).collect();
                self.clients[number].send_json(Kind::Done, &ids);
                self.clients[number].role = Role::Answered;
                return;
            }
            Request::Wait => {
                self.clients[number].role = Role::Waiter;
                Ok(false)
            }
            Request::Kill { signal } => self.kill(signal).map(|()| true),
            Request::Stop { signal, timeout } => {
                self.clients[number].role = Role::Stopper;
                self.state.stopped_by_hand = true;
                self.stop(signal, timeout);
                Ok(false)
            }
            Request::Pause => self.freeze(true).map(|()| true),
            Request::Unpause => self.freeze(false).map(|()| true),
            Request::Reload => self.reload().map(|()| true),
            Request::Limits(limits) => self.extend(*limits).map(|()| true),
            Request::Networks => self.change_networks().map(|()| true),
            Request::Resize { rows, columns, exec: None } => {
                self.resize(&[rows.to_le_bytes(), columns.to_le_bytes()].concat());
                Ok(true)
            }
            Request::Resize { rows, columns, exec: Some(id) } => {
                self.resize_guest(&id, rows, columns).map(|()| true)
            }
        };
        let Some(client) = self.clients.get_mut(number) else { return };
        match done {
            Ok(true) => client.send(Kind::Done, b""),
            Ok(false) => return,
            Err(text) => client.send_json(Kind::Failed, &Failure { code: 1, text }),
        }
        client.role = Role::Answered;
    }

    fn kill(&mut self, signal: i32) -> Result<(), String> {
        // A signal that only asks for something leaves the policy as it is.
        if signal == libc::SIGKILL || signal == self.container.config.stop_signal {
            self.state.stopped_by_hand = true;
        }
        self.container.event("kill", &[("signal", &signal.to_string())]);
        if self.restart_at.is_some() {
            self.cancel_restart();
            return Ok(());
        }
        let ended = self.run.as_ref().is_none_or(|run| run.ended.is_some());
        if ended {
            return Err(format!("container {} is not running", self.container.config.id));
        }
        if signal == libc::SIGKILL && self.state.status == Status::Paused {
            let _ = self.freeze(false);
        }
        if let Some(run) = &self.run {
            run.process.kill(signal).map_err(|e| e.to_string())?;
        }
        let _ = self.container.write_state(&self.state);
        Ok(())
    }

    /// Asks the container to stop, and notes when it is killed.
    pub(super) fn stop(&mut self, signal: Option<i32>, timeout: Option<i64>) {
        if self.restart_at.is_some() {
            self.cancel_restart();
            return;
        }
        if self.state.status == Status::Paused {
            let _ = self.freeze(false);
        }
        let signal = signal.unwrap_or(self.container.config.stop_signal);
        let timeout = timeout.unwrap_or(self.container.config.stop_timeout);
        self.container.event("kill", &[("signal", &signal.to_string())]);
        self.signal(signal);
        self.kill_at =
            u64::try_from(timeout).ok().map(|seconds| Instant::now() + Duration::from_secs(seconds));
        // The policy must not start it again even if this process dies now.
        let _ = self.container.write_state(&self.state);
    }

    fn freeze(&mut self, freeze: bool) -> Result<(), String> {
        let id = &self.container.config.id;
        match (freeze, self.state.status) {
            (true, Status::Paused) => return Err(format!("Container {id} is already paused")),
            (true, Status::Running) | (false, Status::Paused) => {}
            (true, Status::Restarting) => {
                return Err(format!("container {id} is restarting, wait until the container is running"));
            }
            (true, _) => return Err(format!("container {id} is not running")),
            (false, _) => return Err(format!("Container {id} is not paused")),
        }
        let done = if freeze { freeze_cgroup(&self.state.cgroups) } else { thaw_cgroup(&self.state.cgroups) };
        done.map_err(|e| format!("cannot {} container {id}: {e}", if freeze { "pause" } else { "unpause" }))?;
        self.state.status = if freeze { Status::Paused } else { Status::Running };
        self.container.event(if freeze { "pause" } else { "unpause" }, &[]);
        self.container.write_state(&self.state).map_err(|e| e.to_string())
    }

    /// Makes cgroups for limits that the container was started without.
    fn extend(&mut self, mut limits: Limits) -> Result<(), String> {
        limits.parent.clone_from(&self.container.config.limits.parent);
        let name = cgroup_name(&self.container);
        let Some(run) = self.run.as_mut().filter(|run| run.ended.is_none()) else {
            return Err(format!("container {} is not running", self.container.config.id));
        };
        // Should this process be killed before they are done, others know where to look.
        let missing = run.process.missing_cgroups(&limits, &name).map_err(|e| e.to_string())?;
        self.state.cgroups.extend(missing);
        self.container.write_state(&self.state).map_err(|e| e.to_string())?;
        let done = run.process.extend(&limits, &name);
        self.state.cgroups = run.process.cgroups();
        self.container.write_state(&self.state).map_err(|e| e.to_string())?;
        done.map(drop).map_err(|error| super::failure(&ContainerError::Run(error)).text)
    }

    fn change_networks(&mut self) -> Result<(), String> {
        self.container.reload().map_err(|e| e.to_string())?;
        // Between two runs, the next one begins in the right networks.
        let changed = match &self.run {
            Some(_) => self.connections.adapt(&self.container),
            None => Ok(()),
        };
        self.state.endpoints = self.connections.endpoints();
        self.container.write_state(&self.state).map_err(|e| e.to_string())?;
        changed.map_err(|error| super::failure(&error).text)
    }

    fn reload(&mut self) -> Result<(), String> {
        let before = self.container.config.name.clone();
        self.container.reload().map_err(|e| e.to_string())?;
        if self.container.config.name != before {
            self.connections.rename(&self.container.config.name).map_err(|e| e.to_string())?;
            self.state.endpoints = self.connections.endpoints();
            self.container.write_state(&self.state).map_err(|e| e.to_string())?;
        }
        Ok(())
    }
}
