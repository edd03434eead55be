//! Patterns of ignore files, and what they name.

#[path = "../../src/builder/context/error.rs"]
pub mod error;
#[path = "../../src/builder/context/glob.rs"]
pub mod glob;
#[path = "../../src/builder/context/ignore.rs"]
pub mod ignore;
#[path = "../../src/builder/context/path.rs"]
pub mod path;
#[path = "../../src/builder/context/pattern.rs"]
pub mod pattern;
