//! Requests on networks.

use std::collections::BTreeMap;

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::filter::Filters;
use super::super::network::{self, CreateArgs, DisconnectArgs};
use super::Service;
use super::containers::create::network::attachment;
use super::containers::fields::Fields;
use super::route::{not_found, words};
use super::words::{as_flags, given, or_default, pairs};
use crate::engine::ApiError;
use crate::engine::server::{Answer, Request};

/// Answers a request.
///
/// # Errors
/// What the client is told.
pub fn answer(service: &Service, request: Request) -> Result<Answer, ApiError> {
    let (method, path) = words(&request);
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match (method, &path[..]) {
        ("GET", ["networks"]) => list(service, &request),
        ("POST", ["networks", "create"]) => create(service, request),
        ("POST", ["networks", "prune"]) => prune(service, &request),
        ("GET", ["networks", name]) => inspect(service, name),
        ("DELETE", ["networks", name]) => {
            network::remove(name, &service.global)?;
            Ok(Answer::done())
        }
        ("POST", ["networks", name, "connect"]) => connect(service, name, request),
        ("POST", ["networks", name, "disconnect"]) => disconnect(service, name, request),
        _ => Err(not_found()),
    }
}

fn list(service: &Service, request: &Request) -> Result<Answer, ApiError> {
    let found = network::found(&as_flags(&request.query.filters()?), &service.global)?;
    let mut all = Vec::new();
    for one in found {
        // One that goes just now is gone.
        if let Some(mut shown) = network::document(&one.id, &service.global)? {
            shown["Containers"] = json!({});
            all.push(shown);
        }
    }
    Ok(Answer::json(all.into()))
}

fn inspect(service: &Service, name: &str) -> Result<Answer, ApiError> {
    let found = network::document(name, &service.global)?;
    found.map(Answer::json).ok_or_else(|| ApiError::not_found(format!("network {name} not found")))
}

/// What a new network is to be, as clients write it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Wanted {
    name: String,
    #[serde(deserialize_with = "or_default")]
    driver: String,
    #[serde(deserialize_with = "or_default")]
    scope: String,
    internal: bool,
    attachable: bool,
    ingress: bool,
    config_only: bool,
    config_from: Option<Value>,
    #[serde(rename = "EnableIPv4")]
    ipv4: Option<bool>,
    #[serde(rename = "EnableIPv6")]
    ipv6: Option<bool>,
    #[serde(rename = "IPAM")]
    ipam: Option<Ipam>,
    #[serde(deserialize_with = "or_default")]
    options: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    labels: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Ipam {
    #[serde(deserialize_with = "or_default")]
    driver: String,
    #[serde(deserialize_with = "or_default")]
    options: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    config: Vec<Pool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Pool {
    subnet: String,
    gateway: String,
    #[serde(rename = "IPRange")]
    range: String,
    #[serde(alias = "AuxAddress", deserialize_with = "or_default")]
    auxiliary_addresses: BTreeMap<String, String>,
}

fn create(service: &Service, mut request: Request) -> Result<Answer, ApiError> {
    let wanted: Wanted = request.json()?;
    if wanted.name.is_empty() {
        return Err(ApiError::bad("invalid network name: name is empty"));
    }
    let ipam = wanted.ipam.unwrap_or_default();
    let pools = |of: fn(&Pool) -> &String| ipam.config.iter().map(of).filter_map(given).collect();
    let from = wanted.config_from.as_ref().and_then(|from| from["Network"].as_str()).unwrap_or_default();
    let args = CreateArgs {
        driver: given(&wanted.driver).unwrap_or_else(|| "bridge".to_owned()),
        ipv4: wanted.ipv4.unwrap_or(true),
        ipv6: wanted.ipv6.unwrap_or(false),
        subnet: pools(|pool| &pool.subnet),
        gateway: pools(|pool| &pool.gateway),
        ip_range: pools(|pool| &pool.range),
        aux_address: ipam.config.iter().flat_map(|pool| pairs(&pool.auxiliary_addresses)).collect(),
        internal: wanted.internal,
        attachable: wanted.attachable,
        label: pairs(&wanted.labels),
        opt: pairs(&wanted.options),
        config_only: wanted.config_only,
        config_from: from.to_owned(),
        scope: wanted.scope,
        ingress: wanted.ingress,
        ipam_driver: given(&ipam.driver).unwrap_or_else(|| "default".to_owned()),
        ipam_opt: pairs(&ipam.options),
        name: wanted.name,
    };
    let (made, warning) = network::create(&args, &service.global)?;
    let answer = json!({ "Id": made.id, "Warning": warning.unwrap_or_default() });
    Ok(Answer::Json(StatusCode::CREATED, answer))
}

/// A container that joins or leaves.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Joining {
    container: String,
    #[serde(default)]
    force: bool,
    #[serde(default)]
    endpoint_config: Value,
}

fn connect(service: &Service, name: &str, mut request: Request) -> Result<Answer, ApiError> {
    let joining: Joining = request.json()?;
    let endpoint = match joining.endpoint_config {
        Value::Null => json!({}),
        given => given,
    };
    let asked = attachment(name.to_owned(), &Fields::of(&endpoint, "EndpointConfig")?)?;
    network::join(asked, &joining.container, &service.global)?;
    Ok(Answer::Empty(StatusCode::OK))
}

fn disconnect(service: &Service, name: &str, mut request: Request) -> Result<Answer, ApiError> {
    let joining: Joining = request.json()?;
    let (network, container) = (name.to_owned(), joining.container);
    network::disconnect(&DisconnectArgs { force: joining.force, network, container }, &service.global)?;
    Ok(Answer::Empty(StatusCode::OK))
}

fn prune(service: &Service, request: &Request) -> Result<Answer, ApiError> {
    let filters = Filters::parse(&as_flags(&request.query.filters()?), &["until", "label", "label!"])?;
    let names = network::remove_unused(&service.global, &filters, false)?;
    Ok(Answer::json(json!({ "NetworksDeleted": names })))
}
