//! `network inspect`

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::super::error::CliError;
use super::super::format::{Missing, Template};
use super::super::global::Global;
use super::super::inspect::indented;
use super::super::output;
use crate::net::{Address, NetError, Network, Networks, NewPool};

/// Display detailed information on one or more networks
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// Networks
    #[arg(required = true, value_name = "NETWORK")]
    pub names: Vec<String>,
    /// Format output: json, or a template
    #[arg(short, long, value_name = "STRING")]
    pub format: Option<String>,
    /// Verbose output for diagnostics; there is no more to say of local networks
    #[arg(short, long)]
    pub verbose: bool,
}

/// Runs the command.
pub fn run(args: &InspectArgs, global: &Global) -> Result<ExitCode, CliError> {
    let networks = super::all(global)?;
    // The ids of those that are always there are known from now on.
    networks.list().map_err(|e| CliError::engine(&e))?;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in &args.names {
        match document(&networks, name) {
            Ok(document) => found.push(document),
            Err(error) => failures.push(CliError::engine(&error).text),
        }
    }
    show(&found, args.format.as_deref())?;
    failures.iter().for_each(|text| output::talk(text));
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Returns the document of a network.
pub fn document(networks: &Networks, name: &str) -> Result<Value, NetError> {
    let network = networks.find(name)?;
    let mut containers = BTreeMap::new();
    for endpoint in networks.running(&network)? {
        let shown = json!({
            "Name": endpoint.name,
            "EndpointID": endpoint.id,
            "MacAddress": endpoint.mac,
            "IPv4Address": endpoint.four.map_or(String::new(), |one| format!("{}/{}", one.address, one.prefix)),
            "IPv6Address": endpoint.six.map_or(String::new(), |one| format!("{}/{}", one.address, one.prefix)),
        });
        containers.insert(endpoint.container, shown);
    }
    let created = super::created(&network).map_or(String::new(), |created| created.to_string());
    Ok(json!({
        "Name": network.name,
        "Id": network.id,
        "Created": created,
        "Scope": network.scope,
        "Driver": network.driver.word(),
        "EnableIPv4": network.has_four(),
        "EnableIPv6": network.has_six(),
        "IPAM": { "Driver": "default", "Options": network.ipam_options, "Config": addresses(&network) },
        "Internal": network.internal,
        "Attachable": network.attachable,
        "Ingress": false,
        "ConfigFrom": { "Network": network.config_from },
        "ConfigOnly": network.template.is_some(),
        "Containers": containers,
        "Options": options(&network),
        "Labels": network.labels,
    }))
}

fn addresses(network: &Network) -> Value {
    if let Some(template) = &network.template {
        let six = template.six.iter().flatten().cloned().map(shown);
        let all: Vec<Value> = template.four.iter().cloned().map(shown).chain(six).collect();
        return if all.is_empty() { Value::Null } else { all.into() };
    }
    if !network.can_be_joined() {
        return Value::Null;
    }
    let six = network.pools6().into_iter().map(|pool| shown(pool.into()));
    network.pools().into_iter().map(|pool| shown(pool.into())).chain(six).collect()
}

fn shown<A: Address>(pool: NewPool<A>) -> Value {
    let mut shown = json!({});
    let parts = [
        ("Subnet", pool.subnet.map(|subnet| subnet.to_string())),
        ("IPRange", pool.range.map(|range| range.to_string())),
        ("Gateway", pool.gateway.map(|gateway| gateway.to_string())),
    ];
    for (key, text) in parts {
        if let Some(text) = text {
            shown[key] = json!(text);
        }
    }
    for (name, address) in pool.reserved {
        shown["AuxiliaryAddresses"][name] = json!(address.to_string());
    }
    shown
}

/// Returns the options as given, and for the default network as docker shows them.
fn options(network: &Network) -> BTreeMap<String, String> {
    let mut all = network.options.clone();
    if network.name == crate::net::DEFAULT {
        for (key, value) in [
            ("default_bridge", "true"),
            ("enable_icc", "true"),
            ("enable_ip_masquerade", "true"),
            ("host_binding_ipv4", "0.0.0.0"),
            ("name", &network.bridge),
        ] {
            all.insert(format!("com.docker.network.bridge.{key}"), value.to_owned());
        }
    }
    all
}

/// Prints documents as `--format` wants them.
fn show(found: &[Value], format: Option<&str>) -> Result<(), CliError> {
    let parsing = |e: &dyn std::fmt::Display| CliError::new(format!("template parsing error: {e}"));
    let text = match format.map(str::trim).filter(|format| !format.is_empty()) {
        None => indented(found) + "\n",
        Some("json") => serde_json::to_string(found).expect("JSON serialises") + "\n",
        Some(format) => {
            let template = Template::parse(format).map_err(|e| parsing(&e).code(64))?;
            let lines =
                found.iter().map(|value| template.render(value, Missing::Error).map_err(|e| parsing(&e)));
            lines.map(|line| line.map(|line| line + "\n")).collect::<Result<String, _>>()?
        }
    };
    output::data(&text)
}
