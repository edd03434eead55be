//! The bytes of a context index.

use std::collections::BTreeMap;

use super::FileState;

const MAGIC: &[u8; 8] = b"skiffci1";
pub(super) const SUM: usize = 32;
pub(super) const HEADER: usize = SUM + 8 + 4 + 4 + 16;
pub(super) const ENTRY: usize = 88;
pub(super) const MAX_FILE: usize = 1 << 30;
/// Slots that are tried before a search takes over, so that chosen names cost little.
pub(super) const MAX_PROBES: usize = 16;

/// One file of a context.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) path: &'a [u8],
    pub(super) state: FileState,
    pub(super) age: u32,
    pub(super) digest: [u8; 32],
}

/// Returns the numbers of entries and slots of an undamaged file.
pub(super) fn check(bytes: &[u8]) -> Option<(usize, usize)> {
    if bytes.len() < HEADER || &bytes[SUM..SUM + 8] != MAGIC {
        return None;
    }
    if blake3::hash(&bytes[SUM..]).as_bytes() != &bytes[..SUM] {
        return None;
    }
    let (count, slots) = (u32_at(bytes, SUM + 8) as usize, u32_at(bytes, SUM + 12) as usize);
    let fixed = HEADER.checked_add(count.checked_mul(ENTRY)?)?.checked_add(slots.checked_mul(4)?)?;
    (slots.is_power_of_two() && count < slots && fixed <= bytes.len()).then_some((count, slots))
}

/// Writes the file; none when there is too much for it.
pub(super) fn encode(all: &BTreeMap<&[u8], Entry<'_>>) -> Option<Vec<u8>> {
    let count = u32::try_from(all.len()).ok()?;
    let slots = (count.max(4) * 2).checked_next_power_of_two()?;
    let paths: usize = all.keys().map(|path| path.len()).sum();
    u32::try_from(paths).ok()?;
    let total = HEADER + all.len() * ENTRY + slots as usize * 4 + paths;
    if total > MAX_FILE {
        return None;
    }
    let key = super::super::file::random_id();
    let mut out = Vec::with_capacity(total);
    out.extend([0; SUM]);
    out.extend(MAGIC);
    out.extend(count.to_le_bytes());
    out.extend(slots.to_le_bytes());
    out.extend(&key.as_bytes()[..16]);
    let mut offset = 0u32;
    for entry in all.values() {
        encode_entry(&mut out, entry, offset);
        offset += entry.path.len() as u32;
    }
    let mut table = vec![0u32; slots as usize];
    for (number, path) in all.keys().enumerate() {
        let mut slot = hash(path, &key.as_bytes()[..16]) as usize & (table.len() - 1);
        let free = (0..MAX_PROBES).find_map(|_| {
            let this = slot;
            slot = (slot + 1) & (table.len() - 1);
            (table[this] == 0).then_some(this)
        });
        // Without a slot it is found by search.
        if let Some(free) = free {
            table[free] = number as u32 + 1;
        }
    }
    out.extend(table.iter().flat_map(|slot| slot.to_le_bytes()));
    out.extend(all.keys().flat_map(|path| path.iter()));
    let sum = blake3::hash(&out[SUM..]);
    out[..SUM].copy_from_slice(sum.as_bytes());
    Some(out)
}

fn encode_entry(out: &mut Vec<u8>, entry: &Entry<'_>, offset: u32) {
    let state = &entry.state;
    out.extend(offset.to_le_bytes());
    out.extend((entry.path.len() as u32).to_le_bytes());
    out.extend(state.size.to_le_bytes());
    out.extend(state.mtime.0.to_le_bytes());
    out.extend(state.ctime.0.to_le_bytes());
    out.extend(state.mtime.1.to_le_bytes());
    out.extend(state.ctime.1.to_le_bytes());
    out.extend(state.ino.to_le_bytes());
    out.extend(state.mode.to_le_bytes());
    out.extend(entry.age.to_le_bytes());
    out.extend(entry.digest);
}

/// FNV-1a over key and path, eight bytes at a time, mixed at the end.
pub(super) fn hash(path: &[u8], key: &[u8]) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut state = u64_at(key, 0) ^ u64_at(key, 8).rotate_left(32);
    let (words, rest) = path.as_chunks::<8>();
    for word in words {
        state = (state ^ u64::from_le_bytes(*word)).wrapping_mul(PRIME).rotate_left(29);
    }
    for byte in rest {
        state = (state ^ u64::from(*byte)).wrapping_mul(PRIME);
    }
    state ^= state >> 32;
    state.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
