//! The parser's sources, without the rest of the program.

#[path = "../../src/parser/mod.rs"]
pub mod parser;
