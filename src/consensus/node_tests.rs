//! Nonsense from peers, and stored logs that contradict themselves.

use super::*;
use crate::consensus::LogEntry;
use crate::consensus::mirror::{entry_from_record, snapshot_from_record};
use proptest::prelude::*;

fn settings() -> Settings {
    Settings {
        id: 1,
        voters: vec![1, 2, 3],
        heartbeat_ms: 50,
        election_ms_min: 300,
        election_ms_max: 600,
        compact_after_entries: 3,
    }
}

fn entry(index: u64, term: u64) -> LogEntry {
    LogEntry { index, term, kind: 0, data: b"x".to_vec() }
}

#[derive(Clone, Debug)]
enum Step {
    Message(Box<Message>),
    Wait(u64),
    Propose,
    Compact,
    Unreachable(NodeId),
    Restart,
}

fn message() -> impl Strategy<Value = Message> {
    let kinds = prop::sample::select(vec![
        MessageType::MsgAppend,
        MessageType::MsgAppend,
        MessageType::MsgAppendResponse,
        MessageType::MsgRequestVote,
        MessageType::MsgRequestVoteResponse,
        MessageType::MsgSnapshot,
        MessageType::MsgHeartbeat,
        MessageType::MsgHeartbeatResponse,
        MessageType::MsgRequestPreVote,
        MessageType::MsgRequestPreVoteResponse,
        MessageType::MsgTimeoutNow,
    ]);
    let numbers = prop::collection::vec(0..7u64, 6);
    // Mostly in order, so that many get past the gate.
    let entries = prop_oneof![
        3 => (0..4u64, 0..3u64).prop_map(|(count, grow)| (0..count).map(|i| (i + 1, grow)).collect()),
        1 => prop::collection::vec((0..9u64, 0..7u64), 0..4),
    ];
    let ids = || prop::collection::vec(0..4u64, 0..4);
    let snapshot = prop::option::of((0..9u64, 0..7u64, ids(), ids()));
    (kinds, 2..5u64, numbers, any::<bool>(), entries, snapshot).prop_map(
        |(kind, from, numbers, reject, entries, snapshot): (_, _, _, _, Vec<(u64, u64)>, _)| {
            let mut message = Message { from, to: 1, term: numbers[0], ..Message::default() };
            message.set_msg_type(kind);
            (message.log_term, message.index, message.commit) = (numbers[1], numbers[2], numbers[3]);
            (message.commit_term, message.reject_hint) = (numbers[4], numbers[5]);
            message.reject = reject;
            let (base, term) = (message.index, message.log_term);
            let entries = entries.into_iter().map(|(offset, grow)| entry(base + offset, term + grow));
            message.set_entries(entries.map(entry_from_record).collect());
            if let Some((index, term, voters, learners)) = snapshot {
                let record = SnapshotRecord { index, term, voters, learners, state: b"s".to_vec() };
                message.set_snapshot(snapshot_from_record(&record));
            }
            message
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => message().prop_map(|message| Step::Message(Box::new(message))),
        4 => (1..700u64).prop_map(Step::Wait),
        1 => Just(Step::Propose),
        1 => Just(Step::Compact),
        1 => (0..5u64).prop_map(Step::Unreachable),
        1 => Just(Step::Restart),
    ]
}

/// What the disk makes of the actions.
fn carry_out(stored: &mut Stored, actions: &mut Vec<Action>) {
    for action in actions.drain(..) {
        let Action::Persist(persist) = action else { continue };
        if let Some(snapshot) = persist.snapshot {
            stored.entries.retain(|entry| entry.index > snapshot.index);
            stored.snapshot = Some(snapshot);
        }
        if let Some(from) = persist.truncate_from {
            stored.entries.retain(|entry| entry.index < from);
        }
        stored.entries.extend(persist.entries);
        stored.hard_state = persist.hard_state.unwrap_or(stored.hard_state);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn no_message_of_a_peer_makes_it_panic_or_leaves_a_disk_it_cannot_start_from(
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let mut stored = Stored::default();
        let mut ms = 0;
        let (mut node, mut actions) =
            Consensus::new(settings(), stored.clone(), 1, Now::at_millis(ms)).unwrap();
        for step in steps {
            match step {
                Step::Message(message) => {
                    let bytes = codec::encode_message(&message).unwrap();
                    let input = Input::Message { from: message.from, bytes };
                    node.handle(Now::at_millis(ms), input, &mut actions);
                }
                Step::Wait(more) => {
                    let until = ms + more;
                    while ms < until {
                        ms += 13;
                        node.handle(Now::at_millis(ms), Input::Tick, &mut actions);
                    }
                }
                Step::Propose => drop(node.propose(Now::at_millis(ms), b"p".to_vec(), &mut actions)),
                Step::Compact => node.compact(node.applied(), b"s".to_vec(), &mut actions).unwrap(),
                Step::Unreachable(peer) => {
                    node.handle(Now::at_millis(ms), Input::Unreachable { peer }, &mut actions);
                }
                Step::Restart => {
                    carry_out(&mut stored, &mut actions);
                    let again = Consensus::new(settings(), stored.clone(), ms, Now::at_millis(ms));
                    if let Err(StartError::NotAMember { .. }) = again {
                        // A snapshot without us: the fleet says we are no member.
                        return Ok(());
                    }
                    (node, actions) = again.unwrap();
                }
            }
            carry_out(&mut stored, &mut actions);
        }
    }
}

fn refusal(change: impl FnOnce(&mut Settings, &mut Stored)) -> String {
    let mut settings = settings();
    let mut stored = Stored {
        snapshot: Some(SnapshotRecord {
            index: 4,
            term: 2,
            voters: vec![1, 2, 3],
            learners: vec![],
            state: b"s".to_vec(),
        }),
        entries: vec![entry(5, 2), entry(6, 3)],
        hard_state: HardState { term: 3, vote: 0, commit: 5 },
    };
    change(&mut settings, &mut stored);
    match Consensus::new(settings, stored, 1, Now::at_millis(0)) {
        Ok(_) => "starts".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_stored_log_that_contradicts_itself_is_refused_with_the_place() {
    assert_eq!(refusal(|_, _| {}), "starts");
    type Change = fn(&mut Settings, &mut Stored);
    let cases: [(&str, Change); 9] = [
        ("entry 7 follows entry 5", |_, stored| stored.entries[1].index = 7),
        ("entry 6 is of term 1 but", |_, stored| stored.entries[1].term = 1),
        ("up to 9 are said to be committed", |_, stored| stored.hard_state.commit = 9),
        ("up to 3 are said to be committed", |_, stored| stored.hard_state.commit = 3),
        ("node's own term is 2", |_, stored| stored.hard_state.term = 2),
        ("entry 5 of the stored raft log changes", |_, stored| stored.entries[0].kind = 1),
        ("not one of the voters [1, 2, 3]", |settings, _| settings.id = 4),
        ("names voter 2 twice", |settings, _| settings.voters = vec![1, 2, 2]),
        ("two heartbeats", |settings, _| settings.election_ms_min = 60),
    ];
    for (words, change) in cases {
        let text = refusal(change);
        assert!(text.contains(words), "{words:?} is not in {text:?}");
    }
}

#[test]
fn a_state_too_large_to_send_is_not_compacted() {
    let (mut node, mut actions) =
        Consensus::new(settings(), Stored::default(), 1, Now::at_millis(0)).unwrap();
    let bytes = MAX_STATE + 1;
    assert_eq!(node.compact(1, vec![0; bytes], &mut actions), Err(StateTooLarge { bytes }));
}
