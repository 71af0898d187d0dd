//! The promises on real processes: kill, stop, empty restart, leader and master together; on our
//! server and on stock Redis.

use super::fleet::{Data, Fleet, Plan};
use super::wire::Wire;
use super::writer::{Writer, lost};
use std::time::Duration;

const SWITCH_MAX: Duration = Duration::from_secs(15);

fn sentinel_ports(fleet: &Fleet) -> Vec<u16> {
    fleet.sentinels.iter().map(|sentinel| sentinel.port).collect()
}

/// P2: twenty masters die under a writer that follows every write with WAIT 1, and nothing that WAIT
/// promised is missing, after each of them.
#[test]
fn twenty_killed_masters_lose_no_promised_write() {
    let mut fleet = Fleet::start(&Plan::default());
    let writer = Writer::start(sentinel_ports(&fleet));
    for round in 1..=20 {
        let master = fleet.master().expect("a master is named");
        let before = writer.acknowledged().len();
        fleet.wait("the writer gets on", Duration::from_secs(20), || {
            writer.acknowledged().len() > before + 20 && writer.last_port() == Some(master)
        });
        let index = fleet.index_of(master);
        fleet.data[index].kill();
        let (successor, _) = fleet.await_switch(master, SWITCH_MAX);
        fleet.data[index].start();
        fleet.await_replicas(successor);
        fleet.await_ready(2);
        let missing = lost(successor, &writer.acknowledged());
        assert!(missing.is_empty(), "round {round}: promised writes are gone: {missing:?}\n{}", fleet.logs());
    }
    let acknowledged = writer.finish();
    let promised = acknowledged.iter().filter(|write| write.replicas >= 1).count();
    println!("{} writes acknowledged, {promised} of them promised by WAIT, 20 failovers", acknowledged.len());
    assert!(promised > 400, "too few writes to mean anything: {promised}");
}

/// P3: a stopped master that is resumed acknowledges nothing: not what waited in its socket, not what
/// is sent to it afterwards.
#[test]
fn a_resumed_master_acknowledges_nothing() {
    let fleet = Fleet::start(&Plan::default());
    let old = fleet.master().unwrap();
    let index = fleet.index_of(old);
    let mut queued = Wire::connect(old, Duration::from_millis(500)).unwrap();
    assert!(queued.call(&["SET", "before", "1"]).is_some_and(|reply| reply.is_ok()));
    fleet.data[index].stop();
    // These lie in the socket of the stopped process.
    for value in 0..50 {
        queued.send(&["SET", "queued", &value.to_string()]).unwrap();
    }
    let (successor, _) = fleet.await_switch(old, SWITCH_MAX);
    let mut client = Wire::connect(successor, Duration::from_secs(2)).unwrap();
    fleet.wait("the new master acknowledges", Duration::from_secs(5), || {
        client.call(&["SET", "after", "2"]).is_some_and(|reply| reply.is_ok())
    });
    fleet.data[index].resume();
    let (bytes, _) = queued.drain(Duration::from_secs(2));
    let text = String::from_utf8_lossy(&bytes);
    assert!(!text.contains("+OK"), "the old master acknowledged: {text}");
    fleet.await_replicas(successor);
    let mut late = Wire::connect(old, Duration::from_secs(1)).unwrap();
    let reply = late.call(&["SET", "late", "3"]);
    assert!(reply.is_some_and(|reply| reply.error().is_some_and(|text| text.starts_with("READONLY"))));
    assert_eq!(
        late.call(&["GET", "after"]).and_then(|r| r.as_str().map(str::to_owned)).as_deref(),
        Some("2")
    );
    assert_eq!(late.call(&["EXISTS", "queued"]).and_then(|reply| reply.as_integer()), Some(0));
}

/// P4: a master killed and restarted empty at once wipes nobody.
#[test]
fn a_master_that_restarts_empty_at_once_wipes_nobody() {
    let mut fleet = Fleet::start(&Plan::default());
    for round in 0..5 {
        let old = fleet.master().unwrap();
        let mut client = Wire::connect(old, Duration::from_secs(2)).unwrap();
        for key in 0..100 {
            let set = client.call(&["SET", &format!("key:{round}:{key}"), "kept"]);
            assert!(set.is_some_and(|reply| reply.is_ok()), "{}", fleet.logs());
        }
        assert!(client.call(&["WAIT", "2", "2000"]).and_then(|reply| reply.as_integer()) == Some(2));
        let index = fleet.index_of(old);
        fleet.data[index].kill();
        if round % 2 == 1 {
            // The whole directory is gone, the epoch with it.
            let home = fleet.dir.path().join(&fleet.data[index].name);
            std::fs::remove_dir_all(&home).unwrap();
            std::fs::create_dir_all(&home).unwrap();
        }
        fleet.data[index].start();
        let (successor, _) = fleet.await_switch(old, SWITCH_MAX);
        fleet.await_replicas(successor);
        for process in &fleet.data {
            let size = Wire::once(process.port, &["DBSIZE"]).and_then(|reply| reply.as_integer());
            assert_eq!(size, Some((round + 1) * 100), "round {round}, {}\n{}", process.name, fleet.logs());
        }
        fleet.await_ready(2);
    }
}

