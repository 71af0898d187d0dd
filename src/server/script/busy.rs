//! A script that takes longer than `busy-reply-threshold`: it is left standing, everybody else is told
//! BUSY, and every tick lets it go on for a slice. Data stand as the script left them, so nothing that
//! looks at all of them begins meanwhile; what it did so far has gone nowhere.

use super::link::Answer;
use super::manners;
use super::run::{Kind, Run};
use crate::commands::CommandError;
use crate::resp::Writer;
use crate::resp::spec::Flags;
use crate::server::transaction::Rest;
use crate::server::{Level, Server};
use crate::session::{Session, SessionId};
use crate::stdx::time::{Duration, Now};
use bytes::Bytes;

/// How long others wait for the engine at most while a script goes on.
const SLICE: Duration = Duration::from_millis(2);

impl Server {
    pub(super) fn leave_standing(&mut self, run: Box<Run>) {
        let ms = self.config.scripts.busy_reply_threshold_ms;
        self.log(
            Level::Warning,
            format!(
                "script {} has run for {ms} ms and goes on; others are told BUSY until it ends (SCRIPT KILL ends one that has not written)",
                run.name
            ),
        );
        self.scripting.standing = Some(run);
    }

    /// What sentinels say to a master, and ask it, while a script stands: its lease ends by their judgement
    /// (it answers BUSY to PING, and they give it down-after), never because the word could not be given.
    /// FOLLOW waits: it would put other data under the script.
    pub(in crate::server) fn is_supervision(&self, session: &Session, name: &str, argv: &[&[u8]]) -> bool {
        match name {
            "vedette" => argv.get(1).is_some_and(|word| !word.eq_ignore_ascii_case(b"follow")),
            "info" | "role" => self.replication.supervision.supervisors.contains(&session.id),
            _ => false,
        }
    }

    /// Why a request is not answered now.
    pub(in crate::server) fn refuses_while_busy(
        &self,
        name: &str,
        flags: Flags,
        argv: &[&[u8]],
    ) -> Option<CommandError> {
        if manners::is_answered_while_busy(name, flags, argv) {
            return None;
        }
        let kind = self.scripting.standing.as_ref().map_or(Kind::Eval, |run| run.kind);
        Some(match kind {
            Kind::Eval => {
                "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
                    .into()
            }
            Kind::Function => {
                "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
                    .into()
            }
        })
    }

    /// SCRIPT KILL and FUNCTION KILL.
    pub(in crate::server) fn kill_script(
        &mut self,
        kind: Kind,
        out: &mut Writer<'_>,
    ) -> Result<(), CommandError> {
        let run = self.scripting.standing.as_mut().ok_or("NOTBUSY No scripts in execution right now.")?;
        if run.obeys {
            return Err("UNKILLABLE The busy script was sent by a master instance in the context of replication and cannot be killed.".into());
        }
        if run.wrote {
            return Err("UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.".into());
        }
        if run.kind != kind {
            return Err(match run.kind {
                Kind::Eval => {
                    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
                }
                Kind::Function => {
                    "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
                }
            }
            .into());
        }
        run.doomed = true;
        out.ok();
        Ok(())
    }

    /// Whether a script stands; it has gone on for a slice.
    pub(in crate::server) fn go_on_with_script(&mut self, now: Now) -> bool {
        let Some(mut run) = self.scripting.standing.take() else { return false };
        let answer = if run.doomed { Answer::Die } else { Answer::Yes };
        let slice_end = self.script_time(&run) + SLICE;
        let step = run.machine.resume(answer);
        let Some(outcome) = self.drive(&mut run, step, Some(slice_end)) else {
            self.scripting.standing = Some(run);
            return true;
        };
        let (caller, protocol) = (run.caller, run.protocol);
        let mut wrote = run.wrote;
        let rest = run.rest.take();
        let mut reply = Vec::new();
        let mut out = Writer::new(&mut reply, protocol);
        if let Some(rest) = &rest {
            out.raw(&rest.replies);
        }
        self.finish_script(*run, outcome, &mut out);
        if let Some(rest) = rest {
            wrote = true;
            self.finish_transaction(now, caller, rest, &mut out);
            if self.scripting.is_busy() {
                // Another script of the same transaction.
                return true;
            }
        }
        self.serve_ready(now);
        let gated = wrote.then(|| self.hold());
        self.unblock(caller, Bytes::from(reply), gated);
        false
    }

    /// What is queued behind the script runs, whether its client is still there or not.
    fn finish_transaction(&mut self, now: Now, caller: SessionId, rest: Rest, out: &mut Writer<'_>) {
        if let Some(mut session) = self.hub.take(caller) {
            self.exec_queue(&mut session, now, rest, 0, out);
            self.hub.put_back(session);
        } else {
            let mut stand_in = super::nobody();
            if let Some(speaker) = &self.scripting.speaker {
                stand_in.user.clone_from(&speaker.user);
            }
            stand_in.db = rest.db();
            self.exec_queue(&mut stand_in, now, rest, 0, out);
        }
    }

    /// The process is to end: a script that changed nothing ends first, one that did is waited for.
    pub(in crate::server) fn script_is_to_end(&mut self) {
        if let Some(run) = &mut self.scripting.standing
            && !run.wrote
        {
            run.doomed = true;
        }
    }
}
