//! The init of a container: process 1 that reaps zombies and hands signals on to the program.
//!
//! It is a program of its own, some 250 bytes of machine code in an ELF file in memory: so it starts at once, and a
//! container gets no hold of this program's file or memory through `/proc/1`. Its arguments are its name, the
//! path of the program, and the program's arguments. All its signals are blocked and taken one by one, so that even
//! those count that the kernel would keep from a process 1 without handlers. The program gets a process group of
//! its own and the terminal, if there is one. Init ends when the program does, with its code or 128 plus its signal.

use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock};

use rustix::fs::{MemfdFlags, SealFlags};

use super::error::RunError;

/// Returns the init's program, open for execution.
pub(super) fn program() -> Result<Arc<OwnedFd>, RunError> {
    static PROGRAM: OnceLock<Arc<OwnedFd>> = OnceLock::new();
    if let Some(program) = PROGRAM.get() {
        return Ok(Arc::clone(program));
    }
    let made = Arc::new(make(&code()?)?);
    Ok(Arc::clone(PROGRAM.get_or_init(|| made)))
}

fn make(code: &[u8]) -> Result<OwnedFd, RunError> {
    let failed = |e: std::io::Error| RunError::setup("make the init program", e);
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels with vm.memfd_noexec want to be told that it is meant to be executed; older ones refuse the flag.
    let fd = rustix::fs::memfd_create("skiff-init", flags | MemfdFlags::EXEC)
        .or_else(|_| rustix::fs::memfd_create("skiff-init", flags))
        .map_err(|e| failed(e.into()))?;
    let mut file = std::fs::File::from(fd);
    file.write_all(&elf(code)).map_err(failed)?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&file, seals).map_err(|e| failed(e.into()))?;
    Ok(file.into())
}

/// Where the program lies in memory.
const BASE: u64 = 0x40_0000;
const FILE_HEADER: usize = 64;
const SEGMENT_HEADER: usize = 56;

/// Returns an ELF file of one segment (elf(5)) that starts with the first byte of `code`.
fn elf(code: &[u8]) -> Vec<u8> {
    let headers = FILE_HEADER + 2 * SEGMENT_HEADER;
    let size = (headers + code.len()) as u64;
    let mut file = Vec::with_capacity(headers + code.len());
    file.extend(b"\x7fELF\x02\x01\x01");
    file.resize(16, 0);
    file.extend(2u16.to_le_bytes()); // an executable
    file.extend(62u16.to_le_bytes()); // for x86_64
    file.extend(1u32.to_le_bytes());
    for word in [BASE + headers as u64, FILE_HEADER as u64, 0] {
        file.extend(word.to_le_bytes());
    }
    file.extend(0u32.to_le_bytes());
    for half in [FILE_HEADER as u16, SEGMENT_HEADER as u16, 2, 64, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    // The file, readable and executable; a stack that is not executable.
    for (kind, flags, base, size) in [(1u32, 5u32, BASE, size), (0x6474_e551, 6, 0, 0)] {
        file.extend(kind.to_le_bytes());
        file.extend(flags.to_le_bytes());
        for word in [0, base, base, size, size, 4096] {
            file.extend(word.to_le_bytes());
        }
    }
    file.extend(code);
    file
}

#[cfg(not(target_arch = "x86_64"))]
fn code() -> Result<Vec<u8>, RunError> {
    Err(RunError::Refused("an init process is only available on x86_64".into()))
}

#[cfg(target_arch = "x86_64")]
fn code() -> Result<Vec<u8>, RunError> {
    Ok(super::sys::init_code().to_vec())
}
