//! Name service in a container's network namespace, at 127.0.0.11: names of containers in its networks are answered
//! here, all others by the servers of the host.
//!
//! Who is in a network is read from the networks' files for each question, so that a name is right at once when a
//! container comes, goes, or is renamed.

mod message;

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::Errno;

use super::error::NetError;
use super::networks::Networks;
use message::{Answer, Question};

/// Where it listens.
const ADDRESS: (Ipv4Addr, u16) = (Ipv4Addr::new(127, 0, 0, 11), 53);
/// How long a server of the host may take.
const PATIENCE: Duration = Duration::from_secs(4);
/// Questions that may be with other servers at once.
const ASKING: usize = 100;
/// Bytes of a thread's stack.
const STACK: usize = 256 << 10;
/// Bytes of the largest datagram.
const LARGEST: usize = 64 << 10;

/// The thread; it ends with this value.
#[derive(Debug)]
pub(super) struct Resolver {
    stop: OwnedFd,
    thread: Option<JoinHandle<()>>,
    known: Arc<Mutex<Known>>,
}

/// Whose names are known.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// Ids of the networks whose containers' names are.
    pub networks: Vec<String>,
    /// Names that one container has for others.
    pub links: Vec<Link>,
}

/// A name that one container has for another one in a network.
#[derive(Debug, Clone)]
pub(super) struct Link {
    /// Id of the network.
    pub network: String,
    /// Id of the other container, or its name.
    pub container: String,
    /// What it is called, in lower case.
    pub alias: String,
}

/// What questions are answered from.
struct Answers {
    all: Networks,
    known: Arc<Mutex<Known>>,
    servers: Vec<IpAddr>,
    asking: AtomicUsize,
}

impl Resolver {
    /// Begins to answer in a namespace; `servers` are asked for what is not known.
    pub fn start(
        namespace: &OwnedFd,
        all: &Networks,
        known: Known,
        servers: Vec<IpAddr>,
    ) -> Result<Self, NetError> {
        let (udp, tcp) = listen(namespace)?;
        let failed = |errno: Errno| NetError::kernel("serve names", errno);
        let stop = eventfd(0, EventfdFlags::CLOEXEC).map_err(failed)?;
        let own = rustix::io::fcntl_dupfd_cloexec(&stop, 0).map_err(failed)?;
        let known = Arc::new(Mutex::new(known));
        let answers =
            Answers { all: all.clone(), known: Arc::clone(&known), servers, asking: AtomicUsize::new(0) };
        let thread = spawn(move || serve(&own, udp, &tcp, &Arc::new(answers)))?;
        Ok(Self { stop, thread: Some(thread), known })
    }

