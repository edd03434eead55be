//! Compressed streams: told by their first bytes, read in one pass; gzip and zstd written in parallel.

use std::io::{BufReader, Cursor, Read, Write};

use rayon::prelude::*;

use super::error::LayerError;

/// Bytes that tell every format apart; a tar's own mark stands at byte 257.
pub const MAGIC: usize = 6;
/// Bytes of one gzip member; fixed, so that the result does not depend on the number of threads.
const MEMBER: usize = 1 << 20;

/// Compression of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// None.
    Plain,
    /// gzip, any number of members (RFC 1952).
    Gzip,
    /// Zstandard, skippable frames included (RFC 8878).
    Zstd,
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
}

impl Format {
    /// Returns the format that a stream with these first bytes has.
    pub fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Self::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            _ => Self::Plain,
        }
    }
}

/// How to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// gzip members of 1 MiB by libdeflate at a level of 1 to 12.
    Gzip {
        /// The level.
        level: i32,
    },
    /// Zstandard at a level of 1 to 22.
    Zstd {
        /// The level.
        level: i32,
    },
}

impl Default for Compression {
    /// Gzip, which every client reads, at the level that takes the least time: half of what level 4
    /// takes, for blobs that are 6 % larger.
    fn default() -> Self {
        Self::Gzip { level: 1 }
    }
}

/// Looks at the first bytes of a stream and returns its format and its decompressed bytes.
///
/// The caller bounds how much it reads: a small stream may stand for a very large one.
///
/// # Errors
/// The stream fails, or a decoder can't be set up.
pub fn decompress<'a>(
    source: impl Read + Send + 'a,
) -> Result<(Format, Box<dyn Read + Send + 'a>), LayerError> {
    let mut source = source;
    let mut head = Vec::with_capacity(MAGIC);
    (&mut source).take(MAGIC as u64).read_to_end(&mut head).map_err(LayerError::io("read stream"))?;
    let format = Format::of(&head);
    let whole = Cursor::new(head).chain(source);
    let plain: Box<dyn Read + Send + 'a> = match format {
        Format::Plain => Box::new(whole),
        Format::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(buffered(whole))),
        Format::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(buffered(whole));
            Box::new(decoder.map_err(LayerError::io("set up zstd"))?)
        }
        Format::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(buffered(whole))),
        Format::Xz => Box::new(liblzma::bufread::XzDecoder::new_multi_decoder(buffered(whole))),
    };
    Ok((format, plain))
}

fn buffered<R: Read>(source: R) -> BufReader<R> {
    BufReader::with_capacity(256 << 10, source)
}

/// Compresses a stream; the same bytes give the same bytes on any number of threads.
///
/// # Errors
/// A stream fails, or the level does not exist.
pub fn compress(source: &mut dyn Read, out: &mut dyn Write, how: Compression) -> Result<(), LayerError> {
    match how {
        Compression::Gzip { level } => gzip(source, out, level),
        Compression::Zstd { level } => {
            let mut encoder =
                zstd::stream::write::Encoder::new(out, level).map_err(LayerError::io("set up zstd"))?;
            let threads = rayon::current_num_threads() as u32;
            encoder.multithread(threads).map_err(LayerError::io("set up zstd"))?;
            std::io::copy(source, &mut encoder).map_err(LayerError::io("compress"))?;
            encoder.finish().map(drop).map_err(LayerError::io("compress"))
        }
    }
}

/// One member in the making: its buffers and its compressor serve many, one after another.
struct Member {
    plain: Vec<u8>,
    packed: Vec<u8>,
    size: usize,
    compressor: libdeflater::Compressor,
}

impl Member {
    fn new(level: libdeflater::CompressionLvl) -> Self {
        let compressor = libdeflater::Compressor::new(level);
        Self { plain: Vec::with_capacity(MEMBER), packed: Vec::new(), size: 0, compressor }
    }

    /// Takes the next bytes of a stream; says whether there may be more.
    fn fill(&mut self, source: &mut dyn Read) -> std::io::Result<bool> {
        self.plain.clear();
        source.take(MEMBER as u64).read_to_end(&mut self.plain)?;
        Ok(self.plain.len() == MEMBER)
    }

    fn pack(&mut self) {
        let bound = self.compressor.gzip_compress_bound(self.plain.len());
        if self.packed.len() < bound {
            self.packed.resize(bound, 0);
        }
        let packed = self.compressor.gzip_compress(&self.plain, &mut self.packed);
        self.size = packed.expect("the bound is enough");
    }
}

fn gzip(source: &mut dyn Read, out: &mut dyn Write, level: i32) -> Result<(), LayerError> {
    let level = libdeflater::CompressionLvl::new(level).map_err(|_| LayerError::Io {
        action: "compress",
        source: std::io::Error::new(std::io::ErrorKind::InvalidInput, format!("gzip has no level {level}")),
    })?;
    let width = rayon::current_num_threads() * 2;
    let mut members: Vec<Member> = Vec::new();
    let (mut first, mut more) = (true, true);
    while more {
        let mut count = 0;
        while more && count < width {
            if members.len() == count {
                members.push(Member::new(level));
            }
            let member = &mut members[count];
            more = member.fill(source).map_err(LayerError::io("read content"))?;
            // Nothing at all is one empty member.
            if !member.plain.is_empty() || first {
                count += 1;
            }
            first = false;
        }
        members[..count].par_iter_mut().for_each(Member::pack);
        for member in &members[..count] {
            out.write_all(&member.packed[..member.size]).map_err(LayerError::io("write compressed"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_back(packed: Vec<u8>) -> (Format, Vec<u8>) {
        let (format, mut plain) = decompress(Cursor::new(packed)).unwrap();
        let mut out = Vec::new();
        plain.read_to_end(&mut out).unwrap();
        (format, out)
    }

    #[test]
    fn what_is_compressed_reads_back() {
        for size in [0usize, 1, 100, MEMBER, MEMBER * 3 + 5] {
            let data: Vec<u8> = (0..size).map(|n| (n / 7) as u8).collect();
            for (how, format) in [
                (Compression::Gzip { level: 4 }, Format::Gzip),
                (Compression::Zstd { level: 3 }, Format::Zstd),
            ] {
                let mut packed = Vec::new();
                compress(&mut &data[..], &mut packed, how).unwrap();
                assert_eq!(read_back(packed.clone()), (format, data.clone()), "{size}");
                let mut again = Vec::new();
                let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
                if format == Format::Gzip {
                    one.install(|| compress(&mut &data[..], &mut again, how)).unwrap();
                    assert_eq!(again, packed, "threads do not matter");
                }
            }
        }
    }

    #[test]
    fn skippable_frames_and_several_members_are_read() {
        let mut zstd = vec![0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
        zstd.extend(zstd::encode_all(&b"text"[..], 3).unwrap());
        assert_eq!(read_back(zstd), (Format::Zstd, b"text".to_vec()));
        let mut gzip = Vec::new();
        for part in [&b"one "[..], b"two"] {
            compress(&mut &part[..], &mut gzip, Compression::Gzip { level: 1 }).unwrap();
        }
        assert_eq!(read_back(gzip), (Format::Gzip, b"one two".to_vec()));
        assert_eq!(read_back(b"plain".to_vec()), (Format::Plain, b"plain".to_vec()));
    }

    #[test]
    fn a_level_that_does_not_exist_is_an_error() {
        assert!(compress(&mut &b"x"[..], &mut Vec::new(), Compression::Gzip { level: 99 }).is_err());
    }
}
