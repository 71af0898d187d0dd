//! Deliveries over leader changes, with receivers that are away or want no more.

use super::receiver::Receiver;
use super::tools::{PATIENCE, eventually};
use crate::processes::fleet::{Fleet, GROUP, Plan, vedette};
use crate::processes::wire::Wire;
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;

fn webhook(name: &str, receiver: &Receiver) -> String {
    format!("  - {{ name: {name}, url: \"http://127.0.0.1:{}/hook\", severity: notice }}\n", receiver.port)
}

fn status(fleet: &Fleet) -> Option<Value> {
    let leader = fleet.leader();
    let reply = Wire::once(fleet.sentinels[leader].port, &["SENTINEL", "STATUS"])?;
    serde_json::from_str(reply.as_str()?).ok()
}

/// Ids of the newest events that the webhook is told, as the fleet agreed on them.
fn agreed(fleet: &Fleet) -> BTreeSet<u64> {
    let status = status(fleet).unwrap_or_default();
    // The catalogue says which kinds are told; a kind that it does not know cannot be in the log.
    let told = |event: &&Value| {
        let kind = event["kind"].as_str().unwrap();
        let row = vedette::model::event::EventKind::parse(kind).unwrap().row();
        row.severity >= vedette::model::event::Severity::Notice
    };
    status["events"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(told)
        .map(|e| e["id"].as_u64().unwrap())
        .collect()
}

fn received(receiver: &Receiver) -> BTreeSet<u64> {
    receiver.got().iter().filter_map(|got| got.event["id"].as_u64()).collect()
}

fn webhook_of(fleet: &Fleet, name: &str) -> Value {
    let status = status(fleet).unwrap_or_default();
    let found =
        status["webhooks"].as_array().into_iter().flatten().find(|hook| hook["name"] == name).cloned();
    found.unwrap_or_default()
}

/// The command, asked of a sentinel that leads or not.
fn command(port: u16, words: &[&str]) -> (bool, String) {
    let output = Command::new(vedette())
        .args(["webhooks", "--sentinel", &format!("127.0.0.1:{port}")])
        .args(words)
        .output()
        .unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), text)
}

/// The receiver goes away, things happen, the leader is killed, more happens, the receiver comes back:
/// it gets every agreed event at least once, in order, and none that was not agreed. Then the same
/// fleet meets a receiver that answers 410, and an operator.
#[test]
fn no_event_is_lost_when_the_receiver_is_away_and_the_leader_dies() {
    let mut receiver = Receiver::start();
    let gone = Receiver::start();
    let extra = format!("webhooks:\n{}{}", webhook("ops", &receiver), webhook("gone", &gone));
    let mut fleet = Fleet::start(&Plan { nodes: 2, extra, ..Plan::default() });
    fleet.wait("what happened so far is told", PATIENCE, || {
        let agreed = agreed(&fleet);
        !agreed.is_empty() && agreed.is_subset(&received(&receiver))
    });

    receiver.go_away();
    gone.say(410);
    let change = |fleet: &Fleet, value: usize| {
        let value = value.to_string();
        let port = fleet.sentinels[fleet.leader()].port;
        Wire::once(port, &["SENTINEL", "SET", GROUP, "parallel-syncs", &value])
            .is_some_and(|reply| reply.is_ok())
    };
    for value in 2..=6 {
        fleet.wait("a setting is changed", PATIENCE, || change(&fleet, value));
    }
    fleet.wait("the failing receiver is seen, and the one that is gone is disabled", PATIENCE, || {
        webhook_of(&fleet, "ops")["last_error"].is_string()
            && webhook_of(&fleet, "gone")["disabled"].is_string()
    });
    let leader = fleet.leader();
    fleet.sentinels[leader].kill();
    for value in 7..=10 {
        fleet.wait("a setting is changed under another leader", PATIENCE, || change(&fleet, value));
    }
    let tried = gone.got().len();
    receiver.come_back();
    fleet.wait("every agreed event is told", PATIENCE, || agreed(&fleet).is_subset(&received(&receiver)));

    let got = receiver.got();
    let last = *agreed(&fleet).last().unwrap();
    assert!(received(&receiver).iter().all(|id| *id <= last), "nothing that was not agreed");
    for got in &got {
        assert!(
            got.id.starts_with("evt_") && got.id.ends_with(&format!("_{}", got.event["id"])),
            "{}",
            got.id
        );
    }
    let mut seen = BTreeSet::new();
    let first: Vec<u64> =
        got.iter().filter_map(|g| g.event["id"].as_u64()).filter(|id| seen.insert(*id)).collect();
    assert!(first.is_sorted(), "first deliveries are in order: {first:?}");
    let sets = got.iter().filter(|got| got.event["type"] == "+set").map(|got| got.event["id"].as_u64());
    assert_eq!(sets.collect::<BTreeSet<_>>().len(), 9, "each change once or more, none missing");

    // The receiver that is gone stays disabled under the new leader, over a restart, until it is enabled.
    fleet.sentinels[leader].start();
    fleet.await_ready(1);
    assert!(webhook_of(&fleet, "gone")["disabled"].is_string(), "{}", webhook_of(&fleet, "gone"));
    assert_eq!(gone.got().len(), tried, "nothing more is sent to it");
    let any = fleet.sentinels[(fleet.leader() + 1) % 3].port;
    assert!(command(any, &["list"]).1.contains("disabled"), "{:?}", command(any, &["list"]));
    gone.say(200);
    assert!(command(any, &["enable", "gone"]).0);
    let report = || fleet.logs();
    eventually("it gets what it missed", &report, || agreed(&fleet).is_subset(&received(&gone)));
    let leading = fleet.sentinels[fleet.leader()].port;
    let (well, text) = command(leading, &["test", "gone"]);
    assert!(well && text.contains("delivered"), "{text}");
    assert!(gone.got().iter().any(|got| got.event["type"] == "+webhook-test"));
    assert!(!receiver.got().iter().any(|got| got.event["type"] == "+webhook-test"), "only the one tested");
    assert!(command(leading, &["test", "nobody"]).1.contains("no webhook 'nobody'"));

    // A message that is not wanted is put aside with its reason, and sent again when asked for.
    gone.say(400);
    let (well, text) = command(leading, &["test", "gone", "--timeout", "60"]);
    assert!(!well && text.contains("given up") && text.contains("400"), "{text}");
    let (_, text) = command(any, &["dead", "gone"]);
    assert!(text.contains("+webhook-test") && text.contains("400"), "{text}");
    gone.say(200);
    let dead = webhook_of(&fleet, "gone")["dead"][0]["id"].as_u64().unwrap();
    let before = gone.got().iter().filter(|got| got.event["id"] == dead).count();
    assert!(command(any, &["replay", "gone"]).0);
    eventually("it is sent again", &report, || {
        gone.got().iter().filter(|got| got.event["id"] == dead).count() > before
            && webhook_of(&fleet, "gone")["dead"].as_array().is_some_and(Vec::is_empty)
    });
    assert!(command(any, &["dead"]).1.contains("nothing was given up"));
}
