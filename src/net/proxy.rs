//! Published ports as this machine itself and containers reach them: a thread that carries bytes.
//!
//! Packets from other machines are redirected by the kernel and never come here. What does: connections to a loopback
//! address, those over IPv6, and those from a container to its own machine.

mod flow;
mod udp;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

use super::error::NetError;
use super::port::{Protocol, Reserved};
use flow::Flow;
use udp::Udp;

/// Bytes of the thread's stack.
const STACK: usize = 128 << 10;

/// Where a container is reached.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    /// By those who come over IPv4, and by all if it has no other address.
    pub four: Option<Ipv4Addr>,
    /// By those who come over IPv6, and by all if it has no other address.
    pub six: Option<Ipv6Addr>,
}

impl Target {
    /// Returns where a port leads; nowhere without any address.
    fn of(self, port: &Reserved) -> Option<SocketAddr> {
        let (four, six) = (self.four.map(IpAddr::V4), self.six.map(IpAddr::V6));
        let address = if port.published.address.is_ipv6() { six.or(four) } else { four.or(six) };
        Some(SocketAddr::new(address?, port.published.container))
    }
}

/// The thread; it ends with this value.
#[derive(Debug)]
pub(super) struct Proxy {
    stop: OwnedFd,
    thread: Option<JoinHandle<()>>,
}

/// A port that is served.
struct Listener {
    socket: OwnedFd,
    target: SocketAddr,
}

/// What a descriptor is that became ready.
#[derive(Clone, Copy)]
enum Token {
    Stop,
    Listener(usize),
    Flow(usize),
    Udp(usize),
}

struct Carrier {
    stop: OwnedFd,
    listeners: Vec<Listener>,
    flows: Vec<Flow>,
    udp: Vec<Udp>,
}

