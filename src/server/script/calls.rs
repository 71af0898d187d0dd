//! A command that a script calls: what stands between it and its execution, in Redis' words, and where
//! its effects wait until the script ends.

use super::api;
use super::link::Answer;
use super::run::{Call, Run};
use crate::commands::CommandError;
use crate::resp::spec::{DENYOOM, MAY_REPLICATE, NO_SCRIPT, READONLY, STALE, WRITE};
use crate::resp::{Argv, Writer};
use crate::server::Server;
use crate::server::admin::keys;
use crate::server::table::Misfit;
use crate::session::acl::selector::Denied;
use crate::stdx::time::{Instant, Now};

/// A command for replicas and the log that waits for the end of its script.
#[derive(Debug)]
pub struct Captured {
    db: usize,
    argv: Vec<Box<[u8]>>,
    targets: u8,
}

impl Captured {
    pub fn new(db: usize, argv: &[&[u8]], targets: u8) -> Self {
        Captured { db, argv: argv.iter().map(|&word| word.into()).collect(), targets }
    }
}

/// Where commands go while one that a script called runs.
#[derive(Debug)]
pub struct Capture {
    pub effects: Vec<Captured>,
    pub targets: u8,
}

impl Server {
    /// Why a script does not even begin.
    pub(super) fn refuses_script(&self, now: Now, obeys: bool, call: &Call) -> Option<CommandError> {
        let flags = call.flags;
        if obeys {
            return None;
        }
        if let Some(refusal) = self.replication.refuse_read(now) {
            if flags.compatible {
                return Some(refusal);
            }
            if !flags.allow_stale {
                return Some("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no' and 'allow-stale' flag is not set on the script.".into());
            }
        }
        if flags.compatible {
            return None;
        }
        if !flags.no_writes {
            if self.replication.is_replica() {
                return Some("READONLY You can not run script with write flag on readonly replica.".into());
            }
            if let Some(refusal) = self.refuses_by_disk() {
                return Some(refusal);
            }
            if call.read_only {
                return Some("ERR Can not execute a script with write flag using *_ro command.".into());
            }
            if let Some(refusal) = self.replication.refuse_write(now) {
                return Some(refusal);
            }
        }
        (!flags.allow_oom && !flags.no_writes && self.is_out_of_memory()).then(|| {
            "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'"
                .into()
        })
    }

    pub(super) fn script_call(&mut self, run: &mut Run, argv: &[Vec<u8>]) -> Answer {
        let argv: Argv<'_> = argv.iter().map(Vec::as_slice).collect();
        let Some(id) = self.table.find(argv[0]) else {
            return refused("ERR Unknown Redis command called from script");
        };
        match self.table.takes(id, &argv) {
            Ok(()) => {}
            Err(Misfit::Arity(..)) => {
                return refused("ERR Wrong number of args calling Redis command from script");
            }
            Err(Misfit::UnknownSubcommand) => {
                return refused("ERR Unknown Redis command called from script");
            }
        }
        let spec = self.table.entry(id).spec;
        if spec.has(NO_SCRIPT) {
            return refused("ERR This Redis command is not allowed from script");
        }
        if let Some(refusal) = self.refuses_in_script(run, spec.flags) {
            return Answer::Refused(refusal.to_string());
        }
        if !run.obeys
            && let Some(text) = self.script_forbids(run, id, &argv)
        {
            return refused(text);
        }
        if matches!(spec.name, "xread" | "xreadgroup") && blocks(&argv) {
            return Answer::Refused(format!(
                "ERR {} command is not allowed with BLOCK option from scripts",
                spec.name
            ));
        }
        run.wrote |= spec.has(WRITE);
        self.scripting.has_read |= spec.has(READONLY);
        let effects = std::mem::take(&mut run.effects);
        self.propagation.capture = Some(Capture { effects, targets: run.targets });
        let in_exec = std::mem::replace(&mut self.propagation.in_exec, true);
        let mut reply = Vec::new();
        let mut out = Writer::new(&mut reply, run.speaker.protocol);
        let clock = self.scripting.clock().unwrap_or(|| Instant::ZERO);
        let began = clock();
        self.call(run.now, &mut run.speaker, id, &argv, &mut out);
        self.note_call(run.now, &run.speaker, id, clock().since(began), &argv);
        self.propagation.in_exec = in_exec;
        if let Some(capture) = self.propagation.capture.take() {
            run.effects = capture.effects;
        }
        Answer::Reply(reply)
    }

