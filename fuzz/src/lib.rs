//! The sources that are fuzzed, without the rest of the program.
#![allow(dead_code, unused_imports, reason = "each target uses its own part")]

pub mod builder;
pub mod cli;
#[path = "../../src/fs/mod.rs"]
pub mod fs;
#[path = "../../src/image/mod.rs"]
pub mod image;
#[path = "../../src/layers/mod.rs"]
pub mod layers;
#[path = "../../src/parser/mod.rs"]
pub mod parser;
