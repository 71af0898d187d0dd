//! A key with its value, its time and its last use, in 56 bytes. Promises: reads back every time that it
//! was given. Knows no table and no clock.

use super::bytes::SmallBytes;
use super::table::Keyed;
use super::value::Value;

pub(super) const NEVER: u64 = u64::MAX;

/// Times from here on take forty bits for the next 34 years; others lie beside their key. The begin of
/// the year 2020.
const NEAR_FROM_MS: u64 = 1_577_836_800_000;
const TIME_BITS: u32 = 40;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;
const TIME_NONE: u64 = TIME_MASK;
const TIME_FAR: u64 = TIME_MASK - 1;

pub struct Entry {
    key: Key,
    pub(super) value: Value,
    /// When or how often it was used, see [`super::access`] (0: not since it was loaded), and the time.
    bits: u64,
}

enum Key {
    Plain(SmallBytes),
    WithFarTime(Box<(SmallBytes, u64)>),
}

impl Key {
    #[inline]
    fn bytes(&self) -> &SmallBytes {
        match self {
            Key::Plain(key) => key,
            Key::WithFarTime(far) => &far.0,
        }
    }
}

impl Entry {
    pub(super) fn new(key: &[u8], value: Value, expire_at_ms: u64, access: u32) -> Self {
        let bits = u64::from(access) << TIME_BITS | TIME_NONE;
        let mut entry = Entry { key: Key::Plain(SmallBytes::new(key)), value, bits };
        if expire_at_ms != NEVER {
            entry.set_expire(expire_at_ms);
        }
        entry
    }

    #[inline]
    pub fn key(&self) -> &[u8] {
        self.key.bytes()
    }

    pub fn value(&self) -> &Value {
        &self.value
    }

    /// [`NEVER`] when it has none.
    #[inline]
    pub(super) fn expire_or_never_ms(&self) -> u64 {
        match (self.bits & TIME_MASK, &self.key) {
            (TIME_NONE, _) => NEVER,
            (TIME_FAR, Key::WithFarTime(far)) => far.1,
            (near, _) => NEAR_FROM_MS + near,
        }
    }

    #[inline]
    pub fn expire_at_ms(&self) -> Option<u64> {
        let at_ms = self.expire_or_never_ms();
        (at_ms != NEVER).then_some(at_ms)
    }

    #[inline]
    pub fn is_expired(&self, now_ms: u64) -> bool {
        self.expire_or_never_ms() < now_ms
    }

    #[inline]
    pub(super) fn has_expire(&self) -> bool {
        self.bits & TIME_MASK != TIME_NONE
    }

    pub(super) fn set_expire(&mut self, at_ms: u64) {
        let near = at_ms.checked_sub(NEAR_FROM_MS).filter(|&near| near < TIME_FAR);
        let time = match near {
            _ if at_ms == NEVER => TIME_NONE,
            Some(near) => near,
            None => TIME_FAR,
        };
        match &mut self.key {
            Key::WithFarTime(far) if time == TIME_FAR => far.1 = at_ms,
            Key::WithFarTime(far) => self.key = Key::Plain(far.0.clone()),
            Key::Plain(key) if time == TIME_FAR => {
                self.key = Key::WithFarTime(Box::new((key.clone(), at_ms)));
            }
            Key::Plain(_) => {}
        }
        self.bits = self.bits & !TIME_MASK | time;
    }

    #[inline]
    pub(super) fn access(&self) -> u32 {
        (self.bits >> TIME_BITS) as u32
    }

    /// Of `access` 24 bits are kept.
    #[inline]
    pub(super) fn set_access(&mut self, access: u32) {
        self.bits = self.bits & TIME_MASK | u64::from(access) << TIME_BITS;
    }

    /// What it remembers of its uses, or what stands for a key not used since it was loaded.
    #[inline]
    pub(super) fn access_or(&self, loaded: u32) -> u32 {
        if self.access() == 0 { loaded } else { self.access() }
    }

    pub(super) fn into_value(self) -> Value {
        self.value
    }

    /// Memory beside its place in the table, without what the value points to.
    pub fn key_heap_bytes(&self) -> usize {
        match &self.key {
            Key::Plain(key) => key.heap_bytes(),
            Key::WithFarTime(far) => size_of_val(&**far) + far.0.heap_bytes(),
        }
    }
}

impl Keyed for Entry {
    #[inline]
    fn key(&self) -> &[u8] {
        self.key.bytes()
    }
}

const _: () = assert!(size_of::<Entry>() == 56);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Str;

    #[test]
    fn any_time_reads_back_and_no_other_field_is_touched() {
        let near = NEAR_FROM_MS + 200_000_000_000;
        let edge = NEAR_FROM_MS + TIME_FAR;
        let times = [0, 1, NEAR_FROM_MS - 1, NEAR_FROM_MS, near, edge - 1, edge, edge + 1, edge + 2, 1 << 60];
        for key in [&b"short"[..], &[b'k'; 40]] {
            for from in times.into_iter().chain([NEVER]) {
                for to in times.into_iter().chain([NEVER]) {
                    let mut entry = Entry::new(key, Value::Str(Str::int(5)), from, 0x00ab_cdef);
                    assert_eq!(entry.expire_or_never_ms(), from);
                    entry.set_expire(to);
                    assert_eq!((entry.expire_or_never_ms(), entry.access()), (to, 0x00ab_cdef));
                    assert_eq!((entry.has_expire(), entry.key()), (to != NEVER, key));
                    assert!(entry.is_expired(NEVER) == (to != NEVER) && !entry.is_expired(to));
                    entry.set_access(u32::MAX);
                    assert_eq!((entry.access(), entry.expire_or_never_ms()), (0x00ff_ffff, to));
                    assert!(matches!(entry.into_value(), Value::Str(text) if text.as_int() == Some(5)));
                }
            }
        }
    }
}
