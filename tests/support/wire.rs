//! A blunt client: sends words or raw bytes, reads replies as values.

use super::DEADLINE;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;
use vedette::resp::{Reply, encode, reply};

pub struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Wire {
    #[track_caller]
    pub fn connect(port: u16) -> Wire {
        Wire::try_connect(port).unwrap_or_else(|| panic!("nothing listens on port {port}"))
    }

    pub fn try_connect(port: u16) -> Option<Wire> {
        let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_nodelay(true).ok()?;
        stream.set_read_timeout(Some(DEADLINE)).ok()?;
        Some(Wire { stream, buffer: Vec::new() })
    }

    /// Sends words and waits for the reply.
    #[track_caller]
    pub fn ask(&mut self, words: &[&str]) -> Reply {
        self.try_ask(words).unwrap_or_else(|| panic!("no reply to {words:?}"))
    }

    /// As people write it; words are split at spaces.
    #[track_caller]
    pub fn line(&mut self, line: &str) -> Reply {
        self.ask(&line.split_whitespace().collect::<Vec<_>>())
    }

    pub fn try_ask(&mut self, words: &[&str]) -> Option<Reply> {
        self.send(words)?;
        self.next()
    }

    pub fn send(&mut self, words: &[&str]) -> Option<()> {
        let mut bytes = Vec::new();
        encode::command(&mut bytes, words);
        self.stream.write_all(&bytes).ok()
    }

    #[track_caller]
    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the connection takes bytes");
    }

    /// The next reply or push; `None` when the connection ended or nothing came in time.
    pub fn next(&mut self) -> Option<Reply> {
        let mut piece = [0; 16 * 1024];
        loop {
            if let Some((reply, used)) = reply::parse(&self.buffer, 1 << 30).ok()? {
                self.buffer.drain(..used);
                return Some(reply);
            }
            match self.stream.read(&mut piece) {
                Ok(count) if count > 0 => self.buffer.extend_from_slice(&piece[..count]),
                // A read with a time limit is not begun again by the kernel after a stop.
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                ended => {
                    eprintln!(
                        "no more of a connection: {ended:?}; unread {:?}",
                        self.buffer.escape_ascii().to_string()
                    );
                    return None;
                }
            }
        }
    }

    /// All bytes until the server closes; panics when it does not.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.buffer);
        match self.stream.read_to_end(&mut bytes) {
            Ok(_) => bytes,
            // What was unread on the other side makes its close a reset.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => bytes,
            Err(error) => {
                panic!("the server did not close: {error}; so far {:?}", bytes.escape_ascii().to_string())
            }
        }
    }

    /// All bytes until none came for this long.
    pub fn bytes_until_silent_for(&mut self, while_: Duration) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.buffer);
        let _ = self.stream.set_read_timeout(Some(while_));
        let mut piece = vec![0; 1 << 20];
        while let Ok(count @ 1..) = self.stream.read(&mut piece) {
            bytes.extend_from_slice(&piece[..count]);
        }
        let _ = self.stream.set_read_timeout(Some(DEADLINE));
        bytes
    }

    /// Whether no byte comes for this long.
    pub fn is_silent_for(&mut self, while_: Duration) -> bool {
        if !self.buffer.is_empty() {
            return false;
        }
        let _ = self.stream.set_read_timeout(Some(while_));
        let mut one = [0];
        let silent = matches!(self.stream.read(&mut one), Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut));
        let _ = self.stream.set_read_timeout(Some(DEADLINE));
        if !silent {
            self.buffer.push(one[0]);
        }
        silent
    }

    pub fn close(self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}
