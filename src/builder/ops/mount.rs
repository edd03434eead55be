//! Mounts of a RUN: what identifies them, and what they are made of.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::PoisonError;

use super::Ops;
use super::agent::Agent;
use super::copy::MAX_NAMED;
use crate::builder::cache_key::{Fields, chain_text};
use crate::builder::cancel::Cancel;
use crate::builder::copy::{CopyError, CopyRequest, CopySource, Selection, content_digest, select};
use crate::builder::error::{BuildError, ErrorKind, invalid, unsupported};
use crate::builder::graph::{CacheShape, MountOp, Place, RunOp};
use crate::builder::solve::Inputs;
use crate::fs::{FileKind, Follow, Root};
use crate::image::DiffId;
use crate::image::id::to_hex;
use crate::layers::{ChownPolicy, copy_tree};
use crate::parser::instruction::Sharing;
use crate::paths::{below_root, show};
use crate::run::{Mount, MountSource};
use crate::store::{CacheMount, CacheRecord, StepId};

/// Most bytes of a single file that is mounted writable.
const MAX_COPIED_FILE: usize = 256 << 20;

/// The mounts of one process, with what must live as long as they do.
#[derive(Default)]
pub(super) struct Mounts {
    pub(super) list: Vec<Mount>,
    /// Variables that secrets and agents bring.
    pub(super) env: Vec<(String, Vec<u8>)>,
    /// Cache mounts by identity: one that stands in two places is taken once.
    caches: BTreeMap<String, CacheMount>,
    agents: Vec<Agent>,
}

