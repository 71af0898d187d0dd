//! One script from its first instruction to its reply.

use super::calls::Captured;
use super::link::{Answer, Ask};
use super::machine::{Failure, Machine, Outcome, Step};
use super::{Flags, api, convert};
use crate::commands::CommandError;
use crate::resp::{Protocol, Writer};
use crate::server::transaction::Rest;
use crate::server::{Level, Server};
use crate::session::{Session, SessionId};
use crate::stdx::time::{Duration, Instant, Now};
use mlua::{Function, MultiValue};

/// Whose machine a script stands on, and what people call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Eval,
    Function,
}

/// A script that is to run.
pub struct Call {
    pub kind: Kind,
    /// The digest of an EVAL, the name of a function: errors name it.
    pub name: String,
    pub function: Function,
    pub args: MultiValue,
    pub flags: Flags,
    /// Asked for with a command that promises not to write.
    pub read_only: bool,
}

/// A script that has begun.
pub struct Run {
    pub kind: Kind,
    pub name: String,
    pub caller: SessionId,
    /// Of the caller: the shape of the reply.
    pub protocol: Protocol,
    /// Its beginning. No time passes for the keys inside.
    pub now: Now,
    pub began: Instant,
    pub breaths: u32,
    pub read_only: bool,
    pub allow_oom: bool,
    pub allow_stale: bool,
    /// The caller is the log or a master: what they did is not judged again.
    pub obeys: bool,
    /// It changed data, or began to.
    pub wrote: bool,
    /// SCRIPT KILL was said.
    pub doomed: bool,
    /// Whom effects go to: bits of `redis.set_repl`.
    pub targets: u8,
    pub effects: Vec<Captured>,
    /// It cannot be left: the log or a master's stream waits for it.
    pub in_one_go: bool,
    /// Of the transaction that it is part of.
    pub rest: Option<Rest>,
    pub speaker: Box<Session>,
    pub machine: Box<Machine>,
}

impl Server {
    /// Runs a script on `machine` and writes its reply, or leaves it standing with its caller blocked.
    /// `back` puts the machine back where it came from.
    pub(in crate::server) fn run_script(
        &mut self,
        session: &mut Session,
        now: Now,
        mut machine: Box<Machine>,
        call: Call,
        out: &mut Writer<'_>,
    ) -> Result<(), CommandError> {
        let obeys = self.loading || session.id == 0;
        if let Some(refusal) = self.refuses_script(now, obeys, &call) {
            self.put_machine_back(call.kind, machine);
            return Err(refusal);
        }
        let Some(mut speaker) = self.scripting.speaker.take() else {
            self.put_machine_back(call.kind, machine);
            return Err("ERR a script runs already".into());
        };
        self.scripting.has_read = false;
        speaker.id = session.id;
        speaker.peer = session.peer;
        speaker.local = session.local;
        speaker.unix.clone_from(&session.unix);
        speaker.user.clone_from(&session.user);
        speaker.unlimited_at = session.unlimited_at;
        speaker.db = session.db;
        speaker.protocol = Protocol::Resp2;
        let Call { kind, name, function, args, flags, read_only } = call;
        let first = machine.start(function, args);
        let run = Run {
            kind,
            name,
            caller: session.id,
            protocol: out.protocol(),
            now,
            began: self.scripting.clock.map_or(now.mono, |clock| clock()),
            breaths: 0,
            read_only: read_only || flags.no_writes,
            allow_oom: flags.allow_oom,
            allow_stale: flags.compatible || flags.allow_stale,
            obeys,
            wrote: false,
            doomed: false,
            targets: api::TO_AOF | api::TO_REPLICAS,
            effects: Vec::new(),
            in_one_go: obeys,
            rest: None,
            speaker,
            machine,
        };
        let mut run = Box::new(run);
        let step = match first {
            Ok(step) => step,
            Err(text) => Step::Ends(Outcome::Failed(Failure { text, place: None })),
        };
        match self.drive(&mut run, step, None) {
            Some(outcome) => self.finish_script(*run, outcome, out),
            None => {
                self.block(session);
                // Nobody looks again when it ends.
                self.scripting.has_read = true;
                self.leave_standing(run);
            }
        }
        Ok(())
    }

    /// Answers what the script asks until it ends (`Some`) or is to be left alone for a while. It has
    /// until `slice_end`, or the whole threshold when it just began.
    pub(super) fn drive(
        &mut self,
        run: &mut Run,
        first: Step,
        slice_end: Option<Instant>,
    ) -> Option<Outcome> {
        let mut step = first;
        loop {
            let ask = match step {
                Step::Ends(outcome) => return Some(outcome),
                Step::Asks(ask) => ask,
            };
            let answer = match ask {
                Ask::Call { argv } => self.script_call(run, &argv),
                Ask::Permitted { argv } => self.script_may(run, &argv),
                Ask::Log { level, message } => {
                    self.script_says(level, &message);
                    Answer::Yes
                }
                Ask::Protocol { version } => {
                    run.speaker.protocol = if version == 3 { Protocol::Resp3 } else { Protocol::Resp2 };
                    Answer::Yes
                }
                Ask::Replicate { targets } => {
                    run.targets = targets;
                    Answer::Yes
                }
                Ask::Breath if run.doomed => Answer::Die,
                Ask::Breath => {
                    run.breaths += 1;
                    if self.is_long(run, slice_end) {
                        return None;
                    }
                    Answer::Yes
                }
            };
            step = run.machine.resume(answer);
        }
    }

    /// What time it is for a script that breathes.
    pub(super) fn script_time(&self, run: &Run) -> Instant {
        match self.scripting.clock {
            Some(clock) => clock(),
            None => run.began + Duration::from_millis(u64::from(run.breaths)),
        }
    }

    fn is_long(&self, run: &Run, slice_end: Option<Instant>) -> bool {
        let threshold_ms = self.config.scripts.busy_reply_threshold_ms;
        if run.in_one_go || threshold_ms == 0 {
            return false;
        }
        let end = slice_end.unwrap_or_else(|| run.began + Duration::from_millis(threshold_ms));
        self.script_time(run) >= end
    }

    fn script_says(&mut self, level: u8, message: &[u8]) {
        let level = match level {
            0 | 1 => Level::Debug,
            2 => Level::Info,
            _ => Level::Warning,
        };
        let message = &message[..message.len().min(1024)];
        self.log(level, format!("script: {}", String::from_utf8_lossy(message)));
    }

    /// The reply, the effects, and everything back in its place.
    pub(super) fn finish_script(&mut self, run: Run, outcome: Outcome, out: &mut Writer<'_>) {
        let Run { kind, name, effects, speaker, machine, .. } = run;
        match outcome {
            Outcome::Returned(value) => convert::to_reply(&value, speaker.protocol, out),
            Outcome::Failed(Failure { text, place }) => {
                let text = match place {
                    Some(place) => format!("{text} script: {name}, on {place}."),
                    None => format!("{text} script: {name}"),
                };
                out.error(&text);
                self.stats.error(&text);
            }
        }
        self.release_effects(effects);
        self.scripting.speaker = Some(speaker);
        self.put_machine_back(kind, machine);
    }

    fn put_machine_back(&mut self, kind: Kind, machine: Box<Machine>) {
        machine.tidy();
        match kind {
            Kind::Eval => self.scripting.machine = Some(machine),
            Kind::Function => self.functions.put_machine_back(machine),
        }
    }
}
