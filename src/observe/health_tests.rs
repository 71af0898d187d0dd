//! What a load balancer hears, as tables.

use super::*;
use crate::observe::{aged, sample};

fn code(answer: &Answer) -> u16 {
    assert!(answer.body["text"].as_str().is_some_and(|text| text.ends_with('.')), "a sentence: {answer:?}");
    assert_eq!(answer.body["ok"], answer.code == 200);
    answer.code
}

fn ask(status: &Status, path: &str) -> u16 {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let (kind, group) = path[1..].split_once('/').unwrap();
    let field = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let question = Question { group, address: field("address"), lag: field("lag") };
    code(&if kind == "master" { master(status, &question) } else { replica(status, &question) })
}

/// One row per question: in a fleet that is well, out of touch in safe mode, and with the master
/// held to be down while both replicas have lost it.
#[test]
fn what_load_balancers_hear() {
    let well = sample::well();
    let mut lost = sample::well();
    lost.fresh = false;
    let mut dead = sample::failing_over();
    dead.groups.swap(0, 1);
    dead.groups[0].name = "mymaster".into();
    dead.groups[0].master.address = well.groups[0].master.address.clone();
    dead.groups[0].replicas[0].address = well.groups[0].replicas[0].address.clone();
    let table = [
        ("/master/mymaster", 200, 503, 200),
        ("/master/mymaster?address=10.0.0.1:6379", 200, 503, 503),
        ("/master/mymaster?address=10.0.0.2:6379", 503, 503, 503),
        ("/master/mymaster?address=10.9.9.9:6379", 503, 503, 503),
        ("/master/mymaster?address=nonsense", 400, 400, 400),
        ("/replica/mymaster", 200, 503, 503),
        ("/replica/mymaster?address=10.0.0.2:6379", 200, 503, 503),
        ("/replica/mymaster?address=10.0.0.1:6379", 503, 503, 503),
        ("/replica/mymaster?address=10.9.9.9:6379", 503, 503, 503),
        ("/replica/mymaster?lag=lots", 400, 503, 400),
        ("/master/unknown", 404, 503, 404),
        ("/replica/unknown", 404, 503, 404),
    ];
    for (path, when_well, when_lost, when_dead) in table {
        let codes = (ask(&well, path), ask(&lost, path), ask(&dead, path));
        assert_eq!(codes, (when_well, when_lost, when_dead), "{path}");
    }
}

#[test]
fn available_mode_answers_from_the_last_agreement_and_says_so() {
    let mut status = sample::well();
    status.fresh = false;
    status.groups[0].mode = "available".into();
    let question = Question { group: "mymaster", address: Some("10.0.0.1:6379"), lag: None };
    let answer = master(&status, &question);
    assert_eq!((code(&answer), &answer.body["fresh"]), (200, &Value::Bool(false)));
    assert_eq!(answer.body["address"], "10.0.0.1:6379");
}

#[test]
fn a_replica_is_offered_only_within_the_lag_asked_for() {
    let mut status = sample::well();
    let at =
        |status: &Status, lag| ask(status, &format!("/replica/mymaster?address=10.0.0.2:6379&lag={lag}"));
    status.groups[0].replicas[0].lag_bytes = Some(1025);
    assert_eq!(at(&status, "1k"), 503);
    assert_eq!(at(&status, "1025"), 200);
    assert_eq!(at(&status, "1MB"), 200);
    status.groups[0].replicas[0].lag_bytes = None;
    assert_eq!(at(&status, "1gb"), 503, "what is not known is not within");
    assert_eq!(ask(&status, "/replica/mymaster?address=10.0.0.2:6379"), 200, "nothing was asked");
    for broken in [
        |replica: &mut InstanceStatus| replica.sdown = true,
        |replica: &mut InstanceStatus| replica.reachable = false,
        |replica: &mut InstanceStatus| replica.link_up = Some(false),
        |replica: &mut InstanceStatus| replica.link_up = None,
        |replica: &mut InstanceStatus| replica.role = "master".into(),
    ] {
        let mut status = sample::well();
        broken(&mut status.groups[0].replicas[0]);
        assert_eq!(ask(&status, "/replica/mymaster?address=10.0.0.2:6379"), 503);
        let all = replica(&status, &Question { group: "mymaster", ..Question::default() });
        assert_eq!(all.body["addresses"], json!(["10.0.0.3:6379"]));
    }
}

#[test]
fn ready_means_fresh_and_led() {
    let mut status = sample::well();
    assert_eq!(code(&ready(&status)), 200);
    status.raft_leader = None;
    assert_eq!(code(&ready(&status)), 503);
    status.raft_leader = Some(2);
    status.fresh = false;
    assert_eq!(code(&ready(&status)), 503);
    assert_eq!(code(&alive(&status)), 200);
}

#[test]
fn an_old_snapshot_vouches_for_nothing() {
    let status = sample::well();
    assert!(aged(&status, 3_000).is_none());
    let old = aged(&status, 3_001).unwrap();
    assert_eq!(ask(&old, "/master/mymaster"), 503);
    assert_eq!(code(&ready(&old)), 503);
}

#[test]
fn sizes_and_haproxy_state_are_read_strictly() {
    for (text, bytes) in [("0", Some(0)), ("512k", Some(524_288)), ("2gb", Some(2 << 30)), ("10b", Some(10))]
    {
        assert_eq!(parse_bytes(text), bytes, "{text}");
    }
    for bad in ["", "b", "k", "-1", "1.5m", "99999999999999999999", "99999999999g", "é"] {
        assert_eq!(parse_bytes(bad), None, "{bad}");
    }
    let state = "UP 2/3; address=10.0.0.1; port=6379; name=redis/r1; node=lb1; weight=1/1; scur=0/0; qcur=0";
    assert_eq!(haproxy_server(state).as_deref(), Some("10.0.0.1:6379"));
    assert_eq!(haproxy_server("UP; address=fd00::1; port=6379").as_deref(), Some("[fd00::1]:6379"));
    assert_eq!(haproxy_server("UP 2/3; name=redis/r1"), None);
}
