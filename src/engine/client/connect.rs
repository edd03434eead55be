//! From an endpoint to a stream of bytes.

use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::endpoint::Endpoint;
use super::error::ClientError;

/// How long another machine may take to answer a connection.
const PATIENCE: Duration = Duration::from_secs(30);

/// A stream both ways.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects; `tls` is the endpoint's own, made ready.
pub(super) async fn connect(
    endpoint: &Endpoint,
    tls: Option<&Arc<rustls::ClientConfig>>,
) -> Result<Box<dyn Stream>, ClientError> {
    let url = || endpoint.url();
    match endpoint {
        Endpoint::Unix(path) => match UnixStream::connect(path).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(ClientError::Forbidden { url: url() })
            }
            Err(_) => Err(ClientError::Unreachable { url: url() }),
        },
        Endpoint::Tcp { host, port, .. } => {
            let connecting = TcpStream::connect((host.as_str(), *port));
            let stream = match tokio::time::timeout(PATIENCE, connecting).await {
                Ok(Ok(stream)) => stream,
                _ => return Err(ClientError::Unreachable { url: url() }),
            };
            let _ = stream.set_nodelay(true);
            let Some(config) = tls else { return Ok(Box::new(stream)) };
            let wrong = |reason: String| ClientError::Tls { url: url(), reason };
            let name = ServerName::try_from(host.clone()).map_err(|e| wrong(e.to_string()))?;
            let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
            let stream = connector.connect(name, stream).await.map_err(|e| wrong(e.to_string()))?;
            Ok(Box::new(stream))
        }
        Endpoint::Ssh { destination, port, path } => {
            let mut command = Command::new("ssh");
            command.args(["-o", "ConnectTimeout=30", "-T"]);
            if let Some(port) = port {
                command.args(["-p", &port.to_string()]);
            }
            command.args(["--", destination, "docker"]);
            if let Some(path) = path {
                command.arg(format!("--host=unix://{path}"));
            }
            command.args(["system", "dial-stdio"]).stdin(Stdio::piped()).stdout(Stdio::piped());
            command.kill_on_drop(true);
            let broken = |source: io::Error| ClientError::Broken { url: url(), source: Box::new(source) };
            let mut child = command.spawn().map_err(broken)?;
            let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
                return Err(ClientError::Unreachable { url: url() });
            };
            Ok(Box::new(Ssh { input: Some(input), output, _child: child }))
        }
    }
}

/// The standard streams of `ssh`.
struct Ssh {
    /// None after its end was given.
    input: Option<ChildStdin>,
    output: ChildStdout,
    _child: Child,
}

impl AsyncRead for Ssh {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.output).poll_read(context, buffer)
    }
}

impl AsyncWrite for Ssh {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.input {
            Some(input) => Pin::new(input).poll_write(context, bytes),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.input {
            Some(input) => Pin::new(input).poll_flush(context),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Closing the pipe is the end of the input over there.
        self.input = None;
        Poll::Ready(Ok(()))
    }
}
