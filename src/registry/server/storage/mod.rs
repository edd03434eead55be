//! Where a registry's bytes are: small documents under names, blobs under digests, uploads under random ids.
//!
//! Names (below a directory, or below a prefix of a bucket):
//!
//! ```text
//! blobs/sha256/<hex>                       the bytes of blobs and manifests
//! repos/<name>/_blobs/<alg>-<hex>          the repository has this blob
//! repos/<name>/_manifests/<alg>-<hex>      ... this manifest; holds its media type
//! repos/<name>/_tags/<tag>                 holds a digest
//! repos/<name>/_referrers/<subject>/<alg>-<hex>    holds the referrer's descriptor
//! uploads/<id>                             sessions
//! ```
//!
//! **Invariant:** a blob appears under its digest whole and checked, or not at all.
//!
//! **Invariant:** a session's place, size and the state of its hash are in the
//! storage, so that another process goes on with it.

#[cfg(feature = "s3")]
mod bucket;
mod directory;
mod read_ahead;
mod session;

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

#[cfg(feature = "s3")]
pub use bucket::Bucket;
pub use directory::Directory;
pub use session::Session;

use super::digest::{Algorithm, BlobDigest};
use super::source::{Source, SourceError};

/// Why something could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// A file system's error.
    #[error(transparent)]
    Fs(#[from] crate::fs::FsError),
    /// An error of a read or write under way.
    #[error("cannot {action} {name}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        name: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// There is no such upload session.
    #[error("unknown upload session")]
    NoSession,
    /// A chunk does not begin where the session ends.
    #[error("the session has {size} bytes")]
    OutOfOrder {
        /// What the session has.
        size: u64,
    },
    /// A blob's bytes have another digest.
    #[error("the uploaded content has the digest {got}")]
    Mismatch {
        /// What the bytes have.
        got: BlobDigest,
    },
    /// The client stopped sending.
    #[error("the upload was interrupted")]
    Interrupted(#[source] SourceError),
    /// The blob is larger than the storage can take.
    #[error("the blob is too large for this storage")]
    TooLarge,
}

/// What a storage's verbs return.
pub type Reply<'a, T> = BoxFuture<'a, Result<T, StorageError>>;
/// The bytes of a blob as they are read.
pub type BlobBytes = BoxStream<'static, Result<Bytes, std::io::Error>>;

/// A name below another one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its last part.
    pub name: String,
    /// Whether there are names below it.
    pub is_folder: bool,
}

/// A blob as a sweep sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<T> {
    /// Which.
    pub what: T,
    /// Its bytes.
    pub size: u64,
    /// Time since it was written.
    pub age: Duration,
}

/// Keeps what an exclusive sweep must not run beside; released on drop.
pub type Guard = Box<dyn std::any::Any + Send>;

/// A place for a registry's bytes.
pub trait Storage: Send + Sync + 'static {
    /// Reads a small document; none if it is not there.
    fn read<'a>(&'a self, name: &'a str) -> Reply<'a, Option<Bytes>>;
    /// Replaces a small document; readers see the old bytes or the new ones.
    fn write<'a>(&'a self, name: &'a str, bytes: Bytes) -> Reply<'a, ()>;
    /// Removes a document and says whether it was there.
    fn remove<'a>(&'a self, name: &'a str) -> Reply<'a, bool>;
    /// Returns the names directly below one, sorted; none where nothing is.
    fn list<'a>(&'a self, name: &'a str) -> Reply<'a, Vec<Entry>>;
    /// Returns the time since a document was written; none if it is not there.
    fn age<'a>(&'a self, name: &'a str) -> Reply<'a, Option<Duration>>;

    /// Returns a blob's size; none if it is not there.
    fn blob_size<'a>(&'a self, digest: &'a BlobDigest) -> Reply<'a, Option<u64>>;
    /// Opens a part of a blob that is there.
    fn blob<'a>(&'a self, digest: &'a BlobDigest, range: Range<u64>) -> Reply<'a, BlobBytes>;
    /// Keeps a small blob whose digest was checked.
    fn put_blob<'a>(&'a self, digest: &'a BlobDigest, bytes: Bytes) -> Reply<'a, ()>;
    /// Removes a blob's bytes.
    fn remove_blob<'a>(&'a self, digest: &'a BlobDigest) -> Reply<'a, ()>;
    /// Returns every blob.
    fn blobs(&self) -> Reply<'_, Vec<Found<BlobDigest>>>;
    /// Takes a blob over from the store of local images without copying it; says whether it could.
    fn adopt<'a>(&'a self, digest: &'a BlobDigest) -> Reply<'a, bool>;

    /// Makes a session of a repository and returns its random id.
    fn begin<'a>(&'a self, repository: &'a str, algorithm: Algorithm) -> Reply<'a, String>;
    /// Returns a session's state.
    fn session<'a>(&'a self, id: &'a str) -> Reply<'a, Session>;
    /// Appends to a session that has `at` bytes and returns how many it has then; what came before an error stays.
    fn append<'a>(&'a self, id: &'a str, at: u64, source: &'a mut Source) -> Reply<'a, u64>;
    /// Ends a session: its bytes become a blob if they have the digest, and are gone otherwise. Returns the size.
    fn finish<'a>(&'a self, id: &'a str, digest: &'a BlobDigest) -> Reply<'a, u64>;
    /// Drops a session.
    fn cancel<'a>(&'a self, id: &'a str) -> Reply<'a, ()>;
    /// Returns every session with the time since it moved.
    fn sessions(&self) -> Reply<'_, Vec<Found<String>>>;

    /// Opens the bytes of a session while they grow; none where the storage can't.
    fn growing<'a>(&'a self, id: &'a str) -> Reply<'a, Option<std::fs::File>>;

    /// Shares the storage with other writers against a sweep.
    fn share(&self) -> Reply<'_, Guard>;
    /// Waits until no writer is between a check and what depends on it, and keeps them out.
    fn exclude(&self) -> Reply<'_, Guard>;
}

/// Returns a random id: 128 bits in hexadecimal digits.
///
/// # Errors
/// The kernel gives no random bytes.
pub(super) fn random_id() -> Result<String, StorageError> {
    let mut bytes = [0u8; 16];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).map_err(|e| {
        StorageError::Io { action: "make", name: "a session's id".to_owned(), source: e.into() }
    })?;
    Ok(crate::image::id::to_hex(&bytes))
}

/// Whether a text can be a session's id; others are unknown without a look at the disk.
pub(super) fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit())
}
