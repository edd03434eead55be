//! HTTP clients, one for each way a host is reached, made on first use.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Client, NoProxy, Proxy};
use url::Url;

use super::certificates;
use super::endpoint::{Endpoint, authority};
use super::{HostsConfig, HostsError};
use crate::registry::client::redacted_text;
use crate::tls::{Trust, client_config};

/// Time to make a connection.
const CONNECT: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, PartialEq)]
enum Spoken {
    Tls,
    Plain,
}

/// Hands out the HTTP client for a URL.
pub(crate) struct Pool {
    config: Arc<HostsConfig>,
    user_agent: String,
    clients: Mutex<HashMap<String, Client>>,
    /// What insecure hosts were found to speak.
    spoken: Mutex<HashMap<String, Spoken>>,
    /// Hosts that answered.
    reached: Mutex<HashSet<String>>,
}

impl Pool {
    pub(crate) fn new(config: Arc<HostsConfig>, user_agent: String) -> Self {
        Self {
            config,
            user_agent,
            clients: Mutex::default(),
            spoken: Mutex::default(),
            reached: Mutex::default(),
        }
    }

    /// Returns the client for `url`; it follows no redirect by itself.
    pub(crate) fn client(&self, url: &Url) -> Result<Client, HostsError> {
        let host = authority(url);
        let key = if url.scheme() == "http" { "http".to_owned() } else { host.clone() };
        let mut clients = self.clients.lock().expect("building a client does not panic");
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let client = self.build(url)?;
        clients.insert(key, client.clone());
        Ok(client)
    }

    /// Whether an insecure host was found to speak no TLS.
    pub(crate) fn is_plain(&self, endpoint: &Endpoint) -> bool {
        self.spoken(endpoint) == Some(Spoken::Plain)
    }

    /// Whether an insecure host was found to speak TLS; it is never asked without again.
    pub(crate) fn is_tls(&self, endpoint: &Endpoint) -> bool {
        self.spoken(endpoint) == Some(Spoken::Tls)
    }

    /// Remembers that an insecure host speaks no TLS.
    pub(crate) fn set_plain(&self, endpoint: &Endpoint) {
        self.learn(endpoint, Spoken::Plain);
    }

    /// Remembers that an insecure host speaks TLS.
    pub(crate) fn set_tls(&self, endpoint: &Endpoint) {
        self.learn(endpoint, Spoken::Tls);
    }

    /// Remembers that a host answered.
    pub(crate) fn set_reached(&self, url: &Url) {
        let mut reached = self.reached.lock().expect("nothing panics with the lock");
        if !reached.contains(url.authority()) {
            reached.insert(url.authority().to_owned());
        }
    }

    /// Whether a host answered before.
    pub(crate) fn was_reached(&self, url: &Url) -> bool {
        self.reached.lock().expect("nothing panics with the lock").contains(url.authority())
    }

    fn spoken(&self, endpoint: &Endpoint) -> Option<Spoken> {
        self.spoken.lock().expect("nothing panics with the lock").get(&authority(&endpoint.base)).copied()
    }

    fn learn(&self, endpoint: &Endpoint, spoken: Spoken) {
        let mut known = self.spoken.lock().expect("nothing panics with the lock");
        known.entry(authority(&endpoint.base)).or_insert(spoken);
    }

    fn build(&self, url: &Url) -> Result<Client, HostsError> {
        let mut builder = Client::builder()
            .user_agent(&self.user_agent)
            .redirect(reqwest::redirect::Policy::none())
            .http1_only()
            .no_proxy()
            .connect_timeout(CONNECT)
            .tcp_nodelay(true);
        for proxy in self.proxies()? {
            builder = builder.proxy(proxy);
        }
        let mut tls = if url.scheme() == "http" {
            // Never used; reading the machine's roots for it would cost milliseconds.
            client_config(Trust::Anybody, None)?
        } else {
            let given = certificates::read(&self.config.certificates, url)?;
            let unverified = self.config.is_unverified(url);
            client_config(
                if unverified { Trust::Anybody } else { Trust::MachineAnd(given.roots) },
                given.client,
            )?
        };
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        builder.tls_backend_preconfigured(tls).build().map_err(|e| HostsError::Setup(e.to_string()))
    }

    fn proxies(&self) -> Result<Vec<Proxy>, HostsError> {
        let given = &self.config.proxies;
        let direct = format!("localhost,127.0.0.0/8,::1,{}", given.no_proxy.as_deref().unwrap_or_default());
        let mut proxies = Vec::new();
        let makers: [(&Option<String>, fn(&str) -> reqwest::Result<Proxy>); 2] =
            [(&given.http, |url| Proxy::http(url)), (&given.https, |url| Proxy::https(url))];
        for (url, make) in makers {
            if let Some(url) = url.as_deref().filter(|url| !url.is_empty()) {
                let proxy = make(url).map_err(|_| HostsError::Proxy(redacted_text(url)))?;
                proxies.push(proxy.no_proxy(NoProxy::from_string(&direct)));
            }
        }
        Ok(proxies)
    }
}
