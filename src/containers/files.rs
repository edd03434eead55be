//! The directories of containers and the links of their names.

use std::io::ErrorKind;
use std::path::Path;

use rustix::fs::FlockOperation;

use super::config::Config;
use super::error::ContainerError;
use super::parallel::in_parallel;
use super::state::State;
use super::sweep;
use crate::fs::{Follow, Root, write_atomic};

const ALL: &str = "containers";
const NAMES: &str = "container-names";
pub(super) const CONFIG: &str = "config.json";
pub(super) const STATE: &str = "state.json";
/// Files that a command has open beside those of containers, at most.
const FILES: u64 = 200;
/// Largest file of ours that is read.
pub(super) const MAX_FILE: usize = 4 << 20;

/// All containers of a store.
#[derive(Debug, Clone)]
pub struct Containers {
    pub(super) store: Root,
    pub(super) all: Root,
    pub(super) names: Root,
}

/// A container's directory, open.
#[derive(Debug, Clone)]
pub struct Container {
    pub(super) all: Containers,
    pub(super) dir: Root,
    /// What it is.
    pub config: Config,
}

/// A container in the making; dropped without [`Draft::commit`], it leaves nothing.
#[derive(Debug)]
pub struct Draft {
    all: Containers,
    dir: Root,
    id: String,
    name: String,
    done: bool,
    /// Shows that a directory without a config is no debris.
    lock: Option<Root>,
}

fn directory(root: &Root, name: &str) -> Result<Root, ContainerError> {
    match root.dir(name) {
        Err(error) if error.is_not_found() => {
            root.create_dir_all(name, 0o711)?;
            Ok(root.dir(name)?)
        }
        other => Ok(other?),
    }
}

pub(super) fn lock(directory: &Root, operation: FlockOperation) -> Result<(), ContainerError> {
    rustix::fs::flock(directory, operation)
        .map_err(|e| ContainerError::io(format!("lock {}", directory.name().display()), e))
}

/// Allows this process so many more open files than usual, as far as it may: each container is one.
///
/// Room for all of them is made at once: once there are threads, each time that the table grows the kernel waits until
/// nobody can be looking at the old one, some 10 ms.
fn allow_files(directory: &Root, count: u64) {
    let mut limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let wanted = count + FILES;
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = limit.maximum.map(|most| most.min(wanted)).or(Some(wanted));
        // Without, some of them can't be opened.
        let _ = rustix::process::setrlimit(rustix::process::Resource::Nofile, limit);
    }
    if let (true, Ok(last)) = (count > 32, i32::try_from(wanted - 1)) {
        // It is closed at once; the table stays as large as this needed it.
        drop(rustix::io::fcntl_dupfd_cloexec(directory, last));
    }
}

impl Containers {
    /// Opens the containers below a store's directory.
    ///
    /// # Errors
    /// The directories can't be opened or made.
    pub fn open(store: &Path) -> Result<Self, ContainerError> {
        let store = Root::open(store)?;
        let all = directory(&store, ALL)?;
        let names = directory(&store, NAMES)?;
        Ok(Self { store, all, names })
    }

    /// Returns the store's directory.
    pub fn store(&self) -> &Root {
        &self.store
    }

    /// Begins a container; the root of its writable layer looks like `image`'s.
    ///
    /// # Errors
    /// Another container has the name, or the directory can't be made.
    pub fn create(&self, id: &str, name: &str, image: &Root) -> Result<Draft, ContainerError> {
        let draft = match self.begin(id, name) {
            Err(ContainerError::NameInUse { .. }) => {
                // Whoever has it may have died in the making.
                self.sweep()?;
                self.begin(id, name)?
            }
            other => other?,
        };
        draft.dir.create_exact_dir("upper", 0o755)?;
        draft.dir.create_dir("work", 0o700)?;
        if let Some(stat) = image.stat(".", Follow::No)? {
            if (stat.uid, stat.gid) != (0, 0) {
                draft.dir.set_owner("upper", stat.uid, stat.gid)?;
            }
            draft.dir.set_mode("upper", stat.mode & 0o7777)?;
        }
        Ok(draft)
    }

    fn begin(&self, id: &str, name: &str) -> Result<Draft, ContainerError> {
        // For so long nothing is taken for debris.
        let making = self.all.dir(".")?;
        lock(&making, FlockOperation::LockShared)?;
        self.take_name(name, id, &self.lock_names()?)?;
        if let Err(error) = self.all.create_dir(id, 0o710) {
            self.drop_name(name, id)?;
            return Err(error.into());
        }
        let dir = self.all.dir(id)?;
        let own = dir.dir(".")?;
        lock(&own, FlockOperation::LockExclusive)?;
        let (all, id, name) = (self.clone(), id.to_owned(), name.to_owned());
        Ok(Draft { all, dir, id, name, done: false, lock: Some(own) })
    }

