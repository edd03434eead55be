//! What containers write, as docker's drivers have it: written by the monitor, read by whoever asks.
//!
//! `json-file` and `local` are a JSON object a line, `{"log":"text\n","stream":"stdout","time":"..."}`, in
//! `<id>-json.log`; rotation makes `.1`, `.2` of it, maybe compressed. `local` has other defaults. Lines longer than
//! 16 KiB are split, the parts but the last without the newline.
//!
//! `syslog` and `journald` send each line to a socket; beside that the lines are kept in `container-cached.log`, a file of
//! the same form with `local`'s defaults, so that they can be shown.

mod attributes;
mod journald;
mod lines;
mod link;
mod options;
mod output;
mod read;
mod syslog;
mod tls;
mod write;

pub use lines::Stream;
pub use options::check;
pub use output::Log;
pub use read::{Entry, Reader};
pub use write::{Limits, Writer};

use super::config::Config;

/// Drivers that send lines elsewhere.
const REMOTE: [&str; 2] = ["syslog", "journald"];

/// Returns the name of a container's log below its directory.
pub fn file_name(config: &Config) -> String {
    match REMOTE.contains(&config.log.driver.as_str()) {
        true => "container-cached.log".to_owned(),
        false => format!("{}-json.log", config.id),
    }
}

/// Whether what the container wrote can be read again.
pub fn is_readable(config: &Config) -> bool {
    match config.log.driver.as_str() {
        "json-file" | "local" => true,
        driver => REMOTE.contains(&driver) && !options::is_set(&config.log, "cache-disabled"),
    }
}

/// Returns the template of the tag of a container's lines; none where lines have no tag.
pub fn tag_template(config: &Config) -> Option<&str> {
    let given = config.log.options.get("tag").map(String::as_str).filter(|text| !text.is_empty());
    match config.log.driver.as_str() {
        driver if REMOTE.contains(&driver) => Some(given.unwrap_or("{{.ID}}")),
        "json-file" => given,
        _ => None,
    }
}
