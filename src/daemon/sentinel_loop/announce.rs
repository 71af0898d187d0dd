//! `announce-hostnames: no`: clients are told where names lead, as far as that is known.

use crate::model::Address;
use crate::net::names::Names;
use crate::sentinel::api::Facts;

/// The address that a name led to last, or the name itself.
pub(super) fn address(named: &Address, names: &Names) -> Address {
    let known = if named.is_ip() { None } else { names.known(&named.host) };
    known.map_or_else(|| named.clone(), |ip| Address::new(ip.to_string(), named.port))
}

/// Puts the address that a name led to last in the name's place.
pub(super) fn by_address(facts: &mut Facts, names: &Names) {
    let lead = |named: &mut Address| *named = address(named, names);
    for group in &mut facts.groups {
        lead(&mut group.master.address);
        group.in_sync.iter_mut().for_each(lead);
        for replica in &mut group.replicas {
            lead(&mut replica.instance.address);
            replica.follows.iter_mut().for_each(lead);
        }
    }
    facts.peers.iter_mut().for_each(|peer| lead(&mut peer.address));
}
