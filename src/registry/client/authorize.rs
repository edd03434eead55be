//! `Authorization` headers: what a host wants is learnt from its first 401 and remembered.
//!
//! Each endpoint has a state of its own, so that a mirror never sees what was
//! given to the registry it stands in for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, Response};
use url::Url;

use super::RegistryClient;
use super::body::read_limited;
use super::exchange::{Sent, same_origin};
use super::url_text::redacted;
use crate::registry::RegistryError;
use crate::registry::auth::{Challenge, Credential, Realm, Scopes, Token, challenge};
use crate::registry::hosts::{Endpoint, authority};

/// Largest answer of a token server.
const MAX_TOKEN: usize = 1 << 20;
/// Tokens that are kept for one host.
const MAX_TOKENS: usize = 256;

/// What is known of all hosts.
#[derive(Default)]
pub(super) struct Authorizer {
    hosts: Mutex<HashMap<String, Arc<HostAuth>>>,
}

#[derive(Default)]
struct HostAuth {
    // Held while a token is fetched: parallel requests wait for it instead of fetching their own.
    state: tokio::sync::Mutex<State>,
}

#[derive(Default)]
struct State {
    scheme: Option<Scheme>,
    tokens: Vec<(Scopes, Token)>,
    credentials: HashMap<Option<String>, Option<Credential>>,
}

#[derive(Clone, PartialEq)]
enum Scheme {
    Basic,
    Bearer(Realm),
}

/// What one attempt was sent with.
pub(super) struct Given {
    pub header: Option<HeaderValue>,
    /// Whether it was made for this attempt, so that asking again would give the same.
    fresh: bool,
    /// What must not appear in a text, even if the server sends it back.
    pub secrets: Vec<String>,
}

impl Given {
    fn nothing() -> Self {
        Self { header: None, fresh: false, secrets: Vec::new() }
    }

    fn new(scheme: &str, value: &str, fresh: bool) -> Option<Self> {
        let mut header = HeaderValue::from_str(&format!("{scheme} {value}")).ok()?;
        header.set_sensitive(true);
        Some(Self { header: Some(header), fresh, secrets: vec![value.to_owned()] })
    }

    fn basic(user: &str, password: &str) -> Option<Self> {
        let mut given = Self::new("Basic", &STANDARD.encode(format!("{user}:{password}")), true)?;
        given.secrets.push(password.to_owned());
        Some(given)
    }
}

impl Authorizer {
    fn host(&self, endpoint: &Endpoint) -> Arc<HostAuth> {
        let key = format!("{} {} {}", endpoint.mirror, endpoint.name, authority(&endpoint.base));
        let mut hosts = self.hosts.lock().expect("nothing panics with the lock");
        Arc::clone(hosts.entry(key).or_default())
    }
}

impl RegistryClient {
    /// Returns what a request with these rights is sent with, as far as the host's wishes are known.
    pub(super) async fn authorization(
        &self,
        endpoint: &Endpoint,
        scopes: &Scopes,
    ) -> Result<Given, RegistryError> {
        let host = self.inner.authorizer.host(endpoint);
        let mut state = host.state.lock().await;
        let Some(scheme) = state.scheme.clone() else { return Ok(Given::nothing()) };
        if let Scheme::Bearer(_) = scheme {
            state.tokens.retain(|(_, token)| token.is_good());
            let known = state.tokens.iter().find(|(known, _)| known.covers(scopes) && !scopes.is_none());
            if let Some((_, token)) = known {
                return given_token(endpoint, token.secret.reveal(), false);
            }
        }
        let credential = self.credential(endpoint, scopes, &mut state).await?;
        match (scheme, credential) {
            (Scheme::Basic, Some(Credential::Basic { username, password })) => {
                self.clear_text_check(endpoint, &self.effective(endpoint))?;
                Given::basic(&username, password.reveal()).ok_or_else(|| unusable(endpoint))
            }
            (Scheme::Basic, _) => Ok(Given::nothing()),
            (Scheme::Bearer(_), Some(Credential::Registry { token })) => {
                self.clear_text_check(endpoint, &self.effective(endpoint))?;
                given_token(endpoint, token.reveal(), true)
            }
            (Scheme::Bearer(realm), credential) => {
                let token = self.fetch_token(endpoint, &realm, scopes, credential.as_ref(), false).await?;
                let given = given_token(endpoint, token.secret.reveal(), true)?;
                if state.tokens.len() >= MAX_TOKENS {
                    state.tokens.remove(0);
                }
                state.tokens.push((scopes.clone(), token));
                Ok(given)
            }
        }
    }

