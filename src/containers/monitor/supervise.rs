//! The loop of a monitor, and what becomes of a run that ended.

use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::super::config::RestartPolicy;
use super::super::error::ContainerError;
use super::super::hooks;
use super::super::protocol::Kind;
use super::super::settle::start_time;
use super::super::share::share;
use super::super::start::{Prepared, prepare};
use super::super::state::Status;
use super::client::{Client, Role};
use super::process::{Pipes, Run};
use super::{Monitor, failure};
use crate::run::{Executor as _, Exit};

/// The first wait before a restart; each next one is twice as long.
const FIRST_DELAY: Duration = Duration::from_millis(100);
/// The longest wait before a restart.
const LAST_DELAY: Duration = Duration::from_secs(60);
/// A run so long makes the waits short again.
const LONG_RUN: Duration = Duration::from_secs(10);

/// What a descriptor is that became ready.
#[derive(Debug, Clone, Copy)]
enum Token {
    Listener,
    Terminate,
    Holder,
    Process,
    Output,
    Log,
    Input,
    Client(usize),
    Probe,
    Guest,
    GuestOutput(usize),
}

impl Monitor {
    /// Starts the process, and says so to whoever waits for it.
    pub(super) fn start(&mut self, size: (u16, u16)) -> Result<(), ContainerError> {
        // Should this process be killed before the container runs, others know where to look.
        self.state.starting = Some(crate::run::own_cgroups());
        self.container.write_state(&self.state)?;
        let network = self.connections.make(&self.container);
        if network.is_err() {
            self.state.starting = None;
        }
        let network = network?;
        self.state.endpoints = self.connections.endpoints();
        let started = self.start_process(network, size);
        if started.is_err() {
            self.run_poststop();
            self.connections.end();
            self.state.endpoints.clear();
            self.state.starting = None;
        }
        started?;
        for client in self.clients.iter_mut().filter(|c| matches!(c.role, Role::Starter | Role::Attached)) {
            client.send(Kind::Done, b"");
            if client.role == Role::Starter {
                client.role = Role::Answered;
            }
        }
        Ok(())
    }

    fn start_process(
        &mut self,
        network: Option<std::sync::Arc<std::os::fd::OwnedFd>>,
        size: (u16, u16),
    ) -> Result<(), ContainerError> {
        let Prepared { mut spec, rootfs, volumes, hooks } = prepare(&self.container, &self.layers, network)?;
        share(&self.container, &mut spec)?;
        if !hooks.is_empty() {
            // From here on some may run, and what they did has to be undone however this ends.
            self.state.poststop = hooks.iter().filter(|hook| hook.when == "poststop").cloned().collect();
            self.container.write_state(&self.state)?;
            spec.hooks = Some(hooks::around(&self.container, hooks.clone(), &spec)?);
        }
        let config = &self.container.config;
        let (ends, io) = Pipes::new(config.tty, config.open_stdin, size)?.split();
        let process = self.executor.start(&spec, rootfs, io).map_err(ContainerError::Start)?;
        drop(spec);
        for warning in process.warnings() {
            let text = warning.to_string();
            self.clients.iter_mut().for_each(|client| client.send(Kind::Warning, text.as_bytes()));
        }
        let state = &mut self.state;
        state.status = Status::Running;
        state.starting = None;
        state.pid = process.pid();
        state.pid_start = start_time(state.pid).unwrap_or(0);
        state.cgroups = process.cgroups();
        state.mounts = match state.cgroups.is_empty() && !config.own_pids {
            true => crate::run::mounts_id(state.pid),
            false => None,
        };
        state.started = Some(Timestamp::now());
        state.error.clear();
        state.oom_killed = false;
        state.exit_code = 0;
        self.run = Some(Run::new(process, ends, config.tty, volumes)?);
        self.rest_at = Some(Instant::now() + super::REST);
        self.begin_health();
        self.container.write_state(&self.state)?;
        self.run.iter_mut().for_each(|run| run.volumes.unlock());
        self.container.event("start", &[]);
        if !hooks.is_empty() {
            let failures = hooks::started(&self.container, &hooks, self.state.pid);
            self.warn(&failures);
        }
        Ok(())
    }

