//! The client against servers that behave, and servers that do not.

mod auth;
mod hostile;
mod plain;
mod server;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::image::Reference;
use crate::registry::hosts::HostsConfig;
use crate::registry::{
    ClientOptions, Credential, CredentialError, CredentialSource, Notice, RegistryClient, Repository,
    RetryPolicy, Secret,
};

/// The password that must never appear anywhere but in the right header.
pub(super) const PASSWORD: &str = "pa55-w0rd";

/// Has one user for registries of these names.
pub(super) struct OneUser(pub Vec<String>, pub Mutex<Vec<String>>);

impl CredentialSource for OneUser {
    fn get(&self, registry: &str, _: Option<&str>) -> Result<Option<Credential>, CredentialError> {
        self.1.lock().unwrap().push(registry.to_owned());
        let password = Secret::new(PASSWORD);
        let user = || Credential::Basic { username: "me".to_owned(), password };
        Ok(self.0.iter().any(|known| known == registry).then(user))
    }
}

/// How long nothing may come where that is tried; elsewhere a busy machine may take its time.
pub(super) const SOON: Duration = Duration::from_millis(400);

/// A client that tries little, with what it told.
pub(super) struct Trial {
    pub client: RegistryClient,
    pub notices: Arc<Mutex<Vec<Notice>>>,
}

pub(super) fn options() -> (ClientOptions, Arc<Mutex<Vec<Notice>>>) {
    let notices = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&notices);
    let options = ClientOptions {
        retry: RetryPolicy { attempts: 3, base: Duration::from_millis(1), cap: Duration::from_millis(1500) },
        stall: Duration::from_secs(60),
        notices: Arc::new(move |notice| kept.lock().unwrap().push(notice)),
        ..ClientOptions::default()
    };
    (options, notices)
}

pub(super) fn impatient() -> RegistryClient {
    let (mut options, _) = options();
    options.stall = SOON;
    RegistryClient::new(options)
}

pub(super) fn anonymous() -> Trial {
    let (options, notices) = options();
    Trial { client: RegistryClient::new(options), notices }
}

/// A client that knows a user for one registry.
pub(super) fn with_user(registry: &str, hosts: HostsConfig) -> Trial {
    with_user_and(options(), registry, hosts)
}

pub(super) fn with_user_and(
    (mut options, notices): (ClientOptions, Arc<Mutex<Vec<Notice>>>),
    registry: &str,
    hosts: HostsConfig,
) -> Trial {
    options.credentials = Arc::new(OneUser(vec![registry.to_owned()], Mutex::default()));
    options.hosts = Arc::new(hosts);
    Trial { client: RegistryClient::new(options), notices }
}

pub(super) fn repo(domain: &str, path: &str) -> Repository {
    Repository::of(&Reference::parse(&format!("{domain}/{path}")).unwrap())
}

pub(super) fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(120), future).await.expect("no test takes that long")
    })
}
