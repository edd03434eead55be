//! Where the context, the Dockerfile and the named contexts are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::error::CliError;
use super::args::BuildArgs;
use super::failure;
use crate::builder::Input;
use crate::builder::context::{
    ContextSource, DockerfileSource, GitSource, Tree, open_named_directory, parse_context,
};
use crate::image::Reference;
use crate::store::Store;

/// Returns where the context is.
pub fn context(args: &BuildArgs) -> Result<ContextSource, CliError> {
    if args.context == "-" {
        if args.habits.context_sub_path.is_some() {
            return Err(CliError::new("ERROR: --context-sub-path needs a directory or a git repository"));
        }
        return Ok(ContextSource::Stdin(Box::new(std::io::stdin())));
    }
    let source = parse_context(&args.context).map_err(|error| failure::of_context(&error))?;
    let Some(sub) = &args.habits.context_sub_path else { return Ok(source) };
    Ok(match source {
        ContextSource::Directory(dir) => ContextSource::Directory(dir.join(sub.trim_start_matches('/'))),
        ContextSource::Git(mut git) => {
            let above = git.subdir.take().map(|dir| format!("{dir}/")).unwrap_or_default();
            git.subdir = Some(format!("{above}{sub}"));
            ContextSource::Git(git)
        }
        _ => return Err(CliError::new("ERROR: --context-sub-path needs a directory or a git repository")),
    })
}

/// Returns where the Dockerfile is; several files are joined.
pub fn dockerfile(args: &BuildArgs) -> DockerfileSource {
    let one = |file: &String| match file.as_str() {
        "" => DockerfileSource::Default,
        "-" => DockerfileSource::Stdin(Box::new(std::io::stdin())),
        url if url.starts_with("http://") || url.starts_with("https://") => {
            DockerfileSource::Url(url.to_owned())
        }
        path => DockerfileSource::Path(PathBuf::from(path)),
    };
    match args.file.as_slice() {
        [] => DockerfileSource::Default,
        [file] => one(file),
        several => DockerfileSource::Several(several.iter().map(one).collect()),
    }
}

/// `NAME=VALUE`: a directory, an image, an OCI layout, a git repository or a download.
pub fn named(given: &[String], store: &Store) -> Result<BTreeMap<String, Input>, CliError> {
    let mut found = BTreeMap::new();
    for text in given {
        let (name, value) = text.split_once('=').ok_or_else(|| {
            CliError::new(format!("ERROR: invalid context value: {text}, expected key=value"))
        })?;
        // The part for one platform is no part of the name.
        let image = name.split_once("::").map_or(name, |(image, _)| image);
        Reference::parse(image)
            .map_err(|error| CliError::new(format!("ERROR: invalid context name {name}: {error}")))?;
        found.insert(name.to_lowercase(), named_input(name, value, store)?);
    }
    Ok(found)
}

fn named_input(name: &str, value: &str, store: &Store) -> Result<Input, CliError> {
    let fail = |error: crate::builder::context::ContextError| failure::of_context(&error);
    if let Some(image) = value.strip_prefix("docker-image://") {
        return Ok(Input::Image(image.to_owned()));
    }
    // A target is an image of another build of the same bake; alone, a build knows none.
    if value.starts_with("oci-layout://") || value.starts_with("target:") {
        return Ok(Input::Image(value.to_owned()));
    }
    if let Some(git) = GitSource::parse(value, true).map_err(fail)? {
        return Ok(Input::Git(git));
    }
    if value.starts_with("http://") || value.starts_with("https://") {
        return Ok(Input::Url(value.to_owned()));
    }
    if let Some((scheme, _)) = value.split_once("://") {
        return Err(CliError::new(format!(
            "ERROR: --build-context {name}={value}: {scheme}:// is no source of a context: use a directory, \
             docker-image://, oci-layout://, a git repository or a URL"
        )));
    }
    if !crate::fs::is_there(Path::new(value)) {
        return Err(CliError::new(format!(
            "ERROR: failed to build: failed to get build context {name}: stat {value}: no such file or directory"
        )));
    }
    let tree = open_named_directory(Path::new(value), name, Some(store)).map_err(fail)?;
    Ok(Input::Tree(tree as Arc<dyn Tree>))
}
