//! SORT: what a list, set or sorted set holds, in order of itself or of other keys.

use super::args::{int, is, owned};
use super::{CommandError, DataCommand, Done, Propagate, Unit, row};
use crate::resp::Writer;
use crate::resp::spec::{Arity, DENYOOM, KEY_1, READONLY, WRITE};
use crate::stdx::number::parse_f64;
use crate::store::{List, SmallBytes, Value};
use std::cmp::Ordering;
use std::ops::Range;

#[derive(Default)]
struct Query<'a> {
    /// The pattern of the keys to sort by; one without a star means not to sort.
    by: Option<&'a [u8]>,
    limit: Option<(i64, i64)>,
    gets: Vec<&'a [u8]>,
    descending: bool,
    as_bytes: bool,
    store: Option<&'a [u8]>,
}

impl<'a> Query<'a> {
    fn parse(words: &[&'a [u8]], read_only: bool) -> Result<Query<'a>, CommandError> {
        let (mut query, mut at) = (Query::default(), 0);
        while at < words.len() {
            let (word, rest) = (words[at], &words[at + 1..]);
            if is(word, "asc") {
                query.descending = false;
            } else if is(word, "desc") {
                query.descending = true;
            } else if is(word, "alpha") {
                query.as_bytes = true;
            } else if is(word, "limit") && rest.len() >= 2 {
                query.limit = Some((int(rest[0])?, int(rest[1])?));
                at += 2;
            } else if is(word, "store") && !read_only && !rest.is_empty() {
                query.store = Some(rest[0]);
                at += 1;
            } else if is(word, "by") && !rest.is_empty() {
                query.by = Some(rest[0]);
                at += 1;
            } else if is(word, "get") && !rest.is_empty() {
                query.gets.push(rest[0]);
                at += 1;
            } else {
                return Err(CommandError::Syntax);
            }
            at += 1;
        }
        Ok(query)
    }

    fn range(&self, len: usize) -> Range<usize> {
        let Some((offset, count)) = self.limit else { return 0..len };
        let start = usize::try_from(offset).unwrap_or(0).min(len);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        start..start.saturating_add(count).min(len)
    }
}

/// What an element is compared by.
enum Weight {
    Number(f64),
    /// Another key's bytes, if there is one.
    Bytes(Option<SmallBytes>),
    Itself,
}

struct Item {
    element: SmallBytes,
    weight: Weight,
}

fn compare(a: &Item, b: &Item) -> Ordering {
    let by_weight = match (&a.weight, &b.weight) {
        (Weight::Number(a), Weight::Number(b)) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
        // None stands before all others.
        (Weight::Bytes(a), Weight::Bytes(b)) => a.cmp(b),
        _ => Ordering::Equal,
    };
    // Never left to chance: a replica's set is walked in another order.
    by_weight.then_with(|| a.element.cmp(&b.element))
}

/// As C's `strtod` reads a string, up to its first NUL; nothing at all is 0.
fn number(bytes: &[u8]) -> Option<f64> {
    let bytes = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    if bytes.is_empty() {
        return Some(0.0);
    }
    let text = bytes.trim_ascii_start();
    let value = parse_f64(text)?;
    let is_spelt_out = text.iter().any(|byte| byte.eq_ignore_ascii_case(&b'n'));
    (value.is_finite() || is_spelt_out).then_some(value)
}

/// The value a pattern names for an element: `#` is the element itself, `*` stands for it in the
/// name of a key, and `->` leads to a field of a hash.
fn lookup(unit: &mut Unit<'_>, pattern: &[u8], element: &[u8]) -> Option<SmallBytes> {
    if pattern == b"#" {
        return Some(SmallBytes::new(element));
    }
    let star = pattern.iter().position(|&byte| byte == b'*')?;
    let (before, after) = (&pattern[..star], &pattern[star + 1..]);
    let arrow = after.windows(2).position(|pair| pair == b"->").filter(|&at| at + 2 < after.len());
    let (after, field) = match arrow {
        Some(at) => (&after[..at], Some(&after[at + 2..])),
        None => (after, None),
    };
    let key = [before, element, after].concat();
    match (unit.read(&key)?, field) {
        (Value::Hash(hash), Some(field)) => hash.get(field).map(|value| value.to_small()),
        (Value::Str(string), None) => Some(SmallBytes::new(string.bytes(&mut itoa::Buffer::new()))),
        _ => None,
    }
}

/// What the key holds, in the order it holds it, backwards if asked for; and whether it is a set,
/// which has no order.
fn elements(
    unit: &mut Unit<'_>,
    key: &[u8],
    backwards: bool,
) -> Result<(Vec<SmallBytes>, bool), CommandError> {
    Ok(match unit.read(key) {
        None => (Vec::new(), false),
        Some(Value::List(list)) => {
            let mut items: Vec<SmallBytes> = list.iter().map(|item| item.to_small()).collect();
            if backwards {
                items.reverse();
            }
            (items, false)
        }
        Some(Value::Set(set)) => (set.iter().collect(), true),
        Some(Value::ZSet(zset)) => {
            let mut members = Vec::with_capacity(zset.len());
            if backwards {
                zset.visit_back(0..zset.len(), &mut |entry| members.push(entry.member.clone()));
            } else {
                zset.visit(0..zset.len(), &mut |entry| members.push(entry.member.clone()));
            }
            (members, false)
        }
        Some(_) => return Err(CommandError::WrongType),
    })
}

fn sorted(unit: &mut Unit<'_>, key: &[u8], query: &Query<'_>) -> Result<Vec<SmallBytes>, CommandError> {
    let keeps_order = query.by.is_some_and(|by| !by.contains(&b'*'));
    let (mut found, is_set) = elements(unit, key, keeps_order && query.descending)?;
    // A stored set must come out the same everywhere.
    let forced = keeps_order && is_set && query.store.is_some();
    if keeps_order && !forced {
        let range = query.range(found.len());
        found.truncate(range.end);
        found.drain(..range.start);
        return Ok(found);
    }
    let by = query.by.filter(|_| !forced);
    let mut items = Vec::with_capacity(found.len());
    for element in found {
        let weight = match (by, query.as_bytes || forced) {
            (None, true) => Weight::Itself,
            (Some(by), true) => Weight::Bytes(lookup(unit, by, &element)),
            (by, false) => {
                let text = match by {
                    None => Some(element.clone()),
                    Some(by) => lookup(unit, by, &element),
                };
                let value = text.map_or(Some(0.0), |text| number(&text));
                Weight::Number(value.ok_or("ERR One or more scores can't be converted into double")?)
            }
        };
        items.push(Item { element, weight });
    }
    match query.descending {
        true => items.sort_by(|a, b| compare(b, a)),
        false => items.sort_by(compare),
    }
    let range = query.range(items.len());
    Ok(items.drain(range).map(|item| item.element).collect())
}

fn sort_generic(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>, read_only: bool) -> Done {
    let query = Query::parse(&argv[2..], read_only)?;
    let found = sorted(unit, argv[1], &query)?;
    let mut results: Vec<Option<SmallBytes>> = Vec::with_capacity(found.len() * query.gets.len().max(1));
    for element in found {
        if query.gets.is_empty() {
            results.push(Some(element));
        } else {
            results.extend(query.gets.iter().map(|pattern| lookup(unit, pattern, &element)));
        }
    }
    let Some(target) = query.store else {
        reply.array(results.len());
        for result in &results {
            match result {
                Some(bytes) => reply.bulk(bytes),
                None => reply.null(),
            }
        }
        return Ok(());
    };
    reply.integer(results.len() as i64);
    if results.is_empty() {
        unit.effects.dirty += u64::from(unit.delete(target));
        unit.effects.rewrite(owned(&[b"DEL", target]));
        return Ok(());
    }
    unit.effects.dirty += results.len() as u64;
    // Replicas get the result: the keys it was sorted by may end there at another moment.
    let (mut list, mut push) = (List::new(unit.keyspace.seed()), owned(&[b"RPUSH", target]));
    for result in results {
        let item = result.unwrap_or_else(|| SmallBytes::new(b""));
        push.push(item.to_vec());
        list.push_back(&item);
    }
    unit.store(target, Value::List(Box::new(list)), None);
    unit.effects.propagate = Propagate::Rewritten(vec![owned(&[b"DEL", target]), push]);
    Ok(())
}

fn sort(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    sort_generic(unit, argv, reply, false)
}

fn sort_ro(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    sort_generic(unit, argv, reply, true)
}

const K: &str = "@keyspace";

pub(super) const COMMANDS: &[DataCommand] = &[
    row("sort", Arity::AtLeast(2), WRITE | DENYOOM, KEY_1, K, "The elements of a key in order", sort),
    row("sort_ro", Arity::AtLeast(2), READONLY, KEY_1, K, "The same, never stored", sort_ro),
];

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn weights_are_read_as_strtod_reads_them() {
        for (text, value) in [
            ("", Some(0.0)),
            (" 12", Some(12.0)),
            ("1e3", Some(1000.0)),
            ("inf", Some(f64::INFINITY)),
            ("7\0x", Some(7.0)),
        ] {
            assert_eq!(number(text.as_bytes()), value, "{text}");
        }
        for text in [" ", "12 ", "abc", "nan", "1e999"] {
            assert_eq!(number(text.as_bytes()), None, "{text}");
        }
    }
}
