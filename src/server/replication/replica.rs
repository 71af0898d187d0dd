//! One replica that takes its stream from this server.

use crate::model::{Address, Epoch, Offset};
use crate::session::{Close, Outbox, SessionId};
use crate::stdx::time::{Duration, Instant};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Introducing itself with REPLCONF.
    Handshake,
    /// Asked for the whole data set; a walk that it can share has not begun.
    WaitingImage,
    /// Reading the image from this chunk on.
    Image {
        next_chunk: u64,
    },
    /// Has the whole image; says so with its first ACK, or what follows could be taken for image.
    Loading,
    Online,
}

impl Phase {
    /// As INFO names it.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Handshake | Phase::WaitingImage => "wait_bgsave",
            Phase::Image { .. } | Phase::Loading => "send_bulk",
            Phase::Online => "online",
        }
    }
}

/// What an image without keys holds: `REPLCONF rdb-filter-only`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutKeys {
    Functions,
    Nothing,
}

/// `client-output-buffer-limit replica`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimit {
    /// 0: none.
    pub hard_bytes: usize,
    pub soft_bytes: usize,
    pub soft_period: Duration,
}

#[derive(Debug)]
pub struct Replica {
    pub session: SessionId,
    outbox: Arc<Outbox>,
    /// Where others reach it, as it said or as it came.
    pub address: Address,
    pub takes_eof_mark: bool,
    pub takes_new_id: bool,
    /// Asked with SYNC: no line that names the stream comes before its image.
    pub is_of_old: bool,
    /// No replica but the reader of one image, whose connection ends with it.
    pub reads_image_only: bool,
    /// Of the image it gets no keys, and of the functions what this says.
    pub without_keys: Option<WithoutKeys>,
    pub version: String,
    /// The epoch it showed in its handshake.
    pub epoch: Option<Epoch>,
    pub phase: Phase,
    /// When it asked for all data.
    pub asked_at: Instant,
    /// Stream bytes that wait until the image is through.
    held: VecDeque<Bytes>,
    held_bytes: usize,
    pub acked: Offset,
    /// On its disk, as it says; `None`: it keeps no log.
    pub synced: Option<Offset>,
    /// When it last said anything.
    pub heard_at: Instant,
    /// When the newest byte that it acknowledged was produced (as far as stamped).
    pub fresh_at: Option<Instant>,
    over_soft_since: Option<Instant>,
    pub is_closed: bool,
}

impl Replica {
    pub fn new(session: SessionId, outbox: Arc<Outbox>, address: Address, now: Instant) -> Self {
        Replica {
            session,
            outbox,
            address,
            takes_eof_mark: false,
            takes_new_id: false,
            is_of_old: false,
            reads_image_only: false,
            without_keys: None,
            version: String::new(),
            epoch: None,
            phase: Phase::Handshake,
            asked_at: now,
            held: VecDeque::new(),
            held_bytes: 0,
            acked: 0,
            synced: None,
            heard_at: now,
            fresh_at: None,
            over_soft_since: None,
            is_closed: false,
        }
    }

    pub fn is_online(&self) -> bool {
        self.phase == Phase::Online && !self.is_closed
    }

    /// Everything that may come after it asked for a sync.
    pub fn is_attached(&self) -> bool {
        self.phase != Phase::Handshake && !self.is_closed
    }

    /// Bytes that wait for it here.
    pub fn waiting_bytes(&self) -> usize {
        self.held_bytes + self.outbox.len()
    }

    pub fn outbox_bytes(&self) -> usize {
        self.outbox.len()
    }

    /// Puts bytes on its connection.
    pub fn send(&mut self, bytes: Bytes, limit: &OutputLimit) {
        let max = if limit.hard_bytes == 0 { usize::MAX } else { limit.hard_bytes };
        self.outbox.push(bytes, max);
        self.is_closed |= self.outbox.is_closed_now();
    }

    /// The next bytes of the stream: on their way at once, or kept behind the image.
    pub fn stream(&mut self, bytes: &Bytes, limit: &OutputLimit) {
        match self.phase {
            _ if self.reads_image_only => {}
            Phase::Online => self.send(bytes.clone(), limit),
            Phase::Image { .. } | Phase::Loading => {
                self.held_bytes += bytes.len();
                self.held.push_back(bytes.clone());
                if limit.hard_bytes != 0 && self.waiting_bytes() > limit.hard_bytes {
                    self.close();
                }
            }
            Phase::Handshake | Phase::WaitingImage => {}
        }
    }

    /// From now on the stream flows.
    pub fn go_online(&mut self, limit: &OutputLimit) {
        self.phase = Phase::Online;
        self.held_bytes = 0;
        for bytes in std::mem::take(&mut self.held) {
            self.send(bytes, limit);
        }
    }

    /// The image is through. Who wanted nothing else is sent home; with a mark at its end, the stream
    /// waits for a first acknowledgement.
    pub fn has_image(&mut self, limit: &OutputLimit) {
        if self.reads_image_only {
            self.outbox.close(Close::AfterFlush);
            self.is_closed = true;
        } else if self.takes_eof_mark {
            self.phase = Phase::Loading;
        } else {
            self.go_online(limit);
        }
    }

    /// Cuts it off; what waits for it is freed. It may come back and go on from the backlog.
    pub fn close(&mut self) {
        self.outbox.close(Close::Now);
        self.is_closed = true;
        self.held = VecDeque::new();
        self.held_bytes = 0;
    }

    /// Closes it when it was over the soft limit for too long; says whether it did.
    pub fn check_soft_limit(&mut self, now: Instant, limit: &OutputLimit) -> bool {
        if limit.soft_bytes == 0 || self.waiting_bytes() <= limit.soft_bytes {
            self.over_soft_since = None;
            return false;
        }
        let since = *self.over_soft_since.get_or_insert(now);
        let over = now - since >= limit.soft_period;
        if over {
            self.close();
        }
        over
    }
}
