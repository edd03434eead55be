//! `rpmdb.sqlite`, read by its file format (SQLite, "Database File Format"): one table, no writing.
//!
//! SQLite itself opens files by path, which a hostile image could turn
//! elsewhere; and of everything that it can do, this needs very little.

use std::collections::HashSet;

const MAGIC: &[u8] = b"SQLite format 3\0";
const INTERIOR: u8 = 5;
const LEAF: u8 = 13;
/// Deepest tree that is walked.
const MAX_DEPTH: usize = 32;

struct Database<'a> {
    bytes: &'a [u8],
    page: usize,
    usable: usize,
}

/// A column's value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Column {
    Number(i64),
    Bytes(Vec<u8>),
    Other,
}

/// Returns the header of every package; none if it is no such database.
pub(super) fn packages(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    if !bytes.starts_with(MAGIC) {
        return None;
    }
    let page = match u16::from_be_bytes(bytes.get(16..18)?.try_into().ok()?) {
        1 => 65536,
        size => usize::from(size),
    };
    let usable = page.checked_sub(usize::from(*bytes.get(20)?))?;
    if !page.is_power_of_two() || usable < 480 {
        return None;
    }
    let database = Database { bytes, page, usable };
    // sqlite_schema: type, name, tbl_name, rootpage, sql.
    let is_packages = |row: &Vec<Column>| row.get(1) == Some(&Column::Bytes(b"Packages".to_vec()));
    let root = database.rows(1).into_iter().find(is_packages)?;
    let Some(Column::Number(root)) = root.get(3) else { return None };
    let rows = database.rows(usize::try_from(*root).ok()?);
    // Packages: hnum, blob.
    Some(
        rows.into_iter()
            .filter_map(|row| match row.into_iter().nth(1) {
                Some(Column::Bytes(bytes)) => Some(bytes),
                _ => None,
            })
            .collect(),
    )
}

impl Database<'_> {
    /// Returns the rows of a table whose tree begins at a page; damaged parts are passed over.
    fn rows(&self, root: usize) -> Vec<Vec<Column>> {
        let (mut rows, mut seen) = (Vec::new(), HashSet::new());
        self.walk(root, 0, &mut seen, &mut rows);
        rows
    }

    fn walk(
        &self,
        number: usize,
        depth: usize,
        seen: &mut HashSet<usize>,
        rows: &mut Vec<Vec<Column>>,
    ) -> Option<()> {
        if depth > MAX_DEPTH || !seen.insert(number) {
            return None;
        }
        let page = self.page(number)?;
        let header = if number == 1 { 100 } else { 0 };
        let kind = *page.get(header)?;
        let count = usize::from(short(page, header + 3)?);
        let cells = header + if kind == INTERIOR { 12 } else { 8 };
        for cell in 0..count {
            let at = usize::from(short(page, cells + cell * 2)?);
            match kind {
                INTERIOR => {
                    let _ = self.walk(long(page, at)?, depth + 1, seen, rows);
                }
                LEAF => rows.extend(self.row(page, at)),
                _ => return None,
            }
        }
        if kind == INTERIOR {
            self.walk(long(page, header + 8)?, depth + 1, seen, rows)?;
        }
        Some(())
    }

    fn page(&self, number: usize) -> Option<&[u8]> {
        let start = number.checked_sub(1)?.checked_mul(self.page)?;
        self.bytes.get(start..start.checked_add(self.page)?)
    }

    /// Reads a cell of a leaf: size of the payload, row id, payload, and where it goes on.
    fn row(&self, page: &[u8], at: usize) -> Option<Vec<Column>> {
        let (size, at) = varint(page, at)?;
        let (_, at) = varint(page, at)?;
        let size = usize::try_from(size).ok()?;
        let local = self.local(size);
        let mut payload = page.get(at..at.checked_add(local)?)?.to_vec();
        if local < size {
            self.overflow(long(page, at + local)?, size, &mut payload)?;
        }
        record(&payload)
    }

    /// Returns how much of a payload lies in the leaf itself ("B-tree Pages", cell payload overflow).
    fn local(&self, size: usize) -> usize {
        let most = self.usable - 35;
        if size <= most {
            return size;
        }
        let least = (self.usable - 12) * 32 / 255 - 23;
        let local = least + (size - least) % (self.usable - 4);
        if local <= most { local } else { least }
    }

    fn overflow(&self, first: usize, size: usize, payload: &mut Vec<u8>) -> Option<()> {
        let (mut next, mut seen) = (first, HashSet::new());
        // A size is a claim: no more is read than there are pages.
        while payload.len() < size {
            if !seen.insert(next) {
                return None;
            }
            let page = self.page(next)?;
            let count = (size - payload.len()).min(self.usable - 4);
            payload.extend(page.get(4..4 + count)?);
            next = long(page, 0)?;
        }
        Some(())
    }
}

/// Reads a record ("Record Format"): types first, then values.
fn record(payload: &[u8]) -> Option<Vec<Column>> {
    let (header, mut at) = varint(payload, 0)?;
    let header = usize::try_from(header).ok().filter(|size| *size <= payload.len())?;
    let (mut columns, mut value) = (Vec::new(), header);
    while at < header {
        let (kind, next) = varint(payload, at)?;
        at = next;
        let size = match kind {
            0 | 8..=11 => 0,
            1..=4 => usize::try_from(kind).ok()?,
            5 => 6,
            6 | 7 => 8,
            kind => usize::try_from((kind - 12) / 2).ok()?,
        };
        let bytes = payload.get(value..value.checked_add(size)?)?;
        value += size;
        columns.push(match kind {
            1..=6 => {
                let sign = if bytes[0] & 0x80 == 0 { 0 } else { -1 };
                Column::Number(bytes.iter().fold(sign, |n: i64, byte| n << 8 | i64::from(*byte)))
            }
            8 => Column::Number(0),
            9 => Column::Number(1),
            12.. => Column::Bytes(bytes.to_vec()),
            _ => Column::Other,
        });
    }
    Some(columns)
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?) as usize)
}

/// Reads a number of one to nine bytes, and returns where it ends.
fn varint(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let mut value = 0;
    for number in 0..9 {
        let byte = *bytes.get(at.checked_add(number)?)?;
        if number == 8 {
            return Some((value << 8 | u64::from(byte), at + 9));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, at + number + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database as SQLite itself writes it.
    fn database(blobs: &[Vec<u8>]) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rpmdb.sqlite");
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection
            .execute_batch("CREATE TABLE Name(key TEXT); CREATE TABLE Packages(hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
            .unwrap();
        for blob in blobs {
            connection.execute("INSERT INTO Packages(blob) VALUES (?1)", [blob]).unwrap();
        }
        drop(connection);
        std::fs::read(path).unwrap()
    }

    #[test]
    fn rows_of_any_size_are_read_as_sqlite_wrote_them() {
        let blobs: Vec<Vec<u8>> = [1, 100, 3000, 4000, 4061, 4062, 5000, 40_000, 300_000]
            .into_iter()
            .chain((0..300).map(|n| n * 7))
            .map(|size| (0..size).map(|n: usize| (n * 31 + size) as u8).collect())
            .collect();
        assert_eq!(packages(&database(&blobs)), Some(blobs));
    }

    #[test]
    fn damage_gives_less_and_never_panics() {
        let blobs = vec![vec![7; 9000], vec![8; 20]];
        let whole = database(&blobs);
        assert_eq!(packages(b"SQLite format 3\0"), None);
        for cut in (0..whole.len()).step_by(97) {
            let _ = packages(&whole[..cut]);
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0xff;
            let _ = packages(&damaged);
        }
    }
}
