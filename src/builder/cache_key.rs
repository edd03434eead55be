//! What enters a step's cache key.
//!
//! | step | fields |
//! |---|---|
//! | RUN | `command`, `env NAME`.. in order, `workdir`, `user`, `hostname`, `mount N ..`, `script`, `network`, `security`, `ulimit ..`, `cgroup parent`, `shm size`, `host NAME`.., `platform`, `parent` |
//! | COPY, ADD | destination, owner, mode, flags (`CopyRequest::key_fields`), `content`, `epoch`, `parent` unless linked |
//! | WORKDIR | `path`, `user`, `epoch`, `parent` |
//! | content of unchanging files | paths, patterns, the stages' chains, checksums of downloads: a memo, so that an unchanged stage is not read and nothing is asked again |
//!
//! Left out: proxy variables, values of secrets, what an agent is, contents and sharing of
//! cache mounts, addresses of hosts, CPU and memory limits, names and times of
//! anything, how an input came to be.
//!
//! Every field is hashed with its name and both lengths, so that no two lists
//! of fields are the same bytes. The fields are kept in the record, to explain
//! a later miss.

use crate::image::ChainId;
use crate::store::CacheKey;

/// Changes when the meaning of a field does.
const VERSION: &str = "1";

/// Named fields on their way into a key.
#[derive(Debug, Clone)]
pub struct Fields {
    hasher: blake3::Hasher,
    list: Vec<(String, String)>,
}

impl Fields {
    /// Begins the key of a kind of step.
    pub fn new(kind: &str) -> Self {
        let mut fields =
            Self { hasher: blake3::Hasher::new_derive_key("skiff 2026 cache key"), list: Vec::new() };
        fields.frame(VERSION);
        fields.frame(kind);
        fields
    }

    fn frame(&mut self, text: &str) {
        self.hasher.update(&(text.len() as u64).to_le_bytes());
        self.hasher.update(text.as_bytes());
    }

    /// Adds a field.
    pub fn add(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        self.frame(name);
        self.frame(&value);
        self.list.push((name.to_owned(), value));
    }

    /// Adds a field that may be absent; an absent one is not an empty one.
    pub fn add_option(&mut self, name: &str, value: Option<impl Into<String>>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    /// Adds a list, a field an item.
    pub fn add_list<S: AsRef<str>>(&mut self, name: &str, items: &[S]) {
        for (number, item) in items.iter().enumerate() {
            self.add(&format!("{name} {number}"), item.as_ref());
        }
    }

    /// Adds the stack of layers that the step extends.
    pub fn add_parent(&mut self, chain: Option<ChainId>) {
        self.add("parent", chain_text(chain));
    }

    /// Returns the key and the fields that made it.
    pub fn finish(self) -> StepKey {
        StepKey { key: CacheKey::from_bytes(*self.hasher.finalize().as_bytes()), fields: self.list }
    }
}

/// Returns a chain as a field's value.
pub fn chain_text(chain: Option<ChainId>) -> String {
    chain.map_or_else(|| "scratch".to_owned(), |chain| chain.to_string())
}

/// A key with what it was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepKey {
    /// The key.
    pub key: CacheKey,
    /// Name and value of every field, in order.
    pub fields: Vec<(String, String)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: &str, fields: &[(&str, &str)]) -> CacheKey {
        let mut made = Fields::new(kind);
        for (name, value) in fields {
            made.add(name, *value);
        }
        made.finish().key
    }

    #[test]
    fn every_byte_and_border_counts() {
        let all = [
            key("run", &[]),
            key("copy", &[]),
            key("run", &[("a", "")]),
            key("run", &[("a", "b")]),
            key("run", &[("ab", "")]),
            key("run", &[("", "ab")]),
            key("run", &[("a", "b"), ("c", "d")]),
            key("run", &[("c", "d"), ("a", "b")]),
            key("run", &[("a", "bcd")]),
        ];
        for (n, one) in all.iter().enumerate() {
            assert!(all[n + 1..].iter().all(|other| other != one), "{n}");
        }
        assert_eq!(key("run", &[("a", "b")]), key("run", &[("a", "b")]));
    }
}
