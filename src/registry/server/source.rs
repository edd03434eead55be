//! Where an upload's bytes come from: a request's body, a slice, or another task.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::{mpsc, watch};

/// Why a source ended early.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// Bytes that arrive in pieces, until another request for the same session interrupts them or nothing comes.
pub struct Source {
    kind: Kind,
    interrupt: Option<watch::Receiver<u64>>,
    /// What of a piece was not taken yet.
    rest: Bytes,
}

/// Longest time in which a sender may send nothing.
const STALL: Duration = Duration::from_secs(120);

enum Kind {
    /// A request's body.
    Body(Incoming),
    /// Bytes that are there; taken once.
    Bytes(Option<Bytes>),
    /// What another task sends.
    Channel(mpsc::Receiver<Result<Bytes, SourceError>>),
}

impl Source {
    /// Takes a request's body.
    pub fn body(body: Incoming) -> Self {
        Self { kind: Kind::Body(body), interrupt: None, rest: Bytes::new() }
    }

    /// Takes bytes that are there.
    pub fn bytes(bytes: Bytes) -> Self {
        Self { kind: Kind::Bytes(Some(bytes)), interrupt: None, rest: Bytes::new() }
    }

    /// Takes what another task sends.
    pub fn channel(channel: mpsc::Receiver<Result<Bytes, SourceError>>) -> Self {
        Self { kind: Kind::Channel(channel), interrupt: None, rest: Bytes::new() }
    }

    /// Ends the source early when the channel's value changes.
    pub fn interrupted_by(mut self, interrupt: watch::Receiver<u64>) -> Self {
        self.interrupt = Some(interrupt);
        self
    }

    /// Returns the next piece; none at the end.
    ///
    /// # Errors
    /// The sender broke off, stalled or was interrupted.
    pub async fn next(&mut self) -> Result<Option<Bytes>, SourceError> {
        if !self.rest.is_empty() {
            return Ok(Some(std::mem::take(&mut self.rest)));
        }
        let Some(interrupt) = &mut self.interrupt else { return self.kind.next().await };
        tokio::select! {
            piece = self.kind.next() => piece,
            _ = interrupt.changed() => Err("another request took the session over".into()),
            () = tokio::time::sleep(STALL) => Err("nothing came for two minutes".into()),
        }
    }

    /// Returns the next piece, but at most `most` bytes of it; the rest comes later.
    ///
    /// # Errors
    /// As [`Self::next`].
    #[cfg(feature = "s3")]
    pub async fn next_up_to(&mut self, most: usize) -> Result<Option<Bytes>, SourceError> {
        let Some(mut piece) = self.next().await? else { return Ok(None) };
        if piece.len() > most {
            self.rest = piece.split_off(most);
        }
        Ok(Some(piece))
    }

    /// Reads everything, up to a limit.
    ///
    /// # Errors
    /// The sender broke off; with more bytes than the limit it is `Ok(None)`.
    pub async fn read_all(&mut self, limit: usize) -> Result<Option<Bytes>, SourceError> {
        let mut all = Vec::new();
        while let Some(bytes) = self.next().await? {
            if all.len() + bytes.len() > limit {
                return Ok(None);
            }
            all.extend_from_slice(&bytes);
        }
        Ok(Some(all.into()))
    }
}

impl Kind {
    async fn next(&mut self) -> Result<Option<Bytes>, SourceError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.take()),
            Self::Channel(channel) => channel.recv().await.transpose(),
            Self::Body(body) => loop {
                match body.frame().await.transpose()? {
                    None => return Ok(None),
                    Some(frame) => {
                        if let Ok(bytes) = frame.into_data() {
                            return Ok(Some(bytes));
                        }
                    }
                }
            },
        }
    }
}