impl Ops<'_> {
    /// Returns what identifies a mount in its step's key.
    pub(super) fn mount_field(&self, mount: &MountOp, inputs: &Inputs) -> Result<String, BuildError> {
        Ok(match mount {
            MountOp::Bind { from, source, target, writable } => {
                let content = self.content_of(from, source, inputs)?;
                format!("bind target={target:?} writable={writable} content={content}")
            }
            MountOp::Cache { target, read_only, .. } => {
                format!("cache target={target:?} ro={read_only} {}", cache_identity(mount, inputs))
            }
            MountOp::Tmpfs { target, size } => format!("tmpfs target={target:?} size={size:?}"),
            MountOp::Secret { id, target, env, mode, uid, gid, required } => {
                format!(
                    "secret id={id:?} target={target:?} env={env:?} mode={mode:o} uid={uid} gid={gid} required={required}"
                )
            }
            MountOp::Ssh { id, target, mode, uid, gid, required } => {
                format!(
                    "ssh id={id:?} target={target:?} mode={mode:o} uid={uid} gid={gid} required={required}"
                )
            }
        })
    }

    /// Returns the identity of the files of a place below `source`.
    fn content_of(&self, place: &Place, source: &str, inputs: &Inputs) -> Result<String, BuildError> {
        let vertex = match place {
            Place::Vertex(vertex) => *vertex,
            _ => return self.digest_of(place, source, inputs),
        };
        let chain = chain_text(inputs.get(vertex).and_then(|snapshot| snapshot.chain));
        if below_root(source.as_bytes()).is_empty() {
            return Ok(chain);
        }
        let mut fields = Fields::new("content of a mount");
        fields.add("stage", chain);
        fields.add("source", source);
        let memo = fields.finish();
        if let Some(record) = self.cached(&memo.key)? {
            return Ok(record.payload);
        }
        let digest = self.digest_of(place, source, inputs)?;
        let mut record = CacheRecord::new(memo.key, digest.clone(), Vec::new(), 0, StepId::default());
        record.kind = "internal".to_owned();
        "content of a mount".clone_into(&mut record.description);
        self.env.store.cache_put(&record)?;
        Ok(digest)
    }

    /// Reads what a mount shows, and remembers its files.
    fn digest_of(&self, place: &Place, source: &str, inputs: &Inputs) -> Result<String, BuildError> {
        let selection = self.selected(place, source, inputs)?;
        let content = content_digest(&selection)?;
        if selection.len() <= MAX_NAMED {
            let files = content.facts(&selection);
            let files = files.map(|fact| (String::from_utf8_lossy(fact.name).into_owned(), fact.shown()));
            let mut mounted = self.mounted.lock().unwrap_or_else(PoisonError::into_inner);
            mounted.insert((place.clone(), source.to_owned()), files.collect());
        }
        Ok(to_hex(&content.digest))
    }

    /// Returns a field for each file of a step's mounts that was read, so that a miss can name it.
    pub(super) fn mounted_files(&self, op: &RunOp) -> Vec<(String, String)> {
        let mounted = self.mounted.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fields = Vec::new();
        for (number, mount) in op.mounts.iter().enumerate() {
            let MountOp::Bind { from, source, .. } = mount else { continue };
            for (name, value) in mounted.get(&(from.clone(), source.clone())).into_iter().flatten() {
                fields.push((format!("mount {number} file {name}"), value.clone()));
            }
        }
        fields
    }

    fn selected(&self, place: &Place, source: &str, inputs: &Inputs) -> Result<Selection, BuildError> {
        Ok(select(&self.mount_request(place, source, inputs)?)?)
    }

    fn mount_request(&self, place: &Place, source: &str, inputs: &Inputs) -> Result<CopyRequest, BuildError> {
        let tree = self.tree(place, inputs)?;
        let source = CopySource { tree, path: source.to_owned(), wildcards: false, unpack: false };
        let mut request = CopyRequest::new(vec![source], "/f");
        request.link = true;
        Ok(request)
    }

    /// Makes all mounts of a process.
    pub(super) fn mounts(
        &self,
        mounts: &[MountOp],
        inputs: &Inputs,
        scratch: &Root,
        cancel: &Cancel,
    ) -> Result<Mounts, BuildError> {
        let mut made = Mounts { caches: self.caches(mounts, inputs, cancel)?, ..Mounts::default() };
        for mount in mounts {
            match mount {
                MountOp::Bind { from, source, target, writable } => {
                    let number = made.list.len();
                    let shown = self.bind(from, source, *writable, inputs, (scratch, number))?;
                    made.list.push(Mount::new(target, shown).read_only(!writable));
                }
                MountOp::Cache { target, read_only, .. } => {
                    let identity = cache_identity(mount, inputs);
                    let cache = &made.caches[&identity];
                    let source = MountSource::Bind(cache.root().to_owned_fd()?);
                    made.list.push(Mount::new(target, source).read_only(*read_only));
                }
                MountOp::Tmpfs { target, size } => {
                    let source = MountSource::Tmpfs { size: *size, mode: 0o1777 };
                    made.list.push(Mount { nosuid: true, ..Mount::new(target, source) });
                }
                MountOp::Secret { .. } => self.secret_mount(mount, &mut made)?,
                MountOp::Ssh { .. } => self.agent_mount(mount, scratch, &mut made)?,
            }
        }
        Ok(made)
    }

    fn bind(
        &self,
        place: &Place,
        source: &str,
        writable: bool,
        inputs: &Inputs,
        (scratch, number): (&Root, usize),
    ) -> Result<MountSource, BuildError> {
        let layers = match place {
            Place::Vertex(vertex) => inputs.layers(*vertex).to_vec(),
            Place::Scratch => Vec::new(),
            Place::Context | Place::Named(_) => return self.bind_context(place, source, writable, inputs),
        };
        let whole = below_root(source.as_bytes()).is_empty();
        let Some(root) = self.view(&layers)? else {
            return match whole {
                true => Ok(MountSource::Tmpfs { size: None, mode: 0o755 }),
                false => Err(not_found("scratch", source)),
            };
        };
        if writable && whole {
            let (lowers, userxattr) = (self.env.store.trees(&layers)?, self.env.store.userxattr()?);
            return Ok(MountSource::Overlay { lowers, upper: None, userxattr });
        }
        let label = match place {
            Place::Vertex(vertex) => self.label(*vertex),
            _ => "scratch".to_owned(),
        };
        let path = root.resolve(source)?;
        let stat = root.stat(&path, Follow::No)?.ok_or_else(|| not_found(&label, source))?;
        match (writable, stat.kind) {
            (false, _) => Ok(MountSource::Bind(root.open_path(&path, Follow::No)?)),
            (true, FileKind::Directory) => {
                let name = format!("mount{number}");
                scratch.create_exact_dir(&name, stat.mode)?;
                copy_tree(&root.dir(&path)?, &scratch.dir(&name)?, ChownPolicy::Exact)?;
                Ok(MountSource::Bind(scratch.dir(&name)?.to_owned_fd()?))
            }
            (true, _) => {
                let bytes = root.read(&path, MAX_COPIED_FILE)?;
                Ok(MountSource::File { bytes, mode: stat.mode, uid: stat.uid, gid: stat.gid })
            }
        }
    }

    fn bind_context(
        &self,
        place: &Place,
        source: &str,
        writable: bool,
        inputs: &Inputs,
    ) -> Result<MountSource, BuildError> {
        let (layer, is_dir) = self.context_layer(place, source, inputs)?;
        self.show_layer(layer, is_dir, writable)
    }

    /// Puts files of a context into a layer of their own, since the context may hide some and belongs to others.
    ///
    /// Returns the layer, and whether it holds the directory `d` or the file `f`.
    fn context_layer(
        &self,
        place: &Place,
        source: &str,
        inputs: &Inputs,
    ) -> Result<(DiffId, bool), BuildError> {
        let mut request = self.mount_request(place, source, inputs)?;
        let selection = select(&request)?;
        let is_dir = selection.sources.first().is_some_and(|source| source.top().node.is_dir());
        let name = if is_dir { "d" } else { "f" };
        request.destination = if is_dir { "/d/".to_owned() } else { "/f".to_owned() };
        let mut fields = Fields::new("layer of a mount");
        fields.add("name", name);
        fields.add("content", to_hex(&content_digest(&selection)?.digest));
        let key = fields.finish();
        let layer = match self.cached(&key.key)?.and_then(|record| record.layers.first().copied()) {
            Some(layer) => layer,
            None => {
                let layer = self.write_layer(&request, &selection, None)?;
                let step = StepId::default();
                let size = self.env.store.layer(layer)?.map_or(0, |layer| layer.size());
                let mut record = CacheRecord::new(key.key, "{}".to_owned(), vec![layer], size, step);
                record.kind = "source.local".to_owned();
                record.description = format!("mount of {source}");
                self.env.store.cache_put(&record)?;
                layer
            }
        };
        Ok((layer, is_dir))
    }

    fn show_layer(&self, layer: DiffId, is_dir: bool, writable: bool) -> Result<MountSource, BuildError> {
        let name = if is_dir { "d" } else { "f" };
        let root = self.env.store.mount(&[layer])?;
        Ok(match (writable, is_dir) {
            (false, _) => MountSource::Bind(root.open_path(name, Follow::No)?),
            (true, true) => {
                let lowers: Vec<OwnedFd> = vec![root.dir(name)?.to_owned_fd()?];
                MountSource::Overlay { lowers, upper: None, userxattr: self.env.store.userxattr()? }
            }
            (true, false) => {
                let bytes = root.read(name, MAX_COPIED_FILE)?;
                let mode = root.stat(name, Follow::No)?.map_or(0o644, |stat| stat.mode);
                MountSource::File { bytes, mode, uid: 0, gid: 0 }
            }
        })
    }

    /// Takes all cache mounts of a process, in one order everywhere, so that two steps never wait for each other.
    fn caches(
        &self,
        mounts: &[MountOp],
        inputs: &Inputs,
        cancel: &Cancel,
    ) -> Result<BTreeMap<String, CacheMount>, BuildError> {
        let mut wanted: Vec<(String, &MountOp)> = mounts
            .iter()
            .filter(|mount| matches!(mount, MountOp::Cache { .. }))
            .map(|mount| (cache_identity(mount, inputs), mount))
            .collect();
        wanted.sort_by(|a, b| a.0.cmp(&b.0));
        let mut caches = BTreeMap::new();
        for (identity, mount) in wanted {
            if let Entry::Vacant(place) = caches.entry(identity) {
                let cache = self.cache_mount(place.key(), mount, inputs, cancel)?;
                place.insert(cache);
            }
        }
        Ok(caches)
    }

    fn cache_mount(
        &self,
        identity: &str,
        mount: &MountOp,
        inputs: &Inputs,
        cancel: &Cancel,
    ) -> Result<CacheMount, BuildError> {
        let MountOp::Cache { sharing, from, source, shape, .. } = mount else {
            unreachable!("only a cache mount is asked for its directory");
        };
        let sharing = match sharing {
            Sharing::Shared => crate::store::Sharing::Shared,
            Sharing::Private => crate::store::Sharing::Private,
            Sharing::Locked => crate::store::Sharing::Locked,
        };
        let fill = |root: &Root| -> Result<(), BuildError> {
            let CacheShape { mode, uid, gid } = match shape {
                Some(shape) => *shape,
                None => self.fill_cache(from, source, inputs, root)?,
            };
            root.set_owner("", uid, gid)?;
            Ok(root.set_mode("", mode)?)
        };
        let busy = || match cancel.is_cancelled() {
            true => Err(ErrorKind::Cancelled.into()),
            false => {
                std::thread::sleep(super::LOCK_PAUSE);
                Ok(())
            }
        };
        self.env.store.cache_mount_waiting(identity, sharing, fill, busy)
    }

    /// Gives a new cache mount its first content; returns mode and owner of its top.
    fn fill_cache(
        &self,
        from: &Place,
        source: &str,
        inputs: &Inputs,
        into: &Root,
    ) -> Result<CacheShape, BuildError> {
        let nothing = || match source {
            "/" => Ok(CacheShape { mode: 0o755, uid: 0, gid: 0 }),
            _ => Err(not_found("cache base", source)),
        };
        let (root, path) = match from {
            Place::Scratch => return nothing(),
            Place::Vertex(vertex) => {
                let Some(root) = self.view(inputs.layers(*vertex))? else { return nothing() };
                let path = root.resolve(source)?;
                (root, path)
            }
            Place::Context | Place::Named(_) => {
                let (layer, is_dir) = self.context_layer(from, source, inputs)?;
                let name = if is_dir { "d" } else { "f" };
                (self.env.store.mount(&[layer])?, PathBuf::from(name))
            }
        };
        match root.stat(&path, Follow::No)? {
            Some(stat) if stat.is_dir() => {
                copy_tree(&root.dir(&path)?, into, ChownPolicy::Exact)?;
                Ok(CacheShape { mode: stat.mode, uid: stat.uid, gid: stat.gid })
            }
            Some(_) => Err(unsupported(format!("cache mount of {source}, which is no directory"))),
            None => Err(not_found("cache base", source)),
        }
    }

    fn secret_mount(&self, mount: &MountOp, made: &mut Mounts) -> Result<(), BuildError> {
        let MountOp::Secret { id, target, env, mode, uid, gid, required } = mount else { return Ok(()) };
        let Some(bytes) = self.secret(id)? else {
            return match required {
                true => Err(ErrorKind::SecretMissing(id.clone()).into()),
                false => {
                    // As in BuildKit, the variable is there and empty.
                    made.env.extend(env.iter().map(|name| (name.clone(), Vec::new())));
                    Ok(())
                }
            };
        };
        if let Some(name) = env {
            if bytes.contains(&0) {
                return Err(invalid(format!(
                    "secret {id}: holds a zero byte and cannot be the variable {name}"
                )));
            }
            made.env.push((name.clone(), bytes.clone()));
        }
        if let Some(target) = target {
            let source = MountSource::File { bytes, mode: *mode, uid: *uid, gid: *gid };
            let mount = Mount::new(target, source).read_only(true);
            made.list.push(Mount { nosuid: true, nodev: true, noexec: mode & 0o111 == 0, ..mount });
        }
        Ok(())
    }

    fn agent_mount(&self, mount: &MountOp, scratch: &Root, made: &mut Mounts) -> Result<(), BuildError> {
        let MountOp::Ssh { id, target, mode, uid, gid, required } = mount else { return Ok(()) };
        let Some(agent) = self.options.ssh.get(id) else {
            return match required {
                true => Err(ErrorKind::SshMissing(id.clone()).into()),
                false => Ok(()),
            };
        };
        let name = format!("agent{}", made.agents.len());
        let (forwarder, socket) = Agent::forward(scratch, &name, &agent.socket, (*mode, *uid, *gid))?;
        if made.agents.is_empty() {
            made.env.push(("SSH_AUTH_SOCK".to_owned(), target.clone().into_bytes()));
        }
        made.agents.push(forwarder);
        made.list.push(Mount::new(target, MountSource::Bind(socket)));
        Ok(())
    }
}

/// Returns what tells cache mounts apart: another first content or owner is another cache.
fn cache_identity(mount: &MountOp, inputs: &Inputs) -> String {
    let MountOp::Cache { id, from, source, shape, .. } = mount else { return String::new() };
    let shape = shape.map(|CacheShape { mode, uid, gid }| format!(" mode={mode:o} uid={uid} gid={gid}"));
    format!("{id} from={} source={source}{}", base_text(from, inputs), shape.unwrap_or_default())
}

fn base_text(from: &Place, inputs: &Inputs) -> String {
    match from {
        Place::Vertex(vertex) => chain_text(inputs.get(*vertex).and_then(|snapshot| snapshot.chain)),
        Place::Named(name) => format!("context {name}"),
        Place::Context => "context".to_owned(),
        Place::Scratch => "scratch".to_owned(),
    }
}

fn not_found(label: &str, source: &str) -> BuildError {
    let path = show(&below_root(source.as_bytes()));
    CopyError::NotFound { label: label.to_owned(), path }.into()
}
