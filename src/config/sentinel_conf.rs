//! An unmodified `sentinel.conf` of Redis or Valkey, read as our own configuration.
//!
//! Promises: the file is only read; what cannot be honoured is refused by name and line, what has no
//! meaning here is left out with a word why, and nothing is dropped in silence. What comes out is the
//! text of a `sentinel.yaml`, so both kinds of file pass the same checks. Passwords that stand in the
//! file are kept beside that text and never in it.

use super::renames::Renames;
use super::sentinel::SentinelConfig;
use super::{ConfigError, Secret};
use crate::model::{Address, NodeId};
use crate::stdx::words::split_words;
use std::collections::BTreeMap;
use std::path::Path;

/// Passwords of a file that holds them itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InlineSecrets {
    pub requirepass: Option<Secret>,
    pub sentinel_pass: Option<Secret>,
    /// By group: the user, if one is named, and the password.
    pub masters: BTreeMap<String, (Option<String>, Secret)>,
}

/// What the command line adds: who the sentinels are, which no sentinel.conf says.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    pub id: Option<NodeId>,
    pub peers: Vec<(NodeId, Address)>,
    pub join: Vec<Address>,
    /// Found the fleet when so many see each other.
    pub bootstrap_expect: Option<usize>,
}

#[derive(Debug)]
pub struct Import {
    pub yaml: String,
    pub secrets: InlineSecrets,
    /// One line for each directive that was left out: where, which, why.
    pub left_out: Vec<String>,
}

#[derive(Default)]
struct Group {
    address: Option<Address>,
    quorum: u64,
    keys: Vec<(&'static str, String)>,
    user: Option<String>,
    renames: Renames,
}

#[derive(Default)]
struct Reading {
    keys: Vec<(&'static str, String)>,
    dir: Option<String>,
    bind: Option<String>,
    port: Option<String>,
    protected: bool,
    groups: Vec<(String, Group)>,
    users: Vec<String>,
    secrets: InlineSecrets,
    left_out: Vec<String>,
    errors: Vec<ConfigError>,
    line: usize,
}

const TEXT_BYTES_MAX: usize = 1 << 20;
const RUNS_IN_FRONT: &str =
    "it runs in the foreground and writes its log to stderr; systemd or a shell does the rest";
const STATE: &str = "state that Redis Sentinel wrote: here it is agreed among the sentinels, and found again";

/// Directives without a meaning here, and why.
const LEFT_OUT: &[(&[&str], &str)] = &[
    (
        &[
            "daemonize",
            "pidfile",
            "logfile",
            "supervised",
            "syslog-enabled",
            "syslog-ident",
            "syslog-facility",
        ],
        RUNS_IN_FRONT,
    ),
    (&["loglevel"], "give --log-level"),
    (
        &["timeout", "tcp-keepalive", "tcp-backlog", "maxclients", "acllog-max-len", "always-show-logo"],
        "limits of the sentinel port are fixed",
    ),
    (
        &["set-proc-title", "proc-title-template", "latency-tracking", "latency-tracking-info-percentiles"],
        "not used",
    ),
];

/// `sentinel` directives of the whole process that are ours by the same name.
const FLEET_KEYS: &[&str] =
    &["announce-ip", "announce-port", "resolve-hostnames", "announce-hostnames", "deny-scripts-reconfig"];
const TLS_KEYS: &[&str] =
    &["tls-port", "tls-cert-file", "tls-key-file", "tls-ca-cert-file", "tls-auth-clients", "tls-replication"];
/// `sentinel KEY group value`.
const GROUP_KEYS: &[&str] = &[
    "down-after-milliseconds",
    "failover-timeout",
    "parallel-syncs",
    "notification-script",
    "client-reconfig-script",
    "master-reboot-down-after-period",
];

pub fn import(text: &str, fleet: &Fleet) -> Result<Import, Vec<ConfigError>> {
    let mut reading = Reading::default();
    if text.len() > TEXT_BYTES_MAX {
        return Err(vec![ConfigError::key("", "the file is larger than 1 MB; is it the right one?")]);
    }
    for (at, line) in text.lines().enumerate() {
        reading.line = at + 1;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let words = split_words(line.as_bytes())
            .and_then(|words| words.into_iter().map(|word| String::from_utf8(word).ok()).collect());
        match words {
            Some(words) => reading.directive(words),
            None => reading.refuse("", "quotes are not closed, or it is no text"),
        }
    }
    reading.finish(fleet)
}

/// A configuration to start from; complaints name the line.
pub fn read(
    text: &str,
    fleet: &Fleet,
    cluster_secret_file: Option<&Path>,
) -> Result<(SentinelConfig, Vec<String>), Vec<ConfigError>> {
    let import = import(text, fleet)?;
    let with_secret = |config: &mut SentinelConfig| {
        config.cluster_secret_file = cluster_secret_file.map(Path::to_owned);
    };
    let mut config = SentinelConfig::read(&import.yaml, with_secret)?;
    for master in &mut config.masters {
        if let Some((user, _)) = import.secrets.masters.get(&master.name) {
            master.auth_user.clone_from(user);
        }
    }
    config.inline = import.secrets;
    Ok((config, import.left_out))
}

impl Reading {
    fn refuse(&mut self, key: &str, message: impl Into<String>) {
        let (at, key) = (Some((self.line, 1)), key.to_owned());
        self.errors.push(ConfigError { at, key, message: message.into() });
    }

