//! The files of a bake: which, and their bytes.

use std::io::Read as _;
use std::path::Path;
use std::time::SystemTime;

use super::super::error::CliError;
use super::super::human;
use crate::bake::BakeFile;
use crate::progress::{Event, Outcome, Reporter};

/// The files that are looked for when none is named; all that are there count, in this order.
const DEFAULTS: [&str; 8] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
    "docker-bake.json",
    "docker-bake.hcl",
    "docker-bake.override.json",
    "docker-bake.override.hcl",
];

/// Largest file that is read.
const MAX_FILE: u64 = 4 << 20;

/// Returns the names of the files that the command line or `BUILDX_BAKE_FILE` gives.
pub fn names(given: &[String]) -> Vec<String> {
    if !given.is_empty() {
        return given.to_vec();
    }
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let Some(list) = variable("BUILDX_BAKE_FILE") else { return Vec::new() };
    let separator = variable("BUILDX_BAKE_PATH_SEPARATOR").unwrap_or_else(|| ":".to_owned());
    list.split(separator.as_str()).map(str::to_owned).collect()
}

/// Reads files; without names those that are found here.
///
/// # Errors
/// A named file is not there, or none at all.
pub fn read(names: &[String], reporter: &dyn Reporter) -> Result<Vec<BakeFile>, CliError> {
    let id = super::DEFINITIONS;
    let name = "[internal] load local bake definitions".to_owned();
    reporter.report(Event::VertexStarted { id, name, at: SystemTime::now() });
    let found = read_all(names, &|text| {
        reporter.report(Event::VertexStatus { id, text, done: true });
    });
    let outcome = match &found {
        Ok(_) => Outcome::Done,
        Err(error) => Outcome::Failed(error.text.clone()),
    };
    reporter.report(Event::VertexDone { id, at: SystemTime::now(), outcome });
    let found = found?;
    if found.is_empty() {
        return Err(CliError::new(
            "ERROR: couldn't find a bake definition: give a file with -f, or have a docker-bake.hcl, \
             docker-bake.json or compose.yaml here",
        ));
    }
    Ok(found)
}

fn read_all(names: &[String], told: &dyn Fn(String)) -> Result<Vec<BakeFile>, CliError> {
    let mut files = Vec::new();
    if names.is_empty() {
        for name in DEFAULTS {
            if crate::fs::is_there(Path::new(name)) {
                files.push(one(name, told)?);
            }
        }
        return Ok(files);
    }
    names.iter().map(|name| one(name.strip_prefix("cwd://").unwrap_or(name), told)).collect()
}

fn one(name: &str, told: &dyn Fn(String)) -> Result<BakeFile, CliError> {
    let mut data = Vec::new();
    if name == "-" {
        std::io::stdin().take(MAX_FILE + 1).read_to_end(&mut data)?;
        told("reading from stdin".to_owned());
    } else {
        let path = Path::new(name);
        let fail = |error: &dyn std::fmt::Display| CliError::new(format!("ERROR: open {name}: {error}"));
        if crate::fs::is_directory(path) {
            return Err(CliError::new(format!("ERROR: read {name}: is a directory")));
        }
        let file = match crate::fs::open_for_reading(path) {
            Ok(file) => file,
            Err(error) if error.is_not_found() => return Err(fail(&"no such file or directory")),
            Err(error) => return Err(fail(&error)),
        };
        file.take(MAX_FILE + 1).read_to_end(&mut data)?;
        let size = human::size(data.len() as u64);
        told(format!("reading {name} {size} / {size}"));
    }
    if data.len() as u64 > MAX_FILE {
        return Err(CliError::new(format!("ERROR: {name}: a bake file of more than {MAX_FILE} bytes")));
    }
    Ok(BakeFile { name: name.to_owned(), data })
}

/// Reads a file that a compose file names.
///
/// # Errors
/// A sentence: it is not there, too big, or can't be read.
pub fn named(name: &str) -> Result<Vec<u8>, String> {
    if name == "-" {
        return Err("standard input can't be named in a file".to_owned());
    }
    let file = one(name, &|_| {});
    file.map(|file| file.data).map_err(|error| error.text.trim_start_matches("ERROR: ").to_owned())
}

/// Returns the text of `.env` here, which compose files read; empty without one.
///
/// # Errors
/// It can't be read.
pub fn dot_env() -> Result<String, CliError> {
    let path = Path::new(".env");
    if !crate::fs::is_there(path) || crate::fs::is_directory(path) {
        return Ok(String::new());
    }
    let mut text = String::new();
    let file = crate::fs::open_for_reading(path)?;
    let read = file.take(MAX_FILE).read_to_string(&mut text);
    read.map_err(|error| CliError::new(format!("ERROR: read .env: {error}")))?;
    Ok(text)
}
