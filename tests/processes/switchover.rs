//! Planned switchovers of real processes: nothing is lost, nobody is told anything but READONLY or
//! cut off, and what cannot be done is undone.

use super::fleet::{Data, Fleet, GROUP, Plan};
use super::wire::Wire;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use vedette::resp::Reply;

const PATIENCE: Duration = Duration::from_secs(20);

/// What a client that writes without WAIT was told.
#[derive(Default)]
struct Told {
    acknowledged: BTreeSet<u64>,
    /// Neither OK nor READONLY.
    strange: Vec<String>,
}

/// Writes one number after the other at the published address until it is stopped.
struct PlainWriter {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Told>,
}

impl PlainWriter {
    fn start(sentinels: Vec<u16>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let ended = stop.clone();
        let thread = std::thread::spawn(move || {
            let (mut told, mut value, mut wire) = (Told::default(), 0_u64, None);
            while !ended.load(Ordering::Relaxed) {
                let Some(connection) = wire.as_mut() else {
                    wire = sentinels.iter().find_map(|&port| {
                        let found = Wire::once(port, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", GROUP])?;
                        let port = found.as_array()?.get(1)?.as_integer()?;
                        // Longer than any pause: a write that waits is waited for.
                        Wire::connect(port as u16, PATIENCE)
                    });
                    continue;
                };
                value += 1;
                match Wire::call(connection, &["SADD", "plain", &value.to_string()]) {
                    Some(Reply::Integer(_)) => {
                        told.acknowledged.insert(value);
                        continue;
                    }
                    Some(Reply::Error(text)) if text.starts_with("READONLY") => {}
                    Some(other) => told.strange.push(format!("{other:?}")),
                    // Cut off: whether it was done is not known, and nobody said so.
                    None => {}
                }
                wire = None;
                std::thread::sleep(Duration::from_millis(1));
            }
            told
        });
        PlainWriter { stop, thread }
    }

    fn finish(self) -> Told {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn members(port: u16) -> BTreeSet<u64> {
    let reply = Wire::connect(port, PATIENCE).and_then(|mut wire| wire.call(&["SMEMBERS", "plain"])).unwrap();
    reply.as_array().unwrap().iter().filter_map(|m| m.as_str()?.parse().ok()).collect()
}

fn writes(port: u16) -> Option<u64> {
    Wire::once(port, &["SCARD", "plain"])?.as_integer().map(|count| count as u64)
}

fn there_and_back(data: Data) {
    let fleet = Fleet::start(&Plan { data, down_after_ms: 5000, ..Plan::default() });
    let writer = PlainWriter::start(fleet.sentinels.iter().map(|s| s.port).collect());
    for round in 0..4 {
        let old = fleet.master().unwrap();
        let before = writes(old).unwrap_or(0);
        fleet.wait("the writer gets on", PATIENCE, || writes(old).is_some_and(|now| now > before + 50));
        let target = fleet.data.iter().map(|process| process.port).find(|&port| port != old).unwrap();
        // The sync set of the last round is settled first, and a machine that stands still may have one
        // undone: asked again, which is harmless while one runs and refused when it is done.
        let to = format!("127.0.0.1:{target}");
        fleet.wait("the switchover is done", PATIENCE, || {
            let words = ["SENTINEL", "FAILOVER", GROUP, "COORDINATED", "TO", &to];
            let _ = Wire::once(fleet.sentinels[round % 3].port, &words);
            fleet.master() == Some(target)
        });
        let (new, _) = fleet.await_switch(old, PATIENCE);
        fleet.wait("the writer goes on at the new master", PATIENCE, || {
            writes(new).is_some_and(|now| now > before + 100)
        });
        fleet.await_replicas(new);
        fleet.await_ready(2);
    }
    let told = writer.finish();
    let missing: Vec<_> = told.acknowledged.difference(&members(fleet.master().unwrap())).copied().collect();
    assert!(missing.is_empty(), "acknowledged and gone: {missing:?}\n{}", fleet.logs());
    assert!(told.strange.is_empty(), "{:?}", told.strange);
    assert!(told.acknowledged.len() > 200, "{}", told.acknowledged.len());
}

#[test]
fn a_planned_switchover_loses_nothing_and_fails_no_write() {
    there_and_back(Data::Bundled);
}

#[test]
fn a_planned_switchover_of_stock_servers_loses_nothing_and_fails_no_write() {
    there_and_back(Data::Stock);
}

/// The wanted standby stands still: writes go on at the old master, in the same epoch, and everybody is told why.
fn undone(data: Data) {
    let fleet = Fleet::start(&Plan { data, down_after_ms: 5000, ..Plan::default() });
    let old = fleet.master().unwrap();
    let standby = fleet.data.iter().find(|process| process.port != old).unwrap();
    let mut client = Wire::connect(old, PATIENCE).unwrap();
    assert!(client.call(&["SET", "before", "1"]).is_some_and(|reply| reply.is_ok()));
    let epoch = || {
        let reply = Wire::once(fleet.sentinels[0].port, &["SENTINEL", "MASTER", GROUP])?;
        super::fleet::field(&reply, "config-epoch")
    };
    let before = epoch();
    standby.stop();
    let to = format!("127.0.0.1:{}", standby.port);
    let words = ["SENTINEL", "FAILOVER", GROUP, "TO", &to, "TIMEOUT", "300"];
    assert!(Wire::once(fleet.sentinels[0].port, &words).is_some_and(|reply| reply.is_ok()));
    fleet.wait("it is undone, and told with its reason", PATIENCE, || {
        let reply = Wire::once(fleet.sentinels[0].port, &["SENTINEL", "STATUS"]);
        reply
            .as_ref()
            .and_then(|reply| reply.as_str())
            .is_some_and(|text| text.contains("-switchover-rolled-back") && text.contains("does not answer"))
    });
    // A machine that stands still for a lease's length may refuse one, whatever was undone.
    fleet.wait("writes go on on the same connection", PATIENCE, || {
        client.call(&["SET", "after", "2"]).is_some_and(|reply| reply.is_ok())
    });
    assert_eq!(fleet.master(), Some(old));
    assert_eq!(epoch(), before, "no server heard of the switchover");
    standby.resume();
    fleet.await_replicas(old);
}

#[test]
fn a_switchover_that_cannot_be_is_undone() {
    undone(Data::Bundled);
}

#[test]
fn a_switchover_of_stock_servers_that_cannot_be_is_undone() {
    undone(Data::Stock);
}

/// Begun by itself when its time comes.
#[test]
fn a_scheduled_switchover_begins_at_its_time() {
    let fleet = Fleet::start(&Plan::default());
    let old = fleet.master().unwrap();
    let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let at = (wall.as_secs() + 3).to_string();
    let sentinel = fleet.sentinels[1].port;
    assert!(
        Wire::once(sentinel, &["SENTINEL", "FAILOVER", GROUP, "AT", &at]).is_some_and(|reply| reply.is_ok())
    );
    let listed = Wire::once(sentinel, &["SENTINEL", "FAILOVER", GROUP, "SCHEDULED"]).unwrap();
    assert_eq!(listed.as_array().map(<[Reply]>::len), Some(2), "{listed:?}");
    assert_eq!(fleet.master(), Some(old));
    fleet.await_switch(old, PATIENCE);
}
