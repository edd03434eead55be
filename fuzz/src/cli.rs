//! Of the command line: templates.

#[path = "../../src/cli/format/mod.rs"]
pub mod format;
#[path = "../../src/cli/table.rs"]
pub mod table;

/// Stands for the program's own error, which names the whole program.
pub mod error {
    /// A message.
    #[derive(Debug)]
    pub struct CliError(pub String);

    impl CliError {
        /// Takes a message.
        pub fn new(text: impl Into<String>) -> Self {
            Self(text.into())
        }

        /// Passes an exit code by.
        #[must_use]
        pub fn code(self, _code: u8) -> Self {
            self
        }
    }
}
