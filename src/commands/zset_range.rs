//! Ranges of sorted sets: by rank, by score, by bytes; read, counted, stored or removed. Whatever
//! they are asked by, they become ranges of ranks first.

use super::args::{int, is, owned, span};
use super::zsets::reply_scored;
use super::{CommandError, DataCommand, Done, Unit, row};
use crate::resp::Writer;
use crate::resp::spec::{Arity, DENYOOM, FAST, KEY_1, KEY_1_2, READONLY, WRITE};
use crate::stdx::number::parse_f64;
use crate::store::tree::Scored;
use crate::store::{Value, ZSet};
use std::ops::Range;

#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Bytes,
}

/// A limit of a range by score.
struct ScoreBound {
    score: f64,
    exclusive: bool,
}

fn score_bound(word: &[u8]) -> Result<ScoreBound, CommandError> {
    let (exclusive, number) = match word {
        [b'(', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    // As C's `strtod`: leading space is passed over, nothing is 0.
    let number = number.trim_ascii_start();
    let score = if number.is_empty() { Some(0.0) } else { parse_f64(number) };
    let score = score.ok_or("ERR min or max is not a float")?;
    Ok(ScoreBound { score, exclusive })
}

/// A limit of a range by bytes.
enum BytesBound {
    Lowest,
    Highest,
    At { bytes: Vec<u8>, exclusive: bool },
}

fn bytes_bound(word: &[u8]) -> Result<BytesBound, CommandError> {
    match word {
        b"-" => Ok(BytesBound::Lowest),
        b"+" => Ok(BytesBound::Highest),
        [b'(', rest @ ..] => Ok(BytesBound::At { bytes: rest.to_vec(), exclusive: true }),
        [b'[', rest @ ..] => Ok(BytesBound::At { bytes: rest.to_vec(), exclusive: false }),
        _ => Err("ERR min or max not valid string range item".into()),
    }
}

impl BytesBound {
    /// Whether a member lies before a range that begins here.
    fn is_after(&self, member: &[u8]) -> bool {
        match self {
            BytesBound::Lowest => false,
            BytesBound::Highest => true,
            BytesBound::At { bytes, exclusive } => {
                if *exclusive {
                    member <= bytes.as_slice()
                } else {
                    member < bytes.as_slice()
                }
            }
        }
    }

    /// Whether a member lies in a range that ends here, or before it.
    fn reaches(&self, member: &[u8]) -> bool {
        match self {
            BytesBound::Lowest => false,
            BytesBound::Highest => true,
            BytesBound::At { bytes, exclusive } => {
                if *exclusive {
                    member < bytes.as_slice()
                } else {
                    member <= bytes.as_slice()
                }
            }
        }
    }
}

/// What a range asks for, understood before the key is looked at.
enum Wanted {
    Ranks(i64, i64),
    Scores(ScoreBound, ScoreBound),
    Bytes(BytesBound, BytesBound),
}

impl Wanted {
    fn parse(by: By, low: &[u8], high: &[u8]) -> Result<Wanted, CommandError> {
        Ok(match by {
            By::Rank => Wanted::Ranks(int(low)?, int(high)?),
            By::Score => Wanted::Scores(score_bound(low)?, score_bound(high)?),
            By::Bytes => Wanted::Bytes(bytes_bound(low)?, bytes_bound(high)?),
        })
    }

    /// The ranks, from the lowest score; `reverse` matters to ranks only.
    fn ranks(&self, zset: &ZSet, reverse: bool) -> Range<usize> {
        let (start, end) = match self {
            Wanted::Ranks(start, stop) => {
                let range = span(*start, *stop, zset.len());
                if reverse && !range.is_empty() {
                    return zset.len() - range.end..zset.len() - range.start;
                }
                (range.start, range.end)
            }
            Wanted::Scores(low, high) => {
                let before =
                    |e: &Scored| if low.exclusive { e.score <= low.score } else { e.score < low.score };
                let within =
                    |e: &Scored| if high.exclusive { e.score < high.score } else { e.score <= high.score };
                (zset.count_while(before), zset.count_while(within))
            }
            Wanted::Bytes(low, high) => {
                (zset.count_while(|e| low.is_after(&e.member)), zset.count_while(|e| high.reaches(&e.member)))
            }
        };
        start..end.max(start)
    }
}

struct Query<'a> {
    key: &'a [u8],
    wanted: Wanted,
    reverse: bool,
    with_scores: bool,
    /// Offset and count; a negative offset is nothing, a negative count everything.
    limit: Option<(i64, i64)>,
}

impl<'a> Query<'a> {
    /// `words`: key, two limits, options. `by` and `reverse` are given for the old commands, whose
    /// names say them; these know no options that choose them.
    fn parse(words: &[&'a [u8]], by: Option<By>, reverse: bool, storing: bool) -> Result<Self, CommandError> {
        let is_new = by.is_none();
        let (mut by, mut reverse, mut with_scores, mut limit) =
            (by.unwrap_or(By::Rank), reverse, false, None);
        let mut at = 3;
        while at < words.len() {
            let word = words[at];
            if !storing && is(word, "withscores") {
                with_scores = true;
            } else if is(word, "limit") && at + 2 < words.len() {
                limit = Some((int(words[at + 1])?, int(words[at + 2])?));
                at += 2;
            } else if is_new && is(word, "byscore") {
                by = By::Score;
            } else if is_new && is(word, "bylex") {
                by = By::Bytes;
            } else if is_new && is(word, "rev") {
                reverse = true;
            } else {
                return Err(CommandError::Syntax);
            }
            at += 1;
        }
        // A count of -1 is how Redis marks that there is no LIMIT.
        if limit.is_some_and(|(_, count)| count != -1) && by == By::Rank {
            return Err(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
                    .into(),
            );
        }
        if with_scores && by == By::Bytes {
            return Err("ERR syntax error, WITHSCORES not supported in combination with BYLEX".into());
        }
        let swapped = reverse && by != By::Rank;
        let (low, high) = if swapped { (words[2], words[1]) } else { (words[1], words[2]) };
        let wanted = Wanted::parse(by, low, high)?;
        Ok(Query { key: words[0], wanted, reverse, with_scores, limit })
    }

    fn entries(&self, zset: &ZSet) -> Vec<Scored> {
        let mut range = self.wanted.ranks(zset, self.reverse);
        if let Some((offset, count)) = self.limit
            && !matches!(self.wanted, Wanted::Ranks(..))
        {
            let Ok(offset) = usize::try_from(offset) else { return Vec::new() };
            let offset = offset.min(range.len());
            let count = usize::try_from(count).unwrap_or(usize::MAX).min(range.len() - offset);
            range = if self.reverse {
                range.end - offset - count..range.end - offset
            } else {
                range.start + offset..range.start + offset + count
            };
        }
        let mut entries = Vec::with_capacity(range.len());
        if self.reverse {
            zset.visit_back(range, &mut |entry| entries.push(entry.clone()));
        } else {
            zset.visit(range, &mut |entry| entries.push(entry.clone()));
        }
        entries
    }
}

fn range(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>, by: Option<By>, reverse: bool) -> Done {
    let query = Query::parse(&argv[1..], by, reverse, false)?;
    let entries = unit.read_zset(query.key)?.map(|zset| query.entries(zset)).unwrap_or_default();
    reply_scored(reply, &entries, query.with_scores);
    Ok(())
}

fn zrange(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    range(unit, argv, reply, None, false)
}

fn zrevrange(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    range(unit, argv, reply, Some(By::Rank), true)
}

fn zrangebyscore(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    range(unit, argv, reply, Some(By::Score), false)
}

fn zrevrangebyscore(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    range(unit, argv, reply, Some(By::Score), true)
}

fn zrangebylex(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    range(unit, argv, reply, Some(By::Bytes), false)
}

fn zrevrangebylex(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    range(unit, argv, reply, Some(By::Bytes), true)
}

fn zrangestore(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let query = Query::parse(&argv[2..], None, false, true)?;
    let place = unit.place(query.key);
    let entries = unit.zset_at(place)?.map(|zset| query.entries(zset)).unwrap_or_default();
    store_result(unit, argv[1], &entries);
    reply.integer(entries.len() as i64);
    Ok(())
}

/// Stores a result, or deletes the key for an empty one.
pub(super) fn store_result(unit: &mut Unit<'_>, key: &[u8], entries: &[Scored]) {
    if entries.is_empty() {
        unit.effects.dirty += u64::from(unit.delete(key));
        return;
    }
    let (mut zset, seed) = (ZSet::default(), unit.keyspace.seed());
    for entry in entries {
        zset.insert(seed, entry.score, &entry.member);
    }
    unit.store(key, Value::ZSet(zset), None);
    unit.effects.dirty += 1;
}

fn count(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>, by: By) -> Done {
    let wanted = Wanted::parse(by, argv[2], argv[3])?;
    let count = unit.read_zset(argv[1])?.map_or(0, |zset| wanted.ranks(zset, false).len());
    reply.integer(count as i64);
    Ok(())
}

fn zcount(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    count(unit, argv, reply, By::Score)
}

fn zlexcount(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    count(unit, argv, reply, By::Bytes)
}

fn remove_range(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>, by: By) -> Done {
    let wanted = Wanted::parse(by, argv[2], argv[3])?;
    let place = unit.place(argv[1]);
    let mut members = Vec::new();
    if let Some(zset) = unit.zset_at(place)? {
        zset.visit(wanted.ranks(zset, false), &mut |entry| members.push(entry.member.clone()));
    }
    if !members.is_empty()
        && let Some(zset) = unit.change_zset(place)?
    {
        members.iter().for_each(|member| {
            zset.remove(member);
        });
        unit.delete_if_empty(place);
        unit.effects.dirty += members.len() as u64;
        if by == By::Bytes {
            // Where scores differ the range depends on how the tree grew: name the members.
            let mut command = owned(&[b"ZREM", argv[1]]);
            command.extend(members.iter().map(|member| member.to_vec()));
            unit.effects.rewrite(command);
        }
    }
    reply.integer(members.len() as i64);
    Ok(())
}

fn zremrangebyrank(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    remove_range(unit, argv, reply, By::Rank)
}

fn zremrangebyscore(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    remove_range(unit, argv, reply, By::Score)
}

fn zremrangebylex(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    remove_range(unit, argv, reply, By::Bytes)
}

const Z: &str = "@sortedset";
const FOUR: Arity = Arity::Exactly(4);
const FOUR_UP: Arity = Arity::AtLeast(4);

pub(super) const COMMANDS: &[DataCommand] = &[
    row("zrange", FOUR_UP, READONLY, KEY_1, Z, "A range by rank, score or bytes", zrange),
    row("zrevrange", FOUR_UP, READONLY, KEY_1, Z, "A range by rank from the highest", zrevrange),
    row("zrangebyscore", FOUR_UP, READONLY, KEY_1, Z, "A range by score", zrangebyscore),
    row("zrevrangebyscore", FOUR_UP, READONLY, KEY_1, Z, "A range by score, downwards", zrevrangebyscore),
    row("zrangebylex", FOUR_UP, READONLY, KEY_1, Z, "A range by bytes", zrangebylex),
    row("zrevrangebylex", FOUR_UP, READONLY, KEY_1, Z, "A range by bytes, downwards", zrevrangebylex),
    row("zrangestore", Arity::AtLeast(5), WRITE | DENYOOM, KEY_1_2, Z, "Stores a range", zrangestore),
    row("zcount", FOUR, READONLY | FAST, KEY_1, Z, "How many are in a range of scores", zcount),
    row("zlexcount", FOUR, READONLY | FAST, KEY_1, Z, "How many are in a range of bytes", zlexcount),
    row("zremrangebyrank", FOUR, WRITE, KEY_1, Z, "Removes a range of ranks", zremrangebyrank),
    row("zremrangebyscore", FOUR, WRITE, KEY_1, Z, "Removes a range of scores", zremrangebyscore),
    row("zremrangebylex", FOUR, WRITE, KEY_1, Z, "Removes a range of bytes", zremrangebylex),
];
