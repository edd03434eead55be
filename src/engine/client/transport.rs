//! One request after another over connections that are made when needed.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;
use tokio::runtime::Runtime;

use super::body::{Body, body};
use super::connect::connect;
use super::endpoint::Endpoint;
use super::error::ClientError;
use super::hijack::Connection;
use super::request::Request;
use super::response::Response;
use super::{NEWEST, OLDEST, at_least};
use crate::engine::stdio::stdio;
use crate::tls::TlsError;

/// The sending side of a connection.
pub(super) type Sender = SendRequest<Body>;

/// A connection whose last answer was read.
#[derive(Clone, Default)]
pub(super) struct Idle(Arc<Mutex<Option<Sender>>>);

impl Idle {
    pub(super) fn put(&self, sender: Sender) {
        if !sender.is_closed() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        }
    }

    fn take(&self) -> Option<Sender> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// What a client is told by its user.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The version of the API; none is agreed on with the engine.
    pub version: Option<String>,
    /// The header `User-Agent`.
    pub agent: String,
    /// Further headers of every request.
    pub headers: Vec<(String, String)>,
}

/// What an engine says of itself when it is asked whether it is there.
#[derive(Debug, Clone, Default)]
pub struct Ping {
    /// The newest version of the API that it speaks.
    pub version: Option<String>,
    /// The operating system of its containers.
    pub system: Option<String>,
}

/// A client of one engine.
pub struct Client {
    endpoint: Endpoint,
    tls: Option<Arc<rustls::ClientConfig>>,
    options: Options,
    /// None only while it is dropped.
    runtime: Option<Runtime>,
    idle: Idle,
    version: OnceLock<String>,
}

impl Client {
    /// Makes a client, which connects when it is used. Threads start here.
    ///
    /// # Errors
    /// The certificates are none, or there are no threads.
    pub fn new(endpoint: Endpoint, options: Options) -> Result<Self, ClientError> {
        let tls = match &endpoint {
            Endpoint::Tcp { tls: Some(wanted), .. } => {
                let config = wanted.config();
                let wrong = |e: TlsError| ClientError::Tls { url: endpoint.url(), reason: e.to_string() };
                Some(Arc::new(config.map_err(wrong)?))
            }
            _ => None,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = Some(runtime.map_err(ClientError::Start)?);
        Ok(Self { endpoint, tls, options, runtime, idle: Idle::default(), version: OnceLock::new() })
    }

    /// Where the engine is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Asks whether the engine is there.
    ///
    /// # Errors
    /// It is not.
    pub fn ping(&self) -> Result<Ping, ClientError> {
        let ping = |request: Request| -> Result<Response, ClientError> {
            let (response, what, sender) = self.exchange(request, None, false)?;
            let runtime = self.runtime().handle().clone();
            Ok(Response::new(response, what, runtime, (sender, self.idle.clone())))
        };
        let mut response = ping(Request::head("/_ping"))?;
        if response.status() != 200 {
            response = ping(Request::get("/_ping"))?.checked()?;
        }
        let found = Ping {
            version: response.header("api-version").map(str::to_owned),
            system: response.header("ostype").map(str::to_owned),
        };
        response.whole()?;
        Ok(found)
    }

    /// Returns the version of the API that is spoken with the engine.
    ///
    /// # Errors
    /// The engine is not there.
    pub fn version(&self) -> Result<&str, ClientError> {
        if let Some(version) = self.version.get() {
            return Ok(version);
        }
        let version = match &self.options.version {
            Some(fixed) => fixed.clone(),
            None => {
                let theirs = self.ping()?.version.unwrap_or_else(|| OLDEST.to_owned());
                if at_least(&theirs, NEWEST) { NEWEST.to_owned() } else { theirs }
            }
        };
        Ok(self.version.get_or_init(|| version))
    }

    /// Whether the version that is spoken is at least another.
    ///
    /// # Errors
    /// The engine is not there.
    pub fn speaks(&self, version: &str) -> Result<bool, ClientError> {
        Ok(at_least(self.version()?, version))
    }

    /// Sends a request and returns the answer, whose body is still to be read.
    ///
    /// # Errors
    /// The engine is not there, or refuses it.
    pub fn send(&self, request: Request) -> Result<Response, ClientError> {
        let version = self.version()?;
        let (response, what, sender) = self.exchange(request, Some(version), false)?;
        let runtime = self.runtime().handle().clone();
        Response::new(response, what, runtime, (sender, self.idle.clone())).checked()
    }

    /// Sends a request and reads the document that answers it.
    ///
    /// # Errors
    /// As [`Self::send`], or the answer is no document.
    pub fn document(&self, request: Request) -> Result<serde_json::Value, ClientError> {
        self.send(request)?.json()
    }

    /// Carries bytes between standard input and output and the engine until the engine has ended its way.
    ///
    /// # Errors
    /// The engine is not there, or the connection breaks.
    pub fn carry_stdio(&self) -> Result<(), ClientError> {
        let broken =
            |e: std::io::Error| ClientError::Broken { url: self.endpoint.url(), source: Box::new(e) };
        let out = self.runtime().block_on(async {
            let engine = connect(&self.endpoint, self.tls.as_ref()).await?;
            let (both, out) = stdio().map_err(broken)?;
            both.set_nonblocking(true).map_err(broken)?;
            let both = tokio::net::UnixStream::from_std(both).map_err(broken)?;
            let (mut input, mut output) = both.into_split();
            let (mut from, mut to) = tokio::io::split(engine);
            tokio::spawn(async move {
                let _ = tokio::io::copy(&mut input, &mut to).await;
                let _ = to.shutdown().await;
            });
            tokio::io::copy(&mut from, &mut output).await.map_err(broken)?;
            Ok::<_, ClientError>(out)
        })?;
        let _ = out.join();
        Ok(())
    }

    /// Sends a request after which the connection is bytes both ways.
    ///
    /// # Errors
    /// As [`Self::send`], or the engine does not give the connection over.
    pub fn hijack(&self, request: Request) -> Result<Connection, ClientError> {
        let version = self.version()?;
        let (mut response, what, sender) = self.exchange(request, Some(version), true)?;
        let handle = self.runtime().handle().clone();
        if response.status().as_u16() != 101 {
            let response = Response::new(response, what.clone(), handle, (sender, self.idle.clone()));
            let status = response.checked()?.status();
            let reason = format!("unable to upgrade to tcp, received {status}");
            return Err(ClientError::Answer { what, reason });
        }
        let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok());
        let kind = kind.map(str::to_owned);
        let upgraded = self.runtime().block_on(hyper::upgrade::on(&mut response));
        let upgraded = upgraded.map_err(|error| self.broken(error))?;
        Ok(Connection::new(upgraded, &handle, kind.as_deref()))
    }

