//! `--cache-from` and `--cache-to`.

use std::sync::Arc;

use super::super::error::CliError;
use super::super::global::Global;
use super::super::{output, registries};
use super::args::BuildArgs;
use crate::image::Reference;
use crate::progress::Reporter;
use crate::shared_cache::{
    Backend, CacheKind, CacheSpec, Export, FolderCache, Import, InlineCache, RegistryCache, Remote, Shares,
};

/// Opens the caches that the command line names; none if it names none.
pub(super) fn open<'a>(
    args: &BuildArgs,
    inline: bool,
    global: &Global,
    reporter: &'a dyn Reporter,
) -> Result<Option<Shares<'a>>, CliError> {
    let store = global.store()?;
    let mut inline = inline;
    let mut imports = Vec::new();
    let mut exports = Vec::new();
    for text in &args.cache_to {
        match parse(text, true)? {
            CacheSpec { kind: CacheKind::Inline, .. } => inline = true,
            spec => exports.push(Export::new(export(&spec, global)?, &spec)),
        }
    }
    for text in &args.cache_from {
        imports.extend(import(&parse(text, false)?, global)?.into_iter().map(Import::new));
    }
    if args.cache_from.is_empty() && exports.is_empty() && !inline {
        return Ok(None);
    }
    let shares = Shares::new(store, imports, exports, reporter);
    Ok(Some(if inline { shares.with_inline() } else { shares }))
}

fn parse(text: &str, export: bool) -> Result<CacheSpec, CliError> {
    CacheSpec::parse(text, export).map_err(|error| CliError::new(format!("ERROR: {error}")))
}

/// Opens a cache to read; a folder that is not there yet is an empty one, with a word about it.
fn import(spec: &CacheSpec, global: &Global) -> Result<Vec<Arc<dyn Backend>>, CliError> {
    match &spec.kind {
        CacheKind::Local(path) => match FolderCache::open(path) {
            Ok(Some(folder)) => Ok(vec![Arc::new(folder)]),
            Ok(None) => {
                let message =
                    format!("WARNING: cache import from {} is empty: no such folder", path.display());
                output::talk(&message);
                Ok(Vec::new())
            }
            Err(error) => Err(failed(&error)),
        },
        // The name may be that of a cache, or that of an image that is one itself.
        CacheKind::Registry { reference, insecure } => {
            let remote = || remote(reference, *insecure, global);
            let cache = RegistryCache::new(remote()?, reference, global.store()?);
            Ok(vec![Arc::new(cache), Arc::new(InlineCache::new(remote()?, reference))])
        }
        CacheKind::Inline => unreachable!("an inline cache is read under its image's name"),
    }
}

fn export(spec: &CacheSpec, global: &Global) -> Result<Arc<dyn Backend>, CliError> {
    Ok(match &spec.kind {
        CacheKind::Local(path) => Arc::new(FolderCache::create(path).map_err(|error| failed(&error))?),
        CacheKind::Registry { reference, insecure } => {
            let remote = remote(reference, *insecure, global)?;
            Arc::new(RegistryCache::new(remote, reference, global.store()?))
        }
        CacheKind::Inline => unreachable!("the image itself needs no place"),
    })
}

fn remote(reference: &Reference, insecure: bool, global: &Global) -> Result<Remote, CliError> {
    let client = match insecure {
        true => registries::insecure_client(global, reference.domain())?,
        false => registries::client(global)?,
    };
    Remote::new(client, reference).map_err(|error| failed(&error))
}

fn failed(error: &dyn std::error::Error) -> CliError {
    CliError::new(format!("ERROR: {}", crate::causes::chain(error)))
}
