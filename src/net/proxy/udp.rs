//! A published UDP port: datagrams there, and answers back to whoever asked.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

/// After which time without a datagram an asker is forgotten.
const QUIET: Duration = Duration::from_secs(90);
/// Askers that are remembered at once.
const ASKERS: usize = 1000;
/// Bytes of the largest datagram.
const LARGEST: usize = 64 << 10;

/// A port, and who asked it.
pub struct Udp {
    socket: OwnedFd,
    target: SocketAddr,
    askers: HashMap<SocketAddr, (OwnedFd, Instant)>,
}

impl Udp {
    /// Serves a bound socket.
    pub fn new(socket: OwnedFd, target: SocketAddr) -> Self {
        Self { socket, target, askers: HashMap::new() }
    }

    /// Whether somebody is remembered.
    pub fn is_busy(&self) -> bool {
        !self.askers.is_empty()
    }

    /// Returns what to read from.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        std::iter::once(self.socket.as_fd()).chain(self.askers.values().map(|(fd, _)| fd.as_fd()))
    }

    /// Carries what has come.
    pub fn carry(&mut self) {
        let mut buffer = vec![0; LARGEST];
        while let Ok((count, _, Some(from))) =
            rustix::net::recvfrom(&self.socket, &mut buffer[..], RecvFlags::DONTWAIT)
        {
            let Ok(from) = SocketAddr::try_from(from) else { continue };
            if let Some(socket) = self.asker(from) {
                let _ = rustix::net::send(socket, &buffer[..count], SendFlags::NOSIGNAL);
            }
        }
        for (asker, (socket, last)) in &mut self.askers {
            while let Ok((count, _)) = rustix::net::recv(&*socket, &mut buffer[..], RecvFlags::DONTWAIT) {
                *last = Instant::now();
                let _ = rustix::net::sendto(&self.socket, &buffer[..count], SendFlags::NOSIGNAL, asker);
            }
        }
    }

    /// Returns the socket that speaks for an asker.
    fn asker(&mut self, from: SocketAddr) -> Option<&OwnedFd> {
        if !self.askers.contains_key(&from) {
            if self.askers.len() >= ASKERS {
                return None;
            }
            let family = if self.target.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let socket = rustix::net::socket_with(family, SocketType::DGRAM, flags, None).ok()?;
            rustix::net::connect(&socket, &self.target).ok()?;
            self.askers.insert(from, (socket, Instant::now()));
        }
        let (socket, last) = self.askers.get_mut(&from)?;
        *last = Instant::now();
        Some(socket)
    }

    /// Forgets who has been quiet for long.
    pub fn forget(&mut self) {
        self.askers.retain(|_, (_, last)| last.elapsed() < QUIET);
    }
}
