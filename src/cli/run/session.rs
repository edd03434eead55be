//! With a container in the foreground: what it writes is shown, what is typed is handed on, until it ends or is left.

use std::io::{IsTerminal as _, Read as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::super::error::CliError;
use super::super::global::Global;
use super::super::output::{self, Shown};
use super::Attached;
use super::attach::RawMode;
use super::signals::Proxy;
use crate::containers::{Attach, Kind, Remote, Reply};

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The container ended with this code.
    Exited(i32),
    /// The user left it with the keys for that.
    Detached,
    /// Its monitor is gone.
    Lost,
    /// What it writes can't be shown any more, and why was said; the container goes on.
    Unshown,
}

/// What it means that no more input comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was all there is.
    Input,
    /// The terminal was closed, and the container's own closes with it.
    Terminal,
    /// The terminal was closed, which ends the session alone.
    Attachment,
}

/// What frames for a container go to.
pub trait Sink: Send + Sync {
    /// Sends a frame; a container that has ended needs none.
    fn send(&self, kind: Kind, bytes: &[u8]);
    /// Leaves the container.
    fn hang_up(&self);
}

impl Sink for Mutex<Remote> {
    fn send(&self, kind: Kind, bytes: &[u8]) {
        let _ = self.lock().unwrap_or_else(PoisonError::into_inner).send(kind, bytes);
    }

    fn hang_up(&self) {
        self.lock().unwrap_or_else(PoisonError::into_inner).hang_up();
    }
}

/// The sending side of a session, for several threads.
#[derive(Clone)]
pub struct Sender(Arc<dyn Sink>);

impl Sender {
    /// Sends to what is given.
    pub fn new(sink: Arc<dyn Sink>) -> Self {
        Self(sink)
    }

    /// Sends a frame; a container that has ended needs none.
    pub fn send(&self, kind: Kind, bytes: &[u8]) {
        self.0.send(kind, bytes);
    }

    fn hang_up(&self) {
        self.0.hang_up();
    }
}

/// A connection to a container's monitor that has said "done" to attaching.
pub struct Session {
    /// The connection.
    pub remote: Remote,
    /// Whether the container has a terminal.
    pub tty: bool,
    /// Whether this process gives standard input.
    pub stdin: bool,
    /// The keys that leave the container.
    pub keys: DetachKeys,
    /// Whether the container's terminal closes with the one that it was started from.
    pub hangs_up: bool,
}

/// Returns what is asked of the monitor.
pub fn attach_request(streams: Attached, tty: bool, lossless: bool) -> Attach {
    let size = if tty { console::Term::stdout().size_checked() } else { None };
    let (rows, columns) = size.unwrap_or((0, 0));
    let Attached { stdin, stdout, stderr } = streams;
    Attach { stdin, stdout, stderr, lossless, rows, columns }
}

impl Session {
    /// Goes on until the container ends, the user leaves it, or its monitor is gone.
    ///
    /// # Errors
    /// The terminal can't be set up, or the monitor says what means nothing.
    pub fn run(mut self, proxy: Option<&Proxy>) -> Result<Outcome, CliError> {
        let sending = self.remote.try_clone().map_err(|e| CliError::engine(&e))?;
        let sender = Sender::new(Arc::new(Mutex::new(sending)));
        let raw = match self.tty && self.stdin && std::io::stdin().is_terminal() {
            true => Some(RawMode::enter()?),
            false => None,
        };
        let end = match raw {
            None => End::Input,
            Some(_) if self.hangs_up => End::Terminal,
            Some(_) => End::Attachment,
        };
        if let Some(proxy) = proxy {
            proxy.begin(sender.clone(), self.tty, end);
        }
        let left = Arc::new(AtomicBool::new(false));
        if self.stdin {
            let (left, tty) = (Arc::clone(&left), self.tty);
            let mut keys = std::mem::take(&mut self.keys);
            let thread = std::thread::Builder::new().name("input".to_owned());
            // It ends with this process, for nothing else wakes it from reading.
            thread.spawn(move || match give_input(&sender, tty.then_some(&mut keys)) {
                Given::All if end == End::Input => sender.send(Kind::StdinEnd, b""),
                Given::All if end == End::Terminal => sender.send(Kind::HangUp, b""),
                Given::All | Given::UntilLeft => {
                    left.store(true, Ordering::Release);
                    sender.hang_up();
                }
            })?;
        }
        let outcome = self.show(&left);
        drop(raw);
        let (outcome, unshown) = outcome?;
        if let Some(error) = unshown {
            output::talk(&error.to_string());
        }
        Ok(outcome)
    }

