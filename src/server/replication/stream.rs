//! The one stream of writes: who it belongs to (replication ids), how long it is (offset), and its
//! newest bytes. A master makes its bytes; a replica repeats its master's, unchanged, so offsets
//! mean the same on every node of a chain.

use super::backlog::Backlog;
use crate::model::{Offset, ReplId};
use crate::resp::encode;

/// What a replica that knows `replid` and wants the bytes after its first `offset` gets.
#[derive(Debug, PartialEq, Eq)]
pub enum Resume {
    /// These bytes, then the live stream.
    Continue(Vec<u8>),
    /// The whole data set.
    Full,
}

#[derive(Debug)]
pub struct Stream {
    replid: ReplId,
    /// The history before the last promotion, valid for the first `second_offset` bytes.
    replid2: Option<(ReplId, Offset)>,
    /// Bytes ever produced.
    offset: Offset,
    /// `None` until somebody may ask for the stream: a lone server pays nothing for it.
    backlog: Option<Backlog>,
    backlog_bytes: usize,
    /// The database that a reader of the stream has selected; `None`: unknown, say it again.
    selected: Option<usize>,
    /// Produced, not yet taken by [`Stream::take_fresh`].
    fresh: Vec<u8>,
}

impl Stream {
    pub fn new(replid: ReplId, backlog_bytes: usize) -> Self {
        Stream {
            replid,
            replid2: None,
            offset: 0,
            backlog: None,
            backlog_bytes,
            selected: None,
            fresh: Vec::new(),
        }
    }

    pub fn replid(&self) -> &ReplId {
        &self.replid
    }

    pub fn replid2(&self) -> Option<&(ReplId, Offset)> {
        self.replid2.as_ref()
    }

    pub fn offset(&self) -> Offset {
        self.offset
    }

    pub fn backlog(&self) -> Option<&Backlog> {
        self.backlog.as_ref()
    }

    /// Bytes that the backlog holds now.
    pub fn backlog_used(&self) -> usize {
        self.backlog.as_ref().map_or(0, Backlog::len)
    }

    pub fn backlog_bytes(&self) -> usize {
        self.backlog_bytes
    }

    pub fn resize_backlog(&mut self, bytes: usize) {
        self.backlog_bytes = bytes;
        if let Some(backlog) = &mut self.backlog {
            backlog.resize(bytes);
        }
    }

    /// The database that a reader of the stream has selected; `None`: it will be told.
    pub fn selected(&self) -> Option<usize> {
        self.selected
    }

    pub fn is_active(&self) -> bool {
        self.backlog.is_some()
    }

    /// Begins to keep the stream. A history that went unrecorded until now is named anew, or a
    /// replica of an earlier time could go on as if nothing was missing.
    pub fn activate(&mut self, fresh_id: impl FnOnce() -> ReplId) {
        if self.backlog.is_none() {
            self.replid = fresh_id();
            self.replid2 = None;
            self.begin_backlog();
        }
    }

    /// Begins to keep a stream whose id and offset are known to be true: loaded from disk, or
    /// supervised from the first byte.
    pub fn activate_as_is(&mut self) {
        if self.backlog.is_none() {
            self.begin_backlog();
        }
    }

    fn begin_backlog(&mut self) {
        self.backlog = Some(Backlog::new(self.backlog_bytes, self.offset));
        self.selected = None;
    }

    /// A write, made here. Nothing is recorded while nobody may ask for it.
    pub fn command(&mut self, db: usize, argv: &[impl AsRef<[u8]>]) {
        if self.backlog.is_none() {
            return;
        }
        let from = self.fresh.len();
        if self.selected != Some(db) {
            encode::command(&mut self.fresh, &[&b"SELECT"[..], itoa::Buffer::new().format(db).as_bytes()]);
            self.selected = Some(db);
        }
        encode::command(&mut self.fresh, argv);
        self.record(from);
    }

    /// A word between servers (PING, REPLCONF GETACK): belongs to no database.
    pub fn control(&mut self, argv: &[&[u8]]) {
        if self.backlog.is_none() {
            return;
        }
        let from = self.fresh.len();
        encode::command(&mut self.fresh, argv);
        self.record(from);
    }

    /// Bytes of our own master, unchanged.
    pub fn repeat(&mut self, bytes: &[u8]) {
        let from = self.fresh.len();
        self.fresh.extend_from_slice(bytes);
        self.record(from);
    }

    fn record(&mut self, from: usize) {
        let bytes = &self.fresh[from..];
        self.offset += bytes.len() as u64;
        if let Some(backlog) = &mut self.backlog {
            backlog.append(bytes);
        }
    }

