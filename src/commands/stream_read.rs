//! XREAD and XREADGROUP as they answer at once; the server's waiting forms try these again.

use super::args::{int, is};
use super::stream_claims::claim_words;
use super::stream_ids::{self, limit, no_group, reply_entries, reply_entry, reply_id};
use super::{CommandError, DataCommand, Done, Propagate, Unit, row};
use crate::resp::spec::{Arity, BLOCKING, NO_KEYS, READONLY, WRITE};
use crate::resp::{Protocol, Writer};
use crate::stdx::number::parse_i64;
use crate::store::stream_group::Pending;
use crate::store::{Stream, StreamId};

const UNBALANCED: &str =
    "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.";
const ONLY_GROUP: &str = "option is only supported by XREADGROUP. You called XREAD instead.";
const DOLLAR_IN_GROUP: &str = "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the \
    history of this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just \
    return an empty result set.";
const NEW_WITHOUT_GROUP: &str =
    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.";

/// The words of a request.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Milliseconds to wait, 0 for ever; `None` not to wait.
    pub block_ms: Option<u64>,
    count: i64,
    /// Group and consumer.
    group: Option<(&'a [u8], &'a [u8])>,
    noack: bool,
    pub keys: &'a [&'a [u8]],
    pub ids: &'a [&'a [u8]],
}

/// Where the first key stands, counted with the options before it.
fn streams_at(argv: &[&[u8]]) -> Option<usize> {
    let mut at = 1;
    while at < argv.len() {
        at += match argv[at] {
            word if is(word, "block") || is(word, "count") => 2,
            word if is(word, "group") => 3,
            word if is(word, "noack") => 1,
            word if is(word, "streams") => return Some(at + 1),
            _ => return None,
        };
    }
    None
}

/// Where the keys stand: the first half of what follows STREAMS.
pub fn key_positions(argv: &[&[u8]]) -> std::ops::Range<usize> {
    let at = streams_at(argv).unwrap_or(argv.len());
    at..at + argv.len().saturating_sub(at) / 2
}

impl<'a> Asked<'a> {
    pub fn parse(argv: &'a [&'a [u8]], is_group: bool) -> Result<Self, CommandError> {
        let mut asked = Asked { block_ms: None, count: 0, group: None, noack: false, keys: &[], ids: &[] };
        let mut at = 1;
        while at < argv.len() && asked.keys.is_empty() {
            let more = argv.len() - at - 1;
            let word = argv[at];
            if is(word, "block") && more > 0 {
                at += 1;
                let ms = parse_i64(argv[at]).ok_or("ERR timeout is not an integer or out of range")?;
                asked.block_ms = Some(u64::try_from(ms).map_err(|_| "ERR timeout is negative")?);
            } else if is(word, "count") && more > 0 {
                at += 1;
                asked.count = int(argv[at])?;
            } else if is(word, "streams") && more > 0 {
                if !more.is_multiple_of(2) {
                    return Err(UNBALANCED.into());
                }
                (asked.keys, asked.ids) = argv[at + 1..].split_at(more / 2);
            } else if is(word, "group") && more >= 2 {
                if !is_group {
                    return Err(CommandError::Text(format!("ERR The GROUP {ONLY_GROUP}")));
                }
                asked.group = Some((argv[at + 1], argv[at + 2]));
                at += 2;
            } else if is(word, "noack") {
                if !is_group {
                    return Err(CommandError::Text(format!("ERR The NOACK {ONLY_GROUP}")));
                }
                asked.noack = true;
            } else {
                return Err(CommandError::Syntax);
            }
            at += 1;
        }
        if asked.keys.is_empty() {
            return Err(CommandError::Syntax);
        }
        if is_group && asked.group.is_none() {
            return Err("ERR Missing GROUP option for XREADGROUP".into());
        }
        Ok(asked)
    }
}

/// The words in full for whoever waits: `$` becomes the id it stands for now.
pub fn fixed_words(argv: &[&[u8]], mut last_id: impl FnMut(&[u8]) -> StreamId) -> Vec<Box<[u8]>> {
    let keys = key_positions(argv);
    let ids = keys.end..keys.end + keys.len();
    let fix = |(at, word): (usize, &&[u8])| {
        if ids.contains(&at) && *word == b"$" {
            last_id(argv[at - keys.len()]).to_string().into_bytes().into()
        } else {
            (*word).into()
        }
    };
    argv.iter().enumerate().map(fix).collect()
}

