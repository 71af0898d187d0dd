//! The hot path: a batch of requests of one session, run in one call under the engine's lock.

use super::table::{CommandId, Run};
use super::{Action, Level, Server};
use crate::commands::{CommandError, Unit};
use crate::resp::spec::{MAY_REPLICATE, READONLY, WRITE};
use crate::resp::{Batch, Writer};
use crate::session::outbox::Hold;
use crate::session::{ReplyMode, Session, SessionId, Stop, Turn};
use crate::stdx::time::{Instant, Now};
use crate::store::AHEAD_MAX;

/// Replies beyond this are written before more requests run, so that a pipeline of large reads
/// costs its own connection time and not the process memory.
const REPLY_BYTES_MAX: usize = 1 << 20;

/// A pipeline of fewer requests is run as it comes.
const AHEAD_MIN: usize = 3;

impl Server {
    /// Runs the requests of `batch`, cut from `buffer`, and appends their replies to `out`. `now` is
    /// read once for all; `stopwatch` serves SLOWLOG and commandstats and decides nothing.
    pub fn execute_batch(
        &mut self,
        now: Now,
        id: SessionId,
        batch: &Batch,
        buffer: &[u8],
        stopwatch: &dyn Fn() -> Instant,
        out: &mut Vec<u8>,
    ) -> Turn {
        let Some(mut session) = self.hub.take(id) else {
            let stop = Stop::Close;
            return Turn { executed: 0, stop, gated: None, authenticated: false };
        };
        session.last_interaction = now.mono;
        let mut lap = now.mono;
        let out_before = out.len();
        // What others sent to this session before stands before its replies.
        let drained = session.outbox.drain(out);
        session.close |= drained.close.is_some();
        let mut gated = drained.gated;
        let (mut executed, mut stop) = (0, Stop::No);
        while executed < batch.len() && stop == Stop::No {
            if executed.is_multiple_of(AHEAD_MAX) && batch.len() - executed >= AHEAD_MIN {
                let ahead = (batch.len() - executed).min(AHEAD_MAX);
                self.keyspace.look_ahead(session.db, ahead, |request, word| {
                    batch.word(executed + request, word, buffer)
                });
            }
            let argv = batch.argv(executed, buffer);
            executed += 1;
            if argv.is_empty() {
                continue;
            }
            let mark = out.len();
            let mut writer = Writer::new(out, session.protocol);
            match self.request(now, &mut session, &argv, &mut writer) {
                Ran::Done { command, wrote } => {
                    if wrote {
                        gated = Hold::join(gated, Some(self.hold()));
                    }
                    let end = stopwatch();
                    self.note_call(now, &session, command, end.since(lap), &argv);
                    lap = end;
                }
                Ran::Refused | Ran::NotNow => {}
                Ran::Paused => {
                    executed -= 1;
                    self.hub.wait_for_end_of_pause(id);
                    stop = Stop::Blocked;
                    break;
                }
            }
            silence(&mut session, out, mark);
            if out.len() - mark > self.hub.settings.output_bytes_max(session.class) {
                out.truncate(mark);
                session.close = true;
                let peer = session.peer_text();
                self.log(
                    Level::Warning,
                    format!("closed {peer}: one reply is larger than client-output-buffer-limit allows"),
                );
            }
            // What this request sent to its own session stands right behind its reply.
            if session.outbox.has_pending() {
                let drained = session.outbox.drain(out);
                gated = Hold::join(gated, drained.gated);
                session.close |= drained.close.is_some();
            }
            stop = if session.close {
                Stop::Close
            } else if session.blocked {
                Stop::Blocked
            } else if out.len() > REPLY_BYTES_MAX && executed < batch.len() {
                Stop::Yield
            } else {
                Stop::No
            };
        }
        self.stats.input_bytes += batch.bytes_of(executed) as u64;
        self.stats.output_bytes += (out.len() - out_before) as u64;
        let authenticated = session.authenticated;
        self.hub.put_back(session);
        self.end_of_turn(now);
        Turn { executed, stop, gated, authenticated }
    }

    fn request(&mut self, now: Now, session: &mut Session, argv: &[&[u8]], out: &mut Writer<'_>) -> Ran {
        let id = match self.admit(now, session, argv) {
            Ok(id) => id,
            Err(refusal) => {
                self.refuse(session, argv, &refusal, out);
                return Ran::Refused;
            }
        };
        let spec = self.table.entry(id).spec;
        session.last_command = self.table.name_of(self.table.slot(id, argv));
        if session.multi.is_some() && !super::transaction::runs_inside(spec.name) {
            // Counted when it runs.
            self.queue(session, id, argv, out);
            return Ran::NotNow;
        }
        if self.hub.pause.is_some() {
            let flags = self.transactions.flags(session.id) | spec.flags;
            let exempt = session.class == crate::session::Class::Replica || spec.name == "client";
            if !exempt && self.hub.is_paused(now.mono, flags & (WRITE | MAY_REPLICATE) != 0) {
                return Ran::Paused;
            }
        }
        let wrote_before = self.propagation.writes;
        self.call(now, session, id, argv, out);
        if session.tracks && session.multi.is_none() && spec.name != "client" {
            self.hub.tracking.command_ended(session.id);
        }
        self.serve_ready(now);
        let wrote = spec.has(WRITE) || self.propagation.writes != wrote_before;
        Ran::Done { command: id, wrote }
    }

