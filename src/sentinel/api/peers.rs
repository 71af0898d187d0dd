//! SENTINEL PEERS and SENTINEL PEER: the fleet of sentinels as agreed, and the requests to change it.

use super::family::Call;
use super::{Outcome, quoted};
use crate::model::{Address, NodeId};
use crate::sentinel::command::Command;
use crate::sentinel::members::PeerCommand;

/// One sentinel of the fleet, this one too.
#[derive(Clone, Debug, Default)]
pub struct MemberFacts {
    pub id: NodeId,
    pub address: Option<Address>,
    /// `voter`, `learner` (has no vote yet), `joining` (was announced), `leaving`.
    pub state: &'static str,
    pub leader: bool,
    pub own: bool,
    pub connected: bool,
    pub uuid: String,
    pub run_id: String,
}

/// A map for each, in the order of ids; every value is a bulk string.
pub(super) fn list(call: &mut Call<'_, '_>) -> Outcome {
    let yes = |flag: bool| if flag { "yes" } else { "no" };
    call.reply.array(call.facts.members.len());
    for member in &call.facts.members {
        let address = member.address.as_ref().map(Address::to_string).unwrap_or_default();
        let id = member.id.to_string();
        let fields: [(&str, &str); 8] = [
            ("id", &id),
            ("address", &address),
            ("state", member.state),
            ("leader", yes(member.leader)),
            ("myself", yes(member.own)),
            ("connected", yes(member.connected)),
            ("uuid", &member.uuid),
            ("runid", &member.run_id),
        ];
        call.reply.map(fields.len());
        for (name, value) in fields {
            call.reply.bulk(name.as_bytes());
            call.reply.bulk(value.as_bytes());
        }
    }
    Outcome::Replied
}

const USAGE: &str = "ERR use: SENTINEL PEER ADD id host:port | REMOVE id | REPLACE old-id new-id host:port; SENTINEL PEERS lists them";

/// `PEER ADD id host:port`, `PEER REMOVE id`, `PEER REPLACE old new host:port`; a host and a port may
/// also be two words.
pub(super) fn change(call: &mut Call<'_, '_>) -> Outcome {
    let words: Result<Vec<&str>, _> = call.argv[2..].iter().map(|word| std::str::from_utf8(word)).collect();
    let Ok(mut words) = words else { return call.error(USAGE) };
    let joined;
    if let [.., host, port] = *words
        && port.bytes().all(|b| b.is_ascii_digit())
        && words.len() == if words[0].eq_ignore_ascii_case("ADD") { 4 } else { 5 }
    {
        joined = Address::new(host, port.parse().unwrap_or(0)).to_string();
        words.truncate(words.len() - 2);
        words.push(&joined);
    }
    let known = ["ADD", "REMOVE", "REPLACE"].iter().any(|name| words[0].eq_ignore_ascii_case(name));
    match PeerCommand::parse(&words).filter(|_| known) {
        Some(command) => Outcome::Submit { command: Command::Peer(command), count: None },
        None if known && words.len() > 1 => {
            let shown: Vec<String> = words[1..].iter().map(|word| quoted(word.as_bytes())).collect();
            call.error(&format!("ERR '{}' is no id and address. {}", shown.join(" "), &USAGE[4..]))
        }
        None => call.error(USAGE),
    }
}
