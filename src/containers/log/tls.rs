//! TLS to a server of logs (RFC 5425), on a socket that is never waited for once the connection is made.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use crate::tls::{self, Identity, TlsError, Trust};

/// What the options say of TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TlsOptions {
    /// Who has to have signed the server's certificate; without it whom the machine trusts.
    pub authority: Option<PathBuf>,
    /// Our own certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Whether any server will do.
    pub skip_verify: bool,
}

/// A connection.
#[derive(Debug)]
pub(super) struct TlsStream {
    connection: ClientConnection,
    socket: TcpStream,
}

impl TlsStream {
    /// Connects to `host`, which is `NAME:PORT` or the like, at its address, within a time for each step.
    pub fn connect(
        host: &str,
        address: SocketAddr,
        options: &TlsOptions,
        patience: Duration,
    ) -> io::Result<Self> {
        let config = config(options).map_err(io::Error::other)?;
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let mut connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        let mut socket = TcpStream::connect_timeout(&address, patience)?;
        socket.set_read_timeout(Some(patience))?;
        socket.set_write_timeout(Some(patience))?;
        while connection.is_handshaking() {
            connection.complete_io(&mut socket)?;
        }
        socket.set_nonblocking(true)?;
        Ok(Self { connection, socket })
    }

    /// Takes a message whole unless an earlier one is not sent yet.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.flush()?;
        self.hear()?;
        let count = self.connection.writer().write(bytes)?;
        match self.flush() {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(count),
        }
    }

    /// Sends what was taken.
    pub fn flush(&mut self) -> io::Result<()> {
        while self.connection.wants_write() {
            if self.connection.write_tls(&mut self.socket)? == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }

    /// Whether something was taken that is not sent yet.
    pub fn is_pending(&self) -> bool {
        self.connection.wants_write()
    }

    /// Takes what the server says, which is only that it goes or that keys change.
    fn hear(&mut self) -> io::Result<()> {
        loop {
            match self.connection.read_tls(&mut self.socket) {
                Ok(0) => return Err(ErrorKind::ConnectionReset.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
            let state = self.connection.process_new_packets().map_err(io::Error::other)?;
            if state.peer_has_closed() {
                return Err(ErrorKind::ConnectionReset.into());
            }
            let mut text = vec![0; state.plaintext_bytes_to_read()];
            self.connection.reader().read_exact(&mut text)?;
        }
    }

    /// Returns the socket, to be waited for.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for TlsStream {
    fn drop(&mut self) {
        self.connection.send_close_notify();
        let _ = self.flush();
    }
}

fn config(options: &TlsOptions) -> Result<ClientConfig, TlsError> {
    let trust = match &options.authority {
        _ if options.skip_verify => Trust::Anybody,
        Some(path) => Trust::Only(tls::read_certificates(path)?),
        None => Trust::MachineAnd(Vec::new()),
    };
    let own = options.identity.as_ref();
    tls::client_config(trust, own.map(|(certificate, key)| Identity::read(certificate, key)).transpose()?)
}
