//! The keyspace against a map: what it holds, what expires, and what a snapshot writes meanwhile.

use super::keyspace::{DATABASES, Keyspace};
use super::snapshot::SnapshotSink;
use super::{Str, Value};
use crate::stdx::Rng;
use std::collections::BTreeMap;

const START_MS: u64 = 1_000_000;
type Image = BTreeMap<(usize, Vec<u8>), (Vec<u8>, Option<u64>)>;

/// Refuses to see an entry twice.
#[derive(Default)]
struct Collect(Image);

impl SnapshotSink for Collect {
    fn entry(&mut self, db: usize, key: &[u8], value: &Value, expire_at_ms: Option<u64>) {
        let twice = self.0.insert((db, key.to_vec()), (bytes(value), expire_at_ms));
        assert!(twice.is_none(), "{db} {} written twice", key.escape_ascii());
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    let Value::Str(string) = value else { panic!("only strings here") };
    string.to_vec()
}

fn value(n: u64) -> Value {
    Value::Str(Str::new(n.to_string().as_bytes()))
}

fn image(keyspace: &Keyspace) -> Image {
    let all = (0..DATABASES).flat_map(|db| keyspace.iter(db).map(move |entry| (db, entry)));
    all.map(|(db, e)| ((db, e.key().to_vec()), (bytes(e.value()), e.expire_at_ms()))).collect()
}

/// One change, done to the keyspace and to the model.
fn change(keyspace: &mut Keyspace, model: &mut Image, rng: &mut Rng, keys: u32, flush: bool) {
    let db = rng.usize(..3);
    let key = format!("key:{}", rng.u32(..keys)).into_bytes();
    let expire = rng.bool().then(|| START_MS + rng.u64(..1000));
    match rng.u32(..100) {
        0..60 => {
            let n = rng.u64(..);
            keyspace.insert(db, &key, value(n), expire);
            model.insert((db, key), (n.to_string().into_bytes(), expire));
        }
        60..75 => {
            let was = keyspace.remove(db, &key).map(|v| bytes(&v));
            assert_eq!(was, model.remove(&(db, key)).map(|(v, _)| v));
        }
        75..85 => {
            if let Some(v) = keyspace.get_mut(db, &key) {
                *v = value(7);
                model.entry((db, key)).and_modify(|e| e.0 = b"7".to_vec());
            }
        }
        85..95 => {
            keyspace.set_expire(keyspace.locate(db, &key), expire);
            model.entry((db, key)).and_modify(|e| e.1 = expire);
        }
        95 if flush => {
            keyspace.clear(db);
            model.retain(|(of, _), _| *of != db);
        }
        96 if flush => {
            keyspace.swap_dbs(0, db);
            let old = std::mem::take(model);
            let swapped = |of: usize| {
                if of == 0 {
                    db
                } else if of == db {
                    0
                } else {
                    of
                }
            };
            *model = old.into_iter().map(|((of, key), v)| ((swapped(of), key), v)).collect();
        }
        _ => {
            let now_ms = START_MS + rng.u64(..50);
            for (db, key) in keyspace.expire_some(now_ms, 20) {
                let (_, expire) = model.remove(&(db, key.into())).unwrap();
                assert!(expire.unwrap() < now_ms);
            }
        }
    }
}

#[test]
fn holds_what_a_map_would_hold() {
    let mut keyspace = Keyspace::new(1);
    let (mut model, mut rng) = (Image::new(), Rng::with_seed(1));
    for step in 0..60_000 {
        change(&mut keyspace, &mut model, &mut rng, 5000, step > 50_000 && step % 10 == 0);
    }
    assert_eq!(image(&keyspace), model);
    for db in 0..DATABASES {
        let of_db = model.iter().filter(|((of, _), _)| *of == db);
        assert_eq!(keyspace.len(db), of_db.clone().count());
        assert_eq!(keyspace.expires_len(db), of_db.filter(|(_, (_, e))| e.is_some()).count());
    }
}

#[test]
fn a_snapshot_is_one_point_in_time_under_any_writes() {
    for seed in 0..40 {
        let mut keyspace = Keyspace::new(seed);
        let (mut model, mut rng) = (Image::new(), Rng::with_seed(seed));
        let keys = if seed % 2 == 0 { 200 } else { 4000 };
        for _ in 0..keys * 2 {
            change(&mut keyspace, &mut model, &mut rng, keys, false);
        }
        for _ in 0..2 {
            let expected = model.clone();
            assert!(keyspace.begin_snapshot(Box::<Collect>::default()));
            assert!(!keyspace.begin_snapshot(Box::<Collect>::default()), "one at a time");
            while !keyspace.step_snapshot(rng.usize(1..200)) {
                for _ in 0..rng.u32(..60) {
                    change(&mut keyspace, &mut model, &mut rng, keys * 2, seed % 3 == 0);
                }
            }
            let sink: Box<dyn std::any::Any> = keyspace.take_snapshot_sink().unwrap();
            let written = sink.downcast::<Collect>().unwrap().0;
            assert!(written == expected, "seed {seed}: {} of {}", written.len(), expected.len());
            assert!(image(&keyspace) == model, "seed {seed}");
        }
    }
}

/// With whole segments, ten thousand writes a second had a gigabyte written out, into memory, in no time.
#[test]
fn a_write_costs_a_snapshot_one_entry() {
    let mut keyspace = Keyspace::new(1);
    for n in 0..2000 {
        keyspace.insert(0, format!("{n}").as_bytes(), value(n), None);
    }
    keyspace.begin_snapshot(Box::<Collect>::default());
    let mut written = || {
        *keyspace.get_mut(0, b"7").unwrap() = value(1);
        *keyspace.get_mut(0, b"8").unwrap() = value(1);
        keyspace.set_expire(keyspace.locate(0, b"7"), Some(START_MS));
        let sink: &mut dyn std::any::Any = keyspace.snapshot_sink().unwrap();
        sink.downcast_mut::<Collect>().unwrap().0.len()
    };
    assert_eq!((written(), written()), (2, 2));
    // Where entries come or go, places no longer say who is who.
    keyspace.remove(0, b"9");
    let sink: &mut dyn std::any::Any = keyspace.snapshot_sink().unwrap();
    assert!(sink.downcast_mut::<Collect>().unwrap().0.len() > 20);
}

#[test]
fn a_snapshot_survives_a_full_sync() {
    let mut keyspace = Keyspace::new(1);
    for n in 0..2000 {
        keyspace.insert(0, format!("{n}").as_bytes(), value(n), None);
    }
    let expected = image(&keyspace);
    keyspace.begin_snapshot(Box::<Collect>::default());
    keyspace.step_snapshot(500);
    let mut other = Keyspace::new(2);
    other.insert(0, b"new", value(1), None);
    keyspace.replace_data(other);
    while !keyspace.step_snapshot(100) {}
    let sink: Box<dyn std::any::Any> = keyspace.take_snapshot_sink().unwrap();
    assert!(sink.downcast::<Collect>().unwrap().0 == expected);
    assert_eq!(keyspace.total_len(), 1);
}

#[test]
fn every_expired_key_goes_within_one_round() {
    let mut keyspace = Keyspace::new(1);
    for n in 0..3000u64 {
        let expire = (n % 3 == 0).then_some(START_MS + n % 2);
        keyspace.insert(3, format!("{n}").as_bytes(), value(n), expire);
    }
    assert_eq!(keyspace.expire_some(START_MS, 1 << 20).len(), 0);
    let mut gone = 0;
    for _ in 0..40 {
        gone += keyspace.expire_some(START_MS + 5, 100).len();
    }
    assert_eq!((gone, keyspace.len(3), keyspace.expires_len(3)), (1000, 2000, 0));
}
