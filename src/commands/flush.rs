//! Emptying databases.

use super::args::is;
use super::{CommandError, DataCommand, Done, Unit, row};
use crate::resp::Writer;
use crate::resp::spec::{Arity, NO_KEYS, WRITE};

/// ASYNC and SYNC are one here: memory always goes back in slices.
fn check_mode(argv: &[&[u8]]) -> Done {
    match argv {
        [_] => Ok(()),
        [_, mode] if is(mode, "async") || is(mode, "sync") => Ok(()),
        _ => Err(CommandError::Syntax),
    }
}

fn flushdb(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    check_mode(argv)?;
    // Propagated even when nothing was there, as Redis does.
    unit.effects.dirty += unit.keyspace.clear(unit.db).max(1) as u64;
    unit.effects.all_touched = true;
    reply.ok();
    Ok(())
}

fn flushall(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    check_mode(argv)?;
    unit.effects.dirty += unit.keyspace.clear_all() as u64 + 1;
    unit.effects.all_touched = true;
    reply.ok();
    Ok(())
}

pub(super) const COMMANDS: &[DataCommand] = &[
    row("flushdb", Arity::AtLeast(1), WRITE, NO_KEYS, "@keyspace", "Empties the database", flushdb),
    row("flushall", Arity::AtLeast(1), WRITE, NO_KEYS, "@keyspace", "Empties all databases", flushall),
];
