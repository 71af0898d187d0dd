//! List commands that push, pop and move. The blocking ones of the server reuse [`pop`] and
//! [`move_item`].

use super::args::{at_least, count, int, is, owned, span};
use super::{CommandError, DataCommand, Done, Unit, row};
use crate::resp::Writer;
use crate::resp::spec::{Arity, DENYOOM, FAST, KEY_1, KEY_1_2, NO_KEYS, READONLY, WRITE};
use crate::store::{List, SmallBytes};

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

impl Side {
    pub fn parse(word: &[u8]) -> Result<Side, CommandError> {
        if is(word, "left") {
            Ok(Side::Left)
        } else if is(word, "right") {
            Ok(Side::Right)
        } else {
            Err(CommandError::Syntax)
        }
    }

    fn push(self, list: &mut List, item: &[u8]) {
        match self {
            Side::Left => list.push_front(item),
            Side::Right => list.push_back(item),
        }
    }

    fn pop(self, list: &mut List) -> Option<SmallBytes> {
        match self {
            Side::Left => list.pop_front(),
            Side::Right => list.pop_back(),
        }
    }
}

/// Takes up to `count` items; `None` when the key is not there. Counts as one change.
pub fn pop(
    unit: &mut Unit<'_>,
    key: &[u8],
    side: Side,
    count: usize,
) -> Result<Option<Vec<SmallBytes>>, CommandError> {
    let place = unit.place(key);
    if count == 0 {
        return Ok(unit.list_at(place)?.map(|_| Vec::new()));
    }
    let Some(list) = unit.change_list(place)? else { return Ok(None) };
    let items: Vec<SmallBytes> = (0..count.min(list.len())).filter_map(|_| side.pop(list)).collect();
    unit.delete_if_empty(place);
    unit.effects.dirty += items.len() as u64;
    Ok(Some(items))
}

/// Moves one item from a list to another, or round the same one; `None` when there is none.
pub fn move_item(
    unit: &mut Unit<'_>,
    from: &[u8],
    to: &[u8],
    from_side: Side,
    to_side: Side,
) -> Result<Option<SmallBytes>, CommandError> {
    let source = unit.place(from);
    if unit.list_at(source)?.is_none() {
        return Ok(None);
    }
    let target = unit.place(to);
    unit.list_at(target)?;
    // The target was reached last and may have removed an expired key: look the source up anew.
    let source = unit.place(from);
    let Some(item) = unit.change_list(source)?.and_then(|list| from_side.pop(list)) else { return Ok(None) };
    if from == to {
        if let Some(list) = unit.change_list(source)? {
            to_side.push(list, &item);
        }
    } else {
        unit.delete_if_empty(source);
        let (list, _) = unit.make_list(to)?;
        to_side.push(list, &item);
    }
    unit.effects.dirty += 1;
    Ok(Some(item))
}

fn push(
    unit: &mut Unit<'_>,
    argv: &[&[u8]],
    reply: &mut Writer<'_>,
    side: Side,
    only_existing: bool,
) -> Done {
    if only_existing {
        let place = unit.place(argv[1]);
        if unit.list_at(place)?.is_none() {
            reply.integer(0);
            return Ok(());
        }
    }
    let (list, _) = unit.make_list(argv[1])?;
    for item in &argv[2..] {
        side.push(list, item);
    }
    let len = list.len();
    unit.effects.dirty += argv.len() as u64 - 2;
    reply.integer(len as i64);
    Ok(())
}

fn lpush(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    push(unit, argv, reply, Side::Left, false)
}

fn rpush(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    push(unit, argv, reply, Side::Right, false)
}

fn lpushx(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    push(unit, argv, reply, Side::Left, true)
}

fn rpushx(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    push(unit, argv, reply, Side::Right, true)
}

fn pop_command(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>, side: Side) -> Done {
    if argv.len() > 3 {
        let name = String::from_utf8_lossy(argv[0]).to_ascii_lowercase();
        return Err(CommandError::Arity(name));
    }
    let wanted = argv.get(2).map(|word| count(word)).transpose()?;
    let items = pop(unit, argv[1], side, wanted.unwrap_or(1))?;
    match (wanted, items) {
        (None, Some(items)) => match items.first() {
            Some(item) => reply.bulk(item),
            None => reply.null(),
        },
        (None, None) => reply.null(),
        (Some(_), None) => reply.null_array(),
        (Some(_), Some(items)) => {
            reply.array(items.len());
            items.iter().for_each(|item| reply.bulk(item));
        }
    }
    Ok(())
}

fn lpop(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    pop_command(unit, argv, reply, Side::Left)
}

fn rpop(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    pop_command(unit, argv, reply, Side::Right)
}

fn reply_item(reply: &mut Writer<'_>, item: Option<SmallBytes>) {
    match item {
        Some(item) => reply.bulk(&item),
        None => reply.null(),
    }
}

