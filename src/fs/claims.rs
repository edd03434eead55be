//! Locks on the bytes of a file, of which the kernel tells whose they are.
//!
//! They are a process's own (fcntl(2), `F_SETLK`): neither its children nor others that got the descriptor have them, an
//! executed program keeps them, death releases them. Closing any descriptor of the file would release all of the
//! process's too; so a file that was opened here stays open until the process ends.

use std::fs::File;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

use super::error::FsError;
use super::root::Root;

/// A file whose bytes processes claim.
#[derive(Debug)]
pub struct Claims {
    file: ManuallyDrop<File>,
    path: PathBuf,
}

impl Claims {
    /// Opens the file of a name in a directory, and makes it when it is not there.
    ///
    /// # Errors
    /// It can't be made or opened.
    pub fn open(dir: &Root, name: &str) -> Result<Self, FsError> {
        let file = dir.open_or_create(name, 0o600)?;
        Ok(Self { file: ManuallyDrop::new(file), path: Path::new(dir.name()).join(name) })
    }

    /// Claims a byte, together with others that do so if `shared`; false if somebody else has it.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn claim(&self, byte: i64, shared: bool) -> Result<bool, FsError> {
        let lock = range(byte, if shared { libc::F_RDLCK } else { libc::F_WRLCK });
        match fcntl(&*self.file, FcntlArg::F_SETLK(&lock)) {
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
            other => self.checked(other).map(|()| true),
        }
    }

    /// Claims a byte as soon as nobody else has it.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn wait(&self, byte: i64) -> Result<(), FsError> {
        let lock = range(byte, libc::F_WRLCK);
        loop {
            match fcntl(&*self.file, FcntlArg::F_SETLKW(&lock)) {
                Err(Errno::EINTR) => {}
                other => return self.checked(other),
            }
        }
    }

    /// Gives a byte up.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn give_up(&self, byte: i64) -> Result<(), FsError> {
        self.checked(fcntl(&*self.file, FcntlArg::F_SETLK(&range(byte, libc::F_UNLCK))))
    }

    /// Returns a process other than this one that has a byte.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn owner(&self, byte: i64) -> Result<Option<i32>, FsError> {
        let mut lock = range(byte, libc::F_WRLCK);
        let asked = fcntl(&*self.file, FcntlArg::F_GETLK(&mut lock));
        self.checked(asked)?;
        Ok((i32::from(lock.l_type) != libc::F_UNLCK).then_some(lock.l_pid))
    }

    fn checked(&self, result: nix::Result<i32>) -> Result<(), FsError> {
        result.map(drop).map_err(|errno| FsError::new("lock", &self.path, std::io::Error::from(errno)))
    }
}

fn range(byte: i64, kind: i32) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: byte,
        l_len: 1,
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_claims_are_seen_with_their_owner() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = Root::open(dir.path()).expect("it opens");
        let claims = Claims::open(&root, "claims").expect("a file");
        assert!(claims.claim(0, false).expect("a lock") && claims.claim(1, true).expect("a lock"));
        assert_eq!(claims.owner(0).expect("an answer"), None, "one's own is nobody's else");
        // python3's lockf(3) is the same lock of another process.
        let script = format!(
            "import fcntl, sys\nf = open({:?}, 'r+')\nfcntl.lockf(f, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, 1)\n\
             print('has it', flush=True)\ntry: fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 0)\n\
             except OSError: print('refused', flush=True)\nsys.stdin.read()",
            dir.path().join("claims")
        );
        let mut other = std::process::Command::new("python3")
            .args(["-c", &script])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let said = std::io::BufReader::new(other.stdout.take().expect("a pipe"));
        let said: Vec<String> =
            std::io::BufRead::lines(said).take(2).map(|line| line.expect("text")).collect();
        assert_eq!(said, ["has it", "refused"]);
        assert_eq!(claims.owner(1).expect("an answer"), i32::try_from(other.id()).ok());
        assert!(!claims.claim(1, false).expect("an answer"), "it is shared");
        drop(other.stdin.take());
        claims.wait(1).expect("it ends");
        assert_eq!(claims.owner(1).expect("an answer"), None);
        other.wait().expect("it is a child");
    }
}
