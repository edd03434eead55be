//! Private keys as an ssh agent: what `--ssh ID=KEY` gives to steps and to git.
//!
//! The keys stay in this process; whoever may connect to the socket can have
//! things signed with them and see their public halves, nothing more. The
//! protocol is the one of draft-ietf-sshm-ssh-agent, of which listing and
//! signing are answered and everything else is refused.
//!
//! Layout: `key` is one key and its signatures, `file` reads the formats that
//! OpenSSH and OpenSSL write, `wire` has the framing, `agent` the socket.

mod agent;
mod file;
mod key;
mod wire;

pub use agent::KeyAgent;
pub use key::Key;

/// What can go wrong with a private key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The key is encrypted.
    #[error(
        "this private key is passphrase protected: add it to an agent, and give --ssh the agent's socket"
    )]
    Protected,
    /// The text holds no private key.
    #[error("no private key found: expected a PEM file as ssh-keygen writes it")]
    NoKey,
    /// The key is damaged, or of a form that is not known.
    #[error("the private key is damaged or of an unknown form")]
    Damaged,
    /// The key is of another type.
    #[error("keys of type {0} are not supported: use ed25519, rsa (2048 bits or more) or ecdsa")]
    Type(String),
}