    fn exchange(
        &self,
        request: Request,
        version: Option<&str>,
        upgrade: bool,
    ) -> Result<(hyper::Response<Incoming>, String, Sender), ClientError> {
        let target = request.target(version);
        let what = target.split('?').next().unwrap_or_default().to_owned();
        let mut builder = hyper::Request::builder().method(request.method).uri(target);
        builder = builder.header("Host", self.endpoint.host_header());
        builder = builder.header("User-Agent", &self.options.agent);
        if upgrade {
            builder = builder.header("Connection", "Upgrade").header("Upgrade", "tcp");
        }
        for (name, value) in self.options.headers.iter().chain(&request.headers) {
            builder = builder.header(name, value);
        }
        let content = body(request.content).map_err(ClientError::Start)?;
        let request = builder
            .body(content)
            .map_err(|e| ClientError::Answer { what: what.clone(), reason: e.to_string() })?;
        let exchanged = self.runtime().block_on(async {
            let mut sender = self.sender().await?;
            let response = sender.send_request(request).await.map_err(|error| self.broken(error))?;
            Ok((response, sender))
        });
        exchanged.map(|(response, sender)| (response, what, sender))
    }

    /// A connection that is free, or a new one.
    async fn sender(&self) -> Result<Sender, ClientError> {
        if let Some(mut sender) = self.idle.take()
            && sender.ready().await.is_ok()
        {
            return Ok(sender);
        }
        let stream = connect(&self.endpoint, self.tls.as_ref()).await?;
        let shaken = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = shaken.map_err(|error| self.broken(error))?;
        tokio::spawn(connection.with_upgrades());
        Ok(sender)
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("it is there until the drop")
    }

    fn broken(&self, error: hyper::Error) -> ClientError {
        ClientError::Broken { url: self.endpoint.url(), source: Box::new(error) }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Nobody waits for what an engine might still say.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
