//! Clients that are there before a container runs, and must miss nothing of it.
//!
//! Each listens on a socket of its own in the container's directory, `waiting-<digits>.sock`. The next monitor connects
//! to all of them after it listens itself and before it starts the process, and takes from each what it asks for. Who
//! makes such a socket and then finds a monitor that listens already asks that one instead.

use std::io::ErrorKind;
use std::os::fd::AsFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::error::ContainerError;
use super::files::Container;
use super::protocol::{Frame, Kind, Request};
use super::remote::Remote;
use crate::fs::Root;

const PREFIX: &str = "waiting-";
/// How often is looked whether the container is still there.
const LOOK: Duration = Duration::from_millis(100);
/// How long a monitor waits for what a client asks.
const ASKING: Duration = Duration::from_secs(10);

/// A place in the line before a container's next start; it ends with the value.
#[derive(Debug)]
pub struct Waiting {
    container: Container,
    listener: UnixListener,
    name: String,
}

impl Container {
    /// Queues for the next start.
    ///
    /// # Errors
    /// The socket can't be made: the container may be gone.
    pub fn line_up(&self) -> Result<Waiting, ContainerError> {
        let failed = |e: std::io::Error| match e.kind() {
            ErrorKind::NotFound => ContainerError::NotFound(self.config.id.clone()),
            _ => ContainerError::io("wait for the container", e),
        };
        let mut bytes = [0u8; 8];
        rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
            .map_err(|e| ContainerError::io("make a name", e))?;
        let name = format!("{PREFIX}{}.sock", crate::image::id::to_hex(&bytes));
        let listener = UnixListener::bind(self.dir().proc_path().join(&name)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Waiting { container: self.clone(), listener, name })
    }
}

impl Waiting {
    /// Waits until a monitor has come and was asked; none if the container is gone, or `enough` says so.
    ///
    /// # Errors
    /// The system refuses, or the monitor means nothing.
    pub fn ask(self, request: &Request, enough: impl Fn() -> bool) -> Result<Option<Remote>, ContainerError> {
        let failed = |e: std::io::Error| ContainerError::io("wait for the container", e);
        // One that runs already takes nobody from the line.
        if let Some(mut remote) = Remote::connect(&self.container)? {
            match remote.ask(request) {
                Ok(()) => return Ok(Some(remote)),
                Err(ContainerError::MonitorGone) => {}
                Err(error) => return Err(error),
            }
        }
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).map_err(failed)?;
                    let mut remote = Remote::of(stream);
                    match remote.ask(request) {
                        Ok(()) => return Ok(Some(remote)),
                        // It did not come so far; another one may.
                        Err(ContainerError::MonitorGone) => continue,
                        Err(error) => return Err(error),
                    }
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Err(failed(error)),
            }
            if enough() || !self.container.exists() {
                return Ok(None);
            }
            let limit = Timespec { tv_sec: 0, tv_nsec: i64::from(LOOK.subsec_nanos()) };
            let _ = poll(&mut [PollFd::from_borrowed_fd(self.listener.as_fd(), PollFlags::IN)], Some(&limit));
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // It went with the container, or a monitor took it away.
        let _ = self.container.dir().remove_file(&self.name);
    }
}

/// Connects to all that wait in a container's directory, and returns what each asks for. What the dead left goes.
pub(super) fn take(dir: &Root) -> Vec<(UnixStream, Request)> {
    let mut found = Vec::new();
    for entry in dir.entries(".").unwrap_or_default() {
        let name = String::from_utf8_lossy(&entry.name).into_owned();
        if !name.starts_with(PREFIX) {
            continue;
        }
        match UnixStream::connect(dir.proc_path().join(&name)) {
            Ok(stream) => found.extend(asked(stream)),
            Err(_) => {
                let _ = dir.remove_file(&name);
            }
        }
    }
    found
}

fn asked(mut stream: UnixStream) -> Option<(UnixStream, Request)> {
    stream.set_read_timeout(Some(ASKING)).ok()?;
    let frame = Frame::read(&mut stream).ok()??;
    stream.set_read_timeout(None).ok()?;
    let request =
        (frame.kind == Kind::Request).then(|| serde_json::from_slice(&frame.bytes).ok()).flatten()?;
    Some((stream, request))
}