    /// Answers from now on for these networks and links.
    pub fn serve(&self, known: Known) {
        *self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = known;
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        let _ = rustix::io::write(&self.stop, &1u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, NetError> {
    let thread = std::thread::Builder::new().name("names".to_owned()).stack_size(STACK).spawn(work);
    thread.map_err(|source| NetError::Kernel { action: "start a thread".to_owned(), source })
}

/// Opens the sockets in the container's namespace; they stay there whoever uses them.
fn listen(namespace: &OwnedFd) -> Result<(UdpSocket, TcpListener), NetError> {
    let open = || {
        rustix::thread::move_into_link_name_space(
            namespace.as_fd(),
            Some(rustix::thread::LinkNameSpaceType::Network),
        )?;
        Ok((UdpSocket::bind(ADDRESS)?, TcpListener::bind(ADDRESS)?))
    };
    let failed = |source| NetError::Kernel { action: "listen for questions about names".to_owned(), source };
    std::thread::scope(|scope| scope.spawn(open).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        .map_err(failed)
}

fn serve(stop: &OwnedFd, udp: UdpSocket, tcp: &TcpListener, answers: &Arc<Answers>) {
    let udp = Arc::new(udp);
    let mut buffer = vec![0; LARGEST];
    loop {
        let mut fds = [
            PollFd::new(stop, PollFlags::IN),
            PollFd::from_borrowed_fd(udp.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(tcp.as_fd(), PollFlags::IN),
        ];
        if !matches!(poll(&mut fds, None), Ok(_) | Err(Errno::INTR)) || !fds[0].revents().is_empty() {
            return;
        }
        let (asked, connected) = (!fds[1].revents().is_empty(), !fds[2].revents().is_empty());
        if asked && let Ok((length, from)) = udp.recv_from(&mut buffer) {
            answers.datagram(&buffer[..length], from, &udp);
        }
        if connected && let Ok((stream, _)) = tcp.accept() {
            answers.stream(stream);
        }
    }
}

impl Answers {
    /// Answers a datagram, at once or when another server has answered.
    fn datagram(self: &Arc<Self>, bytes: &[u8], from: SocketAddr, socket: &Arc<UdpSocket>) {
        let Some(question) = Question::read(bytes) else { return };
        if let Some(answer) = self.known(&question, bytes) {
            let _ = socket.send_to(&answer, from);
            return;
        }
        let (this, socket, query) = (Arc::clone(self), Arc::clone(socket), bytes.to_vec());
        // One that can't be asked now is asked again by whoever wants to know.
        self.aside(move || {
            let answer = this.ask(&query).unwrap_or_else(|| message::failure(&query));
            let _ = socket.send_to(&answer, from);
        });
    }

    /// Answers what comes over a connection.
    fn stream(self: &Arc<Self>, mut stream: TcpStream) {
        let this = Arc::clone(self);
        self.aside(move || {
            let _ = stream.set_read_timeout(Some(PATIENCE));
            while let Some(query) = read_framed(&mut stream) {
                let Some(question) = Question::read(&query) else { return };
                let answer = this.known(&question, &query).or_else(|| this.ask_by_stream(&query));
                let answer = answer.unwrap_or_else(|| message::failure(&query));
                if write_framed(&mut stream, &answer).is_none() {
                    return;
                }
            }
        });
    }

    /// Does something on another thread, unless too much is being done.
    fn aside(self: &Arc<Self>, work: impl FnOnce() + Send + 'static) {
        if self.asking.fetch_add(1, Ordering::Relaxed) >= ASKING {
            self.asking.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let this = Arc::clone(self);
        let done = move || {
            work();
            this.asking.fetch_sub(1, Ordering::Relaxed);
        };
        if spawn(done).is_err() {
            self.asking.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Answers what is asked about containers.
    fn known(&self, question: &Question, query: &[u8]) -> Option<Vec<u8>> {
        let known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let mut addresses = Vec::new();
        for id in &known.networks {
            let links: Vec<&Link> = known.links.iter().filter(|link| link.network == *id).collect();
            for endpoint in self.all.glance(id) {
                if question.reverse.is_some_and(|address| endpoint.addresses().any(|own| own == address)) {
                    let name = format!("{}.{}", endpoint.name, endpoint.network);
                    return Some(message::answer(query, question, &[Answer::Name(name)]));
                }
                let bare = question.name.strip_suffix(&format!(".{}", endpoint.network.to_lowercase()));
                let named = |name: &String| {
                    let name = name.to_lowercase();
                    name == question.name || Some(name.as_str()) == bare
                };
                let linked =
                    |link: &&&Link| link.container == endpoint.container || link.container == endpoint.name;
                let linked = links.iter().filter(linked).map(|link| &link.alias);
                if std::iter::once(&endpoint.name).chain(&endpoint.names).chain(linked).any(named) {
                    addresses.extend(endpoint.addresses());
                }
            }
        }
        if addresses.is_empty() {
            return None;
        }
        addresses.sort();
        addresses.dedup();
        let answers: Vec<Answer> = addresses.into_iter().map(Answer::Address).collect();
        Some(message::answer(query, question, &answers))
    }

    /// Asks the servers of the host one after the other.
    fn ask(&self, query: &[u8]) -> Option<Vec<u8>> {
        let mut buffer = vec![0; LARGEST];
        for server in &self.servers {
            let any: IpAddr =
                if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { IpAddr::from([0; 16]) };
            let Ok(socket) = UdpSocket::bind((any, 0)) else { continue };
            let sent = socket
                .set_read_timeout(Some(PATIENCE))
                .and_then(|()| socket.connect((*server, 53)))
                .and_then(|()| socket.send(query));
            if sent.is_err() {
                continue;
            }
            while let Ok(length) = socket.recv(&mut buffer) {
                if buffer[..length].get(..2) == query.get(..2) {
                    return Some(buffer[..length].to_vec());
                }
            }
        }
        None
    }

    fn ask_by_stream(&self, query: &[u8]) -> Option<Vec<u8>> {
        self.servers.iter().find_map(|server| {
            let mut stream = TcpStream::connect_timeout(&SocketAddr::new(*server, 53), PATIENCE).ok()?;
            stream.set_read_timeout(Some(PATIENCE)).ok()?;
            write_framed(&mut stream, query)?;
            read_framed(&mut stream)
        })
    }
}

/// Reads a message with its length before it (RFC 1035, 4.2.2).
fn read_framed(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut message).ok()?;
    Some(message)
}

fn write_framed(stream: &mut TcpStream, message: &[u8]) -> Option<()> {
    let length = u16::try_from(message.len()).ok()?;
    stream.write_all(&[&length.to_be_bytes()[..], message].concat()).ok()
}
