//! Who has which entry: XACK, XCLAIM, XAUTOCLAIM.

use super::args::{int, is, owned};
use super::stream_ids::{self, no_group, parse_strict, reply_entry, reply_id, strict};
use super::{CommandError, DataCommand, Done, Propagate, Unit, row};
use crate::resp::Writer;
use crate::resp::spec::{Arity, FAST, KEY_1, WRITE};
use crate::stdx::number::parse_i64;
use crate::store::stream_group::{ConsumerId, Group, Pending};
use crate::store::{Stream, StreamId};

/// What a replica is told of an entry that changed hands; one that is gone from the stream it takes
/// off its list when it hears this.
pub fn claim_words(key: &[u8], name: &[u8], group: &Group, id: StreamId) -> Vec<Vec<u8>> {
    let none = Pending { consumer: ConsumerId::MAX, delivered_at_ms: 0, deliveries: 0 };
    let pending = group.pending().get(&id).copied().unwrap_or(none);
    let [id, last] = [id, group.last_id].map(|id| id.to_string());
    let [time, count] = [pending.delivered_at_ms, pending.deliveries].map(|number| number.to_string());
    let consumer = group.name_of(pending.consumer);
    let head: &[&[u8]] = &[b"XCLAIM", key, name, consumer, b"0", id.as_bytes(), b"TIME", time.as_bytes()];
    let tail: &[&[u8]] = &[b"RETRYCOUNT", count.as_bytes(), b"FORCE", b"JUSTID", b"LASTID", last.as_bytes()];
    owned(&[head, tail].concat())
}

fn xack(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let place = unit.place(argv[1]);
    if unit.stream_at(place)?.and_then(|stream| stream.group(argv[2])).is_none() {
        reply.integer(0);
        return Ok(());
    }
    let ids = argv[3..].iter().map(|word| strict(word)).collect::<Result<Vec<_>, _>>()?;
    let group = unit.change_stream(place)?.and_then(|stream| stream.group_mut(argv[2]));
    let done = group.map_or(0, |group| ids.into_iter().filter(|&id| group.acknowledge(id)).count());
    unit.effects.dirty += done as u64;
    reply.integer(done as i64);
    Ok(())
}

/// The options behind the ids of XCLAIM.
#[derive(Default)]
struct Claim {
    force: bool,
    just_id: bool,
    delivered_at_ms: Option<u64>,
    deliveries: Option<u64>,
    last_id: StreamId,
}

impl Claim {
    /// A time in the future or before all time is taken for now, as in Redis: clients compute it
    /// with clocks of their own. What a master says stands.
    fn parse(words: &[&[u8]], now_ms: u64, obeys: bool) -> Result<Claim, CommandError> {
        let mut claim = Claim::default();
        let mut at = 0;
        while at < words.len() {
            let (word, value) = (words[at], words.get(at + 1));
            let number = |value: &[u8], name: &str| {
                let error = || CommandError::Text(format!("ERR Invalid {name} option argument for XCLAIM"));
                parse_i64(value).ok_or_else(error)
            };
            let time = |ms: i64| match u64::try_from(ms) {
                Ok(ms) if ms <= now_ms || obeys => Some(ms),
                // -1 is what Redis takes for not given; that too is now.
                _ => Some(now_ms),
            };
            match value {
                _ if is(word, "force") => claim.force = true,
                _ if is(word, "justid") => claim.just_id = true,
                Some(value) if is(word, "idle") => {
                    claim.delivered_at_ms = time((now_ms as i64).wrapping_sub(number(value, "IDLE")?));
                    at += 1;
                }
                Some(value) if is(word, "time") => {
                    claim.delivered_at_ms = time(number(value, "TIME")?);
                    at += 1;
                }
                Some(value) if is(word, "retrycount") => {
                    claim.deliveries = u64::try_from(number(value, "RETRYCOUNT")?).ok();
                    at += 1;
                }
                Some(value) if is(word, "lastid") => {
                    claim.last_id = strict(value)?;
                    at += 1;
                }
                _ => {
                    let word = String::from_utf8_lossy(word);
                    return Err(CommandError::Text(format!("ERR Unrecognized XCLAIM option '{word}'")));
                }
            }
            at += 1;
        }
        Ok(claim)
    }
}

/// An entry whose pending mark outlived it is let go of. Whether it is still there.
fn is_there(
    stream: &mut Stream,
    key: &[u8],
    name: &[u8],
    id: StreamId,
    commands: &mut Vec<Vec<Vec<u8>>>,
) -> bool {
    if stream.contains(id) {
        return true;
    }
    if let Some(group) = stream.group_mut(name)
        && group.pending().contains_key(&id)
    {
        commands.push(claim_words(key, name, group, id));
        group.acknowledge(id);
    }
    false
}

fn reply_claimed(reply: &mut Writer<'_>, stream: &Stream, ids: &[StreamId], just_id: bool) {
    reply.array(ids.len());
    for &id in ids {
        match stream.range(id, id).next() {
            Some(entry) if !just_id => reply_entry(reply, &entry),
            _ => reply_id(reply, id),
        }
    }
}

fn settle(unit: &mut Unit<'_>, commands: Vec<Vec<Vec<u8>>>) {
    if !commands.is_empty() {
        unit.effects.dirty += commands.len() as u64;
        unit.effects.propagate = Propagate::Rewritten(commands);
    }
}

