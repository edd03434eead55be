//! Credentials, challenges and tokens; nothing here talks to a network.
//!
//! `challenge` reads what a registry wants, `scope` says what a token is for,
//! `token` asks a token server and reads its answer. `credential` is what a
//! user has, `file` and `helper` are where it is kept.

mod all;
pub mod challenge;
mod credential;
pub mod file;
pub mod helper;
mod scope;
mod token;

pub use challenge::Challenge;
pub use credential::{Credential, CredentialError, CredentialSource, NoCredentials, Secret};
pub use file::CredentialFiles;
pub use scope::Scopes;
pub use token::{Realm, Token};
