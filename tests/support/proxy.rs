//! A TCP proxy before a registry that counts bytes, slows them down and cuts connections.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// Bytes that are passed on at once.
const PIECE: usize = 16 << 10;
/// No cut is wanted.
const NEVER: i64 = i64::MAX;

/// What the threads share.
#[derive(Default)]
struct Shared {
    down: AtomicU64,
    up: AtomicU64,
    /// Bytes a second in each direction of each connection; 0 for as fast as it goes.
    speed: AtomicU64,
    /// Bytes until the connection that moves them is cut.
    left: AtomicI64,
    cuts: AtomicU64,
    stopped: AtomicBool,
}

/// A running proxy.
pub struct Proxy {
    /// Host and port.
    pub address: String,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Starts one before an address.
    pub fn before(address: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let shared = Arc::new(Shared::default());
        shared.left.store(NEVER, Ordering::Relaxed);
        let own = listener.local_addr().expect("it is bound").to_string();
        let (target, state) = (address.to_owned(), Arc::clone(&shared));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if state.stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(&target)) else { continue };
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                let pair = || (client.try_clone().expect("a socket"), server.try_clone().expect("a socket"));
                let ((from, to), up) = (pair(), Arc::clone(&state));
                std::thread::spawn(move || pass(from, to, &up, &up.up));
                let ((to, from), down) = (pair(), Arc::clone(&state));
                std::thread::spawn(move || pass(from, to, &down, &down.down));
            }
        });
        Self { address: own, shared }
    }

    /// Returns the bytes that came from the registry so far.
    pub fn down(&self) -> u64 {
        self.shared.down.load(Ordering::Relaxed)
    }

    /// Returns the bytes that went to the registry so far.
    pub fn up(&self) -> u64 {
        self.shared.up.load(Ordering::Relaxed)
    }

    /// Limits each connection to some bytes a second.
    pub fn slow(&self, speed: u64) {
        self.shared.speed.store(speed, Ordering::Relaxed);
    }

    /// Cuts connections: one every so many bytes.
    pub fn cut_after(&self, bytes: u64) {
        self.shared.left.store(bytes as i64, Ordering::Relaxed);
    }

    /// Returns how often a connection was cut.
    pub fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(&self.address);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, shared: &Shared, count: &AtomicU64) {
    let mut piece = vec![0; PIECE];
    while let Ok(length) = from.read(&mut piece) {
        if length == 0 || to.write_all(&piece[..length]).is_err() {
            break;
        }
        count.fetch_add(length as u64, Ordering::Relaxed);
        if shared.left.load(Ordering::Relaxed) != NEVER
            && shared.left.fetch_sub(length as i64, Ordering::Relaxed) <= length as i64
        {
            shared.left.store(NEVER, Ordering::Relaxed);
            shared.cuts.fetch_add(1, Ordering::Relaxed);
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
            return;
        }
        let speed = shared.speed.load(Ordering::Relaxed);
        if speed > 0 {
            std::thread::sleep(Duration::from_secs_f64(length as f64 / speed as f64));
        }
    }
    let _ = (from.shutdown(Shutdown::Read), to.shutdown(Shutdown::Write));
}
