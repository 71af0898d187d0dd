//! Set commands about one set (and SMOVE); unions and the like are in `set_algebra`.

use super::args::{count, owned, sample_count};
use super::{CommandError, DataCommand, Done, Unit, row};
use crate::resp::Writer;
use crate::resp::spec::{Arity, DENYOOM, FAST, KEY_1, KEY_1_2, READONLY, WRITE};
use crate::stdx::Rng;
use crate::store::{Set, SmallBytes};

/// Leaves `count` of `all`, each as likely as the others.
pub(super) fn choose<T>(all: &mut Vec<T>, count: usize, rng: &mut Rng) {
    let count = count.min(all.len());
    for place in 0..count {
        let other = rng.usize(place..all.len());
        all.swap(place, other);
    }
    all.truncate(count);
}

fn sadd(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let (set, seed) = unit.make_set(argv[1])?;
    let added = argv[2..].iter().filter(|member| set.insert(seed, member)).count();
    unit.effects.dirty += added as u64;
    reply.integer(added as i64);
    Ok(())
}

fn srem(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let place = unit.place(argv[1]);
    let removed = match unit.change_set(place)? {
        None => 0,
        Some(set) => argv[2..].iter().filter(|member| set.remove(member)).count(),
    };
    unit.delete_if_empty(place);
    unit.effects.dirty += removed as u64;
    reply.integer(removed as i64);
    Ok(())
}

fn sismember(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let found = unit.read_set(argv[1])?.is_some_and(|set| set.contains(argv[2]));
    reply.integer(i64::from(found));
    Ok(())
}

fn smismember(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let set = unit.read_set(argv[1])?;
    reply.array(argv.len() - 2);
    for member in &argv[2..] {
        reply.integer(i64::from(set.is_some_and(|set| set.contains(member))));
    }
    Ok(())
}

fn smembers(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let set = unit.read_set(argv[1])?;
    reply.set(set.map_or(0, Set::len));
    set.into_iter().flat_map(Set::iter).for_each(|member| reply.bulk(&member));
    Ok(())
}

fn scard(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let len = unit.read_set(argv[1])?.map_or(0, Set::len);
    reply.integer(len as i64);
    Ok(())
}

fn spop(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    if argv.len() > 3 {
        return Err(CommandError::Syntax);
    }
    let wanted = argv.get(2).map(|word| count(word)).transpose()?;
    let place = unit.place(argv[1]);
    let mut rng = unit.rng.fork();
    let Some(set) = unit.set_at(place)? else {
        match wanted {
            Some(_) => reply.set(0),
            None => reply.null(),
        }
        return Ok(());
    };
    let chosen: Vec<SmallBytes> = match wanted {
        None => set.random(&mut rng).into_iter().collect(),
        Some(wanted) if wanted >= set.len() => set.iter().collect(),
        Some(wanted) => {
            let mut all: Vec<SmallBytes> = set.iter().collect();
            choose(&mut all, wanted, &mut rng);
            all
        }
    };
    if let Some(set) = unit.change_set(place)?.filter(|_| !chosen.is_empty()) {
        chosen.iter().for_each(|member| {
            set.remove(member);
        });
        unit.effects.dirty += chosen.len() as u64;
        if unit.delete_if_empty(place) {
            unit.effects.rewrite(owned(&[b"DEL", argv[1]]));
        } else {
            let mut command = owned(&[b"SREM", argv[1]]);
            command.extend(chosen.iter().map(|member| member.to_vec()));
            unit.effects.rewrite(command);
        }
    }
    if wanted.is_some() {
        reply.set(chosen.len());
    }
    chosen.iter().for_each(|member| reply.bulk(member));
    Ok(())
}

fn srandmember(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    if argv.len() > 3 {
        return Err(CommandError::Syntax);
    }
    let mut rng = unit.rng.fork();
    let Some(wanted) = argv.get(2) else {
        match unit.read_set(argv[1])?.and_then(|set| set.random(&mut rng)) {
            Some(member) => reply.bulk(&member),
            None => reply.null(),
        }
        return Ok(());
    };
    let wanted = sample_count(wanted)?;
    let Some(set) = unit.read_set(argv[1])? else {
        reply.array(0);
        return Ok(());
    };
    if wanted < 0 {
        reply.array(wanted.unsigned_abs() as usize);
        for _ in 0..wanted.unsigned_abs() {
            set.random(&mut rng).iter().for_each(|member| reply.bulk(member));
        }
        return Ok(());
    }
    let mut all: Vec<SmallBytes> = set.iter().collect();
    choose(&mut all, wanted as usize, &mut rng);
    reply.array(all.len());
    all.iter().for_each(|member| reply.bulk(member));
    Ok(())
}

fn smove(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let place = unit.place(argv[1]);
    let Some(set) = unit.set_at(place)? else {
        reply.integer(0);
        return Ok(());
    };
    let found = set.contains(argv[3]);
    let target = unit.place(argv[2]);
    unit.set_at(target)?;
    if found && argv[1] != argv[2] {
        let place = unit.place(argv[1]);
        if let Some(set) = unit.change_set(place)? {
            set.remove(argv[3]);
        }
        unit.delete_if_empty(place);
        unit.effects.dirty += 1;
        let (set, seed) = unit.make_set(argv[2])?;
        if set.insert(seed, argv[3]) {
            unit.effects.dirty += 1;
        }
    }
    reply.integer(i64::from(found));
    Ok(())
}

const S: &str = "@set";
const GET: u32 = READONLY | FAST;

pub(super) const COMMANDS: &[DataCommand] = &[
    row("sadd", Arity::AtLeast(3), WRITE | DENYOOM | FAST, KEY_1, S, "Adds members", sadd),
    row("srem", Arity::AtLeast(3), WRITE | FAST, KEY_1, S, "Removes members", srem),
    row("sismember", Arity::Exactly(3), GET, KEY_1, S, "Whether a member is there", sismember),
    row("smismember", Arity::AtLeast(3), GET, KEY_1, S, "Which members are there", smismember),
    row("smembers", Arity::Exactly(2), READONLY, KEY_1, S, "All members", smembers),
    row("scard", Arity::Exactly(2), GET, KEY_1, S, "How many members there are", scard),
    row("spop", Arity::AtLeast(2), WRITE | FAST, KEY_1, S, "Takes some members", spop),
    row("srandmember", Arity::AtLeast(2), READONLY, KEY_1, S, "Some members", srandmember),
    row("smove", Arity::Exactly(4), WRITE | FAST, KEY_1_2, S, "Moves a member to another set", smove),
];
