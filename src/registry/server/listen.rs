//! Connections: accepted, encrypted, served, ended.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::Response;
use hyper::body::Body as _;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::answer::{Body, LogText};
use super::error::ServerError;
use super::handle;
use super::registry::Registry;

/// Told each line of the log; called from any thread.
pub type Log = Arc<dyn Fn(String) + Send + Sync>;

/// Longest time for a request's head, and for a TLS handshake.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest time that requests under way may take once the server shall end.
const GRACE: Duration = Duration::from_secs(10);
/// Time between looks for uploads that expired.
const HOUSEKEEPING: Duration = Duration::from_secs(300);

/// A registry that listens.
pub struct Server {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    registry: Arc<Registry>,
    log: Log,
}

impl Server {
    /// Listens at an address; port 0 takes a free one.
    ///
    /// # Errors
    /// The address is taken or not this machine's.
    pub async fn bind(
        address: SocketAddr,
        tls: Option<TlsAcceptor>,
        registry: Registry,
        log: Log,
    ) -> Result<Self, ServerError> {
        let listener =
            TcpListener::bind(address).await.map_err(|source| ServerError::Listen { address, source })?;
        Ok(Self { listener, tls, registry: Arc::new(registry), log })
    }

    /// Returns where it listens.
    ///
    /// # Errors
    /// The socket is gone.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `end` is ready, then lets requests under way finish for some seconds.
    pub async fn run(self, end: impl Future<Output = ()>) {
        let (stop, stopped) = tokio::sync::watch::channel(());
        let (alive, mut all_done) = tokio::sync::mpsc::channel::<()>(1);
        let keeping = tokio::spawn(keep_house(Arc::clone(&self.registry), Arc::clone(&self.log)));
        tokio::pin!(end);
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = &mut end => break,
            };
            let Ok((stream, peer)) = accepted else {
                // No descriptors left, mostly; some come back.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let (registry, log, tls) = (Arc::clone(&self.registry), Arc::clone(&self.log), self.tls.clone());
            let (mut stopped, alive) = (stopped.clone(), alive.clone());
            tokio::spawn(async move {
                let _alive = alive;
                connection(stream, peer, tls, registry, log, async move {
                    let _ = stopped.changed().await;
                })
                .await;
            });
        }
        drop((stop, alive));
        keeping.abort();
        let _ = tokio::time::timeout(GRACE, all_done.recv()).await;
    }
}

async fn keep_house(registry: Arc<Registry>, log: Log) {
    loop {
        match registry.expire_uploads().await {
            Ok(0) => {}
            Ok(count) => log(format!("dropped {count} expired uploads")),
            Err(error) => log(format!("cannot look for expired uploads: {error}")),
        }
        tokio::time::sleep(HOUSEKEEPING).await;
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    registry: Arc<Registry>,
    log: Log,
    stop: impl Future<Output = ()>,
) {
    let _ = stream.set_nodelay(true);
    let Some(acceptor) = tls else { return serve(stream, peer, registry, log, stop).await };
    match tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => serve(stream, peer, registry, log, stop).await,
        Ok(Err(error)) => log(format!("{peer} TLS handshake failed: {error}")),
        Err(_) => log(format!("{peer} TLS handshake took too long")),
    }
}

async fn serve(
    stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    peer: SocketAddr,
    registry: Arc<Registry>,
    log: Log,
    stop: impl Future<Output = ()>,
) {
    let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        let (registry, log) = (Arc::clone(&registry), Arc::clone(&log));
        async move {
            let started = Instant::now();
            let line = format!("{} {}", request.method(), request.uri());
            let response = handle::answer(&registry, request, peer.ip()).await;
            log(log_line(peer, &line, &response, started.elapsed()));
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE * 4)
        .half_close(false)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection, stop);
    tokio::select! {
        _ = &mut connection => {}
        () = &mut stop => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

fn log_line(peer: SocketAddr, line: &str, response: &Response<Body>, took: Duration) -> String {
    let length = response.headers().get(hyper::header::CONTENT_LENGTH).and_then(|v| v.to_str().ok());
    let exact = || response.body().size_hint().exact().map(|size| size.to_string());
    let size = length.map(str::to_owned).or_else(exact).unwrap_or_else(|| "-".to_owned());
    let more = response.extensions().get::<LogText>().map_or(String::new(), |text| format!(": {}", text.0));
    format!("{peer} {line} {} {size} {}ms{more}", response.status().as_u16(), took.as_millis())
}
