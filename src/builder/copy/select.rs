//! Which files a `COPY` or `ADD` means.
//!
//! - A literal source must be there; a wildcard may match nothing.
//! - A symlink that is named or matched is followed and keeps its name; links
//!   met below a directory stay links.
//! - Of a directory the contents are meant, never the directory itself.
//! - `--parents` walks from the pivot and takes what its pattern matches, with
//!   the directories on the way; `--exclude` is rooted at the copied directory.

use std::sync::Arc;

use rayon::prelude::*;

use super::error::CopyError;
use super::request::{CopyRequest, CopySource};
use crate::builder::context::{Child, FileKind, Node, PatternMatcher, Tree, Verdict, glob, resolve};
use crate::paths::{below_root, join, show, split};

/// All that a request means.
#[derive(Debug, Default)]
pub struct Selection {
    /// One for each literal source and each match of a wildcard, in order.
    pub sources: Vec<Selected>,
}

/// One named or matched file or directory and what is copied with it.
pub struct Selected {
    /// Index of the source in the request.
    pub source: usize,
    /// Where it is.
    pub tree: Arc<dyn Tree>,
    /// Its name as asked for or matched, before its own link was followed.
    pub name: Vec<u8>,
    /// Whether a wildcard found it, so that its name is part of the content digest.
    pub matched: bool,
    /// Itself first, then everything below it that is copied, parents first, sorted.
    pub items: Vec<Item>,
}

impl std::fmt::Debug for Selected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.items.iter().map(|item| String::from_utf8_lossy(item.relative()));
        f.debug_struct("Selected")
            .field("name", &String::from_utf8_lossy(&self.name))
            .field("items", &names.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Selected {
    /// Returns the file or directory that the source names.
    pub fn top(&self) -> &Item {
        &self.items[0]
    }
}

/// One file to copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Path in the tree.
    pub path: Vec<u8>,
    /// Where in `path` the part below the source begins.
    pub below: usize,
    /// Its header.
    pub node: Node,
    /// Target of a symlink.
    pub target: Option<Vec<u8>>,
    /// Whether it is a directory that is there only because something below it is copied.
    pub implied: bool,
}

impl Item {
    /// Returns the path below the source; empty for the source itself.
    pub fn relative(&self) -> &[u8] {
        &self.path[self.below..]
    }
}

impl Selection {
    /// Returns the number of files and directories, the sources themselves included.
    pub fn len(&self) -> usize {
        self.sources.iter().map(|source| source.items.len()).sum()
    }

    /// Whether nothing is copied.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }
}

/// Finds the files that a request means; reads directories and links, no file.
///
/// Fails on a missing literal source, a bad pattern, or a tree that cannot be read.
pub fn select(request: &CopyRequest) -> Result<Selection, CopyError> {
    let exclude = if request.excludes.is_empty() {
        None
    } else {
        Some(PatternMatcher::new(&request.excludes).map_err(CopyError::Context)?)
    };
    let mut selection = Selection::default();
    for (index, source) in request.sources.iter().enumerate() {
        if request.parents {
            selection.sources.push(select_parents(index, source, exclude.as_ref())?);
            continue;
        }
        for (path, matched) in named_paths(source)? {
            let name = split(&path).1.to_vec();
            let (resolved, node) = resolve(&*source.tree, &path, true)?;
            let node = node.ok_or_else(|| not_found(source, &path))?;
            let walk = Walk { tree: &*source.tree, include: None, exclude: exclude.as_ref() };
            let items = walk.items(resolved, node)?;
            let tree = Arc::clone(&source.tree);
            selection.sources.push(Selected { source: index, tree, name, matched, items });
        }
    }
    Ok(selection)
}

fn not_found(source: &CopySource, path: &[u8]) -> CopyError {
    CopyError::NotFound { label: source.tree.label().into_owned(), path: show(path) }
}

