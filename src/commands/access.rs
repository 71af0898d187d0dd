//! How handlers reach keys: expiry, hits and idle times are seen to here and nowhere else.

use super::effects::Note;
use super::{CommandError, Unit};
use crate::store::{Hash, List, Place, Set, Str, Stream, Value, ZSet};

impl Unit<'_> {
    pub fn now_ms(&self) -> u64 {
        self.now.wall.as_millis()
    }

    fn now_s(&self) -> u32 {
        (self.now.wall.as_millis() / 1000) as u32
    }

    /// Where a key is for a writer. One past its time is deleted first, except on a replica: there
    /// the master's commands see what the master had.
    #[inline]
    pub fn place(&mut self, key: &[u8]) -> Place {
        self.place_in(self.db, key)
    }

    #[inline]
    pub fn place_in(&mut self, db: usize, key: &[u8]) -> Place {
        let now_s = self.now_s();
        self.keyspace.set_clock(now_s);
        let place = self.keyspace.locate(db, key);
        match self.keyspace.at(place) {
            Some(entry) if entry.is_expired(self.now_ms()) && !self.keep_expired => {
                self.keyspace.remove_at(place);
                self.effects.expired.push((db, key.into()));
                self.keyspace.locate(db, key)
            }
            Some(_) => {
                self.keyspace.touch(place, now_s);
                place
            }
            None => place,
        }
    }

    /// Where a key is for a reader; `None` when there is none, or it is past its time.
    #[inline]
    pub fn peek(&mut self, key: &[u8]) -> Option<Place> {
        let place = self.keyspace.locate(self.db, key);
        if self.keyspace.at(place)?.is_expired(self.now_ms()) {
            if !self.keep_expired {
                self.keyspace.remove_at(place);
                self.effects.expired.push((self.db, key.into()));
            }
            return None;
        }
        Some(place)
    }

    /// A value for a reader, counted as hit or miss.
    #[inline]
    pub fn read(&mut self, key: &[u8]) -> Option<&Value> {
        let place = self.peek(key);
        self.count_read(key, place.is_some());
        let place = place?;
        let now_s = self.now_s();
        self.keyspace.touch(place, now_s);
        self.keyspace.at(place).map(|entry| entry.value())
    }

    /// A reader looked for a key: a hit or a miss.
    #[inline]
    pub fn count_read(&mut self, key: &[u8], found: bool) {
        if found {
            self.effects.keyspace_hits += 1;
            return;
        }
        self.effects.keyspace_misses += 1;
        if self.effects.noting {
            self.effects.notes.push(Note::Missed(self.db, key.into()));
        }
    }

    /// Whether a key is there for a writer.
    pub fn exists(&mut self, key: &[u8]) -> bool {
        self.place(key).is_found()
    }

    /// A value where it was found.
    pub fn value_at(&self, place: Place) -> Option<&Value> {
        self.keyspace.at(place).map(|entry| entry.value())
    }

    /// Puts a value in place of whatever the key held.
    pub fn store(&mut self, key: &[u8], value: Value, expire_at_ms: Option<u64>) {
        let place = self.place(key);
        match self.keyspace.value_mut(place) {
            Some(old) => {
                let old = std::mem::replace(old, value);
                self.keyspace.replaced(old);
                self.keyspace.set_expire(place, expire_at_ms);
            }
            None => {
                self.keyspace.insert_at(place, key, value, expire_at_ms);
                self.note_new(self.db, key);
            }
        }
    }

    /// Deletes a key; whether there was one.
    pub fn delete(&mut self, key: &[u8]) -> bool {
        let place = self.place(key);
        let Some((value, _)) = self.keyspace.remove_at(place) else { return false };
        self.keyspace.deleted(value);
        if self.effects.noting {
            self.effects.notes.push(Note::Deleted(self.db, key.into()));
        }
        true
    }

    /// The same; a heavy value is freed later, whatever the configuration says.
    pub fn unlink(&mut self, key: &[u8]) -> bool {
        let place = self.place(key);
        let Some((value, _)) = self.keyspace.remove_at(place) else { return false };
        self.keyspace.discard_value(value);
        if self.effects.noting {
            self.effects.notes.push(Note::Deleted(self.db, key.into()));
        }
        true
    }

    /// To be said of every key that is made here.
    #[inline]
    pub fn note_new(&mut self, db: usize, key: &[u8]) {
        if self.effects.noting {
            self.effects.notes.push(Note::New(db, key.into()));
        }
    }

    /// No key holds an empty collection.
    pub fn delete_if_empty(&mut self, place: Place) -> bool {
        let empty = self.value_at(place).is_some_and(Value::is_empty_collection);
        if empty {
            self.keyspace.remove_at(place);
        }
        empty
    }
}

/// For one type: reading by key, changing at a place, and changing what may have to be made first.
macro_rules! typed_access {
    ($kind:ty, $variant:ident, $read:ident, $at:ident, $change:ident, $make:ident, $new:expr) => {
        impl Unit<'_> {
            #[inline]
            pub fn $read(&mut self, key: &[u8]) -> Result<Option<&$kind>, CommandError> {
                match self.read(key) {
                    None => Ok(None),
                    Some(Value::$variant(value)) => Ok(Some(value)),
                    Some(_) => Err(CommandError::WrongType),
                }
            }

            pub fn $at(&self, place: Place) -> Result<Option<&$kind>, CommandError> {
                match self.value_at(place) {
                    None => Ok(None),
                    Some(Value::$variant(value)) => Ok(Some(value)),
                    Some(_) => Err(CommandError::WrongType),
                }
            }

            pub fn $change(&mut self, place: Place) -> Result<Option<&mut $kind>, CommandError> {
                if self.$at(place)?.is_none() {
                    return Ok(None);
                }
                match self.keyspace.value_mut(place) {
                    Some(Value::$variant(value)) => Ok(Some(value)),
                    _ => Ok(None),
                }
            }

            /// With the seed that collections grow by.
            pub fn $make(&mut self, key: &[u8]) -> Result<(&mut $kind, &HashSeed), CommandError> {
                let mut place = self.place(key);
                if !place.is_found() {
                    #[allow(clippy::redundant_closure_call)]
                    let value = ($new)(&*self.keyspace);
                    place = self.keyspace.insert_at(place, key, Value::$variant(value), None);
                    self.note_new(self.db, key);
                }
                self.$at(place)?;
                match self.keyspace.value_and_seed_mut(place) {
                    Some((Value::$variant(value), seed)) => Ok((value, seed)),
                    // Inserted above.
                    _ => Err(CommandError::NoSuchKey),
                }
            }
        }
    };
}

use crate::store::{HashSeed, Keyspace};
typed_access!(Str, Str, read_str, str_at, change_str, make_str, |_: &Keyspace| Str::text(b""));
typed_access!(List, List, read_list, list_at, change_list, make_list, |k: &Keyspace| Box::new(List::new(
    k.seed()
)));
typed_access!(Hash, Hash, read_hash, hash_at, change_hash, make_hash, |_: &Keyspace| Hash::default());
typed_access!(Set, Set, read_set, set_at, change_set, make_set, |_: &Keyspace| Set::default());
typed_access!(ZSet, ZSet, read_zset, zset_at, change_zset, make_zset, |_: &Keyspace| ZSet::default());
typed_access!(Stream, Stream, read_stream, stream_at, change_stream, make_stream, |_: &Keyspace| {
    Box::default()
});
