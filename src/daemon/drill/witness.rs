//! What the sentinels and the data servers say: before, to know what is there; afterwards, whether the
//! fleet is whole again and what each server holds.

use super::discovery::ask_one;
use super::{CALL_DEADLINE, CONNECT_DEADLINE, Field, Keys};
use crate::drill::Holding;
use crate::model::Address;
use crate::model::status::{GroupStatus, Status};
use crate::resp::Reply;
use std::collections::BTreeSet;
use std::time::Duration;

/// A set of many numbers takes its time.
const READ_DEADLINE: Duration = Duration::from_secs(10);

pub(super) async fn status(field: &Field, sentinel: &Address) -> Option<Status> {
    let mut client = field.to_sentinel(sentinel, CONNECT_DEADLINE).await.ok()?;
    let reply = client.call(&["SENTINEL", "STATUS"], CALL_DEADLINE).await.ok()?;
    serde_json::from_slice(reply.as_bytes()?).ok()
}

/// From the first sentinel that is in touch with the majority.
pub(super) async fn fresh_status(field: &Field) -> Option<Status> {
    for sentinel in &field.sentinels {
        if let Some(status) = status(field, sentinel).await.filter(|status| status.fresh) {
            return Some(status);
        }
    }
    None
}

pub(super) fn group<'a>(field: &Field, status: &'a Status) -> Option<&'a GroupStatus> {
    status.groups.iter().find(|group| group.name == field.group)
}

/// Everything that is not as it should be; empty: the fleet is whole. `servers`: all data servers that
/// were there before.
pub(super) async fn doubts(field: &Field, servers: &[Address]) -> Vec<String> {
    let mut doubts = Vec::new();
    let mut masters = BTreeSet::new();
    for sentinel in &field.sentinels {
        let Some(status) = status(field, sentinel).await else {
            doubts.push(format!("sentinel {sentinel} does not answer"));
            continue;
        };
        if !status.fresh {
            doubts.push(format!("sentinel {sentinel} is out of touch with the majority"));
        }
        let Some(group) = group(field, &status) else {
            doubts.push(format!("sentinel {sentinel} does not know the group"));
            continue;
        };
        masters.insert(group.master.address.clone());
        if let Some(doubt) = group_doubt(group, servers) {
            doubts.push(format!("sentinel {sentinel}: {doubt}"));
        }
    }
    if masters.len() > 1 {
        doubts.push("the sentinels name different masters".to_owned());
    }
    doubts
}

fn group_doubt(group: &GroupStatus, servers: &[Address]) -> Option<String> {
    if group.situation != "ok" {
        return Some(format!("{} ({})", group.summary.trim_end_matches('.'), group.situation));
    }
    if group.failover.is_some() {
        return Some("the failover is not finished".to_owned());
    }
    let missing = servers.iter().find(|server| {
        let replica = group.replicas.iter().find(|replica| replica.address == **server);
        let well = replica.is_some_and(|replica| {
            replica.reachable && !replica.sdown && replica.in_sync_set && replica.link_up == Some(true)
        });
        group.master.address != **server && !well
    });
    missing.map(|server| format!("{server} is not in sync"))
}

/// Whom each sentinel names.
pub(super) async fn named(field: &Field) -> Vec<(Address, Option<Address>)> {
    let mut named = Vec::new();
    for sentinel in &field.sentinels {
        named.push((sentinel.clone(), ask_one(field, sentinel).await));
    }
    named
}

/// What one server holds of the drill's keys.
pub(super) async fn holding(field: &Field, keys: &Keys, server: &Address, index: usize) -> Holding {
    let mut holding = Holding { server: index, ..Holding::default() };
    let Ok(mut client) = field.to_server(server, CALL_DEADLINE).await else {
        return holding;
    };
    if let Ok(reply) = client.call(&["ROLE"], CALL_DEADLINE).await {
        let role = reply.as_array().and_then(|items| items.first()?.as_str());
        holding.is_master = role == Some("master");
    }
    let numbers = |reply: &Reply| -> Option<BTreeSet<u64>> {
        reply.as_array()?.iter().map(|item| item.as_str()?.parse().ok()).collect()
    };
    // A replica that shows stale data would show it here; one that refuses is unread.
    if let Ok(reply) = client.call(&["SMEMBERS", &keys.canary], READ_DEADLINE).await {
        holding.numbers = numbers(&reply);
    }
    if let Ok(Reply::Integer(count)) = client.call(&["SCARD", &keys.baseline], CALL_DEADLINE).await {
        holding.baseline = u64::try_from(count).ok();
    }
    holding
}

/// Writes the keys that every server must still have afterwards, and waits until all have them. An
/// hour is the most they stay should nobody be left to remove them.
pub(super) async fn lay_baseline(
    field: &Field,
    keys: &Keys,
    master: &Address,
    count: u64,
    replicas: usize,
) -> Result<(), String> {
    let failed = |what: String| format!("cannot write to the master {master}: {what}");
    let mut client = field.to_server(master, CALL_DEADLINE).await.map_err(|e| failed(e.to_string()))?;
    let mut members = vec!["SADD".to_owned(), keys.baseline.clone()];
    members.extend((1..=count).map(|number| number.to_string()));
    let first = ["SADD", keys.canary.as_str(), "0"].map(str::to_owned).to_vec();
    let late = ["SADD", keys.late.as_str(), "0"].map(str::to_owned).to_vec();
    let expire = |key: &str| vec!["EXPIRE".to_owned(), key.to_owned(), "3600".to_owned()];
    let mut commands = vec![members, first, late];
    commands.extend(keys.all().map(expire));
    for command in &commands {
        match client.call(command, CALL_DEADLINE).await {
            Ok(Reply::Error(text)) => return Err(failed(text)),
            Ok(_) => {}
            Err(trouble) => return Err(failed(trouble.to_string())),
        }
    }
    let wait = ["WAIT", &replicas.to_string(), "5000"];
    match client.call(&wait, Duration::from_secs(7)).await {
        Ok(Reply::Integer(have)) if have >= replicas as i64 => Ok(()),
        Ok(Reply::Integer(have)) => {
            Err(format!("only {have} of {replicas} replicas follow the master closely"))
        }
        Ok(other) => Err(failed(other.error().unwrap_or("an answer of another kind").to_owned())),
        Err(trouble) => Err(failed(trouble.to_string())),
    }
}

/// Removes what the drill wrote.
pub(super) async fn clean(field: &Field, keys: &Keys, master: &Address) -> Result<(), String> {
    let words: Vec<&str> = ["DEL"].into_iter().chain(keys.all()).collect();
    let mut client = field.to_server(master, CALL_DEADLINE).await.map_err(|trouble| trouble.to_string())?;
    match client.call(&words, READ_DEADLINE).await {
        Ok(Reply::Integer(_)) => Ok(()),
        Ok(other) => Err(other.error().unwrap_or("an answer of another kind").to_owned()),
        Err(trouble) => Err(trouble.to_string()),
    }
}
