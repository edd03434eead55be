//! `network connect`, `create`, `disconnect`, `inspect`, `ls`, `prune`, `rm`

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::create::network::endpoint;
use super::rows::{self, filters};
use super::{Engine, inspect, list, prune, text};
use crate::cli::container::client_setting;
use crate::cli::error::CliError;
use crate::cli::format::List;
use crate::cli::inspect::Scope;
use crate::cli::network::NetworkCommand;
use crate::cli::network::connect::{ConnectArgs, DisconnectArgs, asked};
use crate::cli::network::create::CreateArgs;
use crate::cli::network::list::{COLUMNS, LsArgs, RAW};
use crate::cli::network::pools::{PoolText, pools};
use crate::cli::network::remove::RmArgs;
use crate::cli::volume::{labels, pairs};
use crate::cli::{human, output};
use crate::engine::client::{Request, segment};

/// Runs a command of the group.
pub fn run(command: &NetworkCommand, engine: &Engine<'_>) -> Result<ExitCode, CliError> {
    match command {
        NetworkCommand::Connect(args) => connect(args, engine)?,
        NetworkCommand::Create(args) => create(args, engine)?,
        NetworkCommand::Disconnect(args) => disconnect(args, engine)?,
        NetworkCommand::Inspect(args) => {
            inspect::named(&args.names, args.format.as_deref(), Scope::Network, engine)?;
        }
        NetworkCommand::Ls(args) => ls(args, engine)?,
        NetworkCommand::Prune(args) => prune::network(args, engine)?,
        NetworkCommand::Rm(args) => return rm(args, engine),
    }
    Ok(ExitCode::SUCCESS)
}

fn create(args: &CreateArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    let mut body = json!({
        "Name": args.name, "Driver": args.driver, "Internal": args.internal, "Attachable": args.attachable,
        "Ingress": args.ingress, "Scope": args.scope, "ConfigOnly": args.config_only, "CheckDuplicate": true,
        "EnableIPv6": args.ipv6, "Options": pairs(&args.opt), "Labels": labels(&args.label)?,
        "IPAM": {
            "Driver": args.ipam_driver, "Options": pairs(&args.ipam_opt),
            "Config": pools(args)?.iter().map(pool).collect::<Value>(),
        },
    });
    if !args.ipv4 {
        body["EnableIPv4"] = json!(false);
    }
    if !args.config_from.is_empty() {
        body["ConfigFrom"] = json!({ "Network": args.config_from });
    }
    let made = engine.document(Request::post("/networks/create").json(&body))?;
    let warning = text(&made["Warning"]);
    if !warning.is_empty() {
        output::talk(&format!("WARNING: {warning}"));
    }
    output::line(text(&made["Id"]))
}

fn pool(pool: &PoolText) -> Value {
    let mut body = json!({ "Subnet": pool.subnet });
    for (key, value) in [("IPRange", &pool.range), ("Gateway", &pool.gateway)] {
        if let Some(value) = value {
            body[key] = json!(value);
        }
    }
    if !pool.reserved.is_empty() {
        body["AuxiliaryAddresses"] = json!(pool.reserved);
    }
    body
}

fn connect(args: &ConnectArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    let endpoint = endpoint(&asked(args)?, true);
    let body = json!({ "Container": args.container, "EndpointConfig": endpoint });
    let path = format!("/networks/{}/connect", segment(&args.network));
    engine.send(Request::post(path).json(&body))?.whole()?;
    Ok(())
}

fn disconnect(args: &DisconnectArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    let body = json!({ "Container": args.container, "Force": args.force });
    let path = format!("/networks/{}/disconnect", segment(&args.network));
    engine.send(Request::post(path).json(&body))?.whole()?;
    Ok(())
}

fn rm(args: &RmArgs, engine: &Engine<'_>) -> Result<ExitCode, CliError> {
    let mut code = ExitCode::SUCCESS;
    for name in &args.names {
        match engine.client.send(Request::delete(format!("/networks/{}", segment(name)))) {
            Ok(mut response) => {
                response.whole()?;
                output::line(name)?;
            }
            Err(error) if args.force && error.status() == Some(404) => {}
            Err(error) => {
                output::talk(&CliError::from(error).text);
                code = ExitCode::from(1);
            }
        }
    }
    Ok(code)
}

fn ls(args: &LsArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    let known = ["driver", "id", "label", "name", "scope", "type", "dangling"];
    let request = Request::get("/networks").maybe("filters", filters(&args.filter, Some(&known))?);
    let found = engine.document(request)?;
    let mut found: Vec<&Value> = list(&found).iter().collect();
    found.sort_by_key(|network| text(&network["Name"]));
    let id = |network: &Value| rows::id(text(&network["Id"]), args.no_trunc);
    if args.quiet {
        return output::data(&found.iter().map(|network| id(network) + "\n").collect::<String>());
    }
    let truth = |value: &Value| value.as_bool().unwrap_or(false).to_string();
    let row = |network: &&Value| {
        rows::object(json!({
            "CreatedAt": human::created_at(text(&network["Created"]).parse().ok()),
            "Driver": text(&network["Driver"]),
            "ID": id(network),
            "IPv4": network["EnableIPv4"].as_bool().unwrap_or(true).to_string(),
            "IPv6": truth(&network["EnableIPv6"]),
            "Internal": truth(&network["Internal"]),
            "Labels": rows::joined(&network["Labels"]),
            "Name": text(&network["Name"]),
            "Scope": text(&network["Scope"]),
        }))
    };
    let rows = found.iter().map(row).collect();
    let labels: Vec<BTreeMap<String, String>> =
        found.iter().map(|network| rows::labels(&network["Labels"])).collect();
    let labels: Vec<_> = labels.iter().collect();
    let format = args.format.clone().or_else(|| client_setting(engine.global, "networksFormat"));
    let format = format.map(|format| if format.trim() == "raw" { RAW.to_owned() } else { format });
    let list = List { columns: COLUMNS, default: &["ID", "Name", "Driver", "Scope"], rows };
    output::data(&list.render_labelled(format.as_deref(), &labels)?)
}
