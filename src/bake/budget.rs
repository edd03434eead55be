//! How much an evaluation may do: bake files come from anywhere.

use std::cell::Cell;

use super::error::BakeError;

/// Steps and bytes of results together.
const TOTAL: usize = 64 << 20;

/// Frames of the evaluator above each other, through expressions, variables and functions.
const DEPTH: usize = 1000;

/// Stack that [`DEPTH`] frames fit in, with debug assertions too.
pub const STACK: usize = 256 << 20;

/// What is left for one evaluation of all files.
#[derive(Debug)]
pub struct Budget {
    left: Cell<usize>,
    depth: Cell<usize>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: Cell::new(TOTAL), depth: Cell::new(0) }
    }
}

impl Budget {
    /// Takes steps or bytes.
    ///
    /// # Errors
    /// There are not as many left.
    pub fn take(&self, amount: usize) -> Result<(), BakeError> {
        match self.left.get().checked_sub(amount) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(BakeError::plain(format!(
                "evaluation takes more than {TOTAL} steps and bytes of results"
            ))),
        }
    }

    /// Runs something one frame deeper.
    ///
    /// # Errors
    /// There are too many frames, or what `inside` says.
    pub fn deeper<T>(&self, inside: impl FnOnce() -> Result<T, BakeError>) -> Result<T, BakeError> {
        if self.depth.get() >= DEPTH {
            return Err(BakeError::plain(format!(
                "expressions, variables and functions are nested more than {DEPTH} deep"
            )));
        }
        self.depth.set(self.depth.get() + 1);
        let result = inside();
        self.depth.set(self.depth.get() - 1);
        result
    }
}
