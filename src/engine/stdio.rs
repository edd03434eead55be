//! Standard input and output as one stream, carried by threads that nobody has to wait for.

use std::io::{self, Read, Write as _};
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;

/// Returns a stream that is standard input to read and standard output to write, and the thread that is done when all
/// that was written is out.
///
/// # Errors
/// No descriptor or thread is left.
pub(super) fn stdio() -> io::Result<(UnixStream, JoinHandle<()>)> {
    let (ours, theirs) = UnixStream::pair()?;
    let (mut writing, mut reading) = (ours.try_clone()?, ours);
    // It may read for ever: the process ends without it.
    std::thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        carry(io::stdin().lock(), |bytes| writing.write_all(bytes));
        let _ = writing.shutdown(std::net::Shutdown::Write);
    })?;
    let out = std::thread::Builder::new().name("stdout".to_owned()).spawn(move || {
        let mut stdout = io::stdout().lock();
        carry(&mut reading, |bytes| stdout.write_all(bytes).and_then(|()| stdout.flush()));
        // Who writes learns that nobody reads.
        let _ = reading.shutdown(std::net::Shutdown::Both);
    })?;
    Ok((theirs, out))
}

fn carry(mut from: impl Read, mut to: impl FnMut(&[u8]) -> io::Result<()>) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(count @ 1..) if to(&buffer[..count]).is_ok() => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => return,
        }
    }
}
