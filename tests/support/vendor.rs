//! A vendor of devices, for the Container Device Interface.

#![allow(clippy::print_stderr, reason = "a skipped test says why")]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

/// A vendor that no machine has, and its file; both go with the value.
pub struct Vendor {
    /// The file.
    pub file: PathBuf,
    kind: String,
}

impl Vendor {
    /// Writes the file where the machine's are; none for ordinary users.
    pub fn new(name: &str, devices: &Value) -> Option<Self> {
        if !super::is_root() {
            eprintln!("skipped: only root may write below /var/run");
            return None;
        }
        let vendor = format!("skiff-{}-{name}.example", std::process::id());
        let folder = PathBuf::from("/var/run/cdi");
        let made = Self { file: folder.join(format!("{vendor}.json")), kind: format!("{vendor}/thing") };
        let text = json!({ "cdiVersion": "1.1.0", "kind": made.kind, "containerEdits": { "env": ["FOR_ALL=1"] },
                           "devices": devices });
        // Another test may take the empty folder away just now, or read what is not whole yet.
        let draft = made.file.with_extension("draft");
        let write = || {
            fs::create_dir_all(&folder)?;
            fs::write(&draft, text.to_string())?;
            fs::rename(&draft, &made.file)
        };
        super::wait_until("a file for devices", Duration::from_secs(30), || write().is_ok());
        Some(made)
    }

    /// Returns the whole name of a device.
    pub fn name(&self, device: &str) -> String {
        format!("{}={device}", self.kind)
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.file);
        // Only if nobody else has something there.
        let _ = fs::remove_dir("/var/run/cdi");
    }
}
