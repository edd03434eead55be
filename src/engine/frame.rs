//! The frames in which standard output and standard error share a stream, for who writes them; the client reads.
//!
//! ```text
//! [stream, 0, 0, 0, length as four bytes, the highest first] and so many bytes
//! ```

use std::io::{self, Write};

/// Longest payload that is written in one frame.
const MOST: usize = 32 << 10;

/// Which stream a frame belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameStream {
    /// What a process reads; clients never send frames, though.
    Stdin = 0,
    /// Standard output.
    Stdout = 1,
    /// Standard error.
    Stderr = 2,
    /// What the engine itself has to say.
    System = 3,
}

/// Bytes of a frame's head.
pub const HEAD: usize = 8;

/// Returns the head of a frame.
pub fn head(stream: FrameStream, length: u32) -> [u8; HEAD] {
    let [a, b, c, d] = length.to_be_bytes();
    [stream as u8, 0, 0, 0, a, b, c, d]
}

/// Writes bytes as frames, each in one piece.
///
/// # Errors
/// Writing fails.
pub fn write(to: &mut impl Write, stream: FrameStream, bytes: &[u8]) -> io::Result<()> {
    for piece in bytes.chunks(MOST) {
        let length = u32::try_from(piece.len()).expect("a piece is short");
        to.write_all(&[&head(stream, length)[..], piece].concat())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_dockers() {
        let mut out = Vec::new();
        write(&mut out, FrameStream::Stderr, b"abc").expect("memory takes all");
        assert_eq!(out, b"\x02\0\0\0\0\0\0\x03abc");
        out.clear();
        write(&mut out, FrameStream::Stdout, &vec![7; MOST + 1]).expect("memory takes all");
        assert_eq!(out.len(), MOST + 1 + 2 * HEAD);
        assert_eq!(out[MOST + HEAD..], [1, 0, 0, 0, 0, 0, 0, 1, 7]);
        out.clear();
        write(&mut out, FrameStream::Stdout, b"").expect("memory takes all");
        assert!(out.is_empty(), "an empty frame would mean an end to some clients");
    }
}
