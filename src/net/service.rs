//! What stands behind a listener, as a connection sees it. The data server and the sentinel each
//! have one; connections, threads and listeners are the same for both.

use super::stream::Stream;
use crate::resp::{Batch, Limits};
use crate::session::outbox::Hold;
use crate::session::{Outbox, Passage, Refusal, SessionId, Turn};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Waker;

pub trait Service: Send + Sync + 'static {
    /// A connection came: its session and whether it may speak already, or why it is not taken.
    fn open(
        &self,
        peer: SocketAddr,
        local: SocketAddr,
        outbox: Arc<Outbox>,
    ) -> Result<(SessionId, bool), Refusal>;

    /// The same for one that came over the socket in the file system at `path`.
    fn open_unix(&self, _path: &Arc<str>, _outbox: Arc<Outbox>) -> Result<(SessionId, bool), Refusal> {
        Err(Refusal::Protected)
    }

    /// Runs the requests of `batch`, cut from `buffer`; what was in the session's outbox goes before
    /// their replies. How late replies come: through the outbox.
    fn run(&self, id: SessionId, batch: &Batch, buffer: &[u8], out: &mut Vec<u8>) -> Turn;

    /// The connection is gone.
    fn close(&self, id: SessionId);

    /// What one request of an authenticated session may hold.
    fn limits(&self) -> Limits {
        Limits::AFTER_AUTH
    }

    /// A connection that was waiting to be accepted could not be.
    fn cannot_accept(&self, _error: &std::io::Error) {}

    /// Asked right before replies that acknowledge writes leave.
    fn passage(&self, _: Hold) -> Passage {
        Passage::Open
    }

    /// Hands to the kernel what [`Passage::Unwritten`] waits for, as far as that works now.
    fn write_log(&self) {}

    /// Wakes when an answer of [`Service::passage`] may have changed.
    fn on_passage(&self, _: &Waker) {}

    /// First bytes of a connection that is no client's (a peer link).
    fn preface(&self) -> Option<&'static [u8]> {
        None
    }

    /// Takes over a connection that began with the preface; `read` is what arrived so far.
    fn adopt(&self, _stream: Stream, _peer: SocketAddr, _read: Vec<u8>) {}

    /// For the log: what a peer did that no client does.
    fn suspect(&self, peer: SocketAddr, what: &str);
}
