//! What settings and a stored log must satisfy before a node starts from them. The raft crate panics
//! on a log that contradicts itself; here that is an error which names the place and the remedy.

use super::{Settings, SnapshotRecord, Stored, members};
use crate::model::NodeId;

/// Why a node cannot start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    #[error("{what}; correct the configuration")]
    Settings { what: String },
    #[error(
        "node {id} is not one of the voters {voters:?} of its own log; set `id` to the number this \
         data directory was made for, or give this node a data directory of its own"
    )]
    NotAMember { id: NodeId, voters: Vec<NodeId> },
    #[error(
        "the stored raft log contradicts itself: {what}. It was damaged or put together from parts of \
         different age, so this node must not vote on it"
    )]
    Contradiction { what: String },
    #[error(
        "entry {index} of the stored raft log changes the membership in a way that this version does not know; \
         start the version that wrote it"
    )]
    Membership { index: u64 },
}

fn settings_error<T>(what: impl Into<String>) -> Result<T, StartError> {
    Err(StartError::Settings { what: what.into() })
}

fn contradiction<T>(what: String) -> Result<T, StartError> {
    Err(StartError::Contradiction { what })
}

/// The snapshot to start from (for an empty log one that names the founding voters), if all is well.
pub(super) fn check(settings: &Settings, stored: &Stored) -> Result<SnapshotRecord, StartError> {
    check_settings(settings)?;
    let founded = || SnapshotRecord { voters: settings.voters.clone(), ..SnapshotRecord::default() };
    let snapshot = stored.snapshot.clone().unwrap_or_else(founded);
    // A node that joins has been told nothing yet.
    let joins = snapshot.index == 0 && snapshot.voters.is_empty();
    if joins && !stored.entries.is_empty() {
        return contradiction("it holds entries but no voter ever".to_owned());
    }
    if !joins {
        if let Some(what) = members_fault(&snapshot.voters, &snapshot.learners) {
            return contradiction(format!("its snapshot {what}"));
        }
        if !snapshot.voters.contains(&settings.id) && !snapshot.learners.contains(&settings.id) {
            return Err(StartError::NotAMember { id: settings.id, voters: snapshot.voters });
        }
    }
    if (snapshot.index == 0) != (snapshot.term == 0) {
        let SnapshotRecord { index, term, .. } = snapshot;
        return contradiction(format!("its snapshot is at index {index} but of term {term}"));
    }
    let (mut index, mut term) = (snapshot.index, snapshot.term);
    for entry in &stored.entries {
        if entry.index != index + 1 {
            return contradiction(format!("entry {} follows entry {index}", entry.index));
        }
        if entry.term < term || entry.term == 0 {
            return contradiction(format!(
                "entry {} is of term {} but the one before it of term {term}",
                entry.index, entry.term
            ));
        }
        let known = entry.kind == 0 || (entry.kind == 2 && members::decode(&entry.data).is_ok());
        if !known {
            return Err(StartError::Membership { index: entry.index });
        }
        (index, term) = (entry.index, entry.term);
    }
    let hard_state = stored.hard_state;
    if hard_state.term < term {
        return contradiction(format!(
            "its newest entry is of term {term} but the node's own term is {}",
            hard_state.term
        ));
    }
    if hard_state.commit < snapshot.index || hard_state.commit > index {
        return contradiction(format!(
            "entries up to {} are said to be committed but it holds {} to {index}",
            hard_state.commit,
            snapshot.index + 1,
        ));
    }
    Ok(snapshot)
}

fn check_settings(settings: &Settings) -> Result<(), StartError> {
    if settings.id == 0 {
        return settings_error("the node id is 0, which is reserved");
    }
    let founds = !settings.voters.is_empty();
    if let Some(what) = members_fault(&settings.voters, &[]).filter(|_| founds) {
        return settings_error(format!("the list of peers {what}"));
    }
    let Settings { heartbeat_ms, election_ms_min: min, election_ms_max: max, .. } = *settings;
    if heartbeat_ms == 0 || heartbeat_ms > 60_000 {
        return settings_error(format!("a raft heartbeat of {heartbeat_ms} ms is not within 1 to 60000"));
    }
    if min < heartbeat_ms * 2 {
        return settings_error(format!(
            "the shortest election timeout, {min} ms, is less than two heartbeats of {heartbeat_ms} ms"
        ));
    }
    if max < min + heartbeat_ms || max > 3_600_000 {
        return settings_error(format!(
            "the longest election timeout, {max} ms, must exceed the shortest, {min} ms, by a heartbeat, \
             and not exceed an hour"
        ));
    }
    Ok(())
}

/// What is wrong with a set of members, as the end of a sentence.
pub(super) fn members_fault(voters: &[NodeId], learners: &[NodeId]) -> Option<String> {
    if voters.is_empty() {
        return Some("names no voter".to_owned());
    }
    if voters.contains(&0) || learners.contains(&0) {
        return Some("names a voter 0, which is reserved".to_owned());
    }
    // The crate ends in a loop of crashes over an id that is both.
    let mut sorted = [voters, learners].concat();
    sorted.sort_unstable();
    let twice = sorted.windows(2).find(|pair| pair[0] == pair[1])?;
    Some(format!("names voter {} twice", twice[0]))
}