/// What one of the streams is asked for.
#[derive(Clone, Copy)]
enum From {
    After(StreamId),
    /// What nobody of the group was given yet.
    New,
    /// What this consumer was given and has not acknowledged.
    History(StreamId),
}

fn from_of(
    stream: Option<&Stream>,
    key: &[u8],
    word: &[u8],
    group: Option<(&[u8], &[u8])>,
) -> Result<From, CommandError> {
    if let Some((name, _)) = group
        && stream.is_none_or(|stream| stream.group(name).is_none())
    {
        return Err(no_group(key, name, " in XREADGROUP with GROUP option"));
    }
    match (word, group) {
        (b"$", Some(_)) => Err(DOLLAR_IN_GROUP.into()),
        (b"$", None) => Ok(From::After(stream.map_or(StreamId::ZERO, Stream::last_id))),
        (b">", None) => Err(NEW_WITHOUT_GROUP.into()),
        (b">", Some(_)) => Ok(From::New),
        (word, None) => stream_ids::strict(word).map(From::After),
        // Redis takes the greatest id for `>`.
        (word, Some(_)) => match stream_ids::strict(word)? {
            StreamId::MAX => Ok(From::New),
            id => Ok(From::History(id)),
        },
    }
}

/// Whether there is an answer now.
fn is_served(stream: &Stream, from: From, group: Option<(&[u8], &[u8])>) -> bool {
    let has_after = |id| stream.last_id() > id && stream.newest().is_some_and(|newest| newest.id > id);
    match from {
        From::After(id) => has_after(id),
        From::History(_) => true,
        From::New => {
            group.and_then(|(name, _)| stream.group(name)).is_some_and(|group| has_after(group.last_id))
        }
    }
}

fn read(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>, is_group: bool) -> Done {
    let asked = Asked::parse(argv, is_group)?;
    let mut targets = Vec::with_capacity(asked.keys.len());
    for (&key, word) in asked.keys.iter().zip(asked.ids) {
        let stream = if is_group {
            let place = unit.place(key);
            unit.stream_at(place)?
        } else {
            unit.read_stream(key)?
        };
        targets.push((key, from_of(stream, key, word, asked.group)?));
    }
    // How many are served shows on the way: what one target reads is not new to the next.
    let (mut body, mut commands, mut served) = (Vec::new(), Vec::new(), 0);
    let mut part = Writer::new(&mut body, reply.protocol());
    for (key, from) in targets {
        let Some(place) = (if is_group { Some(unit.place(key)) } else { unit.peek(key) }) else { continue };
        let Some(stream) = unit.stream_at(place)? else { continue };
        if !is_served(stream, from, asked.group) {
            continue;
        }
        served += 1;
        if reply.protocol() == Protocol::Resp2 {
            part.array(2);
        }
        part.bulk(key);
        match (from, asked.group) {
            (From::New, Some(group)) => deliver(unit, key, group, &asked, &mut part, &mut commands)?,
            (From::History(id), Some(group)) => {
                history(unit, key, group, id, &asked, &mut part, &mut commands)?
            }
            (From::After(id) | From::History(id), _) => {
                let start = id.next().unwrap_or(StreamId::ZERO);
                reply_entries(&mut part, stream.range(start, StreamId::MAX).take(limit(asked.count)));
            }
            (From::New, None) => part.array(0),
        }
    }
    match (served, reply.protocol()) {
        (0, _) => reply.null_array(),
        (_, Protocol::Resp2) => reply.array(served),
        (_, Protocol::Resp3) => reply.map(served),
    }
    reply.raw(&body);
    if !commands.is_empty() {
        unit.effects.dirty += commands.len() as u64;
        unit.effects.propagate = Propagate::Rewritten(commands);
    }
    Ok(())
}

fn created_words(key: &[u8], group: &[u8], consumer: &[u8]) -> Vec<Vec<u8>> {
    super::args::owned(&[b"XGROUP", b"CREATECONSUMER", key, group, consumer])
}

