//! The index of any tar: no panic, a size in proportion, the same bytes again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use skiff_fuzz::layers::erofs::{IndexBuilder, NO_DATA};
use skiff_fuzz::layers::{TarLimits, TarReader};

fn index(bytes: &[u8]) -> Option<Vec<u8>> {
    let limits = TarLimits { entries: 10_000, bytes: 1 << 40, path: 4096, ..TarLimits::default() };
    let mut tar = TarReader::with_limits(bytes, limits);
    let mut builder = IndexBuilder::new();
    while let Some((entry, offset)) = tar.next_entry().ok()? {
        let offset = if tar.is_sparse() { NO_DATA } else { offset };
        builder.add(&entry, offset).ok()?;
    }
    let mut image = Vec::new();
    builder.finish(&mut image, bytes.len() as u64).ok()?;
    Some(image)
}

fuzz_target!(|bytes: &[u8]| {
    let Some(image) = index(bytes) else { return };
    assert_eq!(image.len() % 512, 0);
    assert!(image.len() <= (1 << 16) + 200 * bytes.len(), "{} of {}", image.len(), bytes.len());
    assert_eq!(index(bytes).as_deref(), Some(image.as_slice()));
});
