//! Why a device can't be given.

/// A device of the Container Device Interface can't be had; docker's words.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CdiError {
    /// No file has these devices; files that can't be used are named with it.
    #[error("CDI device injection failed: unresolvable CDI devices {}{}", .names.join(", "), because(.files))]
    Unresolvable { names: Vec<String>, files: Vec<String> },
    /// Something of a device this program does not do.
    #[error("CDI device injection failed: {0}")]
    Refused(String),
    /// A request names no driver that there is.
    #[error("could not select device driver {driver:?} with capabilities: {capabilities}")]
    NoDriver { driver: String, capabilities: String },
    /// A request says both how many and which.
    #[error("cannot set both Count and DeviceIDs on device request")]
    CountAndIds,
}

fn because(files: &[String]) -> String {
    if files.is_empty() { String::new() } else { format!(" ({})", files.join("; ")) }
}
