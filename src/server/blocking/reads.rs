//! XREAD and XREADGROUP that wait: tried as the data commands they are; with BLOCK and nothing to
//! read they wait for their keys with every `$` fixed to the id it stood for.

use super::{Done, Kind, Server, Waiting};
use crate::commands::CommandError;
use crate::commands::stream_read::{self, Asked};
use crate::resp::{Protocol, Writer};
use crate::session::Session;
use crate::stdx::time::{Duration, Now};
use crate::store::{StreamId, Value};

/// These take the place of the data commands of the same names, which never wait.
pub const INSTEAD: &[(&str, crate::server::Handler)] = &[("xread", xread), ("xreadgroup", xreadgroup)];

fn xread(s: &mut Server, c: &mut Session, now: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    s.read_streams(c, now, false, argv, out)
}

fn xreadgroup(s: &mut Server, c: &mut Session, now: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    s.read_streams(c, now, true, argv, out)
}

impl Server {
    fn read_streams(
        &mut self,
        session: &mut Session,
        now: Now,
        group: bool,
        argv: &[&[u8]],
        out: &mut Writer<'_>,
    ) -> Done {
        let asked = Asked::parse(argv, group)?;
        if self.attempt_read(now, session.db, group, argv, out)? {
            return Ok(());
        }
        let Some(block_ms) = asked.block_ms else {
            out.null_array();
            return Ok(());
        };
        let argv = stream_read::fixed_words(argv, |key| self.last_id(now, session.db, key));
        let timeout = (block_ms > 0).then(|| Duration::from_millis(block_ms));
        let waiting = Waiting { kind: Kind::Read { group }, argv, keys: asked.keys, timeout };
        self.wait(session, now, waiting, out);
        Ok(())
    }

    fn last_id(&self, now: Now, db: usize, key: &[u8]) -> StreamId {
        match self.keyspace.entry(db, key) {
            Some(entry) if !entry.is_expired(now.wall.as_millis()) => match entry.value() {
                Value::Stream(stream) => stream.last_id(),
                _ => StreamId::ZERO,
            },
            _ => StreamId::ZERO,
        }
    }

    /// Whether there was something to read; takes back its reply if not.
    pub(super) fn attempt_read(
        &mut self,
        now: Now,
        db: usize,
        group: bool,
        argv: &[&[u8]],
        out: &mut Writer<'_>,
    ) -> Result<bool, CommandError> {
        let handler = if group { stream_read::xreadgroup } else { stream_read::xread };
        let mut reply = Vec::new();
        self.call_data(now, db, handler, argv, &mut Writer::new(&mut reply, out.protocol()))?;
        let null: &[u8] = if out.protocol() == Protocol::Resp3 { b"_\r\n" } else { b"*-1\r\n" };
        let found = reply != null;
        if found {
            out.raw(&reply);
        }
        Ok(found)
    }
}
