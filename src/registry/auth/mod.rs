//! Credentials, challenges and tokens.

mod credential;

pub use credential::{Credential, CredentialError, CredentialSource, NoCredentials, Secret};
