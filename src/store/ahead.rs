//! Reading ahead for the requests of a pipeline: keys first, then what of their values is asked for. See
//! [`super::table`] for why. Changes nothing, and has never heard of a command: the second word of a
//! request counts as its key, and where that holds a large collection the next words as its members; a
//! guess that is wrong costs some nanoseconds.

use super::bytes::SmallBytes;
use super::hash::Field;
use super::keyspace::Keyspace;
use super::table::{AHEAD_MAX, Keyed, Table};
use super::tree::Scored;
use super::value::Value;
use smallvec::SmallVec;
use std::hint::black_box;

/// Of longer strings the processor itself reads on once they are begun.
const LINE_BYTES: usize = 64;

fn read(bytes: &[u8]) -> u8 {
    bytes.first().copied().unwrap_or(0) ^ bytes.get(LINE_BYTES).copied().unwrap_or(0)
}

/// The collections whose members are found by hash, when they are large.
enum Far<'t> {
    Hash(&'t Table<Field>),
    Set(&'t Table<SmallBytes>),
    ZSet(&'t Table<Scored>),
}

impl<'t> Far<'t> {
    fn of(value: &'t Value) -> Option<Self> {
        match value {
            Value::Hash(hash) => hash.far_table().map(Far::Hash),
            Value::Set(set) => set.far_table().map(Far::Set),
            Value::ZSet(zset) => zset.far_table().map(Far::ZSet),
            Value::Str(_) | Value::List(_) | Value::Stream(_) => None,
        }
    }

    /// Reads what these requests are about.
    fn read<'k>(&self, of: &[usize], word: impl Fn(usize, usize) -> Option<&'k [u8]>) -> u8 {
        let mut seen = 0;
        let second = of.iter().filter_map(|&request| Some((request, word(request, 2)?)));
        match self {
            Far::Hash(table) => {
                table.look_ahead(second, |_, field| seen ^= read(field.key()) ^ read(&field.value));
            }
            Far::Set(table) => table.look_ahead(second, |_, member| seen ^= read(member)),
            Far::ZSet(table) => {
                // Behind its score, or alone.
                let member = |&n: &usize| Some((n, word(n, 3).or_else(|| word(n, 2))?));
                table.look_ahead(of.iter().filter_map(member), |_, scored| seen ^= read(&scored.member));
            }
        }
        seen
    }
}

impl Keyspace {
    /// `word` gives the words of [`AHEAD_MAX`] requests or fewer.
    pub fn look_ahead<'k>(
        &self,
        db: usize,
        requests: usize,
        word: impl Fn(usize, usize) -> Option<&'k [u8]>,
    ) {
        let table = &self.dbs[db].table;
        let Some(first) = word(0, 1) else { return };
        if !table.is_far() || word(1, 1) == Some(first) {
            // The key is near, or will be: only a collection that they are about is worth a look.
            if let Some(far) = self.get(db, first).and_then(Far::of) {
                let same = (0..requests).filter(|&request| word(request, 1) == Some(first));
                black_box(far.read(&same.collect::<SmallVec<[usize; AHEAD_MAX]>>(), word));
            }
            return;
        }
        let mut seen = 0;
        let mut collections: SmallVec<[(usize, &Value); AHEAD_MAX]> = SmallVec::new();
        let keys = (0..requests).filter_map(|request| Some((request, word(request, 1)?)));
        table.look_ahead(keys, |request, entry| match entry.value() {
            Value::Str(string) => seen ^= string.far_bytes().map_or(0, read),
            other => collections.push((request, other)),
        });
        while let Some(&(_, value)) = collections.first() {
            let (of, others) = collections.into_iter().partition(|(_, it)| std::ptr::eq(*it, value));
            let _: &SmallVec<[(usize, &Value); AHEAD_MAX]> = &of;
            collections = others;
            if let Some(far) = Far::of(value) {
                let of: SmallVec<[usize; AHEAD_MAX]> = of.into_iter().map(|(request, _)| request).collect();
                seen ^= far.read(&of, &word);
            }
        }
        black_box(seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Hash, HashSeed, Set, ZSet};

    /// It may do nothing but read, whatever the words are.
    #[test]
    fn any_words_will_do() {
        let mut keyspace = Keyspace::new(9);
        let seed = HashSeed::new(9);
        let (mut hash, mut set, mut zset) = (Hash::default(), Set::default(), ZSet::default());
        for n in 0..10_000u32 {
            let name = format!("member:{n}");
            hash.set(&seed, name.as_bytes(), &[b'v'; 90]);
            set.insert(&seed, name.as_bytes());
            zset.insert(&seed, f64::from(n), name.as_bytes());
            let text = Value::Str(crate::store::Str::new(&vec![b'x'; n as usize % 200]));
            keyspace.insert(n as usize % 2, name.as_bytes(), text, None);
        }
        for (key, value) in
            [("hash", Value::Hash(hash)), ("set", Value::Set(set)), ("zset", Value::ZSet(zset))]
        {
            keyspace.insert(0, key.as_bytes(), value, None);
        }
        let words = ["", "hash", "set", "zset", "member:7", "member:8", "nobody"];
        let mut rng = crate::stdx::Rng::with_seed(3);
        for _ in 0..2000 {
            let requests: Vec<Vec<&str>> = (0..rng.usize(..=AHEAD_MAX))
                .map(|_| (0..rng.usize(..5)).map(|_| words[rng.usize(..words.len())]).collect())
                .collect();
            let word = |n: usize, at: usize| Some(requests.get(n)?.get(at)?.as_bytes());
            keyspace.look_ahead(rng.usize(..3), requests.len(), word);
        }
        assert_eq!(keyspace.total_len(), 10_003);
    }
}
