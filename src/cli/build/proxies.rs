//! Proxies of RUN instructions: those of the client's configuration, and with `--http-proxy` the environment's.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::global::Global;
use super::super::output;
use crate::fs::Root;

/// Most bytes of the client's configuration.
const MAX_CONFIG: usize = 4 << 20;

/// Build arguments and the keys that the configuration has for them.
const NAMES: [(&str, &str); 5] = [
    ("HTTP_PROXY", "httpProxy"),
    ("HTTPS_PROXY", "httpsProxy"),
    ("FTP_PROXY", "ftpProxy"),
    ("NO_PROXY", "noProxy"),
    ("ALL_PROXY", "allProxy"),
];

/// Reads the client's configuration; one that can't be read is warned of, as docker does.
pub fn client_config(global: &Global) -> Option<Value> {
    let home = || std::env::var_os("HOME").map(|home| std::path::PathBuf::from(home).join(".docker"));
    let dir = global.args.config.clone().filter(|dir| !dir.as_os_str().is_empty()).or_else(home)?;
    let text = Root::open(&dir).and_then(|root| root.read("config.json", MAX_CONFIG));
    let text = match text {
        Ok(text) => text,
        Err(error) if error.is_not_found() => return None,
        Err(error) => {
            output::talk(&format!("WARNING: Error loading config file: {}: {error}", dir.display()));
            return None;
        }
    };
    let parsed = serde_json::from_slice(&text);
    parsed
        .map_err(|error| {
            output::talk(&format!("WARNING: Error parsing config file ({}): {error}", dir.display()))
        })
        .ok()
}

/// Adds proxies to the build arguments, except where the command line has them in any case.
pub fn add(
    build_args: &mut BTreeMap<String, String>,
    asked: Option<bool>,
    config: Option<&Value>,
    variable: impl Fn(&str) -> Option<String>,
) {
    if asked == Some(false) {
        return;
    }
    let proxies = config.and_then(|config| config.get("proxies")?.get("default"));
    for (name, key) in NAMES {
        if build_args.keys().any(|given| given.eq_ignore_ascii_case(name)) {
            continue;
        }
        let configured = || proxies?.get(key)?.as_str().map(str::to_owned);
        let of_environment = || match asked {
            Some(true) => variable(&name.to_lowercase()).or_else(|| variable(name)),
            _ => None,
        };
        if let Some(value) = configured().or_else(of_environment).filter(|value| !value.is_empty()) {
            build_args.insert(name.to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_comes_first_then_the_configuration_then_the_environment() {
        let config = serde_json::json!({"proxies": {"default": {
            "httpProxy": "http://config", "noProxy": "config", "ftpProxy": ""
        }}});
        let variable = |name: &str| match name {
            "http_proxy" => Some("http://env".to_owned()),
            "HTTPS_PROXY" => Some("https://env".to_owned()),
            _ => None,
        };
        let with = |asked, given: &[(&str, &str)]| {
            let mut args: BTreeMap<String, String> =
                given.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            add(&mut args, asked, Some(&config), variable);
            args.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(with(None, &[]), "HTTP_PROXY=http://config NO_PROXY=config");
        assert_eq!(with(Some(false), &[]), "");
        assert_eq!(with(Some(true), &[]), "HTTPS_PROXY=https://env HTTP_PROXY=http://config NO_PROXY=config");
        assert_eq!(with(None, &[("http_proxy", "mine"), ("No_Proxy", "x")]), "No_Proxy=x http_proxy=mine");
    }
}
