//! What containers write: docker's `json-file` and `local`, written by the monitor and read by whoever asks.
//!
//! Both are a JSON object a line, `{"log":"text\n","stream":"stdout","time":"..."}`, in `<id>-json.log`; rotation makes
//! `.1`, `.2` of it, maybe compressed. `local` has other defaults. Lines longer than 16 KiB are split, the parts but
//! the last without the newline.

mod read;
mod write;

pub use read::{Entry, Reader};
pub use write::{Limits, Stream, Writer};

use super::config::Config;
use super::error::ContainerError;

/// Options of both drivers that files have.
const OPTIONS: &[&str] = &["max-size", "max-file", "compress", "mode", "max-buffer-size"];

/// Returns the name of a container's log below its directory.
pub fn file_name(config: &Config) -> String {
    format!("{}-json.log", config.id)
}

/// Whether the driver keeps what can be read again.
pub fn is_readable(config: &Config) -> bool {
    matches!(config.log.driver.as_str(), "json-file" | "local")
}

/// Checks a driver and its options.
///
/// # Errors
/// The driver is not available, or does not know an option or its value.
pub fn check(config: &super::config::LogConfig) -> Result<(), ContainerError> {
    let refuse = |text: String| Err(ContainerError::Refused(text));
    match config.driver.as_str() {
        "none" => match config.options.keys().next() {
            None => Ok(()),
            Some(key) => refuse(format!("unknown log opt '{key}' for none log driver")),
        },
        driver @ ("json-file" | "local") => {
            if let Some(key) = config.options.keys().find(|key| !OPTIONS.contains(&key.as_str())) {
                let known = ["labels", "labels-regex", "env", "env-regex", "tag"];
                return refuse(match known.contains(&key.as_str()) {
                    true => format!("log opt '{key}' is not available in this version"),
                    false => format!("unknown log opt '{key}' for {driver} log driver"),
                });
            }
            Limits::of(config).map(drop)
        }
        other => refuse(format!("logging driver '{other}' is not available in this version")),
    }
}
