//! What a sentinel whose log is gone, damaged or not its own says last: the command by which it comes
//! back as a new member. One line that can be pasted as it stands.

use crate::config::sentinel::SentinelConfig;
use crate::model::NodeId;

/// `next` is an id that was never used, as far as this node knows.
pub(super) fn remedy(config: &SentinelConfig, next: NodeId) -> String {
    let own = config.own_peer().map_or_else(
        || crate::model::Address::new(config.bind.clone(), config.port),
        |own| own.address.clone(),
    );
    let highest = config.peers.iter().map(|peer| peer.id).max().unwrap_or(config.id).max(config.id);
    let new = next.max(highest + 1);
    let other = config.peers.iter().find(|peer| peer.id != config.id).map(|peer| &peer.address);
    let member = other.or(config.join.first()).map_or_else(|| "HOST:PORT".to_owned(), ToString::to_string);
    let file = config.file.display();
    format!(
        "It must not vote again under the id {old}. To rejoin as a new member (with `id: {new}` in {file} from \
         then on; the old log is kept beside the new one): vedette peer replace {old} {new} {own} \
         --sentinel {member} --no-wait && vedette sentinel --config {file} --id {new} --join {member}",
        old = config.id,
    )
}
