//! An upload session's state, as it is kept.

use serde::{Deserialize, Serialize};

use crate::registry::server::digest::{Algorithm, Hasher};

/// What is known of an upload that is not finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The repository that it was begun in.
    pub repository: String,
    /// Bytes that are there.
    pub size: u64,
    /// Bytes that the hash has seen.
    pub hashed: u64,
    /// The hash's state ([`Hasher::save`]).
    pub hash: String,
}

impl Session {
    /// Returns a session without bytes.
    pub fn new(repository: &str, algorithm: Algorithm) -> Self {
        Self { repository: repository.to_owned(), size: 0, hashed: 0, hash: Hasher::new(algorithm).save() }
    }

    /// Returns the hash of the first `hashed` bytes; none if the state is damaged.
    pub fn hasher(&self) -> Option<Hasher> {
        Hasher::load(&self.hash)
    }
}
