//! Waiting before a repetition.

use std::time::Duration;

use super::options::{Notice, RetryPolicy};
use super::{RegistryClient, texts};
use crate::registry::RegistryError;

impl RegistryClient {
    /// Waits before the next attempt, or gives the error back when there were enough.
    ///
    /// # Errors
    /// The given one.
    pub(super) async fn pause(&self, error: RegistryError, attempt: &mut u32) -> Result<(), RegistryError> {
        let policy = &self.inner.options.retry;
        // Bytes that do not fit their digest come once by accident, twice by nature; and who let us wait
        // for a minute two times will do so again.
        let most = match error {
            RegistryError::Digest { .. } | RegistryError::Stalled { .. } => policy.attempts.min(2),
            _ => policy.attempts,
        };
        // Who is to come back tomorrow need not wait here.
        if *attempt >= most || error.retry_after().is_some_and(|asked| asked > policy.cap) {
            return Err(error);
        }
        let wait = policy.wait(*attempt, error.retry_after());
        *attempt += 1;
        (self.inner.options.notices)(Notice::Retrying {
            url: texts::place(&error),
            wait,
            attempt: *attempt,
            reason: crate::causes::chain(&error),
        });
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

impl RetryPolicy {
    /// Returns the wait after the given attempt (1 for the first): tripled each time, up to a quarter more.
    pub fn wait(&self, attempt: u32, asked: Option<Duration>) -> Duration {
        let plain = self.base.saturating_mul(3u32.saturating_pow(attempt.saturating_sub(1)));
        let jitter = plain.mul_f64(f64::from(random()) / f64::from(u8::MAX) / 4.0);
        plain.saturating_add(jitter).max(asked.unwrap_or_default()).min(self.cap)
    }
}

fn random() -> u8 {
    let mut byte = [0];
    // Without randomness all clients come at the same time; that is no reason to fail.
    let _ = rustix::rand::getrandom(&mut byte, rustix::rand::GetRandomFlags::NONBLOCK);
    byte[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_cap_and_heed_the_server() {
        let policy = RetryPolicy::default();
        for (attempt, low, high) in [(1, 250, 313), (2, 750, 938), (3, 2250, 2813), (30, 60_000, 60_000)] {
            let wait = policy.wait(attempt, None).as_millis();
            assert!((low..=high).contains(&wait), "attempt {attempt}: {wait} ms");
        }
        assert_eq!(policy.wait(1, Some(Duration::from_secs(5))), Duration::from_secs(5));
        assert_eq!(policy.wait(1, Some(Duration::from_secs(9999))), policy.cap);
    }
}
