//! The built-in registry: the server's side of the distribution protocol.
//!
//! `listen` takes connections, `route` and `handle/` say what requests mean,
//! `repository` says what a repository has in terms of the documents and blobs
//! that `storage/` keeps. `upstream` makes the registry a cache of another one,
//! `collect` takes away what nothing names.
//!
//! **Invariant:** what a client sent is checked against its digest before it
//! has a name, and is served back byte for byte.
//!
//! **Invariant:** no blob is ever in memory whole; files are read, written and
//! hashed on threads for that, never on the reactor.
//!
//! What is absent: HTTP/2, rights per repository, quotas.

mod answer;
mod auth;
mod collect;
mod digest;
mod document;
mod error;
mod handle;
mod listen;
mod names;
mod registry;
mod repository;
mod route;
mod source;
pub mod storage;
mod token;
mod upstream;

pub use auth::Users;
pub use collect::{CollectOptions, Collected, collect};
pub use digest::{Algorithm, BadDigest, BlobDigest};
pub use error::ServerError;
pub use listen::{Log, Server};
pub use registry::{Registry, Rules};
pub use storage::{Directory, Storage, StorageError};
pub use upstream::Upstream;
