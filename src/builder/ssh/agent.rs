//! A socket that answers as an ssh agent does.

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use super::key::Key;
use super::wire::{Fields, put_string};
use crate::fs::Root;

/// Most bytes of a request, as OpenSSH's agent has it.
const MAX_REQUEST: usize = 256 << 10;

const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;

/// An agent that holds keys until it is dropped.
#[derive(Debug)]
pub struct KeyAgent {
    path: PathBuf,
    dir: Root,
    name: String,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl KeyAgent {
    /// Makes the socket `name` in a directory of the caller's own.
    ///
    /// # Errors
    /// The socket can't be made.
    pub fn start(dir: &Root, name: &str, keys: Vec<Key>) -> io::Result<Self> {
        let dir = dir.try_clone().map_err(io::Error::other)?;
        // Through this process's descriptor, since the path of a socket has little room;
        // through its number, since git and ssh connect as well.
        let path = Path::new("/proc").join(std::process::id().to_string());
        let path = path.join(dir.proc_path().strip_prefix("/proc/self").unwrap_or(Path::new(""))).join(name);
        let listener = UnixListener::bind(&path)?;
        dir.set_mode(name, 0o600).map_err(io::Error::other)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || serve(&listener, &Arc::new(keys), &stopped));
        Ok(Self { path, dir, name: name.to_owned(), stop, thread: Some(thread) })
    }

    /// Returns where the socket is, for this process and its children.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for KeyAgent {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // The thread waits for a connection; this is its last one.
        let _ = UnixStream::connect(&self.path);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = self.dir.remove_file(&self.name);
    }
}

fn serve(listener: &UnixListener, keys: &Arc<Vec<Key>>, stop: &AtomicBool) {
    for stream in listener.incoming() {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let (Ok(mut stream), keys) = (stream, Arc::clone(keys)) else { continue };
        std::thread::spawn(move || while exchange(&mut stream, &keys).is_ok() {});
    }
}

/// Reads one request and answers it; an error ends the connection.
fn exchange(stream: &mut UnixStream, keys: &[Key]) -> io::Result<()> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > MAX_REQUEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut request = vec![0; length];
    stream.read_exact(&mut request)?;
    let mut out = Vec::new();
    put_string(&mut out, &answer(&request, keys).unwrap_or_else(|| vec![FAILURE]));
    stream.write_all(&out)
}

fn answer(request: &[u8], keys: &[Key]) -> Option<Vec<u8>> {
    let (kind, rest) = request.split_first()?;
    let mut fields = Fields(rest);
    match *kind {
        REQUEST_IDENTITIES => {
            let mut out = vec![IDENTITIES_ANSWER];
            out.extend_from_slice(&u32::try_from(keys.len()).ok()?.to_be_bytes());
            for key in keys {
                put_string(&mut out, &key.public());
                put_string(&mut out, key.comment.as_bytes());
            }
            Some(out)
        }
        SIGN_REQUEST => {
            let public = fields.string().ok()?;
            let (data, flags) = (fields.string().ok()?, fields.number().ok()?);
            let signature = keys.iter().find(|key| key.public() == public)?.sign(data, flags)?;
            let mut out = vec![SIGN_RESPONSE];
            put_string(&mut out, &signature);
            Some(out)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn keygen(dir: &Path, args: &[&str], socket: Option<&Path>, input: &str) -> bool {
        let mut command = Command::new("ssh-keygen");
        command.args(args).current_dir(dir).stdin(Stdio::piped()).stdout(Stdio::null());
        if let Some(socket) = socket {
            command.env("SSH_AUTH_SOCK", socket);
        }
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait().unwrap().success()
    }

    #[test]
    #[expect(clippy::print_stderr, reason = "a test that skips says why")]
    fn signatures_are_what_openssh_takes() {
        if Command::new("ssh-keygen").arg("-?").stderr(Stdio::null()).status().is_err() {
            eprintln!("skipped: there is no ssh-keygen");
            return;
        }
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path();
        let kinds =
            [("ed25519", "256"), ("rsa", "2048"), ("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521")];
        for (kind, bits) in kinds {
            let name = format!("{kind}{bits}");
            let made = ["-q", "-t", kind, "-b", bits, "-N", "", "-C", "me", "-f", &name];
            assert!(keygen(dir, &made, None, ""), "{name}");
            let text = std::fs::read_to_string(dir.join(&name)).unwrap();
            std::fs::remove_file(dir.join(&name)).unwrap();
            let key = Key::read(&text, "fallback").unwrap();
            assert_eq!(key.comment, "me");
            let agent = KeyAgent::start(&Root::open(dir).unwrap(), "agent", vec![key]).unwrap();
            std::fs::write(dir.join("text"), "text").unwrap();
            let public = format!("{name}.pub");
            let sign = ["-q", "-Y", "sign", "-U", "-n", "test", "-f", &public, "text"];
            assert!(keygen(dir, &sign, Some(agent.path()), ""), "{name}");
            let known = std::fs::read_to_string(dir.join(&public)).unwrap();
            std::fs::write(dir.join("known"), format!("me {known}")).unwrap();
            let verify = ["-q", "-Y", "verify", "-n", "test", "-f", "known", "-I", "me", "-s", "text.sig"];
            assert!(keygen(dir, &verify, None, "text"), "{name}");
            assert!(!keygen(dir, &verify, None, "other"), "{name}");
            drop(agent);
            assert!(!dir.join("agent").exists());
            std::fs::remove_file(dir.join("text.sig")).unwrap();
        }
    }
}
