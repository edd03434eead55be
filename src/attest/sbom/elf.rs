//! Sections of ELF files by name: just enough to find notes that compilers leave.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

/// Most sections that are looked at.
const MAX_SECTIONS: u64 = 4096;

/// The section table of a file.
pub(super) struct Elf {
    sections: Vec<Section>,
    names: Vec<u8>,
}

struct Section {
    name: usize,
    offset: u64,
    size: u64,
}

impl Elf {
    /// Reads the section table; none if the file is no ELF file or has none.
    pub(super) fn read(file: &File) -> Option<Self> {
        let mut header = [0u8; 64];
        file.read_exact_at(&mut header, 0).ok()?;
        if &header[..4] != b"\x7fELF" || !(1..=2).contains(&header[4]) || !(1..=2).contains(&header[5]) {
            return None;
        }
        let layout = Layout { wide: header[4] == 2, big: header[5] == 2 };
        let (table, entry, count, names) = match layout.wide {
            true => (layout.word(&header, 40), 58, 60, 62),
            false => (layout.word(&header, 32), 46, 48, 50),
        };
        let entry = layout.number(&header[entry..entry + 2]);
        let count = layout.number(&header[count..count + 2]).min(MAX_SECTIONS);
        let names = layout.number(&header[names..names + 2]);
        if entry < if layout.wide { 64 } else { 40 } || entry > 256 || table == 0 {
            return None;
        }
        let mut bytes = vec![0; usize::try_from(entry * count).ok()?];
        file.read_exact_at(&mut bytes, table).ok()?;
        let sections: Vec<Section> =
            bytes.chunks_exact(usize::try_from(entry).ok()?).map(|one| layout.section(one)).collect();
        let list = sections.get(usize::try_from(names).ok()?)?;
        let names = content(file, list, 1 << 20)?;
        Some(Self { sections, names })
    }

    /// Returns a section's bytes; none if there is none, or it has more than `limit`.
    pub(super) fn section(&self, file: &File, name: &str, limit: usize) -> Option<Vec<u8>> {
        let is_named = |section: &&Section| {
            self.names.get(section.name..).is_some_and(|rest| {
                rest.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&0))
            })
        };
        content(file, self.sections.iter().find(is_named)?, limit as u64)
    }
}

fn content(file: &File, section: &Section, limit: u64) -> Option<Vec<u8>> {
    // A size is a claim; what the file does not have is not asked for.
    let there = file.metadata().ok()?.len();
    if section.size > limit || section.offset.checked_add(section.size)? > there {
        return None;
    }
    let mut bytes = vec![0; usize::try_from(section.size).ok()?];
    file.read_exact_at(&mut bytes, section.offset).ok()?;
    Some(bytes)
}

/// Width and order of numbers.
struct Layout {
    wide: bool,
    big: bool,
}

impl Layout {
    fn number(&self, bytes: &[u8]) -> u64 {
        let join = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        if self.big { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) }
    }

    fn word(&self, bytes: &[u8], at: usize) -> u64 {
        self.number(&bytes[at..at + if self.wide { 8 } else { 4 }])
    }

    fn section(&self, bytes: &[u8]) -> Section {
        let (offset, size) = if self.wide { (24, 32) } else { (16, 20) };
        Section {
            name: usize::try_from(self.number(&bytes[..4])).unwrap_or(usize::MAX),
            offset: self.word(bytes, offset),
            size: self.word(bytes, size),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_of_a_real_binary_are_found() {
        let file = File::open("/proc/self/exe").unwrap();
        let elf = Elf::read(&file).unwrap();
        assert!(elf.section(&file, ".text", 1 << 30).is_some_and(|text| !text.is_empty()));
        assert!(elf.section(&file, ".nosuch", 1 << 20).is_none() && elf.section(&file, ".text", 1).is_none());
        assert!(Elf::read(&File::open("/proc/self/maps").unwrap()).is_none());
    }
}
