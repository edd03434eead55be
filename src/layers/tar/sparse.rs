//! Files that are stored without their holes.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};

use tar_core::SparseEntry;

/// Where the stored bytes of a sparse file belong.
#[derive(Debug)]
pub(super) struct Sparse {
    regions: std::vec::IntoIter<SparseEntry>,
    region: Option<SparseEntry>,
    position: u64,
    size: u64,
}

impl Sparse {
    /// Begins at the start of a file of `size` bytes, of which `stored` are in the tar.
    ///
    /// # Errors
    /// The map goes backwards, leaves the file, or does not account for all stored bytes.
    pub fn new(map: Vec<SparseEntry>, stored: u64, size: u64) -> Result<Self, String> {
        let (mut at, mut total) = (0u64, 0u64);
        for region in &map {
            let end = region.offset.checked_add(region.length).ok_or("a sparse region overflows")?;
            if region.offset < at || end > size {
                return Err("the sparse regions are out of order".to_owned());
            }
            at = end;
            total += region.length;
        }
        if total != stored {
            return Err("the sparse regions do not add up".to_owned());
        }
        Ok(Self { regions: map.into_iter(), region: None, position: 0, size })
    }

    /// Returns the file's size, holes included.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Reads on; `stored` gives stored bytes, at most as many as it is told.
    pub fn read(
        &mut self,
        out: &mut [u8],
        stored: impl FnOnce(&mut [u8], u64) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if self.region.is_none() {
            self.region = self.regions.find(|region| region.length > 0);
        }
        let next = self.region.as_ref().map_or(self.size, |region| region.offset);
        if self.position < next {
            let count = (out.len() as u64).min(next - self.position) as usize;
            out[..count].fill(0);
            self.position += count as u64;
            return Ok(count);
        }
        let Some(region) = self.region.take() else { return Ok(0) };
        let count = stored(out, region.length)?;
        self.position += count as u64;
        if region.length > count as u64 {
            self.region = Some(SparseEntry {
                offset: region.offset + count as u64,
                length: region.length - count as u64,
            });
        }
        Ok(count)
    }
}

/// Writes what `source` gives at the end of a file, and leaves holes where it is zeros.
///
/// # Errors
/// Reading or writing fails.
pub fn copy_with_holes(source: &mut dyn Read, file: &mut File) -> io::Result<u64> {
    let mut buffer = vec![0; 64 << 10];
    let begin = file.seek(SeekFrom::End(0))?;
    let mut at = begin;
    loop {
        let count = match source.read(&mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if count == 0 {
            file.set_len(at)?;
            file.seek(SeekFrom::Start(at))?;
            return Ok(at - begin);
        }
        at += count as u64;
        if buffer[..count].iter().all(|byte| *byte == 0) {
            file.seek(SeekFrom::Start(at))?;
        } else {
            file.write_all(&buffer[..count])?;
        }
    }
}
