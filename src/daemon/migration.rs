//! Carries keys to another server, for MIGRATE: one connection, all keys at once, one line of
//! answer each. In a thread of its own, for it waits for the network.

use crate::server::migrate::{Errand, Outcome};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// A line of answer is not longer than this.
const LINE_BYTES_MAX: u64 = 4096;
const CONNECTING: &str = "IOERR error or timeout connecting to the client";
const WRITING: &str = "IOERR error or timeout writing to target instance";
const READING: &str = "IOERR error or timeout reading to target instance";

pub(super) fn carry(errand: &Errand) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.failed = converse(errand, &mut outcome.answers).err();
    outcome
}

fn converse(errand: &Errand, answers: &mut Vec<Option<String>>) -> Result<(), String> {
    let timeout = errand.timeout;
    let stream = connect(errand, timeout).map_err(|error| match error.kind() {
        // Redis notices a refusal only with its first write.
        ErrorKind::ConnectionRefused => WRITING,
        _ => CONNECTING,
    })?;
    let set = stream.set_nodelay(true).and_then(|()| stream.set_read_timeout(Some(timeout)));
    set.and_then(|()| stream.set_write_timeout(Some(timeout))).map_err(|_| CONNECTING)?;
    (&stream).write_all(&errand.preamble).map_err(|_| WRITING)?;
    let mut reader = BufReader::new(&stream);
    for _ in 0..errand.preamble_answers {
        if let Some(why) = answer(&mut reader)? {
            return Err(format!("ERR Target instance replied with error: {why}"));
        }
    }
    // Answers are short and wait in the socket meanwhile.
    (&stream).write_all(&errand.request).map_err(|_| WRITING)?;
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
