//! Cache records: what a step gave, under a digest of all that went into it.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Row, params};
use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::file::{GcLock, now};
use super::image::{from_nanos, split_ids};
use super::{Inner, Store, layer, lock};
use crate::fs::Follow;
use crate::image::DiffId;
use crate::image::id::{from_hex, to_hex};

/// The digest of all that goes into a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CacheKey([u8; 32]);

impl CacheKey {
    /// Wraps a digest that was computed over a step's fields.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns 64 hexadecimal digits.
    pub fn hex(&self) -> String {
        to_hex(&self.0)
    }

    /// Reads 64 hexadecimal digits.
    pub fn from_hex(hex: &str) -> Option<Self> {
        from_hex(hex).map(Self)
    }
}

/// Which step of which build, so that an earlier record of the same step is found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepId {
    /// What is built, e.g. a digest of the Dockerfile's place.
    pub scope: String,
    /// The stage's name or number.
    pub stage: String,
    /// The instruction's number in its stage.
    pub position: u32,
    /// The instruction as written.
    pub text: String,
}

/// What a step gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheRecord {
    /// All that went into it.
    pub key: CacheKey,
    /// What made it, e.g. `regular` or `source.local`, as docker lists it.
    pub kind: String,
    /// The result as JSON, for the builder alone.
    pub payload: String,
    /// The layers that the result needs.
    pub layers: Vec<DiffId>,
    /// Size of the layers that the step added, in bytes.
    pub size: u64,
    /// Which step it was.
    pub step: StepId,
    /// What it was, for people.
    pub description: String,
    /// Name and value of what entered the key; empty in records that [`Store::cache_get`] returns.
    pub fields: Vec<(String, String)>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was used last.
    pub last_used: Timestamp,
    /// How often it was used.
    pub uses: u64,
}

impl CacheRecord {
    /// Returns a record made now, never used, of kind `regular`.
    pub fn new(key: CacheKey, payload: String, layers: Vec<DiffId>, size: u64, step: StepId) -> Self {
        let created = from_nanos(now());
        Self {
            key,
            kind: "regular".to_owned(),
            payload,
            layers,
            size,
            description: step.text.clone(),
            step,
            fields: Vec::new(),
            created,
            last_used: created,
            uses: 0,
        }
    }
}

const COLUMNS: &str = "key, kind, payload, layers, size, created, used, uses, \
                       scope, stage, position, text, description";