    /// Runs an admitted command, alone or inside EXEC.
    pub(in crate::server) fn call(
        &mut self,
        now: Now,
        session: &mut Session,
        id: CommandId,
        argv: &[&[u8]],
        out: &mut Writer<'_>,
    ) {
        let mark = out.len();
        let shows = !self.monitors.is_empty();
        if shows {
            self.show_script(now, session, id, argv);
        }
        let result = match self.table.entry(id).run {
            Run::Data(handler) => self.call_data(now, session.db, handler, argv, out),
            // The one word of CLIENT that needs more than the session's knowledge.
            Run::Session(_) if is_unblock(argv) => self.client_unblock(argv, out),
            Run::Session(handler) => {
                let result = handler(&mut self.hub, session, now, argv, out);
                if result.is_ok() {
                    self.after_session_command(session, argv);
                }
                result.map_err(CommandError::from)
            }
            Run::Server(handler) => handler(self, session, now, argv, out),
        };
        if let Err(error) = result {
            out.truncate(mark);
            let text = error.to_string();
            out.error(&text);
            self.stats.error(&text);
            self.stats.calls[self.table.slot(id, argv)].failed += 1;
        }
        if shows {
            self.show_command(now, session, id, argv);
        }
        if session.tracks {
            self.remember_what_was_read(session, id, argv);
        }
    }

    /// Runs a data command's handler and propagates what it did. The reply is the handler's.
    pub(in crate::server) fn call_data(
        &mut self,
        now: Now,
        db: usize,
        handler: crate::commands::Handler,
        argv: &[&[u8]],
        out: &mut Writer<'_>,
    ) -> Result<(), CommandError> {
        let is_still = self.loading || self.stream_is_held();
        let is_replica = self.replication.is_replica() || is_still;
        let string_bytes_max = match is_replica {
            // What the master (or the log) allowed itself holds here too.
            true => usize::MAX,
            false => usize::try_from(self.config.proto_max_bulk_bytes).unwrap_or(usize::MAX),
        };
        self.effects.noting = self.is_noting();
        let mut unit = Unit {
            now,
            keyspace: &mut self.keyspace,
            db,
            rng: &mut self.rng,
            effects: &mut self.effects,
            keep_expired: is_replica,
            string_bytes_max,
        };
        let result = handler(&mut unit, argv, out);
        self.settle(db, argv);
        result
    }

    fn refuse(
        &mut self,
        session: &mut Session,
        argv: &[&[u8]],
        refusal: &CommandError,
        out: &mut Writer<'_>,
    ) {
        self.stats.error(&refusal.to_string());
        if session.multi.is_some() {
            let text = refusal.to_string();
            if argv[0].eq_ignore_ascii_case(b"exec") {
                self.forget_transaction(session.id);
                session.multi = None;
                session.watching = 0;
                out.error(&format!("EXECABORT Transaction discarded because of: {text}"));
                return;
            }
            self.transactions.fail(session.id);
        }
        out.error(&refusal.to_string());
    }

    fn after_session_command(&mut self, session: &mut Session, argv: &[&[u8]]) {
        if let Some(order) = self.hub.auth.acl.order.take() {
            self.block(session);
            self.actions.push(Action::AclFile { session: session.id, order });
        } else if argv[0].eq_ignore_ascii_case(b"publish") || argv[0].eq_ignore_ascii_case(b"spublish") {
            self.feed_replicas(session.db, argv);
        } else if let [client, pause, ms, ..] = argv
            && client.eq_ignore_ascii_case(b"client")
            && pause.eq_ignore_ascii_case(b"pause")
            && self.replication.supervision.supervisors.contains(&session.id)
        {
            // A sentinel holds writes back only for a planned switchover.
            let ms = crate::stdx::number::parse_i64(ms).and_then(|ms| u64::try_from(ms).ok());
            self.hub.announce_failover(ms.unwrap_or(0).div_ceil(1000));
        } else if argv[0].eq_ignore_ascii_case(b"reset") {
            self.forget_transaction(session.id);
            session.multi = None;
            session.watching = 0;
            self.monitors.forget(session.id);
        }
    }

    /// CLIENT TRACKING: the keys of a read are cached by the client from now on.
    fn remember_what_was_read(&mut self, session: &Session, id: CommandId, argv: &[&[u8]]) {
        let spec = self.table.entry(id).spec;
        // A script that read anything has read what it declares, as Redis 7.0 has it.
        let reads = match super::monitor::runs_script(spec.name) {
            true => self.scripting.has_read,
            false => spec.has(READONLY),
        };
        if reads && self.hub.tracking.remembers(session.id) {
            let keys = super::admin::keys::positions(&spec, argv);
            self.hub.keys_were_read(session.id, keys.into_iter().map(|at| argv[at]));
        }
    }
}

enum Ran {
    Done {
        command: CommandId,
        wrote: bool,
    },
    Refused,
    /// EXEC will run it.
    NotNow,
    Paused,
}

fn is_unblock(argv: &[&[u8]]) -> bool {
    argv.len() > 1 && argv[0].eq_ignore_ascii_case(b"client") && argv[1].eq_ignore_ascii_case(b"unblock")
}

/// CLIENT REPLY OFF and SKIP.
fn silence(session: &mut Session, out: &mut Vec<u8>, mark: usize) {
    match session.reply_mode {
        ReplyMode::On => {}
        ReplyMode::Off => out.truncate(mark),
        ReplyMode::SkipNext => {
            out.truncate(mark);
            session.reply_mode = ReplyMode::SkipThis;
        }
        ReplyMode::SkipThis => {
            out.truncate(mark);
            session.reply_mode = ReplyMode::On;
        }
    }
}

impl From<crate::session::SessionError> for CommandError {
    fn from(error: crate::session::SessionError) -> Self {
        CommandError::Text(error.to_string())
    }
}
