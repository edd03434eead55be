//! The other end of a monitor: how commands start one and talk to it.

use std::io::Write as _;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::descriptors;
use super::error::ContainerError;
use super::files::Container;
use super::protocol::{Exec, Frame, Kind, Request, number};

/// The name of a monitor's socket.
pub(super) const SOCKET: &str = "monitor.sock";

/// Why something failed, as the monitor says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Exit code for the command.
    pub code: u8,
    /// In words.
    pub text: String,
}

/// A connection to a monitor.
#[derive(Debug)]
pub struct Remote {
    stream: UnixStream,
}

/// What a monitor answers.
#[derive(Debug)]
pub enum Reply {
    /// It is done; after a start, the process runs.
    Done,
    /// Something that the process runs without.
    Warning(String),
    /// The run ended with this code.
    Exit(i32),
    /// It could not be done.
    Failed(Failure),
    /// Bytes of standard output or the terminal.
    Stdout(Vec<u8>),
    /// Bytes of standard error.
    Stderr(Vec<u8>),
}

/// Starts the monitor of a container that is not running; `arguments` are what its [`super::monitor::main`] takes.
///
/// # Errors
/// The program can't be executed again.
pub fn spawn_monitor(arguments: &[&str]) -> Result<Remote, ContainerError> {
    let failed = |e| ContainerError::io("start the container's monitor", e);
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    let theirs: OwnedFd = theirs.into();
    // A command does not wait for it: it ends with its container, long after this process or shortly before. A service
    // does.
    let child = Command::new("/proc/self/exe")
        .arg0("skiff")
        .args(arguments)
        .env_clear()
        .current_dir("/")
        .stdin(theirs)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    MONITORS.lock().unwrap_or_else(PoisonError::into_inner).push(child);
    Ok(Remote { stream: ours })
}

/// The monitors that this process has started and not yet seen end.
static MONITORS: Mutex<Vec<Child>> = Mutex::new(Vec::new());

/// Takes note of the monitors that have ended, so that nothing is left of them in the list of processes. For those who
/// live longer than containers.
pub fn reap_monitors() {
    let mut monitors = MONITORS.lock().unwrap_or_else(PoisonError::into_inner);
    monitors.retain_mut(|monitor| matches!(monitor.try_wait(), Ok(None)));
}

impl Remote {
    /// Takes a connection that a monitor has made.
    pub(super) fn of(stream: UnixStream) -> Self {
        Self { stream }
    }

    /// Connects to the monitor of a container; none if there is none.
    ///
    /// # Errors
    /// The socket can't be reached for another reason.
    pub fn connect(container: &Container) -> Result<Option<Self>, ContainerError> {
        // The directory's own path may be longer than a socket's may be.
        let path = container.dir().proc_path().join(SOCKET);
        match UnixStream::connect(&path) {
            Ok(stream) => Ok(Some(Self { stream })),
            Err(e)
                if matches!(
                    e.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused
                ) =>
            {
                Ok(None)
            }
            Err(e) => Err(ContainerError::io("reach the container's monitor", e)),
        }
    }

