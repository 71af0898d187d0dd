//! What users of the HTTP side ask for: run like any client's command, under session numbers that no
//! connection has, and answered by the same word of the leader.

use super::{Fatal, Shell};
use crate::daemon::clock;
use crate::net::http::Ask;
use crate::resp::{Protocol, Writer};
use crate::sentinel::api::{self, Outcome};
use crate::session::SessionId;
use slog::{info, warn};
use std::collections::BTreeMap;
use std::task::{Context, Poll};
use tokio::sync::{mpsc, oneshot};

/// Connections are counted from 1; nobody opens this many.
const FIRST: SessionId = 1 << 62;
/// Asks whose answer the leader still owes; an asker waits for seconds only.
const OPEN_MAX: usize = 256;

type Answer = oneshot::Sender<Result<String, String>>;

pub(super) struct Asks {
    inbox: mpsc::Receiver<Ask>,
    open: BTreeMap<SessionId, Answer>,
    next: SessionId,
}

impl Asks {
    pub(super) fn new(inbox: mpsc::Receiver<Ask>) -> Self {
        Asks { inbox, open: BTreeMap::new(), next: FIRST }
    }

    /// The next ask; `None` when nobody can ask any more.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Ask>> {
        self.inbox.poll_recv(context)
    }

    /// Whether this answer was for one of ours.
    pub(super) fn answer(&mut self, session: SessionId, bytes: &[u8]) -> bool {
        if session < FIRST {
            return false;
        }
        if let Some(asker) = self.open.remove(&session) {
            // Whoever gave up waiting has been told so.
            let _ = asker.send(plain(bytes));
        }
        true
    }

    fn enter(&mut self, answer: Answer) -> SessionId {
        self.open.retain(|_, asker| !asker.is_closed());
        while self.open.len() >= OPEN_MAX {
            self.open.pop_first();
        }
        self.next += 1;
        self.open.insert(self.next, answer);
        self.next
    }
}

/// `+OK` and `-ERR why` as text.
fn plain(bytes: &[u8]) -> Result<String, String> {
    let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let text = |line: &[u8]| String::from_utf8_lossy(line).into_owned();
    match line {
        [b'+', rest @ ..] => Ok(text(rest)),
        [b'-', rest @ ..] => Err(text(rest.strip_prefix(b"ERR ").unwrap_or(rest))),
        other => Ok(text(other)),
    }
}

impl Shell {
    pub(super) fn ask(&mut self, ask: Ask) -> Result<(), Fatal> {
        let now = clock::now();
        let argv: Vec<&[u8]> = ask.words.iter().map(|word| word.as_bytes()).collect();
        let mut out = Vec::new();
        let outcome = {
            let (mut source, _) = self.answers(now);
            let facts = super::clients::Source::facts(&mut source);
            api::execute(facts, &argv, &mut Writer::new(&mut out, Protocol::Resp2))
        };
        let command = ask.words.join(" ");
        match outcome {
            Outcome::Submit { command: wanted, .. } => {
                info!(self.logger, "asked over http: {command}"; "user" => &ask.who);
                let session = self.asks.enter(ask.answer);
                let mut actions = Vec::new();
                self.core.propose_command(now, session, &wanted, &mut actions);
                return self.carry_out(now, actions);
            }
            Outcome::Replied => {
                warn!(self.logger, "refused over http: {command}"; "user" => &ask.who);
                let _ = ask.answer.send(plain(&out));
            }
            _ => {
                let _ = ask.answer.send(Err("this is not done over HTTP".to_owned()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_finds_its_asker_and_a_late_one_nobody() {
        let mut asks = Asks::new(mpsc::channel(1).1);
        let (answer, asked) = oneshot::channel();
        let session = asks.enter(answer);
        assert!(!asks.answer(7, b"+OK\r\n"), "a connection's");
        assert!(asks.answer(session, b"-ERR no such master\r\n"));
        assert_eq!(asked.await.unwrap(), Err("no such master".to_owned()));
        assert!(asks.answer(session, b"+OK\r\n"), "ours, though nobody waits");
        for _ in 0..2 * OPEN_MAX {
            let _ = asks.enter(oneshot::channel().0);
        }
        assert!(asks.open.len() <= OPEN_MAX);
    }
}