/// P6: master and Raft leader die together; the rest agrees all the same.
#[test]
fn master_and_leader_die_together() {
    let mut fleet = Fleet::start(&Plan::default());
    let old = fleet.master().unwrap();
    let (leader, index) = (fleet.leader(), fleet.index_of(old));
    fleet.sentinels[leader].kill();
    fleet.data[index].kill();
    let (successor, took) = fleet.await_switch(old, SWITCH_MAX);
    println!("master and leader together: switched in {took:?}");
    fleet.sentinels[leader].start();
    fleet.data[index].start();
    fleet.await_replicas(successor);
    fleet.await_ready(2);
    assert_eq!(fleet.master(), Some(successor));
}

/// Stock Redis under our sentinels: the killed master is replaced, and made a replica when it returns.
#[test]
fn stock_redis_fails_over_and_the_returned_master_follows() {
    let mut fleet = Fleet::start(&Plan { data: Data::Stock, ..Plan::default() });
    let old = fleet.master().unwrap();
    let mut client = Wire::connect(old, Duration::from_secs(2)).unwrap();
    let set = client.call(&["SET", "k", "v"]);
    assert!(set.as_ref().is_some_and(|reply| reply.is_ok()), "{set:?}\n{}", fleet.logs());
    assert_eq!(client.call(&["WAIT", "2", "2000"]).and_then(|reply| reply.as_integer()), Some(2));
    let index = fleet.index_of(old);
    fleet.data[index].kill();
    let (successor, _) = fleet.await_switch(old, SWITCH_MAX);
    fleet.data[index].start();
    fleet.await_replicas(successor);
    for process in &fleet.data {
        let value = Wire::once(process.port, &["GET", "k"]);
        assert_eq!(
            value.and_then(|reply| reply.as_str().map(str::to_owned)).as_deref(),
            Some("v"),
            "{}",
            process.name
        );
    }
}

/// Two data servers, the smallest group that can fail over.
#[test]
fn a_group_of_two_fails_over() {
    let mut fleet = Fleet::start(&Plan { nodes: 2, ..Plan::default() });
    let old = fleet.master().unwrap();
    let index = fleet.index_of(old);
    fleet.data[index].kill();
    let (successor, _) = fleet.await_switch(old, SWITCH_MAX);
    assert_ne!(successor, old);
    fleet.data[index].start();
    fleet.await_replicas(successor);
}

/// A healthy fleet under load stays as it is: no epoch, no term, no event.
#[test]
fn a_healthy_fleet_is_left_alone() {
    let fleet = Fleet::start(&Plan::default());
    let term = |fleet: &Fleet| {
        let reply = Wire::once(fleet.sentinels[0].port, &["INFO"]).unwrap();
        let text = reply.as_str().unwrap_or("").to_owned();
        let line = text.lines().find(|line| line.starts_with("raft_term:")).unwrap_or("").to_owned();
        (line, fleet.master())
    };
    let before = term(&fleet);
    let writer = Writer::start(sentinel_ports(&fleet));
    fleet.wait("two thousand writes", Duration::from_secs(60), || writer.acknowledged().len() > 2000);
    writer.finish();
    assert_eq!(term(&fleet), before);
}

/// A master that is silent for less than down-after is not replaced.
#[test]
fn a_short_pause_is_no_failover() {
    let fleet = Fleet::start(&Plan { down_after_ms: 3000, ..Plan::default() });
    let master = fleet.master().unwrap();
    let index = fleet.index_of(master);
    fleet.data[index].stop();
    std::thread::sleep(Duration::from_millis(1200));
    fleet.data[index].resume();
    let mut client = Wire::connect(master, Duration::from_secs(2)).unwrap();
    fleet.wait("it takes writes again", Duration::from_secs(5), || {
        client.call(&["SET", "k", "v"]).is_some_and(|reply| reply.is_ok())
    });
    assert_eq!(fleet.master(), Some(master));
}