    /// Waits until nobody else changes names.
    fn lock_names(&self) -> Result<Root, ContainerError> {
        let alone = self.names.dir(".")?;
        lock(&alone, FlockOperation::LockExclusive)?;
        Ok(alone)
    }

    /// Gives a name to an id.
    fn take_name(&self, name: &str, id: &str, _alone: &Root) -> Result<(), ContainerError> {
        match self.names.symlink(id, name) {
            Err(error) if error.is_exists() => {}
            other => return Ok(other?),
        }
        let owner = String::from_utf8_lossy(&self.names.read_link(name)?).into_owned();
        if owner != id && self.all.stat(&owner, Follow::No)?.is_some() {
            return Err(ContainerError::NameInUse { name: name.to_owned(), id: owner });
        }
        self.names.remove_file(name)?;
        Ok(self.names.symlink(id, name)?)
    }

    /// Takes a name away from an id, if that has it.
    fn drop_name(&self, name: &str, id: &str) -> Result<(), ContainerError> {
        let _alone = self.lock_names()?;
        if self.names.read_link(name).is_ok_and(|owner| owner == id.as_bytes()) {
            self.names.remove_file(name)?;
        }
        Ok(())
    }

    /// Whether a name is taken.
    pub fn has_name(&self, name: &str) -> bool {
        matches!(self.names.stat(name, Follow::No), Ok(Some(_)))
    }

    /// Finds a container by its id, its name, or the beginning of its id.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn find(&self, text: &str) -> Result<Container, ContainerError> {
        let missing = || ContainerError::NotFound(text.to_owned());
        let bare = text.strip_prefix('/').unwrap_or(text);
        if bare.is_empty() || bare.contains('/') || bare.starts_with('.') {
            return Err(missing());
        }
        if bare.len() == 64
            && let Some(found) = self.load(bare)?
        {
            return Ok(found);
        }
        if let Ok(id) = self.names.read_link(bare)
            && let Some(found) = self.load(&String::from_utf8_lossy(&id))?
            && found.config.name == bare
        {
            return Ok(found);
        }
        let mut matching = Vec::new();
        for entry in self.all.entries(".")? {
            let id = String::from_utf8_lossy(&entry.name).into_owned();
            if id.starts_with(bare) && self.all.stat(Path::new(&id).join(CONFIG), Follow::No)?.is_some() {
                matching.push(id);
            }
        }
        match matching.as_slice() {
            [] => Err(missing()),
            [id] => self.load(id)?.ok_or_else(missing),
            _ => Err(ContainerError::Ambiguous(text.to_owned())),
        }
    }

    /// Returns the container of an id, if there is one.
    pub(super) fn load(&self, id: &str) -> Result<Option<Container>, ContainerError> {
        let dir = match self.all.dir(id) {
            Err(error) if error.is_not_found() || error.kind() == ErrorKind::NotADirectory => {
                return Ok(None);
            }
            other => other?,
        };
        let bytes = match dir.read(CONFIG, MAX_FILE) {
            Err(error) if error.is_not_found() => return Ok(None),
            other => other?,
        };
        let config = serde_json::from_slice(&bytes)
            .map_err(|source| ContainerError::Damaged { path: dir.name().join(CONFIG), source })?;
        Ok(Some(Container { all: self.clone(), dir, config }))
    }

    /// Returns all containers, newest first; one whose config means nothing is passed over. What a killed command left
    /// beside them goes.
    ///
    /// # Errors
    /// The directory can't be read.
    pub fn list(&self) -> Result<Vec<Container>, ContainerError> {
        let (found, debris) = self.look()?;
        if debris {
            // What can't be removed now is found again by the next one.
            let _ = self.sweep();
        }
        Ok(found)
    }

    /// Returns all containers, and whether there may be debris beside them.
    pub(super) fn look(&self) -> Result<(Vec<Container>, bool), ContainerError> {
        let (mut found, mut debris, mut others) = (Vec::new(), false, 0);
        let entries = self.all.entries(".")?;
        allow_files(&self.all, entries.len() as u64);
        for loaded in in_parallel(entries, |entry| self.load(&String::from_utf8_lossy(&entry.name))) {
            // One that goes just now, and one that only `rm` can help, hide no others.
            match loaded {
                Ok(Some(container)) => found.push(container),
                Ok(None) => debris = true,
                Err(_) => others += 1,
            }
        }
        debris |= self.names.entries(".")?.len() > found.len() + others;
        found.sort_by(|a, b| b.config.created.cmp(&a.config.created).then(a.config.id.cmp(&b.config.id)));
        Ok((found, debris))
    }
}

impl Draft {
    /// Returns the container's directory.
    pub fn dir(&self) -> &Root {
        &self.dir
    }

    /// Returns all containers.
    pub fn all(&self) -> &Containers {
        &self.all
    }

    /// Notes which volumes are made for it, so that they go if it does not come to be.
    ///
    /// # Errors
    /// That can't be written.
    pub fn note_volumes(&self, names: &[String]) -> Result<(), ContainerError> {
        sweep::note_volumes(&self.dir, names)
    }

