//! `journald`: a line is an entry in systemd's native protocol, a datagram of fields.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::lines::Stream;

/// Where the journal listens.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";
/// Priorities of the two streams (syslog(3)).
const ERROR: &str = "3";
const INFO: &str = "6";

/// The fields that all entries of a container have.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields(Vec<u8>);

impl Fields {
    /// Begins with what the container is, and what options ask for.
    pub fn new(id: &str, name: &str, image: &str, tag: &str, extra: &BTreeMap<String, String>) -> Self {
        let mut fields = Self::default();
        for (key, value) in extra {
            fields.add(&key_of(key), value.as_bytes());
        }
        for (key, value) in [
            ("CONTAINER_ID", id.get(..12).unwrap_or(id)),
            ("CONTAINER_ID_FULL", id),
            ("CONTAINER_NAME", name),
            ("CONTAINER_TAG", tag),
            ("IMAGE_NAME", image),
            ("SYSLOG_IDENTIFIER", tag),
        ] {
            fields.add(key, value.as_bytes());
        }
        fields
    }

    /// Adds a field; one whose value has a newline says how long that is.
    fn add(&mut self, key: &str, value: &[u8]) {
        self.0.extend_from_slice(key.as_bytes());
        if value.contains(&b'\n') {
            self.0.push(b'\n');
            self.0.extend_from_slice(&(value.len() as u64).to_le_bytes());
        } else {
            self.0.push(b'=');
        }
        self.0.extend_from_slice(value);
        self.0.push(b'\n');
    }

    /// Returns the entry of a line; a part of a longer one says so.
    pub fn entry(&self, stream: Stream, line: &[u8], partial: bool) -> Vec<u8> {
        let mut entry = self.clone();
        entry.add("MESSAGE", line);
        entry.add("PRIORITY", if stream == Stream::Stderr { ERROR } else { INFO }.as_bytes());
        entry.add("SYSLOG_TIMESTAMP", Timestamp::now().to_string().as_bytes());
        if partial {
            entry.add("CONTAINER_PARTIAL_MESSAGE", b"true");
        }
        entry.0
    }
}

/// Returns a label's or a variable's name as the journal takes it: upper case, digits and `_`, none of these first.
fn key_of(name: &str) -> String {
    let upper = name.to_ascii_uppercase();
    let key: String = upper.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    key.trim_start_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_fields() {
        let extra = BTreeMap::from([("com.example.x".to_owned(), "v".to_owned())]);
        let fields = Fields::new(&"ab".repeat(32), "web", "busybox", "abab", &extra);
        let entry = String::from_utf8(fields.entry(Stream::Stderr, b"a\nb", true)).expect("text");
        assert!(entry.starts_with("COM_EXAMPLE_X=v\nCONTAINER_ID=abababababab\n"), "{entry}");
        assert!(entry.contains("\nCONTAINER_NAME=web\nCONTAINER_TAG=abab\nIMAGE_NAME=busybox\n"), "{entry}");
        assert!(entry.contains("\nMESSAGE\n\u{3}\0\0\0\0\0\0\0a\nb\nPRIORITY=3\n"), "{entry:?}");
        assert!(entry.ends_with("\nCONTAINER_PARTIAL_MESSAGE=true\n"), "{entry}");
    }
}
