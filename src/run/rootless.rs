//! An ordinary user as root of a user namespace of its own.
//!
//! The process, still with a single thread, leaves for new user and mount namespaces. Where `/etc/subuid` and
//! `/etc/subgid` give the user further ids, the set-user-id programs `newuidmap` and `newgidmap` map them; they must run
//! outside, so a helper is forked before. Without such ids only the user's own is mapped, to 0: then files
//! have no other owner, and a process can't be another user.

use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::process::Command;

use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::process::{Pid, WaitOptions};

use super::error::RunError;
use super::sys;
use crate::fs::{Follow, Root};

/// Where the mapping programs are looked for; a search path could be anybody's.
const DIRECTORIES: [&str; 5] = ["/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin", "/sbin"];

/// Which ids there are in the namespace that was entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mapping {
    /// 0 is the user, and from 1 on there are as many subordinate ones.
    Ranges { uids: u64, gids: u64 },
    /// 0 is the user, and there is no other; why.
    Single { reason: String },
}

/// A range of subordinate ids: the first, and how many.
type Range = (u32, u32);

/// Puts this process into user and mount namespaces of its own, in which it is root.
///
/// It must have a single thread. Afterwards mounts made here show nowhere else.
///
/// # Errors
/// The machine does not let this user make a user namespace, the process has threads, or a map can't be written.
pub fn enter() -> Result<Mapping, RunError> {
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let mapping = match subordinate(uid) {
        Ok((uids, gids)) => enter_with_ranges(uid, gid, &uids, &gids)?,
        Err(reason) => {
            unshare()?;
            single(uid, gid)?;
            Mapping::Single { reason }
        }
    };
    mount_change(c"/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)
        .map_err(|e| failed("keep mounts private", e))?;
    Ok(mapping)
}

/// Puts this process into the user namespace of another process of the user's and into a mount namespace of its own.
///
/// It must have a single thread.
///
/// # Errors
/// The other process has ended, or it is not in a namespace of this user's. Nothing is changed then.
pub fn join(process: &OwnedFd) -> Result<Mapping, RunError> {
    let uid = rustix::process::getuid().as_raw();
    let reason = subordinate(uid).err();
    sys::set_namespace(process.as_fd(), libc::CLONE_NEWUSER)
        .map_err(|errno| failed("enter the user namespace of containers that run", errno))?;
    sys::unshare(libc::CLONE_NEWNS).map_err(|errno| failed("make a mount namespace", errno))?;
    mount_change(c"/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)
        .map_err(|e| failed("keep mounts private", e))?;
    let own = Root::open(Path::new("/proc/self"))?;
    let beside = |file: &str| -> Result<u64, RunError> {
        Ok(mapped(&String::from_utf8_lossy(&own.read(file, 1 << 16)?)).saturating_sub(1))
    };
    let (uids, gids) = (beside("uid_map")?, beside("gid_map")?);
    if uids > 0 && gids > 0 {
        return Ok(Mapping::Ranges { uids, gids });
    }
    let reason = reason.unwrap_or_else(|| "containers run that were started without other ids".to_owned());
    Ok(Mapping::Single { reason })
}

/// Returns how many ids a map has.
fn mapped(map: &str) -> u64 {
    let count = |line: &str| line.split_whitespace().nth(2)?.parse::<u64>().ok();
    map.lines().filter_map(count).sum()
}

fn failed(action: &str, source: impl Into<std::io::Error>) -> RunError {
    RunError::Rootless { action: action.to_owned(), hint: "", source: source.into() }
}

fn unshare() -> Result<(), RunError> {
    sys::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS).map_err(|errno| {
        let hint = match errno {
            Errno::PERM | Errno::ACCESS => {
                " (the machine forbids it to ordinary users: see the sysctls kernel.unprivileged_userns_clone and \
                 kernel.apparmor_restrict_unprivileged_userns)"
            }
            Errno::NOSPC => " (see the sysctl user.max_user_namespaces)",
            Errno::INVAL => " (the process has more than one thread)",
            _ => "",
        };
        RunError::Rootless { action: "make user and mount namespaces".into(), hint, source: errno.into() }
    })
}

/// Returns the subordinate uids and gids of a user, or why there are none that can be used.
fn subordinate(uid: u32) -> Result<(Vec<Range>, Vec<Range>), String> {
    let etc = Root::open("/etc".as_ref()).map_err(|e| e.to_string())?;
    let text = |name: &str| -> String {
        etc.read(name, 16 << 20).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
    };
    let name = user_name(&text("passwd"), uid);
    let (uids, gids) =
        (ranges(&text("subuid"), name.as_deref(), uid), ranges(&text("subgid"), name.as_deref(), uid));
    if uids.is_empty() || gids.is_empty() {
        let file = if uids.is_empty() { "/etc/subuid" } else { "/etc/subgid" };
        return Err(format!("{file} has no ids for this user"));
    }
    for program in ["newuidmap", "newgidmap"] {
        find(program).ok_or_else(|| format!("{program} is not installed (package uidmap)"))?;
    }
    Ok((uids, gids))
}

fn user_name(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields.len() > 2 && fields[2].parse() == Ok(uid)).then(|| fields[0].to_owned())
    })
}

