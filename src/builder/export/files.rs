//! Root file systems of targets, and their tar.

use std::io::Write;

use crate::builder::build::Solved;
use crate::builder::error::{BuildError, invalid};
use crate::fs::Root;
use crate::image::Platform;
use crate::layers::{Entry, EntryKind, Metadata, Mtime, TarWriter, append_tree};
use crate::store::Store;

/// What becomes of the times of exported files: none keeps them, otherwise all are these seconds since 1970.
pub type FileTimes = Option<i64>;

/// A file that is put beside those of the root file system.
pub type Extra = (String, Vec<u8>);

/// The root file system of one platform.
pub struct RootTree {
    /// The platform.
    pub platform: Platform,
    /// Its files; none for an empty root.
    pub root: Option<Root>,
    /// Folder below which they are put; empty is the top.
    pub prefix: String,
    /// Files besides: what attests to them.
    pub extra: Vec<Extra>,
}

/// Returns the root file systems of all targets; `split` puts each into a folder of its platform's name.
///
/// # Errors
/// A layer can't be shown.
pub fn trees(store: &Store, solved: &Solved, split: bool) -> Result<Vec<RootTree>, BuildError> {
    let targets = solved.plan.targets().enumerate();
    targets
        .map(|(number, target)| {
            let layers = target.vertex.map(|vertex| &solved.snapshots[vertex].layers);
            let root = match layers.filter(|layers| !layers.is_empty()) {
                Some(layers) => Some(store.mount(layers)?),
                None => None,
            };
            let platform = solved.platform(number);
            let prefix = if split { platform.to_string().replace('/', "_") } else { String::new() };
            Ok(RootTree { platform, root, prefix, extra: Vec::new() })
        })
        .collect()
}

/// Writes root file systems as one tar.
///
/// # Errors
/// A file can't be read, `out` fails, or two platforms write the same path.
pub fn write_tar(trees: &[RootTree], times: FileTimes, out: impl Write + Send) -> Result<(), BuildError> {
    check_apart(trees)?;
    let mut tar = TarWriter::new(out);
    let now = jiff::Timestamp::now().as_second();
    for tree in trees {
        let below = match tree.prefix.as_str() {
            "" => String::new(),
            prefix => {
                let meta = meta(0o755, times.unwrap_or(0));
                let kind = EntryKind::Directory;
                tar.append_bytes(&Entry { path: prefix.as_bytes().to_vec(), kind, meta }, &[])?;
                format!("{prefix}/")
            }
        };
        if let Some(root) = &tree.root {
            append_tree(&mut tar, root, below.as_bytes(), times)?;
        }
        for (name, bytes) in &tree.extra {
            let kind = EntryKind::File { size: bytes.len() as u64 };
            let path = format!("{below}{name}").into_bytes();
            tar.append_bytes(&Entry { path, kind, meta: meta(0o600, times.unwrap_or(now)) }, bytes)?;
        }
    }
    tar.finish()?;
    Ok(())
}

fn meta(mode: u32, seconds: i64) -> Metadata {
    Metadata { mode, mtime: Mtime { seconds, nanos: 0 }, ..Metadata::default() }
}

/// Refuses platforms that would write the same path, directories apart.
pub(super) fn check_apart(trees: &[RootTree]) -> Result<(), BuildError> {
    if trees.len() < 2 || trees.iter().all(|tree| !tree.prefix.is_empty()) {
        return Ok(());
    }
    let mut seen = std::collections::HashMap::new();
    for tree in trees {
        let Some(root) = &tree.root else { continue };
        for file in crate::fs::walk::walk(root, b"", |_| crate::fs::walk::Visit::Take)? {
            let is_dir = file.stat.is_dir();
            let text = String::from_utf8_lossy(&file.path).into_owned();
            match seen.insert(file.path, (is_dir, &tree.platform)) {
                Some((true, _)) if is_dir => {}
                Some((_, other)) => {
                    return Err(invalid(format!(
                        "cannot overwrite {text} from {other} with {} when split option is disabled",
                        tree.platform
                    )));
                }
                None => {}
            }
        }
    }
    Ok(())
}
