//! HTTP on one connection: a request to the handler, its answer back.

use std::convert::Infallible;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use super::answer::{Answer, Handler, Output, Stream};
use super::body::Body;
use super::gone::Gone;
use super::query::Query;
use super::request::{Request, cut};
use crate::engine::{ApiError, ApiVersion};

/// Told each line of the log; called from any thread. Parameters are not in it: they may hold secrets.
pub type Log = Arc<dyn Fn(String) + Send + Sync>;

/// Longest time for a request's head, and without a next request.
const PATIENCE: Duration = Duration::from_secs(300);
/// Longest head, in bytes.
const MAX_HEAD: usize = 64 << 10;
/// Pieces of a stream that wait for a slow client.
const AHEAD: usize = 16;

type AnswerBody = UnsyncBoxBody<Bytes, std::io::Error>;

/// What connections share.
pub(super) struct Shared {
    pub handler: Arc<dyn Handler>,
    pub log: Log,
    pub product: String,
    /// Requests under way, streams among them.
    pub busy: AtomicUsize,
    /// When the last one ended.
    pub last: Mutex<Instant>,
}

impl Shared {
    /// Returns for how long nothing has happened; none while something does.
    pub fn idle_for(&self) -> Option<Duration> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        (self.busy.load(Ordering::Acquire) == 0).then(|| last.elapsed())
    }
}

/// Counts a request as long as it lives.
struct Busy(Arc<Shared>);

