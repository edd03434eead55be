//! From one tree to another one.

use std::io::BufReader;

use super::error::LayerError;
use super::pack::{PackOptions, pack_tree};
use super::unpack::{ChownPolicy, UnpackOptions, unpack};
use crate::fs::Root;

/// Copies a tree with owners, modes, times and what else layers keep, as a tar between two threads.
///
/// # Errors
/// A file can't be read or made.
pub fn copy_tree(from: &Root, to: &Root, chown: ChownPolicy) -> Result<(), LayerError> {
    let (reader, mut writer) = std::io::pipe().map_err(LayerError::io("make a pipe"))?;
    std::thread::scope(|scope| {
        // The writing end goes with the closure, and the end of the tar with it.
        let packing = scope.spawn(move || pack_tree(from, &mut writer, &PackOptions::default()));
        let mut reader = BufReader::with_capacity(256 << 10, reader);
        let unpacked = unpack(&mut reader, to, &UnpackOptions::plain(chown));
        drop(reader);
        let packed = packing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // When unpacking fails, packing does so for want of a reader.
        unpacked.and(packed.map(drop))
    })
}
