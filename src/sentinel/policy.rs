//! What is agreed about holding back: maintenance by operators, holds by guards, and the words of
//! the commands that change them. Applied by `ledger::policy`; has never heard of links or probes.

use super::decision::Decision;
use super::ledger::Ledger;
use crate::model::{Address, Epoch, Offset};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What holds an automatic action back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guard {
    Pause,
    AntiFlap,
    BlastRadius,
    /// A server that nobody elected has more than the elected master.
    RogueMaster,
}

impl Guard {
    pub fn name(self) -> &'static str {
        match self {
            Guard::Pause => "pause",
            Guard::AntiFlap => "anti-flap",
            Guard::BlastRadius => "blast-radius",
            Guard::RogueMaster => "rogue-master",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyDecision {
    /// Maintenance of a group, or of one of its replicas.
    Pause { group: String, instance: Option<Address>, owner: String, reason: String, for_ms: Option<u64> },
    Resume {
        group: String,
        instance: Option<Address>,
        /// It ran out; nobody asked.
        expired: bool,
    },
    /// The failovers so far are known to a person: they count no more.
    Acknowledge { group: String },
    /// Something is due in this group and is not done.
    Hold { group: String, guard: Guard, reason: String, until_ms: Option<u64> },
    /// Nothing is held back any more.
    Release { group: String },
    /// Too many groups lost their master together.
    HoldAll { groups: BTreeSet<String>, reason: String },
    ReleaseAll {
        /// By an operator, while the groups are still gone.
        acknowledged: bool,
    },
    /// This replica is preferred and was behind at the promotion in this epoch.
    HandoverLater { group: String, epoch: Epoch, target: Address, had: Offset, best: Offset },
    /// It caught up: the switchover begins in the same entry.
    HandoverBegins { group: String, target: Address },
    /// It is not to be.
    HandoverEnded { group: String, target: Address, reason: String },
}

impl PolicyDecision {
    pub fn group(&self) -> Option<&str> {
        match self {
            PolicyDecision::Pause { group, .. }
            | PolicyDecision::Resume { group, .. }
            | PolicyDecision::Acknowledge { group }
            | PolicyDecision::Hold { group, .. }
            | PolicyDecision::Release { group }
            | PolicyDecision::HandoverLater { group, .. }
            | PolicyDecision::HandoverBegins { group, .. }
            | PolicyDecision::HandoverEnded { group, .. } => Some(group),
            PolicyDecision::HoldAll { .. } | PolicyDecision::ReleaseAll { .. } => None,
        }
    }
}

/// What an operator may say about maintenance and holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyCommand {
    Pause {
        name: String,
        instance: Option<Address>,
        for_s: Option<u64>,
        owner: String,
        reason: String,
    },
    Resume {
        name: String,
        instance: Option<Address>,
    },
    /// `*`: the hold over the whole fleet.
    Acknowledge {
        name: String,
    },
}

pub const OWNER_BYTES_MAX: usize = 64;
pub const REASON_BYTES_MAX: usize = 256;
/// A year: longer maintenance is forgotten maintenance.
pub const PAUSE_S_MAX: u64 = 366 * 24 * 3600;

impl PolicyCommand {
    /// The words that carry it to the leader.
    pub fn words(&self) -> Vec<String> {
        let place = |instance: &Option<Address>| instance.as_ref().map_or("-".to_owned(), Address::to_string);
        match self {
            PolicyCommand::Pause { name, instance, for_s, owner, reason } => vec![
                "PAUSE".to_owned(),
                name.clone(),
                place(instance),
                for_s.map_or("-".to_owned(), |s| s.to_string()),
                owner.clone(),
                reason.clone(),
            ],
            PolicyCommand::Resume { name, instance } => {
                vec!["RESUME".to_owned(), name.clone(), place(instance)]
            }
            PolicyCommand::Acknowledge { name } => vec!["ACKNOWLEDGE".to_owned(), name.clone()],
        }
    }

    /// Reads what `words` wrote.
    pub fn parse(words: &[&str]) -> Option<Self> {
        let place = |word: &str| if word == "-" { Some(None) } else { word.parse().ok().map(Some) };
        Some(match words {
            ["PAUSE", name, instance, for_s, owner, reason] => PolicyCommand::Pause {
                name: (*name).to_owned(),
                instance: place(instance)?,
                for_s: if *for_s == "-" { None } else { Some(for_s.parse().ok()?) },
                owner: (*owner).to_owned(),
                reason: (*reason).to_owned(),
            },
            ["RESUME", name, instance] => {
                PolicyCommand::Resume { name: (*name).to_owned(), instance: place(instance)? }
            }
            ["ACKNOWLEDGE", name] => PolicyCommand::Acknowledge { name: (*name).to_owned() },
            _ => return None,
        })
    }

