//! `system service`: the Engine API over the store, for programs that speak it.
//!
//! `options` are the flags, `route` says which family of requests a path belongs to, and each family has a file or a
//! folder: what a request means, in terms of what the commands do as well. `status` gives their failures a status.
//!
//! What is absent: state. Every answer is read from the store.

mod containers;
mod events;
mod images;
mod networks;
mod options;
mod route;
mod status;
mod system;
mod usage;
mod volumes;
mod words;

use std::sync::Arc;
use std::time::Duration;

pub use images::with_manifests as images_with_manifests;
pub use options::{ServiceArgs, default_socket};

use super::error::CliError;
use super::global::Global;
use super::{output, signals};
use crate::engine::server::{Log, Server};
use crate::tls::acceptor;

/// Most requests and streams that are under way at once.
const THREADS: usize = 8192;
/// How long what was begun may take when its client has ended the connection.
const LAST: Duration = Duration::from_secs(30);

/// What handlers know.
pub struct Service {
    /// The program, its store and its options.
    pub global: Global,
}

/// Runs the command: serves until a signal ends it, or until nothing happens any more.
///
/// # Errors
/// An endpoint can't be listened on, or an option is wrong.
pub fn run(args: &ServiceArgs, mut global: Global) -> Result<(), CliError> {
    if args.data_root.is_some() {
        global.args.root.clone_from(&args.data_root);
    }
    args.configure(&global)?;
    // What is wrong with the store is said now rather than with every answer.
    global.store()?;
    // Before there are threads that would take the signals.
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    signals::on_first(move || drop(end))?;
    let runtime = runtime()?;
    let served = runtime.block_on(serve(args, global, ended));
    // A stream that waits for something is no reason to stay.
    runtime.shutdown_background();
    served
}

/// Serves the one client at the other end of standard input and output, as `ssh://` endpoints have it: no service
/// need run on the machine.
///
/// # Errors
/// The store can't be opened.
pub fn dial_stdio(global: Global) -> Result<(), CliError> {
    global.store()?;
    let runtime = runtime()?;
    let server = Server {
        listeners: Vec::new(),
        handler: Arc::new(Service { global }),
        log: Arc::new(|_| {}),
        product: env!("CARGO_PKG_VERSION").to_owned(),
        idle: None,
    };
    let served = runtime.block_on(server.run_on_stdio());
    // What was begun goes on without its client.
    runtime.shutdown_timeout(LAST);
    Ok(served?)
}

fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder.worker_threads(2).max_blocking_threads(THREADS).enable_all().build()?)
}

async fn serve(
    args: &ServiceArgs,
    global: Global,
    ended: tokio::sync::oneshot::Receiver<()>,
) -> Result<(), CliError> {
    let tls = args.tls_files(&global).map(|files| acceptor(&files)).transpose().map_err(|e| failed(&e))?;
    let mut listeners = Vec::new();
    for endpoint in args.endpoints(&global)? {
        let bound = crate::engine::server::Listener::bind(&endpoint, tls.as_ref(), args.group()?).await;
        listeners.extend(bound.map_err(|e| failed(&e))?);
    }
    for listener in &listeners {
        output::talk(&format!("listening on {}", listener.address()));
    }
    let debug = global.args.debug;
    let log: Log = Arc::new(move |line| {
        if debug {
            output::debug(&line);
        }
    });
    let mut children = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::child())?;
    tokio::spawn(async move {
        while children.recv().await.is_some() {
            crate::containers::reap_monitors();
        }
    });
    let server = Server {
        listeners,
        handler: Arc::new(Service { global }),
        log,
        product: env!("CARGO_PKG_VERSION").to_owned(),
        idle: args.idle_exit,
    };
    server
        .run(async move {
            let _ = ended.await;
        })
        .await;
    Ok(())
}

fn failed(error: &(dyn std::error::Error + 'static)) -> CliError {
    CliError::new(crate::causes::chain(error))
}
