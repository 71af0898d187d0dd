//! XPENDING: what a group was given and has not acknowledged.

use super::args::{int, is};
use super::stream_ids::{self, limit, no_group, reply_id};
use super::{CommandError, DataCommand, Done, Unit, row};
use crate::resp::Writer;
use crate::resp::spec::{Arity, KEY_1, READONLY};
use crate::store::StreamId;
use crate::store::stream_group::{Group, Pending};

/// The long form's words.
struct Slice<'a> {
    min_idle_ms: i64,
    start: StreamId,
    end: StreamId,
    count: i64,
    consumer: Option<&'a [u8]>,
}

impl<'a> Slice<'a> {
    fn parse(argv: &[&'a [u8]]) -> Result<Option<Slice<'a>>, CommandError> {
        match argv.len() {
            3 => return Ok(None),
            6..=9 => {}
            _ => return Err(CommandError::Syntax),
        }
        let (mut at, mut min_idle_ms) = (3, 0);
        if is(argv[3], "idle") {
            min_idle_ms = int(argv[4])?;
            if argv.len() < 8 {
                return Err(CommandError::Syntax);
            }
            at = 5;
        }
        let count = int(argv[at + 2])?;
        let (start, end) = (stream_ids::start(argv[at])?, stream_ids::end(argv[at + 1])?);
        Ok(Some(Slice { min_idle_ms, start, end, count, consumer: argv.get(at + 3).copied() }))
    }
}

fn summary(group: &Group, reply: &mut Writer<'_>) {
    let pending = group.pending();
    reply.array(4);
    reply.integer(pending.len() as i64);
    let (Some((&first, _)), Some((&last, _))) = (pending.first_key_value(), pending.last_key_value()) else {
        reply.null();
        reply.null();
        reply.null_array();
        return;
    };
    reply_id(reply, first);
    reply_id(reply, last);
    let busy: Vec<_> = group.consumers().filter(|consumer| !consumer.pending.is_empty()).collect();
    reply.array(busy.len());
    for consumer in busy {
        reply.array(2);
        reply.bulk(&consumer.name);
        reply.bulk_integer(consumer.pending.len() as i64);
    }
}

fn xpending(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let slice = Slice::parse(argv)?;
    let now_ms = unit.now_ms();
    let Some(group) = unit.read_stream(argv[1])?.and_then(|stream| stream.group(argv[2])) else {
        return Err(no_group(argv[1], argv[2], ""));
    };
    let Some(slice) = slice else {
        summary(group, reply);
        return Ok(());
    };
    let idle_ms = |pending: &Pending| (now_ms as i64).wrapping_sub(pending.delivered_at_ms as i64);
    let is_asked = |pending: &Pending| slice.min_idle_ms == 0 || idle_ms(pending) >= slice.min_idle_ms;
    let wanted = if slice.count <= 0 || slice.start > slice.end { 0 } else { limit(slice.count) };
    let end = slice.end.max(slice.start);
    let found: Vec<(StreamId, Pending)> = match slice.consumer.map(|name| group.consumer_id(name)) {
        // A name that is not there has nothing.
        Some(None) => Vec::new(),
        Some(Some(id)) => {
            let ids = group.consumer(id).map(|consumer| consumer.pending.range(slice.start..=end));
            let all = ids.into_iter().flatten().filter_map(|id| Some((*id, *group.pending().get(id)?)));
            all.filter(|(_, pending)| is_asked(pending)).take(wanted).collect()
        }
        None => {
            let all = group.pending().range(slice.start..=end).map(|(id, pending)| (*id, *pending));
            all.filter(|(_, pending)| is_asked(pending)).take(wanted).collect()
        }
    };
    reply.array(found.len());
    for (id, pending) in found {
        reply.array(4);
        reply_id(reply, id);
        reply.bulk(group.name_of(pending.consumer));
        reply.integer(idle_ms(&pending).max(0));
        reply.integer(pending.deliveries as i64);
    }
    Ok(())
}

pub(super) const COMMANDS: &[DataCommand] = &[row(
    "xpending",
    Arity::AtLeast(3),
    READONLY,
    KEY_1,
    "@stream",
    "What is not acknowledged yet",
    xpending,
)];
