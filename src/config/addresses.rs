//! Where instances are really reached: NAT rules, and what this sentinel says of itself.

use super::ConfigError;
use super::sentinel::SentinelConfig;
use crate::model::Address;
use serde::{Deserialize, Serialize};

/// An address (or a whole host) as announced, and where to dial instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct NatRule {
    /// `10.0.0.5:6379`, or a host without a port for all its ports.
    pub announced: String,
    pub dial: String,
}

impl NatRule {
    /// Both as addresses, or `None` when they are not both.
    pub fn addresses(&self) -> Option<(Address, Address)> {
        Some((self.announced.parse().ok()?, self.dial.parse().ok()?))
    }

    /// Both as hosts, or `None` when they are not both.
    pub fn hosts(&self) -> Option<(&str, &str)> {
        let is_host = |text: &str| {
            let probe = if text.contains(':') { format!("[{text}]:1") } else { format!("{text}:1") };
            probe.parse::<Address>().is_ok() && !text.contains('[')
        };
        (is_host(&self.announced) && is_host(&self.dial)).then_some((&*self.announced, &*self.dial))
    }
}

impl SentinelConfig {
    /// Where clients and peers are told that this sentinel is.
    pub fn announced(&self) -> Option<Address> {
        let own = self.own_peer();
        let host = self.announce_ip.clone().or_else(|| own.map(|own| own.address.host.clone()))?;
        Some(Address::new(host, self.announce_port.or(own.map(|own| own.address.port))?))
    }
}

pub fn validate(config: &SentinelConfig, errors: &mut Vec<ConfigError>) {
    for (index, rule) in config.nat_map.iter().enumerate() {
        if rule.addresses().is_none() && rule.hosts().is_none() {
            errors.push(ConfigError::key(
                format!("nat-map[{index}]"),
                "give two addresses, as { announced: \"10.0.0.5:6379\", dial: \"203.0.113.7:7001\" }, or two hosts without ports",
            ));
        }
    }
    if let Some(host) = &config.announce_ip
        && format!("{}:1", if host.contains(':') { format!("[{host}]") } else { host.clone() })
            .parse::<Address>()
            .is_err()
    {
        errors.push(ConfigError::key(
            "announce-ip",
            "give the address or host name by which others reach this sentinel",
        ));
    }
    if config.announce_port == Some(0) {
        errors.push(ConfigError::key(
            "announce-port",
            "0 is no port; leave the key out to announce the port of `peers`",
        ));
    }
    if config.resolve_hostnames {
        return;
    }
    let names = config.peers.iter().map(|peer| ("peers", &peer.address));
    let names = names.chain(config.masters.iter().map(|master| ("masters", &master.address)));
    for (key, address) in names.filter(|(_, address)| !address.is_ip()) {
        errors.push(ConfigError::key(
            key,
            format!("{address} is a host name; write its address, or set `resolve-hostnames: yes`"),
        ));
    }
}
