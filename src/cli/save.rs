//! `save`

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;

use clap::Args;

use super::error::CliError;
use super::global::Global;
use crate::archive::{SaveItem, save};
use crate::image::{Platform, Reference};
use crate::store::Store;

/// Save one or more images to a tar archive (streamed to STDOUT by default)
#[derive(Debug, Args)]
pub struct SaveArgs {
    /// Images; a name without a tag is all of its tags
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
    /// Write to a file, instead of STDOUT
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Save only the given platform
    #[arg(long)]
    platform: Option<String>,
}

/// Runs the command.
pub fn run(args: &SaveArgs, global: &Global) -> Result<(), CliError> {
    if args.output.is_none() && std::io::stdout().is_terminal() {
        return Err(CliError::new("cowardly refusing to save to a terminal. Use the -o flag or redirect"));
    }
    let store = global.store()?;
    let platform = args.platform.as_deref().map(Platform::parse).transpose();
    let platform = platform.map_err(|e| CliError::new(e.to_string()))?;
    let mut items = Vec::new();
    for name in &args.images {
        add(store, name, platform.as_ref(), &mut items)?;
    }
    let progress = super::render::transfers("Saving");
    match &args.output {
        Some(path) => {
            let target = super::files::Replacement::create(path)?;
            let mut file = target.file();
            save(store, &items, &mut file, &*progress)?;
            target.commit()
        }
        None => {
            let mut out = std::io::stdout().lock();
            save(store, &items, &mut out, &*progress)?;
            Ok(out.flush()?)
        }
    }
}

/// Adds what a name means; an image that is there already gets one more name.
fn add(
    store: &Store,
    text: &str,
    platform: Option<&Platform>,
    items: &mut Vec<SaveItem>,
) -> Result<(), CliError> {
    let mut add = |image, name: Option<Reference>| match items
        .iter_mut()
        .find(|item: &&mut SaveItem| item.image == image)
    {
        Some(item) => item.names.extend(name.filter(|name| !item.names.contains(name))),
        None => items.push(SaveItem { image, names: name.into_iter().collect() }),
    };
    let bare = Reference::parse(text).ok().filter(|r| r.tag().is_none() && r.digest().is_none());
    if let Some(bare) = bare {
        let all = store.refs()?;
        let mut tags: Vec<_> =
            all.into_iter().filter(|r| r.reference.repository() == bare.repository()).collect();
        tags.sort_by(|a, b| a.reference.cmp(&b.reference));
        if !tags.is_empty() {
            for tag in tags {
                let image = store.find_image(&tag.reference.to_string(), platform)?;
                add(image.id, Some(tag.reference));
            }
            return Ok(());
        }
    }
    let found = store.find(text)?;
    let image = store.select_image(&found, platform, text)?;
    add(image.id, found.reference.filter(|r| r.digest().is_none()));
    Ok(())
}
