//! The process that holds the namespaces which an ordinary user's containers have in common.
//!
//! It is this program executed again, by the first command that starts a container, or, when it was killed, by a
//! monitor that still has the network namespace. It runs the program that carries packets to the outside, at the first
//! wish (a connection to a socket that is in the namespace alone), and again when that is killed. It ends when nobody
//! claims [`MEMBERS`] any more; then the kernel takes bridges, rules and namespaces.

use std::io::Write as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

use super::common::{self, HOLDER, MEMBERS};
use super::error::NetError;
use super::helper::Helper;
use super::netlink::Netlink;
use crate::fs::{Claims, network_namespace};

/// The word that makes this program the holder.
pub const WORD: &str = "network-holder";
/// Name of its socket, among those without a file.
pub(super) const SOCKET: &[u8] = b"skiff-network-holder";
/// What it says when something is done; anything else is why not.
pub(super) const DONE: &str = "done";

/// How long after its end the program for the outside is started again.
const PAUSE: Duration = Duration::from_millis(100);
/// How often that is tried without a new wish.
const TRIES: u32 = 50;

pub(super) use super::common::execute as spawn;

/// Holds the namespaces until nobody needs them; `given` is a network namespace that is there already.
///
/// # Errors
/// What `ready` was told instead of [`DONE`].
pub fn main(store: &Path, given: Option<OwnedFd>, mut ready: impl std::io::Write) -> Result<(), NetError> {
    // It must not end with the terminal or the command that made it.
    let _ = rustix::process::setsid();
    let begun = Holder::begin(store, given);
    let said = match &begun {
        Ok(_) => DONE.to_owned(),
        Err(error) => crate::causes::chain(error),
    };
    let told = ready.write_all(said.as_bytes());
    drop(ready);
    told.map_err(|source| NetError::Kernel { action: "say that the networks are held".to_owned(), source })?;
    begun?.hold()
}

/// The network namespace, and what was opened in it.
struct Place {
    namespace: OwnedFd,
    inner: Netlink,
    listener: UnixListener,
}

impl Place {
    /// Goes there with the calling thread.
    fn make(given: Option<OwnedFd>) -> Result<Self, NetError> {
        let failed = |errno| NetError::kernel("make a network namespace", errno);
        match &given {
            Some(namespace) => {
                let kind = rustix::thread::LinkNameSpaceType::Network;
                rustix::thread::move_into_link_name_space(namespace.as_fd(), Some(kind)).map_err(failed)?;
            }
            None => nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)
                .map_err(|errno| failed(Errno::from_raw_os_error(errno as i32)))?,
        }
        let mut inner = Netlink::open().map_err(failed)?;
        if given.is_none() {
            super::sandbox::without_ipv6();
            inner.set_up(1).map_err(failed)?;
        }
        let address = SocketAddr::from_abstract_name(SOCKET);
        let listener = address.and_then(|address| UnixListener::bind_addr(&address));
        let listener =
            listener.map_err(|source| NetError::Kernel { action: "listen for wishes".to_owned(), source })?;
        Ok(Self { namespace: network_namespace()?, inner, listener })
    }
}

struct Holder {
    claims: Arc<Claims>,
    place: Place,
    outward: Option<(Helper, OwnedFd)>,
    /// When the program for the outside is started again, and how often that is still tried.
    again: Option<(Instant, u32)>,
}

impl Holder {
    fn begin(store: &Path, given: Option<OwnedFd>) -> Result<Self, NetError> {
        let claims = common::claims(store)?;
        let made = || Place::make(given);
        // Of that thread alone: this one starts the program whose sockets are the machine's.
        let place = std::thread::scope(|scope| scope.spawn(made).join())
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        // There others find it.
        nix::unistd::dup2_stdin(&place.namespace)
            .map_err(|errno| NetError::kernel("show a namespace", Errno::from_raw_os_error(errno as i32)))?;
        if !claims.claim(HOLDER, false)? {
            return Err(NetError::NoHolder);
        }
        Ok(Self { claims: Arc::new(claims), place, outward: None, again: None })
    }

    fn hold(mut self) -> Result<(), NetError> {
        let failed = |errno: Errno| NetError::kernel("wait for the end of the containers", errno);
        let ended = eventfd(0, EventfdFlags::CLOEXEC).map_err(failed)?;
        let (claims, end) = (Arc::clone(&self.claims), ended.try_clone());
        let end =
            end.map_err(|source| NetError::Kernel { action: "copy a descriptor".to_owned(), source })?;
        std::thread::Builder::new()
            .stack_size(64 << 10)
            .spawn(move || {
                // Nobody comes any more from here on; whoever comes next finds no holder, and makes another one.
                let _ = claims.wait(MEMBERS);
                let _ = claims.give_up(HOLDER).and_then(|()| claims.give_up(MEMBERS));
                let _ = rustix::io::write(&end, &1u64.to_ne_bytes());
            })
            .map_err(|source| NetError::Kernel { action: "start a thread".to_owned(), source })?;
        while self.turn(&ended)? {}
        Ok(())
    }

    /// Waits for something and does it; false at the end.
    fn turn(&mut self, ended: &OwnedFd) -> Result<bool, NetError> {
        let mut fds = vec![
            PollFd::new(ended, PollFlags::IN),
            PollFd::from_borrowed_fd(self.place.listener.as_fd(), PollFlags::IN),
        ];
        fds.extend(self.outward.iter().map(|(_, process)| PollFd::new(process, PollFlags::IN)));
        let limit = self.again.map(|(at, _)| at.saturating_duration_since(Instant::now()));
        let limit = limit.map(|span| Timespec { tv_sec: 0, tv_nsec: i64::from(span.subsec_nanos()) });
        match poll(&mut fds, limit.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(NetError::kernel("wait for wishes", errno)),
        }
        let ready = |number: usize| fds.get(number).is_some_and(|fd| !fd.revents().is_empty());
        let (is_over, asked, died) = (ready(0), ready(1), ready(2));
        drop(fds);
        if is_over {
            return Ok(false);
        }
        if died {
            self.outward = None;
            self.again = Some((Instant::now() + PAUSE, TRIES));
        }
        if let Some((at, tries)) = self.again
            && at <= Instant::now()
        {
            let worked = self.open_outward().is_ok();
            self.again = (!worked && tries > 0).then(|| (Instant::now() + PAUSE, tries - 1));
        }
        if asked && let Ok((mut stream, _)) = self.place.listener.accept() {
            let said = match self.open_outward() {
                Ok(()) => DONE.to_owned(),
                Err(error) => crate::causes::chain(&error),
            };
            // Whoever asked may be gone.
            let _ = stream.write_all(said.as_bytes());
        }
        Ok(true)
    }

    fn open_outward(&mut self) -> Result<(), NetError> {
        if self.outward.is_none() {
            let helper = Helper::start(&self.place.namespace, &mut self.place.inner)?;
            let process = helper.process()?;
            self.outward = Some((helper, process));
            self.again = None;
        }
        Ok(())
    }
}
