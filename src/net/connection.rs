//! One client connection: read what is there, cut all requests, run them in one call, write once.
//!
//! Promises: replies leave in the order of requests; a peer that does not read stops being read; one
//! that has not authenticated costs little and not for long. Knows no command.

use super::service::Service;
use super::stream::Stream;
use crate::resp::batch::BATCH_REQUESTS_MAX;
use crate::resp::{Batch, Limits, Parser, Protocol, ProtocolError, Writer};
use crate::session::outbox::Hold;
use crate::session::{Close, Outbox, Passage, SessionId, Stop};
use std::future::{Future, poll_fn};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Sleep;

const READ_BYTES: usize = 16 * 1024;
/// Buffers that grew beyond this are given back when they are empty.
const IDLE_BYTES_MAX: usize = 64 * 1024;
/// Read ahead of a blocked request, to notice when the peer leaves.
const AHEAD_BYTES_MAX: usize = 64 * 1024;
const OUTPUT_BYTES_MAX_BEFORE_AUTH: usize = 1024;
const AUTH_DEADLINE: Duration = Duration::from_secs(10);
const REFUSAL_DEADLINE: Duration = Duration::from_secs(1);

/// How a connection came.
#[derive(Clone, Debug)]
pub enum Origin {
    Tcp(SocketAddr),
    /// Over the socket at that path.
    Unix(Arc<str>),
}

/// Serves a connection until it ends.
pub async fn serve(mut stream: Stream, origin: Origin, service: Arc<impl Service>) {
    let outbox = Arc::new(Outbox::default());
    let (peer, opened) = match &origin {
        Origin::Tcp(peer) => {
            let Ok(local) = stream.local_addr() else { return };
            (*peer, service.open(*peer, local, outbox.clone()))
        }
        Origin::Unix(path) => ((Ipv4Addr::LOCALHOST, 0).into(), service.open_unix(path, outbox.clone())),
    };
    match opened {
        Ok((id, authenticated)) => {
            let mut connection = Connection {
                service: service.clone(),
                stream,
                peer,
                id,
                outbox,
                parser: Parser::default(),
                batch: Batch::default(),
                input: Vec::new(),
                out: Vec::new(),
                written: 0,
                gated: None,
                gave_way: false,
                authenticated,
                fresh: true,
                blocked: false,
                closing: false,
                deadline: (!authenticated).then(|| Box::pin(tokio::time::sleep(AUTH_DEADLINE))),
            };
            let end = connection.run().await;
            service.close(id);
            if matches!(end, Err(End::Adopt)) {
                service.adopt(connection.stream, peer, connection.input);
            }
        }
        Err(refusal) => {
            let text = refusal.to_string();
            let refuse = async {
                stream.write_all(text.as_bytes()).await?;
                stream.shutdown().await
            };
            let _ = tokio::time::timeout(REFUSAL_DEADLINE, refuse).await;
        }
    }
}

struct Connection<S> {
    service: Arc<S>,
    stream: Stream,
    peer: SocketAddr,
    id: SessionId,
    outbox: Arc<Outbox>,
    parser: Parser,
    batch: Batch,
    input: Vec<u8>,
    out: Vec<u8>,
    /// Of `out`, already sent.
    written: usize,
    /// What is in `out` acknowledges writes, and waits for this.
    gated: Option<Hold>,
    /// What is in `out` let others run before it is written.
    gave_way: bool,
    authenticated: bool,
    /// Nothing was run yet: it may still be no client at all.
    fresh: bool,
    blocked: bool,
    closing: bool,
    deadline: Option<Pin<Box<Sleep>>>,
}

/// Why a connection ends at once.
enum End {
    Broken,
    /// Its first bytes were the preface.
    Adopt,
}

enum Event {
    Read(usize),
    Outbox,
}

impl<S: Service> Connection<S> {
    async fn run(&mut self) -> Result<(), End> {
        loop {
            match self.next().await? {
                Event::Read(0) => return Ok(()),
                Event::Read(_) => self.requests().await?,
                Event::Outbox => {
                    if self.drain_outbox()? {
                        self.requests().await?;
                    }
                }
            }
            self.flush().await?;
            if self.closing {
                let _ = self.stream.shutdown().await;
                return Ok(());
            }
        }
    }

