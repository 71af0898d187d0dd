//! Every line of the exposition is read back.

use super::*;
use crate::observe::sample;
use std::collections::{BTreeMap, BTreeSet};

fn scrape(status: &Status) -> String {
    let mut events = EventCounts::default();
    events.observe(status);
    text(status, &events, &[]).unwrap()
}

/// Every sample as (name with labels, value); fails on anything that is not exposition text.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let (mut helped, mut typed) = (BTreeSet::new(), BTreeSet::new());
    let mut samples = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a help text");
            assert!(help.ends_with('.') || help.contains(';') || help.contains(':'), "a sentence: {help}");
            assert!(helped.insert(name.to_owned()), "{name} twice");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
            typed.insert(name.to_owned());
        } else {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            let name = series.split('{').next().unwrap();
            assert!(name.starts_with("vedette_"), "{name}");
            assert!(helped.contains(name) && typed.contains(name), "{name} has HELP and TYPE");
            assert!(samples.insert(series.to_owned(), value.parse().unwrap()).is_none(), "{series} twice");
        }
    }
    samples
}

#[test]
fn every_metric_has_help_and_type_and_says_what_the_snapshot_says() {
    let samples = samples(&scrape(&sample::failing_over()));
    let master = r#"address="10.0.1.1:6379",group="sessions",role="master""#;
    let replica = r#"address="10.0.0.2:6379",group="mymaster",role="replica""#;
    for (series, value) in [
        ("vedette_fresh".to_owned(), 1.0),
        ("vedette_raft_term".to_owned(), 12.0),
        (r#"vedette_raft_role{role="leader"}"#.to_owned(), 1.0),
        (r#"vedette_raft_role{role="follower"}"#.to_owned(), 0.0),
        (r#"vedette_peer_connected{peer="3"}"#.to_owned(), 0.0),
        (r#"vedette_group_ok{group="mymaster"}"#.to_owned(), 1.0),
        (r#"vedette_group_situation{group="sessions",situation="master_dead"}"#.to_owned(), 1.0),
        (r#"vedette_failovers_total{group="mymaster"}"#.to_owned(), 3.0),
        (r#"vedette_failover_in_progress{group="sessions"}"#.to_owned(), 1.0),
        (r#"vedette_last_switch_timestamp_seconds{group="mymaster"}"#.to_owned(), 1_795_300_000.0),
        (format!("vedette_instance_up{{{master}}}"), 0.0),
        (format!("vedette_instance_up{{{replica}}}"), 1.0),
        (format!("vedette_instance_silence_seconds{{{replica}}}"), 0.084),
        (format!("vedette_instance_offset_bytes{{{replica}}}"), 48_213_377.0),
        (format!("vedette_instance_in_sync_set{{{replica}}}"), 1.0),
        (r#"vedette_events_total{kind="+switch-master"}"#.to_owned(), 1.0),
        (r#"vedette_events_total{kind="+data-loss-risk"}"#.to_owned(), 0.0),
        ("vedette_last_event_id".to_owned(), 418.0),
        (r#"vedette_group_situation{group="sessions",situation="ok"}"#.to_owned(), 0.0),
        ("vedette_raft_commits_total".to_owned(), 40.0),
        ("vedette_raft_commit_seconds_total".to_owned(), 0.12),
        (r#"vedette_link_up{address="10.0.0.2:6379",group="mymaster"}"#.to_owned(), 1.0),
        (r#"vedette_webhook_disabled{webhook="ops"}"#.to_owned(), 0.0),
        (r#"vedette_webhook_pending{webhook="ops"}"#.to_owned(), 4.0),
        (r#"vedette_webhook_failures_total{webhook="ops"}"#.to_owned(), 9.0),
    ] {
        assert_eq!(samples.get(&series), Some(&value), "{series}");
    }
    assert!(!samples.contains_key(&format!("vedette_instance_lease_seconds{{{master}}}")), "it has none");
}

#[test]
fn events_are_counted_once_however_often_they_are_seen() {
    let status = sample::well();
    let mut events = EventCounts::default();
    events.observe(&status);
    events.observe(&status);
    let mut later = status.clone();
    let again = crate::model::event::Event { id: 419, ..later.events[5].clone() };
    later.events.remove(0);
    later.events.push(again);
    events.observe(&later);
    assert_eq!(events.of(EventKind::SwitchMaster), 2);
    assert_eq!(events.of(EventKind::Monitor), 1);
}

#[test]
fn names_from_outside_stay_inside_their_label() {
    let mut status = sample::well();
    status.groups[0].name = "a\"} 1\nevil 1 \\".into();
    let text = scrape(&status);
    assert!(!text.lines().any(|line| line.starts_with("evil")));
    assert!(text.contains(r#"vedette_group_ok{group="a\"} 1\nevil 1 \\"} 1"#));
}

#[test]
fn an_empty_snapshot_is_still_a_page_of_metrics() {
    assert!(samples(&scrape(&Status::default())).contains_key("vedette_fresh"));
}
