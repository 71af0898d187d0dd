//! Sorted set commands about members: scores, ranks, pops. Ranges are in `zset_range`, unions and
//! the like in `zset_algebra`. The blocking pops of the server reuse [`pop`].

use super::args::{check_doubled, float, is, owned, sample_count};
use super::lists::MultiPop;
use super::{CommandError, DataCommand, Done, Unit, row};
use crate::resp::spec::{Arity, DENYOOM, FAST, KEY_1, NO_KEYS, READONLY, WRITE};
use crate::resp::{Protocol, Writer};
use crate::store::tree::Scored;
use crate::store::{HashSeed, ZSet};

/// An end of a sorted set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Min,
    Max,
}

/// Takes up to `count` members from one end; `None` when the key is not there.
pub fn pop(
    unit: &mut Unit<'_>,
    key: &[u8],
    end: End,
    count: usize,
) -> Result<Option<Vec<Scored>>, CommandError> {
    let place = unit.place(key);
    let Some(zset) = unit.zset_at(place)? else { return Ok(None) };
    let mut popped = Vec::new();
    let count = count.min(zset.len());
    match end {
        End::Min => zset.visit(0..count, &mut |entry| popped.push(entry.clone())),
        End::Max => zset.visit_back(zset.len() - count..zset.len(), &mut |entry| popped.push(entry.clone())),
    }
    if let Some(zset) = unit.change_zset(place)?.filter(|_| count > 0) {
        popped.iter().for_each(|entry| {
            zset.remove(&entry.member);
        });
    }
    unit.delete_if_empty(place);
    unit.effects.dirty += popped.len() as u64;
    Ok(Some(popped))
}

/// Members with scores: pairs in RESP3, flat in RESP2.
pub(super) fn reply_scored(reply: &mut Writer<'_>, entries: &[Scored], with_scores: bool) {
    let nested = with_scores && reply.protocol() == Protocol::Resp3;
    reply.array(if with_scores && !nested { entries.len() * 2 } else { entries.len() });
    for entry in entries {
        if nested {
            reply.array(2);
        }
        reply.bulk(&entry.member);
        if with_scores {
            reply.double(entry.score);
        }
    }
}

#[derive(Default)]
struct AddOptions {
    if_absent: bool,
    if_present: bool,
    if_greater: bool,
    if_less: bool,
    increment: bool,
}

enum Added {
    Refused,
    /// The score it had, and the one it has.
    Done(Option<f64>, f64),
}

fn add_one(
    (zset, seed): (&mut ZSet, &HashSeed),
    o: &AddOptions,
    score: f64,
    member: &[u8],
) -> Result<Added, CommandError> {
    let old = zset.score(member);
    let refused = match old {
        Some(_) => o.if_absent,
        None => o.if_present,
    };
    if refused {
        return Ok(Added::Refused);
    }
    let score = if o.increment { old.map_or(score, |old| old + score) } else { score };
    if score.is_nan() {
        return Err("ERR resulting score is not a number (NaN)".into());
    }
    if let Some(old) = old
        && (o.if_greater && score <= old || o.if_less && score >= old)
    {
        return Ok(Added::Refused);
    }
    if old != Some(score) {
        zset.insert(seed, score, member);
    }
    Ok(Added::Done(old, score))
}

pub(super) fn zadd(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let (mut options, mut counts_changed, mut at) = (AddOptions::default(), false, 2);
    while let Some(word) = argv.get(at) {
        match word.to_ascii_lowercase().as_slice() {
            b"nx" => options.if_absent = true,
            b"xx" => options.if_present = true,
            b"gt" => options.if_greater = true,
            b"lt" => options.if_less = true,
            b"ch" => counts_changed = true,
            b"incr" => options.increment = true,
            _ => break,
        }
        at += 1;
    }
    add_all(unit, argv[1], &argv[at..], &options, counts_changed, reply)
}