impl Busy {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.busy.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(shared))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.0.busy.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Serves a connection until its client or the service ends it.
pub(super) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<()>,
) {
    let service = service_fn(|request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(respond(request, shared).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(MAX_HEAD)
        .half_close(false)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    tokio::select! {
        _ = &mut connection => {}
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

async fn respond(request: hyper::Request<Incoming>, shared: Arc<Shared>) -> Response<AnswerBody> {
    let busy = Busy::new(&shared);
    let started = Instant::now();
    let line = format!("{} {}", request.method(), request.uri().path());
    let head = request.method() == Method::HEAD;
    let mut response = match answer(request, &shared).await {
        Ok((answer, upgrade)) => build(answer, upgrade, busy),
        Err(error) => failure(&error),
    };
    let status = response.status();
    (shared.log)(format!("{line} {} {}ms", status.as_u16(), started.elapsed().as_millis()));
    if head {
        // The length of what would have been there is no promise that it comes.
        *response.body_mut() = full(Vec::new());
    }
    let headers = response.headers_mut();
    for (name, value) in [
        ("api-version", ApiVersion::NEWEST.to_string()),
        ("docker-experimental", "false".to_owned()),
        ("ostype", "linux".to_owned()),
        ("server", format!("Docker/{} (linux)", shared.product)),
    ] {
        headers.insert(name, HeaderValue::from_str(&value).expect("plain ASCII"));
    }
    response
}

type Upgrade = Option<hyper::upgrade::OnUpgrade>;

/// Asks the handler, on a thread that may block. Once begun it goes on, whether the client waits or not.
async fn answer(
    mut request: hyper::Request<Incoming>,
    shared: &Arc<Shared>,
) -> Result<(Answer, Upgrade), ApiError> {
    let (version, path) = cut(request.uri().path())?;
    let wanted = request.headers().contains_key(header::UPGRADE);
    let upgrade = wanted.then(|| hyper::upgrade::on(&mut request));
    let (head, incoming) = request.into_parts();
    let request = Request {
        method: head.method,
        version,
        path,
        query: Query::parse(head.uri.query().unwrap_or_default()),
        headers: head.headers,
        upgrade: wanted,
        body: Body::new(incoming, Handle::current()),
    };
    let handler = Arc::clone(&shared.handler);
    let answered = tokio::task::spawn_blocking(move || handler.answer(request)).await;
    let answer = answered.map_err(|_| ApiError::internal("the request failed unexpectedly"))??;
    Ok((answer, upgrade))
}

fn failure(error: &ApiError) -> Response<AnswerBody> {
    if error.status == StatusCode::NOT_MODIFIED {
        return plain(error.status, full(Vec::new()));
    }
    typed(
        error.status,
        "application/json",
        full(json!({ "message": error.message }).to_string().into_bytes()),
    )
}

fn build(answer: Answer, upgrade: Upgrade, busy: Busy) -> Response<AnswerBody> {
    match answer {
        Answer::Empty(status) => plain(status, full(Vec::new())),
        Answer::Json(status, value) => {
            typed(status, "application/json", full(format!("{value}\n").into_bytes()))
        }
        Answer::Bytes(content, headers, bytes) => with(typed(StatusCode::OK, content, full(bytes)), headers),
        Answer::Stream(Stream { content, headers, produce }) => {
            let (sender, receiver) = mpsc::channel(AHEAD);
            let gone = Gone::default();
            let mut output = Output::new(sender, gone.clone());
            tokio::task::spawn_blocking(move || {
                if let Err(error) = produce(&mut output) {
                    output.fail(error);
                }
            });
            let body = StreamBody::new(Pieces { receiver, gone, _busy: busy });
            with(typed(StatusCode::OK, content, body.boxed_unsync()), headers)
        }
        Answer::Hijack(content, act) => hijack(content, act, upgrade, busy),
    }
}

/// The pieces of a stream; dropped when they are all sent, or when the client is gone.
struct Pieces {
    receiver: mpsc::Receiver<std::io::Result<Bytes>>,
    gone: Gone,
    _busy: Busy,
}

impl futures_util::Stream for Pieces {
    type Item = std::io::Result<Frame<Bytes>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receiver.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        self.gone.tell();
    }
}

/// Gives the connection to `act`; without an upgrade only its direction to the client, as an ordinary body.
fn hijack(
    content: &'static str,
    act: Box<dyn FnOnce(UnixStream, Gone) + Send>,
    upgrade: Upgrade,
    busy: Busy,
) -> Response<AnswerBody> {
    let gone = Gone::default();
    let pair = UnixStream::pair().and_then(|(ours, theirs)| {
        ours.set_nonblocking(true)?;
        Ok((tokio::net::UnixStream::from_std(ours)?, theirs))
    });
    let (ours, theirs) = match pair {
        Ok(pair) => pair,
        Err(error) => return failure(&ApiError::internal(format!("cannot make a socket: {error}"))),
    };
    let told = gone.clone();
    tokio::task::spawn_blocking(move || act(theirs, told));
    let Some(upgrade) = upgrade else {
        let (mut reading, writing) = ours.into_split();
        // Its input is at its end from the beginning.
        drop(writing);
        let (sender, receiver) = mpsc::channel(AHEAD);
        tokio::spawn(async move {
            let mut buffer = vec![0; 32 << 10];
            while let Ok(count @ 1..) = reading.read(&mut buffer).await {
                if sender.send(Ok(Bytes::copy_from_slice(&buffer[..count]))).await.is_err() {
                    break;
                }
            }
        });
        let body = StreamBody::new(Pieces { receiver, gone, _busy: busy });
        return typed(StatusCode::OK, content, body.boxed_unsync());
    };
    tokio::spawn(async move {
        let _busy = busy;
        if let Ok(upgraded) = upgrade.await {
            super::upgrade::carry(upgraded, ours).await;
        }
        gone.tell();
    });
    let mut response = typed(StatusCode::SWITCHING_PROTOCOLS, content, full(Vec::new()));
    response.extensions_mut().insert(hyper::ext::ReasonPhrase::from_static(b"UPGRADED"));
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("tcp"));
    response
}

fn full(bytes: Vec<u8>) -> AnswerBody {
    Full::new(Bytes::from(bytes)).map_err(|never| match never {}).boxed_unsync()
}

fn plain(status: StatusCode, body: AnswerBody) -> Response<AnswerBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

fn typed(status: StatusCode, content: &'static str, body: AnswerBody) -> Response<AnswerBody> {
    let mut response = plain(status, body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content));
    response
}

fn with(mut response: Response<AnswerBody>, headers: Vec<(&'static str, String)>) -> Response<AnswerBody> {
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
