//! String commands that work on a part: lengths, ranges, appending.

use super::args::{int, span};
use super::{CommandError, DataCommand, Done, Unit, row};
use crate::resp::Writer;
use crate::resp::spec::{Arity, DENYOOM, FAST, KEY_1, READONLY, WRITE};
use crate::store::{Str, Value};

fn check_len(unit: &Unit<'_>, len: usize) -> Done {
    if len > unit.string_bytes_max {
        return Err("ERR string exceeds maximum allowed size (proto-max-bulk-len)".into());
    }
    Ok(())
}

fn append(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let place = unit.place(argv[1]);
    let len = match unit.str_at(place)? {
        None => {
            unit.keyspace.insert_at(place, argv[1], Value::Str(Str::new(argv[2])), None);
            unit.note_new(unit.db, argv[1]);
            argv[2].len()
        }
        Some(string) => {
            let len = string.len() + argv[2].len();
            check_len(unit, len)?;
            if let Some(string) = unit.change_str(place)? {
                string.append(argv[2]);
            }
            len
        }
    };
    unit.effects.dirty += 1;
    reply.integer(len as i64);
    Ok(())
}

fn strlen(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let len = unit.read_str(argv[1])?.map_or(0, Str::len);
    reply.integer(len as i64);
    Ok(())
}

fn getrange(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let (start, stop) = (int(argv[2])?, int(argv[3])?);
    let Some(string) = unit.read_str(argv[1])? else {
        reply.bulk(b"");
        return Ok(());
    };
    let mut scratch = itoa::Buffer::new();
    let bytes = string.bytes(&mut scratch);
    // Redis' oddity: two negative ends in the wrong order are nothing, even when both clip to 0;
    // and a negative end clips to the first byte.
    let stop = if stop < 0 { (stop + bytes.len() as i64).max(0) } else { stop };
    let range = if int(argv[3])? < 0 && start < 0 && start > int(argv[3])? {
        0..0
    } else {
        span(start, stop, bytes.len())
    };
    reply.bulk(&bytes[range]);
    Ok(())
}

fn setrange(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let offset =
        usize::try_from(int(argv[2])?).map_err(|_| CommandError::from("ERR offset is out of range"))?;
    let patch = argv[3];
    let place = unit.place(argv[1]);
    let len = unit.str_at(place)?.map(Str::len);
    if patch.is_empty() {
        reply.integer(len.unwrap_or(0) as i64);
        return Ok(());
    }
    let end = offset.saturating_add(patch.len());
    check_len(unit, end)?;
    let write = |bytes: &mut Vec<u8>| {
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[offset..end].copy_from_slice(patch);
        // Room to spare marks what was changed in place.
        bytes.reserve(1);
    };
    match unit.change_str(place)? {
        Some(string) => write(string.make_raw()),
        None => {
            let mut bytes = Vec::with_capacity(end + 1);
            write(&mut bytes);
            unit.keyspace.insert_at(place, argv[1], Value::Str(Str::grown(bytes)), None);
            unit.note_new(unit.db, argv[1]);
        }
    }
    unit.effects.dirty += 1;
    reply.integer(len.unwrap_or(0).max(end) as i64);
    Ok(())
}

const S: &str = "@string";

pub(super) const COMMANDS: &[DataCommand] = &[
    row("append", Arity::Exactly(3), WRITE | DENYOOM | FAST, KEY_1, S, "Appends to a string", append),
    row("strlen", Arity::Exactly(2), READONLY | FAST, KEY_1, S, "The length of a string", strlen),
    row("getrange", Arity::Exactly(4), READONLY, KEY_1, S, "A part of a string", getrange),
    row("substr", Arity::Exactly(4), READONLY, KEY_1, S, "A part of a string", getrange),
    row("setrange", Arity::Exactly(4), WRITE | DENYOOM, KEY_1, S, "Overwrites a part of a string", setrange),
];
