//! All credentials of a user at once, for a container that is to have them.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value};

use super::file::{entry_of, keys, parse, read};
use super::{CredentialError, CredentialFiles, CredentialSource as _, helper};

impl CredentialFiles {
    /// Returns what would stand in `auths` of a file with all credentials that are known, those of helpers included.
    ///
    /// # Errors
    /// A file or a helper's answer means nothing.
    pub fn all(&self) -> Result<Map<String, Value>, CredentialError> {
        let mut known = BTreeSet::new();
        if let Some(text) = &self.environment {
            let value = parse(Path::new("DOCKER_AUTH_CONFIG"), text.reveal().as_bytes())?;
            known.extend(keys(&value).map(str::to_owned));
        }
        if let Some(path) = &self.docker {
            let file = Value::Object(read(path)?);
            known.extend(keys(&file).map(str::to_owned));
            known.extend(file["credHelpers"].as_object().into_iter().flatten().map(|(key, _)| key.clone()));
            if let Some(store) = file["credsStore"].as_str().filter(|name| !name.is_empty()) {
                known.extend(helper::list(store)?.into_keys());
            }
        }
        let mut all = Map::new();
        for key in known {
            let registry = if key == super::file::HUB_KEY { "docker.io" } else { &key };
            if let Some(found) = self.get(registry, None)? {
                all.insert(key, entry_of(&found));
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Secret;
    use super::*;

    #[test]
    fn all_that_is_known_is_found() {
        let dir = tempfile::tempdir().expect("a directory");
        let docker = dir.path().join("config.json");
        let text = r#"{"auths": {"https://index.docker.io/v1/": {"auth": "YTpi"}, "r.example:5000": {"username": "c", "password": "d"},
                       "empty.example": {}}, "currentContext": "x"}"#;
        std::fs::write(&docker, text).expect("a file");
        let environment = Some(Secret::new(r#"{"auths": {"other.example": {"identitytoken": "t"}}}"#));
        let files = CredentialFiles { environment, docker: Some(docker), podman: Vec::new() };
        let all = Value::Object(files.all().expect("they are fine"));
        assert_eq!(
            all,
            serde_json::json!({
                "https://index.docker.io/v1/": { "auth": "YTpi" },
                "other.example": { "auth": "Og==", "identitytoken": "t" },
                "r.example:5000": { "auth": "Yzpk" },
            })
        );
        assert!(CredentialFiles::default().all().expect("nothing is fine").is_empty());
    }
}
