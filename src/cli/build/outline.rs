//! `--call outline` and `--call targets`: what a file takes and offers, as text or JSON.

use serde::Serialize;

use super::subrequest::{Location, json, table};
use crate::lint::{Argument, Needed, Outline, Target};

#[derive(Serialize)]
struct OutlineJson {
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    args: Vec<ArgumentJson>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    secrets: Vec<NeededJson>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ssh: Vec<NeededJson>,
    sources: Vec<String>,
}

#[derive(Serialize)]
struct ArgumentJson {
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    value: String,
    location: Location,
}

#[derive(Serialize)]
struct NeededJson {
    name: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    required: bool,
    location: Location,
}

#[derive(Serialize)]
struct TargetsJson {
    targets: Vec<TargetJson>,
    sources: Vec<String>,
}

#[derive(Serialize)]
struct TargetJson {
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    default: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    base: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    platform: String,
    location: Location,
}

impl From<Argument> for ArgumentJson {
    fn from(argument: Argument) -> Self {
        let Argument { name, description, value, span } = argument;
        Self { name, description, value, location: Location::of(Some(span)) }
    }
}

impl From<Needed> for NeededJson {
    fn from(Needed { name, required, span }: Needed) -> Self {
        Self { name, required, location: Location::of(Some(span)) }
    }
}

impl From<Target> for TargetJson {
    fn from(target: Target) -> Self {
        let Target { name, default, description, base, platform, span } = target;
        Self { name, default, description, base, platform, location: Location::of(Some(span)) }
    }
}

/// Returns what a target takes, as JSON.
pub fn outline_json(outline: Outline, text: &str) -> String {
    json(&OutlineJson {
        name: outline.name,
        description: outline.description,
        args: outline.arguments.into_iter().map(Into::into).collect(),
        secrets: outline.secrets.into_iter().map(Into::into).collect(),
        ssh: outline.agents.into_iter().map(Into::into).collect(),
        sources: vec![super::subrequest::base64(text)],
    })
}

/// Returns the stages, as JSON.
pub fn targets_json(targets: Vec<Target>, text: &str) -> String {
    json(&TargetsJson {
        targets: targets.into_iter().map(Into::into).collect(),
        sources: vec![super::subrequest::base64(text)],
    })
}

/// Returns what a target takes, as tables with a blank line below each.
pub fn outline_text(outline: &Outline) -> String {
    let mut text = String::new();
    if !outline.name.is_empty() || !outline.description.is_empty() {
        let name = if outline.name.is_empty() { "(default)" } else { &outline.name };
        let mut rows = vec![row(&["TARGET:", name])];
        if !outline.description.is_empty() {
            rows.push(row(&["DESCRIPTION:", &outline.description]));
        }
        text += &table(&rows, 1);
        text.push('\n');
    }
    if !outline.arguments.is_empty() {
        let mut rows = vec![row(&["BUILD ARG", "VALUE", "DESCRIPTION"])];
        rows.extend(outline.arguments.iter().map(|arg| row(&[&arg.name, &arg.value, &arg.description])));
        text += &table(&rows, 3);
        text.push('\n');
    }
    for (title, list) in [("SECRET", &outline.secrets), ("SSH", &outline.agents)] {
        if !list.is_empty() {
            let mut rows = vec![row(&[title, "REQUIRED"])];
            rows.extend(list.iter().map(|one| row(&[&one.name, if one.required { "true" } else { "" }])));
            text += &table(&rows, 3);
            text.push('\n');
        }
    }
    text
}

/// Returns the stages, as a table.
pub fn targets_text(targets: &[Target]) -> String {
    let name = |target: &Target| match (target.name.is_empty(), target.default) {
        (true, true) => "(default)".to_owned(),
        (false, true) => format!("{} (default)", target.name),
        (_, false) => target.name.clone(),
    };
    let mut rows = vec![row(&["TARGET", "DESCRIPTION"])];
    rows.extend(targets.iter().map(|target| vec![name(target), target.description.clone()]));
    table(&rows, 1)
}

/// Returns what `--call` can be asked, as a table or JSON.
pub fn describe(as_json: bool) -> String {
    const REQUESTS: [(&str, &str, &str); 4] = [
        ("lint", "frontend.lint", "Lint a Dockerfile"),
        ("outline", "frontend.outline", "List all parameters current build target supports"),
        ("targets", "frontend.targets", "List all targets current build supports"),
        ("subrequests.describe", "frontend.subrequests.describe", "List available subrequest types"),
    ];
    if as_json {
        let request = |(_, name, description): &(&str, &str, &str)| serde_json::json!({"Name": name, "Version": "1.0.0", "Type": "rpc", "Description": description});
        return json(&REQUESTS.iter().map(request).collect::<Vec<_>>());
    }
    let mut rows = vec![row(&["NAME", "VERSION", "DESCRIPTION"])];
    rows.extend(REQUESTS.iter().map(|(name, _, description)| row(&[name, "1.0.0", description])));
    table(&rows, 1)
}

fn row(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}
