//! `save`

use std::fs::File;
use std::io::IsTerminal as _;
use std::os::fd::AsFd as _;
use std::path::PathBuf;

use clap::Args;

use super::error::CliError;
use super::global::Global;
use crate::archive::{SaveItem, save};
use crate::image::{Platform, Reference};
use crate::store::{Found, Store};

/// Save one or more images to a tar archive (streamed to STDOUT by default)
#[derive(Debug, Args)]
pub struct SaveArgs {
    /// Images; a name without a tag is all of its tags
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<String>,
    /// Write to a file, instead of STDOUT
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Save only the given platform
    #[arg(long)]
    pub platform: Option<String>,
}

/// Runs the command.
pub fn run(args: &SaveArgs, global: &Global) -> Result<(), CliError> {
    if args.output.is_none() && std::io::stdout().is_terminal() {
        return Err(CliError::new("cowardly refusing to save to a terminal. Use the -o flag or redirect"));
    }
    let store = global.store()?;
    let given = args.platform.as_deref().filter(|text| !text.is_empty());
    let platform = given.map(Platform::parse).transpose();
    let platform = platform.map_err(|e| CliError::new(e.to_string()))?;
    let items = items(store, &args.images, platform.as_ref())?;
    let progress = super::render::transfers("Saving");
    match &args.output {
        Some(path) => {
            let target = super::files::Replacement::create(path)?;
            save(store, &items, target.file(), &*progress)?;
            target.commit()
        }
        None => {
            let out = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
            save(store, &items, &out, &*progress).map_err(|error| super::output::unread(error.into()))
        }
    }
}

/// Returns what an archive of these images holds; a name without a tag is all of its tags.
///
/// # Errors
/// One is not there.
pub fn items(
    store: &Store,
    names: &[String],
    platform: Option<&Platform>,
) -> Result<Vec<SaveItem>, CliError> {
    let mut items = Vec::new();
    for name in names {
        add(store, name, platform, &mut items)?;
    }
    Ok(items)
}

/// Adds what a name means; an image that is there already gets one more name.
fn add(
    store: &Store,
    text: &str,
    platform: Option<&Platform>,
    items: &mut Vec<SaveItem>,
) -> Result<(), CliError> {
    let bare = Reference::parse(text).ok().filter(|r| r.tag().is_none() && r.digest().is_none());
    let mut tags = Vec::new();
    if let Some(bare) = bare {
        tags = store.refs()?;
        tags.retain(|r| r.reference.repository() == bare.repository());
        tags.sort_by(|a, b| a.reference.cmp(&b.reference));
    }
    for tag in &tags {
        let found = Found { target: tag.target, reference: Some(tag.reference.clone()) };
        add_one(store, &found, text, platform, items)?;
    }
    if tags.is_empty() {
        add_one(store, &store.find(text)?, text, platform, items)?;
    }
    Ok(())
}

fn add_one(
    store: &Store,
    found: &Found,
    text: &str,
    platform: Option<&Platform>,
    items: &mut Vec<SaveItem>,
) -> Result<(), CliError> {
    let image = store.select_image(found, platform, text)?;
    let index = (platform.is_none() && image.manifest != found.target).then_some(found.target);
    // What was found by its digest has no tag to save.
    let name = found.reference.clone().filter(|r| r.digest().is_none());
    match items.iter_mut().find(|item| item.image == image.id && item.index == index) {
        Some(item) => item.names.extend(name.filter(|name| !item.names.contains(name))),
        None => items.push(SaveItem { image: image.id, index, names: name.into_iter().collect() }),
    }
    Ok(())
}
