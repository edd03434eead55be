//! `push`

use clap::Args;

use super::error::CliError;
use super::global::Global;
use super::render::{Out, Way, layers};
use super::{output, registries};
use crate::image::{Platform, Reference};
use crate::layers::Compression;
use crate::registry::push::{PushOptions, push};

/// Level of zstd where none is given.
const ZSTD_LEVEL: i32 = 3;

/// Upload an image to a registry
#[derive(Debug, Args)]
pub struct PushArgs {
    /// Image, e.g. localhost:5000/team/app:1
    #[arg(value_name = "NAME[:TAG]")]
    pub name: String,
    /// Push all tags of an image to the repository
    #[arg(short, long)]
    pub all_tags: bool,
    /// Suppress verbose output
    #[arg(short, long)]
    pub quiet: bool,
    /// Push a platform-specific manifest as a single-platform image
    #[arg(long)]
    pub platform: Option<String>,
    /// Compression of layers that have none yet: gzip[:LEVEL] or zstd[:LEVEL]
    #[arg(long, value_name = "KIND")]
    pub compression: Option<String>,
    /// Accepted for docker's sake: there is no content trust to disable
    #[arg(long, hide = true)]
    pub disable_content_trust: bool,
}

/// Runs the command.
pub fn run(args: &PushArgs, global: &Global) -> Result<(), CliError> {
    let reference = Reference::parse(&args.name)?;
    if reference.digest().is_some() {
        return Err(CliError::new("cannot push a digest reference"));
    }
    let platform = args.platform.as_deref().filter(|text| !text.is_empty()).map(Platform::parse).transpose();
    let mut options = PushOptions {
        platform: platform.map_err(|e| CliError::new(e.to_string()))?,
        ..PushOptions::default()
    };
    if let Some(text) = &args.compression {
        options.compression = compression(text, options.compression)?;
    }
    if !args.all_tags && reference.tag().is_none() && !args.quiet {
        output::line("Using default tag: latest")?;
    }
    let references = match args.all_tags {
        true => all_tags(&reference, global)?,
        false => vec![reference.clone().or_latest()],
    };
    if !args.quiet {
        output::line(&format!("The push refers to repository [{}]", reference.repository()))?;
    }
    let runtime = registries::runtime()?;
    for one in &references {
        let reporter = layers(Out::Stdout, Way::Up, args.quiet);
        let transfer = super::pull::transfer(global, reporter)?;
        let pushed = runtime.block_on(push(&transfer, one, &options));
        // What was drawn stays above what is said next.
        drop(transfer);
        let pushed = pushed.map_err(|error| CliError::new(crate::causes::chain(&error)))?;
        for note in &pushed.notes {
            output::talk(&format!("NOTE: {note}"));
        }
        if !args.quiet {
            let tag = one.tag().unwrap_or_default();
            output::line(&format!("{tag}: digest: {} size: {}", pushed.digest, pushed.size))?;
        }
    }
    match args.quiet {
        // The name as it was meant: with its tag, or all of them.
        true if args.all_tags => output::line(&reference.to_string()),
        true => output::line(&reference.or_latest().to_string()),
        false => Ok(()),
    }
}

/// Returns all names of a repository.
///
/// # Errors
/// There are none, or a tag was given.
pub fn all_tags(reference: &Reference, global: &Global) -> Result<Vec<Reference>, CliError> {
    if reference.tag().is_some() {
        return Err(CliError::new("tag can't be used with --all-tags/-a"));
    }
    let refs = global.store()?.refs()?.into_iter().map(|record| record.reference);
    let all: Vec<Reference> = refs.filter(|name| name.repository() == reference.repository()).collect();
    if all.is_empty() {
        let name = reference.familiar_repository();
        return Err(CliError::new(format!("An image does not exist locally with the tag: {name}")));
    }
    Ok(all)
}

fn compression(text: &str, default: Compression) -> Result<Compression, CliError> {
    let bad = || CliError::new(format!("invalid compression {text:?}: use gzip[:1-12] or zstd[:1-22]"));
    let (kind, level) = match text.split_once(':') {
        Some((kind, level)) => (kind, Some(level.parse::<i32>().map_err(|_| bad())?)),
        None => (text, None),
    };
    match (kind, level, default) {
        ("gzip", None, default @ Compression::Gzip { .. }) => Ok(default),
        ("gzip", Some(level @ 1..=12), _) => Ok(Compression::Gzip { level }),
        ("zstd", None, _) => Ok(Compression::Zstd { level: ZSTD_LEVEL }),
        ("zstd", Some(level @ 1..=22), _) => Ok(Compression::Zstd { level }),
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compressions_have_levels() {
        let default = PushOptions::default().compression;
        assert_eq!(compression("gzip", default).unwrap(), default);
        assert_eq!(compression("gzip:9", default).unwrap(), Compression::Gzip { level: 9 });
        assert_eq!(compression("zstd", default).unwrap(), Compression::Zstd { level: 3 });
        for bad in ["", "lz4", "gzip:0", "gzip:13", "zstd:23", "zstd:x"] {
            assert!(compression(bad, default).is_err(), "{bad}");
        }
    }
}
