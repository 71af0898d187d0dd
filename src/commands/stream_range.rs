//! XRANGE and XREVRANGE.

use super::args::{int, is};
use super::stream_ids::{self, limit, reply_entries};
use super::{CommandError, DataCommand, Done, Unit, row};
use crate::resp::Writer;
use crate::resp::spec::{Arity, KEY_1, READONLY};

fn range(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>, back: bool) -> Done {
    let (from, to) = if back { (argv[3], argv[2]) } else { (argv[2], argv[3]) };
    let (start, end) = (stream_ids::start(from)?, stream_ids::end(to)?);
    let mut count = None;
    for pair in argv[4..].chunks(2) {
        match pair {
            [name, value] if is(name, "count") => count = Some(int(value)?),
            _ => return Err(CommandError::Syntax),
        }
    }
    let Some(stream) = unit.read_stream(argv[1])? else {
        reply.array(0);
        return Ok(());
    };
    if count.is_some_and(|count| count <= 0) {
        reply.null_array();
        return Ok(());
    }
    let limit = limit(count.unwrap_or(0));
    if back {
        reply_entries(reply, stream.range_back(start, end).take(limit));
    } else {
        reply_entries(reply, stream.range(start, end).take(limit));
    }
    Ok(())
}

fn xrange(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    range(unit, argv, reply, false)
}

fn xrevrange(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    range(unit, argv, reply, true)
}

const X: &str = "@stream";

pub(super) const COMMANDS: &[DataCommand] = &[
    row("xrange", Arity::AtLeast(4), READONLY, KEY_1, X, "Entries between two ids", xrange),
    row(
        "xrevrange",
        Arity::AtLeast(4),
        READONLY,
        KEY_1,
        X,
        "Entries between two ids, newest first",
        xrevrange,
    ),
];
