//! The two databases: opening, durability, schema.
//!
//! `meta.db` is what a user would miss (images, references) and syncs every
//! commit; `cache.db` may be lost or deleted at any time and syncs rarely.
//! Both use a write-ahead log, which needs memory shared between processes;
//! on file systems that cannot give that they use a rollback journal.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::error::StoreError;

/// How long a writer waits for another one.
const BUSY: Duration = Duration::from_secs(60);
/// Pages in the log after which a commit moves them into the database.
const CHECKPOINT_PAGES: i64 = 400;
/// Bytes of the log after which the end of a command empties it: whoever opens the database first reads all of it.
const LONG_LOG: u64 = 400 << 10;

const META_SCHEMA: &str = "
CREATE TABLE image(
  manifest BLOB NOT NULL PRIMARY KEY,
  id BLOB NOT NULL,
  created INTEGER,
  added INTEGER NOT NULL,
  size INTEGER NOT NULL,
  platform TEXT NOT NULL,
  layers BLOB NOT NULL,
  blobs BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX image_id ON image(id);
CREATE TABLE image_index(
  digest BLOB NOT NULL PRIMARY KEY,
  added INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE index_child(
  parent BLOB NOT NULL,
  position INTEGER NOT NULL,
  child BLOB NOT NULL,
  platform TEXT,
  PRIMARY KEY(parent, position)
) WITHOUT ROWID;
CREATE INDEX index_child_child ON index_child(child);
CREATE TABLE ref(
  repository TEXT NOT NULL,
  tag TEXT NOT NULL,
  target BLOB NOT NULL,
  tagged INTEGER NOT NULL,
  PRIMARY KEY(repository, tag)
) WITHOUT ROWID;
CREATE INDEX ref_target ON ref(target);
CREATE TABLE repo_digest(
  repository TEXT NOT NULL,
  digest BLOB NOT NULL,
  target BLOB NOT NULL,
  PRIMARY KEY(repository, digest)
) WITHOUT ROWID;
CREATE INDEX repo_digest_target ON repo_digest(target);
CREATE TABLE compressed(
  diff_id BLOB NOT NULL,
  settings TEXT NOT NULL,
  digest BLOB NOT NULL,
  size INTEGER NOT NULL,
  media_type TEXT NOT NULL,
  PRIMARY KEY(diff_id, settings)
) WITHOUT ROWID;
CREATE TABLE fence(n INTEGER NOT NULL);
INSERT INTO fence VALUES (0);
PRAGMA user_version = 1;
";

const CACHE_SCHEMA: &str = "
CREATE TABLE record(
  key BLOB NOT NULL PRIMARY KEY,
  kind TEXT NOT NULL,
  payload TEXT NOT NULL,
  layers BLOB NOT NULL,
  size INTEGER NOT NULL,
  created INTEGER NOT NULL,
  used INTEGER NOT NULL,
  uses INTEGER NOT NULL,
  scope TEXT NOT NULL,
  stage TEXT NOT NULL,
  position INTEGER NOT NULL,
  text TEXT NOT NULL,
  description TEXT NOT NULL
);
CREATE INDEX record_step ON record(scope, stage, position);
CREATE INDEX record_text ON record(scope, text);
CREATE TABLE record_fields(
  key BLOB NOT NULL PRIMARY KEY,
  fields TEXT NOT NULL
);
CREATE TABLE cache_mount(
  name TEXT NOT NULL PRIMARY KEY,
  id TEXT NOT NULL,
  created INTEGER NOT NULL,
  used INTEGER NOT NULL
);
PRAGMA user_version = 1;
";

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// Images and references.
    Meta,
    /// Cache records.
    Cache,
}

impl Which {
    fn file(self) -> &'static str {
        match self {
            Self::Meta => "meta.db",
            Self::Cache => "cache.db",
        }
    }

    fn schema(self) -> &'static str {
        match self {
            Self::Meta => META_SCHEMA,
            Self::Cache => CACHE_SCHEMA,
        }
    }

    fn synchronous(self) -> &'static str {
        match self {
            Self::Meta => "FULL",
            Self::Cache => "NORMAL",
        }
    }
}

/// An open database that knows its path for errors.
#[derive(Debug)]
pub(super) struct Db {
    connection: Connection,
    path: PathBuf,
}

impl Db {
    /// Opens a database below `root`; creates it when `create` is set, or when it is the one that may be lost.
    pub(super) fn open(
        root: &Path,
        which: Which,
        create: bool,
        shared_memory: bool,
    ) -> Result<Self, StoreError> {
        let path = root.join(which.file());
        match Self::try_open(&path, which, create, shared_memory) {
            Err(StoreError::Database { source, .. }) if which == Which::Cache && is_damage(&source) => {
                // Nothing but speed is lost with it.
                remove_database(root, which.file())?;
                Self::try_open(&path, which, true, shared_memory)
            }
            other => other,
        }
    }