/// Returns the paths that a source names, each with whether a wildcard found it.
fn named_paths(source: &CopySource) -> Result<Vec<(Vec<u8>, bool)>, CopyError> {
    let path = below_root(source.path.as_bytes());
    let components: Vec<&[u8]> = path.split(|b| *b == b'/').collect();
    let first = components.iter().position(|part| glob::has_wildcards(part));
    let Some(first) = first.filter(|_| source.wildcards) else { return Ok(vec![(path, false)]) };
    for part in &components[first..] {
        glob::check(part)
            .map_err(|error| CopyError::Pattern { pattern: source.path.clone(), source: error })?;
    }
    let before = components[..first].join(&b'/');
    let (base, node) = resolve(&*source.tree, &before, true)?;
    if node.is_none() && !before.is_empty() {
        // Nothing below a directory may match, but the directory is named.
        return Err(not_found(source, &before));
    }
    let mut found = Vec::new();
    expand(&*source.tree, &base, &components[first..], &mut found)?;
    Ok(found.into_iter().map(|path| (path, true)).collect())
}

/// Collects the paths below `dir` that match, in the order of a walk; symlinks on the way are not entered.
fn expand(tree: &dyn Tree, dir: &[u8], parts: &[&[u8]], found: &mut Vec<Vec<u8>>) -> Result<(), CopyError> {
    let is_dir = dir.is_empty() || tree.stat(dir)?.is_some_and(|node| node.is_dir());
    let Some((part, rest)) = parts.split_first().filter(|_| is_dir) else { return Ok(()) };
    for child in tree.list(dir)? {
        if glob::matches(part, &child.name) != Ok(true) {
            continue;
        }
        let path = join(dir, &child.name);
        if rest.is_empty() {
            found.push(path);
        } else if child.node.is_dir() {
            expand(tree, &path, rest, found)?;
        }
    }
    Ok(())
}

/// Selects one source of `COPY --parents`: everything that the pattern right of the pivot matches.
fn select_parents(
    index: usize,
    source: &CopySource,
    exclude: Option<&PatternMatcher>,
) -> Result<Selected, CopyError> {
    let (left, right) = source.path.split_once("/./").unwrap_or(("/", &source.path));
    let base = below_root(left.as_bytes());
    let pattern = below_root(right.as_bytes());
    let text = String::from_utf8_lossy(&pattern).into_owned();
    let (resolved, node) = resolve(&*source.tree, &base, true)?;
    let node = node.ok_or_else(|| not_found(source, &base))?;
    let include = if pattern.is_empty() { None } else { Some(PatternMatcher::new(&[&text])?) };
    let walk = Walk { tree: &*source.tree, include: include.as_ref(), exclude };
    let items = walk.items(resolved, node)?;
    if items.len() == 1 && include.is_some() && !glob::has_wildcards(&pattern) {
        // A literal must be there, even if all of it is excluded.
        let all = Walk { exclude: None, ..walk };
        let top = items[0].clone();
        if all.items(top.path, top.node)?.len() == 1 {
            return Err(not_found(source, &join(&base, &pattern)));
        }
    }
    Ok(Selected { source: index, tree: Arc::clone(&source.tree), name: Vec::new(), matched: true, items })
}

/// A walk below one directory with the patterns that narrow it.
struct Walk<'a> {
    tree: &'a dyn Tree,
    include: Option<&'a PatternMatcher>,
    exclude: Option<&'a PatternMatcher>,
}

/// What the patterns said of a directory, for its children.
#[derive(Clone, Default)]
struct Verdicts {
    include: Option<Verdict>,
    exclude: Option<Verdict>,
}

/// A chosen entry of a directory that was listed. It is made once and moved once, into the result.
struct Entry {
    item: Item,
    /// What the patterns said of it, for its children, if it is to be entered.
    enter: Option<Box<Verdicts>>,
    /// Where its own listing is, once it was entered.
    listing: Option<usize>,
}

/// A directory that is still to be listed.
struct Pending {
    /// Where its listing goes.
    index: usize,
    path: Vec<u8>,
    verdicts: Verdicts,
}

