//! `--check`: what the build checks find, as text or JSON; and what they found at the end of a build.

use serde::Serialize;

use super::super::error::CliError;
use super::super::output;
use super::call::Call;
use super::subrequest::{Location, json};
use crate::builder::{BuildError, Checked};
use crate::causes::chain;
use crate::lint::Finding;
use crate::parser::{Source, excerpt};
use crate::progress::CheckEvent;

#[derive(Serialize)]
struct Report {
    warnings: Option<Vec<Warning>>,
    sources: Vec<SourceFile>,
    #[serde(rename = "buildError", skip_serializing_if = "Option::is_none")]
    build_error: Option<Failure>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Warning {
    rule_name: &'static str,
    description: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    url: String,
    detail: String,
    location: Location,
}

#[derive(Serialize)]
struct SourceFile {
    filename: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    data: String,
    language: &'static str,
}

#[derive(Serialize)]
struct Failure {
    message: String,
    location: Location,
}

/// Prints what was found and returns the exit code; `shown` is the file under the name that excerpts show.
///
/// # Errors
/// The file is one that no build takes; or standard output can't be written.
pub fn print(checked: &Checked, shown: &Source, call: Call) -> Result<u8, CliError> {
    let error = checked.plan.as_ref().err();
    let text = match call.json {
        true => json(&report(&checked.findings, error, shown)),
        false => text(&checked.findings, error.is_some(), shown),
    };
    output::data(&text)?;
    match error {
        Some(error) => Err(CliError::new(failure(error, shown))),
        None => Ok(u8::from(!checked.findings.is_empty() && !call.ignore_status)),
    }
}

fn text(findings: &[Finding], failed: bool, shown: &Source) -> String {
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| finding.span.first);
    let mut text = match sorted.len() {
        0 if failed => return String::new(),
        0 => return "Check complete, no warnings found.\n".to_owned(),
        1 => "Check complete, 1 warning has been found!\n".to_owned(),
        count => format!("Check complete, {count} warnings have been found!\n"),
    };
    for finding in sorted {
        let url = finding.rule.url();
        let page = if url.is_empty() { String::new() } else { format!(" - {url}") };
        text += &format!("\nWARNING: {}{page}\n{}\n", finding.rule.name, finding.message);
        text += &excerpt(shown, finding.span);
    }
    if failed {
        text.push('\n');
    }
    text
}

fn failure(error: &BuildError, shown: &Source) -> String {
    let place = error.place.as_ref().map(|place| format!("\n{}", excerpt(shown, place.span)));
    format!("ERROR: {}{}", chain(error), place.unwrap_or_default().trim_end_matches('\n'))
}

fn report(findings: &[Finding], error: Option<&BuildError>, shown: &Source) -> Report {
    let warning = |finding: &Finding| Warning {
        rule_name: finding.rule.name,
        description: finding.rule.description,
        url: finding.rule.url(),
        detail: finding.message.clone(),
        location: Location::of(Some(finding.span)),
    };
    let name = shown.name().rsplit('/').next().unwrap_or_default();
    Report {
        warnings: Some(findings.iter().map(warning).collect()).filter(|list: &Vec<Warning>| !list.is_empty()),
        sources: vec![SourceFile {
            filename: name.to_owned(),
            data: super::subrequest::base64(shown.text()),
            language: "Dockerfile",
        }],
        build_error: error.map(|error| Failure {
            message: chain(error),
            location: Location::of(error.place.as_ref().map(|place| place.span)),
        }),
    }
}

/// Returns what stands at the end of a build with findings: a line each, with `expand` all there is to say.
pub fn summary(checks: &[CheckEvent], expand: bool, colour: Option<&str>) -> String {
    let count = match checks.len() {
        0 => return String::new(),
        1 => "1 warning found".to_owned(),
        count => format!("{count} warnings found"),
    };
    let hint = if expand { "" } else { " (use --debug to expand)" };
    let head = format!("{count}{hint}:");
    let head = colour.map_or_else(|| head.clone(), |colour| format!("\x1b[{colour}m{head}\x1b[0m"));
    let mut text = format!("\n {head}\n");
    for check in checks {
        text += &format!(" - {}\n", super::super::render::harmless(&check.short));
        if expand {
            text += &format!("{}\n", check.detail);
            if !check.url.is_empty() {
                text += &format!("More info: {}\n", check.url);
            }
            text += &format!("{}\n", check.excerpt);
        }
    }
    text.trim_end_matches('\n').to_owned()
}