    /// Learns from a 401; tells whether another attempt, maybe with more `scopes`, makes sense.
    pub(super) async fn challenged(
        &self,
        endpoint: &Endpoint,
        headers: &HeaderMap,
        given: &Given,
        scopes: &mut Scopes,
    ) -> Result<bool, RegistryError> {
        let challenges = challenges(headers);
        let host = self.inner.authorizer.host(endpoint);
        let mut state = host.state.lock().await;
        let Some((scheme, challenge)) = choose(endpoint, &challenges)? else { return Ok(false) };
        let learnt = state.scheme.as_ref() != Some(&scheme);
        if learnt {
            state.tokens.clear();
            state.scheme = Some(scheme.clone());
        }
        if scheme == Scheme::Basic {
            let credential = self.credential(endpoint, scopes, &mut state).await?;
            let usable = matches!(credential, Some(Credential::Basic { .. }));
            return Ok(usable && given.header.is_none());
        }
        let wanted = Scopes::parse(challenge.get("scope").unwrap_or_default());
        let more = !scopes.covers(&wanted);
        if given.header.is_some() {
            // What was refused is not offered again.
            let refused = given.secrets.first();
            state.tokens.retain(|(_, token)| Some(token.secret.reveal()) != refused.map(String::as_str));
            if more {
                *scopes = scopes.clone().with(&wanted);
            }
            return Ok(more || !given.fresh || learnt);
        }
        // Someone else may have learnt it meanwhile; a first challenge is always worth an attempt.
        if scopes.is_none() && more {
            *scopes = wanted;
        }
        Ok(true)
    }

    async fn credential(
        &self,
        endpoint: &Endpoint,
        scopes: &Scopes,
        state: &mut State,
    ) -> Result<Option<Credential>, RegistryError> {
        let repository = scopes.repository().map(str::to_owned);
        if let Some(known) = state.credentials.get(&repository) {
            return Ok(known.clone());
        }
        let (source, name) = (Arc::clone(&self.inner.options.credentials), endpoint.name.clone());
        let asked = repository.clone();
        let found = tokio::task::spawn_blocking(move || source.get(&name, asked.as_deref()));
        let found = found.await.map_err(|_| unusable(endpoint))??;
        state.credentials.insert(repository, found.clone());
        Ok(found)
    }

    /// Refuses to send a secret over plain HTTP to a host that is not marked insecure.
    fn clear_text_check(&self, endpoint: &Endpoint, url: &Url) -> Result<(), RegistryError> {
        let host = authority(url);
        let same = host == authority(&endpoint.base);
        let hosts = &self.inner.options.hosts;
        let marked = hosts.is_insecure(&host) || (same && hosts.is_insecure(&endpoint.name));
        if url.scheme() == "https" || marked {
            return Ok(());
        }
        Err(RegistryError::Authorization {
            host: endpoint.name.clone(),
            what: format!("credentials are not sent to {} without TLS", redacted(url)),
        })
    }

    /// Asks a token server; `offline` asks for a refresh token too.
    pub(super) async fn fetch_token(
        &self,
        endpoint: &Endpoint,
        realm: &Realm,
        scopes: &Scopes,
        credential: Option<&Credential>,
        offline: bool,
    ) -> Result<Token, RegistryError> {
        let wrap = |source| RegistryError::Token { host: endpoint.name.clone(), source: Box::new(source) };
        if credential.is_some() {
            self.clear_text_check(endpoint, &realm.url)?;
        }
        let now = Instant::now();
        let response = match credential {
            Some(identity @ Credential::Identity { .. }) => {
                match self.token_by_post(realm, scopes, identity).await {
                    Err(error) if matches!(error.status(), Some(404 | 405)) => {
                        self.token_by_get(realm, scopes, credential, offline).await
                    }
                    other => other,
                }
            }
            _ => self.token_by_get(realm, scopes, credential, offline).await,
        };
        let response = response.map_err(wrap)?;
        let limit = self.small_limit();
        let bytes = read_limited(response, MAX_TOKEN, "token", limit).await.map_err(wrap)?;
        Token::parse(&bytes, now)
            .map_err(|what| wrap(RegistryError::Protocol { url: redacted(&realm.url), what }))
    }

    async fn token_by_get(
        &self,
        realm: &Realm,
        scopes: &Scopes,
        credential: Option<&Credential>,
        offline: bool,
    ) -> Result<Response, RegistryError> {
        let (user, password) = match credential {
            Some(Credential::Basic { username, password }) => (username.as_str(), password.reveal()),
            Some(Credential::Identity { username, token }) => (username.as_str(), token.reveal()),
            _ => ("", ""),
        };
        let account = Some(user).filter(|user| !user.is_empty());
        let url = realm.query(scopes, account, offline);
        let given = if password.is_empty() { Some(Given::nothing()) } else { Given::basic(user, password) };
        let given = given.unwrap_or_else(Given::nothing);
        self.token_request(&Sent::get(url), given).await
    }

