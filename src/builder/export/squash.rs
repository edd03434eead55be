//! Several layers as one: what `--squash` makes of a build's own layers, or of all.
//!
//! The change sets are merged in order, as they would be unpacked one on the
//! other; what the layers below must still hide stays hidden. Contents are
//! copied from layer to layer, nothing is unpacked.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sha2::{Digest as _, Sha256};

use crate::builder::error::BuildError;
use crate::builder::extras::Squash;
use crate::image::{DiffId, History};
use crate::layers::{Entry, EntryKind, LayerSink, Metadata, SinkOptions, TarReader};
use crate::store::{CacheKey, CacheRecord, LayerForm, StepId, Store, StoreError};

/// Joins the layers from `base` on into one, and the history's entries for them.
///
/// # Errors
/// A layer is gone, is no whole tar, or the store can't be written.
pub(super) fn squash(
    store: &Store,
    how: Squash,
    base: usize,
    layers: &mut Vec<DiffId>,
    history: &mut [History],
) -> Result<(), BuildError> {
    let kept = match how {
        Squash::No => return Ok(()),
        Squash::New => base,
        Squash::All => 0,
    };
    if layers.len() <= kept + 1 {
        return Ok(());
    }
    let joined = joined(store, &layers[kept..], kept == 0)?;
    layers.truncate(kept);
    layers.push(joined);
    let of_layers = history.iter_mut().filter(|entry| !entry.empty_layer).skip(kept);
    let mut of_layers: Vec<&mut History> = of_layers.collect();
    // The last entry speaks for all of them.
    of_layers.pop();
    of_layers.into_iter().for_each(|entry| entry.empty_layer = true);
    Ok(())
}

fn joined(store: &Store, layers: &[DiffId], alone: bool) -> Result<DiffId, BuildError> {
    let key = key(layers, alone);
    if let Some(record) = store.cache_get(&key)?
        && let [made] = record.layers[..]
    {
        return Ok(made);
    }
    let mut merged = Merged::default();
    for (number, layer) in layers.iter().enumerate() {
        let mut tar = reader(store, *layer)?;
        while let Some((entry, _)) = tar.next_entry()? {
            merged.apply(number, entry);
        }
    }
    if alone {
        merged.forget_hidden();
    }
    let draft = store.begin_layer()?;
    let index = store.form()?.0 == LayerForm::Index;
    let mut sink = LayerSink::create(draft.root(), SinkOptions { index })?;
    merged.write(&mut sink, |number| reader(store, layers[number]))?;
    let written = sink.finish()?;
    draft.commit(written.diff_id, written.size)?;
    let step = StepId { text: format!("{} layers as one", layers.len()), ..StepId::default() };
    store.cache_put(&CacheRecord::new(key, "{}".to_owned(), vec![written.diff_id], written.size, step))?;
    Ok(written.diff_id)
}

type Reader = TarReader<Box<dyn std::io::Read + Send>>;

fn reader(store: &Store, layer: DiffId) -> Result<Reader, BuildError> {
    let layer = store.layer(layer)?.ok_or(StoreError::NoLayer(layer))?;
    Ok(TarReader::new(layer.tar()?))
}

fn key(layers: &[DiffId], alone: bool) -> CacheKey {
    let mut hash = Sha256::new();
    hash.update(b"layers as one 1");
    hash.update([u8::from(alone)]);
    layers.iter().for_each(|layer| hash.update(layer.as_bytes()));
    CacheKey::from_bytes(hash.finalize().into())
}

/// Which file of which layer holds a content.
type Content = (usize, Vec<u8>);

/// The change sets so far.
#[derive(Default)]
struct Merged {
    entries: BTreeMap<Vec<u8>, (Entry, Option<Content>)>,
    /// Directories whose lower children are hidden.
    opaque: BTreeSet<Vec<u8>>,
}

impl Merged {
    fn apply(&mut self, number: usize, entry: Entry) {
        let path = entry.path.clone();
        match &entry.kind {
            EntryKind::Opaque => {
                self.clear_below(&path);
                self.opaque.insert(path);
            }
            EntryKind::Directory => {
                let before = self.entries.get(&path).map(|(old, _)| &old.kind);
                // What was taken away or was no directory hid all that lower layers have here.
                if before.is_some_and(|kind| *kind != EntryKind::Directory) {
                    self.opaque.insert(path.clone());
                }
                self.entries.insert(path, (entry, None));
            }
            EntryKind::HardLink { target } => {
                let found = self
                    .entries
                    .get(target)
                    .map(|(other, content)| (Entry { path: path.clone(), ..other.clone() }, content.clone()));
                self.clear_below(&path);
                self.entries.insert(path, found.unwrap_or((entry, None)));
            }
            EntryKind::File { .. } => {
                self.clear_below(&path);
                self.entries.insert(path.clone(), (entry, Some((number, path))));
            }
            _ => {
                self.clear_below(&path);
                self.entries.insert(path, (entry, None));
            }
        }
    }