    /// Runs what devices want to be run after the end.
    fn run_poststop(&mut self) {
        if !self.state.poststop.is_empty() {
            let failures = hooks::stopped(&self.container, &mut self.state);
            self.warn(&failures);
        }
    }

    fn warn(&mut self, texts: &[String]) {
        for text in texts {
            self.clients.iter_mut().for_each(|client| client.send(Kind::Warning, text.as_bytes()));
        }
    }

    /// Goes on until the container has ended for good.
    pub(super) fn supervise(mut self) -> Result<(), ContainerError> {
        while self.run.is_some() || self.restart_at.is_some() {
            self.turn()?;
            self.clients
                .retain(|client| !(client.gone || client.role == Role::Answered && !client.has_output()));
        }
        for client in &mut self.clients {
            client.finish();
        }
        Ok(())
    }

    /// Waits for something to happen, and does what is to be done then.
    fn turn(&mut self) -> Result<(), ContainerError> {
        let timeout = self.timeout();
        for token in self.ready(timeout)? {
            self.handle(token)?;
        }
        let now = Instant::now();
        if self.kill_at.is_some_and(|at| at <= now) {
            self.kill_at = None;
            self.signal(libc::SIGKILL);
        }
        if self.restart_at.is_some_and(|at| at <= now) {
            self.restart();
        }
        if self.log.next().is_some_and(|at| at <= now) {
            self.log.send();
        }
        if self.rest_at.is_some_and(|at| at <= now) {
            self.rest_at = None;
            self.rest = Some(crate::run::Program::find());
        }
        self.guests_turn();
        self.health_turn();
        let drained = |run: &Run| run.deadline().is_some_and(|at| run.is_drained() || at <= Instant::now());
        if self.run.as_ref().is_some_and(drained) {
            self.ended()?;
        }
        Ok(())
    }

