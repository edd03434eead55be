//! One TCP connection and the one it is carried over.

use std::net::SocketAddr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType};

/// Bytes that are read at once.
const PART: usize = 64 << 10;

/// One direction.
#[derive(Default)]
struct Half {
    waiting: Vec<u8>,
    /// Nothing more comes.
    ended: bool,
    /// The other side was told so.
    told: bool,
}

/// Two connections whose bytes go over to each other.
pub struct Flow {
    client: OwnedFd,
    server: OwnedFd,
    connected: bool,
    up: Half,
    down: Half,
    failed: bool,
}

impl Flow {
    /// Begins to connect to the target.
    pub fn new(client: OwnedFd, target: SocketAddr) -> Result<Self, Errno> {
        let family = if target.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let server = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
        match rustix::net::connect(&server, &target) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(errno) => return Err(errno),
        }
        for socket in [&client, &server] {
            rustix::net::sockopt::set_tcp_nodelay(socket, true)?;
        }
        let (up, down) = (Half::default(), Half::default());
        Ok(Self { client, server, connected: false, up, down, failed: false })
    }

    /// Returns what to wait for.
    pub fn interests(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        let flags = |reads: &Half, writes: &Half| {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, self.connected && !reads.ended && reads.waiting.is_empty());
            flags.set(PollFlags::OUT, self.connected && !writes.waiting.is_empty());
            flags
        };
        let mut server = flags(&self.down, &self.up);
        server.set(PollFlags::OUT, server.contains(PollFlags::OUT) || !self.connected);
        let both = [(self.client.as_fd(), flags(&self.up, &self.down)), (self.server.as_fd(), server)];
        both.into_iter().filter(|(_, flags)| !flags.is_empty())
    }

    /// Whether there is nothing more to carry.
    pub fn is_over(&self) -> bool {
        self.failed || self.up.told && self.down.told
    }

    /// Carries what can be carried.
    pub fn carry(&mut self) {
        if !self.connected {
            match rustix::net::sockopt::socket_error(&self.server) {
                Ok(Ok(())) => self.connected = true,
                _ => self.failed = true,
            }
        }
        if !self.failed {
            let up = pump(&self.client, &self.server, &mut self.up);
            let down = pump(&self.server, &self.client, &mut self.down);
            self.failed = up.and(down).is_err();
        }
    }
}

/// Reads and writes until one side can't go on; each call moves a few parts, so that no flow starves others.
fn pump(from: &OwnedFd, to: &OwnedFd, half: &mut Half) -> Result<(), Errno> {
    for _ in 0..4 {
        if half.waiting.is_empty() && !half.ended {
            let mut part = vec![0; PART];
            match rustix::net::recv(from, &mut part[..], RecvFlags::empty()) {
                Ok((0, _)) => half.ended = true,
                Ok((count, _)) => {
                    part.truncate(count);
                    half.waiting = part;
                }
                Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
                Err(errno) => return Err(errno),
            }
        }
        while !half.waiting.is_empty() {
            match rustix::net::send(to, &half.waiting, SendFlags::NOSIGNAL) {
                Ok(count) => drop(half.waiting.drain(..count)),
                Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
                Err(errno) => return Err(errno),
            }
        }
        if half.ended {
            if !half.told {
                half.told = true;
                // The other side may have gone altogether.
                let _ = rustix::net::shutdown(to, Shutdown::Write);
            }
            return Ok(());
        }
    }
    Ok(())
}
