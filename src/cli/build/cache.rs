//! `--cache-from` and `--cache-to`.

use std::sync::Arc;

use super::super::error::CliError;
use super::args::BuildArgs;
use crate::progress::Reporter;
use crate::shared_cache::{CacheKind, CacheSpec, Export, FolderCache, Import, Shares};
use crate::store::Store;

/// Opens the caches that the command line names; none if it names none.
pub(super) fn open<'a>(
    args: &BuildArgs,
    store: &Store,
    reporter: &'a dyn Reporter,
) -> Result<Option<Shares<'a>>, CliError> {
    let mut imports = Vec::new();
    let mut exports = Vec::new();
    for text in &args.cache_to {
        exports.push(export(&parse(text, true)?)?);
    }
    for text in &args.cache_from {
        imports.extend(import(&parse(text, false)?)?);
    }
    if args.cache_from.is_empty() && exports.is_empty() {
        return Ok(None);
    }
    Ok(Some(Shares::new(store, imports, exports, reporter)))
}

fn parse(text: &str, export: bool) -> Result<CacheSpec, CliError> {
    CacheSpec::parse(text, export).map_err(|error| CliError::new(format!("ERROR: {error}")))
}

/// Opens a cache to read; one that is not there yet is an empty one, with a word about it.
fn import(spec: &CacheSpec) -> Result<Option<Import>, CliError> {
    match &spec.kind {
        CacheKind::Local(path) => match FolderCache::open(path) {
            Ok(Some(folder)) => Ok(Some(Import::new(Arc::new(folder)))),
            Ok(None) => {
                let message =
                    format!("WARNING: cache import from {} is empty: no such folder", path.display());
                super::super::output::talk(&message);
                Ok(None)
            }
            Err(error) => Err(failed(&error)),
        },
        CacheKind::Registry { .. } => Err(refused("--cache-from type=registry")),
        CacheKind::Inline => Err(refused("--cache-from type=inline")),
    }
}

fn export(spec: &CacheSpec) -> Result<Export, CliError> {
    match &spec.kind {
        CacheKind::Local(path) => {
            let folder = FolderCache::create(path).map_err(|error| failed(&error))?;
            Ok(Export::new(Arc::new(folder), spec))
        }
        CacheKind::Registry { .. } => Err(refused("--cache-to type=registry")),
        CacheKind::Inline => Err(refused("--cache-to type=inline")),
    }
}

fn failed(error: &dyn std::error::Error) -> CliError {
    CliError::new(format!("ERROR: {}", super::super::error::chain(error)))
}

fn refused(what: &str) -> CliError {
    CliError::new(format!("ERROR: {what} is not supported yet"))
}
