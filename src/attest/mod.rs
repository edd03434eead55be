//! What can be said about a build and its result: SLSA provenance, SPDX bills of materials.
//!
//! ```text
//! facts of a build ---provenance--> predicate --\
//! files of a root file system --sbom--> packages --spdx--> predicate --> in-toto statement about subjects
//! ```
//!
//! Everything but the scan is pure: data in, JSON out. The scan reads a root
//! file system through [`crate::fs::Root`] and trusts nothing in it: sizes are
//! bounded, what does not parse is passed over.
//!
//! Invariants: the same facts give the same bytes; a secret's value is no fact
//! that this module is ever told; credentials are cut out of URLs.

mod provenance;
mod purl;
mod sbom;
mod statement;

pub use provenance::{
    Dependency, Layers, Provenance, ProvenanceMode, ProvenanceVersion, Required, SourceRange, Step,
};
pub use purl::{image_purl, without_credentials};
pub use sbom::{Package, SpdxInput, scan, spdx};
pub use statement::{SPDX_PREDICATE, Subject, statement};
