//! Sockets: made, listened on, taken away.

use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::answer::Handler;
use super::connection::{Log, Shared, serve};
use super::endpoint::Endpoint;
use crate::engine::EngineError;
use crate::engine::stdio::stdio;
use crate::fs::{SocketFile, listen_at};

/// Longest time for a TLS handshake.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest time that requests under way may take once the service shall end.
const GRACE: Duration = Duration::from_secs(3);
/// Time between looks whether nothing happens any more.
const LOOK: Duration = Duration::from_millis(500);

/// A socket that is listened on.
pub enum Listener {
    /// In the file system, with the file that goes at the end; a passed one stays.
    Unix(UnixListener, Option<SocketFile>),
    /// A TCP port.
    Tcp(TcpListener, Option<TlsAcceptor>),
}

impl Listener {
    /// Listens at an endpoint; for `fd://` at all sockets that were passed. A file that is left from a service which is
    /// gone is replaced. The file belongs to `group`, and only root and that group may connect.
    ///
    /// # Errors
    /// It is taken, or can't be made.
    pub async fn bind(
        endpoint: &Endpoint,
        tls: Option<&TlsAcceptor>,
        group: Option<u32>,
    ) -> Result<Vec<Self>, EngineError> {
        match endpoint {
            Endpoint::Unix(path) => Ok(vec![unix(path, group)?]),
            Endpoint::Tcp(place) => {
                let failed = |source| EngineError::Listen { endpoint: format!("tcp://{place}"), source };
                let listener = TcpListener::bind(place.as_str()).await.map_err(failed)?;
                Ok(vec![Self::Tcp(listener, tls.cloned())])
            }
            Endpoint::Passed => passed(tls)
                .map_err(|source| EngineError::Listen { endpoint: "fd://".to_owned(), source })?
                .ok_or(EngineError::NothingPassed),
        }
    }

    /// Returns where it listens, as a client would name it.
    pub fn address(&self) -> String {
        match self {
            Self::Unix(_, Some(file)) => format!("unix://{}", file.path().display()),
            Self::Unix(listener, None) => {
                let address = listener.local_addr().ok();
                let path = address.as_ref().and_then(|address| address.as_pathname());
                format!("unix://{}", path.map_or_else(String::new, |path| path.display().to_string()))
            }
            Self::Tcp(listener, _) => {
                listener.local_addr().map_or_else(|e| e.to_string(), |address| format!("tcp://{address}"))
            }
        }
    }
}

fn unix(path: &Path, group: Option<u32>) -> Result<Listener, EngineError> {
    let failed = |source| EngineError::Listen { endpoint: format!("unix://{}", path.display()), source };
    let path = std::path::absolute(path).map_err(failed)?;
    let (listener, file) = listen_at(&path, group)?.ok_or_else(|| EngineError::Taken(path.clone()))?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(Listener::Unix(UnixListener::from_std(listener).map_err(failed)?, Some(file)))
}

/// Takes the sockets that the service manager has passed.
fn passed(tls: Option<&TlsAcceptor>) -> io::Result<Option<Vec<Listener>>> {
    let mut all = listenfd::ListenFd::from_env();
    let mut found = Vec::new();
    for index in 0..all.len() {
        if let Ok(Some(listener)) = all.take_unix_listener(index) {
            listener.set_nonblocking(true)?;
            found.push(Listener::Unix(UnixListener::from_std(listener)?, None));
        } else if let Some(listener) = all.take_tcp_listener(index)? {
            listener.set_nonblocking(true)?;
            found.push(Listener::Tcp(TcpListener::from_std(listener)?, tls.cloned()));
        }
    }
    Ok(if found.is_empty() { None } else { Some(found) })
}

/// A service that listens.
pub struct Server {
    /// Where.
    pub listeners: Vec<Listener>,
    /// Who says what requests mean.
    pub handler: Arc<dyn Handler>,
    /// Told a line about each request.
    pub log: Log,
    /// The product's version, for the header `Server`.
    pub product: String,
    /// After how long without any request the service ends by itself.
    pub idle: Option<Duration>,
}

impl Server {
    /// Serves the one client at standard input and output until it ends the connection.
    ///
    /// # Errors
    /// No descriptor or thread is left.
    pub async fn run_on_stdio(self) -> io::Result<()> {
        let (stream, out) = stdio()?;
        stream.set_nonblocking(true)?;
        let stream = UnixStream::from_std(stream)?;
        // Held until the end, which comes from the client alone.
        let (_stop, stopped) = watch::channel(());
        let shared = self.shared();
        serve(stream, Arc::clone(&shared), stopped).await;
        // One that was taken over goes on.
        while shared.busy.load(Ordering::Acquire) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let _ = tokio::task::spawn_blocking(move || out.join()).await;
        Ok(())
    }

    fn shared(&self) -> Arc<Shared> {
        Arc::new(Shared {
            handler: Arc::clone(&self.handler),
            log: Arc::clone(&self.log),
            product: self.product.clone(),
            busy: AtomicUsize::new(0),
            last: std::sync::Mutex::new(Instant::now()),
        })
    }

    /// Serves until `end` is ready or nothing happens any more, then lets requests under way finish for some seconds.
    pub async fn run(self, end: impl Future<Output = ()>) {
        let (stop, stopped) = watch::channel(());
        let shared = self.shared();
        let accepting: Vec<_> = self
            .listeners
            .into_iter()
            .map(|listener| tokio::spawn(accept(listener, Arc::clone(&shared), stopped.clone())))
            .collect();
        tokio::pin!(end);
        loop {
            let Some(idle) = self.idle else {
                end.await;
                break;
            };
            tokio::select! {
                () = &mut end => break,
                () = tokio::time::sleep(LOOK.min(idle)) => {}
            }
            if shared.idle_for().is_some_and(|time| time >= idle) {
                break;
            }
        }
        drop(stopped);
        for task in accepting {
            task.abort();
            let _ = task.await;
        }
        let _ = stop.send(());
        let limit = Instant::now() + GRACE;
        while shared.busy.load(Ordering::Acquire) > 0 && Instant::now() < limit {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn accept(listener: Listener, shared: Arc<Shared>, stopped: watch::Receiver<()>) {
    loop {
        let accepted = match &listener {
            Listener::Unix(listener, _) => listener.accept().await.map(|(stream, _)| {
                tokio::spawn(serve(stream, Arc::clone(&shared), stopped.clone()));
            }),
            Listener::Tcp(listener, tls) => listener.accept().await.map(|(stream, peer)| {
                let _ = stream.set_nodelay(true);
                let (shared, stopped, tls) = (Arc::clone(&shared), stopped.clone(), tls.clone());
                tokio::spawn(async move {
                    let Some(acceptor) = tls else { return serve(stream, shared, stopped).await };
                    match tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await {
                        Ok(Ok(stream)) => serve(stream, shared, stopped).await,
                        Ok(Err(error)) => (shared.log)(format!("{peer} TLS handshake failed: {error}")),
                        Err(_) => (shared.log)(format!("{peer} TLS handshake took too long")),
                    }
                });
            }),
        };
        if accepted.is_err() {
            // No descriptors left, mostly; some come back.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
