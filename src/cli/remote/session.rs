//! With a container or a command in the foreground of an engine's client: input and output over one connection, signals and
//! the window's size over others.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{life, looks};
use crate::cli::error::CliError;
use crate::cli::run::attach::RawMode;
use crate::cli::run::session::{DetachKeys, Sink};
use crate::containers::Kind;
use crate::engine::client::{Client, Connection, Input, Request};

/// How often a size is told to a container that is only just starting.
const TRIES: u32 = 10;

/// A connection that is to be shown.
pub struct Session {
    /// The connection.
    pub connection: Connection,
    /// Whether there is a terminal at the other end.
    pub tty: bool,
    /// Whether this process gives standard input.
    pub stdin: bool,
    /// The keys that leave it.
    pub keys: DetachKeys,
}

impl Session {
    /// Shows the output and gives the input until the output ends; true if the user left it.
    ///
    /// # Errors
    /// The terminal can't be set up, or the stream breaks off.
    pub fn run(self) -> Result<bool, CliError> {
        let Self { connection, tty, stdin, mut keys } = self;
        let Connection { mut output, input, .. } = connection;
        let raw = if tty && stdin && std::io::stdin().is_terminal() { Some(RawMode::enter()?) } else { None };
        let left = Arc::new(AtomicBool::new(false));
        let mut kept = None;
        if stdin {
            let (leaver, left) = (output.leaver(), Arc::clone(&left));
            let thread = std::thread::Builder::new().name("input".to_owned());
            // It ends with this process, for nothing else wakes it from reading.
            thread.spawn(move || {
                if give_input(input, tty.then_some(&mut keys)) {
                    left.store(true, Ordering::Release);
                    leaver.leave();
                }
            })?;
        } else {
            // Closing it would be the end of an input that others may give.
            kept = Some(input);
        }
        let shown = looks::show(&mut output, tty);
        drop(raw);
        drop(kept);
        if left.load(Ordering::Acquire) {
            return Ok(true);
        }
        shown.map(|()| false)
    }
}

/// Hands on what is typed; true if the keys to leave were among it.
fn give_input(mut input: Input, mut keys: Option<&mut DetachKeys>) -> bool {
    let mut buffer = vec![0; 32 << 10];
    loop {
        let count = match std::io::stdin().lock().read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        let typed = &buffer[..count];
        let written = match keys.as_deref_mut().map(|keys| keys.take(typed)) {
            None => input.write_all(typed),
            Some((bytes, false)) => input.write_all(&bytes),
            Some((bytes, true)) => {
                let _ = input.write_all(&bytes);
                return true;
            }
        };
        if written.is_err() {
            break;
        }
    }
    input.close();
    false
}

/// Hands signals and sizes on to a container.
pub struct Signals {
    /// The engine.
    pub client: Arc<Client>,
    /// The container's id.
    pub id: String,
}

impl Sink for Signals {
    fn send(&self, kind: Kind, bytes: &[u8]) {
        match (kind, bytes) {
            (Kind::Signal, [a, b, c, d]) => {
                let Ok(path) = life::path(&self.id, "/kill") else { return };
                let signal = i32::from_le_bytes([*a, *b, *c, *d]).to_string();
                let _ = self.client.send(Request::post(path).query("signal", signal));
            }
            (Kind::Resize, [a, b, c, d]) => {
                let Ok(path) = life::path(&self.id, "/resize") else { return };
                let size = (u16::from_le_bytes([*a, *b]), u16::from_le_bytes([*c, *d]));
                tell_size(&self.client, &path, size);
            }
            _ => {}
        }
    }

    fn hang_up(&self) {}
}

/// Tells an engine the size of a terminal; one that is only just made is asked for again.
pub fn tell_size(client: &Client, path: &str, (rows, columns): (u16, u16)) {
    for attempt in 0..TRIES {
        let request = Request::post(path).query("h", rows.to_string()).query("w", columns.to_string());
        if client.send(request).is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10 * u64::from(attempt + 1)));
    }
}

/// Tells an engine the window's size now and whenever it changes, from a thread of its own.
///
/// # Errors
/// The thread can't be started.
pub fn follow_window(
    client: Arc<Client>,
    path: String,
    changes: impl FnOnce(&mut dyn FnMut()) + Send + 'static,
) -> std::io::Result<()> {
    let tell = move || {
        if let Some(size) = console::Term::stdout().size_checked() {
            tell_size(&client, &path, size);
        }
    };
    std::thread::Builder::new().name("window".to_owned()).spawn(move || {
        tell();
        changes(&mut || tell());
    })?;
    Ok(())
}
