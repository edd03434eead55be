//! Reading a log, also while it is written and rotated.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;

use jiff::Timestamp;
use serde::Deserialize;

use super::super::error::ContainerError;
use super::Stream;
use crate::fs::{Follow, Root};

/// Most files of one log.
const MAX_FILES: u32 = 1000;

/// A line, or a part of a long one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it was written to.
    pub stream: Stream,
    /// When.
    pub time: Timestamp,
    /// What, with its newline if it had one.
    pub text: String,
    /// Labels, variables and the tag that came with it.
    pub attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Line {
    log: String,
    stream: String,
    time: Timestamp,
    #[serde(default)]
    attrs: BTreeMap<String, String>,
}

/// A log that is being read.
#[derive(Debug)]
pub struct Reader {
    dir: Root,
    name: String,
    file: Option<(File, u64)>,
    rest: Vec<u8>,
    begun: bool,
}

impl Reader {
    /// Begins at the oldest line.
    pub fn new(dir: &Root, name: &str) -> Self {
        Self { dir: dir.clone(), name: name.to_owned(), file: None, rest: Vec::new(), begun: false }
    }

    /// Returns all lines that were added since the last call.
    ///
    /// # Errors
    /// A file can't be read.
    pub fn read(&mut self) -> Result<Vec<Entry>, ContainerError> {
        let failed = |e| ContainerError::io("read the container's log", e);
        let mut bytes = std::mem::take(&mut self.rest);
        if !self.begun {
            self.begun = true;
            self.read_older(&mut bytes)?;
        }
        loop {
            if let Some((file, _)) = &mut self.file {
                file.read_to_end(&mut bytes).map_err(failed)?;
            }
            let there = self.dir.stat(&self.name, Follow::No)?.map(|stat| stat.ino);
            if there.is_none() || there == self.file.as_ref().map(|(_, ino)| *ino) {
                break;
            }
            match self.dir.open_file(&self.name) {
                Ok(file) => {
                    let ino = crate::fs::stat_fd(&file)?.ino;
                    // What was written between the last look and the rotation.
                    if let Some((old, _)) = &mut self.file {
                        old.read_to_end(&mut bytes).map_err(failed)?;
                    }
                    self.file = Some((file, ino));
                }
                Err(error) if error.is_not_found() => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.entries(bytes))
    }

    fn entries(&mut self, bytes: Vec<u8>) -> Vec<Entry> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(end) = memchr::memchr(b'\n', &bytes[at..]) {
            // A line that means nothing was cut by a crash.
            if let Ok(line) = serde_json::from_slice::<Line>(&bytes[at..at + end]) {
                let stream = if line.stream == "stderr" { Stream::Stderr } else { Stream::Stdout };
                found.push(Entry { stream, time: line.time, text: line.log, attributes: line.attrs });
            }
            at += end + 1;
        }
        self.rest = bytes[at..].to_vec();
        found
    }

    fn read_older(&self, bytes: &mut Vec<u8>) -> Result<(), ContainerError> {
        let mut older = Vec::new();
        for n in 1..MAX_FILES {
            let plain = format!("{}.{n}", self.name);
            let packed = format!("{plain}.gz");
            if let Ok(file) = self.dir.open_file(&plain) {
                older.push((file, false));
            } else if let Ok(file) = self.dir.open_file(&packed) {
                older.push((file, true));
            } else {
                break;
            }
        }
        for (mut file, packed) in older.into_iter().rev() {
            match packed {
                true => flate2::read::GzDecoder::new(file).read_to_end(bytes),
                false => file.read_to_end(bytes),
            }
            .map_err(|e| ContainerError::io("read the container's log", e))?;
        }
        Ok(())
    }
}