    /// Waits for bytes of the peer or of the outbox.
    async fn next(&mut self) -> Result<Event, End> {
        let Self { stream, outbox, input, deadline, blocked, .. } = self;
        poll_fn(|context| {
            if outbox.poll_pending(context).is_ready() {
                return Poll::Ready(Ok(Event::Outbox));
            }
            if let Some(deadline) = deadline
                && deadline.as_mut().poll(context).is_ready()
            {
                return Poll::Ready(Err(End::Broken));
            }
            if *blocked && input.len() >= AHEAD_BYTES_MAX {
                return Poll::Pending;
            }
            // A request that is still incomplete makes the buffer grow by doubling.
            input.reserve(READ_BYTES.max(input.len()));
            match pin!(stream.read_buf(input)).poll(context) {
                Poll::Ready(Ok(count)) => Poll::Ready(Ok(Event::Read(count))),
                Poll::Ready(Err(_)) => Poll::Ready(Err(End::Broken)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// Whether the session goes on with requests that wait.
    fn drain_outbox(&mut self) -> Result<bool, End> {
        let drained = self.outbox.drain(&mut self.out);
        self.gated = Hold::join(self.gated, drained.gated);
        match drained.close {
            Some(Close::Now) => return Err(End::Broken),
            Some(Close::AfterFlush) => self.closing = true,
            None => {}
        }
        self.blocked &= !drained.resumed;
        Ok(drained.resumed)
    }

    /// Runs all requests that stand complete in the buffer.
    async fn requests(&mut self) -> Result<(), End> {
        if self.fresh && self.is_preface()? {
            return Ok(());
        }
        while !self.blocked && !self.closing && !self.input.is_empty() {
            let (limits, max) = if self.authenticated {
                (self.service.limits(), BATCH_REQUESTS_MAX)
            } else {
                (Limits::BEFORE_AUTH, 1)
            };
            let cut = self.batch.fill(&mut self.parser, &self.input, &limits, max);
            let all_ran = self.batch.is_empty() || self.run_batch().await?;
            match cut {
                Err(error) if self.batch.is_empty() => self.malformed(&error),
                Ok(()) if all_ran && self.batch.len() < max => break,
                _ => {}
            }
        }
        if self.input.is_empty() && self.input.capacity() > IDLE_BYTES_MAX {
            self.input = Vec::new();
        }
        Ok(())
    }

    /// Whether none of the batch is left for later.
    async fn run_batch(&mut self) -> Result<bool, End> {
        let turn = self.service.run(self.id, &self.batch, &self.input, &mut self.out);
        self.gated = Hold::join(self.gated, turn.gated);
        self.input.drain(..self.batch.bytes_of(turn.executed));
        if turn.executed < self.batch.len() || turn.stop != Stop::No {
            // The parser stands behind requests that were not run: it begins again.
            self.parser = Parser::default();
        }
        if turn.authenticated != self.authenticated {
            self.authenticated = turn.authenticated;
            self.deadline = (!turn.authenticated).then(|| Box::pin(tokio::time::sleep(AUTH_DEADLINE)));
        }
        match turn.stop {
            Stop::No => {}
            Stop::Yield => self.flush().await?,
            Stop::Blocked => self.blocked = true,
            Stop::Close => self.closing = true,
        }
        if !self.authenticated && self.out.len() > OUTPUT_BYTES_MAX_BEFORE_AUTH {
            let ready = poll_fn(|context| Poll::Ready(self.poll_flush(context))).await;
            let over = self.out.len() - self.written > OUTPUT_BYTES_MAX_BEFORE_AUTH;
            if matches!(ready, Poll::Ready(Err(_))) || over {
                return Err(End::Broken);
            }
        }
        Ok(turn.executed == self.batch.len())
    }

    /// Whether the bytes so far may still become the preface; ends when they have.
    fn is_preface(&mut self) -> Result<bool, End> {
        let Some(preface) = self.service.preface() else {
            self.fresh = false;
            return Ok(false);
        };
        if self.input.starts_with(preface) {
            return Err(End::Adopt);
        }
        let waiting = preface.starts_with(&self.input);
        self.fresh = waiting;
        Ok(waiting)
    }

    fn malformed(&mut self, error: &ProtocolError) {
        self.closing = true;
        let said = error.to_string();
        if matches!(error, ProtocolError::Http | ProtocolError::Tls) {
            // No answer: a forged request must not learn that it was understood.
            self.service.suspect(self.peer, &said);
        } else {
            Writer::new(&mut self.out, Protocol::Resp2).error(&format!("ERR {said}"));
        }
    }

    /// Writes all that waits, when the others that stand ready on this thread have run: they may need the log
    /// written as well, and one who serves many sockets (a proxy, a pool) wakes up once for many answers.
    async fn flush(&mut self) -> Result<(), End> {
        if self.out.is_empty() {
            return Ok(());
        }
        poll_fn(|context| {
            if self.gave_way {
                return Poll::Ready(());
            }
            self.gave_way = true;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        poll_fn(|context| self.poll_flush(context)).await
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), End>> {
        loop {
            // What has left needs no passage: asked about that, one who stood still after his last answer would
            // wait for a lease, and so would everything that his client asks next.
            let has_left = self.written == self.out.len() && !self.stream.holds_back();
            if let Some(hold) = self.gated.filter(|_| !has_left) {
                match self.service.passage(hold) {
                    Passage::Open => {}
                    Passage::Never => return Poll::Ready(Err(End::Broken)),
                    passage => {
                        if passage == Passage::Unwritten {
                            self.service.write_log();
                            if self.service.passage(hold) == Passage::Open {
                                continue;
                            }
                        }
                        self.service.on_passage(context.waker());
                        // Asked again: it may have opened before the waker was known.
                        if matches!(self.service.passage(hold), Passage::Wait | Passage::Unwritten) {
                            return self.poll_outbox_closed(context);
                        }
                        continue;
                    }
                }
            }
            if self.written < self.out.len() {
                match Pin::new(&mut self.stream).poll_write(context, &self.out[self.written..]) {
                    Poll::Ready(Ok(count)) if count > 0 => self.written += count,
                    Poll::Ready(_) => return Poll::Ready(Err(End::Broken)),
                    Poll::Pending => return self.poll_outbox_closed(context),
                }
            } else {
                // What TLS holds back has not left, so the passage was asked before this too.
                match Pin::new(&mut self.stream).poll_flush(context) {
                    Poll::Ready(Ok(())) => break,
                    Poll::Ready(Err(_)) => return Poll::Ready(Err(End::Broken)),
                    Poll::Pending => return self.poll_outbox_closed(context),
                }
            }
        }
        self.written = 0;
        self.gated = None;
        self.gave_way = false;
        if self.out.capacity() > IDLE_BYTES_MAX {
            self.out = Vec::new();
        } else {
            self.out.clear();
        }
        Poll::Ready(Ok(()))
    }

    /// Who cannot be written to may have to go meanwhile: too much waits, or it was killed.
    fn poll_outbox_closed(&self, context: &mut Context<'_>) -> Poll<Result<(), End>> {
        self.outbox.poll_closed(context).map(|()| Err(End::Broken))
    }
}