    async fn token_by_post(
        &self,
        realm: &Realm,
        scopes: &Scopes,
        credential: &Credential,
    ) -> Result<Response, RegistryError> {
        let form = realm.form(scopes, credential).unwrap_or_default();
        let mut sent = Sent::get(realm.url.clone());
        sent.method = Method::POST;
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        sent.headers.insert(header::CONTENT_TYPE, kind);
        sent.body = Some(Bytes::from(form));
        // A form holds the secret itself: it goes where the registry said and no further.
        sent.redirects = 0;
        let mut given = Given::nothing();
        if let Credential::Identity { token, .. } = credential {
            given.secrets.push(token.reveal().to_owned());
        }
        self.token_request(&sent, given).await
    }

    async fn token_request(&self, sent: &Sent, given: Given) -> Result<Response, RegistryError> {
        let mut attempt = 1;
        loop {
            let answer = self.follow(sent, given.header.as_ref(), &sent.url).await;
            let result = match answer {
                Ok((response, url)) => self.checked(&sent.method, &url, response, &given.secrets).await,
                Err(error) => Err(error),
            };
            match result {
                Err(error) if error.is_temporary() => self.pause(error, &mut attempt).await?,
                other => return other,
            }
        }
    }

    /// Longest time for a small answer as a whole.
    pub(super) fn small_limit(&self) -> Duration {
        self.inner.options.stall * 2
    }

    /// Proves a credential to a registry; returns a token to keep instead of the password, if it gives one.
    ///
    /// # Errors
    /// See [`RegistryError`]; status 401 for a wrong name or password.
    pub async fn login(
        &self,
        domain: &str,
        credential: &Credential,
    ) -> Result<Option<crate::registry::Secret>, RegistryError> {
        let endpoint = self.inner.options.hosts.origin(domain)?;
        let sent = Sent::get(endpoint.api("")?);
        let (response, url) = self.probe(&endpoint, &sent, None).await?;
        if response.status().as_u16() != 401 || !same_origin(&url, &self.effective(&endpoint)) {
            self.checked(&sent.method, &url, response, &[]).await?;
            return self.prove_unasked(&endpoint, &sent, credential).await.map(|()| None);
        }
        let offered = challenges(response.headers());
        let (given, refresh) = match (choose(&endpoint, &offered)?, credential) {
            (None, _) => return self.checked(&sent.method, &url, response, &[]).await.map(|_| None),
            (Some((Scheme::Basic, _)), Credential::Basic { username, password }) => {
                self.clear_text_check(&endpoint, &self.effective(&endpoint))?;
                (Given::basic(username, password.reveal()).ok_or_else(|| unusable(&endpoint))?, None)
            }
            (Some((Scheme::Basic, _)), _) => return Err(unusable(&endpoint)),
            (Some((Scheme::Bearer(realm), _)), _) => {
                let token =
                    self.fetch_token(&endpoint, &realm, &Scopes::none(), Some(credential), true).await?;
                (given_token(&endpoint, token.secret.reveal(), true)?, token.refresh)
            }
        };
        let (response, url) = self.probe(&endpoint, &sent, given.header.as_ref()).await?;
        self.checked(&sent.method, &url, response, &given.secrets).await?;
        Ok(refresh)
    }
}

impl RegistryClient {
    /// Shows a password to a registry that lets everybody pull: it does not ask, but may know better.
    async fn prove_unasked(
        &self,
        endpoint: &Endpoint,
        sent: &Sent,
        credential: &Credential,
    ) -> Result<(), RegistryError> {
        let Credential::Basic { username, password } = credential else { return Ok(()) };
        if self.clear_text_check(endpoint, &self.effective(endpoint)).is_err() {
            return Ok(());
        }
        let given = Given::basic(username, password.reveal()).ok_or_else(|| unusable(endpoint))?;
        let (response, url) = self.probe(endpoint, sent, given.header.as_ref()).await?;
        self.checked(&sent.method, &url, response, &given.secrets).await.map(drop)
    }
}

fn unusable(endpoint: &Endpoint) -> RegistryError {
    RegistryError::Authorization {
        host: endpoint.name.clone(),
        what: "the stored credential can't be used for this registry".to_owned(),
    }
}

fn given_token(endpoint: &Endpoint, token: &str, fresh: bool) -> Result<Given, RegistryError> {
    Given::new("Bearer", token, fresh).ok_or_else(|| unusable(endpoint))
}

fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let lines = headers.get_all(header::WWW_AUTHENTICATE).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(challenge::parse).collect()
}

/// Takes the first bearer challenge, else the first basic one.
fn choose<'a>(
    endpoint: &Endpoint,
    challenges: &'a [Challenge],
) -> Result<Option<(Scheme, &'a Challenge)>, RegistryError> {
    let of = |scheme: &str| challenges.iter().find(|challenge| challenge.scheme == scheme);
    if let Some(challenge) = of("bearer") {
        let realm = Realm::of(challenge)
            .map_err(|what| RegistryError::Authorization { host: endpoint.name.clone(), what })?;
        return Ok(Some((Scheme::Bearer(realm), challenge)));
    }
    Ok(of("basic").map(|challenge| (Scheme::Basic, challenge)))
}