    /// What was produced since the last call, for the replicas' connections.
    pub fn take_fresh(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.fresh)
    }

    pub fn has_fresh(&self) -> bool {
        !self.fresh.is_empty()
    }

    /// An image is about to be taken: whoever loads it has selected nothing.
    pub fn forget_selected(&mut self) {
        self.selected = None;
    }

    /// Answers PSYNC: `wanted` is the number of the first byte the replica lacks, counted from 1.
    pub fn resume(&self, replid: &str, wanted: Offset) -> Resume {
        let Some(have) = wanted.checked_sub(1) else { return Resume::Full };
        let ours = replid == self.replid.as_str()
            || self.replid2.as_ref().is_some_and(|(id, upto)| replid == id.as_str() && have <= *upto);
        match self.backlog.as_ref().filter(|_| ours).and_then(|backlog| backlog.since(have)) {
            Some(bytes) => Resume::Continue(bytes),
            None => Resume::Full,
        }
    }

    /// This node becomes the master of a history of its own; what it holds belongs to both.
    pub fn fork(&mut self, replid: ReplId) {
        let old = std::mem::replace(&mut self.replid, replid);
        self.replid2 = Some((old, self.offset));
        // Written bytes end where the old master's ended: it may have been inside another database.
        self.selected = None;
    }

    /// Our master was promoted: same bytes, new name (PSYNC answered `+CONTINUE <other id>`).
    pub fn rename(&mut self, replid: ReplId) {
        if self.replid != replid {
            self.fork(replid);
        }
    }

    /// A whole data set was taken over: its history and position are ours now.
    pub fn adopt(&mut self, replid: ReplId, offset: Offset) {
        self.replid = replid;
        self.replid2 = None;
        self.offset = offset;
        self.fresh.clear();
        self.begin_backlog();
    }

    /// Nobody is expected to ask for it: its bytes are given back, and what follows is unrecorded.
    pub fn forget(&mut self, replid: ReplId) {
        self.replid = replid;
        self.replid2 = None;
        self.backlog = None;
        self.selected = None;
    }

    /// The history was lost (data loaded from elsewhere, flushed from outside): a new name.
    pub fn restart(&mut self, replid: ReplId) {
        self.adopt(replid, 0);
        self.backlog = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(letter: char) -> ReplId {
        ReplId::parse(&letter.to_string().repeat(40)).unwrap()
    }

    fn active() -> Stream {
        let mut stream = Stream::new(id('a'), 1000);
        stream.activate_as_is();
        stream
    }

    #[test]
    fn a_database_is_selected_only_when_it_changes() {
        let mut stream = active();
        stream.command(0, &["SET", "a", "1"]);
        stream.command(0, &["DEL", "a"]);
        stream.command(3, &["DEL", "a"]);
        let text = String::from_utf8(stream.take_fresh()).unwrap();
        assert_eq!(text.matches("SELECT").count(), 2);
        assert_eq!(stream.offset(), text.len() as u64);
    }

    #[test]
    fn a_lone_server_records_nothing_and_is_renamed_when_somebody_asks() {
        let mut stream = Stream::new(id('a'), 1000);
        stream.command(0, &["SET", "a", "1"]);
        assert_eq!(stream.offset(), 0);
        stream.activate(|| id('b'));
        assert_eq!(stream.resume(id('a').as_str(), 1), Resume::Full);
        assert_eq!(stream.resume(id('b').as_str(), 1), Resume::Continue(vec![]));
    }

    #[test]
    fn after_a_promotion_the_old_history_counts_only_up_to_the_fork() {
        let mut stream = active();
        stream.command(0, &["SET", "a", "1"]);
        let fork = stream.offset();
        stream.fork(id('b'));
        stream.command(0, &["SET", "b", "1"]);
        assert!(
            matches!(stream.resume(id('a').as_str(), fork + 1), Resume::Continue(bytes) if !bytes.is_empty())
        );
        assert!(matches!(stream.resume(id('a').as_str(), 1), Resume::Continue(_)));
        assert_eq!(stream.resume(id('a').as_str(), fork + 2), Resume::Full);
        assert!(matches!(stream.resume(id('b').as_str(), stream.offset() + 1), Resume::Continue(_)));
        assert_eq!(stream.resume(id('b').as_str(), stream.offset() + 2), Resume::Full);
        assert_eq!(stream.resume(id('c').as_str(), fork + 1), Resume::Full);
        assert_eq!(stream.resume("?", 0), Resume::Full);
    }

    #[test]
    fn repeated_bytes_keep_their_offsets() {
        let mut stream = active();
        stream.adopt(id('m'), 500);
        stream.repeat(b"*1\r\n$4\r\nPING\r\n");
        assert_eq!(stream.offset(), 514);
        assert_eq!(stream.resume(id('m').as_str(), 501), Resume::Continue(b"*1\r\n$4\r\nPING\r\n".to_vec()));
        assert_eq!(stream.resume(id('m').as_str(), 500), Resume::Full);
    }
}
