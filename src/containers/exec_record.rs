//! Further processes that were asked for by one request and are started, resized and looked at by others.
//!
//! `execs/<id>.json` in the container's directory is made by the first request. From the start on it is the monitor's:
//! it notes the process, and how that ended. What has ended is kept for a while, and no longer than until the next start
//! of the container.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::ContainerError;
use super::events;
use super::files::{Container, Containers, MAX_FILE};
use super::protocol::Exec;
use super::remote::Remote;
use crate::fs::{Follow, Root, write_atomic};

const EXECS: &str = "execs";
/// How long it can be asked how a process ended.
const KEPT: Duration = Duration::from_secs(300);

/// A further process that was asked for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ExecRecord {
    /// 64 hexadecimal digits.
    pub id: String,
    /// What is to run; its id is the record's.
    pub exec: Exec,
    /// Whether a client takes its standard output.
    pub stdout: bool,
    /// Whether a client takes its standard error.
    pub stderr: bool,
    /// The keys that leave it, as they were given.
    pub detach_keys: String,
    /// Whether it was started.
    #[serde(default)]
    pub begun: bool,
    /// Number of the process on the host; 0 before it is made.
    #[serde(default)]
    pub pid: i32,
    /// How it ended.
    #[serde(default)]
    pub exit_code: Option<i32>,
}

fn file(id: &str) -> String {
    format!("{EXECS}/{id}.json")
}

impl Containers {
    /// Finds a further process by its whole id, and its container.
    ///
    /// # Errors
    /// The containers can't be read.
    pub fn find_exec(&self, id: &str) -> Result<Option<(Container, ExecRecord)>, ContainerError> {
        if id.len() != 64 || !id.bytes().all(|c| c.is_ascii_hexdigit()) {
            return Ok(None);
        }
        for entry in self.all.entries(".")? {
            let name = String::from_utf8_lossy(&entry.name).into_owned();
            if !matches!(self.all.stat(format!("{name}/{}", file(id)), Follow::No), Ok(Some(_))) {
                continue;
            }
            if let Some(container) = self.load(&name)?
                && let Some(record) = container.exec_record(id)
            {
                return Ok(Some((container, record)));
            }
        }
        Ok(None)
    }
}

impl Container {
    /// Keeps what is to run; what has ended long ago goes.
    ///
    /// # Errors
    /// It can't be written.
    pub fn add_exec(&self, record: &ExecRecord) -> Result<(), ContainerError> {
        self.dir().create_dir_all(EXECS, 0o700)?;
        self.drop_old_execs();
        self.write_exec(record)?;
        let command = record.exec.args.join(" ");
        events::container(self, &format!("exec_create: {command}"), &[("execID", &record.id)]);
        Ok(())
    }

    /// Returns what was asked for, and what became of it as far as is written.
    fn exec_record(&self, id: &str) -> Option<ExecRecord> {
        let bytes = self.dir().read(file(id), MAX_FILE).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Returns the ids of those that have not ended: what runs, and what is yet to be started.
    pub fn execs(&self) -> Vec<String> {
        let remote = Remote::connect(self).ok().flatten();
        let mut ids = remote.and_then(|remote| remote.execs().ok()).unwrap_or_default();
        for entry in self.dir().entries(EXECS).unwrap_or_default() {
            let name = String::from_utf8_lossy(&entry.name).into_owned();
            let Some(record) = name.strip_suffix(".json").and_then(|id| self.exec_record(id)) else {
                continue;
            };
            if !record.begun && record.exit_code.is_none() && !ids.contains(&record.id) {
                ids.push(record.id);
            }
        }
        ids
    }

    /// Notes that a process is about to be made; only its container's monitor does.
    pub(super) fn begin_exec(&self, id: &str) -> Result<(), ContainerError> {
        let mut record = self
            .exec_record(id)
            .ok_or_else(|| ContainerError::Refused(format!("No such exec instance: {id}")))?;
        if record.begun {
            let how = if record.exit_code.is_some() { "has already run" } else { "is already running" };
            return Err(ContainerError::Refused(format!("Error: Exec command {id} {how}")));
        }
        record.begun = true;
        self.write_exec(&record)
    }

    /// Notes what became of a process, if it has a record; only its container's monitor does.
    pub(super) fn note_exec(&self, id: &str, change: impl FnOnce(&mut ExecRecord)) {
        if let Some(mut record) = self.exec_record(id) {
            change(&mut record);
            // Without it nobody learns how it ended; the process itself is well.
            let _ = self.write_exec(&record);
        }
    }

    fn write_exec(&self, record: &ExecRecord) -> Result<(), ContainerError> {
        let bytes = serde_json::to_vec(record).expect("a record serialises");
        let name = format!("{}.json", record.id);
        Ok(write_atomic(&self.dir().dir(EXECS)?, &name, &bytes, false)?)
    }

    fn drop_old_execs(&self) {
        let now = Timestamp::now().as_nanosecond();
        for entry in self.dir().entries(EXECS).unwrap_or_default() {
            let path = format!("{EXECS}/{}", String::from_utf8_lossy(&entry.name));
            let Ok(Some(stat)) = self.dir().stat(&path, Follow::No) else { continue };
            let old = now - i128::from(stat.mtime.as_nanos()) > KEPT.as_nanos() as i128;
            let ended = || {
                let record = self.dir().read(&path, MAX_FILE).ok();
                let record = record.and_then(|bytes| serde_json::from_slice::<ExecRecord>(&bytes).ok());
                record.is_none_or(|record| record.exit_code.is_some())
            };
            if old && ended() {
                let _ = self.dir().remove_file(&path);
            }
        }
    }
}

/// Forgets the processes of former runs.
pub(super) fn forget(dir: &Root) {
    let _ = dir.remove_tree(EXECS);
}
