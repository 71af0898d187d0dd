//! CLIENT MAINT_NOTIFICATIONS: clients that ask for it are told by push when a planned switchover begins
//! (`FAILING_OVER`, with the seconds it may take) and when it was given up (`FAILED_OVER`), so that they
//! are patient meanwhile. After a switchover that happened their connections end, which says it best.

use super::{Class, Hub, Session, SessionError};
use crate::resp::{Protocol, Writer};
use bytes::Bytes;

const ENDPOINT_TYPES: [&str; 5] = ["internal-ip", "internal-fqdn", "external-ip", "external-fqdn", "none"];
/// There is one shard here.
const SHARD: &[u8] = b"1";

/// `words`: ON or OFF, and options.
pub(super) fn command(
    session: &mut Session,
    words: &[&[u8]],
    out: &mut Writer<'_>,
) -> Result<(), SessionError> {
    let is = |word: &[u8], name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    let known = |kind: &[u8]| ENDPOINT_TYPES.iter().any(|name| is(kind, name));
    let asks = match words {
        [word] if is(word, "off") => false,
        [word] if is(word, "on") => true,
        [word, option, kind] if is(word, "on") && is(option, "moving-endpoint-type") && known(kind) => true,
        _ => return Err(SessionError::Syntax),
    };
    if asks && session.protocol != Protocol::Resp3 {
        return Err("ERR maintenance notifications need RESP3; say HELLO 3 first".into());
    }
    session.maintenance = asks;
    out.ok();
    Ok(())
}

impl Hub {
    /// A planned switchover holds writes back for at most so long.
    pub fn announce_failover(&mut self, ttl_s: u64) {
        self.announced += 1;
        let number = self.announced;
        self.announcing = true;
        self.tell_patient(&|out| {
            out.push(4);
            out.bulk(b"FAILING_OVER");
            out.integer(number as i64);
            out.integer(ttl_s as i64);
            out.array(1);
            out.bulk(SHARD);
        });
    }

    /// The pause is over and this is still the same server.
    pub(super) fn announce_end(&mut self) {
        if !std::mem::take(&mut self.announcing) {
            return;
        }
        self.announced += 1;
        let number = self.announced;
        self.tell_patient(&|out| {
            out.push(3);
            out.bulk(b"FAILED_OVER");
            out.integer(number as i64);
            out.array(1);
            out.bulk(SHARD);
        });
    }

    fn tell_patient(&self, write: &dyn Fn(&mut Writer<'_>)) {
        let bytes_max = self.settings.output_bytes_max(Class::PubSub);
        let mut bytes = Vec::new();
        write(&mut Writer::new(&mut bytes, Protocol::Resp3));
        let bytes = Bytes::from(bytes);
        let asked = |session: &&Session| session.maintenance && session.protocol == Protocol::Resp3;
        self.others().filter(asked).for_each(|session| session.outbox.push(bytes.clone(), bytes_max));
    }
}
