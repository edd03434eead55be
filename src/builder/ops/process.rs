//! One process of a RUN: its output as events, its end, its death when the build is stopped.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant, SystemTime};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::builder::cancel::Cancel;
use crate::builder::error::{BuildError, ErrorKind, FailedStep};
use crate::builder::options::LogLimits;
use crate::progress::{Event, Reporter, Stream, VertexId};
use crate::run::{Executor, Exit, Input, Io, Output, ProcessSpec, Rootfs, Running, signal};

/// Lines that an error keeps.
const TAIL_LINES: usize = 10;
/// Most bytes of such a line.
const TAIL_WIDTH: usize = 4096;

/// Runs a process to its end; what is returned may still hold its root, until it is dropped.
///
/// # Errors
/// It does not start, ends with anything but 0, or the build is stopped; nothing of it is left then.
pub(super) fn run(
    executor: &dyn Executor,
    spec: &ProcessSpec,
    rootfs: Rootfs,
    (reporter, id): (&dyn Reporter, VertexId),
    limits: LogLimits,
    cancel: &Cancel,
) -> Result<Box<dyn Running>, BuildError> {
    let command = command_of(spec);
    let (stdout, stdout_end) = pipe()?;
    let (stderr, stderr_end) = pipe()?;
    let io = Io { stdin: Input::Null, output: Output::Pipes { stdout: stdout_end, stderr: stderr_end } };
    let mut running = start(executor, spec, rootfs, io)?;
    let pidfd = running.pidfd().try_clone_to_owned().map_err(failed("cannot watch a process"))?;
    let guard = cancel.on_cancel(move || {
        // One that has ended is no error, and of one that can't be killed nothing can be done.
        let _ = signal(pidfd.as_fd(), libc::SIGKILL);
    });
    for warning in running.warnings() {
        reporter.report(Event::Warning { vertex: Some(id), message: warning.to_string() });
    }
    let mut log = Log::new(reporter, id, limits);
    log.follow([(stdout, Stream::Stdout), (stderr, Stream::Stderr)])?;
    let ended = running.wait();
    drop(guard);
    let exit = ended.map_err(|error| {
        BuildError::from(ErrorKind::Start { command: command.clone(), source: Box::new(error) })
    })?;
    if exit.is_success() {
        return Ok(running);
    }
    if cancel.is_cancelled() {
        return Err(ErrorKind::Cancelled.into());
    }
    let how = how(exit, &*running);
    let mut error = BuildError::from(ErrorKind::Process { command, how });
    error.step = Some(FailedStep { name: String::new(), output: log.tail() });
    Err(error)
}

/// Starts a process.
///
/// # Errors
/// It does not start.
pub(super) fn start(
    executor: &dyn Executor,
    spec: &ProcessSpec,
    rootfs: Rootfs,
    io: Io,
) -> Result<Box<dyn Running>, BuildError> {
    executor
        .start(spec, rootfs, io)
        .map_err(|error| ErrorKind::Start { command: command_of(spec), source: Box::new(error) }.into())
}

fn command_of(spec: &ProcessSpec) -> String {
    String::from_utf8_lossy(&spec.args.join(&b' ')).into_owned()
}

fn how(exit: Exit, running: &dyn Running) -> String {
    match running.out_of_memory() {
        true => "cannot allocate memory".to_owned(),
        false => format!("exit code: {}", exit.code()),
    }
}

fn pipe() -> Result<(OwnedFd, OwnedFd), BuildError> {
    pipe_with(PipeFlags::CLOEXEC).map_err(|errno| failed("cannot make a pipe")(errno.into()))
}

fn failed(action: &'static str) -> impl FnOnce(io::Error) -> BuildError {
    move |source| ErrorKind::Io { action, source }.into()
}

/// How much of one stream may be reported.
struct Allowance {
    limits: LogLimits,
    began: Instant,
    /// Bytes that came, reported or not.
    size: u64,
    /// Whether the last of them were left out, which has been said.
    clipping: bool,
}

impl Allowance {
    fn new(limits: LogLimits) -> Self {
        Self { limits, began: Instant::now(), size: 0, clipping: false }
    }

