//! A connection, with TLS or without, or by the file system: whoever reads and writes it need not care which.
//!
//! Bytes that were read to find out who is there can be put back ([`Stream::unread`]).

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsStream;

#[derive(Debug)]
pub struct Stream {
    wire: Wire,
    /// Read before, and to be read again first.
    head: Vec<u8>,
}

#[derive(Debug)]
enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Stream { wire: Wire::Plain(stream), head: Vec::new() }
    }
}

impl From<TlsStream<TcpStream>> for Stream {
    fn from(stream: TlsStream<TcpStream>) -> Self {
        Stream { wire: Wire::Tls(Box::new(stream)), head: Vec::new() }
    }
}

impl From<UnixStream> for Stream {
    fn from(stream: UnixStream) -> Self {
        Stream { wire: Wire::Unix(stream), head: Vec::new() }
    }
}

/// What a socket in the file system has no answer to.
fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "a unix socket has no network address")
}

impl Stream {
    pub fn is_tls(&self) -> bool {
        matches!(self.wire, Wire::Tls(_))
    }

    /// Whether bytes that were taken for writing have not gone to the kernel yet.
    pub fn holds_back(&self) -> bool {
        match &self.wire {
            Wire::Tls(stream) => stream.get_ref().1.wants_write(),
            Wire::Plain(_) | Wire::Unix(_) => false,
        }
    }

    fn socket(&self) -> io::Result<&TcpStream> {
        match &self.wire {
            Wire::Plain(stream) => Ok(stream),
            Wire::Tls(stream) => Ok(stream.get_ref().0),
            Wire::Unix(_) => Err(no_address()),
        }
    }

    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket()?.peer_addr()
    }

    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket()?.local_addr()
    }

    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.socket()?.set_nodelay(nodelay)
    }

    /// The next read begins with these bytes.
    pub fn unread(&mut self, bytes: &[u8]) {
        self.head.splice(..0, bytes.iter().copied());
    }

    /// Waits for the first byte and leaves it to be read; `None` at the end of the connection.
    pub async fn first_byte(&mut self) -> io::Result<Option<u8>> {
        if let Some(first) = self.head.first() {
            return Ok(Some(*first));
        }
        let mut first = [0];
        if self.read(&mut first).await? == 0 {
            return Ok(None);
        }
        self.unread(&first);
        Ok(Some(first[0]))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.head.is_empty() {
            let count = self.head.len().min(buffer.remaining());
            buffer.put_slice(&self.head[..count]);
            self.head.drain(..count);
            if self.head.is_empty() {
                self.head = Vec::new();
            }
            return Poll::Ready(Ok(()));
        }
        match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Wire::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            Wire::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Wire::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Wire::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_flush(context),
            Wire::Tls(stream) => Pin::new(stream).poll_flush(context),
            Wire::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Wire::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Wire::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
