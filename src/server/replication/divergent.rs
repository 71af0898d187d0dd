//! Writes that only this server has: a former master whose history was continued elsewhere keeps what
//! it wrote behind the fork in a file of its own before it is resynced, and says what and how much.
//!
//! Promises: the file is asked for before the new master is followed, and the shell carries out in
//! order; words between servers (PING, GETACK) are no writes and are not counted; what is no longer in
//! the backlog is taken from the last snapshot when that holds all of it, and otherwise said to be
//! gone. Has never heard of files.

use crate::model::{Offset, ReplId};
use crate::resp::{Batch, Limits, Parser, encode};
use crate::server::{Action, Level, Server};
use crate::stdx::time::Now;

/// Where this server's history was continued by another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fork {
    pub history: ReplId,
    pub offset: Offset,
}

/// What is to be kept.
#[derive(Debug)]
pub enum Content {
    /// Commands, as a client would send them.
    Commands(Vec<u8>),
    /// The snapshot on disk is what memory holds.
    Snapshot,
}

/// What became of it, as INFO says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diverged {
    pub fork: Fork,
    pub to: Offset,
    /// `None`: a whole snapshot, in which they are not told apart.
    pub commands: Option<usize>,
    /// Of writes; of a snapshot, all bytes of the stream behind the fork.
    pub bytes: u64,
    /// Empty: there was nothing to keep, or it could not be kept.
    pub file: String,
}

impl std::fmt::Display for Diverged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Diverged { fork, to, bytes, file, .. } = self;
        let commands = self.commands.map_or_else(|| "?".to_owned(), |count| count.to_string());
        let Fork { history, offset } = fork;
        write!(f, "replid={history},from={offset},to={to},commands={commands},bytes={bytes},file={file}")
    }
}

/// The writes of a piece of the stream, and how many. `None`: it does not begin at a command.
fn writes(stream: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut batch = Batch::default();
    batch.fill(&mut Parser::default(), stream, &Limits::AFTER_AUTH, usize::MAX).ok()?;
    let (mut kept, mut count) = (Vec::new(), 0);
    for index in 0..batch.len() {
        let argv = batch.argv(index, stream);
        let is = |name: &[u8]| argv.first().is_some_and(|word| word.eq_ignore_ascii_case(name));
        if is(b"ping") || is(b"replconf") {
            continue;
        }
        count += usize::from(!is(b"select") && !is(b"multi") && !is(b"exec"));
        encode::command(&mut kept, &argv);
    }
    Some((kept, count))
}

impl Server {
    /// Called before a new master is followed: what stands behind the fork goes to a file.
    pub(in crate::server) fn keep_divergent(&mut self, fork: &Fork) {
        let stream = &self.replication.stream;
        let to = stream.offset();
        if *stream.replid() != fork.history || to <= fork.offset {
            return;
        }
        let tail = stream.backlog().and_then(|backlog| backlog.since(fork.offset));
        let name = |ending: &str| {
            let history: String = fork.history.as_str().chars().take(12).collect();
            format!("divergent-{history}-{}-{to}.{ending}", fork.offset)
        };
        let mut report = Diverged {
            fork: fork.clone(),
            to,
            commands: Some(0),
            bytes: to - fork.offset,
            file: String::new(),
        };
        let content = match tail.as_deref().and_then(writes) {
            Some((_, 0)) => {
                report.bytes = 0;
                self.replication.diverged = Some(report);
                return;
            }
            Some((kept, count)) => {
                report.commands = Some(count);
                report.bytes = kept.len() as u64;
                report.file = name("resp");
                Content::Commands(kept)
            }
            None if self.stats.dirty == 0 => {
                report.commands = None;
                report.file = name("rdb");
                Content::Snapshot
            }
            None => {
                self.log(
                    Level::Error,
                    format!(
                        "{} bytes that only this server has are neither in the backlog nor in a snapshot and go with the resync; a larger repl-backlog-size would have kept them",
                        report.bytes
                    ),
                );
                self.replication.diverged = Some(report);
                return;
            }
        };
        self.actions.push(Action::KeepDivergent { report, content });
    }

    /// The file is on disk, or could not be written.
    pub(in crate::server) fn divergent_kept(
        &mut self,
        _: Now,
        mut report: Diverged,
        result: Result<(), String>,
    ) {
        match result {
            Ok(()) => self.log(
                Level::Warning,
                format!(
                    "{} bytes of writes that only this server has are kept in {}",
                    report.bytes, report.file
                ),
            ),
            Err(why) => {
                self.log(
                    Level::Error,
                    format!("{} bytes of writes that only this server has are lost: {why}", report.bytes),
                );
                report.file.clear();
            }
        }
        self.replication.diverged = Some(report);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_between_servers_are_no_writes() {
        let mut stream = Vec::new();
        encode::command(&mut stream, &["PING"]);
        encode::command(&mut stream, &["REPLCONF", "GETACK", "*"]);
        assert_eq!(writes(&stream).unwrap().1, 0);
        encode::command(&mut stream, &["SELECT", "3"]);
        encode::command(&mut stream, &["SET", "a", "1"]);
        encode::command(&mut stream, &["REPLCONF", "GETACK", "*"]);
        encode::command(&mut stream, &["DEL", "b"]);
        let (kept, count) = writes(&stream).unwrap();
        assert_eq!(count, 2);
        let text = String::from_utf8(kept).unwrap();
        assert!(text.contains("SELECT") && text.contains("DEL") && !text.contains("GETACK"));
        assert!(writes(b"*1\r\n$-7\r\n").is_none());
    }
}
