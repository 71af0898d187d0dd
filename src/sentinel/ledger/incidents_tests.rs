//! However much fails, the records stay few, and those of the others stay.

use super::*;
use crate::consensus::MAX_STATE;
use crate::model::{Offset, ReplId, RunId};
use crate::sentinel::decision::{AbortKind, Cause, Stage};
use crate::sentinel::ledger::{Ledger, REPLICAS_MAX};
use crate::sentinel::settings::Settings;

struct Fleet {
    ledger: Ledger,
    index: u64,
}

fn run(text: &str) -> RunId {
    RunId::parse(text).unwrap()
}

fn address(group: &str, port: u16) -> Address {
    // As long as a host name may be: the bound must hold for those too.
    Address::new(format!("{group}{}", ".long".repeat(40)), port)
}

impl Fleet {
    fn new(groups: &[&str], replicas: u16) -> Self {
        let mut fleet = Fleet { ledger: Ledger::default(), index: 0 };
        for name in groups {
            let settings = Settings::with_quorum(2);
            let (group, address_of) = ((*name).to_owned(), address(name, 1));
            fleet.agree(vec![Decision::Monitor { group, address: address_of, settings, configured: false }]);
            let found = (2..2 + replicas)
                .map(|p| Decision::AddReplica { group: (*name).to_owned(), address: address(name, p) });
            fleet.agree(found.collect());
        }
        fleet
    }

    fn agree(&mut self, decisions: Vec<Decision>) {
        self.index += 1;
        self.ledger.apply(self.index, &Entry { at_ms: 1_000_000 + self.index * 10, by: 1, decisions });
    }

    fn begin(&mut self, name: &str, cause: Cause) -> u64 {
        let after = self.ledger.groups[name].last_epoch;
        self.agree(vec![Decision::Begin { group: name.into(), after, cause, target: None, timeout_ms: 0 }]);
        self.ledger.groups[name].failover.as_ref().unwrap().epoch
    }

    /// One whole failover to some replica.
    fn fail_over(&mut self, name: &str) {
        let epoch = self.begin(name, Cause::Silent);
        let group = &self.ledger.groups[name];
        let replicas: Vec<Address> = group.replicas.iter().cloned().collect();
        let successor = replicas[0].clone();
        let offsets: Vec<(Address, Offset)> = replicas.iter().map(|a| (a.clone(), u64::MAX)).collect();
        let copies = replicas
            .iter()
            .map(|a| Copy { address: a.clone(), at_ms: 5, offset: u64::MAX, counts: false })
            .collect();
        self.agree(vec![
            Decision::Promote {
                group: name.into(),
                epoch,
                successor: successor.clone(),
                run_id: run("a"),
                offset: 7,
                equals: BTreeMap::new(),
                offsets,
                risk: Some("x".repeat(4000)),
            },
            Decision::Copies { group: name.into(), epoch, master: None, replicas: copies },
        ]);
        self.agree(vec![Decision::Switch {
            group: name.into(),
            epoch,
            run_id: run("a"),
            history: ReplId::parse("h").unwrap(),
            bundled: true,
        }]);
        let told = replicas.iter().skip(1).flat_map(|a| [(a.clone(), Stage::Sent), (a.clone(), Stage::Done)]);
        self.agree(vec![Decision::Repoint { group: name.into(), epoch, stages: told.collect() }]);
        self.agree(vec![Decision::End { group: name.into(), epoch, timeout: false }]);
    }
}

#[test]
fn a_group_that_fails_all_day_leaves_the_others_their_records() {
    let mut fleet = Fleet::new(&["calm", "wild"], 2);
    fleet.fail_over("calm");
    for _ in 0..300 {
        fleet.fail_over("wild");
    }
    let kept = &fleet.ledger.incidents;
    assert_eq!((kept.of("calm").count(), kept.of("wild").count()), (1, OF_ONE_GROUP_MAX));
    let newest = kept.iter().next().unwrap();
    assert_eq!((newest.group.as_str(), newest.outcome), ("wild", Outcome::Ended));
    assert!(kept.get(&newest.id).is_some() && kept.get("wild-1").is_none());
}

#[test]
fn the_largest_records_of_a_whole_fleet_fit_a_snapshot() {
    let names: Vec<String> = (0..16).map(|n| format!("g{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut fleet = Fleet::new(&names, u16::try_from(REPLICAS_MAX).unwrap());
    for _ in 0..9 {
        names.iter().for_each(|name| fleet.fail_over(name));
    }
    let kept = &fleet.ledger.incidents;
    assert_eq!(kept.iter().count(), INCIDENTS_MAX);
    assert!(kept.iter().all(|incident| incident.steps.len() == STEPS_MAX && incident.steps_dropped > 0));
    let bytes = serde_json::to_vec(kept).unwrap().len();
    assert!(bytes < MAX_STATE * 3 / 4, "{bytes}");
    assert_eq!(Ledger::decode(&fleet.ledger.encode()).unwrap(), fleet.ledger);
}

#[test]
fn failed_attempts_in_a_row_are_one_record() {
    let mut fleet = Fleet::new(&["m"], 1);
    for _ in 0..5 {
        let epoch = fleet.begin("m", Cause::Silent);
        fleet.agree(vec![Decision::Abort {
            group: "m".into(),
            epoch,
            kind: AbortKind::NoGoodReplica,
            reason: "nobody was frozen".into(),
            untouched: false,
        }]);
    }
    let records: Vec<_> = fleet.ledger.incidents.iter().collect();
    assert_eq!((records.len(), records[0].earlier_attempts), (1, 4));
    assert_eq!(records[0].reason.as_deref(), Some("nobody was frozen"));
    assert_eq!(records[0].receipt.verdict, "nothing was promoted");
}

#[test]
fn a_group_in_the_middle_of_a_failover_is_not_removed_and_its_story_goes_on() {
    let mut fleet = Fleet::new(&["m"], 1);
    fleet.begin("m", Cause::Manual);
    fleet.agree(vec![Decision::Remove { group: "m".into() }]);
    assert!(fleet.ledger.groups.contains_key("m"));
    let record = fleet.ledger.incidents.iter().next().unwrap();
    assert_eq!((record.outcome, record.planned), (Outcome::Open, true));
}

#[test]
fn a_snapshot_of_before_there_were_records_loads() {
    let fleet = Fleet::new(&["m"], 1);
    let mut value: serde_json::Value = serde_json::from_slice(&fleet.ledger.encode()[1..]).unwrap();
    value.as_object_mut().unwrap().remove("incidents").unwrap();
    let mut bytes = vec![1];
    bytes.extend(serde_json::to_vec(&value).unwrap());
    assert_eq!(Ledger::decode(&bytes).unwrap(), fleet.ledger);
}
