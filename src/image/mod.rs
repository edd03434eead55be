//! What an image is: ids, references, platforms, config, manifest.
//!
//! Everything here is an immutable value. Nothing touches a disk or a network,
//! and nothing depends on another module of this crate. Bytes that have a
//! digest (configs, manifests) are kept as they came; these types read them.

pub mod config;
pub mod id;
pub mod manifest;
pub mod platform;
pub mod reference;

pub use config::{ContainerConfig, HealthConfig, History, ImageConfig, RootFs};
pub use id::{ChainId, DiffId, Digest, IdError, ImageId, ManifestDigest};
pub use manifest::{Descriptor, Document, Index, Manifest, ManifestError};
pub use platform::Platform;
pub use reference::{Reference, ReferenceError};