    fn show(&mut self, left: &AtomicBool) -> Result<(Outcome, Option<std::io::Error>), CliError> {
        loop {
            match self.remote.reply() {
                // Where nothing can be shown, the session ends, and the container goes on without it.
                Ok(Some(Reply::Stdout(bytes))) => {
                    if let Err(error) = Shown::Stdout.show(&bytes) {
                        return Ok((Outcome::Unshown, Some(error)));
                    }
                }
                Ok(Some(Reply::Stderr(bytes))) => {
                    if let Err(error) = Shown::Stderr.show(&bytes) {
                        return Ok((Outcome::Unshown, Some(error)));
                    }
                }
                Ok(Some(Reply::Exit(code))) => return Ok((Outcome::Exited(code), None)),
                Ok(Some(Reply::Failed(failure))) => {
                    return Err(CliError::new(format!("Error response from daemon: {}", failure.text)));
                }
                Ok(Some(Reply::Warning(text))) => output::talk(&format!("WARNING: {text}")),
                Ok(Some(Reply::Done)) => {}
                _ if left.load(Ordering::Acquire) => return Ok((Outcome::Detached, None)),
                Ok(None) => return Ok((Outcome::Lost, None)),
                Err(error) => return Err(CliError::engine(&error)),
            }
        }
    }
}

/// Why no more input is given.
enum Given {
    All,
    UntilLeft,
}

fn give_input(sender: &Sender, mut keys: Option<&mut DetachKeys>) -> Given {
    let mut buffer = vec![0; 32 << 10];
    loop {
        match std::io::stdin().lock().read(&mut buffer) {
            Ok(0) => return Given::All,
            Ok(count) => {
                let typed = &buffer[..count];
                match keys.as_deref_mut().map(|keys| keys.take(typed)) {
                    None => sender.send(Kind::Stdin, typed),
                    Some((bytes, leave)) => {
                        if !bytes.is_empty() {
                            sender.send(Kind::Stdin, &bytes);
                        }
                        if leave {
                            return Given::UntilLeft;
                        }
                    }
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return Given::All,
        }
    }
}

/// Watches what is typed for the keys that leave a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DetachKeys {
    keys: Vec<u8>,
    /// How many of them were typed.
    seen: usize,
}

impl DetachKeys {
    /// Reads a flag's value, else the configuration's `detachKeys`, else takes `ctrl-p,ctrl-q`.
    ///
    /// # Errors
    /// A word names no key.
    pub fn new(flag: Option<&str>, global: &Global) -> Result<Self, CliError> {
        let configured = match flag {
            Some(_) => None,
            None => super::super::container::client_setting(global, "detachKeys"),
        };
        Self::parse(flag.or(configured.as_deref()).filter(|text| !text.is_empty()).unwrap_or("ctrl-p,ctrl-q"))
    }

    /// Reads keys with commas between them.
    ///
    /// # Errors
    /// A word names no key.
    pub fn parse(text: &str) -> Result<Self, CliError> {
        let bad = || CliError::new(format!("invalid detach keys ({text}) provided"));
        let key = |word: &str| match (word.as_bytes(), word.strip_prefix("ctrl-").map(str::as_bytes)) {
            ([one], _) => Ok(*one),
            (_, Some([letter @ (b'a'..=b'z' | b'@' | b'[' | b'\\' | b']' | b'^' | b'_')])) => {
                Ok(letter & 0x1f)
            }
            _ => Err(bad()),
        };
        Ok(Self { keys: text.split(',').map(key).collect::<Result<_, _>>()?, seen: 0 })
    }

    /// Returns what is to be handed on of typed bytes, and whether the keys were complete.
    pub fn take(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let mut out = Vec::with_capacity(typed.len());
        for byte in typed {
            if *byte == self.keys[self.seen] {
                self.seen += 1;
                if self.seen == self.keys.len() {
                    return (out, true);
                }
                continue;
            }
            out.extend_from_slice(&self.keys[..self.seen]);
            self.seen = usize::from(*byte == self.keys[0] && self.keys.len() > 1);
            if self.seen == 0 {
                out.push(*byte);
            }
        }
        (out, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_leave() {
        for (keys, typed, handed_on, leaves) in [
            ("ctrl-p,ctrl-q", &b"a\x10b"[..], &b"a\x10b"[..], false),
            ("ctrl-p,ctrl-q", b"a\x10\x11b", b"a", true),
            ("ctrl-p,ctrl-q", b"\x10\x10\x11", b"\x10", true),
            ("ctrl-p,ctrl-q", b"\x10", b"", false),
            ("q", b"xq", b"x", true),
            ("a,ctrl-@", b"ab", b"ab", false),
        ] {
            let mut keys = DetachKeys::parse(keys).expect("keys");
            assert_eq!(keys.take(typed), (handed_on.to_vec(), leaves), "{typed:?}");
        }
        for bad in ["", "ctrl-", "ctrl-A", "ab", "ctrl-p,"] {
            assert!(DetachKeys::parse(bad).is_err(), "{bad}");
        }
    }
}
