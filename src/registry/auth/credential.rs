//! What a user proves himself with, and where it comes from.

use std::fmt;
use std::path::PathBuf;

use crate::fs::FsError;

/// A text that no debug output shows.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text; only for what is sent to the one who may know it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// How a user proves himself to one registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// User name and password.
    Basic {
        /// The user's name.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A refresh token that a token server turns into access tokens.
    Identity {
        /// The user's name, if known.
        username: String,
        /// The token.
        token: Secret,
    },
    /// A bearer token that is sent to the registry as it is.
    Registry {
        /// The token.
        token: Secret,
    },
}

/// Credentials can't be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// A file can't be read or written.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A file or a variable is not what it should be.
    #[error("{path}: {what}", path = path.display())]
    Syntax {
        /// The file, or the variable's name.
        path: PathBuf,
        /// What is wrong, without the content.
        what: String,
    },
    /// A credential helper failed.
    #[error("credential helper docker-credential-{helper} {verb}: {what}")]
    Helper {
        /// The helper's name without its prefix.
        helper: String,
        /// `get`, `store`, `erase` or `list`.
        verb: &'static str,
        /// What it said, or why it did not start.
        what: String,
    },
}

/// Finds credentials; called from blocking threads, so it may run helpers and read files.
pub trait CredentialSource: Send + Sync {
    /// Returns the credential for a registry, e.g. `docker.io` or `localhost:5000`.
    ///
    /// `repository` is the path that will be asked for, since some files keep
    /// credentials by repository.
    ///
    /// # Errors
    /// The credential can't be read.
    fn get(&self, registry: &str, repository: Option<&str>) -> Result<Option<Credential>, CredentialError>;
}

/// Has no credentials.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCredentials;

impl CredentialSource for NoCredentials {
    fn get(&self, _: &str, _: Option<&str>) -> Result<Option<Credential>, CredentialError> {
        Ok(None)
    }
}