    /// Makes the container visible.
    ///
    /// # Errors
    /// Its config can't be written.
    pub fn commit(mut self, config: Config) -> Result<Container, ContainerError> {
        let container = Container { all: self.all.clone(), dir: self.dir.clone(), config };
        // Whoever sees it may start it: it has to be free then, and no debris until then.
        let making = self.all.all.dir(".")?;
        lock(&making, FlockOperation::LockShared)?;
        self.lock = None;
        container.write_config()?;
        self.done = true;
        sweep::forget_volumes(&self.dir)?;
        Ok(container)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.done {
            // What can't be removed is swept by a later one.
            let _ = self.all.remove_volumes_of(&self.dir);
            let _ = self.all.all.remove_tree(&self.id);
            let _ = self.all.drop_name(&self.name, &self.id);
        }
    }
}

impl Container {
    /// Returns the container's directory.
    pub fn dir(&self) -> &Root {
        &self.dir
    }

    /// Returns all containers.
    pub fn all(&self) -> &Containers {
        &self.all
    }

    /// Returns the first twelve digits of its id.
    pub fn short_id(&self) -> &str {
        self.config.id.get(..12).unwrap_or(&self.config.id)
    }

    /// Whether it has not been removed.
    pub fn exists(&self) -> bool {
        matches!(self.dir.stat(CONFIG, Follow::No), Ok(Some(_)))
    }

    /// Replaces the stored config by the one in memory.
    ///
    /// # Errors
    /// It can't be written.
    pub fn write_config(&self) -> Result<(), ContainerError> {
        let bytes = serde_json::to_vec(&self.config).expect("a config serialises");
        // A container that goes with its process needs not outlive the machine.
        Ok(write_atomic(&self.dir, CONFIG, &bytes, !self.config.auto_remove)?)
    }

    /// Reads the config again, e.g. after somebody gave the container another name.
    ///
    /// # Errors
    /// The container is gone.
    pub fn reload(&mut self) -> Result<(), ContainerError> {
        let id = self.config.id.clone();
        let fresh = self.all.load(&id)?.ok_or(ContainerError::NotFound(id))?;
        self.config = fresh.config;
        Ok(())
    }

    /// Reads the state as it was written; see [`Container::state`] for the truth.
    pub(super) fn written_state(&self) -> Result<State, ContainerError> {
        let bytes = match self.dir.read(STATE, MAX_FILE) {
            Err(error) if error.is_not_found() => return Ok(State::default()),
            other => other?,
        };
        if bytes.is_empty() {
            // The machine lost it.
            return Ok(State::default());
        }
        serde_json::from_slice(&bytes)
            .map_err(|source| ContainerError::Damaged { path: self.dir.name().join(STATE), source })
    }

    /// Replaces the state; only whoever holds the container's lock may.
    pub(super) fn write_state(&self, state: &State) -> Result<(), ContainerError> {
        let bytes = serde_json::to_vec(state).expect("a state serialises");
        Ok(write_atomic(&self.dir, STATE, &bytes, false)?)
    }

    /// Gives the container another name.
    ///
    /// # Errors
    /// Another container has it.
    pub fn rename(&mut self, name: &str) -> Result<(), ContainerError> {
        let alone = self.all.lock_names()?;
        let before = std::mem::replace(&mut self.config.name, name.to_owned());
        if let Err(error) = self.all.take_name(name, &self.config.id, &alone) {
            self.config.name = before;
            return Err(error);
        }
        self.write_config()?;
        drop(alone);
        self.all.drop_name(&before, &self.config.id)
    }

    /// Removes the link to what it calls `alias`, also from its `/etc/hosts`; tells whether there was one.
    ///
    /// # Errors
    /// A file can't be written.
    pub fn unlink(&mut self, alias: &str) -> Result<bool, ContainerError> {
        let links = &mut self.config.network.links;
        let before = links.len();
        links.retain(|(_, known)| known != alias);
        if self.config.network.links.len() == before {
            return Ok(false);
        }
        self.write_config()?;
        super::managed::remove_link(self, alias)?;
        Ok(true)
    }

    /// Removes what is stored of a container that does not run: first its config, so that it is gone at once. With
    /// `volumes` those go that nobody named.
    pub(super) fn erase(&self, volumes: bool) -> Result<(), ContainerError> {
        match volumes && !self.config.anonymous_volumes.is_empty() {
            true => sweep::note_volumes(&self.dir, &self.config.anonymous_volumes)?,
            false => sweep::forget_volumes(&self.dir)?,
        }
        match self.dir.remove_file(CONFIG) {
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => {}
        }
        self.all.drop_name(&self.config.name, &self.config.id)?;
        self.all.remove_volumes_of(&self.dir)?;
        match self.all.all.remove_tree(&self.config.id) {
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => Ok(()),
        }
    }
}
