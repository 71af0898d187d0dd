//! Stream commands that add and take away: XADD, XTRIM, XDEL, XLEN, XSETID.

use super::args::{int, is, owned};
use super::effects::Note;
use super::stream_ids::{reply_id, strict};
use super::stream_trim::{Options, exact_words};
use super::{CommandError, DataCommand, Done, Unit, row};
use crate::resp::Writer;
use crate::resp::spec::{Arity, DENYOOM, FAST, KEY_1, READONLY, WRITE};
use crate::store::{Stream, StreamId};

/// Redis refuses an entry beyond a gibibyte.
const ENTRY_BYTES_MAX: usize = 1 << 30;
const NOT_ABOVE: &str = "ERR The ID specified in XADD is equal or smaller than the target stream top item";

/// The id a new entry gets.
fn choose_id(
    asked: Option<(u64, Option<u64>)>,
    last: StreamId,
    now_ms: u64,
) -> Result<StreamId, CommandError> {
    let id = match asked {
        None if now_ms > last.ms => Some(StreamId::new(now_ms, 0)),
        None => last.next(),
        Some((ms, Some(seq))) => Some(StreamId::new(ms, seq)),
        Some((ms, None)) if ms == last.ms => last.seq.checked_add(1).map(|seq| StreamId::new(ms, seq)),
        Some((ms, None)) => Some(StreamId::new(ms, 0)),
    };
    id.filter(|&id| id > last).ok_or(NOT_ABOVE.into())
}

fn xadd(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let limits = unit.keyspace.limits().stream_node;
    let options = Options::parse(argv, true, unit.keep_expired, limits.entries)?;
    let words = argv.get(options.id_at + 1..).unwrap_or(&[]);
    if words.is_empty() || !words.len().is_multiple_of(2) {
        return Err(CommandError::Arity("xadd".into()));
    }
    if options.id == Some((0, Some(0))) {
        return Err("ERR The ID specified in XADD must be greater than 0-0".into());
    }
    let now_ms = unit.now_ms();
    let place = unit.place(argv[1]);
    let last = match unit.stream_at(place)? {
        Some(stream) => stream.last_id(),
        None if options.only_existing => {
            reply.null();
            return Ok(());
        }
        None => StreamId::ZERO,
    };
    if last == StreamId::MAX {
        return Err("ERR The stream has exhausted the last possible ID, unable to add more items".into());
    }
    let id = choose_id(options.id, last, now_ms)?;
    if words.iter().map(|word| word.len()).sum::<usize>() > ENTRY_BYTES_MAX {
        return Err("ERR Elements are too large to be stored".into());
    }
    let (stream, _) = unit.make_stream(argv[1])?;
    stream.push(id, words, limits);
    // What everyone else gets: the id that was chosen, and exactly what was let go.
    let mut command = owned(&[argv[0], argv[1]]);
    if let Some(trim) = options.trim {
        let gone = stream.trim(trim);
        command.extend(exact_words(trim, stream));
        if gone > 0 && unit.effects.noting {
            unit.effects.notes.push(Note::Trimmed(argv[1].into()));
        }
    }
    unit.effects.dirty += 1;
    if options.id.is_none_or(|(_, seq)| seq.is_none()) || options.trim.is_some_and(|trim| trim.approximate) {
        command.push(id.to_string().into_bytes());
        command.extend(owned(words));
        unit.effects.rewrite(command);
    }
    reply_id(reply, id);
    Ok(())
}

fn xtrim(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let node_entries = unit.keyspace.limits().stream_node.entries;
    let options = Options::parse(argv, false, unit.keep_expired, node_entries)?;
    let place = unit.place(argv[1]);
    let (Some(stream), Some(trim)) = (unit.change_stream(place)?, options.trim) else {
        reply.integer(0);
        return Ok(());
    };
    let gone = stream.trim(trim);
    if gone > 0 {
        let mut command = owned(&[argv[0], argv[1]]);
        command.extend(exact_words(trim, stream));
        unit.effects.dirty += gone;
        if trim.approximate {
            unit.effects.rewrite(command);
        }
    }
    reply.integer(gone as i64);
    Ok(())
}

fn xdel(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let place = unit.place(argv[1]);
    if unit.stream_at(place)?.is_none() {
        reply.integer(0);
        return Ok(());
    }
    let ids = argv[2..].iter().map(|word| strict(word)).collect::<Result<Vec<_>, _>>()?;
    let Some(stream) = unit.change_stream(place)? else { return Ok(()) };
    let gone = ids.into_iter().filter(|&id| stream.delete(id)).count();
    unit.effects.dirty += gone as u64;
    reply.integer(gone as i64);
    Ok(())
}

fn xlen(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let len = unit.read_stream(argv[1])?.map_or(0, Stream::len);
    reply.integer(len as i64);
    Ok(())
}

fn xsetid(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let id = strict(argv[2])?;
    let (mut added, mut max_deleted) = (None, StreamId::ZERO);
    for pair in argv[3..].chunks(2) {
        let &[name, value] = pair else { return Err(CommandError::Syntax) };
        if is(name, "entriesadded") {
            let count = int(value)?;
            added = Some(u64::try_from(count).map_err(|_| "ERR entries_added must be positive")?);
        } else if is(name, "maxdeletedid") {
            max_deleted = strict(value)?;
            if id < max_deleted {
                return Err(
                    "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id".into(),
                );
            }
        } else {
            return Err(CommandError::Syntax);
        }
    }
    let place = unit.place(argv[1]);
    let stream = unit.stream_at(place)?.ok_or(CommandError::NoSuchKey)?;
    let mut marks = stream.marks();
    if !stream.is_empty() {
        if stream.newest().is_some_and(|newest| id < newest.id) {
            return Err("ERR The ID specified in XSETID is smaller than the target stream top item".into());
        }
        if added.is_some_and(|added| added < stream.len()) {
            return Err(
                "ERR The entries_added specified in XSETID is smaller than the target stream length".into()
            );
        }
    }
    marks.last_id = id;
    marks.entries_added = added.unwrap_or(marks.entries_added);
    if max_deleted != StreamId::ZERO {
        marks.max_deleted_id = max_deleted;
    }
    if let Some(stream) = unit.change_stream(place)? {
        stream.set_marks(marks);
    }
    unit.effects.dirty += 1;
    reply.ok();
    Ok(())
}

const X: &str = "@stream";

pub(super) const COMMANDS: &[DataCommand] = &[
    row("xadd", Arity::AtLeast(5), WRITE | DENYOOM | FAST, KEY_1, X, "Adds an entry to a stream", xadd),
    row("xtrim", Arity::AtLeast(4), WRITE, KEY_1, X, "Lets old entries go", xtrim),
    row("xdel", Arity::AtLeast(3), WRITE | FAST, KEY_1, X, "Deletes entries", xdel),
    row("xlen", Arity::Exactly(2), READONLY | FAST, KEY_1, X, "How many entries there are", xlen),
    row("xsetid", Arity::AtLeast(3), WRITE | DENYOOM | FAST, KEY_1, X, "Sets the last id", xsetid),
];