    /// Reads what a client said after `SENTINEL`; the error says what is wrong.
    pub fn from_client(words: &[&str]) -> Result<Self, String> {
        let (Some(subcommand), Some(name)) = (words.first(), words.get(1)) else {
            return Err("ERR wrong number of arguments".to_owned());
        };
        let (mut instance, mut for_s, mut owner, mut reason) = (None, None, String::new(), String::new());
        let pause = subcommand.eq_ignore_ascii_case("PAUSE");
        let mut rest = &words[2..];
        while let Some((option, after)) = rest.split_first() {
            let value = after.first().ok_or_else(|| format!("ERR {} needs a value", printable(option)))?;
            rest = &after[1..];
            match option.to_ascii_uppercase().as_str() {
                "INSTANCE" => {
                    let place = value
                        .parse()
                        .map_err(|_| format!("ERR '{}' is no instance; write HOST:PORT", printable(value)))?;
                    instance = Some(place);
                }
                "FOR" if pause => {
                    let seconds = value.parse().ok().filter(|s| (1..=PAUSE_S_MAX).contains(s));
                    for_s = Some(seconds.ok_or_else(|| {
                        format!("ERR FOR takes seconds from 1 to {PAUSE_S_MAX}, not '{}'", printable(value))
                    })?);
                }
                "OWNER" if pause => owner = (*value).to_owned(),
                "REASON" if pause => {
                    // The last option: a sentence needs no quotes.
                    reason = after.join(" ");
                    rest = &[];
                }
                _ => return Err(format!("ERR Unknown option '{}'", printable(option))),
            }
        }
        fits("OWNER", &owner, OWNER_BYTES_MAX)?;
        fits("REASON", &reason, REASON_BYTES_MAX)?;
        let name = (*name).to_owned();
        match subcommand.to_ascii_uppercase().as_str() {
            "PAUSE" => Ok(PolicyCommand::Pause { name, instance, for_s, owner, reason }),
            "RESUME" => Ok(PolicyCommand::Resume { name, instance }),
            "ACKNOWLEDGE" if instance.is_none() => Ok(PolicyCommand::Acknowledge { name }),
            _ => Err("ERR Unknown option".to_owned()),
        }
    }

    /// What is to be agreed for it, or why not. Nothing to agree on is success.
    pub fn decisions(&self, ledger: &Ledger) -> Result<Vec<Decision>, String> {
        let named =
            |name: &str| ledger.group(name).ok_or_else(|| "ERR No such master with that name".to_owned());
        let decision = match self {
            PolicyCommand::Pause { name, instance, for_s, owner, reason } => {
                let group = named(name)?;
                if let Some(instance) = instance {
                    if *instance == group.master {
                        return Err(format!(
                            "ERR {instance} is the master; pause the whole group, or move the master away first with SENTINEL FAILOVER {name}"
                        ));
                    }
                    if !group.replicas.contains(instance) {
                        return Err(format!("ERR {instance} is not a known replica of '{name}'"));
                    }
                }
                PolicyDecision::Pause {
                    group: name.clone(),
                    instance: instance.clone(),
                    owner: owner.clone(),
                    reason: reason.clone(),
                    for_ms: for_s.map(|s| s * 1000),
                }
            }
            PolicyCommand::Resume { name, instance } => {
                let policy = &named(name)?.policy;
                let paused = match instance {
                    None => policy.pause.is_some(),
                    Some(instance) => policy.instances.contains_key(instance),
                };
                if !paused {
                    return Ok(Vec::new());
                }
                PolicyDecision::Resume { group: name.clone(), instance: instance.clone(), expired: false }
            }
            PolicyCommand::Acknowledge { name } if name == "*" => {
                if !ledger.holds_all() {
                    return Ok(Vec::new());
                }
                PolicyDecision::ReleaseAll { acknowledged: true }
            }
            PolicyCommand::Acknowledge { name } => {
                if !named(name)?.policy.has_counted() {
                    return Ok(Vec::new());
                }
                PolicyDecision::Acknowledge { group: name.clone() }
            }
        };
        Ok(vec![Decision::Policy(decision)])
    }
}

fn fits(what: &str, text: &str, max: usize) -> Result<(), String> {
    if text.len() > max || text.chars().any(char::is_control) {
        return Err(format!("ERR {what} takes at most {max} bytes of printable text"));
    }
    Ok(())
}

fn printable(word: &str) -> String {
    word.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Result<PolicyCommand, String> {
        PolicyCommand::from_client(&text.split(' ').collect::<Vec<_>>())
    }

    #[test]
    fn what_is_said_reaches_the_leader_as_it_was_said() {
        for text in [
            "PAUSE m",
            "pause m for 60 owner ops reason kernel upgrade, rack 7",
            "pause m instance 10.0.0.1:6379",
            "RESUME m",
            "resume m instance [::1]:6379",
            "acknowledge *",
        ] {
            let command = said(text).unwrap();
            let words = command.words();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            assert_eq!(PolicyCommand::parse(&words), Some(command), "{text}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for text in
            ["PAUSE m FOR 0", "PAUSE m FOR", "PAUSE m INSTANCE here", "RESUME m FOR 5", "ACKNOWLEDGE m x y"]
        {
            assert!(said(text).unwrap_err().starts_with("ERR "), "{text}");
        }
        let long = format!("PAUSE m OWNER {}", "x".repeat(OWNER_BYTES_MAX + 1));
        assert!(said(&long).unwrap_err().contains("OWNER"));
    }
}
