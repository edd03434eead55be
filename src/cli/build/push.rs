//! `push=true`: the result into a registry.

use std::collections::BTreeMap;

use super::super::error::CliError;
use super::super::global::Global;
use super::super::registries;
use super::outputs::ImageAttributes;
use crate::builder::export::Say;
use crate::causes::chain;
use crate::image::{Digest, ManifestDigest, Reference};
use crate::registry::Transfer;
use crate::registry::push::{PushOptions, push_as};
use crate::store::Store;

/// What is pushed.
pub struct Push<'a> {
    /// Where it is.
    pub store: &'a Store,
    /// Which configuration counts.
    pub global: &'a Global,
    /// What the output asks for.
    pub image: &'a ImageAttributes,
    /// Where it goes.
    pub names: &'a [Reference],
    /// What the names mean here.
    pub target: ManifestDigest,
    /// What they will mean there.
    pub digest: Digest,
}

impl Push<'_> {
    /// Pushes an image under its names, one repository after the other.
    ///
    /// # Errors
    /// A registry can't be reached or does not take it; texts begin as docker's do.
    pub fn run(&self, say: Say<'_>) -> Result<(), CliError> {
        let mut repositories: BTreeMap<String, Vec<Reference>> = BTreeMap::new();
        for name in self.names {
            repositories.entry(name.repository()).or_default().push(name.clone());
        }
        let runtime = registries::runtime()?;
        for names in repositories.values() {
            say("pushing layers".to_owned());
            let client = registries::client_to(self.global, names[0].domain(), self.image.insecure)?;
            let transfer = Transfer::quiet(client, self.store.clone());
            let options = PushOptions { by_digest: self.image.push_by_digest, ..PushOptions::default() };
            let pushed = runtime.block_on(push_as(&transfer, self.target, names, &options));
            let pushed = pushed.map_err(|error| {
                CliError::new(format!(
                    "ERROR: failed to build: failed to solve: failed to push {}: {}",
                    names[0],
                    chain(&error)
                ))
            })?;
            for name in names {
                say(format!("pushing manifest for {name}@{}", pushed.digest));
            }
            if pushed.digest != self.digest {
                return Err(CliError::new(format!(
                    "ERROR: failed to build: failed to solve: failed to push {}: the registry has {} in place of {}",
                    names[0], pushed.digest, self.digest
                )));
            }
        }
        Ok(())
    }
}
