//! What a well-formed `sentinel.yaml` must also satisfy. Every complaint names the key and the
//! remedy; all of them are given at once, so a file is repaired in one round.

use super::ConfigError;
use super::sentinel::{MasterConfig, SentinelConfig};
use super::webhook;
use std::collections::BTreeSet;

/// Everything wrong with it, in the order of the file.
pub fn validate(config: &SentinelConfig) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    fleet(config, &mut errors);
    masters(config, &mut errors);
    let mut names = BTreeSet::new();
    for (index, webhook) in config.webhooks.iter().enumerate() {
        let key = format!("webhooks[{index}]");
        if !names.insert(&webhook.name) {
            errors.push(ConfigError::key(
                format!("{key}.name"),
                format!("two webhooks are named '{}'; rename one", webhook.name),
            ));
        }
        webhook::check(&key, webhook, &mut errors);
    }
    super::hooks::validate("hooks", &config.hooks, &mut errors);
    let groups: Vec<&str> = config.masters.iter().map(|master| master.name.as_str()).collect();
    super::drills::check(&config.drills, &groups, &mut errors);
    timing(config, &mut errors);
    super::tls::validate(config, &mut errors);
    super::addresses::validate(config, &mut errors);
    super::http_users::validate(&config.http_users, config.http_view, &mut errors);
    errors
}

/// What is allowed but seldom meant.
pub fn warnings(config: &SentinelConfig) -> Vec<String> {
    let mut warnings = Vec::new();
    if config.aclfile.is_some() && !config.users.is_empty() {
        warnings.push("users: not used, because `aclfile` is set; keep users in one place".to_owned());
    }
    let voters = config.peers.len();
    if config.joins() || config.founds() {
        // The fleet that it joins, or founds, is not described here.
    } else if voters == 1 {
        warnings.push("peers: a single sentinel cannot survive its own machine; three are usual".to_owned());
    } else if voters.is_multiple_of(2) {
        warnings.push(format!(
            "peers: {voters} voters bear no more failures than {}; an odd number is usual",
            voters - 1
        ));
    }
    if let Some(own) = config.own_peer()
        && own.address.port != config.port
        && own.address.port != config.tls_port
    {
        warnings.push(format!(
            "port: this sentinel listens on {} but its peers are told {} (right only behind a port mapping)",
            config.port, own.address
        ));
    }
    for master in &config.masters {
        if config.peers.len() > 1 && master.address.is_loopback() && !config.all_peers_on_loopback() {
            warnings.push(format!(
                "masters: '{}' is at {}, which is another machine for each sentinel; give the address that all of them and the clients can reach",
                master.name, master.address
            ));
        }
    }
    warnings
}

/// A group's name: the characters that Redis Sentinel allows, and short enough to be a label.
pub fn is_group_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    (1..=128).contains(&name.len()) && name.bytes().all(allowed)
}

fn fleet(config: &SentinelConfig, errors: &mut Vec<ConfigError>) {
    if config.id == 0 && !config.founds() {
        errors.push(ConfigError::key(
            "id",
            "missing field `id`, or 0, which is no id; give each sentinel its own number from 1 on",
        ));
    }
    if config.bind.is_empty() || !config.bind.bytes().all(|b| b.is_ascii_graphic()) {
        errors.push(ConfigError::key("bind", "give one address to listen on, as 127.0.0.1 or 0.0.0.0"));
    }
    if config.http.as_ref().is_some_and(|http| {
        (http.port == config.port || http.port == config.tls_port) && http.host == config.bind
    }) {
        errors.push(ConfigError::key(
            "http",
            "the status page cannot share the sentinel port; the usual one is 26380",
        ));
    }
    if config.dir.as_os_str().is_empty() {
        errors.push(ConfigError::key("dir", "give a directory of this sentinel's own for its log"));
    }
    super::bootstrap::validate(config, errors);
    if config.founds() {
        return;
    }
    if config.peers.is_empty() && !config.joins() {
        errors.push(ConfigError::key(
            "peers",
            "list every sentinel of the fleet, this one too, as - { id: 1, address: \"10.0.0.1:26379\" }; or give `bootstrap-expect` to found it from sentinels that see each other, or `join` to enter one that stands",
        ));
        return;
    }
    let (mut ids, mut addresses) = (BTreeSet::new(), BTreeSet::new());
    for (index, peer) in config.peers.iter().enumerate() {
        if peer.id == 0 {
            errors.push(ConfigError::key(format!("peers[{index}].id"), "0 is no id; count from 1"));
        }
        if !ids.insert(peer.id) {
            errors.push(ConfigError::key(
                format!("peers[{index}].id"),
                format!("two peers have the id {}; every sentinel needs its own", peer.id),
            ));
        }
        if !addresses.insert(&peer.address) {
            errors.push(ConfigError::key(
                format!("peers[{index}].address"),
                format!("two peers have the address {}; every sentinel needs its own", peer.address),
            ));
        }
    }
    if config.id != 0 && !ids.contains(&config.id) && !config.joins() {
        errors.push(ConfigError::key(
            "peers",
            format!("this sentinel (id {}) is not in the list; add it with its own address", config.id),
        ));
    }
    if config.cluster_secret_file.is_none()
        && let Some(far) =
            config.peers.iter().map(|peer| &peer.address).chain(&config.join).find(|at| !at.is_loopback())
    {
        errors.push(ConfigError::key(
            "cluster-secret-file",
            format!(
                "the peer {far} is not on loopback, so peers must prove who they are; name a file with the same secret on every sentinel"
            ),
        ));
    }
}

