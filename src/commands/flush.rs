//! Emptying databases.

use super::args::is;
use super::{CommandError, DataCommand, Done, Unit, row};
use crate::resp::Writer;
use crate::resp::spec::{Arity, NO_KEYS, WRITE};

/// Whether the memory is freed out of the way.
fn is_lazy(unit: &Unit<'_>, argv: &[&[u8]]) -> Result<bool, CommandError> {
    match argv {
        [_] => Ok(unit.keyspace.lazy.flushed),
        [_, mode] if is(mode, "async") => Ok(true),
        [_, mode] if is(mode, "sync") => Ok(false),
        _ => Err(CommandError::Syntax),
    }
}

fn flushdb(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let lazy = is_lazy(unit, argv)?;
    // Propagated even when nothing was there, as Redis does.
    unit.effects.dirty += unit.keyspace.clear(unit.db).max(1) as u64;
    unit.effects.all_touched = true;
    if !lazy {
        drop(unit.keyspace.take_garbage());
    }
    reply.ok();
    Ok(())
}

fn flushall(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let lazy = is_lazy(unit, argv)?;
    unit.effects.dirty += unit.keyspace.clear_all() as u64 + 1;
    unit.effects.all_touched = true;
    if !lazy {
        drop(unit.keyspace.take_garbage());
    }
    reply.ok();
    Ok(())
}

pub(super) const COMMANDS: &[DataCommand] = &[
    row("flushdb", Arity::AtLeast(1), WRITE, NO_KEYS, "@keyspace", "Empties the database", flushdb),
    row("flushall", Arity::AtLeast(1), WRITE, NO_KEYS, "@keyspace", "Empties all databases", flushall),
];
