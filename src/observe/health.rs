//! Answers for probes and load balancers: a status code, a small JSON body, one sentence.
//!
//! A load balancer asks a *sentinel* about a *data node*, as with Patroni's REST API: it routes to
//! the node whose question is answered with 200. `/master/NAME` without an address is discovery:
//! which node is the master.
//!
//! | question | 200 | otherwise |
//! |---|---|---|
//! | `/healthz` | the process answers | |
//! | `/readyz` | in touch with the majority, and a leader is known | 503 |
//! | `/master/G` | the master of G is known and this is fresh | 503 |
//! | `/master/G?address=H:P` | and it is H:P, and not held to be down by the quorum | 503 |
//! | `/replica/G?address=H:P&lag=BYTES` | H:P is a replica of G, up, streaming, at most so far behind | 503 |
//! | `/replica/G` | at least one such replica; all are listed | 503 |
//!
//! An unknown group is 404, a question that cannot be read 400. What is not fresh is 503 in `safe`
//! mode; in `available` mode it is answered from the last agreement and marked `"fresh": false`.
//! Addresses are compared as text: ask with the address that the sentinel shows.

use crate::model::Address;
use crate::model::status::{GroupStatus, InstanceStatus, Status};
use serde_json::{Value, json};

#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub code: u16,
    pub body: Value,
}

impl Answer {
    pub fn new(code: u16, text: impl Into<String>) -> Answer {
        Answer { code, body: json!({ "ok": code == 200, "text": text.into() }) }
    }

    fn with(mut self, key: &str, value: impl Into<Value>) -> Answer {
        self.body[key] = value.into();
        self
    }
}

/// A question about one group, as text from outside.
#[derive(Clone, Copy, Debug, Default)]
pub struct Question<'a> {
    pub group: &'a str,
    pub address: Option<&'a str>,
    /// The most bytes that a replica may be behind: `1048576`, `512k`, `1mb`.
    pub lag: Option<&'a str>,
}

pub fn alive(status: &Status) -> Answer {
    Answer::new(200, format!("Sentinel {} is running.", status.node))
}

pub fn ready(status: &Status) -> Answer {
    let (code, text) = match (status.fresh, status.raft_leader) {
        (true, Some(leader)) => (200, format!("In touch with the majority; sentinel {leader} leads.")),
        (false, _) => (503, "Out of touch with the majority of the sentinels.".to_owned()),
        (true, None) => (503, "No leader is known.".to_owned()),
    };
    Answer::new(code, text).with("fresh", status.fresh).with("leader", status.raft_leader)
}

pub fn master(status: &Status, question: &Question<'_>) -> Answer {
    let (group, asked) = match read(status, question) {
        Ok(read) => read,
        Err(answer) => return answer,
    };
    let name = &group.name;
    let master = &group.master.address;
    let answer = match asked {
        None => Answer::new(200, format!("The master of '{name}' is {master}.")),
        Some(asked) if asked != *master => {
            Answer::new(503, format!("{asked} is not the master of '{name}'; the master is {master}."))
        }
        Some(_) if group.master.odown => {
            Answer::new(503, format!("{master} is the master of '{name}', but a quorum holds it to be down."))
        }
        Some(_) => Answer::new(200, format!("{master} is the master of '{name}'.")),
    };
    stamp(answer.with("address", master.to_string()), status, group)
}

