//! A command on a terminal of its own, and somebody who types and looks.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

use super::wait_until;

const PATIENCE: Duration = Duration::from_secs(30);

/// A command on a terminal.
pub struct Pty {
    ours: File,
    child: Child,
    shown: Arc<Mutex<Vec<u8>>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Pty {
    /// Starts a command with a controlling terminal of so many rows and columns.
    pub fn start(command: &Command, rows: u16, columns: u16) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = rustix::pty::openpt(flags).expect("a terminal");
        rustix::pty::unlockpt(&ours).expect("its other end opens");
        let theirs = rustix::pty::ioctl_tiocgptpeer(&ours, flags).expect("its other end");
        set_size(&ours, rows, columns);
        // A signal for a changed window goes to those whose controlling terminal it is.
        let mut with_session = Command::new("setsid");
        with_session.arg("--ctty").arg(command.get_program()).args(command.get_args()).env_clear();
        for (key, value) in command.get_envs() {
            with_session.env(key, value.unwrap_or_default());
        }
        if let Some(directory) = command.get_current_dir() {
            with_session.current_dir(directory);
        }
        let end = || Stdio::from(theirs.try_clone().expect("a copy"));
        let child = with_session.stdin(end()).stdout(end()).stderr(end()).spawn().expect("it starts");
        drop((theirs, with_session));
        let shown = Arc::new(Mutex::new(Vec::new()));
        let ours = File::from(ours);
        let (mut reader, screen) = (ours.try_clone().expect("a copy"), Arc::clone(&shown));
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                screen.lock().expect("no panic").extend_from_slice(&buffer[..count]);
            }
        });
        Self { ours, child, shown, reader: Some(reader) }
    }

    /// Returns all that was shown so far.
    pub fn screen(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().expect("no panic")).into_owned()
    }

    /// Waits until something was shown.
    pub fn wait_for(&self, text: &str) {
        let what = || format!("{text:?} on the screen {:?}", self.screen());
        let limit = std::time::Instant::now() + PATIENCE;
        while !self.screen().contains(text) {
            assert!(std::time::Instant::now() < limit, "{}", what());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Types.
    pub fn type_in(&mut self, text: &str) {
        self.ours.write_all(text.as_bytes()).expect("somebody reads");
    }

    /// Sends the command a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let child = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(child, signal).expect("it is our child");
    }

    /// Changes the size of the window.
    pub fn resize(&self, rows: u16, columns: u16) {
        set_size(&self.ours, rows, columns);
    }

    /// Waits for the end of the command and of all that it shows; that, and its exit code.
    pub fn finish(mut self) -> (String, Option<i32>) {
        let code = self.wait();
        self.reader.take().map(std::thread::JoinHandle::join);
        (self.screen(), code)
    }

    /// Waits for the end; its exit code.
    pub fn code(mut self) -> Option<i32> {
        self.wait()
    }

    fn wait(&mut self) -> Option<i32> {
        let mut code = None;
        wait_until("the end of the command", PATIENCE, || {
            code = self.child.try_wait().expect("our own child");
            code.is_some()
        });
        code.and_then(|status| status.code())
    }
}

fn set_size(terminal: impl std::os::fd::AsFd, rows: u16, columns: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(terminal, size).expect("a terminal takes a size");
}
