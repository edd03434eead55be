//! `network ls`

use clap::Args;
use serde_json::{Map, Value, json};

use super::super::container::client_setting;
use super::super::error::CliError;
use super::super::filter::{Filters, has_label};
use super::super::format::{Column, List};
use super::super::global::Global;
use super::super::{human, output};
use crate::net::Network;

/// The fields of a row.
pub const COLUMNS: &[Column] = &[
    Column { field: "ID", title: "NETWORK ID" },
    Column { field: "Name", title: "NAME" },
    Column { field: "Driver", title: "DRIVER" },
    Column { field: "Scope", title: "SCOPE" },
    Column { field: "IPv4", title: "IPV4" },
    Column { field: "IPv6", title: "IPV6" },
    Column { field: "Internal", title: "INTERNAL" },
    Column { field: "Labels", title: "LABELS" },
    Column { field: "CreatedAt", title: "CREATED AT" },
];

/// What docker's old format `raw` shows.
pub const RAW: &str = "network_id: {{.ID}}\nname: {{.Name}}\ndriver: {{.Driver}}\nscope: {{.Scope}}\n";

/// List networks
#[derive(Debug, Args)]
pub struct LsArgs {
    /// Provide filter values (e.g. "driver=bridge")
    #[arg(short, long, value_name = "FILTER")]
    pub filter: Vec<String>,
    /// Format output: table, table TEMPLATE, json, or a template
    #[arg(long, value_name = "STRING")]
    pub format: Option<String>,
    /// Do not truncate the output
    #[arg(long)]
    pub no_trunc: bool,
    /// Only display network IDs
    #[arg(short, long)]
    pub quiet: bool,
}

/// Runs the command.
pub fn run(args: &LsArgs, global: &Global) -> Result<(), CliError> {
    let found = found(&args.filter, global)?;
    let id = |network: &Network| match args.no_trunc {
        true => network.id.clone(),
        false => network.id.chars().take(12).collect(),
    };
    if args.quiet {
        let ids: String = found.iter().map(|network| id(network) + "\n").collect();
        return output::data(&ids);
    }
    let rows = found.iter().map(|network| row(network, &id(network))).collect();
    let default = ["ID", "Name", "Driver", "Scope"];
    let format = args.format.clone().or_else(|| client_setting(global, "networksFormat"));
    let labels: Vec<_> = found.iter().map(|network| &network.labels).collect();
    let format = format.map(|format| if format.trim() == "raw" { RAW.to_owned() } else { format });
    let list = List { columns: COLUMNS, default: &default, rows };
    output::data(&list.render_labelled(format.as_deref(), &labels)?)
}

/// Returns the networks that fit filters.
///
/// # Errors
/// A filter is none, or the networks can't be read.
pub fn found(filters: &[String], global: &Global) -> Result<Vec<Network>, CliError> {
    let known = ["driver", "id", "label", "name", "scope", "type", "dangling"];
    let filters = Filters::parse(filters, &known)?;
    if let Some(kind) =
        filters.values("type").iter().find(|kind| !["custom", "builtin"].contains(&kind.as_str()))
    {
        return Err(CliError::new(format!("Error response from daemon: invalid filter: 'type'='{kind}'")));
    }
    let networks = super::all(global)?;
    let dangling = filters.boolean("dangling")?;
    let mut found = Vec::new();
    for network in networks.list().map_err(|e| CliError::engine(&e))? {
        let unused = || -> Result<bool, CliError> {
            let inside = networks.running(&network).map_err(|e| CliError::engine(&e))?;
            Ok(!network.is_predefined() && inside.is_empty())
        };
        if fits(&network, &filters) && (dangling.is_none() || dangling == Some(unused()?)) {
            found.push(network);
        }
    }
    Ok(found)
}

fn fits(network: &Network, filters: &Filters) -> bool {
    let any = |key: &str, fits: &dyn Fn(&str) -> bool| {
        let values = filters.values(key);
        values.is_empty() || values.iter().any(|value| fits(value))
    };
    any("driver", &|value| value == network.driver.word())
        && any("id", &|value| network.id.contains(value))
        && any("name", &|value| network.name.contains(value))
        && any("scope", &|value| value == network.scope)
        && any("type", &|value| (value == "builtin") == network.is_predefined())
        && filters.values("label").iter().all(|label| has_label(&network.labels, label))
}

fn row(network: &Network, id: &str) -> Map<String, Value> {
    let labels: Vec<String> = network.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let fields = json!({
        "CreatedAt": human::created_at(super::created(network)),
        "Driver": network.driver.word(),
        "ID": id,
        "IPv4": network.has_four().to_string(),
        "IPv6": network.has_six().to_string(),
        "Internal": network.internal.to_string(),
        "Labels": labels.join(","),
        "Name": network.name,
        "Scope": network.scope,
    });
    match fields {
        Value::Object(map) => map,
        _ => unreachable!("an object was written"),
    }
}
