//! Where the files of a bake come from: here, or a repository or URL that stands first.

use super::super::error::CliError;
use super::read;
use crate::bake::{BakeFile, Plan};
use crate::progress::Reporter;

/// Where files and relative contexts are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// How many of the words are no targets.
    words: usize,
}

impl Place {
    /// Reads the words of the command line.
    ///
    /// # Errors
    /// The first word is a remote address: such files are not read in this version.
    pub fn of(words: &[String]) -> Result<Self, CliError> {
        let remote =
            |word: &&String| word.contains("://") || word.starts_with("git@") || word.contains(".git#");
        match words.first().filter(remote) {
            None => Ok(Self { words: 0 }),
            Some(address) if address.starts_with("cwd://") => Ok(Self { words: 1 }),
            Some(address) => Err(CliError::new(format!(
                "ERROR: {address}: bake files of a git repository or URL are not available in this version: \
                 clone it and run bake there"
            ))),
        }
    }

    /// Returns the words that name targets.
    pub fn targets<'a>(&self, words: &'a [String]) -> &'a [String] {
        &words[self.words..]
    }

    /// Returns the files.
    ///
    /// # Errors
    /// They can't be read.
    pub fn files(&self, names: &[String], reporter: &dyn Reporter) -> Result<Vec<BakeFile>, CliError> {
        read::read(names, reporter)
    }

    /// Returns what `BAKE_CMD_CONTEXT` is.
    pub fn command_context(&self) -> String {
        "cwd://".to_owned()
    }

    /// Makes the targets' relative places what they are relative to.
    pub fn rebase(&self, _plan: &mut Plan) {}
}
