//! One blocking connection to a sentinel, with a deadline on every call.
//!
//! Errors are sentences for a person: who was asked, what happened, what to try.

use super::transport::{TlsOptions, Transport};
use super::{Failure, SentinelOptions};
use crate::model::Address;
use crate::model::status::Status;
use crate::resp::{Reply, encode, reply};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(2);
/// A status snapshot of a large fleet fits many times.
const REPLY_BYTES_MAX: usize = 64 << 20;

pub(super) struct Client {
    address: Address,
    stream: Transport,
    waiting: Vec<u8>,
}

impl Client {
    /// Connects, and authenticates when the options name a password file.
    pub(super) fn connect(options: &SentinelOptions) -> Result<Self, Failure> {
        let mut client = Self::open(&options.sentinel, DEADLINE, Some(&options.tls))?;
        if let Some(file) = &options.password_file {
            let text = std::fs::read_to_string(file)
                .map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))?;
            let password = text.trim_end_matches(['\r', '\n']);
            match &options.user {
                Some(user) => client.call(&["AUTH", user, password])?,
                None => client.call(&["AUTH", password])?,
            };
        }
        Ok(client)
    }

    pub(super) fn dial(address: &Address, deadline: Duration) -> Result<Self, Failure> {
        Self::open(address, deadline, None)
    }

    fn open(address: &Address, deadline: Duration, tls: Option<&TlsOptions>) -> Result<Self, Failure> {
        let refused = |error: std::io::Error| {
            Failure::new(format!(
                "no sentinel answers at {address} ({error}); is it running? Name another with --sentinel HOST:PORT"
            ))
        };
        let mut targets = (address.host.as_str(), address.port).to_socket_addrs().map_err(refused)?;
        let target = targets.next().ok_or_else(|| refused(ErrorKind::NotFound.into()))?;
        let stream = TcpStream::connect_timeout(&target, deadline).map_err(refused)?;
        let bounded = stream
            .set_nodelay(true)
            .and_then(|()| stream.set_read_timeout(Some(deadline)))
            .and_then(|()| stream.set_write_timeout(Some(deadline)));
        bounded.map_err(refused)?;
        let stream = match tls {
            None => Transport::Plain(stream),
            Some(tls) => tls.dress(stream, address)?,
        };
        Ok(Client { address: address.clone(), stream, waiting: Vec::new() })
    }

    /// Sends one command and waits for its reply; an error reply is a failure.
    pub(super) fn call(&mut self, words: &[&str]) -> Result<Reply, Failure> {
        let mut bytes = Vec::new();
        encode::command(&mut bytes, words);
        self.stream
            .write_all(&bytes)
            .and_then(|()| self.stream.flush())
            .map_err(|error| self.broken(&error))?;
        match self.read()? {
            Reply::Error(text) => Err(Failure::new(self.explain(&text, words))),
            reply => Ok(reply),
        }
    }

    fn read(&mut self) -> Result<Reply, Failure> {
        let started = Instant::now();
        loop {
            let cut = reply::parse(&self.waiting, REPLY_BYTES_MAX)
                .map_err(|bad| Failure::new(format!("{} does not speak RESP: {bad}", self.address)))?;
            if let Some((reply, taken)) = cut {
                self.waiting.drain(..taken);
                return Ok(reply);
            }
            if started.elapsed() > DEADLINE * 5 {
                return Err(self.broken(&ErrorKind::TimedOut.into()));
            }
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(self.broken(&ErrorKind::UnexpectedEof.into())),
                Ok(count) => self.waiting.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.broken(&error)),
            }
        }
    }

    /// The fleet as this sentinel sees it.
    pub(super) fn status(&mut self) -> Result<Status, Failure> {
        let reply = self.call(&["SENTINEL", "STATUS"])?;
        let bytes = reply.as_bytes().unwrap_or_default();
        serde_json::from_slice(bytes).map_err(|error| {
            Failure::new(format!(
                "{} sent a status that this version cannot read ({error}); use the vedette of that sentinel's version",
                self.address
            ))
        })
    }

    fn broken(&self, error: &std::io::Error) -> Failure {
        if let Some(fault) = crate::net::tls::fault_of(error) {
            return super::transport::failure(&self.address, fault);
        }
        let what = match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => "did not answer in time".to_owned(),
            ErrorKind::UnexpectedEof => "closed the connection".to_owned(),
            _ => format!("cannot be reached ({error})"),
        };
        Failure::new(format!(
            "the sentinel at {} {what}; try another with --sentinel HOST:PORT",
            self.address
        ))
    }

    fn explain(&self, error: &str, words: &[&str]) -> String {
        let remedy = match error.split(' ').next().unwrap_or("") {
            "NOAUTH" => "; give its password with --password-file FILE",
            "WRONGPASS" => "; the file given with --password-file holds another password",
            "ERR" if error.contains("unknown command") || error.contains("nknown sentinel subcommand") => {
                "; is a Vedette sentinel listening there?"
            }
            _ => "",
        };
        if let Some(said) = error.strip_prefix("ERR ").filter(|_| remedy.is_empty()) {
            // It understood, and does not want to: what it says is for the one who asked.
            let said = said.split("; SENTINEL ").next().unwrap_or(said);
            let remedy = match said {
                "No such master with that name" => "; vedette status lists the groups that it watches",
                "No such incident" => "; vedette incidents lists those on record",
                _ => "",
            };
            return format!("the sentinel at {} says: {said}{remedy}", self.address);
        }
        // Arguments may be secrets: only the command is named.
        format!("{} answered {} with: {error}{remedy}", self.address, words.first().unwrap_or(&""))
    }
}