    fn leave_out(&mut self, key: &str, why: &str) {
        self.left_out.push(format!("line {}: {key}: {why}", self.line));
    }

    fn directive(&mut self, mut words: Vec<String>) {
        let name = words.remove(0).to_ascii_lowercase();
        let one = |words: &[String]| words.first().cloned().unwrap_or_default();
        match name.as_str() {
            "sentinel" if !words.is_empty() => self.sentinel(words),
            "port" => self.port = Some(one(&words)),
            "dir" => self.dir = Some(one(&words)),
            "protected-mode" => {
                self.protected = one(&words).eq_ignore_ascii_case("yes");
            }
            "bind" => {
                let listed: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
                self.bind = listed.first().map(|first| if *first == "*" { "0.0.0.0" } else { first }.to_owned());
                if listed.len() > 1 {
                    let rest: Vec<&str> = listed[1..].iter().map(|word| word.as_str()).collect();
                    self.leave_out("bind", &format!("one address is listened on; not {}", rest.join(" ")));
                }
            }
            "requirepass" if !one(&words).is_empty() => {
                self.secrets.requirepass = Some(Secret::new(one(&words)));
            }
            "requirepass" => {}
            "user" if words.len() >= 2 || (words.len() == 1 && !words[0].is_empty()) => {
                self.users.push(hashed(&words));
            }
            "aclfile" => {
                if !one(&words).is_empty() {
                    self.keys.push(("aclfile", one(&words)));
                }
            }
            key if TLS_KEYS.contains(&key) => {
                let known = TLS_KEYS.iter().find(|known| **known == key);
                self.keys.extend(known.map(|known| (*known, one(&words))));
            }
            key => match LEFT_OUT.iter().find(|(names, _)| names.contains(&key)) {
                Some((_, why)) => self.leave_out(key, why),
                None => self.refuse(key, "this directive cannot be honoured here; remove it, or start from a sentinel.yaml (vedette import writes one)"),
            },
        }
    }