    /// Returns how many of `count` bytes are reported, and the limit that was met just now.
    fn take(&mut self, count: u64, elapsed: Duration) -> (usize, Option<String>) {
        let before = self.size;
        self.size += count;
        let seconds = elapsed.as_secs() + u64::from(elapsed.subsec_nanos() > 0);
        let by_speed = self.limits.speed.map(|speed| speed.saturating_mul(seconds.max(1)));
        let (most, fast) = match (by_speed, self.limits.size) {
            (Some(speed), Some(size)) if speed > size => (size, false),
            (Some(speed), _) => (speed, true),
            (None, Some(size)) => (size, false),
            (None, None) => (u64::MAX, false),
        };
        let allowed = most.saturating_sub(before).min(count);
        let clipped = std::mem::replace(&mut self.clipping, allowed < count);
        let met = self.clipping && !clipped;
        let limit = met.then(|| match fast {
            true => format!("{}/s", bytes_text(self.limits.speed.unwrap_or(0))),
            false => bytes_text(most),
        });
        (usize::try_from(allowed).unwrap_or(usize::MAX), limit)
    }
}

/// Returns a size as BuildKit writes it: `2MiB`, `200KiB`, `1.5KiB`.
fn bytes_text(bytes: u64) -> String {
    let units = [(1u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) if bytes.is_multiple_of(*unit) => format!("{}{name}", bytes / unit),
        Some((unit, name)) => {
            let hundredths = (u128::from(bytes) * 100 / u128::from(*unit)).to_string();
            let (whole, part) = hundredths.split_at(hundredths.len() - 2);
            format!("{whole}.{}{name}", part.trim_end_matches('0')).replace(&format!(".{name}"), name)
        }
        None => format!("{bytes}B"),
    }
}

/// What a process writes, on its way to the reporter, with its last lines kept.
struct Log<'a> {
    reporter: &'a dyn Reporter,
    id: VertexId,
    /// What may still be reported of each stream.
    allowances: [Allowance; 2],
    lines: VecDeque<Vec<u8>>,
    /// The unfinished line of each stream.
    open: [Vec<u8>; 2],
}

impl<'a> Log<'a> {
    fn new(reporter: &'a dyn Reporter, id: VertexId, limits: LogLimits) -> Self {
        let allowances = [Allowance::new(limits), Allowance::new(limits)];
        Self { reporter, id, allowances, lines: VecDeque::new(), open: [Vec::new(), Vec::new()] }
    }

    /// Reads until both ends are closed, which the end of the process sees to.
    fn follow(&mut self, ends: [(OwnedFd, Stream); 2]) -> Result<(), BuildError> {
        let mut open: Vec<(OwnedFd, Stream)> = ends.into();
        let mut buffer = vec![0; 64 << 10];
        while !open.is_empty() {
            let mut polled: Vec<PollFd<'_>> =
                open.iter().map(|(fd, _)| PollFd::new(fd, PollFlags::IN)).collect();
            match poll(&mut polled, None) {
                Err(rustix::io::Errno::INTR) => continue,
                other => other.map_err(|errno| failed("cannot wait for output")(errno.into()))?,
            };
            let ready: Vec<bool> = polled.iter().map(|fd| !fd.revents().is_empty()).collect();
            drop(polled);
            // Standard output first, all that its pipe holds: an error then never stands before what led to it.
            let mut ended = Vec::new();
            for at in (0..open.len()).filter(|at| ready[*at]) {
                match rustix::io::read(&open[at].0, &mut buffer) {
                    Ok(0) => ended.push(at),
                    Ok(count) => self.take(open[at].1, &buffer[..count]),
                    Err(rustix::io::Errno::INTR) => {}
                    Err(errno) => return Err(failed("cannot read output")(errno.into())),
                }
            }
            ended.into_iter().rev().for_each(|at| drop(open.remove(at)));
        }
        Ok(())
    }