    /// Returns how long nothing can have to be done.
    fn timeout(&self) -> Option<Duration> {
        let run = self.run.as_ref();
        let draining = run.and_then(Run::deadline);
        let patience = self.clients.iter().any(Client::is_waited_for);
        let patience = patience.then(|| Instant::now() + super::PATIENCE / 4);
        let health = self.health.as_ref().and_then(super::health::Checks::next);
        let next = [self.kill_at, self.restart_at, draining, patience, health, self.log.next(), self.rest_at]
            .into_iter()
            .flatten()
            .min();
        next.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Whether nothing more is to be read of the container now.
    fn is_held_up(&self) -> bool {
        // What one that has ended left is little, and its end waits for nobody.
        let leaves = self.run.as_ref().is_some_and(Run::leaves);
        !leaves && (self.log.is_full() || self.clients.iter().any(Client::holds_up))
    }

    /// Returns what is ready, after at most `timeout`.
    fn ready(&mut self, timeout: Option<Duration>) -> Result<Vec<Token>, ContainerError> {
        let rest = self.rest.take();
        let mut tokens = vec![Token::Terminate];
        let mut fds = vec![PollFd::from_borrowed_fd(self.terminate.fd(), PollFlags::IN)];
        if let Some(listener) = &self.listener {
            tokens.push(Token::Listener);
            fds.push(PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN));
        }
        if let Some(fd) = self.connections.holder() {
            tokens.push(Token::Holder);
            fds.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
        }
        let held_up = self.is_held_up();
        if let Some(fd) = self.log.fd() {
            tokens.push(Token::Log);
            fds.push(PollFd::from_borrowed_fd(fd, PollFlags::OUT));
        }
        let mut full = false;
        if let Some(run) = &self.run {
            full = run.is_full();
            if run.ended.is_none() {
                tokens.push(Token::Process);
                fds.push(PollFd::from_borrowed_fd(run.process.pidfd(), PollFlags::IN));
            }
            for fd in run.outputs().filter(|_| !held_up) {
                tokens.push(Token::Output);
                fds.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
            }
            if let Some(fd) = run.stdin() {
                tokens.push(Token::Input);
                fds.push(PollFd::from_borrowed_fd(fd, PollFlags::OUT));
            }
        }
        for fd in self.health.iter().flat_map(super::health::Checks::fds) {
            tokens.push(Token::Probe);
            fds.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
        }
        for (number, guest) in self.guests.iter().enumerate() {
            tokens.push(Token::Guest);
            fds.push(PollFd::from_borrowed_fd(guest.process.pidfd(), PollFlags::IN));
            if !self.has_client(guest) {
                for fd in guest.outputs() {
                    tokens.push(Token::GuestOutput(number));
                    fds.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
                }
            }
        }
        for (number, client) in self.clients.iter().enumerate() {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, !(full && client.attach.stdin));
            flags.set(PollFlags::OUT, client.has_output());
            tokens.push(Token::Client(number));
            fds.push(PollFd::from_borrowed_fd(client.fd(), flags));
        }
        let limit = timeout.map(|span| Timespec {
            tv_sec: span.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: span.subsec_nanos().into(),
        });
        if let Some(program) = &rest {
            program.forget();
        }
        match poll(&mut fds, limit.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(ContainerError::io("wait for the container", errno)),
        }
        let mut ready: Vec<Token> = Vec::new();
        for (token, fd) in tokens.into_iter().zip(&fds) {
            let again = matches!((token, ready.last()), (Token::Output, Some(Token::Output)));
            if !fd.revents().is_empty() && !again {
                ready.push(token);
            }
        }
        Ok(ready)
    }

    fn handle(&mut self, token: Token) -> Result<(), ContainerError> {
        match token {
            Token::Listener => self.accept(),
            Token::Terminate => {
                if self.terminate.came() {
                    // The machine goes down; the policy holds after the next boot.
                    let by_hand = self.state.stopped_by_hand;
                    self.stop(None, None);
                    self.state.stopped_by_hand = by_hand;
                    self.terminated = true;
                }
            }
            Token::Holder => self.connections.hold_again(),
            Token::Process => self.process_ended()?,
            Token::Output => self.output()?,
            Token::Log => self.log.send(),
            Token::Input => self.run.iter_mut().for_each(Run::write),
            Token::Probe => self.probe_output(),
            // They are looked at in every turn.
            Token::Guest => {}
            Token::GuestOutput(number) => self.guests[number].drain(),
            Token::Client(number) => self.serve(number),
        }
        Ok(())
    }

    fn accept(&mut self) {
        while let Some(Ok((stream, _))) = self.listener.as_ref().map(|listener| listener.accept()) {
            self.clients.extend(Client::new(stream).ok());
        }
    }

    fn output(&mut self) -> Result<(), ContainerError> {
        let Some(run) = &mut self.run else { return Ok(()) };
        let (log, clients) = (&mut self.log, &mut self.clients);
        let mut written = Ok(());
        run.read(|stream, bytes| {
            if let (Ok(()), Err(error)) = (&written, log.write(stream, bytes)) {
                written = Err(error);
            }
            clients.iter_mut().for_each(|client| client.show(stream, bytes));
        });
        // A full disk must not end the container.
        if let Err(error) = written {
            self.state.error = failure(&error).text;
        }
        Ok(())
    }

    fn process_ended(&mut self) -> Result<(), ContainerError> {
        let Some(run) = &mut self.run else { return Ok(()) };
        let exit = run.process.wait();
        run.ended = Some(Instant::now());
        self.state.finished = Some(Timestamp::now());
        self.state.exit_code = exit.map_or(137, Exit::code);
        self.state.oom_killed = run.process.out_of_memory();
        Ok(())
    }

    /// Sends a signal to the first process.
    pub(super) fn signal(&mut self, signal: i32) {
        if let Some(run) = &self.run {
            // One that has ended just now has nothing to hear.
            let _ = run.process.kill(signal);
        }
    }

    /// Writes down how a run ended, and starts the next one or none.
    fn ended(&mut self) -> Result<(), ContainerError> {
        let Some(mut run) = self.run.take() else { return Ok(()) };
        run.stop_reading();
        let lasted = run.began.elapsed();
        drop(run);
        self.run_poststop();
        let _ = self.log.flush();
        self.end_health();
        self.end_guests();
        self.connections.end();
        self.state.endpoints.clear();
        self.state.pid = 0;
        self.state.pid_start = 0;
        self.state.cgroups.clear();
        self.state.mounts = None;
        self.kill_at = None;
        let code = self.state.exit_code.to_string();
        let seconds = lasted.as_secs().to_string();
        if self.state.oom_killed {
            self.container.event("oom", &[]);
        }
        self.container.event("die", &[("exitCode", &code), ("execDuration", &seconds)]);
        if self.restarts() {
            self.delay = match self.delay {
                Duration::ZERO => FIRST_DELAY,
                _ if lasted >= LONG_RUN => FIRST_DELAY,
                delay => (delay * 2).min(LAST_DELAY),
            };
            self.restart_at = Some(Instant::now() + self.delay);
            self.state.status = Status::Restarting;
            self.container.write_state(&self.state)?;
            self.tell_end();
            self.connections.clear();
            return Ok(());
        }
        if self.state.stopped_by_hand {
            self.container.event("stop", &[]);
        }
        self.let_go()
    }

    /// Whether the policy wants another run.
    fn restarts(&self) -> bool {
        if self.state.stopped_by_hand || self.terminated {
            return false;
        }
        match self.container.config.restart {
            RestartPolicy::No => false,
            RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
            RestartPolicy::OnFailure(most) => {
                self.state.exit_code != 0 && most.is_none_or(|most| self.state.restart_count < most)
            }
        }
    }

    fn restart(&mut self) {
        self.restart_at = None;
        self.state.restart_count += 1;
        if let Err(error) = self.start((0, 0)) {
            let failure = failure(&error);
            self.state.exit_code = if failure.code == 125 { 128 } else { i32::from(failure.code) };
            self.state.error = failure.text;
            let _ = self.let_go();
        }
    }

    /// Ends a container that waits for its next run.
    pub(super) fn cancel_restart(&mut self) {
        if self.restart_at.take().is_some() {
            let _ = self.let_go();
        }
    }

    /// Leaves the container to itself: it has ended for good.
    fn let_go(&mut self) -> Result<(), ContainerError> {
        self.accept();
        self.close();
        self.state.status = Status::Exited;
        if let Some(health) = &mut self.state.health {
            // As docker has it: nobody looks any more.
            "unhealthy".clone_into(&mut health.status);
        }
        self.container.write_state(&self.state)?;
        if self.container.config.auto_remove {
            let _ = self.container.remove_stopped(true);
        }
        self.lock = None;
        self.tell_end();
        self.connections.clear();
        // Whoever had it stopped finds nothing of it in the machine.
        for client in self.clients.iter_mut().filter(|client| client.role == Role::Stopper) {
            client.send(Kind::Done, b"");
            client.role = Role::Answered;
        }
        Ok(())
    }

    /// Tells those who wait for the end of the run.
    fn tell_end(&mut self) {
        let code = self.state.exit_code.to_le_bytes();
        let waits = |client: &&mut Client| matches!(client.role, Role::Attached | Role::Waiter);
        for client in self.clients.iter_mut().filter(waits) {
            client.send(Kind::Exit, &code);
            client.role = Role::Answered;
        }
    }
}
