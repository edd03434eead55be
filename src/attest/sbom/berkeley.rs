//! `Packages` as a Berkeley DB hash file (old rpm): pages with pairs, long values on pages of their own.

use std::collections::HashSet;

const MAGIC: usize = 0x0006_1561;
const PAGE_HEADER: usize = 26;
const HASH_UNSORTED: u8 = 2;
const HASH: u8 = 13;
const OVERFLOW: u8 = 7;
/// Type of a value that lies on other pages.
const OFF_PAGE: u8 = 3;

struct File<'a> {
    bytes: &'a [u8],
    big: bool,
    page: usize,
}

/// Returns the header of every package; none if it is no such file.
pub(super) fn packages(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut file = File { bytes, big: false, page: 0 };
    if file.number(12, 4)? != MAGIC {
        file.big = true;
        if file.number(12, 4)? != MAGIC {
            return None;
        }
    }
    file.page = file.number(20, 4)?;
    if !file.page.is_power_of_two() || !(512..=65536).contains(&file.page) {
        return None;
    }
    let pages = bytes.len() / file.page;
    Some((1..pages).flat_map(|page| file.values(page).unwrap_or_default()).collect())
}

impl File<'_> {
    fn number(&self, at: usize, width: usize) -> Option<usize> {
        let bytes = self.bytes.get(at..at.checked_add(width)?)?;
        let join = |value: usize, byte: &u8| value << 8 | usize::from(*byte);
        Some(if self.big { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) })
    }

    /// Returns the long values of a hash page; packages are never short.
    fn values(&self, page: usize) -> Option<Vec<Vec<u8>>> {
        let start = page.checked_mul(self.page)?;
        if ![HASH, HASH_UNSORTED].contains(self.bytes.get(start + 25)?) {
            return None;
        }
        let count = self.number(start + 20, 2)?;
        let mut found = Vec::new();
        // Keys and values take turns.
        for entry in (1..count).step_by(2) {
            let at = start + self.number(start + PAGE_HEADER + entry * 2, 2)?;
            if *self.bytes.get(at)? == OFF_PAGE {
                found.extend(self.chain(self.number(at + 4, 4)?, self.number(at + 8, 4)?));
            }
        }
        Some(found)
    }

    /// Returns a value that lies on a chain of pages.
    fn chain(&self, first: usize, length: usize) -> Option<Vec<u8>> {
        let (mut value, mut page, mut seen) = (Vec::new(), first, HashSet::new());
        while page != 0 && value.len() < length {
            let start = page.checked_mul(self.page)?;
            if *self.bytes.get(start + 25)? != OVERFLOW || !seen.insert(page) {
                return None;
            }
            let data = start + PAGE_HEADER;
            let size = self.number(start + 22, 2)?.min(self.page - PAGE_HEADER);
            value.extend(self.bytes.get(data..data + size)?);
            page = self.number(start + 16, 4)?;
        }
        (value.len() >= length).then(|| {
            value.truncate(length);
            value
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 512;

    fn file(chain_to: u32) -> Vec<u8> {
        let mut bytes = vec![0; SIZE * 4];
        bytes[12..16].copy_from_slice(&(MAGIC as u32).to_le_bytes());
        bytes[20..24].copy_from_slice(&(SIZE as u32).to_le_bytes());
        // Page 1: a key and a long value of 600 bytes on page 2.
        bytes[SIZE + 20] = 2;
        bytes[SIZE + 25] = HASH;
        bytes[SIZE + 26..SIZE + 30].copy_from_slice(&[0, 1, 0x80, 0]);
        bytes[SIZE + 0x80] = OFF_PAGE;
        bytes[SIZE + 0x84] = 2;
        bytes[SIZE + 0x88..SIZE + 0x8a].copy_from_slice(&600u16.to_le_bytes());
        for (page, next, size) in [(2, chain_to, 486u16), (3, 0, 114)] {
            let start = page * SIZE;
            bytes[start + 16..start + 20].copy_from_slice(&next.to_le_bytes());
            bytes[start + 22..start + 24].copy_from_slice(&size.to_le_bytes());
            bytes[start + 25] = OVERFLOW;
            bytes[start + PAGE_HEADER..start + PAGE_HEADER + usize::from(size)].fill(page as u8);
        }
        bytes
    }

    #[test]
    fn values_are_put_together_from_their_pages() {
        let whole = file(3);
        let expected = [vec![2u8; 486], vec![3; 114]].concat();
        assert_eq!(packages(&whole), Some(vec![expected]));
        assert_eq!(packages(&file(2)), Some(vec![]), "a chain that loops gives nothing");
        for cut in 0..whole.len() {
            let _ = packages(&whole[..cut]);
        }
        assert_eq!(packages(b"RpmP"), None);
    }
}
