//! What an operator may ask of the fleet: commands that only the leader can carry out. Any sentinel
//! takes them and passes them on; the answer comes when they are agreed.

use crate::model::event::EventKind;
use crate::model::{Address, NodeId};
use crate::sentinel::decision::{Cause, Decision, WebhookWish};
use crate::sentinel::drill::DrillCommand;
use crate::sentinel::ledger::{GROUPS_MAX, Group, Ledger};
use crate::sentinel::members::PeerCommand;
use crate::sentinel::policy::PolicyCommand;
use crate::sentinel::settings::Settings;
use crate::sentinel::wish::Wish;
use crate::stdx::glob;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Monitor {
        name: String,
        address: Address,
        quorum: usize,
    },
    Set {
        name: String,
        options: Vec<(String, String)>,
    },
    Remove {
        name: String,
    },
    Failover {
        name: String,
        wish: Wish,
    },
    Reset {
        pattern: String,
    },
    /// Settings of the fleet as a whole.
    Configure {
        options: Vec<(String, String)>,
    },
    /// Settings of one sentinel, and where it is to be found with them.
    Own {
        node: NodeId,
        options: Vec<(String, String)>,
        address: Option<Address>,
    },
    /// Maintenance and holds.
    Policy(PolicyCommand),
    /// To whoever delivers it.
    Webhook {
        name: String,
        wish: WebhookWish,
    },
    Drill(DrillCommand),
    /// Sentinels added, replaced, removed.
    Peer(PeerCommand),
}

const NAME_BYTES_MAX: usize = 128;
const OPTIONS_MAX: usize = 64;

impl Command {
    /// The words that carry it to the leader.
    pub fn words(&self) -> Vec<Vec<u8>> {
        let mut words: Vec<String> = Vec::new();
        match self {
            Command::Monitor { name, address, quorum } => {
                words.extend(["MONITOR".into(), name.clone(), address.to_string(), quorum.to_string()]);
            }
            Command::Set { name, options } => {
                words.extend(["SET".into(), name.clone()]);
                words.extend(options.iter().flat_map(|(name, value)| [name.clone(), value.clone()]));
            }
            Command::Remove { name } => words.extend(["REMOVE".into(), name.clone()]),
            Command::Failover { name, wish } => {
                words.extend(["FAILOVER".into(), name.clone()]);
                words.extend(wish.words());
            }
            Command::Reset { pattern } => words.extend(["RESET".into(), pattern.clone()]),
            Command::Configure { options } => {
                words.push("CONFIGURE".into());
                words.extend(options.iter().flat_map(|(name, value)| [name.clone(), value.clone()]));
            }
            Command::Own { node, options, address } => {
                let address = address.as_ref().map_or_else(|| "-".to_owned(), Address::to_string);
                words.extend(["OWN".to_owned(), node.to_string(), address]);
                words.extend(options.iter().flat_map(|(name, value)| [name.clone(), value.clone()]));
            }
            Command::Policy(command) => words.extend(command.words()),
            Command::Webhook { name, wish } => {
                words.extend(["WEBHOOKS".into()]);
                words.extend(webhook_words(name, *wish));
            }
            Command::Drill(command) => {
                words.push("DRILL".into());
                words.extend(command.words());
            }
            Command::Peer(command) => {
                words.push("PEER".into());
                words.extend(command.words());
            }
        }
        words.into_iter().map(String::into_bytes).collect()
    }

