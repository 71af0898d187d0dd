//! Unions, intersections and differences of sorted sets; plain sets join in with score 1.

use super::args::is;
use super::zset_range::store_result;
use super::zsets::reply_scored;
use super::{CommandError, DataCommand, Done, Unit, row};
use crate::resp::Writer;
use crate::resp::spec::{Arity, DENYOOM, KEY_1, NO_KEYS, READONLY, WRITE};
use crate::stdx::number::{parse_f64, parse_i64};
use crate::store::tree::Scored;
use crate::store::{Value, ZSet};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Union,
    Intersection,
    Difference,
}

#[derive(Clone, Copy)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn join(self, a: f64, b: f64) -> f64 {
        match self {
            // Infinities of both signs make 0, as Redis says.
            Aggregate::Sum if (a + b).is_nan() => 0.0,
            Aggregate::Sum => a + b,
            Aggregate::Min if b < a => b,
            Aggregate::Max if b > a => b,
            Aggregate::Min | Aggregate::Max => a,
        }
    }
}

struct Query<'a> {
    name: String,
    operation: Operation,
    keys: Vec<&'a [u8]>,
    weights: Vec<f64>,
    aggregate: Aggregate,
    with_scores: bool,
    limit: usize,
    storing: bool,
}

impl<'a> Query<'a> {
    /// `words` from `numkeys` on.
    fn parse(
        unit: &mut Unit<'_>,
        name: &[u8],
        operation: Operation,
        words: &[&'a [u8]],
        storing: bool,
        counting: bool,
    ) -> Result<Self, CommandError> {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        let count = parse_i64(words[0]).ok_or(CommandError::NotInteger)?;
        if count < 1 {
            return Err(CommandError::Text(format!(
                "ERR at least 1 input key is needed for '{name}' command"
            )));
        }
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > words.len() - 1 {
            return Err(CommandError::Syntax);
        }
        let mut query = Query {
            name,
            operation,
            keys: words[1..=count].to_vec(),
            weights: vec![1.0; count],
            aggregate: Aggregate::Sum,
            with_scores: false,
            limit: 0,
            storing,
        };
        // Redis looks at the types of the inputs before the options.
        for key in &query.keys {
            match unit.peek(key).and_then(|place| unit.value_at(place)) {
                None | Some(Value::ZSet(_) | Value::Set(_)) => {}
                Some(_) => return Err(CommandError::WrongType),
            }
        }
        query.options(&words[count + 1..], counting)?;
        Ok(query)
    }

    fn options(&mut self, words: &[&[u8]], counting: bool) -> Done {
        let joins = self.operation != Operation::Difference && !counting;
        let mut at = 0;
        while at < words.len() {
            let left = words.len() - at - 1;
            if joins && is(words[at], "weights") && left >= self.keys.len() {
                for (weight, word) in self.weights.iter_mut().zip(&words[at + 1..]) {
                    *weight = parse_f64(word).ok_or("ERR weight value is not a float")?;
                }
                at += self.keys.len();
            } else if joins && is(words[at], "aggregate") && left >= 1 {
                self.aggregate = match words[at + 1].to_ascii_lowercase().as_slice() {
                    b"sum" => Aggregate::Sum,
                    b"min" => Aggregate::Min,
                    b"max" => Aggregate::Max,
                    _ => return Err(CommandError::Syntax),
                };
                at += 1;
            } else if !self.storing && !counting && is(words[at], "withscores") {
                self.with_scores = true;
            } else if counting && is(words[at], "limit") && left >= 1 {
                self.limit = super::args::at_least(words[at + 1], 0, "ERR LIMIT can't be negative")?;
                at += 1;
            } else {
                return Err(CommandError::Syntax);
            }
            at += 1;
        }
        Ok(())
    }

    /// The members of one input with their scores. `None`: no such key.
    fn input(&self, unit: &mut Unit<'_>, key: &[u8]) -> Result<Option<Vec<Scored>>, CommandError> {
        let place = unit.place(key);
        let hidden = !self.storing && unit.peek(key).is_none();
        match unit.value_at(place).filter(|_| !hidden) {
            None => Ok(None),
            Some(Value::ZSet(zset)) => {
                let mut entries = Vec::with_capacity(zset.len());
                zset.visit(0..zset.len(), &mut |entry| entries.push(entry.clone()));
                Ok(Some(entries))
            }
            Some(Value::Set(set)) => {
                Ok(Some(set.iter().map(|member| Scored { score: 1.0, member }).collect()))
            }
            Some(_) => Err(CommandError::WrongType),
        }
    }

    /// The result in its order.
    fn run(&self, unit: &mut Unit<'_>) -> Result<Vec<Scored>, CommandError> {
        let mut inputs = Vec::with_capacity(self.keys.len());
        for (key, weight) in self.keys.iter().zip(&self.weights) {
            let mut entries = self.input(unit, key)?;
            entries.iter_mut().flatten().for_each(|entry| entry.score *= weight);
            inputs.push(entries);
        }
        if self.operation == Operation::Intersection && inputs.iter().any(Option::is_none) {
            return Ok(Vec::new());
        }
        let mut inputs: Vec<Vec<Scored>> = inputs.into_iter().map(Option::unwrap_or_default).collect();
        if self.operation != Operation::Difference {
            // Redis begins with the smallest, and sums of doubles depend on the order.
            inputs.sort_by_key(Vec::len);
        }
        // A product that is no number counts as 0; of an intersection only in the first input.
        let zeroed = if self.operation == Operation::Union { inputs.len() } else { 1 };
        for entry in inputs.iter_mut().take(zeroed).flatten().filter(|entry| entry.score.is_nan()) {
            entry.score = 0.0;
        }
        let mut inputs = inputs.into_iter();
        let (mut result, seed) = (ZSet::default(), unit.keyspace.seed());
        for entry in inputs.next().unwrap_or_default() {
            result.insert(seed, entry.score, &entry.member);
        }
        for entries in inputs {
            match self.operation {
                Operation::Union => {
                    for entry in entries {
                        let score = result.score(&entry.member);
                        let score = score.map_or(entry.score, |old| self.aggregate.join(old, entry.score));
                        result.insert(seed, score, &entry.member);
                    }
                }
                Operation::Intersection => {
                    let mut common = ZSet::default();
                    for entry in entries {
                        if let Some(old) = result.score(&entry.member) {
                            common.insert(seed, self.aggregate.join(old, entry.score), &entry.member);
                        }
                    }
                    result = common;
                }
                Operation::Difference => entries.iter().for_each(|entry| {
                    result.remove(&entry.member);
                }),
            }
        }
        let mut entries: Vec<Scored> = Vec::with_capacity(result.len());
        result.visit(0..result.len(), &mut |entry| entries.push(entry.clone()));
        if self.limit > 0 {
            entries.truncate(self.limit);
        }
        Ok(entries)
    }
}

fn reply_query(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>, operation: Operation) -> Done {
    let query = Query::parse(unit, argv[0], operation, &argv[1..], false, false)?;
    let entries = query.run(unit)?;
    reply_scored(reply, &entries, query.with_scores);
    Ok(())
}

fn store_query(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>, operation: Operation) -> Done {
    let query = Query::parse(unit, argv[0], operation, &argv[2..], true, false)?;
    debug_assert!(query.name.ends_with("store"));
    let entries = query.run(unit)?;
    store_result(unit, argv[1], &entries);
    reply.integer(entries.len() as i64);
    Ok(())
}

fn zunion(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    reply_query(unit, argv, reply, Operation::Union)
}

fn zinter(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    reply_query(unit, argv, reply, Operation::Intersection)
}

fn zdiff(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    reply_query(unit, argv, reply, Operation::Difference)
}

fn zunionstore(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    store_query(unit, argv, reply, Operation::Union)
}

fn zinterstore(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    store_query(unit, argv, reply, Operation::Intersection)
}

fn zdiffstore(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    store_query(unit, argv, reply, Operation::Difference)
}

fn zintercard(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let query = Query::parse(unit, argv[0], Operation::Intersection, &argv[1..], false, true)?;
    let entries = query.run(unit)?;
    reply.integer(entries.len() as i64);
    Ok(())
}

const Z: &str = "@sortedset";
const STORE: u32 = WRITE | DENYOOM;

pub(super) const COMMANDS: &[DataCommand] = &[
    row("zunion", Arity::AtLeast(3), READONLY, NO_KEYS, Z, "Members of any", zunion),
    row("zinter", Arity::AtLeast(3), READONLY, NO_KEYS, Z, "Members of all", zinter),
    row("zdiff", Arity::AtLeast(3), READONLY, NO_KEYS, Z, "Members of the first only", zdiff),
    row("zunionstore", Arity::AtLeast(4), STORE, KEY_1, Z, "Stores a union", zunionstore),
    row("zinterstore", Arity::AtLeast(4), STORE, KEY_1, Z, "Stores an intersection", zinterstore),
    row("zdiffstore", Arity::AtLeast(4), STORE, KEY_1, Z, "Stores a difference", zdiffstore),
    row("zintercard", Arity::AtLeast(3), READONLY, NO_KEYS, Z, "The size of an intersection", zintercard),
];
