//! Tokens for registries where some may pull and others push (distribution's token specification).
//!
//! Clients decide by the answer to `GET /v2/` how they log in, once for all
//! requests: a registry that lets everybody in there and asks for a password
//! later gets none from docker and podman. A bearer challenge serves both: who
//! has no password gets a token, too, and it lets pull.
//!
//! Tokens are not kept. Each holds its user and its end, signed with a key that
//! comes from the htpasswd file, so that several registries with the same file
//! know each other's, and a changed file ends them all.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hyper::StatusCode;
use hyper::header;

use super::answer::{Answered, Failure, json, set};
use super::handle::Ask;

/// How long a token is good.
const LIFE: Duration = Duration::from_secs(300);
/// Where tokens are.
pub const PATH: &str = "/token";

/// What signs tokens.
#[derive(Debug, Clone)]
pub struct Signer(hmac::Key);

impl Signer {
    /// Takes the text of an htpasswd file.
    pub fn of(text: &str) -> Self {
        let seed = hmac::Key::new(hmac::HMAC_SHA256, b"skiff registry tokens");
        Self(hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&seed, text.as_bytes()).as_ref()))
    }

    /// Returns a token for a user; the empty name is nobody's.
    pub fn issue(&self, user: &str) -> String {
        let end = now() + LIFE.as_secs();
        let text = format!("{end}.{}", BASE64.encode(user));
        let signature = BASE64.encode(hmac::sign(&self.0, text.as_bytes()));
        format!("{text}.{signature}")
    }

    /// Returns the user of a token that is good.
    pub fn user(&self, token: &str) -> Option<String> {
        let (text, signature) = token.rsplit_once('.')?;
        hmac::verify(&self.0, text.as_bytes(), &BASE64.decode(signature).ok()?).ok()?;
        let (end, user) = text.split_once('.')?;
        let good = end.parse::<u64>().is_ok_and(|end| now() < end);
        good.then(|| String::from_utf8(BASE64.decode(user).ok()?).ok()).flatten()
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Answers with a token.
pub fn answer(token: &str) -> Answered {
    let life = LIFE.as_secs();
    let mut response =
        json(&serde_json::json!({ "token": token, "access_token": token, "expires_in": life }));
    set(&mut response, header::CACHE_CONTROL, "no-store");
    Ok(response)
}

/// What a request lacks.
#[derive(Debug, Clone, Copy)]
pub enum Lack {
    /// It shows nothing.
    Token,
    /// What it shows is wrong or has run out.
    GoodToken,
    /// What it shows lets pull alone.
    Right,
}

/// The refusal that sends a client here; `tls` says how it reached the registry.
pub fn challenge(ask: &Ask, tls: bool, scope: Option<&str>, lack: Lack) -> Failure {
    let host = ask.header(header::HOST).filter(|host| is_host(host)).unwrap_or("localhost");
    // A proxy that ends TLS says so.
    let forwarded = ask.headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https");
    let scheme = if tls || forwarded { "https" } else { "http" };
    let mut text = format!("Bearer realm=\"{scheme}://{host}{PATH}\",service=\"{host}\"");
    if let Some(scope) = scope {
        text.push_str(&format!(",scope=\"{scope}\""));
    }
    // Clients that know why do not try again (RFC 6750, section 3.1).
    let (code, message) = match lack {
        Lack::Token => ("UNAUTHORIZED", "authentication required"),
        Lack::GoodToken => {
            text.push_str(",error=\"invalid_token\"");
            ("UNAUTHORIZED", "authentication required")
        }
        Lack::Right => {
            text.push_str(",error=\"insufficient_scope\"");
            ("DENIED", "requested access to the resource is denied")
        }
    };
    Failure::new(StatusCode::UNAUTHORIZED, code, message).header(header::WWW_AUTHENTICATE, text)
}

fn is_host(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_alphanumeric() || b".-_:[]".contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_their_signers_own() {
        let signer = Signer::of("ann:hash\n");
        let token = signer.issue("ann");
        assert_eq!(signer.user(&token).as_deref(), Some("ann"));
        assert_eq!(signer.user(&signer.issue("")).as_deref(), Some(""));
        assert_eq!(Signer::of("ann:other\n").user(&token), None);
        let (text, signature) = token.rsplit_once('.').unwrap();
        let (end, _) = text.split_once('.').unwrap();
        for forged in [
            format!("{end}.{}.{signature}", BASE64.encode("bob")),
            format!("9{text}.{signature}"),
            text.to_owned(),
            format!("{text}."),
            String::new(),
        ] {
            assert_eq!(signer.user(&forged), None, "{forged}");
        }
        let old = format!("{}.{}", now() - 1, BASE64.encode("ann"));
        let signed = BASE64.encode(hmac::sign(&signer.0, old.as_bytes()));
        assert_eq!(signer.user(&format!("{old}.{signed}")), None, "it has run out");
    }

    #[test]
    fn hosts_are_not_repeated_blindly() {
        assert!(is_host("r.test:5000") && is_host("[::1]:5000"));
        assert!(!is_host("a\"b") && !is_host("") && !is_host("a/b"));
    }
}
