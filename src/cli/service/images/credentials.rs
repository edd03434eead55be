//! What clients prove themselves to registries with: headers of their requests.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use super::super::super::login;
use crate::engine::server::Request;
use crate::registry::{Credential, CredentialError, CredentialSource, Secret};

/// The credentials of one request, by registry.
#[derive(Debug, Default)]
pub struct Given(BTreeMap<String, Credential>);

impl CredentialSource for Given {
    fn get(&self, registry: &str, _: Option<&str>) -> Result<Option<Credential>, CredentialError> {
        Ok(self.0.get(registry).cloned())
    }
}

/// Returns what `X-Registry-Auth` gives for a registry. Like docker, a header that can't be read is none.
pub fn one(request: &Request, domain: &str) -> Arc<dyn CredentialSource> {
    let given = object(request, "x-registry-auth").as_ref().and_then(credential);
    Arc::new(Given(given.into_iter().map(|one| (domain.to_owned(), one)).collect()))
}

/// Returns what `X-Registry-Config` gives for several registries.
pub fn several(request: &Request) -> Arc<dyn CredentialSource> {
    let mut all = BTreeMap::new();
    for (server, value) in object(request, "x-registry-config").unwrap_or_default() {
        let Value::Object(fields) = value else { continue };
        if let (Ok(domain), Some(one)) = (login::domain(Some(&server)), credential(&fields)) {
            all.insert(domain, one);
        }
    }
    Arc::new(Given(all))
}

/// Reads base64 of JSON, in both alphabets, padded or not.
fn object(request: &Request, header: &str) -> Option<Map<String, Value>> {
    let text = request.header(header)?.trim();
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let read = |alphabet| GeneralPurpose::new(alphabet, config).decode(text).ok();
    let bytes = read(&alphabet::URL_SAFE).or_else(|| read(&alphabet::STANDARD))?;
    serde_json::from_slice(&bytes).ok()
}

/// Returns what an `AuthConfig` means; none where it is empty.
pub fn credential(fields: &Map<String, Value>) -> Option<Credential> {
    let field = |name: &str| {
        let found = fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| value.as_str()).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    if let Some(token) = field("registrytoken") {
        return Some(Credential::Registry { token: Secret::new(token) });
    }
    let username = field("username");
    if let Some(token) = field("identitytoken") {
        let username = username.unwrap_or_default();
        return Some(Credential::Identity { username, token: Secret::new(token) });
    }
    let pair = username.zip(field("password")).or_else(|| {
        let bytes = base64::engine::general_purpose::STANDARD.decode(field("auth")?).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        text.split_once(':').map(|(name, password)| (name.to_owned(), password.to_owned()))
    });
    pair.map(|(username, password)| Credential::Basic { username, password: Secret::new(password) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_auth_config_has_several_forms() {
        let read = |text: &str| credential(serde_json::from_str::<Value>(text).unwrap().as_object().unwrap());
        let basic = Credential::Basic { username: "u".to_owned(), password: Secret::new("p:w") };
        assert_eq!(read(r#"{"username":"u","password":"p:w","serveraddress":"x"}"#), Some(basic.clone()));
        assert_eq!(read(r#"{"Username":"u","Password":"p:w"}"#), Some(basic.clone()));
        assert_eq!(read(r#"{"auth":"dTpwOnc="}"#), Some(basic));
        let identity = Credential::Identity { username: String::new(), token: Secret::new("t") };
        assert_eq!(read(r#"{"identitytoken":"t"}"#), Some(identity));
        assert_eq!(read(r#"{"registrytoken":"t"}"#), Some(Credential::Registry { token: Secret::new("t") }));
        for none in ["{}", r#"{"username":"u"}"#, r#"{"auth":"!"}"#, r#"{"username":1,"password":2}"#] {
            assert_eq!(read(none), None, "{none}");
        }
    }
}