fn xclaim(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let (key, name) = (argv[1], argv[2]);
    let (now_ms, obeys) = (unit.now_ms(), unit.keep_expired);
    let place = unit.place(key);
    if unit.stream_at(place)?.and_then(|stream| stream.group(name)).is_none() {
        return Err(no_group(key, name, ""));
    }
    let min_idle_ms = parse_i64(argv[4]).ok_or("ERR Invalid min-idle-time argument for XCLAIM")?;
    let ids: Vec<StreamId> = argv[5..].iter().map_while(|word| parse_strict(word)).collect();
    let claim = Claim::parse(&argv[5 + ids.len()..], now_ms, obeys)?;
    let Some(stream) = unit.change_stream(place)? else { return Ok(()) };
    let mut commands = Vec::new();
    let mut last_id_moved = false;
    if let Some(group) = stream.group_mut(name)
        && claim.last_id > group.last_id
    {
        group.last_id = claim.last_id;
        last_id_moved = true;
    }
    let mut claimed = Vec::new();
    for id in ids {
        if !is_there(stream, key, name, id, &mut commands) {
            continue;
        }
        let Some(group) = stream.group_mut(name) else { break };
        let old = group.pending().get(&id).copied();
        if old.is_none() && !claim.force || old.is_some_and(|old| is_fresh(&old, now_ms, min_idle_ms)) {
            continue;
        }
        let before = old.map_or(1, |old| old.deliveries);
        let again = before.saturating_add(u64::from(!claim.just_id));
        let deliveries = claim.deliveries.unwrap_or(again);
        let delivered_at_ms = claim.delivered_at_ms.unwrap_or(now_ms);
        // A consumer is made by what it claims.
        let (consumer, _) = group.meet(argv[3], now_ms);
        group.assign(id, Pending { consumer, delivered_at_ms, deliveries });
        commands.push(claim_words(key, name, group, id));
        claimed.push(id);
    }
    if let Some(group) = stream.group(name)
        && last_id_moved
        && commands.is_empty()
    {
        commands.push(super::stream_groups::setid_words(key, name, group));
    }
    reply_claimed(reply, stream, &claimed, claim.just_id);
    settle(unit, commands);
    Ok(())
}

/// Delivered too lately to be claimed.
fn is_fresh(pending: &Pending, now_ms: u64, min_idle_ms: i64) -> bool {
    let idle_ms = (now_ms as i64).wrapping_sub(pending.delivered_at_ms as i64);
    min_idle_ms > 0 && idle_ms < min_idle_ms
}

/// How many pending entries XAUTOCLAIM looks at for each it may claim.
const ATTEMPTS_PER_CLAIM: usize = 10;

fn xautoclaim(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let (key, name) = (argv[1], argv[2]);
    let min_idle_ms = parse_i64(argv[4]).ok_or("ERR Invalid min-idle-time argument for XAUTOCLAIM")?;
    let start = stream_ids::start(argv[5])?;
    let (mut count, mut just_id) = (100usize, false);
    let mut at = 6;
    while at < argv.len() {
        if is(argv[at], "count") && at + 1 < argv.len() {
            let wanted = int(argv[at + 1]).ok().filter(|count| (1..=i64::MAX / 16).contains(count));
            count = wanted.and_then(|count| usize::try_from(count).ok()).ok_or("ERR COUNT must be > 0")?;
            at += 1;
        } else if is(argv[at], "justid") {
            just_id = true;
        } else {
            return Err(CommandError::Syntax);
        }
        at += 1;
    }
    let now_ms = unit.now_ms();
    let place = unit.place(key);
    if unit.stream_at(place)?.and_then(|stream| stream.group(name)).is_none() {
        return Err(no_group(key, name, ""));
    }
    let Some(stream) = unit.change_stream(place)? else { return Ok(()) };
    let mut commands = Vec::new();
    let Some(group) = stream.group(name) else { return Ok(()) };
    // One more than is looked at: where the next call goes on.
    let attempts = count.saturating_mul(ATTEMPTS_PER_CLAIM);
    let looked_at: Vec<StreamId> =
        group.pending().range(start..).map(|(id, _)| *id).take(attempts.saturating_add(1)).collect();
    let (mut claimed, mut deleted, mut next) = (Vec::new(), Vec::new(), StreamId::ZERO);
    for (at, id) in looked_at.into_iter().enumerate() {
        if at == attempts || claimed.len() + deleted.len() == count {
            next = id;
            break;
        }
        if !is_there(stream, key, name, id, &mut commands) {
            deleted.push(id);
            continue;
        }
        let Some(group) = stream.group_mut(name) else { break };
        let Some(&old) = group.pending().get(&id) else { continue };
        if is_fresh(&old, now_ms, min_idle_ms) {
            continue;
        }
        let deliveries = old.deliveries.saturating_add(u64::from(!just_id));
        let (consumer, _) = group.meet(argv[3], now_ms);
        group.assign(id, Pending { consumer, delivered_at_ms: now_ms, deliveries });
        commands.push(claim_words(key, name, group, id));
        claimed.push(id);
    }
    reply.array(3);
    reply_id(reply, next);
    reply_claimed(reply, stream, &claimed, just_id);
    reply.array(deleted.len());
    deleted.iter().for_each(|&id| reply_id(reply, id));
    settle(unit, commands);
    Ok(())
}

const X: &str = "@stream";
const PUT: u32 = WRITE | FAST;

pub(super) const COMMANDS: &[DataCommand] = &[
    row("xack", Arity::AtLeast(4), PUT, KEY_1, X, "Takes entries off the pending list", xack),
    row("xclaim", Arity::AtLeast(6), PUT, KEY_1, X, "Gives pending entries to another consumer", xclaim),
    row(
        "xautoclaim",
        Arity::AtLeast(6),
        PUT,
        KEY_1,
        X,
        "Gives whatever was pending for long to a consumer",
        xautoclaim,
    ),
];
