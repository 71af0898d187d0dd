//! Inbound connections of clients, all carried by the task that owns them: it reads a request and
//! writes the answer itself, in one go, and no other task is woken for it.
//!
//! Promises: nothing the caller does here waits; a client whose answers are not taken is not read from,
//! and is cut off when it takes none for [`WRITE_PATIENCE`]; what is pushed into a session's outbox
//! leaves in order; every connection ends with one [`Arrived::End`], after which it is forgotten.
//! Has never heard of what the bytes mean.

use super::ready::Ready;
use super::stream::Stream;
use crate::session::{Close, Outbox, SessionId};
use bytes::{Buf, Bytes};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// A client that takes nothing for this long is cut off.
pub const WRITE_PATIENCE: Duration = Duration::from_secs(10);
/// Read at a time, into one place for all.
const SCRATCH_BYTES: usize = 16 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// So many bytes, to be found in [`Served::bytes`] until the next call.
    Bytes {
        id: SessionId,
        count: usize,
    },
    End {
        id: SessionId,
    },
}

/// Every client of one process. Dropping it closes their connections.
pub struct Served {
    connections: BTreeMap<SessionId, Connection>,
    ready: Arc<Ready<SessionId>>,
    woken: Vec<SessionId>,
    scratch: Box<[u8]>,
}

struct Connection {
    stream: Stream,
    outbox: Arc<Outbox>,
    waker: Waker,
    /// What is left of what was taken from the outbox.
    out: Bytes,
    /// TLS may hold written bytes back.
    unflushed: bool,
    /// Since when the client should have taken more.
    stuck_since: Option<Instant>,
    /// Nothing more comes after what is in `out`.
    last: bool,
}

impl Default for Served {
    fn default() -> Self {
        Served {
            connections: BTreeMap::new(),
            ready: Arc::default(),
            woken: Vec::new(),
            scratch: vec![0; SCRATCH_BYTES].into(),
        }
    }
}

impl Served {
    pub fn add(&mut self, id: SessionId, stream: Stream, outbox: Arc<Outbox>) {
        // Only costs latency when refused.
        let _ = stream.set_nodelay(true);
        let connection = Connection {
            stream,
            outbox,
            waker: self.ready.bell(id),
            out: Bytes::new(),
            unflushed: false,
            stuck_since: None,
            last: false,
        };
        self.connections.insert(id, connection);
    }

    /// What came next, and from whom. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Arrived {
        poll_fn(|context| self.poll(context)).await
    }

    /// The bytes of the last [`Arrived::Bytes`].
    pub fn bytes(&self, count: usize) -> &[u8] {
        &self.scratch[..count]
    }

    /// Writes what was pushed for this session, now rather than when its turn comes.
    pub fn answer(&mut self, id: SessionId) {
        // The end of a connection is found again by the next poll.
        if let Some(connection) = self.connections.get_mut(&id) {
            let waker = connection.waker.clone();
            if connection.write(&mut Context::from_waker(&waker)) == Poll::Ready(Err(Ended)) {
                waker.wake();
            }
        }
    }

    /// Ends connections that take nothing. To be called now and then.
    pub fn cut_off_the_stuck(&mut self) {
        for connection in self.connections.values_mut() {
            if connection.stuck_since.is_some_and(|since| since.elapsed() > WRITE_PATIENCE) {
                connection.outbox.close(Close::Now);
            }
        }
    }

    /// [`next`](Self::next), for who polls by hand.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Arrived> {
        loop {
            if self.woken.is_empty() && self.ready.poll(context, &mut self.woken).is_pending() {
                return Poll::Pending;
            }
            while let Some(id) = self.woken.pop() {
                let Some(connection) = self.connections.get_mut(&id) else { continue };
                match connection.look(&mut self.scratch) {
                    Poll::Pending => {}
                    Poll::Ready(Ok(count)) => {
                        // There may be more.
                        connection.waker.wake_by_ref();
                        return Poll::Ready(Arrived::Bytes { id, count });
                    }
                    Poll::Ready(Err(Ended)) => {
                        self.connections.remove(&id);
                        return Poll::Ready(Arrived::End { id });
                    }
                }
            }
        }
    }
}

/// There is nothing more to read from it or to write to it.
#[derive(Debug, PartialEq, Eq)]
struct Ended;

