//! Skiff builds, stores, ships and runs container images.
//!
//! Modules in reading order; `ARCHITECTURE.md` draws the house and says which
//! module may name which.

pub mod archive;
pub mod attest;
pub mod bake;
pub mod builder;
pub mod causes;
pub mod cdi;
pub mod cli;
pub mod containers;
pub mod engine;
pub mod fs;
pub mod image;
pub mod layers;
pub mod lint;
pub mod net;
pub mod parser;
pub mod paths;
pub mod progress;
pub mod registry;
pub mod run;
pub mod shared_cache;
pub mod store;
pub mod tls;
