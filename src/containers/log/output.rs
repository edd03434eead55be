//! Where a container's output goes: a file, a socket, both, or nowhere.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Instant;

use super::super::error::ContainerError;
use super::super::files::Container;
use super::journald::{self, Fields};
use super::lines::{LONGEST, Lines, Stream};
use super::link::{Address, Link, WAITING};
use super::syslog::Settings;
use super::write::{Writer, bytes};
use super::{attributes, file_name, is_readable};

/// A container's log, open to be written.
#[derive(Debug)]
pub struct Log {
    file: Option<Writer>,
    remote: Option<Remote>,
}

/// Lines on their way to somewhere else.
#[derive(Debug)]
struct Remote {
    link: Link,
    lines: Lines,
    form: Form,
    tag: String,
}

#[derive(Debug)]
enum Form {
    Syslog(Settings),
    Journald(Fields),
}

/// Says of a driver that could not be made ready what docker says.
fn failed(why: impl std::fmt::Display) -> ContainerError {
    ContainerError::Refused(format!(
        "failed to create task for container: failed to initialize logging driver: {why}"
    ))
}

impl Log {
    /// Opens the log of a container whose lines have a tag.
    ///
    /// # Errors
    /// A file can't be opened, or nobody listens to the lines.
    pub fn open(container: &Container, tag: &str) -> Result<Self, ContainerError> {
        let config = &container.config;
        let mut extra = attributes::extra(config)?;
        let remote = match config.log.driver.as_str() {
            "syslog" => {
                let settings = Settings::of(&config.log)?;
                let link = first(&settings.addresses, config)?;
                Some((link, Form::Syslog(settings)))
            }
            "journald" => {
                let link = Link::open(Address::Datagrams(journald::SOCKET.into()), WAITING, false)
                    .map_err(|_| failed("journald is not enabled on this host"))?;
                let fields = Fields::new(&config.id, &config.name, &config.image_name, tag, &extra);
                extra.clear();
                Some((link, Form::Journald(fields)))
            }
            _ => None,
        };
        let remote =
            remote.map(|(link, form)| Remote { link, lines: Lines::default(), form, tag: tag.to_owned() });
        if config.log.driver == "json-file" && !tag.is_empty() {
            extra.insert("tag".to_owned(), tag.to_owned());
        }
        let attributes = match extra.is_empty() || config.log.driver != "json-file" {
            true => String::new(),
            false => serde_json::to_string(&extra).expect("attributes serialise"),
        };
        let file = match is_readable(config) {
            true => Some(Writer::open(container.dir(), &file_name(config), &config.log, attributes)?),
            false => None,
        };
        Ok(Self { file, remote })
    }

    /// Takes what a container wrote just now.
    ///
    /// # Errors
    /// The file can't be written or rotated.
    pub fn write(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), ContainerError> {
        if let Some(remote) = &mut self.remote {
            remote.take(stream, bytes);
        }
        self.file.as_mut().map_or(Ok(()), |file| file.write(stream, bytes))
    }

    /// Writes what came without a newline at the end, and what waits.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn flush(&mut self) -> Result<(), ContainerError> {
        if let Some(remote) = &mut self.remote {
            remote.finish();
        }
        self.file.as_mut().map_or(Ok(()), Writer::flush)
    }

    /// Whether the container must not write more now.
    pub fn is_full(&self) -> bool {
        self.remote.as_ref().is_some_and(|remote| remote.link.is_full())
    }

    /// Returns what becomes writable when more can be sent.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.remote.as_ref()?.link.fd()
    }

    /// Returns when it is tried to connect anew.
    pub fn next(&self) -> Option<Instant> {
        self.remote.as_ref()?.link.next()
    }

    /// Sends what can be sent.
    pub fn send(&mut self) {
        if let Some(remote) = &mut self.remote {
            remote.link.write();
        }
    }
}

/// Connects to the first address where somebody listens.
fn first(addresses: &[Address], config: &super::Config) -> Result<Link, ContainerError> {
    let option = |key: &str| config.log.options.get(key).map(String::as_str);
    let drops = option("mode") == Some("non-blocking");
    let most = option("max-buffer-size").and_then(bytes).map_or(WAITING, |most| most as usize);
    let mut said = String::new();
    for address in addresses {
        match Link::open(address.clone(), most, drops) {
            Ok(link) => return Ok(link),
            Err(error) => said = dialled(address, &error),
        }
    }
    match addresses {
        [_] => Err(failed(said)),
        _ => Err(failed("Unix syslog delivery error")),
    }
}

/// Says of a connection that was not made what Go's net package says.
fn dialled(address: &Address, error: &io::Error) -> String {
    let (kind, to) = match address {
        Address::Udp(host) => ("udp", host.clone()),
        Address::Tcp(host) | Address::Tls(host, _) => ("tcp", host.clone()),
        Address::Unix(path) => ("unix", path.display().to_string()),
        Address::Datagrams(path) => ("unixgram", path.display().to_string()),
    };
    let why = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        io::ErrorKind::NotFound => "connect: no such file or directory".to_owned(),
        io::ErrorKind::TimedOut => "i/o timeout".to_owned(),
        _ => error.to_string(),
    };
    format!("dial {kind} {to}: {why}")
}

impl Remote {
    fn take(&mut self, stream: Stream, bytes: &[u8]) {
        let Self { link, lines, form, tag } = self;
        let sent: Result<(), std::convert::Infallible> = lines.take(stream, bytes, |line| {
            send(link, form, tag, (stream, line));
            Ok(())
        });
        match sent {
            Ok(()) => {}
        }
    }

    fn finish(&mut self) {
        let Self { link, lines, form, tag } = self;
        let sent: Result<(), std::convert::Infallible> = lines.rest(|stream, line| {
            send(link, form, tag, (stream, line));
            Ok(())
        });
        match sent {
            Ok(()) => link.finish(),
        }
    }
}

/// Sends a line; an empty one says nothing.
fn send(link: &mut Link, form: &Form, tag: &str, (stream, line): (Stream, &[u8])) {
    let bare = line.strip_suffix(b"\n").unwrap_or(line);
    if bare.is_empty() {
        return;
    }
    link.send(match form {
        Form::Syslog(settings) => settings.message(tag, stream, bare),
        Form::Journald(fields) => {
            fields.entry(stream, bare, line.len() == bare.len() && line.len() == LONGEST)
        }
    });
}
