//! What an ordinary user's containers of a store have in common: a user namespace, and in it a network namespace with
//! the bridges of their networks, from which one program carries packets to the outside.
//!
//! Both are held by a process ([`super::holder`]) that lives as long as somebody needs them. Who does what is written in
//! no file: the bytes of `networks/holder` are claimed ([`Claims`]), and the kernel tells by whom.
//!
//! - [`TURN`]: whoever is about to join or to make the holder, for that time;
//! - [`HOLDER`]: the holder;
//! - [`MEMBERS`]: all that are in the user namespace and want the holder to stay, in common;
//! - [`INSIDE`]: those of them that have the network namespace. When the holder is killed, they make another one for it.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};

use super::error::NetError;
use super::holder;
use crate::fs::{Claims, Root, namespace_given_to};

pub(super) const TURN: i64 = 0;
pub(super) const HOLDER: i64 = 1;
pub(super) const MEMBERS: i64 = 2;
pub(super) const INSIDE: i64 = 3;

/// The file whose bytes are claimed, in the store's networks.
const FILE: &str = "holder";
/// How long a holder is waited for that ends, or that others are to make anew.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it is waited before the next look.
const PAUSE: Duration = Duration::from_millis(1);

/// A process has its turn as a whole; this is for its threads.
static THREADS: Mutex<()> = Mutex::new(());

/// Opens the file whose bytes are claimed.
pub(super) fn claims(store: &Path) -> Result<Claims, NetError> {
    let top = Root::open(Path::new("/"))?;
    let store = std::path::absolute(store)
        .map_err(|source| NetError::Kernel { action: format!("resolve {}", store.display()), source })?;
    let networks = match top.dir(store.join("networks")) {
        Err(error) if error.is_not_found() => {
            top.create_dir_all(&store, 0o700)?;
            top.create_dir_all(store.join("networks"), 0o711)?;
            top.dir(store.join("networks"))?
        }
        other => other?,
    };
    Ok(Claims::open(&networks, FILE)?)
}

/// Returns a process that has a byte: its number, and a descriptor that is surely its own.
fn owner(claims: &Claims, byte: i64) -> Result<Option<(i32, OwnedFd)>, NetError> {
    loop {
        let Some(number) = claims.owner(byte)? else { return Ok(None) };
        let Some(pid) = Pid::from_raw(number) else { return Err(NetError::Elsewhere) };
        match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            // It still has the byte, so its number was not another one's in between.
            Ok(fd) if claims.owner(byte)? == Some(number) => return Ok(Some((number, fd))),
            Ok(_) | Err(Errno::SRCH) => {}
            Err(errno) => return Err(NetError::kernel("find the holder of the networks", errno)),
        }
    }
}