fn add_all(
    unit: &mut Unit<'_>,
    key: &[u8],
    pairs: &[&[u8]],
    options: &AddOptions,
    counts_changed: bool,
    reply: &mut Writer<'_>,
) -> Done {
    if pairs.is_empty() || !pairs.len().is_multiple_of(2) {
        return Err(CommandError::Syntax);
    }
    if options.if_absent && options.if_present {
        return Err("ERR XX and NX options at the same time are not compatible".into());
    }
    if options.if_absent && (options.if_greater || options.if_less) || options.if_greater && options.if_less {
        return Err("ERR GT, LT, and/or NX options at the same time are not compatible".into());
    }
    if options.increment && pairs.len() > 2 {
        return Err("ERR INCR option supports a single increment-element pair".into());
    }
    let scores = pairs.iter().step_by(2).map(|word| float(word)).collect::<Result<Vec<f64>, _>>()?;
    let place = unit.place(key);
    if unit.zset_at(place)?.is_none() && options.if_present {
        match options.increment {
            true => reply.null(),
            false => reply.integer(0),
        }
        return Ok(());
    }
    let (zset, seed) = unit.make_zset(key)?;
    let (mut added, mut updated, mut last) = (0, 0, None);
    for (score, member) in scores.into_iter().zip(pairs.iter().skip(1).step_by(2)) {
        last = None;
        if let Added::Done(old, new) = add_one((zset, seed), options, score, member)? {
            added += u64::from(old.is_none());
            updated += u64::from(old.is_some_and(|old| old != new));
            last = Some(new);
        }
    }
    unit.effects.dirty += added + updated;
    match (options.increment, last) {
        (true, Some(score)) => reply.double(score),
        (true, None) => reply.null(),
        (false, _) => reply.integer((if counts_changed { added + updated } else { added }) as i64),
    }
    Ok(())
}

fn zincrby(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let options = AddOptions { increment: true, ..Default::default() };
    add_all(unit, argv[1], &argv[2..4], &options, false, reply)
}

fn zrem(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let place = unit.place(argv[1]);
    let removed = match unit.change_zset(place)? {
        None => 0,
        Some(zset) => argv[2..].iter().filter(|member| zset.remove(member).is_some()).count(),
    };
    unit.delete_if_empty(place);
    unit.effects.dirty += removed as u64;
    reply.integer(removed as i64);
    Ok(())
}

fn zcard(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let len = unit.read_zset(argv[1])?.map_or(0, ZSet::len);
    reply.integer(len as i64);
    Ok(())
}

fn reply_score(reply: &mut Writer<'_>, score: Option<f64>) {
    match score {
        Some(score) => reply.double(score),
        None => reply.null(),
    }
}

fn zscore(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let score = unit.read_zset(argv[1])?.and_then(|zset| zset.score(argv[2]));
    reply_score(reply, score);
    Ok(())
}

fn zmscore(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let zset = unit.read_zset(argv[1])?;
    reply.array(argv.len() - 2);
    for member in &argv[2..] {
        reply_score(reply, zset.and_then(|zset| zset.score(member)));
    }
    Ok(())
}

fn rank(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>, from_back: bool) -> Done {
    let with_score = match &argv[3..] {
        [] => false,
        [word] if is(word, "withscore") => true,
        _ => return Err(CommandError::Syntax),
    };
    let found = unit
        .read_zset(argv[1])?
        .and_then(|zset| Some((zset.rank(argv[2])?, zset.score(argv[2])?, zset.len())));
    match found {
        Some((rank, score, len)) => {
            if with_score {
                reply.array(2);
            }
            reply.integer(if from_back { len - 1 - rank } else { rank } as i64);
            if with_score {
                reply.double(score);
            }
        }
        None if with_score => reply.null_array(),
        None => reply.null(),
    }
    Ok(())
}

fn zrank(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    rank(unit, argv, reply, false)
}

fn zrevrank(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    rank(unit, argv, reply, true)
}

fn pop_command(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>, end: End) -> Done {
    if argv.len() > 3 {
        return Err(CommandError::Syntax);
    }
    let wanted = argv.get(2).map(|word| super::args::count(word)).transpose()?;
    let popped = pop(unit, argv[1], end, wanted.unwrap_or(1))?.unwrap_or_default();
    match popped.first() {
        // Without a count the pair is flat in RESP3 too.
        Some(entry) if wanted.is_none() => {
            reply.array(2);
            reply.bulk(&entry.member);
            reply.double(entry.score);
        }
        _ => reply_scored(reply, &popped, true),
    }
    Ok(())
}

