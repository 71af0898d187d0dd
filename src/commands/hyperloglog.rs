//! HyperLogLog commands: how many different elements were added. The bytes are in
//! `store::hyperloglog`; to everybody else they are a string.

use super::args::{is, owned};
use super::{CommandError, DataCommand, Done, Unit, row};
use crate::resp::Writer;
use crate::resp::spec::{ADMIN, Arity, DENYOOM, FAST, KEY_1, KEYS_ALL, Keys, MAY_REPLICATE, READONLY, WRITE};
use crate::store::hyperloglog::{self as hll, Corrupt, Registers, Run};
use crate::store::{Place, Str, Value};

const NOT_ONE: &str = "WRONGTYPE Key is not a valid HyperLogLog string value.";

impl From<Corrupt> for CommandError {
    fn from(_: Corrupt) -> Self {
        "INVALIDOBJ Corrupted HLL object detected".into()
    }
}

fn check(string: &Str) -> Result<&Str, CommandError> {
    if hll::is_one(string.bytes(&mut itoa::Buffer::new())) { Ok(string) } else { Err(NOT_ONE.into()) }
}

/// A copy of what is there, if anything is.
fn copy_at(unit: &Unit<'_>, place: Place) -> Result<Option<Vec<u8>>, CommandError> {
    unit.str_at(place)?.map(|string| Ok(check(string)?.to_vec())).transpose()
}

/// Puts bytes in the place of the old ones; the key keeps its time.
fn put(unit: &mut Unit<'_>, place: Place, key: &[u8], bytes: Vec<u8>) {
    let value = Value::Str(Str::grown(bytes));
    match unit.keyspace.value_mut(place) {
        Some(old) => *old = value,
        None => {
            unit.keyspace.insert_at(place, key, value, None);
            unit.note_new(unit.db, key);
        }
    }
}

/// Adds all elements; whether a register changed.
fn add_all(bytes: &mut Vec<u8>, elements: &[&[u8]], sparse_max: usize) -> Result<bool, CommandError> {
    let mut changed = false;
    for element in elements {
        changed |= hll::add(bytes, element, sparse_max)?;
    }
    if changed {
        hll::forget_cached(bytes);
    }
    Ok(changed)
}

fn pfadd(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let sparse_max = unit.keyspace.limits().hll_sparse_bytes as usize;
    let place = unit.place(argv[1]);
    let is_new = !place.is_found();
    let is_dense = match unit.str_at(place)? {
        None => false,
        Some(string) => hll::is_dense(check(string)?.bytes(&mut itoa::Buffer::new())),
    };
    let changed = if is_dense {
        // Registers have nothing in them to be wrong, so they are changed where they are.
        match unit.change_str(place)? {
            Some(string) => add_all(string.make_raw(), &argv[2..], sparse_max)?,
            None => false,
        }
    } else {
        let mut bytes = copy_at(unit, place)?.unwrap_or_else(hll::empty);
        let changed = add_all(&mut bytes, &argv[2..], sparse_max)?;
        if is_new {
            // As Redis leaves a new one: not yet counted.
            hll::forget_cached(&mut bytes);
        }
        if changed || is_new {
            put(unit, place, argv[1], bytes);
        }
        changed || is_new
    };
    unit.effects.dirty += u64::from(changed);
    reply.integer(i64::from(changed));
    Ok(())
}

fn pfcount(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let [_, key] = argv else { return pfcount_union(unit, argv, reply) };
    let Some(string) = unit.read_str(key)? else {
        reply.integer(0);
        return Ok(());
    };
    let mut scratch = itoa::Buffer::new();
    let bytes = check(string)?.bytes(&mut scratch);
    if let Some(count) = hll::cached(bytes) {
        reply.integer(count as i64);
        return Ok(());
    }
    let count = hll::count(bytes)?;
    reply.integer(count as i64);
    // The bytes remember it. A replica waits until its master says so.
    if !unit.keep_expired {
        let (at, patch) = hll::cache_bytes(count);
        let place = unit.keyspace.locate(unit.db, key);
        if let Some(string) = unit.change_str(place)? {
            string.make_raw()[at..at + patch.len()].copy_from_slice(&patch);
        }
        unit.effects.dirty += 1;
        unit.effects.rewrite(owned(&[b"SETRANGE", key, at.to_string().as_bytes(), &patch]));
    }
    Ok(())
}

fn pfcount_union(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let mut registers = Registers::default();
    for key in &argv[1..] {
        if let Some(string) = unit.read_str(key)? {
            registers.merge(check(string)?.bytes(&mut itoa::Buffer::new()))?;
        }
    }
    reply.integer(registers.count() as i64);
    Ok(())
}

