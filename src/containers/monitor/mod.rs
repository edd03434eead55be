//! The process that owns one running container, and nothing else.
//!
//! It is this program executed again, in a session of its own, with one thread and one loop over poll(2). It starts
//! the process, writes its log, carries bytes between it and attached clients, keeps the exit code, starts it again
//! by policy, and ends. All of the container's state is written by it while it lives; its lock on the container's
//! directory is what "running" means.
//!
//! A client that can't miss anything (the one in whose foreground the container runs) holds the container up when it
//! is slow. Any other holds it up for [`PATIENCE`] at most and then misses what doesn't fit: the log has all.

mod client;
mod exec;
mod health;
mod process;
mod serve;
mod signals;
mod supervise;

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::connect::Connections;
use super::error::ContainerError;
use super::files::{Container, Containers};
use super::log::Log;
use super::protocol::{Frame, Kind, Request};
use super::remote::{Failure, SOCKET, socket_path};
use super::start::Layers;
use super::state::{State, Status};
use super::{exec_record, waiting};
use crate::fs::Root;
use crate::net::stay;
use crate::run::NamespaceExecutor;
use crate::store::{Store, StoreOptions};
use client::Client;
use process::Run;

/// How long a slow client holds the container up.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long after a start, or a guest's, a monitor gives back the memory that this needed.
const REST: Duration = Duration::from_millis(300);
/// How long a lock is tried that a reader may hold for a look, or the last monitor while it leaves.
const LEAVING: Duration = Duration::from_secs(30);

/// What a monitor is told.
#[derive(Debug)]
pub struct Options {
    /// The store's directory.
    pub root: PathBuf,
    /// The container's id.
    pub id: String,
    /// The tag of the lines in the container's log.
    pub tag: String,
    /// How the store is opened.
    pub store: StoreOptions,
}

/// A container and those who watch it.
struct Monitor {
    container: Container,
    /// Held while the container is owned.
    lock: Option<Root>,
    layers: Layers,
    executor: NamespaceExecutor,
    connections: Connections,
    log: Log,
    state: State,
    clients: Vec<Client>,
    listener: Option<UnixListener>,
    restart_at: Option<Instant>,
    delay: Duration,
    /// When a container that was asked to stop is killed.
    kill_at: Option<Instant>,
    health: Option<health::Checks>,
    guests: Vec<exec::Guest>,
    /// Dropped after the guests: in its namespace the first process ends last.
    run: Option<Run>,
    terminate: signals::Terminate,
    /// Whether this process was asked to end.
    terminated: bool,
    /// When memory is given back that the last start or guest needed.
    rest_at: Option<Instant>,
    /// What is given back as soon as nothing happens.
    rest: Option<crate::run::Program>,
}

/// Owns a container until it ends; `starter` is whoever waits for its start.
///
/// # Errors
/// The starter was told why the container did not start, or is gone.
pub fn main(options: &Options, starter: UnixStream) -> Result<(), ContainerError> {
    // It must not end with the terminal or the command that made it.
    let _ = rustix::process::setsid();
    let terminate = signals::Terminate::take()?;
    let mut starter = starter;
    let Some(Frame { kind: Kind::Request, bytes }) = Frame::read(&mut starter)? else { return Ok(()) };
    let Ok(Request::Start { attach }) = serde_json::from_slice(&bytes) else { return Ok(()) };
    match Monitor::begin(options, terminate) {
        Ok(Begun::Running) => tell(&mut starter, Kind::Done, b""),
        Ok(Begun::Owned(mut monitor)) => {
            let mut client = Client::new(starter)?;
            client.begin(attach);
            monitor.clients.push(client);
            match monitor.first_start(attach) {
                Ok(()) => monitor.supervise(),
                Err(error) => monitor.give_up(&error),
            }
        }
        Err(error) => {
            let failure = failure(&error);
            tell(&mut starter, Kind::Failed, &serde_json::to_vec(&failure).expect("a failure serialises"))
        }
    }
}

fn tell(stream: &mut UnixStream, kind: Kind, bytes: &[u8]) -> Result<(), ContainerError> {
    Frame::write(stream, kind, bytes).map_err(|e| ContainerError::io("tell the client", e))
}

/// Puts an error in words, with its causes.
fn failure(error: &ContainerError) -> Failure {
    Failure { code: error.exit_code(), text: crate::causes::chain(error) }
}

/// What a beginning monitor found.
enum Begun {
    /// The container runs already.
    Running,
    /// It is this monitor's.
    Owned(Box<Monitor>),
}