    /// The state of the server against a command of a script. Once it has written, it goes on.
    fn refuses_in_script(&self, run: &Run, flags: crate::resp::spec::Flags) -> Option<CommandError> {
        if run.read_only && flags & (WRITE | MAY_REPLICATE) != 0 {
            return Some("ERR Write commands are not allowed from read-only scripts.".into());
        }
        if run.obeys {
            return None;
        }
        if flags & STALE == 0 && self.replication.refuse_read(run.now).is_some() && !run.allow_stale {
            return Some("ERR Can not execute the command on a stale replica".into());
        }
        if run.wrote {
            return None;
        }
        if flags & WRITE != 0 {
            if self.replication.is_replica() {
                return self.replication.refuse_write(run.now);
            }
            if let Some(refusal) = self.refuses_by_disk() {
                return Some(refusal);
            }
            if let Some(refusal) = self.replication.refuse_write(run.now) {
                return Some(refusal);
            }
        }
        (flags & DENYOOM != 0 && !run.allow_oom && self.is_out_of_memory())
            .then(|| "OOM command not allowed when used memory > 'maxmemory'.".into())
    }

    fn script_forbids(&mut self, run: &mut Run, id: usize, argv: &[&[u8]]) -> Option<&'static str> {
        let spec = self.table.entry(id).spec;
        let denied = self.hub.denies(&mut run.speaker, run.now, argv, || keys::positions(&spec, argv))?;
        Some(match denied {
            None => "ERR The user executing the script does not exist any more",
            Some(Denied::Command) => "ERR The user executing the script can't run this command or subcommand",
            Some(Denied::Key(_)) => {
                "ERR The user executing the script can't access at least one of the keys mentioned in the command arguments"
            }
            Some(Denied::Channel(_)) => {
                "ERR The user executing the script can't publish to the channel mentioned in the command"
            }
        })
    }

    /// `redis.acl_check_cmd`: asked, not noted.
    pub(super) fn script_may(&mut self, run: &mut Run, argv: &[Vec<u8>]) -> Answer {
        let argv: Argv<'_> = argv.iter().map(Vec::as_slice).collect();
        let Some(id) = self.table.find(argv[0]) else {
            return refused("ERR Invalid command passed to redis.acl_check_cmd()");
        };
        let spec = self.table.entry(id).spec;
        let index = crate::session::acl::catalogue::of_request(&argv);
        let allowed = self.hub.auth.acl.user(&run.speaker.user).is_some_and(|user| {
            user.is_unlimited() || user.denies(index, &argv, &keys::positions(&spec, &argv)).is_none()
        });
        if allowed { Answer::Yes } else { Answer::No }
    }

    /// What a script did goes out in one piece.
    pub(super) fn release_effects(&mut self, effects: Vec<Captured>) {
        let Some(last) = effects.last() else { return };
        let db = last.db;
        let alone = effects.len() > 1 && !self.propagation.in_exec;
        if alone {
            self.begin_exec();
        }
        for Captured { db, argv, targets } in &effects {
            let argv: Argv<'_> = argv.iter().map(|word| &**word).collect();
            if targets & api::TO_REPLICAS != 0 {
                self.feed_replicas(*db, &argv);
            }
            if targets & api::TO_AOF != 0 {
                self.feed_log(*db, &argv);
            }
        }
        if alone {
            self.end_exec(db);
        }
    }
}

fn refused(text: &str) -> Answer {
    Answer::Refused(text.to_owned())
}

/// XREAD and XREADGROUP with BLOCK, before their streams.
fn blocks(argv: &[&[u8]]) -> bool {
    argv.iter()
        .take_while(|word| !word.eq_ignore_ascii_case(b"streams"))
        .any(|word| word.eq_ignore_ascii_case(b"block"))
}
