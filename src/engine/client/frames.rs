//! Standard output and standard error in one stream: `[stream, 0, 0, 0, length as four bytes]` and the bytes.

use std::io::{self, Read, Write};

/// Largest frame that is taken for one.
const MAX: u32 = 64 << 20;

/// Writes the frames of a stream to their places, until it ends.
///
/// A reader of ours that went away does not end it: the container must not stand still for that.
///
/// # Errors
/// The stream breaks off within a frame, has something else than frames, or carries a failure of the engine.
pub fn copy(from: &mut dyn Read, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<()> {
    let mut buffer = vec![0; 32 << 10];
    loop {
        let mut header = [0; 8];
        if !fill(from, &mut header)? {
            return Ok(());
        }
        let [stream, _, _, _, length @ ..] = header;
        let mut left = u32::from_be_bytes(length);
        if stream > 3 || left > MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("unrecognized input header: {stream}"),
            ));
        }
        let mut failure = Vec::new();
        while left > 0 {
            let most = buffer.len().min(left as usize);
            let count = read(from, &mut buffer[..most])?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            left -= count as u32;
            let bytes = &buffer[..count];
            match stream {
                0 | 1 => out.write_all(bytes).and_then(|()| out.flush())?,
                2 => err.write_all(bytes).and_then(|()| err.flush())?,
                _ => failure.extend_from_slice(bytes),
            }
        }
        if stream == 3 {
            let text = String::from_utf8_lossy(&failure);
            return Err(io::Error::other(format!("error from daemon in stream: {text}")));
        }
    }
}

/// Fills a buffer; false at the stream's end before its first byte.
fn fill(from: &mut dyn Read, buffer: &mut [u8]) -> io::Result<bool> {
    let mut filled = 0;
    while filled < buffer.len() {
        match read(from, &mut buffer[filled..])? {
            0 if filled == 0 => return Ok(false),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => filled += count,
        }
    }
    Ok(true)
}

fn read(from: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(mut bytes: &[u8]) -> Result<(String, String), String> {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        copy(&mut bytes, &mut out, &mut err).map_err(|e| e.to_string())?;
        Ok((String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap()))
    }

    #[test]
    fn streams_are_taken_apart() {
        let both = b"\x01\0\0\0\0\0\0\x02hi\x02\0\0\0\0\0\0\x03ohn\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\x01!";
        assert_eq!(taken(both).unwrap(), ("hi!".to_owned(), "ohn".to_owned()));
        assert_eq!(taken(b"").unwrap(), (String::new(), String::new()));
        for (bytes, part) in [
            (&b"\x01\0\0"[..], "end of file"),
            (b"\x01\0\0\0\0\0\0\x05abc", "end of file"),
            (b"hello world", "unrecognized input header: 104"),
            (b"\x01\0\0\0\xff\xff\xff\xff", "unrecognized input header"),
            (b"\x03\0\0\0\0\0\0\x04ouch", "error from daemon in stream: ouch"),
        ] {
            let said = taken(bytes).unwrap_err();
            assert!(said.contains(part), "{bytes:?}: {said}");
        }
    }
}
