//! Numbers of system calls by name.

use std::collections::HashMap;

/// An architecture that a filter tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Arch {
    X86_64,
    X86,
    X32,
}

impl Arch {
    pub const ALL: [Self; 3] = [Self::X86_64, Self::X86, Self::X32];

    /// Returns the architecture by its name in `archMap`.
    pub fn of_scmp(name: &str) -> Option<Self> {
        match name {
            "SCMP_ARCH_X86_64" => Some(Self::X86_64),
            "SCMP_ARCH_X86" => Some(Self::X86),
            "SCMP_ARCH_X32" => Some(Self::X32),
            _ => None,
        }
    }

    /// Returns its name in profiles.
    pub fn scmp(self) -> &'static str {
        match self {
            Self::X86_64 => "SCMP_ARCH_X86_64",
            Self::X86 => "SCMP_ARCH_X86",
            Self::X32 => "SCMP_ARCH_X32",
        }
    }

    /// Returns the value of `seccomp_data.arch` (linux/audit.h).
    pub fn audit(self) -> u32 {
        match self {
            Self::X86_64 | Self::X32 => 0xc000_003e,
            Self::X86 => 0x4000_0003,
        }
    }
}

/// The bit that x32 calls have in their number.
pub(super) const X32_BIT: u32 = 1 << 30;

/// Returns the numbers of each call, by architecture in the order of [`Arch::ALL`], x32 with its bit.
pub(super) fn numbers() -> HashMap<&'static str, [Option<u32>; 3]> {
    let lines = include_str!("syscalls.txt").lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let mut fields = line.split(' ');
            let name = fields.next()?;
            let mut number = || fields.next().and_then(|text| text.parse::<u32>().ok());
            let (x86_64, x86, x32) = (number(), number(), number());
            Some((name, [x86_64, x86, x32.map(|n| n | X32_BIT)]))
        })
        .collect()
}
