//! Hash commands.

use super::args::{check_doubled, float, int, is, owned, sample_count};
use super::{CommandError, DataCommand, Done, Unit, long_double, row};
use crate::resp::spec::{Arity, DENYOOM, FAST, KEY_1, READONLY, WRITE};
use crate::resp::{Protocol, Writer};
use crate::stdx::number::parse_i64;
use crate::store::{Hash, Word};

fn set_fields(unit: &mut Unit<'_>, argv: &[&[u8]], name: &str) -> Result<usize, CommandError> {
    if !argv.len().is_multiple_of(2) {
        return Err(CommandError::Arity(name.into()));
    }
    let (hash, seed) = unit.make_hash(argv[1])?;
    let longest = argv[2..].iter().map(|word| word.len()).max().unwrap_or(0);
    hash.grow_for(seed, longest);
    let created = argv[2..].chunks_exact(2).filter(|pair| hash.set(seed, pair[0], pair[1])).count();
    unit.effects.dirty += (argv.len() as u64 - 2) / 2;
    Ok(created)
}

fn hset(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let created = set_fields(unit, argv, "hset")?;
    reply.integer(created as i64);
    Ok(())
}

fn hmset(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    set_fields(unit, argv, "hmset")?;
    reply.ok();
    Ok(())
}

fn hsetnx(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let (hash, seed) = unit.make_hash(argv[1])?;
    hash.grow_for(seed, argv[2].len().max(argv[3].len()));
    let is_new = hash.get(argv[2]).is_none();
    if is_new {
        hash.set(seed, argv[2], argv[3]);
        unit.effects.dirty += 1;
    }
    reply.integer(i64::from(is_new));
    Ok(())
}

fn reply_field(reply: &mut Writer<'_>, value: Option<Word<'_>>) {
    match value {
        Some(value) => reply.bulk(&value),
        None => reply.null(),
    }
}

fn hget(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let value = unit.read_hash(argv[1])?.and_then(|hash| hash.get(argv[2]));
    reply_field(reply, value);
    Ok(())
}

fn hmget(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let hash = unit.read_hash(argv[1])?;
    reply.array(argv.len() - 2);
    for name in &argv[2..] {
        reply_field(reply, hash.and_then(|hash| hash.get(name)));
    }
    Ok(())
}

fn hgetall(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    match unit.read_hash(argv[1])? {
        None => reply.map(0),
        Some(hash) => {
            reply.map(hash.len());
            for (name, value) in hash.iter() {
                reply.bulk(&name);
                reply.bulk(&value);
            }
        }
    }
    Ok(())
}

fn hkeys(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let hash = unit.read_hash(argv[1])?;
    reply.array(hash.map_or(0, Hash::len));
    hash.into_iter().flat_map(Hash::iter).for_each(|(name, _)| reply.bulk(&name));
    Ok(())
}

fn hvals(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let hash = unit.read_hash(argv[1])?;
    reply.array(hash.map_or(0, Hash::len));
    hash.into_iter().flat_map(Hash::iter).for_each(|(_, value)| reply.bulk(&value));
    Ok(())
}

fn hdel(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let place = unit.place(argv[1]);
    let removed = match unit.change_hash(place)? {
        None => 0,
        Some(hash) => argv[2..].iter().filter(|name| hash.remove(name)).count(),
    };
    unit.delete_if_empty(place);
    unit.effects.dirty += removed as u64;
    reply.integer(removed as i64);
    Ok(())
}

fn hlen(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let len = unit.read_hash(argv[1])?.map_or(0, Hash::len);
    reply.integer(len as i64);
    Ok(())
}

fn hexists(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let found = unit.read_hash(argv[1])?.is_some_and(|hash| hash.get(argv[2]).is_some());
    reply.integer(i64::from(found));
    Ok(())
}

fn hstrlen(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let value = unit.read_hash(argv[1])?.and_then(|hash| hash.get(argv[2]));
    reply.integer(value.map_or(0, |value| value.len()) as i64);
    Ok(())
}

fn hincrby(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let increment = int(argv[3])?;
    let place = unit.place(argv[1]);
    let value = match unit.hash_at(place)?.and_then(|hash| hash.get(argv[2])) {
        Some(value) => parse_i64(&value).ok_or("ERR hash value is not an integer")?,
        None => 0,
    };
    let sum = value.checked_add(increment).ok_or("ERR increment or decrement would overflow")?;
    let (hash, seed) = unit.make_hash(argv[1])?;
    hash.set(seed, argv[2], itoa::Buffer::new().format(sum).as_bytes());
    unit.effects.dirty += 1;
    reply.integer(sum);
    Ok(())
}

