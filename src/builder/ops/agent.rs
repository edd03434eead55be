//! An ssh agent for a RUN: a socket of the step's own that hands every connection on to the real one.
//!
//! The step's socket has the owner and the mode that its mount asks for, and it
//! is gone with the step; the agent's own socket is never shown.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::builder::error::{BuildError, ErrorKind};
use crate::fs::{Follow, Root};

/// A socket that forwards to an agent until it is dropped.
pub(super) struct Agent {
    path: PathBuf,
    /// Keeps `path`, which goes through a descriptor, alive.
    _dir: Root,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Agent {
    /// Makes the socket `name` in a directory; returns it with a descriptor that can be mounted.
    ///
    /// # Errors
    /// The socket can't be made.
    pub(super) fn forward(
        dir: &Root,
        name: &str,
        to: &Path,
        (mode, uid, gid): (u32, u32, u32),
    ) -> Result<(Self, OwnedFd), BuildError> {
        let dir = dir.try_clone()?;
        let path = dir.proc_path().join(name);
        let listener = UnixListener::bind(&path)
            .map_err(|source| ErrorKind::Io { action: "cannot make an ssh agent's socket", source })?;
        dir.set_owner(name, uid, gid)?;
        dir.set_mode(name, mode)?;
        let socket = dir.open_path(name, Follow::No)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, to) = (Arc::clone(&stop), to.to_owned());
        let thread = std::thread::spawn(move || serve(&listener, &to, &stopped));
        Ok((Self { path, _dir: dir, stop, thread: Some(thread) }, socket))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // The thread waits for a connection; this is its last one.
        let _ = UnixStream::connect(&self.path);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(listener: &UnixListener, agent: &Path, stop: &AtomicBool) {
    for inside in listener.incoming() {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        // A step whose connection fails sees it closed; the next one may work.
        let (Ok(inside), Ok(outside)) = (inside, UnixStream::connect(agent)) else { continue };
        if let (Ok(inside2), Ok(outside2)) = (inside.try_clone(), outside.try_clone()) {
            std::thread::spawn(move || pass(inside, outside));
            std::thread::spawn(move || pass(outside2, inside2));
        }
    }
}

/// Hands on bytes until one side ends.
fn pass(mut from: UnixStream, mut to: UnixStream) {
    let mut buffer = [0; 16 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) if to.write_all(&buffer[..count]).is_ok() => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => break,
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_pass_both_ways_and_the_socket_is_the_steps_own() {
        let temporary = tempfile::tempdir().unwrap();
        let real = temporary.path().join("real");
        let listener = UnixListener::bind(&real).unwrap();
        let echo = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            stream.write_all(text.to_uppercase().as_bytes()).unwrap();
        });
        let dir = Root::open(temporary.path()).unwrap();
        let (agent, _socket) = Agent::forward(&dir, "agent", &real, (0o660, 3, 4)).unwrap();
        let stat = dir.stat("agent", Follow::No).unwrap().unwrap();
        assert_eq!((stat.mode, stat.uid, stat.gid), (0o660, 3, 4));
        let mut stream = UnixStream::connect(temporary.path().join("agent")).unwrap();
        stream.write_all(b"hello").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "HELLO");
        echo.join().unwrap();
        drop(agent);
    }
}
