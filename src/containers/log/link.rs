//! A socket that lines go to, without ever waiting for it: what it does not take at once is kept for later.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::tls::{TlsOptions, TlsStream};

/// How long a connection may take to be made.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time between attempts to connect anew.
const AGAIN: Duration = Duration::from_secs(1);
/// How long is waited at the end for what is not sent yet.
const LAST: Duration = Duration::from_secs(1);
/// Bytes that may wait, unless an option says otherwise.
pub(super) const WAITING: usize = 1 << 20;

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    Udp(String),
    Tcp(String),
    Tls(String, TlsOptions),
    /// Either a stream or datagrams, whatever listens.
    Unix(PathBuf),
    Datagrams(PathBuf),
}

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    Tcp(TcpStream),
    Tls(Box<TlsStream>),
    Unix(UnixStream),
    Datagrams(UnixDatagram),
}

fn resolve(host: &str) -> io::Result<SocketAddr> {
    host.to_socket_addrs()?.next().ok_or_else(|| ErrorKind::NotFound.into())
}

fn datagrams(path: &Path) -> io::Result<Socket> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    Ok(Socket::Datagrams(socket))
}

impl Socket {
    fn connect(address: &Address) -> io::Result<Self> {
        let socket = match address {
            Address::Udp(host) => {
                let to = resolve(host)?;
                let any: SocketAddr =
                    if to.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
                let socket = UdpSocket::bind(any)?;
                socket.connect(to)?;
                Self::Udp(socket)
            }
            Address::Tcp(host) => Self::Tcp(TcpStream::connect_timeout(&resolve(host)?, PATIENCE)?),
            Address::Tls(host, options) => {
                Self::Tls(Box::new(TlsStream::connect(host, resolve(host)?, options, PATIENCE)?))
            }
            Address::Datagrams(path) => datagrams(path)?,
            Address::Unix(path) => match UnixStream::connect(path) {
                Ok(stream) => Self::Unix(stream),
                // EPROTOTYPE: it takes datagrams.
                Err(error) if error.raw_os_error() == Some(libc::EPROTOTYPE) => datagrams(path)?,
                Err(error) => return Err(error),
            },
        };
        match &socket {
            Self::Udp(socket) => socket.set_nonblocking(true),
            Self::Tcp(socket) => socket.set_nonblocking(true),
            // It is since its handshake.
            Self::Tls(_) => Ok(()),
            Self::Unix(socket) => socket.set_nonblocking(true),
            Self::Datagrams(socket) => socket.set_nonblocking(true),
        }?;
        Ok(socket)
    }

    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Udp(socket) => socket.as_fd(),
            Self::Tcp(socket) => socket.as_fd(),
            Self::Tls(stream) => stream.fd(),
            Self::Unix(socket) => socket.as_fd(),
            Self::Datagrams(socket) => socket.as_fd(),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Udp(socket) => socket.send(bytes),
            Self::Tcp(socket) => socket.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
            Self::Unix(socket) => socket.write(bytes),
            Self::Datagrams(socket) => socket.send(bytes),
        }
    }

    /// Whether something was taken that is not sent yet.
    fn is_pending(&self) -> bool {
        matches!(self, Self::Tls(stream) if stream.is_pending())
    }

    /// Sends what was taken.
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tls(stream) => stream.flush(),
            _ => Ok(()),
        }
    }
}

/// A connection, and what waits for it.
#[derive(Debug)]
pub(super) struct Link {
    address: Address,
    socket: Option<Socket>,
    /// When it was tried to connect last.
    tried: Instant,
    waiting: VecDeque<Vec<u8>>,
    size: usize,
    most: usize,
    /// Whether lines are dropped that have no room, rather than that the container waits.
    drops: bool,
}

impl Link {
    /// Connects; at most `most` bytes wait, and with `drops` what is more is dropped.
    pub fn open(address: Address, most: usize, drops: bool) -> io::Result<Self> {
        let socket = Some(Socket::connect(&address)?);
        let (tried, waiting) = (Instant::now(), VecDeque::new());
        Ok(Self { address, socket, tried, waiting, size: 0, most, drops })
    }

    /// Sends a message, now or later.
    pub fn send(&mut self, message: Vec<u8>) {
        if self.drops && self.size + message.len() > self.most {
            return;
        }
        self.size += message.len();
        self.waiting.push_back(message);
        self.write();
    }

    /// Whether no more can wait.
    pub fn is_full(&self) -> bool {
        !self.drops && self.size > self.most
    }

    /// Returns what can be waited for until more can be written.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().filter(|socket| !self.waiting.is_empty() || socket.is_pending()).map(Socket::fd)
    }

    /// Returns when it is tried to connect anew.
    pub fn next(&self) -> Option<Instant> {
        (self.socket.is_none() && !self.waiting.is_empty()).then(|| self.tried + AGAIN)
    }

    /// Writes what can be written.
    pub fn write(&mut self) {
        if self.socket.is_none() && !self.waiting.is_empty() && self.tried.elapsed() >= AGAIN {
            self.socket = Socket::connect(&self.address).ok();
            self.tried = Instant::now();
        }
        if let Some(socket) = &mut self.socket {
            match socket.flush() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.reconnect(),
                Ok(()) => {}
            }
        }
        while let (Some(socket), Some(message)) = (&mut self.socket, self.waiting.front_mut()) {
            match socket.write(message) {
                // Of a stream maybe a part; a datagram goes whole.
                Ok(count) if count < message.len() => {
                    message.drain(..count);
                    self.size -= count;
                }
                Ok(_) => self.taken(),
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock => return,
                    // Nobody listens to datagrams: that is known only later, and none is repeated. Nor one too large.
                    _ if matches!(socket, Socket::Udp(_)) || error.raw_os_error() == Some(libc::EMSGSIZE) => {
                        self.taken();
                    }
                    _ => self.reconnect(),
                },
            }
        }
    }

    /// Whether something is not sent yet.
    fn has_more(&self) -> bool {
        !self.waiting.is_empty() || self.socket.as_ref().is_some_and(Socket::is_pending)
    }

    fn taken(&mut self) {
        self.size -= self.waiting.pop_front().map_or(0, |message| message.len());
    }

    fn reconnect(&mut self) {
        // The first attempt is made at once, further ones now and then.
        let at_once = self.tried.elapsed() >= AGAIN;
        self.tried = Instant::now();
        self.socket = if at_once { Socket::connect(&self.address).ok() } else { None };
    }

    /// Writes what waits, at most for a while.
    pub fn finish(&mut self) {
        let limit = Instant::now() + LAST;
        while let Some(left) = limit.checked_duration_since(Instant::now()).filter(|_| self.has_more()) {
            self.write();
            let Some(fd) = self.fd() else {
                if self.socket.is_none() && !self.waiting.is_empty() {
                    std::thread::sleep(Duration::from_millis(20));
                }
                continue;
            };
            let mut ready = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::OUT)];
            let left = rustix::event::Timespec {
                tv_sec: left.as_secs().try_into().unwrap_or(1),
                tv_nsec: left.subsec_nanos().into(),
            };
            let _ = rustix::event::poll(&mut ready, Some(&left));
        }
    }
}
