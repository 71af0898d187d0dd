//! SHUTDOWN: the orderly end, and how it is taken back. A master without a supervisor waits for its
//! replicas first, at most for `shutdown-timeout`, with writes held back; a supervised one does not,
//! for its sentinels know who has what, and every moment is one without a master.
//!
//! Promise: whoever asked hears about it if the process does not end.

use super::super::{Level, Server};
use crate::commands::CommandError;
use crate::resp::{Protocol, Writer};
use crate::server::replication::Role;
use crate::session::{Session, SessionId};
use crate::stdx::time::{Duration, Instant, Now};
use bytes::Bytes;

type Done = Result<(), CommandError>;

const FAILED: &str = "ERR Errors trying to SHUTDOWN. Check logs.";

/// An end that was asked for and has not come.
#[derive(Debug, Default)]
pub struct Ending {
    /// Replicas are waited for until then, and what follows is whether to save.
    awaits: Option<(Instant, Option<bool>)>,
    /// Nothing keeps it from ending.
    force: bool,
    /// Who asked.
    asked: Vec<SessionId>,
}

impl Ending {
    pub fn is_waiting(&self) -> bool {
        self.awaits.is_some()
    }

    pub fn is_forced(&self) -> bool {
        self.force
    }
}

#[derive(Default)]
struct Words {
    save: Option<bool>,
    now: bool,
    force: bool,
    abort: bool,
}

impl Words {
    fn parse(words: &[&[u8]]) -> Result<Words, CommandError> {
        let mut all = Words::default();
        for word in words {
            match word.to_ascii_lowercase().as_slice() {
                b"nosave" if all.save != Some(true) => all.save = Some(false),
                b"save" if all.save != Some(false) => all.save = Some(true),
                b"now" => all.now = true,
                b"force" => all.force = true,
                b"abort" => all.abort = true,
                _ => return Err(CommandError::Syntax),
            }
        }
        if all.abort && (all.save.is_some() || all.now || all.force) {
            return Err(CommandError::Syntax);
        }
        Ok(all)
    }
}

pub(super) fn shutdown(
    s: &mut Server,
    c: &mut Session,
    now: Now,
    argv: &[&[u8]],
    out: &mut Writer<'_>,
) -> Done {
    let words = Words::parse(&argv[1..])?;
    if words.abort {
        if !s.admin.ending.is_waiting() && !s.admin.snapshot.is_ending() {
            return Err("ERR No shutdown in progress.".into());
        }
        s.log(Level::Info, format!("the shutdown is taken back by {}", c.peer_text()));
        s.take_back_shutdown(now);
        out.ok();
        return Ok(());
    }
    s.log(Level::Info, format!("SHUTDOWN asked for by {}", c.peer_text()));
    // No reply: the connection ends with the process.
    s.block(c);
    s.admin.ending.asked.push(c.id);
    s.admin.ending.force |= words.force;
    s.begin_ending(now, words.save, words.now);
    Ok(())
}

impl Server {
    /// `at_once`: replicas are not waited for.
    pub(in crate::server) fn begin_ending(&mut self, now: Now, save: Option<bool>, at_once: bool) {
        let timeout = Duration::from_secs(self.config.stock.shutdown_timeout_s);
        let waits = !at_once && !self.loading && !timeout.is_zero() && self.has_replicas_behind();
        if !waits || self.admin.snapshot.is_ending() {
            self.admin.ending.awaits = None;
            return self.shut_down(now, save);
        }
        if self.admin.ending.is_waiting() {
            return;
        }
        let until = now.mono + timeout;
        self.admin.ending.awaits = Some((until, save));
        // A little longer than that: what follows pauses anew.
        self.hub.pause(until + Duration::from_secs(1), true);
        self.log(
            Level::Info,
            format!("replicas are waited for, up to {} s (SHUTDOWN NOW does not)", timeout.as_secs()),
        );
    }

    fn has_replicas_behind(&self) -> bool {
        let replication = &self.replication;
        let offset = replication.stream.offset();
        matches!(replication.role, Role::Master)
            && !self.is_supervised()
            && replication.replicas.online().any(|replica| replica.acked < offset)
    }

    /// To be called several times a second.
    pub(in crate::server) fn go_on_ending(&mut self, now: Now) {
        let Some((until, save)) = self.admin.ending.awaits else { return };
        let behind = self.has_replicas_behind();
        if behind && now.mono < until {
            return;
        }
        if behind {
            self.log(Level::Warning, "a replica does not have everything; ending without it");
        }
        self.admin.ending.awaits = None;
        self.shut_down(now, save);
    }

    fn take_back_shutdown(&mut self, now: Now) {
        self.admin.ending.awaits = None;
        self.admin.snapshot.forget_ending();
        self.hub.end_pause(None);
        self.ending_failed();
        self.serve_ready(now);
    }

    /// Those who asked are told that it does not come.
    pub(in crate::server) fn ending_failed(&mut self) {
        let mut reply = Vec::new();
        Writer::new(&mut reply, Protocol::Resp2).error(FAILED);
        let reply = Bytes::from(reply);
        let ending = std::mem::take(&mut self.admin.ending);
        for id in ending.asked {
            self.unblock(id, reply.clone(), None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::server::ServerConfig;
    use crate::resp::{Batch, Limits, Parser, encode};
    use crate::server::{Action, Input};
    use crate::session::{Outbox, Stop};
    use std::net::{Ipv4Addr, SocketAddr};
    use std::sync::Arc;

    #[test]
    fn nothing_is_written_between_the_last_word_and_the_end() {
        let now = Now::at_millis(1_000_000);
        let config = ServerConfig { save: Vec::new(), ..ServerConfig::default() };
        let mut server = Server::new(config, 1, now);
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, 5));
        let (id, _) = server.open(now, at, at, Arc::new(Outbox::default())).unwrap();
        let send = |server: &mut Server, words: &[&[u8]]| {
            let mut request = Vec::new();
            encode::command(&mut request, words);
            let mut batch = Batch::default();
            batch.fill(&mut Parser::default(), &request, &Limits::AFTER_AUTH, usize::MAX).unwrap();
            let mut out = Vec::new();
            let turn = server.execute_batch(now, id, &batch, &request, &|| now.mono, &mut out);
            (String::from_utf8(out).unwrap(), turn.stop)
        };
        send(&mut server, &[b"SET", b"a", b"1"]);
        let mut actions = Vec::new();
        server.handle(now, Input::Terminate, &mut actions);
        assert!(actions.iter().any(|action| matches!(action, Action::Exit { code: 0 })), "{actions:?}");
        assert_eq!(send(&mut server, &[b"GET", b"a"]), ("$1\r\n1\r\n".into(), Stop::No));
        // The file is closed: nobody may read what no restart brings back.
        assert_eq!(send(&mut server, &[b"SET", b"a", b"2"]), (String::new(), Stop::Blocked));
    }

    #[test]
    fn words_go_together_as_redis_has_them() {
        let fits = |line: &str| {
            let words: Vec<&[u8]> = line.split_whitespace().map(str::as_bytes).collect();
            Words::parse(&words).is_ok()
        };
        for line in ["", "nosave", "SAVE", "nosave nosave", "now force save", "abort"] {
            assert!(fits(line), "{line}");
        }
        for line in ["save nosave", "nosave save", "abort now", "force abort", "else"] {
            assert!(!fits(line), "{line}");
        }
    }
}
