//! rpm's own database, `Packages.db` (rpm, lib/backend/ndb/rpmpkg.c): slots that point at blobs.

const MAGIC: &[u8] = b"RpmP";
const SLOT_MAGIC: &[u8] = b"Slot";
const BLOB_MAGIC: &[u8] = b"BlbS";
/// Bytes of the header, and of two slots.
const HEADER: usize = 32;
const SLOT: usize = 16;
const PAGE: usize = 4096;
/// Unit of a blob's place.
const BLOCK: usize = 16;

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?) as usize)
}

/// Returns the header of every package; none if it is no such database.
pub(super) fn packages(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    if !bytes.starts_with(MAGIC) {
        return None;
    }
    let end = number(bytes, 12)?.checked_mul(PAGE)?.min(bytes.len());
    let slots = bytes.get(HEADER..end)?.chunks_exact(SLOT);
    Some(slots.filter_map(|slot| blob(bytes, slot)).collect())
}

fn blob(bytes: &[u8], slot: &[u8]) -> Option<Vec<u8>> {
    let (package, place) = (number(slot, 4)?, number(slot, 8)?);
    if !slot.starts_with(SLOT_MAGIC) || place == 0 {
        return None;
    }
    let at = place.checked_mul(BLOCK)?;
    let head = bytes.get(at..at.checked_add(BLOCK)?)?;
    if !head.starts_with(BLOB_MAGIC) || number(head, 4)? != package {
        return None;
    }
    let start = at + BLOCK;
    Some(bytes.get(start..start.checked_add(number(head, 12)?)?)?.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_are_found_by_their_slots() {
        let mut bytes = [MAGIC, &[0; 8], &1u32.to_le_bytes(), &[0; 16]].concat();
        let slot = |package: u32, place: u32| {
            [SLOT_MAGIC, &package.to_le_bytes(), &place.to_le_bytes(), &1u32.to_le_bytes()].concat()
        };
        bytes.extend(slot(7, (PAGE / BLOCK) as u32));
        bytes.extend(slot(8, 1 << 30));
        bytes.resize(PAGE, 0);
        bytes.extend([BLOB_MAGIC, &7u32.to_le_bytes(), &[0; 4], &4u32.to_le_bytes(), b"data"].concat());
        assert_eq!(packages(&bytes), Some(vec![b"data".to_vec()]));
        assert_eq!(packages(b"SQLite"), None);
        for cut in 0..bytes.len() {
            let _ = packages(&bytes[..cut]);
        }
    }
}
