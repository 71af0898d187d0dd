//! The keyspace and the handlers, with nothing around them.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};
use vedette::commands::{self, CommandError, DataCommand, Effects, Propagate, Unit};
use vedette::resp::{Protocol, Writer};
use vedette::stdx::Rng;
use vedette::stdx::time::{Instant, Now, Wall};
use vedette::store::{Keyspace, Value};

pub struct Executor {
    keyspace: Keyspace,
    rng: Rng,
    effects: Effects,
    db: usize,
    pub keep_expired: bool,
    by_name: BTreeMap<&'static str, DataCommand>,
    propagated: Vec<Vec<Vec<u8>>>,
}

fn now() -> Now {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    Now { mono: Instant::from_millis(wall), wall: Wall(wall) }
}

impl Executor {
    pub fn new(seed: u64) -> Self {
        let rows = commands::families().iter().flat_map(|family| family.iter());
        Executor {
            keyspace: Keyspace::new(seed),
            rng: Rng::with_seed(seed),
            effects: Effects::default(),
            db: 0,
            keep_expired: false,
            by_name: rows.map(|row| (row.spec.name, *row)).collect(),
            propagated: Vec::new(),
        }
    }

    /// The reply's bytes.
    pub fn execute(&mut self, argv: &[Vec<u8>], protocol: Protocol) -> Vec<u8> {
        let mut out = Vec::new();
        let mut reply = Writer::new(&mut out, protocol);
        let words: Vec<&[u8]> = argv.iter().map(Vec::as_slice).collect();
        let name = String::from_utf8_lossy(words[0]).to_ascii_lowercase();
        let Some(command) = self.by_name.get(name.as_str()) else {
            panic!("the generator asked for an unknown command {name}");
        };
        if !command.spec.arity.accepts(words.len()) {
            reply.error(&CommandError::Arity(name).to_string());
            return out;
        }
        self.effects.clear();
        let mut unit = Unit {
            now: now(),
            keyspace: &mut self.keyspace,
            db: self.db,
            rng: &mut self.rng,
            effects: &mut self.effects,
            keep_expired: self.keep_expired,
            string_bytes_max: 512 << 20,
        };
        if let Err(error) = (command.handler)(&mut unit, &words, &mut reply) {
            reply.truncate(0);
            reply.error(&error.to_string());
            assert_eq!(self.effects.dirty, 0, "an error that changed data: {name}");
        }
        for (_, key) in self.effects.expired.drain(..) {
            self.propagated.push(vec![b"DEL".to_vec(), key.into()]);
        }
        if self.effects.dirty > 0 {
            match std::mem::take(&mut self.effects.propagate) {
                Propagate::AsGiven => self.propagated.push(argv.to_vec()),
                Propagate::Nothing => {}
                Propagate::Rewritten(commands) => self.propagated.extend(commands),
            }
        }
        out
    }

    /// What went to replicas since the last call.
    pub fn take_propagated(&mut self) -> Vec<Vec<Vec<u8>>> {
        std::mem::take(&mut self.propagated)
    }

    /// Everything it holds, in words that compare.
    pub fn dump(&self) -> BTreeMap<Vec<u8>, (String, Option<u64>)> {
        let shown = |value: &Value| match value {
            Value::Set(set) => format!("{:?}", set.iter().collect::<std::collections::BTreeSet<_>>()),
            Value::Hash(hash) => format!(
                "{:?}",
                hash.iter().map(|(f, v)| (f.to_vec(), v.to_vec())).collect::<BTreeMap<_, _>>()
            ),
            Value::Str(string) => string.to_vec().escape_ascii().to_string(),
            other => format!("{other:?}"),
        };
        let entries = self.keyspace.iter(0);
        entries.map(|e| (e.key().to_vec(), (shown(e.value()), e.expire_at_ms()))).collect()
    }
}
