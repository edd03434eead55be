//! Any bytes as a tar: no panic, names inside the root, contents as long as said, an end.

#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use skiff_fuzz::layers::{EntryKind, TarLimits, TarReader};

fuzz_target!(|bytes: &[u8]| {
    let limits = TarLimits { entries: 10_000, bytes: 1 << 40, path: 4096, ..TarLimits::default() };
    let mut tar = TarReader::with_limits(bytes, limits);
    let mut entries = 0;
    while let Ok(Some((entry, offset))) = tar.next_entry() {
        entries += 1;
        // Every entry has a header of its own.
        assert!(entries <= bytes.len() / 512);
        assert!(offset <= bytes.len() as u64);
        assert!(!entry.path.starts_with(b"/") && entry.path.len() <= 4096);
        assert!(entry.path.split(|c| *c == b'/').all(|part| part != b".." && part != b"."));
        let EntryKind::File { size } = entry.kind else { continue };
        let mut content = Vec::new();
        let read = tar.by_ref().take(1 << 20).read_to_end(&mut content);
        assert!(content.len() as u64 <= size);
        if read.is_ok() {
            assert_eq!(content.len() as u64, size.min(1 << 20));
            if !tar.is_sparse() {
                assert_eq!(content, &bytes[offset as usize..][..content.len()]);
            }
        }
    }
});
