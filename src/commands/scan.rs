//! Walks over all keys, or over what one key holds.

use super::args::{ScanOptions, cursor};
use super::{DataCommand, Done, Unit, row};
use crate::resp::Writer;
use crate::resp::spec::{Arity, KEY_1, NO_KEYS, READONLY};
use crate::stdx::glob;
use crate::stdx::number::format_f64;
use crate::store::SmallBytes;

fn keys(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let now_ms = unit.now_ms();
    let live = unit.keyspace.iter(unit.db).filter(|entry| !entry.is_expired(now_ms));
    let found: Vec<&[u8]> = live.map(|entry| entry.key()).filter(|key| glob::matches(argv[1], key)).collect();
    reply.array(found.len());
    found.iter().for_each(|key| reply.bulk(key));
    Ok(())
}

fn scan(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let from = cursor(argv[1])?;
    let options = ScanOptions::parse(&argv[2..], true)?;
    let now_ms = unit.now_ms();
    let (mut found, mut expired): (Vec<SmallBytes>, Vec<SmallBytes>) = (Vec::new(), Vec::new());
    let next = unit.keyspace.scan(unit.db, from, options.count, |entry| {
        if entry.is_expired(now_ms) {
            expired.push(SmallBytes::new(entry.key()));
        } else if options.matches(entry.key())
            && options.type_name.is_none_or(|name| super::args::is(name, entry.value().type_name()))
        {
            found.push(SmallBytes::new(entry.key()));
        }
    });
    for key in expired {
        unit.peek(&key);
    }
    page(reply, next, found.len());
    found.iter().for_each(|key| reply.bulk(key));
    Ok(())
}

/// The head of a SCAN reply: the next cursor and how many words follow.
fn page(reply: &mut Writer<'_>, next: u64, words: usize) {
    reply.array(2);
    reply.bulk(next.to_string().as_bytes());
    reply.array(words);
}

fn write_page(reply: &mut Writer<'_>, next: u64, words: &[Vec<u8>]) {
    page(reply, next, words.len());
    words.iter().for_each(|word| reply.bulk(word));
}

fn hscan(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let from = cursor(argv[2])?;
    let mut words = Vec::new();
    let next = match unit.read_hash(argv[1])? {
        None => 0,
        Some(hash) => {
            let options = ScanOptions::parse(&argv[3..], false)?;
            hash.scan(from, options.count, |name, value| {
                if options.matches(name) {
                    words.extend([name.to_vec(), value.to_vec()]);
                }
            })
        }
    };
    write_page(reply, next, &words);
    Ok(())
}

fn sscan(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let from = cursor(argv[2])?;
    let mut words = Vec::new();
    let next = match unit.read_set(argv[1])? {
        None => 0,
        Some(set) => {
            let options = ScanOptions::parse(&argv[3..], false)?;
            set.scan(from, options.count, |member| {
                if options.matches(member) {
                    words.push(member.to_vec());
                }
            })
        }
    };
    write_page(reply, next, &words);
    Ok(())
}

/// Scores up to here are whole numbers in a listpack of Redis: half of what an integer can be.
const WHOLE_MAX: f64 = (i64::MAX / 2) as f64;

fn zscan(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let from = cursor(argv[2])?;
    let mut words = Vec::new();
    let next = match unit.read_zset(argv[1])? {
        None => 0,
        Some(zset) => {
            let options = ScanOptions::parse(&argv[3..], false)?;
            let is_packed = zset.encoding() == "listpack";
            // Redis shows what it keeps, and a whole number is kept as one in a listpack.
            let shown = |score: f64| match is_packed && score == score.trunc() && score.abs() <= WHOLE_MAX {
                true => itoa::Buffer::new().format(score as i64).to_owned(),
                false => format_f64(score),
            };
            zset.scan(from, options.count, |entry| {
                if options.matches(&entry.member) {
                    words.extend([entry.member.to_vec(), shown(entry.score).into_bytes()]);
                }
            })
        }
    };
    write_page(reply, next, &words);
    Ok(())
}

pub(super) const COMMANDS: &[DataCommand] = &[
    row("keys", Arity::Exactly(2), READONLY, NO_KEYS, "@keyspace", "All keys that match a pattern", keys),
    row("scan", Arity::AtLeast(2), READONLY, NO_KEYS, "@keyspace", "A slice of the keys", scan),
    row("hscan", Arity::AtLeast(3), READONLY, KEY_1, "@hash", "A slice of a hash", hscan),
    row("sscan", Arity::AtLeast(3), READONLY, KEY_1, "@set", "A slice of a set", sscan),
    row("zscan", Arity::AtLeast(3), READONLY, KEY_1, "@sortedset", "A slice of a sorted set", zscan),
];