    fn sentinel(&mut self, words: Vec<String>) {
        let name = words[0].to_ascii_lowercase();
        let rest: Vec<&str> = words[1..].iter().map(String::as_str).collect();
        match (name.as_str(), rest.as_slice()) {
            ("monitor", [group, host, port, quorum]) => {
                let address =
                    port.parse().ok().filter(|port| *port != 0).map(|port| Address::new(*host, port));
                let (Some(address), Ok(quorum)) = (address, quorum.parse()) else {
                    return self.refuse("sentinel monitor", "expected: monitor name host port quorum");
                };
                // Redis takes a group up with these; ours differ.
                let group = self.group(group);
                (group.address, group.quorum) = (Some(address), quorum);
            }
            ("auth-pass", [group, password]) => {
                let (group, password) = ((*group).to_owned(), Secret::new((*password).to_owned()));
                self.secrets.masters.insert(group, (None, password));
            }
            ("auth-user", [group, user]) => self.group(group).user = Some((*user).to_owned()),
            ("rename-command", [group, old, new]) => {
                let renames = &mut self.group(group).renames;
                if renames.take(old, new).is_none() {
                    self.refuse(
                        "sentinel rename-command",
                        "expected: rename-command name command new-name, both names without spaces",
                    );
                }
            }
            ("primary-reboot-down-after-period", [group, value]) => {
                let said = ("master-reboot-down-after-period", (*value).to_owned());
                self.group(group).keys.push(said);
            }
            ("sentinel-pass", [password]) => {
                let password = (!password.is_empty()).then(|| Secret::new((*password).to_owned()));
                self.secrets.sentinel_pass = password;
            }
            ("sentinel-user", [user]) => self.keys.push(("sentinel-user", (*user).to_owned())),
            (
                "myid" | "current-epoch" | "config-epoch" | "leader-epoch" | "known-replica" | "known-slave"
                | "known-sentinel" | "state-config-file",
                _,
            ) => self.leave_out(&format!("sentinel {name}"), STATE),
            (key, [value]) if FLEET_KEYS.contains(&key) => {
                let known = FLEET_KEYS.iter().find(|known| **known == key);
                self.keys.extend(known.map(|known| (*known, (*value).to_owned())));
            }
            (key, [group, value]) if GROUP_KEYS.contains(&key) => {
                if let Some(known) = GROUP_KEYS.iter().find(|known| **known == key) {
                    self.group(group).keys.push((known, (*value).to_owned()));
                }
            }
            _ => self.refuse(&format!("sentinel {name}"), "no such directive, or not with these words"),
        }
    }

    fn group(&mut self, name: &str) -> &mut Group {
        let at = self.groups.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            self.groups.push((name.to_owned(), Group::default()));
            self.groups.len() - 1
        });
        &mut self.groups[at].1
    }

    fn finish(mut self, fleet: &Fleet) -> Result<Import, Vec<ConfigError>> {
        self.line = 0;
        for (name, group) in &mut self.groups {
            if group.address.is_none() {
                let message =
                    format!("'{name}' has settings but no `sentinel monitor {name} host port quorum`");
                self.errors.push(ConfigError::key("sentinel", message));
            }
            if let Some(user) = group.user.take() {
                match self.secrets.masters.get_mut(name) {
                    Some((known, _)) => *known = Some(user),
                    None => {
                        let message = format!("'{name}' has an auth-user and no auth-pass");
                        self.errors.push(ConfigError::key("sentinel auth-user", message));
                    }
                }
            }
        }
        let port = self.port.clone().unwrap_or_else(|| "26379".to_owned());
        let own = fleet.peers.iter().find(|(_, address)| address.port.to_string() == port);
        let id = fleet.id.or_else(|| own.filter(|_| fleet.peers.len() == 1).map(|(id, _)| *id));
        let founds = fleet.bootstrap_expect.is_some();
        match id {
            Some(_) if !self.errors.is_empty() => Err(self.errors),
            None if founds && !self.errors.is_empty() => Err(self.errors),
            Some(id) => Ok(self.write(fleet, Some(id), &port)),
            None if founds => Ok(self.write(fleet, None, &port)),
            None => {
                let message = "which sentinel is this? A sentinel.conf does not say: give --id N and --peers 1=HOST:PORT,2=HOST:PORT,... with the sentinels of the fleet, the same on each; or --bootstrap-expect N, and N sentinels of the same masters find each other";
                self.errors.push(ConfigError::key("", message));
                Err(self.errors)
            }
        }
    }