impl Monitor {
    fn begin(options: &Options, terminate: signals::Terminate) -> Result<Begun, ContainerError> {
        let containers = Containers::open(&options.root)?;
        let mut container = containers.find(&options.id)?;
        let Some(lock) = take_lock(&container)? else { return Ok(Begun::Running) };
        // It may have been renamed or removed before the lock was ours.
        container.reload()?;
        let mut before = container.written_state()?;
        if before.has_monitor() {
            // The last one was killed, and nobody has looked since.
            before = container.settle(before)?;
        }
        exec_record::forget(container.dir());
        let store = Store::open(&options.root, &options.store)?;
        let lease = store.lease()?;
        lease.keep_layers(&container.config.layers)?;
        for layers in container.config.mounted_images() {
            lease.keep_layers(layers)?;
        }
        let layers = Layers::show(&container, &store)?;
        if layers.in_user_namespace() {
            stay(containers.store().name()).map_err(ContainerError::Network)?;
        }
        let log = Log::open(&container, &options.tag)?;
        let state = State { status: before.status, finished: before.finished, ..State::default() };
        // What is shown stays shown: a mounted layer can't go, and containers keep their image from collection.
        drop((lease, store));
        let executor = NamespaceExecutor::new();
        Ok(Begun::Owned(Box::new(Self {
            container,
            lock: Some(lock),
            layers,
            executor,
            connections: Connections::default(),
            log,
            state,
            clients: Vec::new(),
            listener: None,
            run: None,
            restart_at: None,
            delay: Duration::ZERO,
            kill_at: None,
            health: None,
            guests: Vec::new(),
            terminate,
            terminated: false,
            rest_at: None,
            rest: None,
        })))
    }

    /// Starts the process for the first time, listens, and says so to the starter.
    fn first_start(&mut self, attach: Option<super::protocol::Attach>) -> Result<(), ContainerError> {
        let _ = self.container.dir().remove_file(SOCKET);
        let path = socket_path(&self.container.dir().proc_path());
        let listener = UnixListener::bind(path).map_err(|e| ContainerError::io("listen", e))?;
        listener.set_nonblocking(true).map_err(|e| ContainerError::io("listen", e))?;
        self.listener = Some(listener);
        self.take_waiting()?;
        let sizes = self.clients.iter().map(|client| (client.attach.rows, client.attach.columns));
        let waiting = sizes.max().unwrap_or((0, 0));
        let size = attach.map_or((0, 0), |a| (a.rows, a.columns)).max(waiting);
        self.start(size)?;
        Ok(())
    }

    /// Takes those who are there before the process is, so that they miss nothing.
    fn take_waiting(&mut self) -> Result<(), ContainerError> {
        for (stream, request) in waiting::take(self.container.dir()) {
            let mut client = Client::new(stream)?;
            match request {
                Request::Attach(attach) => client.begin(Some(attach)),
                Request::Wait => client.role = client::Role::Waiter,
                _ => continue,
            }
            self.clients.push(client);
        }
        Ok(())
    }

    /// Says why the container did not start, and leaves it as docker would.
    fn give_up(mut self, error: &ContainerError) -> Result<(), ContainerError> {
        let failure = failure(error);
        self.close();
        self.state.error.clone_from(&failure.text);
        self.state.exit_code = match failure.code {
            125 => 128,
            code => i32::from(code),
        };
        if !matches!(self.state.status, Status::Created) {
            self.state.status = Status::Exited;
        }
        let _ = self.container.write_state(&self.state);
        if self.container.config.auto_remove {
            let _ = self.container.remove_stopped(true);
        }
        self.lock = None;
        for client in &mut self.clients {
            client.send_json(Kind::Failed, &failure);
            client.finish();
        }
        self.connections.clear();
        Ok(())
    }

    /// Listens no more.
    fn close(&mut self) {
        if self.listener.take().is_some() {
            let _ = self.container.dir().remove_file(SOCKET);
        }
    }
}

fn take_lock(container: &Container) -> Result<Option<Root>, ContainerError> {
    let limit = Instant::now() + LEAVING;
    for attempt in 0.. {
        if let Some(lock) = container.try_lock()? {
            return Ok(Some(lock));
        }
        // A monitor that owns it says so; anybody else just looks.
        if attempt > 2 && container.written_state()?.status.has_monitor() {
            return Ok(None);
        }
        if Instant::now() > limit {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Err(ContainerError::Refused(format!("container {} is held by another process", container.config.id)))
}
