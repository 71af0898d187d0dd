//! SENTINEL VOUCH: is this server the master, as the fleet agrees now? Asked by the agents that stand
//! beside stock servers; see docs/agent.md.

use super::Outcome;
use super::family::Call;

pub(super) const HELP: &[&str] = &[
    "VOUCH <master-name> <host> <port>",
    "    Whether this server is the agreed master: master, other or undecided; epoch; down-after.",
];

/// `master`, `other` or, while a failover is open, `undecided`. Only in touch with the majority,
/// whatever the group's mode.
pub(super) fn vouch(call: &mut Call<'_, '_>) -> Outcome {
    let Some(index) = call.known_group() else { return Outcome::Replied };
    if !call.facts.fresh {
        return call.error("NOQUORUM This sentinel is out of touch with the majority, ask another one");
    }
    let group = &call.facts.groups[index];
    let master = &group.master.address;
    let port = std::str::from_utf8(call.argv[4]).ok().and_then(|port| port.parse().ok());
    let is_master = master.host.as_bytes() == call.argv[3] && Some(master.port) == port;
    let word: &[u8] = match (&group.failover_state, is_master) {
        (Some(_), _) => b"undecided",
        (None, true) => b"master",
        (None, false) => b"other",
    };
    call.reply.array(3);
    call.reply.bulk(word);
    call.reply.integer(group.epoch as i64);
    call.reply.integer(group.down_after_ms as i64);
    Outcome::Replied
}