/// Reads subuid(5): `name-or-id:first:count`.
fn ranges(text: &str, name: Option<&str>, uid: u32) -> Vec<Range> {
    let range = |line: &str| {
        let mut fields = line.trim().split(':');
        let owner = fields.next()?;
        let (first, count): (u32, u32) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let ours = Some(owner) == name || owner.parse() == Ok(uid);
        (ours && count > 0 && first.checked_add(count).is_some()).then_some((first, count))
    };
    text.lines().filter_map(range).collect()
}

fn find(program: &str) -> Option<String> {
    DIRECTORIES.iter().find_map(|directory| {
        let found = Root::open(directory.as_ref()).ok()?.stat(program, Follow::Yes).ok()??;
        found.is_file().then(|| format!("{directory}/{program}"))
    })
}

fn enter_with_ranges(uid: u32, gid: u32, uids: &[Range], gids: &[Range]) -> Result<Mapping, RunError> {
    let pipe =
        || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|e| failed("make a pipe", e));
    let ((go_read, go_write), (said_read, said_write)) = (pipe()?, pipe()?);
    let target = rustix::process::getpid();
    let helper = sys::fork().map_err(|e| failed("fork a helper", e))?;
    let Some(helper) = helper else {
        drop((go_write, said_read));
        let said = match std::fs::File::from(go_read).read(&mut [0]) {
            Ok(1) => map(target, uid, gid, uids, gids).err().unwrap_or_default(),
            _ => String::new(),
        };
        let told = std::fs::File::from(said_write).write_all(said.as_bytes());
        sys::exit_now(i32::from(told.is_err() || !said.is_empty()));
    };
    drop((go_read, said_write));
    let unshared = unshare();
    if unshared.is_ok() {
        let _ = std::fs::File::from(go_write).write_all(b"x");
    } else {
        drop(go_write);
    }
    let mut said = String::new();
    let heard = std::fs::File::from(said_read).read_to_string(&mut said);
    reap(helper)?;
    unshared?;
    heard.map_err(|e| failed("hear the helper", e))?;
    if said.is_empty() {
        let sum = |ranges: &[Range]| ranges.iter().map(|(_, count)| u64::from(*count)).sum();
        return Ok(Mapping::Ranges { uids: sum(uids), gids: sum(gids) });
    }
    // Nothing is lost unless one of both maps was written.
    single(uid, gid).map_err(|_| failed(&format!("map subordinate ids: {said}"), Errno::PERM))?;
    Ok(Mapping::Single { reason: said })
}

fn reap(helper: Pid) -> Result<(), RunError> {
    loop {
        match rustix::process::waitpid(Some(helper), WaitOptions::empty()) {
            Err(Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(errno) => return Err(failed("wait for the helper", errno)),
        }
    }
}

/// Has both maps of a process written, by programs that may do that; in the helper.
fn map(target: Pid, uid: u32, gid: u32, uids: &[Range], gids: &[Range]) -> Result<(), String> {
    for (program, own, ranges) in [("newuidmap", uid, uids), ("newgidmap", gid, gids)] {
        let path = find(program).ok_or_else(|| format!("{program} is gone"))?;
        let mut command = Command::new(path);
        command.arg(target.as_raw_nonzero().to_string());
        let mut inside = 0u64;
        for (first, count) in [(own, 1)].iter().chain(ranges) {
            command.args([inside.to_string(), first.to_string(), count.to_string()]);
            inside += u64::from(*count);
        }
        let output = command.output().map_err(|e| format!("{program}: {e}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(if said.is_empty() { format!("{program}: {}", output.status) } else { said });
        }
    }
    Ok(())
}

/// Maps the user alone. An unprivileged process must give up setgroups(2) for it (user_namespaces(7)).
fn single(uid: u32, gid: u32) -> Result<(), RunError> {
    let own = Root::open(Path::new("/proc/self"))?;
    for (file, text) in [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("0 {uid} 1")),
        ("gid_map", format!("0 {gid} 1")),
    ] {
        let fd = own.open_rw(file, false)?;
        rustix::io::write(fd.as_fd(), text.as_bytes())
            .map_err(|e| failed(&format!("write /proc/self/{file}"), e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_by_name_and_number() {
        let text =
            "root:1:1\nanna:100000:65536\n1000:300000:10\nanna:bad:1\nanna:5\nother:7:7\nanna:4294967295:2\n";
        assert_eq!(ranges(text, Some("anna"), 1000), [(100_000, 65_536), (300_000, 10)]);
        assert_eq!(ranges(text, None, 1000), [(300_000, 10)]);
        assert_eq!(ranges("", Some("anna"), 1000), []);
        assert_eq!(mapped("         0       1000          1\n         1     100000      65536\n"), 65_537);
        assert_eq!(user_name("root:x:0:0\nanna:x:1000:1\n", 1000).as_deref(), Some("anna"));
    }
}
