//! Reopening, refusing, and every way a file can be damaged.

use super::*;
use crate::consensus::{LogEntry, SnapshotRecord};
use std::os::unix::fs::PermissionsExt;

fn entry(index: u64, term: u64) -> LogEntry {
    LogEntry { index, term, kind: 0, data: format!("value {index}").into_bytes() }
}

fn commits() -> Vec<Persist> {
    let hard = |term, commit| Some(HardState { term, vote: 2, commit });
    let founding =
        SnapshotRecord { index: 0, term: 0, voters: vec![1, 2, 3], learners: vec![4], state: Vec::new() };
    let snapshot =
        SnapshotRecord { index: 2, term: 1, voters: vec![1, 2, 3], learners: vec![4], state: vec![7; 9000] };
    vec![
        Persist { snapshot: Some(founding), ..Persist::default() },
        Persist {
            entries: vec![entry(1, 1), entry(2, 1), entry(3, 1), entry(4, 1)],
            hard_state: hard(1, 0),
            ..Persist::default()
        },
        Persist {
            truncate_from: Some(4),
            entries: vec![entry(4, 2), entry(5, 2)],
            hard_state: hard(2, 3),
            ..Persist::default()
        },
        Persist { snapshot: Some(snapshot), hard_state: hard(2, 4), ..Persist::default() },
    ]
}

/// What the disk must hold after all of `commits`.
fn expected() -> Stored {
    Stored {
        snapshot: commits().pop().unwrap().snapshot,
        entries: vec![entry(3, 1), entry(4, 2), entry(5, 2)],
        hard_state: HardState { term: 2, vote: 2, commit: 4 },
    }
}

fn filled(dir: &Path) -> String {
    let (mut log, stored, identity) = open(dir, 3).unwrap();
    assert!(identity.fresh);
    assert_eq!(stored, Stored::default());
    for persist in commits() {
        log.append(&persist).unwrap();
    }
    log.bind_cluster("c1").unwrap();
    identity.uuid
}

#[test]
fn what_was_committed_is_there_after_reopening_under_the_same_identity() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("deep/sentinel");
    let uuid = filled(&home);
    let (mut log, stored, identity) = open(&home, 3).unwrap();
    assert_eq!(stored, expected());
    assert_eq!(identity, NodeIdentity { id: 3, uuid, cluster: Some("c1".to_owned()), fresh: false });
    log.bind_cluster("c1").unwrap();
    let text = log.bind_cluster("c2").unwrap_err().to_string();
    assert!(text.contains("belongs to cluster c1 and cannot join cluster c2"), "{text}");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&home), mode(log.path())), (0o700, 0o600));
}

#[test]
fn a_second_process_and_another_node_are_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let first = open(dir.path(), 3).unwrap();
    let text = open(dir.path(), 3).err().unwrap().to_string();
    assert!(text.contains("in use by another process"), "{text}");
    drop(first);
    let text = open(dir.path(), 4).err().unwrap().to_string();
    assert!(text.contains("belongs to node 3, but this node is configured as 4"), "{text}");
}

#[test]
fn what_is_no_database_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    for bytes in [Vec::new(), b"x".to_vec(), b"hello ".repeat(3000), vec![0; 100_000]] {
        std::fs::write(&path, &bytes).unwrap();
        let text = open(dir.path(), 3).err().unwrap().to_string();
        assert!(text.contains("is damaged") && text.contains("must not vote again"), "{text}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
}

#[test]
fn a_crash_while_it_was_made_leaves_nothing_in_the_way() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(UNFINISHED), b"half of").unwrap();
    filled(dir.path());
    assert!(!dir.path().join(UNFINISHED).exists());
}

#[test]
fn two_nodes_never_share_a_uuid() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    assert_ne!(open(one.path(), 1).unwrap().2.uuid, open(two.path(), 1).unwrap().2.uuid);
}

/// Opens a copy made of `bytes`: either an error, or exactly what was committed. An older state would
/// be a forgotten vote.
fn all_or_nothing(bytes: &[u8], what: &str) -> bool {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(FILE), bytes).unwrap();
    match open(dir.path(), 3) {
        Ok((_, stored, identity)) => {
            assert!(!identity.fresh, "{what} passes for a new log");
            assert_eq!(stored, expected(), "{what} shows another state");
            assert_eq!(identity.cluster.as_deref(), Some("c1"), "{what} forgot its cluster");
            true
        }
        Err(OpenError::Damaged { .. }) => false,
        Err(other) => panic!("{what} is reported as something else: {other}"),
    }
}

/// The file as a clean stop leaves it, and as a killed process does.
fn images() -> [Vec<u8>; 2] {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let path = dir.path().join(FILE);
    let stopped = std::fs::read(&path).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    let (mut log, ..) = open(dir.path(), 3).unwrap();
    log.bind_cluster("c1").unwrap();
    for persist in commits() {
        log.append(&persist).unwrap();
    }
    [stopped, std::fs::read(&path).unwrap()]
}

#[test]
fn a_killed_process_loses_nothing_that_was_committed() {
    for (bytes, what) in images().iter().zip(["the file after a stop", "the file after a kill"]) {
        assert!(all_or_nothing(bytes, what), "{what} is refused");
    }
}

#[test]
fn a_file_cut_anywhere_is_whole_or_refused() {
    for bytes in images() {
        let places = (1..bytes.len()).step_by((bytes.len() / 40).max(1));
        let refused = places.filter(|&at| !all_or_nothing(&bytes[..at], &format!("cut at {at}")));
        assert!(refused.count() > 10);
    }
}

#[test]
fn a_byte_flipped_anywhere_changes_nothing_or_is_refused() {
    for bytes in images() {
        // All of the header, then pages that hold anything.
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        let places = (0..320).chain((320..used).step_by((used / 150).max(1)));
        let refused = places.filter(|&at| at < 320 || bytes[at] != 0).filter(|&at| {
            let mut bent = bytes.clone();
            bent[at] ^= 0x55;
            !all_or_nothing(&bent, &format!("byte {at} flipped"))
        });
        assert!(refused.count() > 10);
    }
}
