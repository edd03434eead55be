//! `--attest`, `--provenance`, `--sbom`, and the build arguments that stand for them.

use std::collections::BTreeMap;

use super::super::super::csv::csv;
use super::super::super::error::CliError;
use super::super::args::BuildArgs;
use super::super::outputs::boolean;
use crate::attest::{ProvenanceMode, ProvenanceVersion};

/// What is to be said about the build and its result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttestOptions {
    /// Provenance.
    pub provenance: Option<ProvenanceOptions>,
    /// A bill of materials.
    pub sbom: Option<SbomOptions>,
    /// Whether it was said that provenance is not wanted: the metadata file has none then either.
    pub no_provenance: bool,
}

/// Keys of `type=provenance`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenanceOptions {
    /// `mode`
    pub mode: ProvenanceMode,
    /// `version`
    pub version: ProvenanceVersion,
    /// `builder-id`
    pub builder_id: String,
    /// `filename`
    pub filename: String,
    /// `reproducible`
    pub reproducible: bool,
    /// `inline-only`: with images alone, not beside files.
    pub inline_only: bool,
}

/// Keys of `type=sbom`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SbomOptions {
    /// `inline-only`
    pub inline_only: bool,
}

type Keys = BTreeMap<String, String>;

impl AttestOptions {
    /// Reads the flags; of two for one type the later one counts, `--provenance` and `--sbom` before `--attest`.
    ///
    /// # Errors
    /// One is malformed or asks for what there is not; texts that docker has are docker's.
    pub fn of(args: &BuildArgs, build_args: &Keys) -> Result<Self, CliError> {
        let mut wanted: BTreeMap<&str, Keys> = BTreeMap::new();
        let kinds = [("provenance", &args.provenance), ("sbom", &args.sbom)];
        for (kind, _) in kinds {
            if let Some(text) = build_args.get(&format!("BUILDKIT_ATTEST_{}", kind.to_uppercase())) {
                wanted.insert(kind, shorthand(text)?);
            }
        }
        for text in &args.attest {
            let mut keys = pairs(text)?;
            match keys.remove("type").as_deref() {
                None => return Err(CliError::new("ERROR: attestation type not specified")),
                Some("provenance") => drop(wanted.insert("provenance", keys)),
                Some("sbom") => drop(wanted.insert("sbom", keys)),
                Some(other) => {
                    return Err(failed(format!("unknown attestation type {other:?}")));
                }
            }
        }
        for (kind, given) in kinds {
            if let Some(text) = given {
                wanted.insert(kind, shorthand(text)?);
            }
        }
        let mut options = Self::default();
        for (kind, mut keys) in wanted {
            let disabled = flag(&mut keys, "disabled")?;
            match kind {
                "provenance" if disabled => options.no_provenance = true,
                _ if disabled => {}
                "provenance" => options.provenance = Some(provenance(&mut keys)?),
                _ => options.sbom = Some(sbom(&mut keys)?),
            }
            if !disabled && let Some(key) = keys.keys().next() {
                return Err(failed(format!("unknown key {key:?} for attestation type {kind}")));
            }
        }
        Ok(options)
    }
}

fn failed(text: String) -> CliError {
    CliError::new(format!("ERROR: failed to build: failed to solve: {text}"))
}

fn pairs(text: &str) -> Result<Keys, CliError> {
    let fields = csv(text).map_err(|why| CliError::new(format!("ERROR: parse error: {why}")))?;
    let pair = |field: &String| match field.split_once('=') {
        Some((key, value)) => Ok((key.trim().to_lowercase(), value.to_owned())),
        None => Err(CliError::new(format!("ERROR: invalid value {field}"))),
    };
    fields.iter().filter(|field| !field.is_empty()).map(pair).collect()
}

/// Reads a truth value, or keys.
fn shorthand(text: &str) -> Result<Keys, CliError> {
    match boolean(text) {
        Some(wanted) => Ok(Keys::from([("disabled".to_owned(), (!wanted).to_string())])),
        None => pairs(text),
    }
}

