//! Patterns of ignore files, and what they name.

#[path = "../../src/builder/context/glob.rs"]
pub mod glob;
#[path = "../../src/builder/context/ignore.rs"]
pub mod ignore;
#[path = "../../src/builder/context/path.rs"]
pub mod path;
#[path = "../../src/builder/context/pattern.rs"]
pub mod pattern;

/// Stands for the contexts' own error, which names HTTP clients.
pub mod error {
    use super::glob::BadPattern;

    /// What can be wrong with a pattern.
    #[derive(Debug)]
    pub enum ContextError {
        /// A `!` without a pattern.
        LoneException,
        /// A malformed pattern.
        Pattern {
            /// The pattern as written.
            pattern: String,
            /// What Go says of it.
            source: BadPattern,
        },
    }
}