/// Becomes one of those that want the holder to stay; one that is just ending is waited for.
fn become_member(claims: &Claims) -> Result<(), NetError> {
    let limit = Instant::now() + PATIENCE;
    while !claims.claim(MEMBERS, true)? {
        if Instant::now() > limit {
            return Err(NetError::NoHolder);
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

/// Makes this process, which is in the common user namespace of a store, one of those that want it to stay: containers
/// that come later may share more than networks with its.
///
/// # Errors
/// The file whose bytes are claimed can't be had.
pub fn stay(store: &Path) -> Result<(), NetError> {
    become_member(&claims(store)?)
}

/// Returns the holder of a store, if there is one: whoever is in its user namespace can see what containers see.
///
/// # Errors
/// The file whose bytes are claimed can't be read.
pub fn look(store: &Path) -> Result<Option<OwnedFd>, NetError> {
    if !crate::fs::is_there(&store.join("networks").join(FILE)) {
        return Ok(None);
    }
    Ok(owner(&claims(store)?, HOLDER)?.map(|(_, fd)| fd))
}

/// A command's right to enter the common user namespace, and its wish that this stays until the command ends.
#[derive(Debug)]
pub struct Pass {
    claims: Claims,
}

impl Pass {
    /// Finds a process in the common user namespace of a store, or makes the holder; nobody else does until
    /// [`Pass::entered`]. No process is returned when the holder could not be made.
    ///
    /// # Errors
    /// The file whose bytes are claimed can't be had.
    pub fn take(store: &Path) -> Result<(Self, Option<OwnedFd>), NetError> {
        let claims = claims(store)?;
        claims.wait(TURN)?;
        match Self::find(&claims, store) {
            Ok(found) => Ok((Self { claims }, found.map(|(_, fd)| fd))),
            Err(error) => {
                claims.give_up(TURN)?;
                Err(error)
            }
        }
    }

    fn find(claims: &Claims, store: &Path) -> Result<Option<(i32, OwnedFd)>, NetError> {
        become_member(claims)?;
        let mut found = owner(claims, HOLDER)?;
        if found.is_none() {
            // Somebody who lost the holder still is where it was.
            found = owner(claims, MEMBERS)?;
        }
        if found.is_none() && holder::spawn(store, None).is_ok() {
            found = owner(claims, HOLDER)?;
        }
        Ok(found)
    }

    /// Lets others have their turn: this process has entered, or never will.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn entered(self) -> Result<(), NetError> {
        Ok(self.claims.give_up(TURN)?)
    }
}

/// The common network namespace, for a process in the user namespace that it belongs to.
#[derive(Debug)]
pub struct Common {
    claims: Claims,
    store: PathBuf,
    namespace: OwnedFd,
}

impl Common {
    /// Finds or makes the namespace of a store, which stays until this process ends.
    ///
    /// # Errors
    /// It belongs to another user namespace, or can't be made.
    pub fn join(store: &Path) -> Result<Self, NetError> {
        let _alone = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
        let claims = claims(store)?;
        let limit = Instant::now() + PATIENCE;
        loop {
            claims.wait(TURN)?;
            let found = Self::find(&claims, store);
            claims.give_up(TURN)?;
            if let Some(namespace) = found? {
                let common = Self { claims, store: store.to_owned(), namespace };
                return common.within(|| ()).map(|()| common);
            }
            // Those who have the namespace make another holder for it.
            if Instant::now() > limit {
                return Err(NetError::NoHolder);
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Returns the namespace, none if there is one without a holder.
    fn find(claims: &Claims, store: &Path) -> Result<Option<OwnedFd>, NetError> {
        become_member(claims)?;
        if owner(claims, HOLDER)?.is_none() && claims.owner(INSIDE)?.is_none() {
            holder::spawn(store, None)?;
        }
        let Some((pid, _)) = owner(claims, HOLDER)? else { return Ok(None) };
        match namespace_given_to(pid) {
            Ok(namespace) if claims.owner(HOLDER)? == Some(pid) => {
                claims.claim(INSIDE, true)?;
                Ok(Some(namespace))
            }
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Err(NetError::Elsewhere),
            // It was killed in between.
            _ => Ok(None),
        }
    }

    /// Returns the holder, which is another one if the last was killed.
    ///
    /// # Errors
    /// It is gone and can't be made anew.
    pub fn holder(&self) -> Result<OwnedFd, NetError> {
        let _alone = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
        self.claims.wait(TURN)?;
        let mut found = owner(&self.claims, HOLDER);
        if matches!(found, Ok(None)) {
            let copy = self.namespace.try_clone();
            let copy =
                copy.map_err(|source| NetError::Kernel { action: "hand a namespace on".into(), source })?;
            found = holder::spawn(&self.store, Some(copy)).and_then(|()| owner(&self.claims, HOLDER));
        }
        self.claims.give_up(TURN)?;
        found?.map(|(_, fd)| fd).ok_or(NetError::NoHolder)
    }

    /// Has the namespace connected to the outside.
    ///
    /// # Errors
    /// There is no program that does it, or it fails.
    pub fn open_outward(&self) -> Result<(), NetError> {
        let failed =
            |source| NetError::Kernel { action: "ask the holder of the networks".to_owned(), source };
        let limit = Instant::now() + PATIENCE;
        loop {
            let asked = self.within(|| {
                let mut stream = UnixStream::connect_addr(&SocketAddr::from_abstract_name(holder::SOCKET)?)?;
                let mut said = String::new();
                stream.read_to_string(&mut said).map(|_| said)
            })?;
            match asked {
                Ok(said) if said == holder::DONE => return Ok(()),
                Ok(said) if !said.is_empty() => return Err(NetError::Outward(said)),
                // It was killed, and another one comes.
                Ok(_) => {}
                Err(error) if Instant::now() > limit => return Err(failed(error)),
                Err(_) => {}
            }
            drop(self.holder()?);
            std::thread::sleep(PAUSE);
        }
    }

    /// Does something in the namespace, on a thread of its own.
    ///
    /// # Errors
    /// The namespace belongs to another user namespace than this process.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, NetError> {
        let inside = || {
            let kind = rustix::thread::LinkNameSpaceType::Network;
            rustix::thread::move_into_link_name_space(self.namespace.as_fd(), Some(kind)).map_err(
                |errno| match errno {
                    Errno::PERM => NetError::Elsewhere,
                    errno => NetError::kernel("enter the networks' namespace", errno),
                },
            )?;
            Ok(work())
        };
        std::thread::scope(|scope| scope.spawn(inside).join())
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// Does something in the common namespace, if there is one, or else where the caller is.
pub(super) fn within<T: Send>(
    common: Option<&Common>,
    work: impl FnOnce() -> Result<T, NetError> + Send,
) -> Result<T, NetError> {
    match common {
        Some(common) => common.within(work)?,
        None => work(),
    }
}

/// Executes this program as the holder, and waits until it is ready.
pub(super) fn execute(store: &Path, given: Option<OwnedFd>) -> Result<(), NetError> {
    let failed = |source| NetError::Kernel { action: "start the holder of the networks".to_owned(), source };
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map_err(|errno| NetError::kernel("make a pipe", errno))?;
    let kind = if given.is_some() { "given" } else { "new" };
    // Nobody waits for it: it ends when nobody needs it any more.
    Command::new("/proc/self/exe")
        .arg0("skiff")
        .arg(holder::WORD)
        .arg(store)
        .arg(kind)
        .current_dir("/")
        .env_clear()
        .stdin(given.map_or_else(Stdio::null, Stdio::from))
        .stdout(write)
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let mut said = String::new();
    File::from(read).read_to_string(&mut said).map_err(failed)?;
    match said.as_str() {
        holder::DONE => Ok(()),
        "" => Err(NetError::NoHolder),
        said => Err(NetError::Holder(said.to_owned())),
    }
}