fn flag(keys: &mut Keys, key: &str) -> Result<bool, CliError> {
    match keys.remove(key) {
        None => Ok(false),
        Some(text) => boolean(&text)
            .ok_or_else(|| failed(format!("failed to parse {key} flag of an attestation: {text:?}"))),
    }
}

fn provenance(keys: &mut Keys) -> Result<ProvenanceOptions, CliError> {
    let mode = match keys.remove("mode").as_deref() {
        None | Some("min") => ProvenanceMode::Min,
        Some("max") => ProvenanceMode::Max,
        Some(other) => return Err(failed(format!("invalid mode {other:?}"))),
    };
    let version = match keys.remove("version").as_deref() {
        None | Some("v1") => ProvenanceVersion::V1,
        Some("v0.2") => ProvenanceVersion::V02,
        Some(other) => return Err(failed(format!("invalid provenance version {other:?}"))),
    };
    let filename = keys.remove("filename").unwrap_or_else(|| "provenance.json".to_owned());
    if filename.is_empty() || filename.contains('/') {
        return Err(failed(format!("invalid filename {filename:?} of provenance")));
    }
    Ok(ProvenanceOptions {
        mode,
        version,
        builder_id: keys.remove("builder-id").unwrap_or_default(),
        filename,
        reproducible: flag(keys, "reproducible")?,
        inline_only: flag(keys, "inline-only")?,
    })
}

fn sbom(keys: &mut Keys) -> Result<SbomOptions, CliError> {
    if let Some(generator) = keys.remove("generator") {
        return Err(failed(format!(
            "SBOM generator {generator:?} is not available: packages are found by the builder's own scanner, leave the key out"
        )));
    }
    Ok(SbomOptions { inline_only: flag(keys, "inline-only")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(flags: &[&str], build_args: &[(&str, &str)]) -> Result<AttestOptions, String> {
        use clap::{Args as _, FromArgMatches as _};
        let command = BuildArgs::augment_args(clap::Command::new("build"));
        let words = ["build"].iter().chain(flags).chain(&["."]);
        let args = BuildArgs::from_arg_matches(&command.get_matches_from(words)).unwrap();
        let build_args = build_args.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        AttestOptions::of(&args, &build_args).map_err(|error| error.text)
    }

    #[test]
    fn nothing_is_said_unless_asked_for() {
        assert_eq!(options(&[], &[]), Ok(AttestOptions::default()));
        for off in [
            &["--provenance=false"][..],
            &["--attest=type=provenance,disabled=true"],
            &["--attest=type=provenance", "--provenance=false"],
        ] {
            let expected = AttestOptions { no_provenance: true, ..AttestOptions::default() };
            assert_eq!(options(off, &[]), Ok(expected), "{off:?}");
        }
    }

    #[test]
    fn the_ways_to_ask() {
        let mode =
            |flags: &[&str]| options(flags, &[]).unwrap().provenance.map(|one| (one.mode, one.version));
        assert_eq!(mode(&["--provenance=true"]), Some((ProvenanceMode::Min, ProvenanceVersion::V1)));
        assert_eq!(
            mode(&["--attest=type=provenance,mode=max,version=v0.2"]),
            Some((ProvenanceMode::Max, ProvenanceVersion::V02))
        );
        assert!(options(&["--sbom=true"], &[]).unwrap().sbom.is_some());
        let given =
            options(&[], &[("BUILDKIT_ATTEST_PROVENANCE", "mode=max"), ("BUILDKIT_ATTEST_SBOM", "true")]);
        assert!(given.is_ok_and(|one| one.sbom.is_some() && one.provenance.is_some()));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (flag, expected) in [
            ("--attest=sbom", "ERROR: invalid value sbom"),
            ("--attest=type=foo", "unknown attestation type \"foo\""),
            ("--provenance=mode=foo", "invalid mode \"foo\""),
            ("--provenance=foo=1", "unknown key \"foo\" for attestation type provenance"),
            ("--sbom=generator=x", "SBOM generator \"x\" is not available"),
        ] {
            let error = options(&[flag], &[]).unwrap_err();
            assert!(error.contains(expected), "{flag}: {error}");
        }
    }
}