    fn try_open(path: &Path, which: Which, create: bool, shared_memory: bool) -> Result<Self, StoreError> {
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        if create || which == Which::Cache {
            flags |= OpenFlags::SQLITE_OPEN_CREATE;
        }
        let fail = |action| {
            let path = path.to_owned();
            move |source| StoreError::Database { action, path, source }
        };
        let connection =
            Connection::open_with_flags(path, flags).map_err(fail("cannot open the database"))?;
        let mut db = Self { connection, path: path.to_owned() };
        db.prepare(which, shared_memory).map_err(fail("cannot prepare the database"))?;
        Ok(db)
    }

    fn prepare(&mut self, which: Which, shared_memory: bool) -> rusqlite::Result<()> {
        let c = &mut self.connection;
        c.busy_timeout(BUSY)?;
        c.set_prepared_statement_cache_capacity(64);
        // Closing would otherwise move the log, with several syncs, at the end of every command.
        c.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        c.pragma_update(None, "synchronous", which.synchronous())?;
        c.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        let version: i64 = c.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version == 0 {
            let mode = if shared_memory { "WAL" } else { "DELETE" };
            c.pragma_update_and_check(None, "journal_mode", mode, |row| row.get::<_, String>(0))?;
            let transaction = c.transaction_with_behavior(TransactionBehavior::Immediate)?;
            // Another process may have been first.
            let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
            if version == 0 {
                transaction.execute_batch(which.schema())?;
            }
            transaction.commit()?;
        }
        if which == Which::Cache {
            super::known_blob::migrate(c, version)?;
        }
        Ok(())
    }

    /// Runs `work` in a read transaction, so that all of its statements see one state.
    pub(super) fn read<T>(
        &mut self,
        action: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.transact(action, TransactionBehavior::Deferred, work)
    }

    /// Runs `work` in a write transaction; an error rolls it back.
    pub(super) fn write<T>(
        &mut self,
        action: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.transact(action, TransactionBehavior::Immediate, work)
    }

    fn transact<T>(
        &mut self,
        action: &'static str,
        behavior: TransactionBehavior,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let run = |connection: &mut Connection| {
            let transaction = connection.transaction_with_behavior(behavior)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        run(&mut self.connection).map_err(|source| self.fail(action, source))
    }

    /// Runs one statement outside of an explicit transaction.
    pub(super) fn with<T>(
        &self,
        action: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        work(&self.connection).map_err(|source| self.fail(action, source))
    }

    fn fail(&self, action: &'static str, source: rusqlite::Error) -> StoreError {
        StoreError::Database { action, path: self.path.clone(), source }
    }
}

impl Drop for Db {
    /// Empties a long log.
    ///
    /// A process that opens the database alone can't know what of the log was moved already, so
    /// that the log of many short commands would only grow, and each of them move all of it again.
    fn drop(&mut self) {
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        let is_long = rustix::fs::lstat(log.as_os_str()).is_ok_and(|stat| stat.st_size as u64 > LONG_LOG);
        // Others who read or write keep it, without being waited for; the last of them empties it.
        if is_long && self.connection.busy_timeout(Duration::ZERO).is_ok() {
            let _ = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()));
        }
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

fn remove_database(root: &Path, file: &str) -> Result<(), StoreError> {
    let dir = crate::fs::Root::open(root)?;
    for suffix in ["", "-wal", "-shm", "-journal"] {
        match dir.remove_file(format!("{file}{suffix}")) {
            Err(e) if !e.is_not_found() => return Err(e.into()),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_of_many_short_commands_stays_short() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Db::open(dir.path(), Which::Cache, true, true).unwrap();
        open().with("make", |c| c.execute_batch("CREATE TABLE t(n INTEGER, filler BLOB)")).unwrap();
        let log = dir.path().join("cache.db-wal");
        for n in 0..40 {
            let mut db = open();
            db.write("fill", |t| t.execute("INSERT INTO t VALUES (?1, zeroblob(50000))", [n])).unwrap();
            drop(db);
            let length = std::fs::metadata(&log).map_or(0, |log| log.len());
            assert!(length <= LONG_LOG, "{length} bytes after {n} commands");
        }
        let count: i64 =
            open().with("count", |c| c.query_row("SELECT count(*) FROM t", (), |row| row.get(0))).unwrap();
        assert_eq!(count, 40);
    }

    #[test]
    fn a_log_that_somebody_reads_stays() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Db::open(dir.path(), Which::Cache, true, true).unwrap();
        let writer = open();
        writer.with("make", |c| c.execute_batch("CREATE TABLE t(filler BLOB)")).unwrap();
        writer.with("fill", |c| c.execute("INSERT INTO t VALUES (zeroblob(600000))", ())).unwrap();
        let mut reader = open();
        let count = reader.read("count", |t| {
            drop(writer);
            t.query_row("SELECT count(*) FROM t", (), |row| row.get::<_, i64>(0))
        });
        assert_eq!(count.unwrap(), 1);
        drop(reader);
        assert_eq!(std::fs::metadata(dir.path().join("cache.db-wal")).map_or(0, |log| log.len()), 0);
    }
}