impl Connection {
    /// Writes what is to be written, then reads.
    fn look(&mut self, scratch: &mut [u8]) -> Poll<Result<usize, Ended>> {
        let waker = self.waker.clone();
        let mut context = Context::from_waker(&waker);
        match self.write(&mut context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(Ended)) => return Poll::Ready(Err(Ended)),
            Poll::Ready(Ok(())) => {}
        }
        let mut buffer = ReadBuf::new(scratch);
        match Pin::new(&mut self.stream).poll_read(&mut context, &mut buffer) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) if !buffer.filled().is_empty() => Poll::Ready(Ok(buffer.filled().len())),
            Poll::Ready(_) => Poll::Ready(Err(Ended)),
        }
    }

    /// Ready when the client has all; pending while it does not take more.
    fn write(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        loop {
            if self.out.is_empty() && !self.unflushed {
                // Frees what it was a part of.
                self.out = Bytes::new();
                self.stuck_since = None;
                if self.last {
                    // Says that all was sent, so the client reads it before it sees the end.
                    return Pin::new(&mut self.stream).poll_shutdown(context).map(|_| Err(Ended));
                }
                if self.outbox.poll_pending(context).is_pending() {
                    return Poll::Ready(Ok(()));
                }
                let (out, drained) = self.outbox.take();
                self.out = out;
                self.last = drained.close.is_some();
                if drained.close == Some(Close::Now) {
                    return Poll::Ready(Err(Ended));
                }
                if self.out.is_empty() {
                    continue;
                }
            }
            if self.outbox.poll_closed(context).is_ready() {
                return Poll::Ready(Err(Ended));
            }
            let wrote = self.write_some(context);
            if wrote.is_pending() {
                self.stuck_since.get_or_insert_with(Instant::now);
                return Poll::Pending;
            }
            if wrote != Poll::Ready(Ok(())) {
                return Poll::Ready(Err(Ended));
            }
        }
    }

    /// A step towards everything being with the client.
    fn write_some(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        let stream = Pin::new(&mut self.stream);
        if self.out.is_empty() {
            return stream.poll_flush(context).map(|flushed| {
                self.unflushed = false;
                flushed.map_err(|_| Ended)
            });
        }
        stream.poll_write(context, &self.out).map(|wrote| match wrote {
            Ok(count @ 1..) => {
                self.out.advance(count);
                self.unflushed = true;
                Ok(())
            }
            Ok(0) | Err(_) => Err(Ended),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    const PATIENCE: Duration = Duration::from_secs(20);
    const ID: SessionId = 1;

    async fn served() -> (Served, TcpStream, Arc<Outbox>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let (mut served, outbox) = (Served::default(), Arc::new(Outbox::default()));
        served.add(ID, stream.into(), outbox.clone());
        (served, client, outbox)
    }

    async fn next(served: &mut Served) -> Arrived {
        timeout(PATIENCE, served.next()).await.expect("something in time")
    }

    #[tokio::test]
    async fn a_request_is_answered_in_the_same_turn_and_a_message_when_it_comes() {
        let (mut served, mut client, outbox) = served().await;
        client.write_all(b"question").await.unwrap();
        assert_eq!(next(&mut served).await, Arrived::Bytes { id: ID, count: 8 });
        assert_eq!(served.bytes(8), b"question");
        outbox.push(b"answer".as_slice().into(), 100);
        served.answer(ID);
        let mut answer = [0; 6];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"answer");

        outbox.push(b"message".as_slice().into(), 100);
        outbox.close(Close::AfterFlush);
        assert_eq!(next(&mut served).await, Arrived::End { id: ID });
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"message");
    }

    #[tokio::test]
    async fn who_goes_is_told_once() {
        let (mut served, client, _outbox) = served().await;
        drop(client);
        assert_eq!(next(&mut served).await, Arrived::End { id: ID });
        assert!(timeout(Duration::from_millis(20), served.next()).await.is_err());
    }

    #[tokio::test]
    async fn who_takes_nothing_is_not_read_from_and_gets_the_rest_when_he_does() {
        const BYTES: usize = 16 << 20;
        let (mut served, mut client, outbox) = served().await;
        outbox.push(vec![b'x'; BYTES].into(), BYTES);
        client.write_all(b"more").await.unwrap();
        assert!(timeout(Duration::from_millis(50), served.next()).await.is_err());
        let mut taken = vec![0; BYTES];
        let (arrived, read) = tokio::join!(next(&mut served), client.read_exact(&mut taken));
        assert_eq!((arrived, read.unwrap()), (Arrived::Bytes { id: ID, count: 4 }, BYTES));

        outbox.push(vec![b'x'; BYTES].into(), BYTES);
        assert!(timeout(Duration::from_millis(50), served.next()).await.is_err());
        outbox.close(Close::Now);
        assert_eq!(next(&mut served).await, Arrived::End { id: ID });
    }
}
