//! TLS on either side of a connection, by rustls: versions 1.2 and 1.3, certificates always verified.
//!
//! What it is made of comes as PEM text from the shell that reads files; replaced while it serves
//! ([`Acceptor::replace`], [`Connector::replace`]), it counts for the next connection, and one that
//! is no good changes nothing. Promises: a handshake ends within [`HANDSHAKE`]; what went wrong is a
//! [`TlsFault`]; nobody falls back to plain text. Has never heard of what is spoken inside.

pub mod dates;
mod fault;
mod material;

pub use fault::{TlsError, fault_of};
pub use material::{ClientAuth, ClientPems, MaterialError, ServerPems, Versions};

use crate::net::stream::Stream;
use parking_lot::RwLock;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Within this the handshake is done, or nothing.
pub const HANDSHAKE: Duration = Duration::from_secs(5);

/// Takes connections in.
pub struct Acceptor {
    config: RwLock<Arc<ServerConfig>>,
}

impl Acceptor {
    pub fn new(pems: &ServerPems) -> Result<Self, MaterialError> {
        Ok(Acceptor { config: RwLock::new(material::server(pems)?) })
    }

    /// For connections from now on.
    pub fn replace(&self, pems: &ServerPems) -> Result<(), MaterialError> {
        let config = material::server(pems)?;
        *self.config.write() = config;
        Ok(())
    }

    pub async fn accept(&self, stream: TcpStream) -> Result<Stream, TlsError> {
        let acceptor = tokio_rustls::TlsAcceptor::from(self.config.read().clone());
        match timeout(HANDSHAKE, acceptor.accept(stream)).await {
            Err(_) => Err(TlsError::Io(std::io::ErrorKind::TimedOut.into())),
            Ok(Err(error)) => Err(TlsError::from(error)),
            Ok(Ok(stream)) => Ok(Stream::from(tokio_rustls::TlsStream::from(stream))),
        }
    }
}

/// Makes connections.
pub struct Connector {
    config: RwLock<Arc<ClientConfig>>,
    /// Expected in their certificates instead of the host that is dialled.
    server_name: Option<String>,
}

impl Connector {
    pub fn new(pems: &ClientPems, server_name: Option<String>) -> Result<Self, MaterialError> {
        if let Some(name) = &server_name {
            material::server_name(name)?;
        }
        Ok(Connector { config: RwLock::new(material::client(pems)?), server_name })
    }

    /// For connections from now on.
    pub fn replace(&self, pems: &ClientPems) -> Result<(), MaterialError> {
        let config = material::client(pems)?;
        *self.config.write() = config;
        Ok(())
    }

    /// The configuration and the name to expect, for those who carry the bytes themselves.
    pub fn parts(&self, host: &str) -> Result<(Arc<ClientConfig>, ServerName<'static>), MaterialError> {
        let name = material::server_name(self.server_name.as_deref().unwrap_or(host))?;
        Ok((self.config.read().clone(), name))
    }

    /// Over a connection that is up; `host` is what was dialled.
    pub async fn connect(&self, stream: TcpStream, host: &str) -> Result<Stream, TlsError> {
        let (config, name) =
            self.parts(host).map_err(|_| TlsError::Fault(crate::model::TlsFault::WrongName))?;
        let connector = tokio_rustls::TlsConnector::from(config);
        match timeout(HANDSHAKE, connector.connect(name, stream)).await {
            Err(_) => Err(TlsError::Io(std::io::ErrorKind::TimedOut.into())),
            Ok(Err(error)) => Err(TlsError::from(error)),
            Ok(Ok(stream)) => Ok(Stream::from(tokio_rustls::TlsStream::from(stream))),
        }
    }
}

// Keys are inside.
impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Acceptor(redacted)")
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connector(redacted)")
    }
}

#[cfg(test)]
mod tests;
