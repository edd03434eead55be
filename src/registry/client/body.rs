//! Reading bodies: within a size, within a time, and never waiting for a server that sends next to nothing.

use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::{Method, Response};

use super::exchange::transport;
use super::url_text::redacted;
use crate::registry::RegistryError;

/// Fewer bytes than this in one stall limit are no progress.
const FLOOR: u64 = 1024;

/// Notices that a body does not get on.
#[derive(Debug)]
pub(super) struct Watch {
    limit: Duration,
    waited: Duration,
    moved: u64,
}

impl Watch {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, waited: Duration::ZERO, moved: 0 }
    }

    /// Returns the next piece of a body; only time spent waiting for the server counts.
    pub(super) async fn chunk(&mut self, response: &mut Response) -> Result<Option<Bytes>, RegistryError> {
        let began = Instant::now();
        let left = self.limit.saturating_sub(self.waited);
        let answer = tokio::time::timeout(left, response.chunk()).await;
        self.waited += began.elapsed();
        let stalled =
            || RegistryError::Stalled { method: "GET", url: redacted(response.url()), limit: self.limit };
        let Ok(answer) = answer else { return Err(stalled()) };
        let chunk = match answer {
            Ok(chunk) => chunk,
            Err(error) => {
                let url = response.url().clone();
                return Err(transport(&Method::GET, &url, error));
            }
        };
        self.moved += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        if self.moved >= FLOOR {
            (self.moved, self.waited) = (0, Duration::ZERO);
        }
        Ok(chunk)
    }
}

/// Reads a whole body of at most `most` bytes in at most `limit`.
pub(super) async fn read_limited(
    mut response: Response,
    most: usize,
    what: &'static str,
    limit: Duration,
) -> Result<Bytes, RegistryError> {
    let url = redacted(response.url());
    let too_large = || RegistryError::TooLarge { url: url.clone(), what, limit: most as u64 };
    if response.content_length().is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    let all = async {
        let mut watch = Watch::new(limit);
        let mut bytes = Vec::new();
        while let Some(chunk) = watch.chunk(&mut response).await? {
            if bytes.len() + chunk.len() > most {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Bytes::from(bytes))
    };
    match tokio::time::timeout(limit, all).await {
        Ok(result) => result,
        Err(_) => Err(RegistryError::Stalled { method: "GET", url: url.clone(), limit }),
    }
}
