//! Upload sessions as two files: the bytes, and a document that says how far the hash is.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};

use bytes::Bytes;

use super::{Directory, absent, blob_name, io};
use crate::fs::{Follow, write_atomic};
use crate::registry::server::digest::{BlobDigest, Hasher};
use crate::registry::server::source::{Source, SourceError};
use crate::registry::server::storage::{Session, StorageError, is_id, random_id};

/// Bytes that are written and hashed at once.
const BATCH: usize = 1 << 20;

/// An open session: everything before `size` is in the hash.
struct Open {
    file: File,
    hasher: Hasher,
    size: u64,
}

impl Open {
    fn take(&mut self, pieces: &[Bytes]) -> std::io::Result<()> {
        for piece in pieces {
            self.file.write_all(piece)?;
            self.hasher.update(piece);
            self.size += piece.len() as u64;
        }
        Ok(())
    }
}

impl Directory {
    pub(super) fn begin_now(&self, session: &Session) -> Result<String, StorageError> {
        let id = random_id()?;
        self.root.create_file(data(&id), 0o600)?;
        self.save(&id, session)?;
        Ok(id)
    }

    pub(super) fn session_now(&self, id: &str) -> Result<Session, StorageError> {
        let bytes = match is_id(id) {
            true => absent(self.root.read(state(id), 64 << 10))?.ok_or(StorageError::NoSession)?,
            false => return Err(StorageError::NoSession),
        };
        let session: Session = serde_json::from_slice(&bytes).map_err(|_| StorageError::NoSession)?;
        let stat = self.root.stat(data(id), Follow::No)?.ok_or(StorageError::NoSession)?;
        Ok(Session { size: stat.size, ..session })
    }

    /// Opens a session and hashes what was written without being noted, as when the process was killed.
    fn open_session(&self, id: &str) -> Result<(Open, Session), StorageError> {
        let session = self.session_now(id)?;
        let mut file = self.root.open_rw(data(id), false)?;
        let known = session.hasher().filter(|_| session.hashed <= session.size);
        let (mut hasher, from) = match known {
            Some(hasher) => (hasher, session.hashed),
            None => return Err(StorageError::NoSession),
        };
        file.seek(SeekFrom::Start(from)).map_err(|e| io("read", data(id), e))?;
        let size = from + hash_rest(&mut file, &mut hasher).map_err(|e| io("read", data(id), e))?;
        Ok((Open { file, hasher, size }, session))
    }

    pub(super) async fn append_from(
        &self,
        id: &str,
        at: u64,
        source: &mut Source,
    ) -> Result<u64, StorageError> {
        let name = id.to_owned();
        let (open, session) = self.run(move |this| this.open_session(&name)).await?;
        if open.size != at {
            return Err(StorageError::OutOfOrder { size: open.size });
        }
        let (open, broken) = self.receive(id, open, source).await?;
        let size = open.size;
        let session = Session { size, hashed: size, hash: open.hasher.save(), ..session };
        let name = id.to_owned();
        self.run(move |this| this.save(&name, &session)).await?;
        match broken {
            Some(error) => Err(StorageError::Interrupted(error)),
            None => Ok(size),
        }
    }

    /// Writes batches while the next one arrives; returns what broke the source off, if anything did.
    async fn receive(
        &self,
        id: &str,
        open: Open,
        source: &mut Source,
    ) -> Result<(Open, Option<SourceError>), StorageError> {
        let mut writing = tokio::task::spawn_blocking(move || (open, Ok(())));
        loop {
            let (batch, end) = gather(source).await;
            let (mut open, written) = writing.await.expect("writing does not panic");
            written.map_err(|e| io("write", data(id), e))?;
            writing = tokio::task::spawn_blocking(move || {
                let written = open.take(&batch);
                (open, written)
            });
            let Some(end) = end else { continue };
            let (open, written) = writing.await.expect("writing does not panic");
            written.map_err(|e| io("write", data(id), e))?;
            return Ok((open, end.err()));
        }
    }

    pub(super) fn finish_now(&self, id: &str, digest: &BlobDigest) -> Result<u64, StorageError> {
        let (mut open, session) = self.open_session(id)?;
        let got = match session.hasher().map(|hasher| hasher.algorithm()) {
            Some(algorithm) if algorithm == digest.algorithm() => open.hasher.finish(),
            _ => {
                // The session was begun for another algorithm.
                let mut hasher = Hasher::new(digest.algorithm());
                open.file.rewind().map_err(|e| io("read", data(id), e))?;
                hash_rest(&mut open.file, &mut hasher).map_err(|e| io("read", data(id), e))?;
                hasher.finish()
            }
        };
        if got != *digest {
            self.cancel_now(id)?;
            return Err(StorageError::Mismatch { got });
        }
        let target = blob_name(digest);
        match self.root.stat(&target, Follow::No)? {
            Some(_) => self.root.remove_file(data(id))?,
            None => self.root.rename(data(id), target)?,
        }
        absent(self.root.remove_file(state(id)))?;
        Ok(open.size)
    }

    pub(super) fn cancel_now(&self, id: &str) -> Result<(), StorageError> {
        if !is_id(id) {
            return Err(StorageError::NoSession);
        }
        let there = absent(self.root.remove_file(data(id)))?;
        absent(self.root.remove_file(state(id)))?;
        there.ok_or(StorageError::NoSession)
    }

    fn save(&self, id: &str, session: &Session) -> Result<(), StorageError> {
        let text = serde_json::to_vec(session).expect("a session is plain data");
        Ok(write_atomic(&self.root.dir("uploads")?, &format!("{id}.state"), &text, false)?)
    }
}

/// Collects pieces to a batch; with it how the source ended, if it did.
async fn gather(source: &mut Source) -> (Vec<Bytes>, Option<Result<(), SourceError>>) {
    let (mut batch, mut size) = (Vec::new(), 0);
    while size < BATCH {
        match source.next().await {
            Ok(Some(piece)) => {
                size += piece.len();
                batch.push(piece);
            }
            Ok(None) => return (batch, Some(Ok(()))),
            Err(error) => return (batch, Some(Err(error))),
        }
    }
    (batch, None)
}

fn hash_rest(file: &mut File, hasher: &mut Hasher) -> std::io::Result<u64> {
    let mut buffer = vec![0; BATCH];
    let mut total = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(total),
            count => {
                hasher.update(&buffer[..count]);
                total += count as u64;
            }
        }
    }
}

fn data(id: &str) -> String {
    format!("uploads/{id}")
}

fn state(id: &str) -> String {
    format!("uploads/{id}.state")
}