fn hincrbyfloat(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    if !float(argv[3])?.is_finite() {
        return Err("ERR value is NaN or Infinity".into());
    }
    let place = unit.place(argv[1]);
    let value = match unit.hash_at(place)?.and_then(|hash| hash.get(argv[2])) {
        Some(value) => {
            float(&value).map_err(|_| CommandError::from("ERR hash value is not a float"))?;
            value.to_vec()
        }
        None => b"0".to_vec(),
    };
    let sum = long_double::add(&value, argv[3]).ok_or("ERR increment would produce NaN or Infinity")?;
    let (hash, seed) = unit.make_hash(argv[1])?;
    hash.set(seed, argv[2], sum.as_bytes());
    unit.effects.dirty += 1;
    unit.effects.rewrite(owned(&[b"HSET", argv[1], argv[2], sum.as_bytes()]));
    reply.bulk(sum.as_bytes());
    Ok(())
}

fn hrandfield(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let Some(wanted) = argv.get(2) else {
        let mut rng = unit.rng.fork();
        match unit.read_hash(argv[1])?.and_then(|hash| hash.random(&mut rng)) {
            Some((name, _)) => reply.bulk(&name),
            None => reply.null(),
        }
        return Ok(());
    };
    let wanted = sample_count(wanted)?;
    let with_values = match &argv[3..] {
        [] => false,
        [word] if is(word, "withvalues") => true,
        _ => return Err(CommandError::Syntax),
    };
    if with_values {
        check_doubled(wanted)?;
    }
    let mut rng = unit.rng.fork();
    let Some(hash) = unit.read_hash(argv[1])? else {
        reply.array(0);
        return Ok(());
    };
    let chosen: Vec<(Word<'_>, Word<'_>)> = if wanted < 0 {
        (0..wanted.unsigned_abs()).filter_map(|_| hash.random(&mut rng)).collect()
    } else if wanted as usize >= hash.len() {
        hash.iter().collect()
    } else {
        let mut all: Vec<_> = hash.iter().collect();
        super::sets::choose(&mut all, wanted as usize, &mut rng);
        all
    };
    let nested = with_values && reply.protocol() == Protocol::Resp3;
    reply.array(if with_values && !nested { chosen.len() * 2 } else { chosen.len() });
    for (name, value) in chosen {
        if nested {
            reply.array(2);
        }
        reply.bulk(&name);
        if with_values {
            reply.bulk(&value);
        }
    }
    Ok(())
}

const H: &str = "@hash";
const PUT: u32 = WRITE | DENYOOM | FAST;
const GET: u32 = READONLY | FAST;

pub(super) const COMMANDS: &[DataCommand] = &[
    row("hset", Arity::AtLeast(4), PUT, KEY_1, H, "Sets fields", hset),
    row("hmset", Arity::AtLeast(4), PUT, KEY_1, H, "Sets fields", hmset),
    row("hsetnx", Arity::Exactly(4), PUT, KEY_1, H, "Sets a field that is not there", hsetnx),
    row("hget", Arity::Exactly(3), GET, KEY_1, H, "The value of a field", hget),
    row("hmget", Arity::AtLeast(3), GET, KEY_1, H, "The values of fields", hmget),
    row("hgetall", Arity::Exactly(2), READONLY, KEY_1, H, "All fields with their values", hgetall),
    row("hdel", Arity::AtLeast(3), WRITE | FAST, KEY_1, H, "Removes fields", hdel),
    row("hlen", Arity::Exactly(2), GET, KEY_1, H, "How many fields there are", hlen),
    row("hexists", Arity::Exactly(3), GET, KEY_1, H, "Whether a field is there", hexists),
    row("hkeys", Arity::Exactly(2), READONLY, KEY_1, H, "All fields", hkeys),
    row("hvals", Arity::Exactly(2), READONLY, KEY_1, H, "All values", hvals),
    row("hincrby", Arity::Exactly(4), PUT, KEY_1, H, "Adds an integer to a field", hincrby),
    row("hincrbyfloat", Arity::Exactly(4), PUT, KEY_1, H, "Adds a decimal to a field", hincrbyfloat),
    row("hstrlen", Arity::Exactly(3), GET, KEY_1, H, "The length of a field's value", hstrlen),
    row("hrandfield", Arity::AtLeast(2), READONLY, KEY_1, H, "Some fields", hrandfield),
];
