//! Round trips, and what happens to an image that was damaged on its way.

use super::*;
use crate::store::stream_group::{Group, Pending};
use crate::store::{Hash, Keyspace, List, Set, Str, Stream, StreamId, Value, ZSet};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn sample() -> Keyspace {
    let mut keyspace = Keyspace::new(1);
    let seed = keyspace.seed().clone();
    let word = |n: usize| vec![b'a' + (n % 26) as u8; n % 100];
    for n in 0..200usize {
        let key = format!("key:{n}");
        let value = match n % 6 {
            0 => Value::Str(Str::new(&word(n))),
            1 => {
                let mut list = List::new(&seed);
                (0..=n).for_each(|i| list.push_back(&word(i)));
                Value::List(Box::new(list))
            }
            2 => {
                let mut set = Set::default();
                (0..=n).for_each(|i| {
                    set.insert(&seed, i.to_string().as_bytes());
                });
                Value::Set(set)
            }
            3 => {
                let mut hash = Hash::default();
                (0..=n).for_each(|i| {
                    hash.set(&seed, i.to_string().as_bytes(), &word(i));
                });
                Value::Hash(hash)
            }
            5 => {
                let mut stream = Stream::default();
                for i in 1..=3 * n as u64 {
                    stream.push(
                        StreamId::new(i, i % 3),
                        &[b"field", &word(i as usize), b"n", b"12"],
                        Default::default(),
                    );
                }
                stream.delete(StreamId::new(2, 2));
                let mut group = Group::new(StreamId::new(9, 0), (n % 2 == 0).then_some(9));
                let (consumer, _) = group.meet(b"one", 77);
                group.meet(b"idle", 78);
                group.assign(StreamId::new(5, 2), Pending { consumer, delivered_at_ms: 7, deliveries: 3 });
                stream.add_group(b"group", group);
                Value::Stream(Box::new(stream))
            }
            _ => {
                let mut zset = ZSet::default();
                (0..=n).for_each(|i| {
                    zset.insert(&seed, i as f64 / 3.0 - 5.0, format!("m{i}").as_bytes());
                });
                Value::ZSet(zset)
            }
        };
        keyspace.insert(n % 3, key.as_bytes(), value, (n % 4 == 0).then_some(5_000 + n as u64));
    }
    keyspace
}

fn image(keyspace: &mut Keyspace, position: Option<&Position>) -> Vec<u8> {
    assert!(keyspace.begin_snapshot(Box::new(ImageWriter::new(Manner::default(), position, 0))));
    while !keyspace.step_snapshot(7) {}
    let sink: Box<dyn std::any::Any> = keyspace.take_snapshot_sink().unwrap();
    sink.downcast::<ImageWriter>().unwrap().finish()
}

/// Everything in it, in a form that can be compared. Sets and hashes in order of their bytes.
type Content = BTreeMap<(usize, Vec<u8>), (Vec<u8>, Option<u64>)>;

fn content(keyspace: &Keyspace) -> Content {
    let mut content = BTreeMap::new();
    for db in 0..crate::store::DATABASES {
        for entry in keyspace.iter(db) {
            let mut parts: Vec<Vec<u8>> = match entry.value() {
                Value::Str(string) => vec![string.to_vec()],
                Value::List(list) => list.iter().map(|item| item.to_vec()).collect(),
                Value::Set(set) => set.iter().map(|member| member.to_vec()).collect(),
                Value::Hash(hash) => {
                    hash.iter().map(|(f, v)| [f.as_slice(), b"=", v.as_slice()].concat()).collect()
                }
                Value::ZSet(zset) => {
                    let mut all = Vec::new();
                    zset.visit(0..zset.len(), &mut |s| {
                        all.push(format!("{:?} {}", s.member, s.score).into_bytes())
                    });
                    all
                }
                Value::Stream(stream) => vec![format!("{stream:?}").into_bytes()],
            };
            if matches!(entry.value(), Value::Set(_) | Value::Hash(_)) {
                parts.sort();
            }
            let bytes = parts.join(&b"\n"[..]);
            content.insert((db, entry.key().to_vec()), (bytes, entry.expire_at_ms()));
        }
    }
    content
}

#[test]
fn what_was_written_comes_back_with_its_place_in_history() {
    let mut keyspace = sample();
    let position = Position { replid: "ab".repeat(20), offset: 12_345, stream_db: 2 };
    let bytes = image(&mut keyspace, Some(&position));
    let loaded = load(&bytes[..], 2, None).unwrap();
    assert_eq!(content(&loaded.keyspace), content(&keyspace));
    assert_eq!(loaded.position, Some(position));
    let later = load(&bytes[..], 2, Some(5_100)).unwrap();
    assert_eq!(later.expired, 0, "replicas of this history must be told");
    let bytes = image(&mut keyspace, None);
    let later = load(&bytes[..], 2, Some(5_100)).unwrap();
    assert_eq!(later.expired as usize + later.keyspace.total_len(), keyspace.total_len());
    assert!(later.expired > 0);
}

#[test]
fn a_dumped_value_is_restored_and_a_damaged_one_is_not() {
    let keyspace = sample();
    for entry in keyspace.iter(0) {
        let mut payload = dump(entry.value());
        assert_eq!(dump(&restore(&payload, keyspace.seed()).unwrap()).len(), payload.len());
        payload[0] ^= 1;
        assert!(restore(&payload, keyspace.seed()).is_err());
    }
    assert!(restore(b"", keyspace.seed()).is_err());
}

/// Takes the checksum off the game, so that damage reaches the decoders.
fn unsummed(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.len();
    bytes[end - 8..].fill(0);
    bytes
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = image(&mut sample(), None);
    for end in (0..bytes.len()).step_by(bytes.len() / 150) {
        assert!(load(&bytes[..end], 1, None).is_err(), "{end}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn damage_is_an_error_or_other_data_but_never_a_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        cut in any::<Option<prop::sample::Index>>(),
    ) {
        let mut bytes = unsummed(image(&mut sample(), None));
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let _ = load(&bytes[..], 1, None);
    }

    #[test]
    fn arbitrary_values_of_every_type_never_panic(kind in any::<u8>(), body in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut bytes = b"REDIS0011".to_vec();
        bytes.extend([kind, 1, b'k']);
        bytes.extend(body);
        let _ = load(&bytes[..], 1, None);
    }
}

#[test]
fn one_flipped_bit_is_caught_by_the_checksum() {
    let mut bytes = image(&mut sample(), None);
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    assert!(load(&bytes[..], 1, None).is_err());
}

#[test]
fn a_stream_that_contradicts_itself_is_refused() {
    let mut stream = Stream::default();
    stream.push(StreamId::new(5, 0), &[b"f", b"v"], Default::default());
    let mut keyspace = Keyspace::new(1);
    keyspace.insert(0, b"s", Value::Stream(Box::new(stream)), None);
    let bytes = unsummed(image(&mut keyspace, None));
    assert!(load(&bytes[..], 1, None).is_ok());
    // The count of live entries, first in the node's listpack.
    let at = bytes.windows(6).position(|w| w == [1, 1, 0, 1, 1, 1]).unwrap();
    for value in [0, 2] {
        let mut bytes = bytes.clone();
        bytes[at] = value;
        assert!(load(&bytes[..], 1, None).is_err());
    }
}