fn zpopmin(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    pop_command(unit, argv, reply, End::Min)
}

fn zpopmax(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    pop_command(unit, argv, reply, End::Max)
}

pub fn parse_end(word: &[u8]) -> Result<End, CommandError> {
    if is(word, "min") {
        Ok(End::Min)
    } else if is(word, "max") {
        Ok(End::Max)
    } else {
        Err(CommandError::Syntax)
    }
}

fn zmpop(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let MultiPop { keys, side: end, count } = MultiPop::parse(&argv[1..], parse_end)?;
    for key in keys {
        let Some(popped) = pop(unit, key, end, count)? else { continue };
        reply.array(2);
        reply.bulk(key);
        reply.array(popped.len());
        for entry in &popped {
            reply.array(2);
            reply.bulk(&entry.member);
            reply.double(entry.score);
        }
        let command: &[u8] = if end == End::Min { b"ZPOPMIN" } else { b"ZPOPMAX" };
        unit.effects.rewrite(owned(&[command, key, popped.len().to_string().as_bytes()]));
        return Ok(());
    }
    reply.null_array();
    Ok(())
}

fn zrandmember(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let mut rng = unit.rng.fork();
    let Some(wanted) = argv.get(2) else {
        match unit.read_zset(argv[1])?.and_then(|zset| zset.random(&mut rng)) {
            Some(entry) => reply.bulk(&entry.member),
            None => reply.null(),
        }
        return Ok(());
    };
    let wanted = sample_count(wanted)?;
    let with_scores = match &argv[3..] {
        [] => false,
        [word] if is(word, "withscores") => true,
        _ => return Err(CommandError::Syntax),
    };
    if with_scores {
        check_doubled(wanted)?;
    }
    let Some(zset) = unit.read_zset(argv[1])? else {
        reply.array(0);
        return Ok(());
    };
    let mut chosen: Vec<Scored> = Vec::new();
    if wanted < 0 {
        chosen.extend((0..wanted.unsigned_abs()).filter_map(|_| zset.random(&mut rng)));
    } else {
        zset.visit(0..zset.len(), &mut |entry| chosen.push(entry.clone()));
        if (wanted as usize) < chosen.len() {
            super::sets::choose(&mut chosen, wanted as usize, &mut rng);
        }
    }
    reply_scored(reply, &chosen, with_scores);
    Ok(())
}

const Z: &str = "@sortedset";
const PUT: u32 = WRITE | DENYOOM | FAST;
const GET: u32 = READONLY | FAST;

pub(super) const COMMANDS: &[DataCommand] = &[
    row("zadd", Arity::AtLeast(4), PUT, KEY_1, Z, "Adds members with scores", zadd),
    row("zincrby", Arity::Exactly(4), PUT, KEY_1, Z, "Adds to a score", zincrby),
    row("zrem", Arity::AtLeast(3), WRITE | FAST, KEY_1, Z, "Removes members", zrem),
    row("zcard", Arity::Exactly(2), GET, KEY_1, Z, "How many members there are", zcard),
    row("zscore", Arity::Exactly(3), GET, KEY_1, Z, "The score of a member", zscore),
    row("zmscore", Arity::AtLeast(3), GET, KEY_1, Z, "The scores of members", zmscore),
    row("zrank", Arity::AtLeast(3), GET, KEY_1, Z, "The rank of a member", zrank),
    row("zrevrank", Arity::AtLeast(3), GET, KEY_1, Z, "The rank from the highest score", zrevrank),
    row("zpopmin", Arity::AtLeast(2), WRITE | FAST, KEY_1, Z, "Takes the lowest", zpopmin),
    row("zpopmax", Arity::AtLeast(2), WRITE | FAST, KEY_1, Z, "Takes the highest", zpopmax),
    row("zmpop", Arity::AtLeast(4), WRITE, NO_KEYS, Z, "Takes of the first set that is there", zmpop),
    row("zrandmember", Arity::AtLeast(2), READONLY, KEY_1, Z, "Some members", zrandmember),
];
