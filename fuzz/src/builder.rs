//! Of the builder: what reads patterns.

#[path = "context.rs"]
pub mod context;
