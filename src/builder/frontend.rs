//! Which Dockerfile frontends are built in.

use super::error::{BuildError, ErrorKind};
use super::options::BuildOptions;
use crate::image::Reference;
use crate::parser::Dockerfile;

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
            let error = BuildError::from(ErrorKind::Frontend { image: image.to_owned() });
            return Err(match span {
                Some(span) => error.at(&std::sync::Arc::new(options.source.clone()), span),
                None => error,
            });
        }
        if image.ends_with("labs") {
            notes.push(format!("{image}: features of the labs channel are not built in"));
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
