//! A session's request before its user's rules: the one question that is asked before every command,
//! quick where the user may do everything.

use super::catalogue;
use super::log::{Entry, Reason};
use super::selector::Denied;
use crate::session::{Close, Hub, Session, SessionId};
use crate::stdx::time::{Now, Wall};

impl Hub {
    /// Why the session's user may not do this, in Redis' words; noted in ACL LOG. `keys` gives the
    /// positions of keys in `argv`, and is asked only where rules have to be looked at.
    pub fn refuses(
        &mut self,
        session: &mut Session,
        now: Now,
        argv: &[&[u8]],
        keys: impl FnOnce() -> Vec<usize>,
    ) -> Option<String> {
        let denied = self.denies(session, now, argv, keys)?;
        let Some(denied) = denied else {
            // It was deleted: its connections are being closed.
            return Some("NOPERM the user of this connection does not exist any more".to_owned());
        };
        Some(match denied {
            Denied::Command => {
                format!("NOPERM this user has no permissions to run the '{}' command", name_of(argv))
            }
            Denied::Key(_) => {
                "NOPERM this user has no permissions to access one of the keys used as arguments".to_owned()
            }
            Denied::Channel(_) => {
                "NOPERM this user has no permissions to access one of the channels used as arguments"
                    .to_owned()
            }
        })
    }

    /// The same, as what of the request is denied; `Some(None)`: there is no such user any more.
    pub fn denies(
        &mut self,
        session: &mut Session,
        now: Now,
        argv: &[&[u8]],
        keys: impl FnOnce() -> Vec<usize>,
    ) -> Option<Option<Denied>> {
        let version = self.auth.acl.version();
        if session.unlimited_at == version {
            return None;
        }
        let Some(user) = self.auth.acl.user(&session.user) else { return Some(None) };
        if user.is_unlimited() {
            session.unlimited_at = version;
            return None;
        }
        let denied = user.denies(catalogue::of_request(argv), argv, &keys())?;
        let object = match denied {
            Denied::Command => name_of(argv).into_bytes(),
            Denied::Key(at) | Denied::Channel(at) => argv.get(at).map_or_else(Vec::new, |word| word.to_vec()),
        };
        self.note_denial(session, now, Reason::Denied(denied), object);
        Some(Some(denied))
    }

    /// A line of ACL LOG.
    pub fn note_denial(&mut self, session: &Session, now: Now, reason: Reason, object: Vec<u8>) {
        let context = match session {
            _ if session.in_script => "lua",
            _ if session.multi.is_some() => "multi",
            _ => "toplevel",
        };
        let client = crate::session::client::line(session, now.mono).trim_end().to_owned();
        self.note(session.user.clone(), now.wall, reason, context, object, client);
    }

    /// A login that failed, under the name that was tried.
    pub fn note_failed_login(&mut self, session: &Session, now: Now, user: &[u8], object: &[u8]) {
        let name = String::from_utf8_lossy(&user[..user.len().min(128)]).into_owned();
        let client = crate::session::client::line(session, now.mono).trim_end().to_owned();
        self.note(name, now.wall, Reason::Auth, "toplevel", object.to_vec(), client);
    }

    fn note(
        &mut self,
        user: String,
        at: Wall,
        reason: Reason,
        context: &'static str,
        mut object: Vec<u8>,
        client: String,
    ) {
        object.truncate(1024);
        let entry = Entry { count: 1, reason: reason.name(), context, object, user, at, client };
        self.auth.acl.log.note(entry);
    }

    /// After rules changed: sessions that listen to what their user may not hear any more are closed,
    /// and those whose user is gone.
    pub fn drop_forbidden_listeners(&mut self, running: &mut Session) {
        let forbidden = |session: &Session| match self.auth.acl.user(&session.user) {
            None => true,
            Some(user) => {
                session
                    .channels
                    .iter()
                    .chain(&session.shard_channels)
                    .any(|channel| !user.allows_channel(channel, false))
                    || session.patterns.iter().any(|pattern| !user.allows_channel(pattern, true))
            }
        };
        let doomed: Vec<SessionId> =
            self.others().filter(|session| forbidden(session)).map(|session| session.id).collect();
        if forbidden(running) {
            running.outbox.close(Close::AfterFlush);
            running.close = true;
        }
        self.close_where(|session| doomed.contains(&session.id));
    }

    /// The shell has read or written the ACL file: the reply of the one who asked.
    pub fn acl_file_done(
        &mut self,
        order: &super::Order,
        result: Result<String, String>,
    ) -> Result<(), String> {
        match (order, result) {
            (super::Order::Load, Ok(text)) => {
                self.auth.acl.load(&text, "aclfile").map_err(|why| format!("ERR {why}"))?;
                let gone: Vec<SessionId> = self
                    .others()
                    .filter(|session| self.auth.acl.user(&session.user).is_none())
                    .map(|session| session.id)
                    .collect();
                self.close_where(|session| gone.contains(&session.id));
                Ok(())
            }
            (super::Order::Save { .. }, Ok(_)) => Ok(()),
            (_, Err(why)) => Err(format!("ERR the ACL file: {why}")),
        }
    }
}

/// As the rules name it: command or subcommand.
fn name_of(argv: &[&[u8]]) -> String {
    match catalogue::of_request(argv) {
        Some(index) => catalogue::entries()[index].name.to_owned(),
        None => String::from_utf8_lossy(argv[0]).to_lowercase(),
    }
}
