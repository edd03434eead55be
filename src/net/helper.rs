//! The network of an ordinary user's container: a program that carries its packets over sockets of the host.

use std::io::{Read as _, Seek as _};
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::process::{Child, Command, Stdio};

use rustix::pipe::PipeFlags;

use super::error::NetError;

/// The container's address, always the same: each has a network of its own.
pub(super) const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 100);
/// Bits of the address that name the network.
pub(super) const PREFIX: u8 = 24;
/// The way to other machines.
pub(super) const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// Where names are asked for; the program asks the host's servers.
pub(super) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);

/// The program; it ends with this value, and with this process.
#[derive(Debug)]
pub(super) struct Helper {
    child: Child,
    /// When it closes, the program ends.
    exit: Option<OwnedFd>,
}

impl Helper {
    /// Makes the interface `eth0` in a namespace, and carries its packets from now on.
    pub fn start(namespace: &OwnedFd) -> Result<Self, NetError> {
        let program = super::program("slirp4netns").ok_or(NetError::NoHelper)?;
        let failed = |source: std::io::Error| NetError::Kernel { action: format!("run {program}"), source };
        let pipe = || rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(|errno| failed(errno.into()));
        let ((exit_read, exit), (ready, ready_write)) = (pipe()?, pipe()?);
        // Not a pipe, whose end would be the program's.
        let said = rustix::fs::memfd_create(c"helper", rustix::fs::MemfdFlags::CLOEXEC);
        let mut said = std::fs::File::from(said.map_err(|errno| failed(errno.into()))?);
        let path = format!("/proc/{}/fd/{}", std::process::id(), namespace.as_raw_fd());
        // These two alone are to be inherited.
        let inherited = |fd: &OwnedFd| rustix::io::dup(fd).map_err(|errno| failed(errno.into()));
        let (exit_theirs, ready_theirs) = (inherited(&exit_read)?, inherited(&ready_write)?);
        let mut child = Command::new(&program)
            .args(["--configure", "--mtu=65520", "--disable-host-loopback", "--netns-type=path"])
            .arg(format!("--exit-fd={}", exit_theirs.as_raw_fd()))
            .arg(format!("--ready-fd={}", ready_theirs.as_raw_fd()))
            .args([path.as_str(), "eth0"])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said.try_clone().map_err(failed)?)
            .spawn()
            .map_err(failed)?;
        drop((exit_read, exit_theirs, ready_write, ready_theirs));
        let mut word = [0; 1];
        if std::fs::File::from(ready).read(&mut word).map_err(failed)? == 1 {
            return Ok(Self { child, exit: Some(exit) });
        }
        drop(exit);
        let _ = child.wait();
        let mut text = String::new();
        said.rewind().and_then(|()| said.read_to_string(&mut text)).map_err(failed)?;
        let said = text.lines().collect::<Vec<_>>().join("; ");
        Err(NetError::Helper { program, said })
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        drop(self.exit.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether this process is root of a user namespace only.
///
/// # Errors
/// `/proc` is not there.
pub fn is_rootless() -> Result<bool, NetError> {
    let map = crate::fs::Root::open("/proc/self".as_ref())?.read("uid_map", 4096)?;
    let whole = |line: &str| line.split_whitespace().eq(["0", "0", "4294967295"]);
    Ok(!String::from_utf8_lossy(&map).lines().any(whole))
}