fn masters(config: &SentinelConfig, errors: &mut Vec<ConfigError>) {
    let (mut names, mut addresses) = (BTreeSet::new(), BTreeSet::new());
    for (index, master) in config.masters.iter().enumerate() {
        let key = format!("masters[{index}]");
        if !names.insert(&master.name) {
            errors.push(ConfigError::key(
                format!("{key}.name"),
                format!("two groups are named '{}'; rename one", master.name),
            ));
        }
        if !addresses.insert(&master.address) {
            errors.push(ConfigError::key(
                format!("{key}.address"),
                format!("another group already watches {}; one server belongs to one group", master.address),
            ));
        }
        // How many there are, a fleet that is joined knows better.
        let voters = if config.joins() { 0 } else { config.bootstrap_expect.unwrap_or(config.peers.len()) };
        check_master(&key, master, voters, errors);
        super::hooks::validate(&format!("{key}.hooks"), &master.hooks, errors);
        super::renames::validate(format!("{key}.rename-commands"), &master.rename_commands, errors);
        let (told, moved) = (&master.notification_script, &master.client_reconfig_script);
        super::hooks::validate_script(format!("{key}.notification-script"), told.as_ref(), errors);
        super::hooks::validate_script(format!("{key}.client-reconfig-script"), moved.as_ref(), errors);
    }
}

fn check_master(key: &str, master: &MasterConfig, voters: usize, errors: &mut Vec<ConfigError>) {
    let mut refuse =
        |field: &str, message: String| errors.push(ConfigError::key(format!("{key}.{field}"), message));
    if !is_group_name(&master.name) {
        refuse(
            "name",
            format!(
                "'{}' is no group name; use letters, digits, '.', '-' and '_' (at most 128)",
                master.name
            ),
        );
    }
    if master.quorum == 0 {
        refuse("quorum", "0 sentinels cannot agree on anything; give 1 or more".to_owned());
    } else if voters > 0 && master.quorum > voters {
        refuse(
            "quorum",
            format!("{} can never be reached with {voters} sentinels in peers; lower it", master.quorum),
        );
    }
    between(&mut refuse, "down-after-milliseconds", master.down_after_milliseconds, 10, DAY_MS);
    between(&mut refuse, "crash-grace-milliseconds", master.crash_grace_milliseconds, 0, DAY_MS);
    between(&mut refuse, "failover-timeout", master.failover_timeout, 100, DAY_MS);
    let reboot = master.master_reboot_down_after_period;
    between(&mut refuse, "master-reboot-down-after-period", reboot, 0, DAY_MS);
    if master.parallel_syncs == 0 {
        refuse("parallel-syncs", "0 would never re-point a replica; give 1 or more".to_owned());
    }
    for (field, message) in master.policy().complaints() {
        refuse(field, message);
    }
    if master.auth_user.is_some() && master.auth_pass_file.is_none() {
        refuse(
            "auth-user",
            "a user needs a password; add auth-pass-file with the file that holds it".to_owned(),
        );
    }
}

const DAY_MS: u64 = 24 * 3600 * 1000;

fn between(refuse: &mut impl FnMut(&str, String), field: &str, value: u64, min: u64, max: u64) {
    if !(min..=max).contains(&value) {
        refuse(field, format!("{value} is out of range; give milliseconds from {min} to {max}"));
    }
}

fn timing(config: &SentinelConfig, errors: &mut Vec<ConfigError>) {
    let mut refuse = |key: &str, message: String| errors.push(ConfigError::key(key, message));
    let raft = &config.raft;
    between(&mut refuse, "raft.heartbeat-milliseconds", raft.heartbeat_milliseconds, 5, 60_000);
    between(&mut refuse, "raft.election-milliseconds-min", raft.election_milliseconds_min, 20, 600_000);
    between(&mut refuse, "raft.election-milliseconds-max", raft.election_milliseconds_max, 20, 600_000);
    if raft.election_milliseconds_min < raft.heartbeat_milliseconds.saturating_mul(3) {
        refuse(
            "raft.election-milliseconds-min",
            format!(
                "{} is too near to the heartbeat of {} ms: a single late message would start an election; give at least three heartbeats",
                raft.election_milliseconds_min, raft.heartbeat_milliseconds
            ),
        );
    }
    if raft.election_milliseconds_max <= raft.election_milliseconds_min {
        refuse(
            "raft.election-milliseconds-max",
            "must be above election-milliseconds-min, so that two candidates do not start together for ever; twice the minimum is usual".to_owned(),
        );
    }
    between(&mut refuse, "lease-milliseconds", config.lease_milliseconds, 100, 60_000);
    if config.blast_radius_percent > 100 {
        refuse(
            "blast-radius-percent",
            format!(
                "{} is no part of all groups; give 1 to 100, or 0 to turn it off",
                config.blast_radius_percent
            ),
        );
    }
}

/// Enough to know that a request can be made of it: scheme, host, a port that is a number.
pub(super) fn is_http_url(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) else {
        return false;
    };
    if url.len() > 2048 || !url.bytes().all(|b| b.is_ascii_graphic()) {
        return false;
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    let host_port = authority.rsplit('@').next().unwrap_or("");
    let (host, port) = match host_port.strip_prefix('[') {
        Some(inner) => match inner.split_once(']') {
            Some((host, rest)) => (host, rest.strip_prefix(':')),
            None => return false,
        },
        None => match host_port.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (host_port, None),
        },
    };
    !host.is_empty() && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port != 0))
}