    /// Reads what `words` wrote; a peer of another version may send what we do not know.
    pub fn parse(words: &[Vec<u8>]) -> Option<Self> {
        let words: Option<Vec<&str>> = words.iter().map(|word| std::str::from_utf8(word).ok()).collect();
        Some(match words?.as_slice() {
            ["MONITOR", name, address, quorum] => Command::Monitor {
                name: (*name).to_owned(),
                address: address.parse().ok()?,
                quorum: quorum.parse().ok()?,
            },
            ["SET", name, options @ ..] if options.len() % 2 == 0 => Command::Set {
                name: (*name).to_owned(),
                options: options.chunks(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect(),
            },
            ["REMOVE", name] => Command::Remove { name: (*name).to_owned() },
            ["FAILOVER", name, options @ ..] => {
                let options: Vec<&[u8]> = options.iter().map(|word| word.as_bytes()).collect();
                Command::Failover { name: (*name).to_owned(), wish: Wish::parse(&options).ok()? }
            }
            ["CONFIGURE", options @ ..] if options.len() % 2 == 0 => Command::Configure {
                options: options.chunks(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect(),
            },
            ["OWN", node, address, options @ ..] if options.len() % 2 == 0 => Command::Own {
                node: node.parse().ok()?,
                options: options.chunks(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect(),
                address: if *address == "-" { None } else { Some(address.parse().ok()?) },
            },
            ["DRILL", words @ ..] => Command::Drill(DrillCommand::parse(words)?),
            ["PEER", words @ ..] => Command::Peer(PeerCommand::parse(words)?),
            ["RESET", pattern] => Command::Reset { pattern: (*pattern).to_owned() },
            ["WEBHOOKS", words @ ..] => webhook(words)?,
            other => Command::Policy(PolicyCommand::parse(other)?),
        })
    }

    /// Reads what a client sent, `SENTINEL` first; `api` has checked its shape and told mistakes.
    pub fn from_client(argv: &[&[u8]]) -> Option<Self> {
        let words: Option<Vec<&str>> = argv.iter().map(|word| std::str::from_utf8(word).ok()).collect();
        let words = words?;
        let subcommand = words.get(1)?.to_ascii_uppercase();
        let address =
            |host: &str, port: &str| Address::new(host, port.parse().ok()?).to_string().parse().ok();
        Some(match (subcommand.as_str(), &words[2..]) {
            ("MONITOR", [name, host, port, quorum]) => Command::Monitor {
                name: (*name).to_owned(),
                address: address(host, port)?,
                quorum: quorum.parse().ok()?,
            },
            ("SET", [name, options @ ..]) if options.len() % 2 == 0 => Command::Set {
                name: (*name).to_owned(),
                options: options.chunks(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect(),
            },
            ("DRILL", words) => Command::Drill(DrillCommand::from_client(words).ok()?),
            ("REMOVE", [name]) => Command::Remove { name: (*name).to_owned() },
            ("PEER", words) => Command::Peer(PeerCommand::parse(words)?),
            ("RESET", [pattern]) => Command::Reset { pattern: (*pattern).to_owned() },
            ("WEBHOOKS", words) => webhook(words)?,
            ("FAILOVER", [name, ..]) => {
                Command::Failover { name: (*name).to_owned(), wish: Wish::parse(&argv[3..]).ok()? }
            }
            _ => Command::Policy(PolicyCommand::from_client(&words[1..]).ok()?),
        })
    }

    /// What is to be agreed for it, or why not. Nothing to agree on is success.
    pub fn decisions(&self, ledger: &Ledger) -> Result<Vec<Decision>, String> {
        let unknown = || "ERR No such master with that name".to_owned();
        match self {
            Command::Policy(command) => command.decisions(ledger),
            Command::Monitor { name, address, quorum } => {
                let fits = (1..=NAME_BYTES_MAX).contains(&name.len());
                if !fits || !name.bytes().all(|b| b.is_ascii_graphic()) {
                    return Err(format!(
                        "ERR Invalid master name: use 1 to {NAME_BYTES_MAX} printable characters without spaces"
                    ));
                }
                if *quorum == 0 {
                    return Err("ERR Quorum must be 1 or greater.".to_owned());
                }
                if !ledger.fleet.resolve_hostnames && address.host.parse::<std::net::IpAddr>().is_err() {
                    return Err("ERR Invalid IP address or hostname specified".to_owned());
                }
                if let Some(known) = ledger.group(name) {
                    let same = known.master == *address && known.settings.quorum == *quorum;
                    return if same { Ok(Vec::new()) } else { Err("ERR Duplicate master name.".to_owned()) };
                }
                if let Some(other) = ledger.group_of(address) {
                    return Err(format!("ERR {address} already belongs to the group '{}'", other.name));
                }
                if ledger.groups.len() >= GROUPS_MAX {
                    return Err(format!("ERR No more than {GROUPS_MAX} groups can be monitored"));
                }
                Ok(vec![Decision::Monitor {
                    group: name.clone(),
                    address: address.clone(),
                    settings: Settings {
                        down_after_ms: ledger.fleet.default_down_after_ms,
                        failover_timeout_ms: ledger.fleet.default_failover_timeout_ms,
                        ..Settings::with_quorum(*quorum)
                    },
                    configured: false,
                }])
            }
            Command::Set { name, options } => {
                let group = ledger.group(name).ok_or_else(unknown)?;
                if options.len() > OPTIONS_MAX {
                    return Err(format!("ERR No more than {OPTIONS_MAX} options at once"));
                }
                let mut trial = group.settings.clone();
                for (name, value) in options {
                    trial.set(name, value).map_err(|error| format!("ERR {error}"))?;
                }
                // Automation tells each sentinel in turn: what is so already is nothing to agree on.
                if trial == group.settings {
                    return Ok(Vec::new());
                }
                Ok(vec![Decision::Set { group: name.clone(), options: options.clone() }])
            }
            Command::Remove { name } => {
                if ledger.was_removed(name) {
                    return Ok(Vec::new());
                }
                if ledger.group(name).ok_or_else(unknown)?.failing_over() {
                    return Err("INPROG Failover in progress; remove the group when it is over".to_owned());
                }
                Ok(vec![Decision::Remove { group: name.clone() }])
            }
            Command::Failover { name, wish } => failover(ledger.group(name).ok_or_else(unknown)?, wish),
            Command::Configure { options } => {
                let mut trial = ledger.fleet.clone();
                for (name, value) in options {
                    trial
                        .set(name, value)
                        .ok_or_else(|| format!("ERR Invalid value '{value}' for '{name}'"))?;
                }
                if trial == ledger.fleet {
                    return Ok(Vec::new());
                }
                Ok(vec![Decision::Configure { options: options.clone() }])
            }
            Command::Own { node, options, address } => {
                let known = ledger.own.get(node).cloned().unwrap_or_default();
                let mut trial = known.clone();
                for (name, value) in options {
                    trial.set(name, value).ok_or_else(|| format!("ERR Invalid value for '{name}'"))?;
                }
                if trial == known {
                    return Ok(Vec::new());
                }
                let taken = |at: &Address| {
                    ledger.voters.iter().any(|(id, voter)| id != node && voter.address.as_ref() == Some(at))
                };
                if let Some(at) = address.as_ref().filter(|at| taken(at)) {
                    return Err(format!("ERR another sentinel is announced at {at}"));
                }
                let (node, options, address) = (*node, options.clone(), address.clone());
                Ok(vec![Decision::Own { node, options, address }])
            }
            Command::Webhook { name, wish } => {
                Ok(vec![Decision::Webhook { name: name.clone(), wish: *wish }])
            }
            // Whether one is safe to run is more than the ledger knows: see `Sentinel::drill_decisions`.
            Command::Drill(_) => Err("ERR drills are decided by the leader".to_owned()),
            Command::Peer(command) => command.decisions(ledger),
            Command::Reset { pattern } => Ok(ledger
                .groups
                .values()
                .filter(|group| glob::matches(pattern.as_bytes(), group.name.as_bytes()))
                .flat_map(|group| {
                    let forget: Vec<Address> = group.replicas.iter().cloned().collect();
                    let healed = Decision::Flag {
                        group: group.name.clone(),
                        instance: group.master.clone(),
                        kind: EventKind::ODownEnd,
                        text: String::new(),
                    };
                    // In a failover nobody is forgotten and the master is not well.
                    let healed = (!group.failing_over()).then_some(healed);
                    std::iter::once(Decision::Reset { group: group.name.clone(), forget }).chain(healed)
                })
                .collect()),
        }
    }
}

fn failover(group: &Group, wish: &Wish) -> Result<Vec<Decision>, String> {
    let name = &group.name;
    let (how, at_ms) = match wish {
        // Answered where it was asked.
        Wish::Scheduled => return Ok(Vec::new()),
        Wish::Cancel => {
            let scheduled = group.scheduled.as_ref();
            let at_ms = scheduled.ok_or_else(|| format!("ERR No switchover of '{name}' is scheduled"))?.at_ms;
            return Ok(vec![Decision::Unschedule { group: name.clone(), at_ms, refused: None }]);
        }
        Wish::Now(how) => (how, None),
        Wish::At { at_ms, how } => (how, Some(*at_ms)),
    };
    if group.failover.is_some() && at_ms.is_none() {
        return Err("INPROG Failover already in progress".to_owned());
    }
    if group.replicas.is_empty() {
        return Err("NOGOODSLAVE No suitable replica to promote".to_owned());
    }
    if let Some(to) = &how.to {
        if *to == group.master {
            return Err(format!("ERR {to} is the master already"));
        }
        if !group.replicas.contains(to) {
            return Err(format!("ERR {to} is not a known replica of '{name}'"));
        }
    }
    let (group_name, target, timeout_ms) = (name.clone(), how.to.clone(), how.timeout_ms);
    Ok(vec![match at_ms {
        Some(at_ms) => Decision::Schedule { group: group_name, at_ms, target, timeout_ms },
        None => Decision::Begin {
            group: group_name,
            after: group.last_epoch,
            cause: if how.force { Cause::Forced } else { Cause::Manual },
            target,
            timeout_ms,
        },
    }])
}

/// `TEST name`, `ENABLE name`, `REPLAY name [FROM id]`.
pub(super) fn webhook(words: &[&str]) -> Option<Command> {
    let (wish, name) = match words {
        [verb, name] if verb.eq_ignore_ascii_case("TEST") => (WebhookWish::Test, name),
        [verb, name] if verb.eq_ignore_ascii_case("ENABLE") => (WebhookWish::Enable, name),
        [verb, name] if verb.eq_ignore_ascii_case("REPLAY") => (WebhookWish::Replay { from: None }, name),
        [verb, name, from, id]
            if verb.eq_ignore_ascii_case("REPLAY") && from.eq_ignore_ascii_case("FROM") =>
        {
            (WebhookWish::Replay { from: Some(id.parse().ok()?) }, name)
        }
        _ => return None,
    };
    Some(Command::Webhook { name: (*name).to_owned(), wish })
}

fn webhook_words(name: &str, wish: WebhookWish) -> Vec<String> {
    let mut words = vec![
        match wish {
            WebhookWish::Test => "TEST",
            WebhookWish::Enable => "ENABLE",
            WebhookWish::Replay { .. } => "REPLAY",
        }
        .to_owned(),
        name.to_owned(),
    ];
    if let WebhookWish::Replay { from: Some(id) } = wish {
        words.extend(["FROM".to_owned(), id.to_string()]);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sentinel::wish::Switchover;

    #[test]
    fn words_read_back() {
        let address = Address::new("10.0.0.1", 6379);
        for command in [
            Command::Monitor { name: "m".into(), address: address.clone(), quorum: 2 },
            Command::Set { name: "m".into(), options: vec![("quorum".into(), "3".into())] },
            Command::Remove { name: "m".into() },
            Command::Failover {
                name: "m".into(),
                wish: Wish::Now(Switchover { to: Some(address.clone()), ..Switchover::default() }),
            },
            Command::Failover {
                name: "m".into(),
                wish: Wish::At {
                    at_ms: 1_800_000_000_500,
                    how: Switchover { to: Some(address), ..Switchover::default() },
                },
            },
            Command::Failover { name: "m".into(), wish: Wish::Cancel },
            Command::Reset { pattern: "*".into() },
            Command::Configure { options: vec![("ping-period".into(), "70".into())] },
            Command::Own {
                node: 2,
                options: vec![("announce-port".into(), "70".into())],
                address: Some("10.0.0.1:70".parse().unwrap()),
            },
            Command::Own {
                node: 2,
                options: vec![("announce-hostnames".into(), "no".into())],
                address: None,
            },
            Command::Webhook { name: "ops".into(), wish: WebhookWish::Test },
            Command::Webhook { name: "ops".into(), wish: WebhookWish::Replay { from: Some(7) } },
        ] {
            assert_eq!(Command::parse(&command.words()), Some(command));
        }
        let typed: [&[u8]; 7] = [b"SENTINEL", b"failover", b"m", b"to", b"::1", b"7", b"FORCE"];
        let to = Some(Address::new("::1", 7));
        assert_eq!(
            Command::from_client(&typed),
            Some(Command::Failover {
                name: "m".into(),
                wish: Wish::Now(Switchover { to, force: true, ..Switchover::default() })
            })
        );
        assert_eq!(Command::parse(&[b"DANCE".to_vec()]), None);
        assert_eq!(Command::parse(&[vec![0xff]]), None);
    }

    #[test]
    fn refusals_come_before_anything_is_agreed() {
        let ledger = Ledger::default();
        for command in [
            Command::Monitor { name: "a b".into(), address: Address::new("h", 1), quorum: 1 },
            Command::Monitor { name: "m".into(), address: Address::new("h", 1), quorum: 0 },
            Command::Remove { name: "m".into() },
            Command::Failover { name: "m".into(), wish: Wish::Now(Switchover::default()) },
            Command::Failover { name: "m".into(), wish: Wish::Cancel },
        ] {
            assert!(command.decisions(&ledger).is_err(), "{command:?}");
        }
    }
}
