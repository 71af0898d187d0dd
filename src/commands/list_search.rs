//! List commands that look inside: by index, by value.

use super::args::{int, is};
use super::{CommandError, DataCommand, Done, Unit, row};
use crate::resp::Writer;
use crate::resp::spec::{Arity, DENYOOM, KEY_1, READONLY, WRITE};
use crate::stdx::number::parse_i64;
use crate::store::Word;

/// An index from either end.
fn resolve(index: i64, len: usize) -> Option<usize> {
    let index = if index < 0 { index.checked_add(len as i64)? } else { index };
    usize::try_from(index).ok().filter(|&index| index < len)
}

fn lindex(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let item = match unit.read_list(argv[1])? {
        None => None,
        Some(list) => resolve(int(argv[2])?, list.len()).and_then(|index| list.get(index)),
    };
    match item {
        Some(item) => reply.bulk(&item),
        None => reply.null(),
    }
    Ok(())
}

fn lset(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let place = unit.place(argv[1]);
    let len = unit.list_at(place)?.ok_or(CommandError::NoSuchKey)?.len();
    let index = resolve(int(argv[2])?, len).ok_or(CommandError::IndexOutOfRange)?;
    if let Some(list) = unit.change_list(place)? {
        list.set(index, argv[3]);
    }
    unit.effects.dirty += 1;
    reply.ok();
    Ok(())
}

fn linsert(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let after = if is(argv[2], "after") {
        1
    } else if is(argv[2], "before") {
        0
    } else {
        return Err(CommandError::Syntax);
    };
    let place = unit.place(argv[1]);
    let Some(list) = unit.list_at(place)? else {
        reply.integer(0);
        return Ok(());
    };
    let (pivot, len) = (list.iter().position(|item| item.as_slice() == argv[3]), list.len());
    let Some(pivot) = pivot else {
        reply.integer(-1);
        return Ok(());
    };
    if let Some(list) = unit.change_list(place)? {
        list.insert(pivot + after, argv[4]);
    }
    unit.effects.dirty += 1;
    reply.integer(len as i64 + 1);
    Ok(())
}

fn lrem(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let count = int(argv[2])?;
    let limit = if count == 0 { usize::MAX } else { count.unsigned_abs() as usize };
    let place = unit.place(argv[1]);
    let removed = unit.change_list(place)?.map_or(0, |list| list.remove_equal(argv[3], limit, count < 0));
    unit.delete_if_empty(place);
    unit.effects.dirty += removed as u64;
    reply.integer(removed as i64);
    Ok(())
}

fn lpos(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let (mut rank, mut count, mut max_len) = (1i64, None, 0usize);
    let not_negative = |word: &[u8], error: &'static str| -> Result<usize, CommandError> {
        let value = parse_i64(word).filter(|&value| value >= 0).ok_or(error)?;
        Ok(value as usize)
    };
    for pair in argv[3..].chunks(2) {
        let &[name, value] = pair else { return Err(CommandError::Syntax) };
        if is(name, "rank") {
            rank = int(value)?;
            if rank == 0 {
                return Err(
                    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... \
                            or use negative to start from the end of the list"
                        .into(),
                );
            }
        } else if is(name, "count") {
            count = Some(not_negative(value, "ERR COUNT can't be negative")?);
        } else if is(name, "maxlen") {
            max_len = not_negative(value, "ERR MAXLEN can't be negative")?;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    let Some(list) = unit.read_list(argv[1])? else {
        match count {
            Some(_) => reply.array(0),
            None => reply.null(),
        }
        return Ok(());
    };
    // The lowest integer has no opposite, and Redis skips nothing for it.
    let skip = rank.checked_abs().map_or(0, |rank| rank as usize - 1);
    let wanted = match count {
        None => 1,
        Some(0) => usize::MAX,
        Some(count) => count,
    };
    let looked_at = if max_len == 0 { usize::MAX } else { max_len };
    let hit = |(index, item): (usize, Word<'_>)| (item.as_slice() == argv[2]).then_some(index);
    let found: Vec<usize> = if rank > 0 {
        list.iter().enumerate().take(looked_at).filter_map(hit).skip(skip).take(wanted).collect()
    } else {
        let last = list.len() - 1;
        let back = list.iter_back().enumerate().take(looked_at).filter_map(hit);
        back.skip(skip).take(wanted).map(|index| last - index).collect()
    };
    match (count, found.first()) {
        (None, Some(&index)) => reply.integer(index as i64),
        (None, None) => reply.null(),
        (Some(_), _) => {
            reply.array(found.len());
            found.iter().for_each(|&index| reply.integer(index as i64));
        }
    }
    Ok(())
}

const L: &str = "@list";

pub(super) const COMMANDS: &[DataCommand] = &[
    row("lindex", Arity::Exactly(3), READONLY, KEY_1, L, "The item at an index", lindex),
    row("lset", Arity::Exactly(4), WRITE | DENYOOM, KEY_1, L, "Sets the item at an index", lset),
    row("linsert", Arity::Exactly(5), WRITE | DENYOOM, KEY_1, L, "Inserts beside another item", linsert),
    row("lrem", Arity::Exactly(4), WRITE, KEY_1, L, "Removes items equal to one", lrem),
    row("lpos", Arity::AtLeast(3), READONLY, KEY_1, L, "Where an item is", lpos),
];