impl Store {
    /// Returns a key's record if it and all of its layers are there; they stay while this handle's lease lasts.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn cache_get(&self, key: &CacheKey) -> Result<Option<CacheRecord>, StoreError> {
        let record = self.inner.cache(|db| {
            db.with("cannot look up a cache record", |c| {
                c.prepare_cached(&format!("SELECT {COLUMNS} FROM record WHERE key = ?1"))?
                    .query_row([key.as_bytes()], record_row)
                    .optional()
            })
        })?;
        let Some(record) = record else { return Ok(None) };
        for layer in &record.layers {
            if self.layer(*layer)?.is_none() {
                return Ok(None);
            }
        }
        lock(&self.inner.used).insert(*key, now());
        Ok(Some(record))
    }

    /// Writes a record; one of the same key is replaced.
    ///
    /// # Errors
    /// A layer of it is missing, or the database can't be written.
    pub fn cache_put(&self, record: &CacheRecord) -> Result<(), StoreError> {
        let fields = serde_json::to_string(&record.fields).expect("texts serialise");
        let layers: Vec<u8> = record.layers.iter().flat_map(|id| *id.as_bytes()).collect();
        let _gc = GcLock::take(&self.inner.root, false)?;
        for id in &record.layers {
            if self.inner.root.stat(layer::layer_name(*id), Follow::No)?.is_none() {
                return Err(StoreError::NoLayer(*id));
            }
        }
        self.inner.cache(|db| {
            db.write("cannot write a cache record", |t| {
                t.prepare_cached(&format!(
                    "INSERT OR REPLACE INTO record({COLUMNS})
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
                ))?
                .execute(params![
                    record.key.as_bytes(),
                    record.kind,
                    record.payload,
                    layers,
                    i64::try_from(record.size).unwrap_or(i64::MAX),
                    super::image::to_nanos(record.created),
                    super::image::to_nanos(record.last_used),
                    i64::try_from(record.uses).unwrap_or(i64::MAX),
                    record.step.scope,
                    record.step.stage,
                    record.step.position,
                    record.step.text,
                    record.description,
                ])?;
                t.prepare_cached("INSERT OR REPLACE INTO record_fields(key, fields) VALUES (?1, ?2)")?
                    .execute(params![record.key.as_bytes(), fields])?;
                Ok(())
            })
        })
    }

    /// Returns earlier records of the same step, by its text or its place: both first, then text, since lines move;
    /// of equal ones the newest first. At most eight, with what entered their keys.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn nearest(&self, step: &StepId) -> Result<Vec<CacheRecord>, StoreError> {
        self.inner.cache(|db| {
            db.read("cannot look up a cache record", |t| {
                let sql = format!(
                    "SELECT {COLUMNS} FROM record
                     WHERE scope = ?1 AND ((stage = ?2 AND position = ?3) OR text = ?4)
                     ORDER BY (text = ?4) * 2 + (stage = ?2) + (position = ?3) DESC, created DESC LIMIT 8"
                );
                let mut records: Vec<CacheRecord> = t
                    .prepare_cached(&sql)?
                    .query_map(params![step.scope, step.stage, step.position, step.text], record_row)?
                    .collect::<Result<_, _>>()?;
                let mut fields = t.prepare_cached("SELECT fields FROM record_fields WHERE key = ?1")?;
                for record in &mut records {
                    let text: Option<String> =
                        fields.query_row([record.key.as_bytes()], |row| row.get(0)).optional()?;
                    record.fields =
                        text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
                }
                Ok(records)
            })
        })
    }

    /// Returns every record without its fields, the least recently used first.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn cache_records(&self) -> Result<Vec<CacheRecord>, StoreError> {
        match self.flush() {
            // They can be read all the same.
            Err(e) if e.is_full() => {}
            other => other?,
        }
        self.inner.cache(|db| {
            db.read("cannot list cache records", |t| {
                t.prepare_cached(&format!("SELECT {COLUMNS} FROM record ORDER BY used, key"))?
                    .query_map([], record_row)?
                    .collect()
            })
        })
    }
}

impl Inner {
    /// Writes when records were used last.
    pub(super) fn flush_used(&self) -> Result<(), StoreError> {
        let used: HashMap<CacheKey, i64> = std::mem::take(&mut *lock(&self.used));
        if used.is_empty() {
            return Ok(());
        }
        self.cache(|db| {
            db.write("cannot note the use of cache records", |t| {
                let mut update = t.prepare_cached(
                    "UPDATE record SET used = max(used, ?2), uses = uses + 1 WHERE key = ?1",
                )?;
                for (key, time) in &used {
                    update.execute(params![key.as_bytes(), time])?;
                }
                Ok(())
            })
        })
    }
}

pub(super) fn record_row(row: &Row<'_>) -> rusqlite::Result<CacheRecord> {
    let layers: Vec<u8> = row.get(3)?;
    let layers = split_ids(&layers, DiffId::from_bytes).ok_or_else(|| {
        rusqlite::Error::FromSqlConversionFailure(3, rusqlite::types::Type::Blob, "not a list of ids".into())
    })?;
    Ok(CacheRecord {
        key: CacheKey(row.get(0)?),
        kind: row.get(1)?,
        payload: row.get(2)?,
        layers,
        size: u64::try_from(row.get::<_, i64>(4)?).unwrap_or(0),
        created: from_nanos(row.get(5)?),
        last_used: from_nanos(row.get(6)?),
        uses: u64::try_from(row.get::<_, i64>(7)?).unwrap_or(0),
        step: StepId { scope: row.get(8)?, stage: row.get(9)?, position: row.get(10)?, text: row.get(11)? },
        description: row.get(12)?,
        fields: Vec::new(),
    })
}