/// Hands new entries to a consumer.
fn deliver(
    unit: &mut Unit<'_>,
    key: &[u8],
    (name, consumer): (&[u8], &[u8]),
    asked: &Asked<'_>,
    reply: &mut Writer<'_>,
    commands: &mut Vec<Vec<Vec<u8>>>,
) -> Done {
    let now_ms = unit.now_ms();
    let place = unit.place(key);
    let Some(stream) = unit.change_stream(place)? else { return Ok(()) };
    let Some(group) = stream.group(name) else { return Ok(()) };
    let start = group.last_id.next().unwrap_or(StreamId::ZERO);
    let entries: Vec<_> = stream.range(start, StreamId::MAX).take(limit(asked.count)).collect();
    reply.array(entries.len());
    let mut read = group.entries_read;
    for entry in &entries {
        reply_entry(reply, entry);
        read = match read {
            // No more than replicas can be told.
            Some(read) if !stream.has_holes_from(entry.id) => {
                Some(read.saturating_add(1).min(i64::MAX as u64))
            }
            read if stream.entries_added() == 0 => read,
            _ => stream.added_up_to(entry.id),
        };
    }
    let ids: Vec<StreamId> = entries.iter().map(|entry| entry.id).collect();
    let Some(group) = stream.group_mut(name) else { return Ok(()) };
    let (id, is_new) = group.meet(consumer, now_ms);
    if is_new {
        commands.push(created_words(key, name, consumer));
    }
    group.entries_read = read;
    group.last_id = ids.last().copied().unwrap_or(group.last_id);
    if !asked.noack {
        for entry in ids {
            group.assign(entry, Pending { consumer: id, delivered_at_ms: now_ms, deliveries: 1 });
            commands.push(claim_words(key, name, group, entry));
        }
    }
    commands.push(super::stream_groups::setid_words(key, name, group));
    Ok(())
}

/// What a consumer has not acknowledged yet, from behind `after` on; an entry that was deleted
/// meanwhile comes without its fields.
fn history(
    unit: &mut Unit<'_>,
    key: &[u8],
    (name, consumer): (&[u8], &[u8]),
    after: StreamId,
    asked: &Asked<'_>,
    reply: &mut Writer<'_>,
    commands: &mut Vec<Vec<Vec<u8>>>,
) -> Done {
    let now_ms = unit.now_ms();
    let place = unit.place(key);
    let Some(stream) = unit.change_stream(place)? else { return Ok(()) };
    let Some(group) = stream.group_mut(name) else { return Ok(()) };
    let (consumer_id, is_new) = group.meet(consumer, now_ms);
    if is_new {
        commands.push(created_words(key, name, consumer));
    }
    let start = after.next().unwrap_or(StreamId::ZERO);
    let pending = group.consumer(consumer_id).map(|consumer| consumer.pending.range(start..));
    let ids: Vec<StreamId> = pending.into_iter().flatten().take(limit(asked.count)).copied().collect();
    reply.array(ids.len());
    for id in ids {
        let Some(entry) = stream.range(id, id).next() else {
            reply.array(2);
            reply_id(reply, id);
            reply.null_array();
            continue;
        };
        reply_entry(reply, &entry);
        let Some(group) = stream.group_mut(name) else { continue };
        if let Some(&old) = group.pending().get(&id) {
            group.assign(
                id,
                Pending { delivered_at_ms: now_ms, deliveries: old.deliveries.saturating_add(1), ..old },
            );
            // Redis keeps this to itself; here a replica counts deliveries as its master does.
            commands.push(claim_words(key, name, group, id));
        }
    }
    Ok(())
}

pub fn xread(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    read(unit, argv, reply, false)
}

pub fn xreadgroup(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    read(unit, argv, reply, true)
}

const X: &str = "@stream";

pub(super) const COMMANDS: &[DataCommand] = &[
    row(
        "xread",
        Arity::AtLeast(4),
        READONLY | BLOCKING,
        NO_KEYS,
        X,
        "Entries behind an id, of several streams",
        xread,
    ),
    row(
        "xreadgroup",
        Arity::AtLeast(7),
        WRITE | BLOCKING,
        NO_KEYS,
        X,
        "Entries for a consumer of a group",
        xreadgroup,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stand_behind_streams_and_a_dollar_is_fixed() {
        let argv: Vec<&[u8]> =
            "XREAD COUNT 2 BLOCK 0 STREAMS a b $ 5".split(' ').map(str::as_bytes).collect();
        assert_eq!(key_positions(&argv), 6..8);
        let fixed = fixed_words(&argv, |_| StreamId::new(7, 1));
        assert_eq!((&*fixed[8], &*fixed[9]), (&b"7-1"[..], &b"5"[..]));
        assert_eq!(key_positions(&argv[..5]), 5..5);
        let named: Vec<&[u8]> =
            "XREADGROUP GROUP streams c STREAMS a >".split(' ').map(str::as_bytes).collect();
        assert_eq!(key_positions(&named), 5..6);
    }
}