    fn write(self, fleet: &Fleet, id: Option<NodeId>, port: &str) -> Import {
        let mut out = String::new();
        let mut line = |text: String| {
            out.push_str(&text);
            out.push('\n');
        };
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        line("# The sentinels of this fleet, and this one among them.".into());
        if let Some(id) = id {
            line(format!("id: {id}"));
        }
        if let Some(expect) = fleet.bootstrap_expect {
            line(format!("bootstrap-expect: {expect}"));
        }
        if !fleet.peers.is_empty() {
            line("peers:".into());
            for (id, address) in &fleet.peers {
                line(format!("  - {{ id: {id}, address: {} }}", quoted(&address.to_string())));
            }
        }
        if !fleet.join.is_empty() {
            let join: Vec<String> = fleet.join.iter().map(|address| quoted(&address.to_string())).collect();
            line(format!("join: [{}]", join.join(", ")));
        }
        line("\n# Where it listens. Redis Sentinel has protected-mode off unless it is set.".into());
        line(format!("bind: {}", quoted(self.bind.as_deref().unwrap_or("0.0.0.0"))));
        line(format!("port: {port}"));
        line(format!("protected-mode: {}", if self.protected { "yes" } else { "no" }));
        line("\n# The agreed log; each sentinel has a directory of its own.".into());
        let dir = self.dir.as_deref().unwrap_or(".").trim_end_matches('/');
        // Who has no id yet is told from others on this machine by its port.
        let own = id.map_or_else(|| format!("port-{port}"), |id| id.to_string());
        line(format!("dir: {}", quoted(&format!("{dir}/vedette-sentinel-{own}"))));
        for (key, value) in &self.keys {
            let plain = value.bytes().all(|b| b.is_ascii_digit()) || value == "yes" || value == "no";
            line(format!("{key}: {}", if plain { value.clone() } else { quoted(value) }));
        }
        if !self.users.is_empty() {
            line("\n# Passwords are here as SHA-256, as ACL LIST shows them.\nusers:".into());
        }
        for user in &self.users {
            line(format!("  - {}", quoted(user)));
        }
        line(if self.groups.is_empty() { "\nmasters: []".into() } else { "\nmasters:".to_owned() });
        for (name, group) in &self.groups {
            let Some(address) = &group.address else { continue };
            line(format!("  - name: {}", quoted(name)));
            line(format!("    address: {}", quoted(&address.to_string())));
            line(format!("    quorum: {}", group.quorum));
            // Redis' defaults, which the file relies on where it is silent; the last word counts.
            for (key, default) in [
                ("down-after-milliseconds", "30000"),
                ("failover-timeout", "180000"),
                ("parallel-syncs", "1"),
            ] {
                let said = group.keys.iter().rev().find(|(known, _)| *known == key);
                line(format!("    {key}: {}", said.map_or(default, |(_, value)| value.as_str())));
            }
            let reboot =
                group.keys.iter().rev().find(|(known, _)| *known == "master-reboot-down-after-period");
            if let Some((key, value)) = reboot {
                line(format!("    {key}: {value}"));
            }
            if group.renames != Renames::default() {
                let text = serde_json::to_string(&group.renames).unwrap_or_default();
                line(format!("    rename-commands: {text}"));
            }
            for key in ["notification-script", "client-reconfig-script"] {
                if let Some((_, value)) = group.keys.iter().rev().find(|(known, _)| *known == key) {
                    line(format!("    {key}: {}", quoted(value)));
                }
            }
        }
        Import { yaml: out, secrets: self.secrets, left_out: self.left_out }
    }
}

/// A user's line with its passwords as SHA-256: what is written elsewhere holds none in clear.
fn hashed(words: &[String]) -> String {
    use sha2::{Digest, Sha256};
    let hash = |password: &str| -> String {
        Sha256::digest(password.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let rules = words.iter().enumerate().map(|(at, word)| match word.as_bytes().first() {
        // The first word is the name.
        Some(b'>') if at > 0 => format!("#{}", hash(&word[1..])),
        Some(b'<') if at > 0 => format!("!{}", hash(&word[1..])),
        _ => word.clone(),
    });
    rules.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[path = "sentinel_conf_tests.rs"]
mod tests;
