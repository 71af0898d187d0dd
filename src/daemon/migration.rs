//! Carries keys to another server, for MIGRATE: one connection, all keys at once, one line of
//! answer each. In a thread of its own, for it waits for the network.

use crate::net::tls::Connector;
use crate::server::migrate::{Carrier, Errand, Outcome};
use rustls::{ClientConnection, StreamOwned};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

/// A line of answer is not longer than this.
const LINE_BYTES_MAX: u64 = 4096;
const CONNECTING: &str = "IOERR error or timeout connecting to the client";
const WRITING: &str = "IOERR error or timeout writing to target instance";
const READING: &str = "IOERR error or timeout reading to target instance";

/// `connector`: the other server is dialled by TLS.
pub(super) fn carrier(connector: Option<Arc<Connector>>) -> Carrier {
    Arc::new(move |errand| {
        let mut outcome = Outcome::default();
        outcome.failed = carry(errand, connector.as_deref(), &mut outcome.answers).err();
        outcome
    })
}

fn carry(
    errand: &Errand,
    connector: Option<&Connector>,
    answers: &mut Vec<Option<String>>,
) -> Result<(), String> {
    let timeout = errand.timeout;
    let stream = connect(errand, timeout).map_err(|error| match error.kind() {
        // Redis notices a refusal only with its first write.
        ErrorKind::ConnectionRefused => WRITING,
        _ => CONNECTING,
    })?;
    let set = stream.set_nodelay(true).and_then(|()| stream.set_read_timeout(Some(timeout)));
    set.and_then(|()| stream.set_write_timeout(Some(timeout))).map_err(|_| CONNECTING)?;
    let Some(connector) = connector else { return converse(errand, stream, answers) };
    let (config, name) = connector.parts(&errand.target.host).map_err(|_| CONNECTING)?;
    let connection = ClientConnection::new(config, name).map_err(|_| CONNECTING)?;
    converse(errand, StreamOwned::new(connection, stream), answers)
}

fn write(stream: &mut impl Write, bytes: &[u8]) -> Result<(), String> {
    stream.write_all(bytes).and_then(|()| stream.flush()).map_err(|_| WRITING.to_owned())
}

fn converse(
    errand: &Errand,
    stream: impl Read + Write,
    answers: &mut Vec<Option<String>>,
) -> Result<(), String> {
    let mut reader = BufReader::new(stream);
    write(reader.get_mut(), &errand.preamble)?;
    for _ in 0..errand.preamble_answers {
        if let Some(why) = answer(&mut reader)? {
            return Err(format!("ERR Target instance replied with error: {why}"));
        }
    }
    // Answers are short and wait in the socket meanwhile.
    write(reader.get_mut(), &errand.request)?;
    for _ in 0..errand.keys {
        answers.push(answer(&mut reader)?);
    }
    Ok(())
}

fn connect(errand: &Errand, timeout: Duration) -> std::io::Result<TcpStream> {
    let mut last = ErrorKind::NotFound.into();
    for address in (errand.target.host.as_str(), errand.target.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// What the other server said against it.
fn answer(reader: &mut impl BufRead) -> Result<Option<String>, String> {
    let mut line = Vec::new();
    let read = reader.take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
    match (read, line.split_first()) {
        (Ok(_), Some((b'+', _))) if line.ends_with(b"\n") => Ok(None),
        (Ok(_), Some((b'-', why))) if line.ends_with(b"\n") => {
            Ok(Some(String::from_utf8_lossy(why).trim_end().to_owned()))
        }
        _ => Err(READING.to_owned()),
    }
}