    fn take(&mut self, stream: Stream, bytes: &[u8]) {
        let at = usize::from(stream == Stream::Stderr);
        for part in bytes.split_inclusive(|b| *b == b'\n') {
            let line = &mut self.open[at];
            let room = TAIL_WIDTH.saturating_sub(line.len());
            line.extend_from_slice(&part[..part.len().min(room)]);
            if part.ends_with(b"\n") {
                let whole = std::mem::take(line);
                self.keep(whole);
            }
        }
        self.report(stream, bytes);
    }

    fn keep(&mut self, line: Vec<u8>) {
        if self.lines.len() == TAIL_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    fn report(&mut self, stream: Stream, bytes: &[u8]) {
        let allowance = &mut self.allowances[usize::from(stream == Stream::Stderr)];
        let elapsed = allowance.began.elapsed();
        let (count, clipped) = allowance.take(bytes.len() as u64, elapsed);
        let mut data = bytes[..count].to_vec();
        if let Some(limit) = clipped {
            data.extend_from_slice(format!("\n[output clipped, log limit {limit} reached]\n").as_bytes());
        }
        if !data.is_empty() {
            self.reporter.report(Event::VertexLog { id: self.id, stream, data, at: SystemTime::now() });
        }
    }

    fn tail(&mut self) -> Vec<String> {
        for at in 0..2 {
            let rest = std::mem::take(&mut self.open[at]);
            if !rest.is_empty() {
                self.keep(rest);
            }
        }
        let text = |line: &Vec<u8>| String::from_utf8_lossy(line).trim_end_matches(['\n', '\r']).to_owned();
        self.lines.iter().map(text).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::RecordingReporter;

    #[test]
    fn the_last_lines_are_kept_and_much_output_is_clipped() {
        let reporter = RecordingReporter::default();
        let mut log = Log::new(&reporter, 1, LogLimits::default());
        for n in 0..20 {
            log.take(Stream::Stdout, format!("line {n}\r\npart").as_bytes());
            log.take(Stream::Stdout, b" of one\n");
        }
        log.take(Stream::Stderr, b"the end");
        let tail = log.tail();
        assert_eq!(tail.len(), TAIL_LINES);
        assert_eq!(tail[7..], ["line 19", "part of one", "the end"]);
        log.take(Stream::Stderr, &vec![b'x'; (200 << 10) + 5]);
        log.take(Stream::Stderr, b"never seen");
        let bytes: usize = reporter
            .events()
            .iter()
            .map(|event| match event {
                Event::VertexLog { data, .. } => data.len(),
                _ => 0,
            })
            .sum();
        let most = 200 << 10;
        assert!((most..most + 500).contains(&bytes), "{bytes}");
    }

    #[test]
    fn limits_are_met_once_and_speed_gives_more_every_second() {
        let second = Duration::from_secs(1);
        let mut allowance = Allowance::new(LogLimits { size: Some(100), speed: Some(10) });
        assert_eq!(allowance.take(4, second), (4, None));
        assert_eq!(allowance.take(8, second), (6, Some("10B/s".to_owned())));
        assert_eq!(allowance.take(8, second), (0, None));
        // What was clipped counts as well.
        assert_eq!(allowance.take(5, second * 3), (5, None));
        assert_eq!(allowance.take(200, second * 1000), (75, Some("100B".to_owned())));
        assert_eq!(allowance.take(1, second * 1000), (0, None));
        let mut endless = Allowance::new(LogLimits { size: None, speed: None });
        assert_eq!(endless.take(1 << 40, second), (1 << 40, None));
        // What ends exactly at the limit leaves the word to what comes next.
        let mut exact = Allowance::new(LogLimits { size: Some(100), speed: None });
        assert_eq!(exact.take(100, second), (100, None));
        assert_eq!(exact.take(1, second), (0, Some("100B".to_owned())));
        assert_eq!(exact.take(1, second), (0, None));
    }

    #[test]
    fn sizes_read_as_buildkit_writes_them() {
        for (bytes, text) in [
            (5, "5B"),
            (200 << 10, "200KiB"),
            (2 << 20, "2MiB"),
            (1536, "1.5KiB"),
            (1025, "1KiB"),
            (1 << 30, "1GiB"),
        ] {
            assert_eq!(bytes_text(bytes), text);
        }
    }
}
