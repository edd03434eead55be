//! Asking a token server, and what it answers (distribution's token specification).

use std::time::{Duration, Instant};

use serde::Deserialize;
use url::Url;
use url::form_urlencoded::Serializer;

use super::{Challenge, Credential, Scopes, Secret};

/// Who we say we are.
const CLIENT_ID: &str = "skiff";
/// A token is good for at least this long, whatever the server says.
const SHORTEST: Duration = Duration::from_secs(60);
/// Longest time that a token is believed to be good.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Where tokens for a registry come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Realm {
    /// The token server.
    pub url: Url,
    /// The registry's name there.
    pub service: Option<String>,
}

/// A token that a registry may be shown.
#[derive(Debug, Clone)]
pub struct Token {
    /// The token itself.
    pub secret: Secret,
    /// A token to ask for more tokens with, if one was asked for.
    pub refresh: Option<Secret>,
    renew_at: Instant,
}

impl Token {
    /// Whether it will still be good when a request with it arrives.
    pub fn is_good(&self) -> bool {
        Instant::now() < self.renew_at
    }

    /// Reads a token server's answer; `now` is when it was asked.
    ///
    /// # Errors
    /// The text says what is missing.
    pub fn parse(bytes: &[u8], now: Instant) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Answer {
            token: Option<String>,
            access_token: Option<String>,
            refresh_token: Option<String>,
            expires_in: Option<serde_json::Value>,
        }
        // The parser's own words may quote the token: only their place is told.
        let answer: Answer = serde_json::from_slice(bytes)
            .map_err(|e| format!("the token server's answer does not parse (column {})", e.column()))?;
        let text = |text: Option<String>| text.filter(|text| !text.is_empty());
        let secret = text(answer.token).or(text(answer.access_token));
        let secret = secret.ok_or("the token server's answer holds no token")?;
        if !secret.bytes().all(|c| c.is_ascii_graphic()) {
            return Err("the token server's answer holds a token that no header can carry".to_owned());
        }
        let seconds = answer.expires_in.and_then(|v| v.as_f64().or_else(|| v.as_str()?.parse().ok()));
        let life = Duration::try_from_secs_f64(seconds.unwrap_or(0.0).max(0.0)).unwrap_or(LONGEST);
        let life = life.clamp(SHORTEST, LONGEST);
        let early = (life / 5).min(Duration::from_secs(30));
        let refresh = text(answer.refresh_token).map(Secret::new);
        Ok(Self { secret: Secret::new(secret), refresh, renew_at: now + life - early })
    }
}

impl Realm {
    /// Reads a bearer challenge.
    ///
    /// # Errors
    /// The text says what is wrong with it.
    pub fn of(challenge: &Challenge) -> Result<Self, String> {
        let text = challenge.get("realm").ok_or("the registry names no token server")?;
        let url = Url::parse(text).map_err(|e| format!("the registry's token server is no URL ({e})"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err("the registry's token server is no http or https URL".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the registry's token server URL holds a user or a password".to_owned());
        }
        Ok(Self { url, service: challenge.get("service").map(str::to_owned) })
    }

    /// Returns the URL that asks for a token by GET; a password goes into a header, not here.
    pub fn query(&self, scopes: &Scopes, account: Option<&str>, offline: bool) -> Url {
        let mut url = self.url.clone();
        {
            let mut query = url.query_pairs_mut();
            if let Some(service) = &self.service {
                query.append_pair("service", service);
            }
            for scope in scopes.texts() {
                query.append_pair("scope", &scope);
            }
            if let Some(account) = account {
                query.append_pair("account", account);
            }
            if offline {
                query.append_pair("offline_token", "true").append_pair("client_id", CLIENT_ID);
            }
        }
        if url.query() == Some("") {
            url.set_query(None);
        }
        url
    }

    /// Returns the form that asks for a token by an OAuth2 POST; it holds the secret.
    pub fn form(&self, scopes: &Scopes, credential: &Credential) -> Option<String> {
        let mut form = Serializer::new(String::new());
        match credential {
            Credential::Basic { username, password } => {
                form.append_pair("grant_type", "password").append_pair("username", username);
                form.append_pair("password", password.reveal()).append_pair("access_type", "offline");
            }
            Credential::Identity { token, .. } => {
                form.append_pair("grant_type", "refresh_token").append_pair("refresh_token", token.reveal());
            }
            Credential::Registry { .. } => return None,
        }
        if let Some(service) = &self.service {
            form.append_pair("service", service);
        }
        form.append_pair("client_id", CLIENT_ID).append_pair("scope", &scopes.to_string());
        Some(form.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn realm(text: &str) -> Result<Realm, String> {
        Realm::of(&super::super::challenge::parse(text).remove(0))
    }

    #[test]
    fn answers_and_their_lives() {
        let now = Instant::now();
        let life = |text: &str| Token::parse(text.as_bytes(), now).map(|t| (t.renew_at - now).as_secs());
        assert_eq!(life(r#"{"token":"a"}"#), Ok(48), "60 seconds by default, renewed early");
        assert_eq!(life(r#"{"access_token":"a","expires_in":300}"#), Ok(270));
        assert_eq!(life(r#"{"token":"a","expires_in":"300"}"#), Ok(270));
        assert_eq!(life(r#"{"token":"a","expires_in":-5}"#), Ok(48));
        assert_eq!(life(r#"{"token":"a","expires_in":1e300}"#), Ok(24 * 3600 - 30));
        assert!(life(r#"{"token":""}"#).is_err());
        assert!(life("{\"token\":\"a\\r\\nX: y\"}").is_err());
        let error = life(r#"{"token":secret}"#).unwrap_err();
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn queries_and_forms() {
        let realm = realm(r#"Bearer realm="https://t.test/token?x=1",service="r""#).unwrap();
        let url = realm.query(&Scopes::push("a").with(&Scopes::pull("b")), Some("me"), true);
        assert_eq!(
            url.query(),
            Some(
                "x=1&service=r&scope=repository%3Aa%3Apull%2Cpush&scope=repository%3Ab%3Apull&account=me\
                 &offline_token=true&client_id=skiff"
            )
        );
        let identity = Credential::Identity { username: String::new(), token: Secret::new("t&1") };
        assert_eq!(
            realm.form(&Scopes::pull("a"), &identity).unwrap(),
            "grant_type=refresh_token&refresh_token=t%261&service=r&client_id=skiff&scope=repository%3Aa%3Apull"
        );
        assert!(realm.form(&Scopes::none(), &Credential::Registry { token: Secret::new("x") }).is_none());
    }

    #[test]
    fn token_servers_that_make_no_sense() {
        for bad in [
            "Bearer service=x",
            "Bearer realm=/token",
            "Bearer realm=ftp://x/",
            "Bearer realm=https://u:p@x/",
        ] {
            assert!(realm(bad).is_err(), "{bad}");
        }
    }
}
