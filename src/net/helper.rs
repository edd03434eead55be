//! The network of an ordinary user's container: a program that carries its packets over sockets of the host.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::pipe::PipeFlags;

use super::error::NetError;
use super::netlink::Netlink;

/// The container's address, always the same: each has a network of its own.
pub(super) const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 100);
/// The way to other machines.
pub(super) const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// Where names are asked for; the program asks the host's servers.
pub(super) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);

/// How long the program may take to make an interface.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs a program until its own standard input ends, as it does with whoever holds its other end.
const UNTIL_THE_END: &str = "exec 3<&0\n\"$@\" 3<&- < /dev/null &\np=$!\n{ read x <&3; kill -9 $p; } 2> /dev/null &\n\
    r=$!\nexec 3<&-\nwait $p\nkill $r";

/// The program; it ends with this value, and with this process.
#[derive(Debug)]
pub(super) struct Helper {
    child: Child,
    /// When it closes, the program ends.
    exit: Option<OwnedFd>,
}

/// What a program says while it starts.
struct Said(File);

impl Said {
    fn new() -> Result<Self, NetError> {
        // Not a pipe, whose end would be the program's.
        let file = rustix::fs::memfd_create(c"helper", rustix::fs::MemfdFlags::CLOEXEC);
        file.map(|fd| Self(fd.into())).map_err(|errno| NetError::kernel("keep what a program says", errno))
    }

    fn error(mut self, program: String) -> NetError {
        let mut text = String::new();
        // What can't be read is not said.
        let _ = self.0.rewind().and_then(|()| self.0.read_to_string(&mut text));
        NetError::Helper { program, said: text.lines().collect::<Vec<_>>().join("; ") }
    }
}

impl Helper {
    /// Makes the interface `eth0` in a namespace, and carries its packets from now on; `inner` speaks of its interfaces.
    ///
    /// It is pasta where that is installed and works, and slirp4netns otherwise.
    pub fn start(namespace: &OwnedFd, inner: &mut Netlink) -> Result<Self, NetError> {
        match (super::program("pasta"), super::program("slirp4netns")) {
            (Some(pasta), None) => Self::pasta(pasta, namespace, inner),
            (Some(pasta), Some(slirp)) => {
                Self::pasta(pasta, namespace, inner).or_else(|_| Self::slirp(slirp, namespace))
            }
            (None, Some(slirp)) => Self::slirp(slirp, namespace),
            (None, None) => Err(NetError::NoHelper),
        }
    }

    /// pasta(1), which copies no addresses of the host: the container's are slirp4netns's.
    fn pasta(program: String, namespace: &OwnedFd, inner: &mut Netlink) -> Result<Self, NetError> {
        let failed = |source: std::io::Error| NetError::Kernel { action: format!("run {program}"), source };
        let said = Said::new()?;
        // By this descriptor of its own: it may not look into this process, which can do more than it.
        let inherited = rustix::io::dup(namespace).map_err(|errno| failed(errno.into()))?;
        let mut child = Command::new("/bin/sh")
            .args(["-c", UNTIL_THE_END, "sh", &program])
            .args(["-f", "-e", "-q", "-4", "--runas", "0:0", "--config-net", "--netns-only", "--no-map-gw"])
            .args(["-a", &ADDRESS.to_string(), "-n", "255.255.255.0", "-g", &GATEWAY.to_string()])
            .args(["--dns-forward", &SERVER.to_string(), "--ns-ifname", "eth0"])
            .args(["-t", "none", "-u", "none", "-T", "none", "-U", "none"])
            .arg("--netns")
            .arg(format!("/proc/self/fd/{}", inherited.as_raw_fd()))
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(said.0.try_clone().map_err(failed)?)
            .spawn()
            .map_err(failed)?;
        drop(inherited);
        let exit = child.stdin.take().map(OwnedFd::from);
        let mut helper = Self { child, exit };
        let limit = Instant::now() + PATIENCE;
        while !inner.has_gateway().map_err(|errno| NetError::kernel("look for a route", errno))? {
            if helper.child.try_wait().map_err(failed)?.is_some() || Instant::now() > limit {
                drop(helper);
                return Err(said.error(program));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(helper)
    }

    /// Returns a descriptor of the program, which is readable when it has ended.
    pub fn process(&self) -> Result<OwnedFd, NetError> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())
            .map_err(|errno| NetError::kernel("watch the program that carries packets", errno))
    }

    fn slirp(program: String, namespace: &OwnedFd) -> Result<Self, NetError> {
        let failed = |source: std::io::Error| NetError::Kernel { action: format!("run {program}"), source };
        let pipe = || rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(|errno| failed(errno.into()));
        let ((exit_read, exit), (ready, ready_write)) = (pipe()?, pipe()?);
        let said = Said::new()?;
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
            .stderr(said.0.try_clone().map_err(failed)?)
            .spawn()
            .map_err(failed)?;
        drop((exit_read, exit_theirs, ready_write, ready_theirs));
        let mut word = [0; 1];
        if File::from(ready).read(&mut word).map_err(failed)? == 1 {
            return Ok(Self { child, exit: Some(exit) });
        }
        drop(exit);
        let _ = child.wait();
        Err(said.error(program))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // Both end when this closes: pasta by its shell.
        drop(self.exit.take());
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