pub fn replica(status: &Status, question: &Question<'_>) -> Answer {
    let (group, asked) = match read(status, question) {
        Ok(read) => read,
        Err(answer) => return answer,
    };
    let lag_max = match question.lag.map(parse_bytes) {
        Some(None) => {
            return Answer::new(400, "'lag' is a number of bytes, as 1048576, 512k or 1mb.");
        }
        Some(lag) => lag,
        None => None,
    };
    let name = &group.name;
    let answer = match asked {
        Some(asked) => match group.replicas.iter().find(|replica| replica.address == asked) {
            None if asked == group.master.address => {
                Answer::new(503, format!("{asked} is the master of '{name}', not a replica."))
            }
            None => Answer::new(503, format!("{asked} is not a replica of '{name}'.")),
            Some(replica) => match unfit(replica, lag_max) {
                None => Answer::new(200, format!("{asked} is a replica of '{name}' and in order.")),
                Some(why) => Answer::new(503, format!("{asked} is a replica of '{name}', but {why}.")),
            }
            .with("lag_bytes", replica.lag_bytes),
        },
        None => {
            let fit = group.replicas.iter().filter(|replica| unfit(replica, lag_max).is_none());
            let fit: Vec<String> = fit.map(|replica| replica.address.to_string()).collect();
            let text =
                format!("{} of {} replicas of '{name}' are in order.", fit.len(), group.replicas.len());
            Answer::new(if fit.is_empty() { 503 } else { 200 }, text).with("addresses", fit)
        }
    };
    stamp(answer, status, group)
}

/// The group and the address, or the answer that ends it.
fn read<'a>(
    status: &'a Status,
    question: &Question<'_>,
) -> Result<(&'a GroupStatus, Option<Address>), Answer> {
    let asked = match question.address.map(str::parse::<Address>) {
        Some(Err(error)) => return Err(Answer::new(400, format!("'address': {error}."))),
        Some(Ok(address)) => Some(address),
        None => None,
    };
    let Some(group) = status.groups.iter().find(|group| group.name == question.group) else {
        let text = if status.fresh {
            "No group of this name is watched."
        } else {
            "No group of this name is known, and this sentinel is out of touch with the majority."
        };
        return Err(Answer::new(if status.fresh { 404 } else { 503 }, text));
    };
    if !status.fresh && group.mode != "available" {
        let text = "Out of touch with the majority of the sentinels; ask another one.";
        return Err(stamp(Answer::new(503, text), status, group));
    }
    Ok((group, asked))
}

fn stamp(answer: Answer, status: &Status, group: &GroupStatus) -> Answer {
    answer.with("group", group.name.as_str()).with("epoch", group.epoch).with("fresh", status.fresh)
}

/// Why reads should not go to this replica.
fn unfit(replica: &InstanceStatus, lag_max: Option<u64>) -> Option<&'static str> {
    if replica.sdown || !replica.reachable {
        return Some("this sentinel cannot reach it");
    }
    if replica.role != "slave" {
        return Some("it does not report to be one");
    }
    if replica.link_up != Some(true) {
        return Some("its link to the master is not up");
    }
    match (lag_max, replica.lag_bytes) {
        (None, _) => None,
        (Some(_), None) => Some("how far it is behind is not known"),
        (Some(most), Some(lag)) if lag > most => Some("it is further behind than allowed"),
        _ => None,
    }
}

/// `1024`, `512k`, `1mb`: `k`, `m`, `g` are powers of 1024, a `b` may follow.
fn parse_bytes(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let bare = lower.strip_suffix('b').unwrap_or(&lower);
    let (digits, unit) = match bare.as_bytes().last()? {
        b'k' => (&bare[..bare.len() - 1], 1 << 10),
        b'm' => (&bare[..bare.len() - 1], 1 << 20),
        b'g' => (&bare[..bare.len() - 1], 1 << 30),
        _ => (bare, 1_u64),
    };
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { digits.parse::<u64>().ok()?.checked_mul(unit) } else { None }
}

/// The data node that HAProxy checks, from the header that `http-check send-state` adds:
/// `UP 2/3; address=10.0.0.1; port=6379; name=redis/r1; ...`.
pub fn haproxy_server(header: &str) -> Option<String> {
    let field = |wanted: &str| {
        header
            .split(';')
            .filter_map(|field| field.trim().split_once('='))
            .find_map(|(name, value)| (name == wanted).then_some(value))
    };
    let port = field("port")?.parse().ok()?;
    Some(Address::new(field("address")?, port).to_string())
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
