//! What may be asked of the fleet about itself, and why not.

use super::*;
use crate::sentinel::ledger::Ledger;

fn at(port: u16) -> Address {
    Address::new("10.0.0.1", port)
}

fn ledger() -> Ledger {
    let mut ledger = Ledger::default();
    let members = (1..=3).map(|id| (id, at(id as u16))).collect();
    decide(&mut ledger, Decision::Member(MemberDecision::Founded { members }));
    ledger
}

fn decide(ledger: &mut Ledger, decision: Decision) {
    let entry = Entry { at_ms: 1, by: 1, decisions: vec![decision] };
    ledger.apply(ledger.applied + 1, &entry);
}

fn refusal(ledger: &Ledger, words: &str) -> String {
    let words: Vec<&str> = words.split(' ').collect();
    match PeerCommand::parse(&words).expect("a command").decisions(ledger) {
        Ok(decisions) if decisions.is_empty() => "nothing to do".to_owned(),
        Ok(_) => "agreed".to_owned(),
        Err(error) => error,
    }
}

#[test]
fn words_read_back() {
    for command in [
        PeerCommand::Add { id: 4, address: at(4) },
        PeerCommand::Remove { id: 4 },
        PeerCommand::Replace { old: 3, new: 4, address: Address::new("::1", 4) },
        PeerCommand::Duplicate { id: 2 },
        PeerCommand::Failing { id: 2 },
    ] {
        let words = command.words();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        assert_eq!(PeerCommand::parse(&words), Some(command));
    }
    assert_eq!(PeerCommand::parse(&["ADD", "x", "h:1"]), None);
    assert_eq!(PeerCommand::parse(&["ADD", "4"]), None);
}

#[test]
fn a_refusal_says_why_and_what_to_do() {
    let mut ledger = ledger();
    assert_eq!(refusal(&ledger, "ADD 4 10.0.0.1:4"), "agreed");
    assert_eq!(refusal(&ledger, "ADD 3 10.0.0.1:3"), "nothing to do");
    for (words, why) in [
        ("ADD 3 10.0.0.1:9", "used before, and ids are never used again; the next free one is 4"),
        ("ADD 0 10.0.0.1:9", "0 is no id"),
        ("ADD 4 10.0.0.1:3", "10.0.0.1:3 is the address of sentinel 3"),
        ("REMOVE 9", "there is no sentinel 9; the fleet is 1, 2, 3"),
        ("REPLACE 9 10 10.0.0.1:9", "there is no sentinel 9"),
    ] {
        assert!(refusal(&ledger, words).contains(why), "{words}: {}", refusal(&ledger, words));
    }
    assert_eq!(refusal(&ledger, "REPLACE 3 4 10.0.0.1:3"), "agreed", "the same machine, another life");

    let settings = crate::sentinel::settings::Settings::with_quorum(3);
    let monitor = Decision::Monitor { group: "m".into(), address: at(99), settings, configured: false };
    decide(&mut ledger, monitor);
    assert!(refusal(&ledger, "REMOVE 3").contains("SENTINEL SET m quorum 2"));

    let begin = Decision::Begin {
        group: "m".into(),
        after: ledger.groups["m"].last_epoch,
        cause: crate::sentinel::decision::Cause::Silent,
        target: None,
        timeout_ms: 0,
    };
    decide(&mut ledger, begin);
    let why = refusal(&ledger, "ADD 4 10.0.0.1:4");
    assert!(why.contains("the failover of 'm' (epoch 3) is open"), "{why}");
}

#[test]
fn one_change_at_a_time_and_an_addition_can_be_undone() {
    let mut ledger = ledger();
    let job = Job::Add { id: 4, address: at(4), replaces: Some(3) };
    decide(&mut ledger, Decision::Member(MemberDecision::Begin { job }));
    assert_eq!(refusal(&ledger, "REPLACE 3 4 10.0.0.1:4"), "nothing to do");
    let why = refusal(&ledger, "REMOVE 2");
    assert!(why.contains("sentinel 3 is being replaced by 4"), "{why}");
    assert_eq!(refusal(&ledger, "REMOVE 4"), "agreed");
}