fn lmove(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let (from_side, to_side) = (Side::parse(argv[3])?, Side::parse(argv[4])?);
    let item = move_item(unit, argv[1], argv[2], from_side, to_side)?;
    reply_item(reply, item);
    Ok(())
}

fn rpoplpush(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let item = move_item(unit, argv[1], argv[2], Side::Right, Side::Left)?;
    reply_item(reply, item);
    Ok(())
}

/// What LMPOP and ZMPOP say.
pub struct MultiPop<'a, S> {
    pub keys: &'a [&'a [u8]],
    pub side: S,
    pub count: usize,
}

impl<'a, S> MultiPop<'a, S> {
    /// The words from `numkeys` on.
    pub fn parse(
        words: &'a [&'a [u8]],
        parse_side: fn(&[u8]) -> Result<S, CommandError>,
    ) -> Result<Self, CommandError> {
        let keys = at_least(words[0], 1, "ERR numkeys should be greater than 0")?;
        let at = keys.checked_add(1).filter(|&at| at < words.len()).ok_or(CommandError::Syntax)?;
        let side = parse_side(words[at])?;
        let mut wanted = None;
        for pair in words[at + 1..].chunks(2) {
            wanted = match pair {
                [name, count] if is(name, "count") && wanted.is_none() => {
                    Some(at_least(count, 1, "ERR count should be greater than 0")?)
                }
                _ => return Err(CommandError::Syntax),
            };
        }
        Ok(MultiPop { keys: &words[1..at], side, count: wanted.unwrap_or(1) })
    }
}

fn lmpop(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let MultiPop { keys, side, count } = MultiPop::parse(&argv[1..], Side::parse)?;
    for key in keys {
        let Some(items) = pop(unit, key, side, count)? else { continue };
        reply.array(2);
        reply.bulk(key);
        reply.array(items.len());
        items.iter().for_each(|item| reply.bulk(item));
        let command: &[u8] = if side == Side::Left { b"LPOP" } else { b"RPOP" };
        unit.effects.rewrite(owned(&[command, key, items.len().to_string().as_bytes()]));
        return Ok(());
    }
    reply.null_array();
    Ok(())
}

fn llen(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let len = unit.read_list(argv[1])?.map_or(0, List::len);
    reply.integer(len as i64);
    Ok(())
}

fn lrange(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let (start, stop) = (int(argv[2])?, int(argv[3])?);
    let Some(list) = unit.read_list(argv[1])? else {
        reply.array(0);
        return Ok(());
    };
    let range = span(start, stop, list.len());
    reply.array(range.len());
    list.range(range.start, range.len()).for_each(|item| reply.bulk(&item));
    Ok(())
}

fn ltrim(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let (start, stop) = (int(argv[2])?, int(argv[3])?);
    let place = unit.place(argv[1]);
    if let Some(list) = unit.change_list(place)? {
        let range = span(start, stop, list.len());
        let before = list.len();
        list.keep(range.start, range.end);
        // Counted even when nothing went, as Redis does.
        let removed = (before - list.len()).max(1);
        unit.effects.dirty += removed as u64;
        unit.delete_if_empty(place);
    }
    reply.ok();
    Ok(())
}

const L: &str = "@list";
const PUT: u32 = WRITE | DENYOOM;

pub(super) const COMMANDS: &[DataCommand] = &[
    row("lpush", Arity::AtLeast(3), PUT | FAST, KEY_1, L, "Puts items before a list", lpush),
    row("rpush", Arity::AtLeast(3), PUT | FAST, KEY_1, L, "Puts items behind a list", rpush),
    row("lpushx", Arity::AtLeast(3), PUT | FAST, KEY_1, L, "Puts items before a list that is there", lpushx),
    row("rpushx", Arity::AtLeast(3), PUT | FAST, KEY_1, L, "Puts items behind a list that is there", rpushx),
    row("lpop", Arity::AtLeast(2), WRITE | FAST, KEY_1, L, "Takes the first items", lpop),
    row("rpop", Arity::AtLeast(2), WRITE | FAST, KEY_1, L, "Takes the last items", rpop),
    row("lmove", Arity::Exactly(5), PUT, KEY_1_2, L, "Moves an item to another list", lmove),
    row("rpoplpush", Arity::Exactly(3), PUT, KEY_1_2, L, "Moves the last item to another list", rpoplpush),
    row("lmpop", Arity::AtLeast(4), WRITE, NO_KEYS, L, "Takes items of the first list that is there", lmpop),
    row("llen", Arity::Exactly(2), READONLY | FAST, KEY_1, L, "The length of a list", llen),
    row("lrange", Arity::Exactly(4), READONLY, KEY_1, L, "A part of a list", lrange),
    row("ltrim", Arity::Exactly(4), WRITE, KEY_1, L, "Keeps a part of a list", ltrim),
];
