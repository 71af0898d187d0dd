//! The bytes below an operator's connection: plain, or TLS with the flags that redis-cli has.

use super::Failure;
use crate::daemon::tls_files;
use crate::model::{Address, TlsFault};
use crate::net::tls::{ClientPems, Connector, Versions, fault_of};
use rustls::{ClientConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

#[derive(clap::Args, Clone, Debug, Default)]
pub(super) struct TlsOptions {
    /// Connect by TLS
    #[arg(long, env = "VEDETTE_TLS", value_parser = clap::builder::FalseyValueParser::new())]
    tls: bool,
    /// The CA that the sentinel's certificate is signed by (PEM)
    #[arg(long, env = "VEDETTE_CACERT", value_name = "FILE", requires = "tls")]
    cacert: Option<PathBuf>,
    /// Our certificate, for a sentinel that wants one (PEM)
    #[arg(long, env = "VEDETTE_CERT", value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The key of --cert (PEM)
    #[arg(long, env = "VEDETTE_KEY", value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// The name to expect in the sentinel's certificate, instead of the host that is dialled
    #[arg(long, value_name = "NAME", requires = "tls")]
    sni: Option<String>,
}

pub(super) enum Transport {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl TlsOptions {
    /// What is to be dialled with, if TLS is wanted.
    pub(super) fn connector(&self) -> Result<Option<Connector>, Failure> {
        if self.tls { self.require().map(Some) } else { Ok(None) }
    }

    fn require(&self) -> Result<Connector, Failure> {
        let Some(ca) = &self.cacert else {
            return Err(Failure::usage(
                "--tls needs --cacert FILE: the CA that signed the server's certificate",
            ));
        };
        let read = |flag: &str, path: &PathBuf| tls_files::read(flag, path).map_err(Failure::usage);
        let identity = match (&self.cert, &self.key) {
            (Some(certificate), Some(key)) => Some((read("--cert", certificate)?, read("--key", key)?)),
            _ => None,
        };
        let pems = ClientPems { ca: read("--cacert", ca)?, identity, versions: Versions::All };
        Connector::new(&pems, self.sni.clone()).map_err(|error| Failure::usage(format!("TLS: {error}")))
    }

    /// The connection as these options want it.
    pub(super) fn dress(&self, stream: TcpStream, to: &Address) -> Result<Transport, Failure> {
        if !self.tls {
            return Ok(Transport::Plain(stream));
        }
        let connector = self.require()?;
        let made = connector.parts(&to.host);
        let (config, name) = made.map_err(|error| Failure::usage(format!("TLS: {error}")))?;
        let session =
            ClientConnection::new(config, name).map_err(|error| Failure::new(format!("TLS: {error}")))?;
        let mut session = StreamOwned::new(session, stream);
        // The handshake now, so that what is wrong with it is told as such.
        session.conn.complete_io(&mut session.sock).map_err(|error| match fault_of(&error) {
            Some(fault) => failure(to, fault),
            None if error.kind() == std::io::ErrorKind::UnexpectedEof => failure(to, TlsFault::Broken),
            None => Failure::new(format!("no TLS session with the sentinel at {to}: {error}")),
        })?;
        Ok(Transport::Tls(Box::new(session)))
    }
}

pub(super) fn failure(to: &Address, fault: TlsFault) -> Failure {
    let remedy = match fault {
        TlsFault::UnknownCa => "its certificate is not signed by the CA of --cacert",
        TlsFault::WrongName => {
            "its certificate is for another name; say which with --sni NAME, or use the name it has"
        }
        TlsFault::WantsCertificate => "it wants a client certificate: give --cert FILE and --key FILE",
        TlsFault::OursRefused => "it does not accept the certificate of --cert",
        other => other.sentence(),
    };
    Failure::new(format!("no TLS session with the sentinel at {to}: {remedy}"))
}

impl Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Transport::Plain(stream) => stream.read(buffer),
            Transport::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Transport::Plain(stream) => stream.write(bytes),
            Transport::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Transport::Plain(stream) => stream.flush(),
            Transport::Tls(stream) => stream.flush(),
        }
    }
}
