//! How much goes on at once.

use tokio::sync::Semaphore;

/// Connections that move blobs at the same time.
const CONNECTIONS: usize = 6;
/// Least and most layers that are unpacked or compressed at the same time.
const WORKERS: (usize, usize) = (2, 4);

/// Limits of one transfer: whoever moves or works holds a permit.
#[derive(Debug)]
pub(crate) struct Gates {
    pub(crate) connections: Semaphore,
    pub(crate) workers: Semaphore,
}

impl Gates {
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(WORKERS.0, usize::from);
        Self {
            connections: Semaphore::new(CONNECTIONS),
            workers: Semaphore::new(cores.clamp(WORKERS.0, WORKERS.1)),
        }
    }
}
