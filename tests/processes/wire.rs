//! A plain client: one connection, one request at a time, every wait bounded.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use vedette::resp::{Reply, encode, reply};

const REPLY_BYTES_MAX: usize = 64 << 20;

pub struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Wire {
    pub fn connect(port: u16, deadline: Duration) -> Option<Self> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let stream = TcpStream::connect_timeout(&address, deadline).ok()?;
        stream.set_read_timeout(Some(deadline)).ok()?;
        stream.set_write_timeout(Some(deadline)).ok()?;
        stream.set_nodelay(true).ok()?;
        Some(Wire { stream, buffer: Vec::new() })
    }

    /// Connects, asks, closes. None when anything goes wrong.
    pub fn once(port: u16, argv: &[&str]) -> Option<Reply> {
        Self::connect(port, Duration::from_millis(1000))?.call(argv)
    }

    /// None: closed, reset or late; the connection is of no more use.
    pub fn call(&mut self, argv: &[&str]) -> Option<Reply> {
        self.send(argv)?;
        self.receive()
    }

    pub fn send(&mut self, argv: &[&str]) -> Option<()> {
        let mut bytes = Vec::new();
        encode::command(&mut bytes, argv);
        self.stream.write_all(&bytes).ok()
    }

    pub fn send_raw(&mut self, bytes: &[u8]) -> Option<()> {
        self.stream.write_all(bytes).ok()
    }

    pub fn receive(&mut self) -> Option<Reply> {
        let mut chunk = [0; 16 * 1024];
        loop {
            if let Some((reply, used)) = reply::parse(&self.buffer, REPLY_BYTES_MAX).ok()? {
                self.buffer.drain(..used);
                return Some(reply);
            }
            match self.stream.read(&mut chunk) {
                Ok(0) | Err(_) => return None,
                Ok(read) => self.buffer.extend_from_slice(&chunk[..read]),
            }
        }
    }

    /// Everything that comes until the other side closes or `within` has passed; true if it closed.
    pub fn drain(&mut self, within: Duration) -> (Vec<u8>, bool) {
        let deadline = Instant::now() + within;
        let mut all = std::mem::take(&mut self.buffer);
        let mut chunk = [0; 4096];
        while Instant::now() < deadline {
            match self.stream.read(&mut chunk) {
                Ok(0) => return (all, true),
                Ok(read) => all.extend_from_slice(&chunk[..read]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => return (all, true),
            }
        }
        (all, false)
    }
}
