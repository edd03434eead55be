//! What happened: a journal in `ROOT/events/`, a JSON object a line, to which every process appends.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::ContainerError;
use super::files::Container;
use crate::fs::{Root, Watch};

const DIR: &str = "events";
const FILE: &str = "journal";
const OLD: &str = "journal.1";
/// Bytes after which a new file begins; the one before is kept.
const ROTATE: u64 = 1 << 20;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub time: Timestamp,
    /// `container`, `image`, `volume` or `network`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `start`, `die` and the like.
    pub action: String,
    /// Id or name of what it happened to.
    pub id: String,
    /// What else there is to say, sorted.
    pub attributes: BTreeMap<String, String>,
}

/// Appends an event to the journal; that it can't be written hinders nobody.
pub fn record(store: &Root, event: &Event) {
    let mut line = serde_json::to_vec(event).expect("an event serialises");
    line.push(b'\n');
    let dir = match store.dir(DIR) {
        Ok(dir) => Ok(dir),
        Err(_) => store.create_dir_all(DIR, 0o711).and_then(|_| store.dir(DIR)),
    };
    let Ok(dir) = dir else { return };
    if let Ok(Some(stat)) = dir.stat(FILE, crate::fs::Follow::No)
        && stat.size > ROTATE
    {
        let _ = dir.rename(FILE, OLD);
    }
    let file = match dir.open_rw(FILE, true) {
        Err(_) => dir.create_file(FILE, 0o600).and_then(|_| dir.open_rw(FILE, true)),
        open => open,
    };
    // One write a line, so that lines of several processes don't mix.
    let _ = file.map(|mut file| file.write_all(&line));
}

/// Records that something happened to a container.
pub(super) fn container(container: &Container, action: &str, more: &[(&str, &str)]) {
    let config = &container.config;
    let mut attributes = config.labels.clone();
    attributes.insert("image".to_owned(), config.image_name.clone());
    attributes.insert("name".to_owned(), config.name.clone());
    attributes.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    let event = Event {
        time: Timestamp::now(),
        kind: "container".to_owned(),
        action: action.to_owned(),
        id: config.id.clone(),
        attributes,
    };
    record(container.all().store(), &event);
}

impl Container {
    /// Records that something happened to this container.
    pub fn event(&self, action: &str, more: &[(&str, &str)]) {
        container(self, action, more);
    }
}

/// Reads the journal, and what is added to it.
#[derive(Debug)]
pub struct EventReader {
    store: Root,
    file: Option<(File, u64)>,
    rest: Vec<u8>,
    /// None before the first waiting; then none where there are too many that watch.
    watch: Option<Option<Watch>>,
}

/// How often the journal is looked at where it can't be watched.
const LOOK: Duration = Duration::from_millis(200);

impl EventReader {
    /// Begins at the oldest event that is kept.
    pub fn new(store: &Root) -> Self {
        Self { store: store.clone(), file: None, rest: Vec::new(), watch: None }
    }

    /// Waits until something may have been added since the last reading, at most for a time.
    pub fn wait(&mut self, limit: Duration) {
        match &self.watch {
            Some(Some(watch)) => watch.wait(limit),
            Some(None) => std::thread::sleep(LOOK.min(limit)),
            // What happened before it was watched is not told: it is read at once.
            None => {
                let _ = self.store.create_dir_all(DIR, 0o711);
                self.watch = Some(self.store.dir(DIR).and_then(|dir| Watch::new(&dir)).ok());
            }
        }
    }

    /// Returns what was added since the last call.
    ///
    /// # Errors
    /// The journal can't be read.
    pub fn read(&mut self) -> Result<Vec<Event>, ContainerError> {
        let mut bytes = std::mem::take(&mut self.rest);
        let failed = |e| ContainerError::io("read the journal of events", e);
        let first = self.file.is_none();
        if let Some((file, _)) = &mut self.file {
            file.read_to_end(&mut bytes).map_err(failed)?;
        }
        if let Ok(dir) = self.store.dir(DIR) {
            if first && let Ok(mut old) = dir.open_file(OLD) {
                old.read_to_end(&mut bytes).map_err(failed)?;
            }
            let now = dir.stat(FILE, crate::fs::Follow::No)?.map(|stat| stat.ino);
            if now.is_some() && now != self.file.as_ref().map(|(_, ino)| *ino) {
                let mut file = dir.open_file(FILE)?;
                file.read_to_end(&mut bytes).map_err(failed)?;
                self.file = now.map(|ino| (file, ino));
            }
        }
        let mut found = Vec::new();
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = bytes.drain(..=end).collect();
            // A line that means nothing was cut by a crash.
            found.extend(serde_json::from_slice::<Event>(&line).ok());
        }
        self.rest = bytes;
        Ok(found)
    }
}