    /// Asks for something.
    ///
    /// # Errors
    /// The monitor is gone.
    pub fn ask(&mut self, request: &Request) -> Result<(), ContainerError> {
        let bytes = serde_json::to_vec(request).expect("a request serialises");
        self.send(Kind::Request, &bytes)
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// The monitor is gone.
    pub fn send(&mut self, kind: Kind, bytes: &[u8]) -> Result<(), ContainerError> {
        Frame::write(&mut self.stream, kind, bytes).map_err(|e| match e.kind() {
            std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::ConnectionReset => {
                ContainerError::MonitorGone
            }
            _ => ContainerError::io("tell the container's monitor", e),
        })
    }

    /// Returns the next answer; none when the monitor hung up.
    ///
    /// # Errors
    /// What it says means nothing.
    pub fn reply(&mut self) -> Result<Option<Reply>, ContainerError> {
        let Some(frame) = Frame::read(&mut self.stream)? else { return Ok(None) };
        let odd = |kind: Kind| ContainerError::Protocol(format!("a frame {kind:?}"));
        Ok(Some(match frame.kind {
            Kind::Done => Reply::Done,
            Kind::Warning => Reply::Warning(String::from_utf8_lossy(&frame.bytes).into_owned()),
            Kind::Exit => Reply::Exit(number(&frame.bytes).ok_or_else(|| odd(frame.kind))?),
            Kind::Failed => Reply::Failed(serde_json::from_slice(&frame.bytes).map_err(|_| odd(frame.kind))?),
            Kind::Stdout => Reply::Stdout(frame.bytes),
            Kind::Stderr => Reply::Stderr(frame.bytes),
            kind => return Err(odd(kind)),
        }))
    }

    /// Asks for something and waits until it is done or has failed.
    ///
    /// # Errors
    /// The monitor is gone, or says no.
    pub fn call(&mut self, request: &Request) -> Result<(), ContainerError> {
        self.ask(request)?;
        loop {
            match self.reply()? {
                None => return Err(ContainerError::MonitorGone),
                Some(Reply::Done | Reply::Exit(_)) => return Ok(()),
                Some(Reply::Failed(failure)) => return Err(ContainerError::Refused(failure.text)),
                Some(_) => {}
            }
        }
    }

    /// Asks for a further process in the container, with the descriptors that belong to it. Returns its terminal, if it
    /// has one and is not detached; its end comes as a reply.
    ///
    /// # Errors
    /// The monitor is gone or means nothing; it may also refuse.
    pub fn exec(
        &mut self,
        request: &Exec,
        fds: &[BorrowedFd<'_>],
    ) -> Result<Result<Option<OwnedFd>, Failure>, ContainerError> {
        self.ask_for_descriptor(&Request::Exec(request.clone()), fds)
    }

    /// Asks for the root that the container's processes see; none if they are just gone.
    ///
    /// # Errors
    /// The monitor means nothing.
    pub fn root(mut self) -> Result<Option<OwnedFd>, ContainerError> {
        match self.ask_for_descriptor(&Request::Root, &[]) {
            Ok(answer) => Ok(answer.unwrap_or(None)),
            Err(ContainerError::MonitorGone) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Asks for the file system of a volume, and the mount namespace where it was made; none if the container has none.
    ///
    /// # Errors
    /// The monitor does not answer in time.
    pub(super) fn volume(
        mut self,
        name: &str,
        patience: std::time::Duration,
    ) -> Result<Option<(OwnedFd, OwnedFd)>, ContainerError> {
        let limited = self.stream.set_read_timeout(Some(patience));
        limited.map_err(|e| ContainerError::io("reach the container's monitor", e))?;
        let mut found = self.ask_for_descriptors(&Request::Volume(name.to_owned()), &[])?.unwrap_or_default();
        let namespace = found.pop();
        Ok(found.pop().zip(namespace))
    }

    /// Returns the ids of the further processes that run in the container; none if it is just gone.
    ///
    /// # Errors
    /// The monitor means nothing.
    pub fn execs(mut self) -> Result<Vec<String>, ContainerError> {
        match self.ask(&Request::Execs) {
            Err(ContainerError::MonitorGone) => return Ok(Vec::new()),
            other => other?,
        }
        let Some(frame) = Frame::read(&mut self.stream)? else { return Ok(Vec::new()) };
        serde_json::from_slice(&frame.bytes).map_err(|_| ContainerError::Protocol("a list of ids".to_owned()))
    }

    fn ask_for_descriptor(
        &mut self,
        request: &Request,
        fds: &[BorrowedFd<'_>],
    ) -> Result<Result<Option<OwnedFd>, Failure>, ContainerError> {
        Ok(self.ask_for_descriptors(request, fds)?.map(|mut found| found.pop()))
    }

    fn ask_for_descriptors(
        &mut self,
        request: &Request,
        fds: &[BorrowedFd<'_>],
    ) -> Result<Result<Vec<OwnedFd>, Failure>, ContainerError> {
        let frame =
            Frame::encode(Kind::Request, &serde_json::to_vec(&request).expect("a request serialises"));
        let gone = |_| ContainerError::MonitorGone;
        let sent = descriptors::send(&self.stream, &frame, fds).map_err(gone)?;
        self.stream.write_all(&frame[sent..]).map_err(gone)?;
        let (mut head, mut found) = ([0; 5], Vec::new());
        let mut count = 0;
        while count < head.len() {
            match descriptors::receive(&self.stream, &mut head[count..], &mut found) {
                Ok(0) => return Err(ContainerError::MonitorGone),
                Ok(more) => count += more,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return Err(ContainerError::MonitorGone),
            }
        }
        let frame = Frame::after(head, &mut self.stream)?.ok_or(ContainerError::MonitorGone)?;
        match frame.kind {
            Kind::Done => Ok(Ok(found)),
            Kind::Failed => serde_json::from_slice(&frame.bytes)
                .map(Err)
                .map_err(|_| ContainerError::Protocol("a failure".to_owned())),
            kind => Err(ContainerError::Protocol(format!("a frame {kind:?}"))),
        }
    }

    /// Returns a second handle on the connection, for another thread.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn try_clone(&self) -> Result<Self, ContainerError> {
        let stream = self.stream.try_clone().map_err(|e| ContainerError::io("duplicate a socket", e))?;
        Ok(Self { stream })
    }

    /// Ends the connection for all handles.
    pub fn hang_up(&self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}

/// Returns where a monitor listens.
pub(super) fn socket_path(dir: &Path) -> std::path::PathBuf {
    dir.join(SOCKET)
}
