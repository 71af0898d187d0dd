//! The bytes of the log: what a turn did, as commands. SELECT is its own, not the replication
//! stream's; MULTI and EXEC stand around what came together; words between servers are not in it.
//!
//! When a history is kept, a turn ends with a line that says how much of it the log now stands for:
//! `#P:<offset>:<db>`, and `#H:<replication id>` before the first one of a file. Readers pass over
//! lines that begin with `#`, Redis' own among them.

use super::{Aof, State};
use crate::model::Offset;
use crate::resp::encode;
use crate::server::Server;
use crate::stdx::time::Now;

/// Stretches that are told apart for acknowledgements; beyond it the newest two become one.
const STAMPS_MAX: usize = 4096;
/// A buffer that grew beyond this is given back.
const IDLE_BYTES_MAX: usize = 1 << 20;

impl Aof {
    /// Whether what happens now is written down.
    fn is_fed(&self) -> bool {
        match self.state {
            State::Off => false,
            State::On => true,
            // What happens before the base is begun will be in it.
            State::Waiting => self.rewrite.is_valid(),
        }
    }

    fn put(&mut self, argv: &[&[u8]]) {
        let from = self.fresh.len();
        encode::command(&mut self.fresh, argv);
        self.fed += (self.fresh.len() - from) as u64;
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        use std::io::Write;
        let from = self.fresh.len();
        // A vector takes all that is written to it.
        let _ = write!(self.fresh, "{line}\r\n");
        self.fed += (self.fresh.len() - from) as u64;
    }

    /// One command that ran in `db`; `in_exec`: together with others.
    pub fn feed(&mut self, db: usize, argv: &[&[u8]], in_exec: bool) {
        if !self.is_fed() {
            return;
        }
        if in_exec && !self.opened {
            self.opened = true;
            self.put(&[b"MULTI"]);
        }
        if self.selected != Some(db) {
            self.put(&[b"SELECT", itoa::Buffer::new().format(db).as_bytes()]);
            self.selected = Some(db);
        }
        self.put(argv);
    }

    pub fn end_exec(&mut self) {
        if std::mem::take(&mut self.opened) && self.is_fed() {
            self.put(&[b"EXEC"]);
        }
    }

    /// A new file begins: its reader knows nothing.
    pub(super) fn forget_reader(&mut self) {
        self.selected = None;
        self.history = None;
    }

    /// How much of the stream is on the disk for certain.
    pub(super) fn synced_offset(&mut self, durable: u64) -> Offset {
        while let Some(&(position, offset)) = self.stamps.front()
            && position <= durable
        {
            self.synced_offset = offset;
            self.stamps.pop_front();
        }
        self.synced_offset
    }

    fn stamp(&mut self, offset: Offset) {
        let full = self.stamps.len() >= STAMPS_MAX;
        match self.stamps.back_mut() {
            Some(last) if last.0 == self.fed || full => *last = (self.fed, offset),
            _ => self.stamps.push_back((self.fed, offset)),
        }
    }
}

impl Server {
    /// The end of a turn: its bytes go to the writer.
    pub(in crate::server) fn flush_log(&mut self, now: Now) {
        let aof = &mut self.aof;
        if aof.state == State::Off {
            return;
        }
        let stream = &self.replication.stream;
        if !aof.fresh.is_empty() {
            if stream.is_active() {
                if aof.history.as_ref() != Some(stream.replid()) {
                    aof.history = Some(stream.replid().clone());
                    aof.line(format_args!("#H:{}", stream.replid()));
                }
                let db = self.replication.stream_db();
                aof.line(format_args!("#P:{}:{db}", stream.offset()));
            }
            let now_s = now.wall.as_millis() / 1000;
            if self.config.aof.timestamps && now_s > aof.stamped_s {
                aof.stamped_s = now_s;
                let line = format!("#TS:{now_s}\r\n");
                aof.fed += line.len() as u64;
                aof.queue.push(line.as_bytes());
            }
            aof.queue.push(&aof.fresh);
            aof.fresh.clear();
            aof.fresh.shrink_to(IDLE_BYTES_MAX);
        }
        if stream.is_active() && aof.is_fed() {
            aof.stamp(stream.offset());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(aof: &Aof) -> String {
        String::from_utf8_lossy(&aof.fresh).replace("\r\n", " ")
    }

    #[test]
    fn a_transaction_stands_between_multi_and_exec_and_a_database_is_named_once() {
        let mut aof = Aof { state: State::On, ..Aof::default() };
        aof.feed(0, &[b"DEL", b"a"], false);
        aof.feed(0, &[b"DEL", b"b"], true);
        aof.feed(2, &[b"DEL", b"c"], true);
        aof.end_exec();
        aof.end_exec();
        let words: Vec<String> =
            text(&aof).split(' ').filter(|word| !word.starts_with(['*', '$'])).map(str::to_owned).collect();
        assert_eq!(words.join(" ").trim(), "SELECT 0 DEL a MULTI DEL b SELECT 2 DEL c EXEC",);
        assert_eq!(aof.position(), aof.fresh.len() as u64);
        aof.forget_reader();
        aof.feed(2, &[b"DEL", b"c"], false);
        assert_eq!(text(&aof).matches("SELECT").count(), 3, "a new file begins with one");
    }

    #[test]
    fn nothing_is_written_down_that_the_base_to_come_will_hold() {
        let mut aof = Aof::default();
        aof.feed(0, &[b"DEL", b"a"], false);
        aof.state = State::Waiting;
        aof.feed(0, &[b"DEL", b"a"], true);
        aof.end_exec();
        assert_eq!(aof.position(), 0);
    }

    #[test]
    fn the_synced_offset_follows_the_disk_and_never_runs_ahead() {
        let mut aof = Aof { state: State::On, ..Aof::default() };
        for turn in 1..=5000 {
            aof.fed = turn * 10;
            aof.stamp(turn * 100);
        }
        assert!(aof.stamps.len() <= STAMPS_MAX);
        assert_eq!(aof.synced_offset(9), 0);
        assert_eq!(aof.synced_offset(25), 200);
        assert_eq!(aof.synced_offset(49_999), 409_500);
        assert_eq!(aof.synced_offset(50_000), 500_000);
    }
}
