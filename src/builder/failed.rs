//! What is done with the state of a RUN step that failed, before it goes.

use super::error::BuildError;
use crate::image::Reference;
use crate::run::{Io, Running};

/// Starts the shell of the failed step in its exact state: files, mounts, variables, directory, user.
pub type StartShell<'a> = &'a dyn Fn(Io) -> Result<Box<dyn Running>, BuildError>;

/// What the caller wants of a failed step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aftermath {
    /// Nothing: its files go.
    Drop,
    /// Its files become an image with a name; what was mounted is no part of it.
    Keep,
}

/// Takes what is left of a RUN step that failed.
pub trait OnFailure: Send + Sync {
    /// Is told of a failed step while its state is there.
    fn failed(&self, step: &str, error: &BuildError, shell: StartShell<'_>) -> Aftermath;

    /// Is told the name of the image that a failed step's files became.
    fn kept(&self, image: Result<Reference, BuildError>);
}
