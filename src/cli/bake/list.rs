//! `--list targets|variables[,format=json]`

use serde_json::{Map, Value, json};

use super::super::error::CliError;
use super::super::output;
use crate::bake::{Loaded, json};

/// What is listed and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct List {
    variables: bool,
    json: bool,
}

/// Reads the flag.
///
/// # Errors
/// It is neither targets nor variables, or of an unknown format.
pub fn parse(text: &str) -> Result<List, CliError> {
    let (mut kind, mut format) = (None, "table");
    for field in text.split(',') {
        match field.split_once('=') {
            Some(("type", value)) => kind = Some(value),
            Some(("format", value)) => format = value,
            None => kind = Some(field),
            Some(_) => return Err(CliError::new(format!("ERROR: invalid list type {text:?}"))),
        }
    }
    let variables = match kind {
        Some("targets") => false,
        Some("variables") => true,
        other => {
            let other = other.unwrap_or_default();
            return Err(CliError::new(format!("ERROR: invalid list type {other:?}")));
        }
    };
    match format {
        "table" | "json" => Ok(List { variables, json: format == "json" }),
        other => Err(CliError::new(format!("ERROR: invalid list format {other:?}"))),
    }
}

/// Prints what files define.
///
/// # Errors
/// Standard output can't be written.
pub fn print(list: List, loaded: &Loaded) -> Result<(), CliError> {
    match (list.variables, list.json) {
        (true, true) => output::line(&json::pretty(&variables_json(loaded))),
        (false, true) => output::line(&json::pretty(&targets_json(loaded))),
        (true, false) => {
            let rows = loaded.variables.iter().map(|variable| {
                let value = variable.value.as_deref().unwrap_or("<null>");
                [&variable.name, variable.kind.as_deref().unwrap_or_default(), value, &variable.description]
                    .map(str::to_owned)
                    .to_vec()
            });
            table(["VARIABLE", "TYPE", "VALUE", "DESCRIPTION"].map(str::to_owned).to_vec(), rows.collect())
        }
        (false, false) => {
            let rows = rows(loaded).into_iter().map(|row| vec![row.name, row.description]);
            table(vec!["TARGET".to_owned(), "DESCRIPTION".to_owned()], rows.collect())
        }
    }
}

/// Columns end at tabs, eight signs apart, as docker prints them.
fn table(head: Vec<String>, rows: Vec<Vec<String>>) -> Result<(), CliError> {
    let mut text = String::new();
    for row in std::iter::once(&head).chain(&rows) {
        text.push_str(&row.join("\t"));
        text.push('\n');
    }
    output::data(&super::columns::align(&text))
}

struct Row {
    name: String,
    description: String,
    group: bool,
}

/// Groups and targets by name; those that begin with an underscore are private.
fn rows(loaded: &Loaded) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for group in &loaded.config.groups {
        let mut targets = group.targets.clone();
        targets.sort();
        let targets = targets.join(", ");
        let description = match group.description.is_empty() {
            true => targets,
            false => format!("{} ({targets})", group.description),
        };
        rows.push(Row { name: group.name.clone(), description, group: true });
    }
    for target in &loaded.config.targets {
        if !rows.iter().any(|row| row.name == target.name) {
            let description = target.description.clone();
            rows.push(Row { name: target.name.clone(), description, group: false });
        }
    }
    rows.retain(|row| !row.name.starts_with('_'));
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    rows
}

fn targets_json(loaded: &Loaded) -> Value {
    let row = |row: Row| {
        let mut fields = Map::from_iter([("name".to_owned(), json!(row.name))]);
        if !row.description.is_empty() {
            fields.insert("description".to_owned(), json!(row.description));
        }
        if row.group {
            fields.insert("group".to_owned(), json!(true));
        }
        Value::Object(fields)
    };
    rows(loaded).into_iter().map(row).collect()
}

fn variables_json(loaded: &Loaded) -> Value {
    let one = |variable: &crate::bake::Variable| {
        let mut fields = Map::from_iter([("name".to_owned(), json!(variable.name))]);
        if !variable.description.is_empty() {
            fields.insert("description".to_owned(), json!(variable.description));
        }
        if let Some(kind) = &variable.kind {
            fields.insert("type".to_owned(), json!(kind));
        }
        if let Some(value) = &variable.value {
            fields.insert("value".to_owned(), json!(value));
        }
        Value::Object(fields)
    };
    loaded.variables.iter().map(one).collect()
}
