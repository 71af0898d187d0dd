//! MONITOR: every command as a line to whoever asked for it. Passwords and what administrators do are
//! not shown; who does not read is closed like any listener. One branch while nobody looks.

use super::Server;
use super::table::CommandId;
use crate::commands::CommandError;
use crate::resp::Writer;
use crate::resp::spec::SUPERVISOR;
use crate::session::acl::catalogue;
use crate::session::{Class, Outbox, Session, SessionId};
use crate::stdx::time::Now;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

#[derive(Debug, Default)]
pub struct Monitors {
    by_session: BTreeMap<SessionId, Arc<Outbox>>,
}

impl Monitors {
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.by_session.is_empty()
    }

    pub fn forget(&mut self, id: SessionId) {
        self.by_session.remove(&id);
    }
}

pub(super) fn monitor(
    server: &mut Server,
    session: &mut Session,
    _: Now,
    _: &[&[u8]],
    out: &mut Writer<'_>,
) -> Result<(), CommandError> {
    server.monitors.by_session.insert(session.id, session.outbox.clone());
    session.monitors = true;
    out.ok();
    Ok(())
}

/// Whom a line of MONITOR names.
fn by(session: &Session) -> String {
    session.unix.as_ref().map_or_else(|| session.peer.to_string(), |path| format!("unix:{path}"))
}

impl Server {
    /// Before what it runs; all other commands are shown when they have run.
    pub(super) fn show_script(&self, now: Now, session: &Session, id: CommandId, argv: &[&[u8]]) {
        if runs_script(self.table.entry(id).spec.name) {
            self.show(now, session.db, &by(session), argv);
        }
    }

    pub(super) fn show_command(&self, now: Now, session: &Session, id: CommandId, argv: &[&[u8]]) {
        let spec = &self.table.entry(id).spec;
        let administers = catalogue::of_request(argv)
            .is_none_or(|index| catalogue::entries()[index].categories & admin_bit() != 0);
        if !administers && !spec.has(SUPERVISOR) && !runs_script(spec.name) {
            self.show(now, session.db, &self.shown_as(session), argv);
        }
    }

    /// Commands without a connection are a script's, or come from the master.
    fn shown_as(&self, session: &Session) -> String {
        match (session.id, self.replication.upstream()) {
            (0, _) if self.propagation.capture.is_some() => "lua".to_owned(),
            (0, Some(upstream)) => upstream.master.to_string(),
            (0, None) => "lua".to_owned(),
            _ => by(session),
        }
    }

    /// One line to all; `by`: an address, or `lua`.
    pub(in crate::server) fn show(&self, now: Now, db: usize, by: &str, argv: &[&[u8]]) {
        let ms = now.wall.as_millis();
        let mut line = format!("+{}.{:06} [{db} {by}]", ms / 1000, ms % 1000 * 1000);
        for (at, word) in argv.iter().enumerate() {
            line.push(' ');
            if is_secret(argv, at) {
                line.push_str("\"(redacted)\"");
            } else {
                quote(word, &mut line);
            }
        }
        line.push_str("\r\n");
        let line = Bytes::from(line);
        let bytes_max = self.hub.settings.output_bytes_max(Class::PubSub);
        self.monitors.by_session.values().for_each(|outbox| outbox.push(line.clone(), bytes_max));
    }
}

/// These read what their keys name.
pub(super) fn runs_script(name: &str) -> bool {
    matches!(name, "eval" | "evalsha" | "eval_ro" | "evalsha_ro" | "fcall" | "fcall_ro")
}

fn admin_bit() -> u32 {
    catalogue::category("admin").unwrap_or(0)
}

/// What AUTH names, and HELLO behind its AUTH.
fn is_secret(argv: &[&[u8]], at: usize) -> bool {
    let is = |at: usize, name: &[u8]| argv.get(at).is_some_and(|word| word.eq_ignore_ascii_case(name));
    if is(0, b"auth") {
        return at > 0;
    }
    // Words behind SETNAME may read AUTH too: one too many is hidden rather than one too few.
    (is(0, b"hello") && (is(at.wrapping_sub(1), b"auth") || is(at.wrapping_sub(2), b"auth")) && at > 2)
        || is(0, b"migrate") && at > 5
}

/// In quotes, as redis-cli would read it again.
fn quote(word: &[u8], line: &mut String) {
    line.push('"');
    for &byte in word {
        match byte {
            b'\\' => line.push_str("\\\\"),
            b'"' => line.push_str("\\\""),
            b'\n' => line.push_str("\\n"),
            b'\r' => line.push_str("\\r"),
            b'\t' => line.push_str("\\t"),
            7 => line.push_str("\\a"),
            8 => line.push_str("\\b"),
            b' '..=b'~' => line.push(char::from(byte)),
            _ => {
                let _ = write!(line, "\\x{byte:02x}");
            }
        }
    }
    line.push('"');
}
