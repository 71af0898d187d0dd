//! Messages to bytes and back, and bytes that are none.

use super::*;
use proptest::prelude::*;

fn entry() -> impl Strategy<Value = LogEntry> {
    (0..MAX_NUMBER, 0..MAX_NUMBER, 0u8..3, prop::collection::vec(any::<u8>(), 0..40))
        .prop_map(|(index, term, kind, data)| LogEntry { index, term, kind, data })
}

fn snapshot() -> impl Strategy<Value = SnapshotRecord> {
    let ids = || prop::collection::vec(0..1u64 << 63, 0..9);
    (0..MAX_NUMBER, 0..MAX_NUMBER, ids(), ids(), prop::collection::vec(any::<u8>(), 0..99)).prop_map(
        |(index, term, voters, learners, state)| SnapshotRecord { index, term, voters, learners, state },
    )
}

fn message() -> impl Strategy<Value = Message> {
    let numbers = prop::collection::vec(0..=MAX_NUMBER, 6);
    let lists = (prop::collection::vec(entry(), 0..6), prop::option::of(snapshot()));
    let context = prop::collection::vec(any::<u8>(), 0..MAX_CONTEXT);
    (0..KINDS.len(), numbers, any::<bool>(), context, lists).prop_map(
        |(kind, numbers, reject, context, (entries, snapshot))| {
            let mut message = Message::default();
            message.set_msg_type(KINDS[kind].1);
            (message.from, message.to, message.term) = (2, 1, numbers[0]);
            (message.log_term, message.index, message.commit) = (numbers[1], numbers[2], numbers[3]);
            (message.commit_term, message.reject_hint) = (numbers[4], numbers[5]);
            message.reject = reject;
            message.context = context.into();
            message.set_entries(entries.into_iter().map(entry_from_record).collect());
            if let Some(record) = snapshot {
                message.set_snapshot(snapshot_from_record(&record));
            }
            message
        },
    )
}

proptest! {
    #[test]
    fn messages_come_back_as_they_left(message in message()) {
        let bytes = encode_message(&message).unwrap();
        prop_assert_eq!(decode_message(&bytes, 2, 1), Ok(message));
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode_message(&bytes, 2, 1);
    }

    #[test]
    fn a_message_cut_short_or_bent_is_never_a_panic(message in message(), at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let mut bytes = encode_message(&message).unwrap();
        let at = at.index(bytes.len());
        prop_assert!(decode_message(&bytes[..at], 2, 1).is_err());
        bytes[at] ^= 1 << bit;
        let _ = decode_message(&bytes, 2, 1);
    }
}

#[test]
fn kinds_that_are_local_to_a_node_do_not_travel() {
    let mut message = Message::default();
    for kind in [MessageType::MsgHup, MessageType::MsgPropose, MessageType::MsgReadIndex] {
        message.set_msg_type(kind);
        assert_eq!(encode_message(&message), None);
    }
}

#[test]
fn numbers_near_overflow_are_refused() {
    let mut message = Message::default();
    message.set_msg_type(MessageType::MsgHeartbeat);
    message.term = u64::MAX;
    let bytes = encode_message(&message).unwrap();
    assert_eq!(decode_message(&bytes, 2, 1), Err(Malformed::Meaningless));
}
