//! Waiting for a change in a directory: inotify(7).

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

use super::{FsError, Root};

/// Tells when files of one directory are written, made or renamed.
#[derive(Debug)]
pub struct Watch(OwnedFd);

impl Watch {
    /// Begins to watch a directory.
    ///
    /// # Errors
    /// The user watches too much already (`fs.inotify.max_user_instances`), or the directory is gone.
    pub fn new(directory: &Root) -> Result<Self, FsError> {
        let path = directory.proc_path();
        let failed = |error: rustix::io::Errno| FsError::new("watch", &path, std::io::Error::from(error));
        let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).map_err(failed)?;
        let flags = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO;
        inotify::add_watch(&watch, &path, flags).map_err(failed)?;
        Ok(Self(watch))
    }

    /// Waits until something has changed since the last call, at most for a time.
    pub fn wait(&self, limit: Duration) {
        let limit = Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: i64::from(limit.subsec_nanos()) };
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        if poll(&mut fds, Some(&limit)).is_ok_and(|ready| ready > 0) {
            // What has changed is looked at anyway.
            let mut buffer = [0; 4096];
            while rustix::io::read(&self.0, &mut buffer).is_ok_and(|count| count > 0) {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_change_ends_the_waiting() {
        let dir = tempfile::tempdir().expect("a directory");
        let watch = Watch::new(&Root::open(dir.path()).expect("it opens")).expect("it is watched");
        watch.wait(Duration::from_millis(1));
        let (path, begun) = (dir.path().join("f"), Instant::now());
        let writer = std::thread::spawn(move || std::fs::write(path, "x").expect("written"));
        watch.wait(Duration::from_secs(60));
        assert!(begun.elapsed() < Duration::from_secs(50), "it was told");
        writer.join().expect("no panic");
    }
}
