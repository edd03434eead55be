//! Which Dockerfile frontends are built in, and which build arguments ask for what this version lacks.

use super::error::{BuildError, invalid, unsupported};
use super::options::BuildOptions;
use crate::image::Reference;
use crate::parser::Dockerfile;

/// Build arguments that ask for something when they are true.
const ATTESTATIONS: &[&str] = &[
    "BUILDKIT_ATTEST_SBOM",
    "BUILDKIT_ATTEST_PROVENANCE",
    "BUILDKIT_SBOM_SCAN_CONTEXT",
    "BUILDKIT_SBOM_SCAN_STAGE",
];

/// Checks the frontend that a file or a build argument wants; returns what should be said.
///
/// # Errors
/// It is another one than docker's own.
pub fn check(dockerfile: &Dockerfile, options: &BuildOptions) -> Result<Vec<String>, BuildError> {
    let mut notes = Vec::new();
    let argument = options.build_args.get("BUILDKIT_SYNTAX").map(|text| (text.as_str(), None));
    let directive = dockerfile.directives.syntax.as_ref().map(|(text, span)| (text.as_str(), Some(*span)));
    if let Some((text, span)) = argument.or(directive) {
        let image = text.split_whitespace().next().unwrap_or_default();
        if !is_built_in(image) && !options.ignore_syntax {
            let error = unsupported(format!("the frontend image {image}"));
            return Err(match span {
                Some(span) => error.at(&std::sync::Arc::new(options.source.clone()), span),
                None => error,
            });
        }
        if image.ends_with("labs") {
            notes.push(format!("{image}: features of the labs channel are not built in"));
        }
    }
    for name in ATTESTATIONS {
        let value = options.build_args.get(*name).map(String::as_str);
        if !matches!(value, None | Some("" | "0" | "false")) {
            return Err(unsupported(format!("build argument {name}")));
        }
    }
    Ok(notes)
}

fn is_built_in(image: &str) -> bool {
    if image == "dockerfile.v0" || image.is_empty() {
        return true;
    }
    Reference::parse(image).is_ok_and(|reference| {
        ["docker/dockerfile", "docker/dockerfile-upstream"]
            .contains(&reference.familiar_repository().as_str())
    })
}

/// Returns the parser's warnings that the `check` directive does not silence, as lines.
///
/// # Errors
/// The directive is malformed, or makes warnings errors.
pub fn warnings(dockerfile: &Dockerfile, options: &BuildOptions) -> Result<Vec<String>, BuildError> {
    let argument = options.build_args.get("BUILDKIT_DOCKERFILE_CHECK").map(String::as_str);
    let directive = dockerfile.directives.check.as_ref().map(|(text, _)| text.as_str());
    let mut skipped: Vec<&str> = Vec::new();
    let mut fails = false;
    for part in argument.or(directive).unwrap_or_default().split(';').map(str::trim) {
        match part.split_once('=').map(|(key, value)| (key.trim(), value.trim())) {
            None if part.is_empty() => {}
            Some(("skip", rules)) => skipped.extend(rules.split(',').map(str::trim)),
            Some(("error", "true")) => fails = true,
            Some(("error", "false") | ("experimental", _)) => {}
            _ => return Err(invalid(format!("invalid check option {part:?}"))),
        }
    }
    let told: Vec<_> = dockerfile
        .warnings
        .iter()
        .filter(|warning| !skipped.iter().any(|rule| *rule == "all" || *rule == warning.rule))
        .collect();
    if fails && !told.is_empty() {
        let mut rules: Vec<&str> = told.iter().map(|warning| warning.rule).collect();
        rules.sort_unstable();
        rules.dedup();
        return Err(invalid(format!("lint violation found for rules: {}", rules.join(", "))));
    }
    Ok(told.iter().map(|w| format!("{}: {} (line {})", w.rule, w.message, w.span.first)).collect())
}