impl Walk<'_> {
    /// Returns the source itself and what is copied below it.
    fn items(&self, path: Vec<u8>, node: Node) -> Result<Vec<Item>, CopyError> {
        let is_dir = node.is_dir();
        let target = if node.kind == FileKind::Symlink { Some(self.tree.read_link(&path)?) } else { None };
        let top = Item { path: path.clone(), below: path.len(), node, target, implied: false };
        let mut items = vec![top];
        if is_dir {
            let mut listed = self.list_all(path)?;
            // Growing a list of many files would touch twice the memory, and fresh pages are what it costs.
            items.reserve_exact(listed.iter().map(Vec::len).sum());
            collect(&mut listed, 0, &mut items);
        }
        Ok(items)
    }

    /// Lists directories level by level, a level's directories in parallel.
    fn list_all(&self, top: Vec<u8>) -> Result<Vec<Vec<Entry>>, CopyError> {
        let mut listed = vec![Vec::new()];
        let below = if top.is_empty() { 0 } else { top.len() + 1 };
        let mut level = vec![Pending { index: 0, path: top, verdicts: Verdicts::default() }];
        while !level.is_empty() {
            let judged: Vec<Vec<Entry>> =
                level.par_iter().map(|dir| self.judge_all(dir, below)).collect::<Result<_, _>>()?;
            let mut next = Vec::new();
            for (dir, mut entries) in level.iter().zip(judged) {
                for entry in &mut entries {
                    let Some(verdicts) = entry.enter.take() else { continue };
                    let index = listed.len();
                    entry.listing = Some(index);
                    listed.push(Vec::new());
                    next.push(Pending { index, path: entry.item.path.clone(), verdicts: *verdicts });
                }
                listed[dir.index] = entries;
            }
            level = next;
        }
        Ok(listed)
    }

    fn judge_all(&self, dir: &Pending, below: usize) -> Result<Vec<Entry>, CopyError> {
        let children = self.tree.list(&dir.path)?;
        let mut judged = Vec::with_capacity(children.len());
        for child in children {
            judged.extend(self.judge(&dir.path, below, &dir.verdicts, child)?);
        }
        Ok(judged)
    }

    /// Decides on one entry: none if neither it nor anything below is copied, verdicts if it must be entered.
    fn judge(
        &self,
        dir: &[u8],
        below: usize,
        parent: &Verdicts,
        child: Child,
    ) -> Result<Option<Entry>, CopyError> {
        let path = join(dir, &child.name);
        let relative = &path[below..];
        let include = self.include.map(|m| m.verdict(relative, parent.include.as_ref()));
        let exclude = self.exclude.map(|m| m.verdict(relative, parent.exclude.as_ref()));
        let included = include.as_ref().is_none_or(Verdict::is_match);
        let excluded = exclude.as_ref().is_some_and(Verdict::is_match);
        let taken = included && !excluded;
        let enter = child.node.is_dir()
            && (included || self.include.is_none_or(|m| m.may_match_below(relative)))
            && (!excluded || self.exclude.is_some_and(|m| m.may_reinclude_below(relative)));
        if !taken && !enter {
            return Ok(None);
        }
        let target =
            if child.node.kind == FileKind::Symlink { Some(self.tree.read_link(&path)?) } else { None };
        let item = Item { path, below, node: child.node, target, implied: !taken };
        let enter = enter.then(|| Box::new(Verdicts { include, exclude }));
        Ok(Some(Entry { item, enter, listing: None }))
    }
}

/// Puts the entries of a listing and of those below it in order; implied directories only with something in them.
fn collect(listed: &mut [Vec<Entry>], index: usize, items: &mut Vec<Item>) {
    for entry in std::mem::take(&mut listed[index]) {
        let implied = entry.item.implied;
        let before = items.len();
        items.push(entry.item);
        if let Some(listing) = entry.listing {
            collect(listed, listing, items);
        }
        if implied && items.len() == before + 1 {
            items.truncate(before);
        }
    }
}