fn pfmerge(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let sparse_max = unit.keyspace.limits().hll_sparse_bytes as usize;
    let (mut registers, mut any_dense) = (Registers::default(), false);
    for key in &argv[1..] {
        let place = unit.place(key);
        unit.count_read(key, place.is_found());
        if let Some(string) = unit.str_at(place)? {
            let mut scratch = itoa::Buffer::new();
            let bytes = check(string)?.bytes(&mut scratch);
            any_dense |= hll::is_dense(bytes);
            registers.merge(bytes)?;
        }
    }
    let place = unit.place(argv[1]);
    let mut bytes = copy_at(unit, place)?.unwrap_or_else(hll::empty);
    if any_dense {
        hll::make_dense(&mut bytes)?;
    }
    for (index, value) in registers.iter().enumerate().filter(|(_, value)| *value > 0) {
        hll::raise(&mut bytes, index, value, sparse_max)?;
    }
    hll::forget_cached(&mut bytes);
    put(unit, place, argv[1], bytes);
    unit.effects.dirty += 1;
    reply.ok();
    Ok(())
}

fn pfdebug(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let place = unit.place(argv[2]);
    let Some(mut bytes) = copy_at(unit, place)? else {
        return Err("ERR The specified key does not exist".into());
    };
    let known = ["getreg", "decode", "encoding", "todense"].iter().any(|name| is(argv[1], name));
    if !known {
        let name = String::from_utf8_lossy(argv[1]);
        return Err(CommandError::Text(format!("ERR Unknown PFDEBUG subcommand '{name}'")));
    }
    if is(argv[1], "encoding") {
        reply.simple(if hll::is_dense(&bytes) { "dense" } else { "sparse" });
    } else if is(argv[1], "decode") {
        if hll::is_dense(&bytes) {
            return Err("ERR HLL encoding is not sparse".into());
        }
        let shown = hll::runs(&bytes).map(|(run, is_long)| match run {
            Run::Zeros(len) if is_long => format!("Z:{len}"),
            Run::Zeros(len) => format!("z:{len}"),
            Run::Value(value, len) => format!("v:{value},{len}"),
        });
        reply.bulk(shown.collect::<Vec<_>>().join(" ").as_bytes());
    } else {
        let changed = hll::make_dense(&mut bytes)?;
        if is(argv[1], "getreg") {
            let mut registers = Registers::default();
            registers.merge(&bytes)?;
            reply.array(hll::REGISTERS);
            registers.iter().for_each(|value| reply.integer(i64::from(value)));
        } else {
            reply.integer(i64::from(changed));
        }
        if changed {
            put(unit, place, argv[2], bytes);
            unit.effects.dirty += 1;
        }
    }
    Ok(())
}

/// That both encodings agree, and that counts are as near as they must be.
fn pfselftest(_: &mut Unit<'_>, _: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let (mut sparse, mut dense) = (hll::empty(), hll::empty());
    hll::make_dense(&mut dense)?;
    for n in 1..=20_000u64 {
        let element = n.to_le_bytes();
        hll::add(&mut sparse, &element, hll::SPARSE_BYTES_MAX)?;
        hll::add(&mut dense, &element, hll::SPARSE_BYTES_MAX)?;
        if n.is_power_of_two() || n == 20_000 {
            let (a, b) = (hll::count(&sparse)?, hll::count(&dense)?);
            if a != b {
                return Err(CommandError::Text(format!(
                    "ERR TESTFAILED dense/sparse disagree at {n}: {b}, {a}"
                )));
            }
            // Four times the standard error, and one for small numbers.
            if a.abs_diff(n) as f64 > n as f64 * 4.0 * 0.008_125 + 1.0 {
                return Err(CommandError::Text(format!("ERR TESTFAILED Too big error: {a} instead of {n}")));
            }
        }
    }
    reply.ok();
    Ok(())
}

const H: &str = "@hyperloglog";
const PUT: u32 = WRITE | DENYOOM;
const KEY_2: Keys = Keys { first: 2, last: 2, step: 1 };

pub(super) const COMMANDS: &[DataCommand] = &[
    row("pfadd", Arity::AtLeast(2), PUT | FAST, KEY_1, H, "Adds elements to a HyperLogLog", pfadd),
    row("pfcount", Arity::AtLeast(2), READONLY | MAY_REPLICATE, KEYS_ALL, H, "How many it has seen", pfcount),
    row("pfmerge", Arity::AtLeast(2), PUT, KEYS_ALL, H, "Merges HyperLogLogs into the first", pfmerge),
    row("pfdebug", Arity::Exactly(3), PUT | ADMIN, KEY_2, H, "How a HyperLogLog is held", pfdebug),
    row(
        "pfselftest",
        Arity::Exactly(1),
        ADMIN,
        crate::resp::spec::NO_KEYS,
        H,
        "Counts to try itself",
        pfselftest,
    ),
];
