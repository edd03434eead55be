//! A connection that was taken over: bytes both ways, until what writes to the client ends.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, copy, sink};
use tokio::net::UnixStream;

use crate::fs::all_is_read;

/// How long a client may take to read the head of its answer before more comes, and how often that is looked at, first
/// and at last.
const HEAD: Duration = Duration::from_secs(10);
const LOOK: [Duration; 2] = [Duration::from_micros(200), Duration::from_millis(10)];
/// How often is looked whether a client that sends no more is gone.
const GONE: Duration = Duration::from_millis(100);
/// How long a client may send what nobody takes any more before the connection is cut.
const LINGER: Duration = Duration::from_secs(2);

/// Carries bytes between a client and whoever has the other end of `ours`, until that ends or the client is gone.
pub(super) async fn carry(upgraded: Upgraded, ours: UnixStream) {
    match upgraded.downcast::<TokioIo<UnixStream>>() {
        Ok(parts) => {
            let client = parts.io.into_inner();
            let copy = || client.as_fd().try_clone_to_owned();
            let (Ok(one), Ok(other)) = (copy(), copy()) else { return };
            both(client, parts.read_buf, ours, head_is_read(one), || has_hung_up(&other)).await;
        }
        // Over TCP, one that is gone shows when it is written to.
        Err(upgraded) => both(TokioIo::new(upgraded), Bytes::new(), ours, async {}, || false).await,
    }
}

/// Waits until the client has the head: docker's Python library loses what comes right behind it.
async fn head_is_read(client: OwnedFd) {
    let wait = async {
        let mut pause = LOOK[0];
        while !all_is_read(&client) {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LOOK[1]);
        }
    };
    let _ = tokio::time::timeout(HEAD, wait).await;
}

/// Whether the other side has closed both directions: half of it may be closed by those who only listen.
fn has_hung_up(client: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(client, PollFlags::empty())];
    poll(&mut fds, Some(&Timespec::default())).is_ok() && fds[0].revents().contains(PollFlags::HUP)
}

async fn both(
    client: impl AsyncRead + AsyncWrite,
    first: Bytes,
    ours: UnixStream,
    ready: impl Future<Output = ()>,
    is_gone: impl Fn() -> bool,
) {
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_ours, mut to_ours) = ours.into_split();
    let over = AtomicBool::new(false);
    let input = async {
        // Nobody may want it; what is written to the client counts all the same.
        if to_ours.write_all(&first).await.is_ok() {
            let _ = copy(&mut from_client, &mut to_ours).await;
        }
        let _ = to_ours.shutdown().await;
        let _ = copy(&mut from_client, &mut sink()).await;
        while !over.load(Ordering::Relaxed) && !is_gone() {
            tokio::time::sleep(GONE).await;
        }
    };
    let output = async {
        ready.await;
        let _ = copy(&mut from_ours, &mut to_client).await;
        let _ = to_client.shutdown().await;
        over.store(true, Ordering::Relaxed);
    };
    tokio::pin!(input);
    tokio::select! {
        () = &mut input => {}
        // A connection that is closed before all was read from it looks broken to its client.
        () = output => drop(tokio::time::timeout(LINGER, input).await),
    }
}
