//! Unions, intersections and differences of sets.

use super::args::{at_least, is};
use super::{CommandError, DataCommand, Done, Unit, row};
use crate::resp::Writer;
use crate::resp::spec::{Arity, DENYOOM, KEYS_ALL, NO_KEYS, READONLY, WRITE};
use crate::store::{Place, Set, SmallBytes, Value};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Union,
    Intersection,
    Difference,
}

/// The members of the result; stops at `limit`.
fn combine(
    unit: &mut Unit<'_>,
    keys: &[&[u8]],
    operation: Operation,
    limit: usize,
    storing: bool,
) -> Result<Vec<SmallBytes>, CommandError> {
    // First all lookups (they may delete expired keys), then all places again: those stay good.
    for key in keys {
        if storing {
            unit.place(key);
        } else {
            unit.read(key);
        }
    }
    let mut sets: Vec<Option<&Set>> = Vec::with_capacity(keys.len());
    let hidden = |unit: &Unit<'_>, place: Place| {
        !storing && unit.keyspace.at(place).is_some_and(|entry| entry.is_expired(unit.now_ms()))
    };
    for key in keys {
        let place = unit.keyspace.locate(unit.db, key);
        sets.push(if hidden(unit, place) { None } else { unit.set_at(place)? });
    }
    match operation {
        Operation::Union => {
            let (mut result, seed) = (Set::default(), unit.keyspace.seed());
            sets.iter().flatten().flat_map(|set| set.iter()).for_each(|member| {
                result.insert(seed, &member);
            });
            Ok(result.iter().collect())
        }
        Operation::Intersection => {
            if sets.iter().any(Option::is_none) {
                return Ok(Vec::new());
            }
            let mut sets: Vec<&Set> = sets.into_iter().flatten().collect();
            sets.sort_by_key(|set| set.len());
            let Some((smallest, others)) = sets.split_first() else { return Ok(Vec::new()) };
            let common = smallest.iter().filter(|member| others.iter().all(|set| set.contains(member)));
            Ok(common.take(limit).collect())
        }
        Operation::Difference => {
            let Some(first) = sets[0] else { return Ok(Vec::new()) };
            let others = &sets[1..];
            let left = |member: &SmallBytes| !others.iter().flatten().any(|set| set.contains(member));
            Ok(first.iter().filter(left).collect())
        }
    }
}

fn reply_combined(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>, operation: Operation) -> Done {
    let members = combine(unit, &argv[1..], operation, usize::MAX, false)?;
    reply.set(members.len());
    members.iter().for_each(|member| reply.bulk(member));
    Ok(())
}

fn store_combined(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>, operation: Operation) -> Done {
    let members = combine(unit, &argv[2..], operation, usize::MAX, true)?;
    if members.is_empty() {
        unit.effects.dirty += u64::from(unit.delete(argv[1]));
    } else {
        let (mut set, seed) = (Set::default(), unit.keyspace.seed());
        members.iter().for_each(|member| {
            set.insert(seed, member);
        });
        unit.store(argv[1], Value::Set(set), None);
        unit.effects.dirty += 1;
    }
    reply.integer(members.len() as i64);
    Ok(())
}

fn sunion(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    reply_combined(unit, argv, reply, Operation::Union)
}

fn sinter(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    reply_combined(unit, argv, reply, Operation::Intersection)
}

fn sdiff(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    reply_combined(unit, argv, reply, Operation::Difference)
}

fn sunionstore(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    store_combined(unit, argv, reply, Operation::Union)
}

fn sinterstore(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    store_combined(unit, argv, reply, Operation::Intersection)
}

fn sdiffstore(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    store_combined(unit, argv, reply, Operation::Difference)
}

/// Splits `numkeys key ... LIMIT n`.
pub(super) fn keys_and_limit<'k, 'a>(
    words: &'k [&'a [u8]],
    numkeys_error: &'static str,
) -> Result<(&'k [&'a [u8]], usize), CommandError> {
    let count = at_least(words[0], 1, numkeys_error)?;
    if count > words.len() - 1 {
        return Err("ERR Number of keys can't be greater than number of args".into());
    }
    let mut limit = 0;
    for pair in words[1 + count..].chunks(2) {
        match pair {
            [name, value] if is(name, "limit") => limit = at_least(value, 0, "ERR LIMIT can't be negative")?,
            _ => return Err(CommandError::Syntax),
        }
    }
    Ok((&words[1..1 + count], if limit == 0 { usize::MAX } else { limit }))
}

fn sintercard(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let (keys, limit) = keys_and_limit(&argv[1..], "ERR numkeys should be greater than 0")?;
    let members = combine(unit, keys, Operation::Intersection, limit, false)?;
    reply.integer(members.len() as i64);
    Ok(())
}

const S: &str = "@set";
const STORE: u32 = WRITE | DENYOOM;

pub(super) const COMMANDS: &[DataCommand] = &[
    row("sunion", Arity::AtLeast(2), READONLY, KEYS_ALL, S, "Members of any set", sunion),
    row("sinter", Arity::AtLeast(2), READONLY, KEYS_ALL, S, "Members of every set", sinter),
    row("sdiff", Arity::AtLeast(2), READONLY, KEYS_ALL, S, "Members of the first set only", sdiff),
    row("sunionstore", Arity::AtLeast(3), STORE, KEYS_ALL, S, "Stores a union", sunionstore),
    row("sinterstore", Arity::AtLeast(3), STORE, KEYS_ALL, S, "Stores an intersection", sinterstore),
    row("sdiffstore", Arity::AtLeast(3), STORE, KEYS_ALL, S, "Stores a difference", sdiffstore),
    row("sintercard", Arity::AtLeast(3), READONLY, NO_KEYS, S, "The size of an intersection", sintercard),
];
