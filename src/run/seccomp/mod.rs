//! Seccomp filters from profiles in docker's JSON format.
//!
//! A profile's rules are first narrowed to what applies (capabilities, architecture, kernel), then every system call of
//! every architecture gets its decision, then the numbers with equal decisions are joined to ranges and laid out as a
//! binary search, so that a filter takes some ten instructions per call and fits the kernel's 4096.
//!
//! `default.json` states docker's default profile in docker's format; `syscalls.txt` has the numbers.

mod emit;
mod profile;
mod table;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use super::caps::CapSet;
use super::error::RunError;
use super::spec::Seccomp;
use super::sys::Instruction;

const DEFAULT_PROFILE: &str = include_str!("default.json");

type Cache = Mutex<HashMap<u64, Arc<Vec<Instruction>>>>;

/// Returns the filter for a process with these capabilities; none where all is allowed.
///
/// The default profile is compiled once per process and capability set.
///
/// # Errors
/// A profile is malformed, or asks for what can't be done.
pub(super) fn filter(
    seccomp: &Seccomp,
    capabilities: CapSet,
) -> Result<Option<Arc<Vec<Instruction>>>, RunError> {
    static CACHE: OnceLock<Cache> = OnceLock::new();
    match seccomp {
        Seccomp::Unconfined => Ok(None),
        Seccomp::Profile(text) => compile(text, capabilities).map(|filter| Some(Arc::new(filter))),
        Seccomp::Default => {
            let cache = CACHE.get_or_init(Mutex::default);
            if let Some(found) = cache.lock().expect("nobody panics with this lock").get(&capabilities.0) {
                return Ok(Some(Arc::clone(found)));
            }
            let filter = Arc::new(compile(DEFAULT_PROFILE, capabilities)?);
            let mut cache = cache.lock().expect("nobody panics with this lock");
            cache.insert(capabilities.0, Arc::clone(&filter));
            Ok(Some(filter))
        }
    }
}

/// Returns the filter in the form of the OCI runtime specification; none where all is allowed.
///
/// # Errors
/// As [`filter`].
pub(super) fn oci(seccomp: &Seccomp, capabilities: CapSet) -> Result<Option<serde_json::Value>, RunError> {
    let text = match seccomp {
        Seccomp::Unconfined => return Ok(None),
        Seccomp::Profile(text) => text,
        Seccomp::Default => DEFAULT_PROFILE,
    };
    profile::Profile::parse(text)?.oci(capabilities).map(Some)
}

fn compile(text: &str, capabilities: CapSet) -> Result<Vec<Instruction>, RunError> {
    let profile = profile::Profile::parse(text)?;
    emit::emit(&profile.decide(capabilities)?)
}

#[cfg(test)]
mod tests;
