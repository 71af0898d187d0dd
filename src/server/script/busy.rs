//! A script that takes longer than `busy-reply-threshold`: it is left standing, everybody else is told
//! BUSY, and every tick lets it go on for a slice. Data stand as the script left them, so nothing that
//! looks at all of them begins meanwhile; what it did so far has gone nowhere.

use super::link::Answer;
use super::manners;
use super::run::{Kind, Run};
use crate::commands::CommandError;
use crate::resp::Writer;
use crate::resp::spec::Flags;
use crate::server::{Level, Server};
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
        let (caller, protocol, wrote) = (run.caller, run.protocol, run.wrote);
        let mut reply = Vec::new();
        self.finish_script(run, outcome, &mut Writer::new(&mut reply, protocol));
        self.serve_ready(now);
        let gated = wrote.then(|| self.hold());
        self.unblock(caller, Bytes::from(reply), gated);
        false
    }
}