impl Proxy {
    /// Serves ports on behalf of a container with an address.
    ///
    /// With `inside` it is reached from there alone; otherwise from this process's own network.
    pub fn start(
        ports: Vec<Reserved>,
        container: Target,
        inside: Option<Arc<OwnedFd>>,
    ) -> Result<Self, NetError> {
        let failed = |errno: Errno| NetError::kernel("serve published ports", errno);
        let stop = eventfd(0, EventfdFlags::CLOEXEC).map_err(failed)?;
        let own = rustix::io::fcntl_dupfd_cloexec(&stop, 0).map_err(failed)?;
        let mut carrier = Carrier { stop: own, listeners: Vec::new(), flows: Vec::new(), udp: Vec::new() };
        for port in ports {
            let Some(target) = container.of(&port) else { continue };
            match port.published.protocol {
                Protocol::Udp => carrier.udp.push(Udp::new(port.socket, target)),
                Protocol::Tcp | Protocol::Sctp => {
                    carrier.listeners.push(Listener { socket: port.socket, target });
                }
            }
        }
        let thread = std::thread::Builder::new()
            .name("proxy".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                // Sockets made from now on are of that network; those that listen stay where they are.
                if let Some(namespace) = inside {
                    let kind = rustix::thread::LinkNameSpaceType::Network;
                    if rustix::thread::move_into_link_name_space(namespace.as_fd(), Some(kind)).is_err() {
                        return;
                    }
                }
                carrier.run();
            })
            .map_err(|source| NetError::Kernel { action: "start a thread".to_owned(), source })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = rustix::io::write(&self.stop, &1u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Carrier {
    fn run(mut self) {
        while self.turn() {}
    }

    /// Waits for something and does it; false at the end.
    fn turn(&mut self) -> bool {
        let mut tokens = vec![Token::Stop];
        let mut fds = vec![PollFd::from_borrowed_fd(self.stop.as_fd(), PollFlags::IN)];
        for (number, listener) in self.listeners.iter().enumerate() {
            tokens.push(Token::Listener(number));
            fds.push(PollFd::from_borrowed_fd(listener.socket.as_fd(), PollFlags::IN));
        }
        for (number, flow) in self.flows.iter().enumerate() {
            for (fd, flags) in flow.interests() {
                tokens.push(Token::Flow(number));
                fds.push(PollFd::from_borrowed_fd(fd, flags));
            }
        }
        for (number, udp) in self.udp.iter().enumerate() {
            for fd in udp.descriptors() {
                tokens.push(Token::Udp(number));
                fds.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
            }
        }
        let forgets = self.udp.iter().any(Udp::is_busy);
        let limit = forgets.then_some(Timespec { tv_sec: 10, tv_nsec: 0 });
        if !matches!(poll(&mut fds, limit.as_ref()), Ok(_) | Err(Errno::INTR)) {
            return false;
        }
        let ready: Vec<Token> = tokens
            .into_iter()
            .zip(&fds)
            .filter(|(_, fd)| !fd.revents().is_empty())
            .map(|(token, _)| token)
            .collect();
        drop(fds);
        for token in ready {
            match token {
                Token::Stop => return false,
                Token::Listener(number) => self.accept(number),
                Token::Flow(number) => self.flows[number].carry(),
                Token::Udp(number) => self.udp[number].carry(),
            }
        }
        self.flows.retain(|flow| !flow.is_over());
        self.udp.iter_mut().for_each(Udp::forget);
        true
    }

    fn accept(&mut self, number: usize) {
        let Listener { socket, target } = &self.listeners[number];
        let flags = rustix::net::SocketFlags::NONBLOCK | rustix::net::SocketFlags::CLOEXEC;
        while let Ok(client) = rustix::net::accept_with(socket, flags) {
            // One that can't be connected is hung up on.
            self.flows.extend(Flow::new(client, *target).ok());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::super::port::Wanted;
    use super::*;

    fn proxied(protocol: Protocol, target: u16) -> (Proxy, u16) {
        let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
        let wanted = Wanted { address: Some(loopback), host: None, container: target, protocol };
        let reserved = wanted.reserve(&[Ipv4Addr::LOCALHOST.into()]).expect("a free port");
        let port = reserved[0].published.host;
        (
            Proxy::start(reserved, Target { four: Some(Ipv4Addr::LOCALHOST), six: None }, None)
                .expect("a thread"),
            port,
        )
    }

    #[test]
    fn streams_are_carried_both_ways_and_end_one_by_one() {
        let server = TcpListener::bind("127.0.0.1:0").expect("a port");
        let (_proxy, port) = proxied(Protocol::Tcp, server.local_addr().expect("bound").port());
        let big = vec![7u8; 3 << 20];
        let answering = std::thread::spawn(move || {
            let (mut stream, _) = server.accept().expect("a connection");
            let mut all = Vec::new();
            stream.read_to_end(&mut all).expect("the client ends its half");
            stream.write_all(&all).expect("the client still listens");
            all.len()
        });
        let mut client = TcpStream::connect(("127.0.0.1", port)).expect("the proxy listens");
        client.write_all(&big).expect("it is read");
        client.shutdown(std::net::Shutdown::Write).expect("it is open");
        let mut back = Vec::new();
        client.read_to_end(&mut back).expect("an answer");
        assert_eq!((answering.join().expect("no panic"), back == big), (big.len(), true));
    }

    #[test]
    fn a_port_that_nobody_serves_hangs_up() {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
        let (_proxy, port) = proxied(Protocol::Tcp, free);
        let mut client = TcpStream::connect(("127.0.0.1", port)).expect("the proxy listens");
        // An end or a reset; nothing that looks like an answer.
        assert!(!matches!(client.read(&mut [0]), Ok(1)));
    }

    #[test]
    fn datagrams_find_back() {
        let server = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let (_proxy, port) = proxied(Protocol::Udp, server.local_addr().expect("bound").port());
        std::thread::spawn(move || {
            let mut buffer = [0; 100];
            while let Ok((length, from)) = server.recv_from(&mut buffer) {
                let _ = server.send_to(&[b"re:", &buffer[..length]].concat(), from);
            }
        });
        let clients = ["a", "b"].map(|text| (UdpSocket::bind("127.0.0.1:0").expect("a port"), text));
        for (client, text) in &clients {
            client.send_to(text.as_bytes(), ("127.0.0.1", port)).expect("it is sent");
        }
        for (client, text) in &clients {
            client.set_read_timeout(Some(std::time::Duration::from_secs(30))).expect("a limit");
            let mut buffer = [0; 100];
            let (length, from) = client.recv_from(&mut buffer).expect("an answer");
            assert_eq!((&buffer[..length], from.port()), (format!("re:{text}").as_bytes(), port));
        }
    }
}
