//! Commands about the times of keys.

use super::args::{int, owned};
use super::{CommandError, DataCommand, Done, Unit, row};
use crate::resp::Writer;
use crate::resp::spec::{Arity, FAST, KEY_1, READONLY, WRITE};

#[derive(Default)]
struct Conditions {
    if_none: bool,
    if_some: bool,
    if_greater: bool,
    if_less: bool,
}

impl Conditions {
    fn parse(words: &[&[u8]]) -> Result<Conditions, CommandError> {
        let mut c = Conditions::default();
        for word in words {
            match word.to_ascii_lowercase().as_slice() {
                b"nx" => c.if_none = true,
                b"xx" => c.if_some = true,
                b"gt" => c.if_greater = true,
                b"lt" => c.if_less = true,
                _ => {
                    let word = String::from_utf8_lossy(word);
                    return Err(CommandError::Text(format!("ERR Unsupported option {word}")));
                }
            }
        }
        if c.if_none && (c.if_some || c.if_greater || c.if_less) {
            return Err("ERR NX and XX, GT or LT options at the same time are not compatible".into());
        }
        if c.if_greater && c.if_less {
            return Err("ERR GT and LT options at the same time are not compatible".into());
        }
        Ok(c)
    }

    /// A key without a time counts as one that never ends.
    fn allow(&self, current_ms: Option<u64>, at_ms: i64) -> bool {
        let current = current_ms.map_or(i64::MAX, |ms| ms as i64);
        !(self.if_none && current_ms.is_some()
            || self.if_some && current_ms.is_none()
            || self.if_greater && (current_ms.is_none() || at_ms <= current)
            || self.if_less && current_ms.is_some() && at_ms >= current)
    }
}

fn expire_generic(
    unit: &mut Unit<'_>,
    argv: &[&[u8]],
    reply: &mut Writer<'_>,
    seconds: bool,
    absolute: bool,
) -> Done {
    let conditions = Conditions::parse(&argv[3..])?;
    let name = String::from_utf8_lossy(argv[0]).to_ascii_lowercase();
    let invalid = || CommandError::Text(format!("ERR invalid expire time in '{name}' command"));
    let value = int(argv[2])?;
    let value = if seconds { value.checked_mul(1000).ok_or_else(invalid)? } else { value };
    let base = if absolute { 0 } else { unit.now_ms() as i64 };
    let at_ms = value.checked_add(base).ok_or_else(invalid)?;
    let place = unit.place(argv[1]);
    let Some(entry) = unit.keyspace.at(place) else {
        reply.integer(0);
        return Ok(());
    };
    if !conditions.allow(entry.expire_at_ms(), at_ms) {
        reply.integer(0);
        return Ok(());
    }
    // A replica waits for the master's DEL.
    if at_ms <= unit.now_ms() as i64 && !unit.keep_expired {
        unit.keyspace.remove_at(place);
        unit.effects.rewrite(owned(&[b"DEL", argv[1]]));
    } else {
        unit.keyspace.set_expire(place, Some(at_ms.max(0) as u64));
        unit.effects.rewrite(owned(&[b"PEXPIREAT", argv[1], at_ms.to_string().as_bytes()]));
    }
    unit.effects.dirty += 1;
    reply.integer(1);
    Ok(())
}

fn expire(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    expire_generic(unit, argv, reply, true, false)
}

fn pexpire(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    expire_generic(unit, argv, reply, false, false)
}

fn expireat(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    expire_generic(unit, argv, reply, true, true)
}

fn pexpireat(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    expire_generic(unit, argv, reply, false, true)
}

/// -2 without a key, -1 without a time, else what `show` makes of the time.
fn time_of(unit: &mut Unit<'_>, key: &[u8], reply: &mut Writer<'_>, show: impl Fn(u64) -> u64) {
    let place = unit.peek(key);
    unit.count_read(key, place.is_some());
    let answer = match place.and_then(|place| unit.keyspace.at(place)) {
        None => -2,
        Some(entry) => entry.expire_at_ms().map_or(-1, |at_ms| show(at_ms) as i64),
    };
    reply.integer(answer);
}

fn ttl(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let now_ms = unit.now_ms();
    time_of(unit, argv[1], reply, |at_ms| (at_ms.saturating_sub(now_ms).saturating_add(500)) / 1000);
    Ok(())
}

fn pttl(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let now_ms = unit.now_ms();
    time_of(unit, argv[1], reply, |at_ms| at_ms.saturating_sub(now_ms));
    Ok(())
}

fn expiretime(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    time_of(unit, argv[1], reply, |at_ms| at_ms.saturating_add(500) / 1000);
    Ok(())
}

fn pexpiretime(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    time_of(unit, argv[1], reply, |at_ms| at_ms);
    Ok(())
}

fn persist(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let place = unit.place(argv[1]);
    let changed = unit.keyspace.set_expire(place, None);
    unit.effects.dirty += u64::from(changed);
    reply.integer(i64::from(changed));
    Ok(())
}

const K: &str = "@keyspace";

pub(super) const COMMANDS: &[DataCommand] = &[
    row("expire", Arity::AtLeast(3), WRITE | FAST, KEY_1, K, "Sets a key's time to live", expire),
    row("pexpire", Arity::AtLeast(3), WRITE | FAST, KEY_1, K, "The same in milliseconds", pexpire),
    row("expireat", Arity::AtLeast(3), WRITE | FAST, KEY_1, K, "Sets when a key ends", expireat),
    row("pexpireat", Arity::AtLeast(3), WRITE | FAST, KEY_1, K, "The same in milliseconds", pexpireat),
    row("ttl", Arity::Exactly(2), READONLY | FAST, KEY_1, K, "Seconds a key has left", ttl),
    row("pttl", Arity::Exactly(2), READONLY | FAST, KEY_1, K, "Milliseconds a key has left", pttl),
    row("expiretime", Arity::Exactly(2), READONLY | FAST, KEY_1, K, "When a key ends", expiretime),
    row("pexpiretime", Arity::Exactly(2), READONLY | FAST, KEY_1, K, "The same in milliseconds", pexpiretime),
    row("persist", Arity::Exactly(2), WRITE | FAST, KEY_1, K, "Takes a key's time away", persist),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_treat_no_time_as_never() {
        let greater = Conditions::parse(&[b"GT"]).unwrap_or_default();
        assert!(!greater.allow(None, 5) && greater.allow(Some(4), 5) && !greater.allow(Some(5), 5));
        let less = Conditions::parse(&[b"lt"]).unwrap_or_default();
        assert!(less.allow(None, 5) && !less.allow(Some(4), 5));
        assert!(Conditions::parse(&[b"NX", b"GT"]).is_err());
    }
}
