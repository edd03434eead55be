//! What every command knows: the program's name, where the store is, how to talk.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use clap::Args;

use super::error::CliError;
use crate::layers::ChownPolicy;
use crate::registry::CredentialSource;
use crate::run::rootless::Mapping;
use crate::store::{LayerForm, Store, StoreOptions};

/// Options that stand before the command.
#[derive(Debug, Clone, Args)]
pub struct GlobalArgs {
    /// Directory of the store
    #[arg(long, value_name = "DIR", env = "SKIFF_ROOT", global = true, hide_env_values = true)]
    pub root: Option<PathBuf>,
    /// Show more of what goes wrong
    #[arg(short = 'D', long, global = true)]
    pub debug: bool,
    /// Directory of the client's configuration
    #[arg(long, value_name = "DIR", env = "DOCKER_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
    /// Engine to act on, instead of the local store: unix://PATH, tcp://HOST:PORT, ssh://USER@HOST
    #[arg(short = 'H', long, value_name = "URL")]
    pub host: Option<String>,
    /// Name of the context that says which engine to act on: default is the local store
    #[arg(short = 'c', long, value_name = "NAME")]
    pub context: Option<String>,
    /// Use TLS with the engine; implied by --tlsverify
    #[arg(long)]
    pub tls: bool,
    /// Trust certificates of engines signed only by this CA
    #[arg(long, value_name = "FILE")]
    pub tlscacert: Option<PathBuf>,
    /// Path to the TLS certificate file
    #[arg(long, value_name = "FILE")]
    pub tlscert: Option<PathBuf>,
    /// Path to the TLS key file
    #[arg(long, value_name = "FILE")]
    pub tlskey: Option<PathBuf>,
    /// Use TLS and verify the engine
    #[arg(long)]
    pub tlsverify: bool,
    /// Level of messages
    #[arg(short = 'l', long, value_name = "LEVEL", hide = true)]
    pub log_level: Option<String>,
}

/// What commands share.
pub struct Global {
    /// The name under which the program was called: `skiff` or `docker`.
    pub program: String,
    /// The options before the command.
    pub args: GlobalArgs,
    /// Whether the user is an ordinary one, in a user namespace by now or not.
    pub rootless: bool,
    /// Which ids there are in the user namespace that an ordinary user's process has entered.
    pub mapping: Option<Mapping>,
    store: OnceLock<Store>,
    /// What a client of the service proves itself to registries with, in place of the user's files.
    client: Option<Arc<dyn CredentialSource>>,
}

impl Global {
    /// Takes the options of the command line.
    pub fn new(program: String, args: GlobalArgs, rootless: bool) -> Self {
        Self { program, args, rootless, mapping: None, store: OnceLock::new(), client: None }
    }

    /// Returns the same with a store to open anew, for a service that outlives the command.
    pub fn again(&self) -> Self {
        let same = Self::new(self.program.clone(), self.args.clone(), self.rootless);
        Self { mapping: self.mapping.clone(), ..same }
    }

    /// Returns the same over the same store for a request of a client with these credentials, and no others.
    ///
    /// # Errors
    /// The store can't be opened.
    pub fn for_client(&self, credentials: Arc<dyn CredentialSource>) -> Result<Self, CliError> {
        let mut same = self.again();
        same.store = OnceLock::from(self.store()?.clone());
        same.client = Some(credentials);
        Ok(same)
    }

    /// Returns the credentials of the client for whom this works; none in a command.
    pub fn client(&self) -> Option<&Arc<dyn CredentialSource>> {
        self.client.as_ref()
    }

    /// Returns the store's directory: `--root`, `SKIFF_ROOT`, root's, or the user's own.
    ///
    /// # Errors
    /// An ordinary user has neither `XDG_DATA_HOME` nor `HOME`.
    pub fn root(&self) -> Result<PathBuf, CliError> {
        if let Some(root) = &self.args.root {
            return Ok(root.clone());
        }
        if !self.rootless {
            return Ok(PathBuf::from("/var/lib/skiff"));
        }
        let set = |name: &str| {
            std::env::var_os(name).filter(|value: &OsString| !value.is_empty()).map(PathBuf::from)
        };
        let data = set("XDG_DATA_HOME").or_else(|| set("HOME").map(|home| home.join(".local/share")));
        let data =
            data.ok_or_else(|| CliError::new("neither XDG_DATA_HOME nor HOME is set: give --root DIR"))?;
        Ok(data.join("skiff"))
    }

    /// Returns the store, opened on first use.
    ///
    /// # Errors
    /// The store can't be opened or made.
    pub fn store(&self) -> Result<&Store, CliError> {
        if let Some(store) = self.store.get() {
            return Ok(store);
        }
        let chown = match self.mapping {
            Some(Mapping::Single { .. }) => ChownPolicy::Ignore,
            _ => ChownPolicy::Exact,
        };
        let options = StoreOptions { form: form_from_env()?, chown, ..StoreOptions::default() };
        let store = Store::open(&self.root()?, &options)?;
        Ok(self.store.get_or_init(|| store))
    }
}

/// `SKIFF_LAYER_FORM=index|directory` forces the form in which layers are shown, for tests and for trying.
fn form_from_env() -> Result<Option<LayerForm>, CliError> {
    match std::env::var("SKIFF_LAYER_FORM").as_deref() {
        Err(_) | Ok("") => Ok(None),
        Ok("index") => Ok(Some(LayerForm::Index)),
        Ok("directory") => Ok(Some(LayerForm::Directory)),
        Ok(other) => Err(CliError::new(format!("SKIFF_LAYER_FORM is {other:?}: use index or directory"))),
    }
}