    /// Takes away what is in a directory that goes, or that is no directory any more.
    fn clear_below(&mut self, path: &[u8]) {
        let below = if path.is_empty() { Vec::new() } else { [path, b"/"].concat() };
        self.entries.retain(|other, _| !other.starts_with(&below) || other == path);
        self.opaque.retain(|other| !other.starts_with(&below) && other != path);
    }

    /// Forgets what hides lower layers, since there are none.
    fn forget_hidden(&mut self) {
        self.opaque.clear();
        self.entries.retain(|_, (entry, _)| entry.kind != EntryKind::Whiteout);
    }

    /// Writes directories first, then contents as their layers come, then everything else.
    fn write(
        self,
        sink: &mut LayerSink,
        open: impl Fn(usize) -> Result<Reader, BuildError>,
    ) -> Result<(), BuildError> {
        let mut names: HashMap<Content, Vec<Entry>> = HashMap::new();
        let mut others = Vec::new();
        let mut sources = BTreeSet::new();
        for (path, (entry, content)) in self.entries {
            match content {
                Some(content) => {
                    sources.insert(content.0);
                    names.entry(content).or_default().push(entry);
                }
                None if entry.kind == EntryKind::Directory => {
                    sink.append_bytes(&entry, b"")?;
                    if self.opaque.contains(&path) {
                        let kind = EntryKind::Opaque;
                        sink.append_bytes(&Entry { path, kind, meta: Metadata::default() }, b"")?;
                    }
                }
                None => others.push(entry),
            }
        }
        for number in sources {
            let mut tar = open(number)?;
            while let Some((found, _)) = tar.next_entry()? {
                let Some(entries) = names.remove(&(number, found.path.clone())) else { continue };
                let mut entries = entries.into_iter();
                let Some(first) = entries.next() else { continue };
                sink.append(&first, &mut tar)?;
                for other in entries {
                    let kind = EntryKind::HardLink { target: first.path.clone() };
                    sink.append_bytes(&Entry { kind, ..other }, b"")?;
                }
            }
        }
        for entry in others {
            sink.append_bytes(&entry, b"")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(layers: &[&[(&str, EntryKind)]]) -> Vec<String> {
        let mut merged = Merged::default();
        for (number, layer) in layers.iter().enumerate() {
            for (path, kind) in *layer {
                let path = path.as_bytes().to_vec();
                merged.apply(number, Entry { path, kind: kind.clone(), meta: Metadata::default() });
            }
        }
        let shown = |(path, (entry, content)): (&Vec<u8>, &(Entry, Option<Content>))| {
            let letter = match entry.kind {
                EntryKind::Directory if merged.opaque.contains(path) => 'O',
                EntryKind::Directory => 'd',
                EntryKind::Whiteout => 'w',
                EntryKind::HardLink { .. } => 'h',
                _ => 'f',
            };
            let from =
                content.as_ref().map(|(number, at)| format!("={number}{}", String::from_utf8_lossy(at)));
            format!("{letter} {}{}", String::from_utf8_lossy(path), from.unwrap_or_default())
        };
        merged.entries.iter().map(shown).collect()
    }

    #[test]
    fn later_layers_win_and_what_must_stay_hidden_does() {
        use EntryKind::{Directory, HardLink, Opaque, Whiteout};
        let file = || EntryKind::File { size: 1 };
        let link = |target: &str| HardLink { target: target.as_bytes().to_vec() };
        for (layers, expected) in [
            (vec![&[("a", file())][..], &[("a", file())]], vec!["f a=1a"]),
            (vec![&[("a", file())], &[("a", Whiteout)]], vec!["w a"]),
            (vec![&[("a", Whiteout)], &[("a", file())]], vec!["f a=1a"]),
            // A directory in place of what was taken away does not show what is below.
            (vec![&[("d", Whiteout)], &[("d", Directory), ("d/x", file())]], vec!["O d", "f d/x=1d/x"]),
            (vec![&[("d", file())], &[("d", Directory)]], vec!["O d"]),
            (vec![&[("d", Directory), ("d/x", file())], &[("d", file())]], vec!["f d=1d"]),
            (
                vec![&[("d", Directory), ("d/x", file())], &[("d", Directory), ("d/y", file())]],
                vec!["d d", "f d/x=0d/x", "f d/y=1d/y"],
            ),
            (
                vec![
                    &[("d", Directory), ("d/x", file())],
                    &[("d", Directory), ("d", Opaque), ("d/y", file())],
                ],
                vec!["O d", "f d/y=1d/y"],
            ),
            (vec![&[("a", file()), ("b", link("a"))], &[("a", file())]], vec!["f a=1a", "f b=0a"]),
            (vec![&[("a", file())], &[("b", link("a")), ("a", Whiteout)]], vec!["w a", "f b=0a"]),
            (vec![&[("b", link("base"))]], vec!["h b"]),
        ] {
            assert_eq!(merged(&layers), expected, "{layers:?}");
        }
    }
}
