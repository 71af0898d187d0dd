//! A sentinel played over a raw connection: leases, fencing, promotion, and what silence means.

use super::*;
use crate::support::all_threads_stopped;
use std::process::Command;

/// Grants a lease of `ttl_ms` at `epoch`, echoing the last stamp; the new stamp and whether vouched.
fn lease(wire: &mut Wire, epoch: u64, ttl_ms: u64, echo: i64, quorum: usize, set: &str) -> (i64, bool) {
    let words = [
        "VEDETTE",
        "LEASE",
        "g",
        &epoch.to_string(),
        &ttl_ms.to_string(),
        &echo.to_string(),
        &quorum.to_string(),
        "1",
        set,
    ];
    let reply = wire.ask(&words);
    let items = reply.as_array().unwrap_or_else(|| panic!("{reply:?}"));
    (items[0].as_integer().unwrap(), items[2].as_integer() == Some(1))
}

fn signal(process: &Process, name: &str) {
    assert!(Command::new("kill").args([name, &process.pid().to_string()]).status().unwrap().success());
}

fn is_readonly(reply: &Reply) -> bool {
    reply.error().is_some_and(|text| text.starts_with("READONLY"))
}

#[test]
fn a_stopped_master_whose_lease_ran_out_acknowledges_nothing_when_it_resumes() {
    let master = Process::vedette(&[]);
    let (mut sentinel, mut client) = (master.connect(), master.connect());
    let (stamp, _) = lease(&mut sentinel, 1, 2000, 0, 0, "");
    let (_, vouched) = lease(&mut sentinel, 1, 2000, stamp, 0, "");
    assert!(vouched);
    assert!(client.line("SET a 1").is_ok());
    signal(&master, "-STOP");
    eventually("every thread stands still", || all_threads_stopped(master.pid()));
    // This one waits in its socket while the lease runs out.
    client.send(&["SET", "a", "2"]);
    std::thread::sleep(std::time::Duration::from_millis(2100));
    signal(&master, "-CONT");
    let reply = client.next().expect("an answer");
    assert!(is_readonly(&reply), "{reply:?}");
    // A grant that waited as long is worth nothing; one that echoes a new stamp is.
    let (stamp, vouched) = lease(&mut sentinel, 1, 2000, stamp, 0, "");
    assert!(!vouched);
    assert!(is_readonly(&client.line("SET a 3")));
    assert!(lease(&mut sentinel, 1, 2000, stamp, 0, "").1);
    assert!(client.line("SET a 4").is_ok());
}

#[test]
fn a_fenced_master_is_silent_and_stale_orders_are_refused() {
    let mut master = Process::vedette(&[]);
    let (mut sentinel, mut client) = (master.connect(), master.connect());
    lease(&mut sentinel, 3, 5000, 0, 0, "");
    assert!(client.line("SET a 1").is_ok());
    let report = sentinel.line("VEDETTE FENCE g 4");
    assert_eq!(report.as_array().map(<[Reply]>::len), Some(7), "{report:?}");
    assert!(is_readonly(&master.connect().line("SET a 2")));
    let stale = sentinel.line("VEDETTE PROMOTE g 3");
    assert_eq!(stale.error(), Some("STALEEPOCH 4"));
    assert!(sentinel.line("VEDETTE LEASE g 4 500 0 0 1 -").error().is_some());
    // What it was told outlives it; its role does not.
    master.kill();
    master.restart();
    let mut sentinel = master.connect();
    assert_eq!(info(&mut sentinel, "vedette_role").as_deref(), Some("awaiting"));
    assert_eq!(info(&mut sentinel, "vedette_epoch").as_deref(), Some("4"));
    assert_eq!(info(&mut sentinel, "vedette_synced").as_deref(), Some("0"));
    assert!(is_readonly(&sentinel.line("SET a 2")));
    assert_eq!(sentinel.line("VEDETTE PROMOTE g 3").error(), Some("STALEEPOCH 4"));
    assert!(sentinel.line("VEDETTE PROMOTE g 5").is_ok());
    assert!(is_readonly(&sentinel.line("SET a 2")), "master, and nobody vouches yet");
    let (stamp, _) = lease(&mut sentinel, 5, 5000, 0, 0, "");
    assert!(lease(&mut sentinel, 5, 5000, stamp, 0, "").1);
    assert!(sentinel.line("SET a 2").is_ok());
    assert!(sentinel.line("VEDETTE FENCE g 5").error().is_some(), "a late freeze of its own reign");
    assert!(sentinel.line("SET a 3").is_ok());
}

#[test]
fn replicas_vouch_when_the_sentinels_are_gone_and_stop_when_frozen() {
    let (master, replica) = (Process::vedette(&[]), Process::vedette(&[]));
    let (mut to_master, mut to_replica) = (master.connect(), replica.connect());
    lease(&mut to_master, 2, 300, 0, 1, &replica.address());
    let order = format!("VEDETTE FOLLOW g 2 127.0.0.1 {}", master.port);
    assert!(to_replica.line(&order).is_ok());
    eventually("the replica vouches", || {
        info(&mut to_master, "vedette_vouched_by").as_deref() == Some("replicas")
    });
    std::thread::sleep(std::time::Duration::from_millis(700));
    assert!(to_master.line("SET a 1").is_ok(), "long after the last lease");
    assert_eq!(to_master.line("WAIT 1 2000"), Reply::Integer(1));
    assert!(to_replica.line("VEDETTE FENCE g 3").error().is_none());
    eventually("nobody vouches", || is_readonly(&to_master.line("SET a 2")));
    assert!(to_replica.line("VEDETTE PROMOTE g 3").is_ok());
    assert_eq!(to_replica.line("GET a").as_str().map(str::to_owned).as_deref(), Some("1"));
}

#[test]
fn a_master_that_cannot_show_the_epoch_does_not_wipe_a_replica() {
    let (master, replica, empty) = (Process::vedette(&[]), Process::vedette(&[]), Process::vedette(&[]));
    let mut to_master = master.connect();
    lease(&mut to_master, 2, 60_000, 0, 0, "");
    to_master.line("SET precious data");
    let mut to_replica = replica.connect();
    assert!(to_replica.line(&format!("VEDETTE FOLLOW g 2 127.0.0.1 {}", master.port)).is_ok());
    eventually("synced", || to_replica.line("GET precious").as_str() == Some("data"));
    assert!(to_replica.line(&format!("VEDETTE FOLLOW g 3 127.0.0.1 {}", empty.port)).is_ok());
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(info(&mut to_replica, "master_link_status").as_deref(), Some("down"));
    assert_eq!(to_replica.line("GET precious").as_str(), Some("data"));
    assert!(to_replica.line(&format!("VEDETTE FOLLOW g 3 127.0.0.1 {} STOCK", empty.port)).is_ok());
    eventually("the supervisor vouched for it", || to_replica.line("DBSIZE") == Reply::Integer(0));
}

/// A master with a large value, vouched for once with `ttl_ms`, and a client to which the reply of a
/// transaction is due whose last word acknowledges a write; the client has not read any of it.
fn unread_acknowledgement(ttl_ms: u64) -> (Process, Wire, i64, Wire) {
    let master = Process::vedette(&[]);
    let big = "x".repeat(BIG_BYTES);
    assert!(master.connect().ask(&["SET", "big", &big]).is_ok());
    let (mut sentinel, mut client) = (master.connect(), master.connect());
    let (stamp, _) = lease(&mut sentinel, 1, ttl_ms, 0, 0, "");
    let (stamp, vouched) = lease(&mut sentinel, 1, ttl_ms, stamp, 0, "");
    assert!(vouched);
    client.send_raw(b"MULTI\r\nGET big\r\nSET a 1\r\nEXEC\r\n");
    eventually("the transaction ran", || sentinel.line("GET a").as_str() == Some("1"));
    (master, sentinel, stamp, client)
}

/// More than sockets hold on both sides together.
const BIG_BYTES: usize = 48 << 20;
const QUIET: std::time::Duration = std::time::Duration::from_millis(500);

#[test]
fn a_reply_that_was_ready_in_time_leaves_only_while_the_master_is_vouched_for() {
    let (_master, mut sentinel, stamp, mut client) = unread_acknowledgement(1500);
    eventually("nobody vouches", || is_readonly(&sentinel.line("SET b 1")));
    let early = client.bytes_until_silent_for(QUIET);
    assert!(early.len() < BIG_BYTES, "the rest is held at the gate, {} bytes came", early.len());
    assert!(lease(&mut sentinel, 1, 60_000, stamp, 0, "").0 > 0);
    let (stamp, _) = lease(&mut sentinel, 1, 60_000, 0, 0, "");
    assert!(lease(&mut sentinel, 1, 60_000, stamp, 0, "").1);
    let late = client.bytes_until_silent_for(QUIET);
    assert!(early.len() + late.len() > BIG_BYTES);
    assert!(late.ends_with(b"\r\n+OK\r\n"), "vouched for again, it is acknowledged");
}

#[test]
fn a_fenced_master_never_sends_the_reply_that_was_ready() {
    let (master, mut sentinel, _, mut client) = unread_acknowledgement(60_000);
    assert!(sentinel.line("VEDETTE FENCE g 2").error().is_none());
    let bytes = client.rest();
    assert!(bytes.len() < BIG_BYTES, "closed without it, {} bytes came", bytes.len());
    assert_eq!(master.connect().line("GET a").as_str(), Some("1"), "the write itself was done");
}

/// A counter of INFO stats.
fn counter(process: &Process, name: &str) -> u64 {
    let reply = process.connect().line("INFO stats");
    let text = reply.as_str().unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in {text}"))
}

#[test]
fn a_replica_that_restarts_with_its_snapshot_awaits_its_role_and_goes_on_where_it_stopped() {
    let (master, mut replica) = (Process::vedette(&[]), Process::vedette(&[]));
    let (mut to_master, mut to_replica) = (master.connect(), replica.connect());
    lease(&mut to_master, 2, 60_000, 0, 0, "");
    let (stamp, _) = lease(&mut to_master, 2, 60_000, 0, 0, "");
    assert!(lease(&mut to_master, 2, 60_000, stamp, 0, "").1);
    let order = format!("VEDETTE FOLLOW g 2 127.0.0.1 {}", master.port);
    assert!(to_replica.line(&order).is_ok());
    for line in ["SELECT 3", "SET there 1", "SELECT 0", "SET here 1"] {
        assert!(to_master.line(line).is_ok());
    }
    eventually("the replica has it", || to_replica.line("GET here").as_str() == Some("1"));
    assert_eq!((counter(&master, "sync_full"), counter(&master, "sync_partial_ok")), (1, 0));
    // Before: the master's pings move it on.
    let (history, saved_at) = (info(&mut to_replica, "master_replid"), offset(&replica));
    assert!(to_replica.line("SAVE").is_ok());
    // Written after the snapshot: the replica has it, and loses it.
    to_master.line("SET later 1");
    eventually("the replica has this too", || to_replica.line("GET later").as_str() == Some("1"));
    replica.kill();
    to_master.line("SET missed 1");
    replica.restart();
    let mut to_replica = replica.connect();
    assert_eq!(info(&mut to_replica, "vedette_role").as_deref(), Some("awaiting"));
    assert_eq!(info(&mut to_replica, "vedette_epoch").as_deref(), Some("2"));
    assert_eq!(info(&mut to_replica, "vedette_synced").as_deref(), Some("1"));
    assert_eq!(info(&mut to_replica, "master_replid"), history, "the history is kept");
    assert!(offset(&replica) >= saved_at, "and the place in it");
    assert!(is_readonly(&to_replica.line("SET here 2")));
    // Whoever came meanwhile may have been told that this is the master, and would read the past for ever.
    let mut client = replica.connect();
    assert_eq!(client.line("GET here").as_str(), Some("1"));
    assert!(to_replica.line(&order).is_ok());
    eventually("the client has to ask its sentinel again", || client.try_ask(&["PING"]).is_none());
    let mut reader = replica.connect();
    assert!(to_replica.line(&order).is_ok());
    assert_eq!(reader.line("PING").as_str(), Some("PONG"), "readers of a replica stay");
    same_content(&master, &replica);
    assert_eq!(to_replica.line("GET missed").as_str(), Some("1"));
    let counts = ["sync_full", "sync_partial_ok", "sync_partial_err"].map(|name| counter(&master, name));
    assert_eq!(counts, [1, 1, 0], "no second full sync");
}

#[test]
fn an_unknown_history_is_counted_as_a_partial_sync_that_failed() {
    let (master, other) = (Process::vedette(&[]), Process::vedette(&[]));
    let replica = Process::vedette(&[]);
    follow(&replica, &other);
    follow(&replica, &master);
    let counts = ["sync_full", "sync_partial_ok", "sync_partial_err"].map(|name| counter(&master, name));
    assert_eq!(counts, [1, 0, 1]);
}

#[test]
fn a_returned_master_keeps_what_only_it_has_before_it_is_resynced() {
    let (old, new) = (Process::vedette(&[]), Process::vedette(&[]));
    let (mut to_old, mut to_new) = (old.connect(), new.connect());
    lease(&mut to_old, 1, 60_000, 0, 1, &new.address());
    assert!(to_new.line(&format!("VEDETTE FOLLOW g 1 127.0.0.1 {}", old.port)).is_ok());
    assert!(to_old.line("SET shared 1").is_ok());
    assert_eq!(to_old.line("WAIT 1 20000"), Reply::Integer(1));
    // Frozen, chosen, promoted, while the old one still writes.
    let frozen = to_new.line("VEDETTE FENCE g 2");
    let frozen = frozen.as_array().unwrap();
    let history = frozen[1].as_str().unwrap().to_owned();
    let fork = frozen[2].as_integer().unwrap();
    assert!(to_old.line("SET only-here 42").is_ok());
    assert!(to_new.line("VEDETTE PROMOTE g 2").is_ok());
    let (stamp, _) = lease(&mut to_new, 2, 60_000, 0, 0, "");
    assert!(lease(&mut to_new, 2, 60_000, stamp, 0, "").1);
    assert!(to_new.line("SET elsewhere 1").is_ok());
    let order = format!("VEDETTE FOLLOW g 2 127.0.0.1 {} FORK {history} {fork}", new.port);
    assert!(to_old.line(&order).is_ok());
    let mut to_old = old.connect();
    eventually("it says what it kept", || info(&mut to_old, "vedette_diverged").is_some());
    let report = info(&mut to_old, "vedette_diverged").unwrap();
    assert!(report.contains(&format!("replid={history},from={fork},")), "{report}");
    assert!(report.contains(",commands=1,"), "words between servers do not count: {report}");
    let file = report.rsplit_once("file=").unwrap().1;
    let kept = std::fs::read_to_string(old.dir().join(file)).unwrap();
    assert!(kept.contains("only-here") && kept.contains("42"), "{kept}");
    assert!(!kept.contains("GETACK") && !kept.contains("shared"), "{kept}");
    eventually("it holds what the new master holds", || to_old.line("GET elsewhere").as_str() == Some("1"));
    assert_eq!(to_old.line("GET only-here"), Reply::Null, "gone from the data, kept in the file");
    assert!(to_old.line(&format!("{order} FORK x")).error().is_some(), "half an option is none");
}

/// The newest writes are with one server alone, which is fenced and may not be promoted.
#[test]
fn a_fenced_replica_gives_its_tail_to_one_of_its_own_epoch_and_to_nobody_else() {
    let (mut master, holder, heir) = (Process::vedette(&[]), Process::vedette(&[]), Process::vedette(&[]));
    let (mut to_master, mut to_holder, mut to_heir) = (master.connect(), holder.connect(), heir.connect());
    lease(&mut to_master, 1, 60_000, 0, 1, &holder.address());
    for wire in [&mut to_holder, &mut to_heir] {
        assert!(wire.line(&format!("VEDETTE FOLLOW g 1 127.0.0.1 {}", master.port)).is_ok());
    }
    assert!(to_master.line("SET both 1").is_ok());
    eventually("both follow", || to_heir.line("GET both").as_str() == Some("1"));
    assert!(to_heir.line("VEDETTE FENCE g 2").as_array().is_some());
    assert!(to_master.line("SET tail 1").is_ok());
    eventually("one alone has it", || to_holder.line("GET tail").as_str() == Some("1"));
    master.kill();
    let frozen = to_holder.line("VEDETTE FENCE g 2");
    let offset = frozen.as_array().unwrap()[2].clone();

    // Somebody whom nobody sent, and one that knows nothing of the history.
    let stranger = Process::vedette(&[]);
    let mut to_stranger = stranger.connect();
    let mut raw = holder.connect();
    let refused = raw.line("PSYNC ? -1");
    assert!(refused.error().is_some_and(|text| text.starts_with("NOMASTERLINK")), "{refused:?}");
    assert!(to_stranger.line(&format!("VEDETTE FOLLOW g 2 127.0.0.1 {}", holder.port)).is_ok());

    assert!(to_heir.line(&format!("VEDETTE FOLLOW g 2 127.0.0.1 {}", holder.port)).is_ok());
    eventually("it has what the other has", || to_heir.line("GET tail").as_str() == Some("1"));
    // Whoever gave it has not moved, and both show the same.
    for wire in [&mut to_holder, &mut to_heir] {
        let frozen = wire.line("VEDETTE FENCE g 3");
        assert_eq!(frozen.as_array().unwrap()[2], offset, "{frozen:?}");
    }
    assert_eq!(to_stranger.line("DBSIZE"), Reply::Integer(0), "it asked for everything and got nothing");
    assert!(to_heir.line("VEDETTE PROMOTE g 3").is_ok());
}

/// Has written, and takes its time. (No time passes for a script, so it counts.)
const LONG: &str = "redis.call('SET', KEYS[1], 'x') for n = 1, 60000000 do end return 'over'";

/// What sentinels say and ask is answered while a script stands; what clients ask is not.
#[test]
fn a_master_with_a_long_script_keeps_its_lease_for_as_long_as_it_is_given() {
    let master = Process::vedette(&["--busy-reply-threshold", "100"]);
    let (mut sentinel, mut client, mut other) = (master.connect(), master.connect(), master.connect());
    let (mut stamp, _) = lease(&mut sentinel, 1, 5000, 0, 0, "");
    client.send(&["EVAL", LONG, "1", "key"]);
    eventually("clients are told BUSY", || {
        stamp = lease(&mut sentinel, 1, 5000, stamp, 0, "").0;
        other.line("PING").error().is_some_and(|why| why.starts_with("BUSY"))
    });
    // More than one grant, each counted from the answer to the one before.
    for _ in 0..3 {
        let (next, vouched) = lease(&mut sentinel, 1, 5000, stamp, 0, "");
        assert!(vouched && next >= stamp);
        stamp = next;
    }
    assert_eq!(info(&mut sentinel, "vedette_vouched_by").as_deref(), Some("lease"));
    assert!(other.line("INFO").error().is_some_and(|why| why.starts_with("BUSY")));
    let follow = sentinel.line("VEDETTE FOLLOW g 2 127.0.0.1 1");
    assert!(
        follow.error().is_some_and(|why| why.starts_with("BUSY")),
        "no other data under a script: {follow:?}"
    );
    assert_eq!(client.next().expect("an answer").as_str(), Some("over"));
    assert!(client.line("SET key after").is_ok());

    // Fenced meanwhile: what the script wrote is acknowledged to nobody.
    client.send(&["EVAL", LONG, "1", "key"]);
    eventually("clients are told BUSY again", || {
        other.line("PING").error().is_some_and(|why| why.starts_with("BUSY"))
    });
    let report = sentinel.line("VEDETTE FENCE g 2");
    assert_eq!(report.as_array().map(<[Reply]>::len), Some(7), "{report:?}");
    let answer = client.next();
    assert_ne!(answer.as_ref().and_then(|reply| reply.as_str()), Some("over"), "{answer:?}");
    eventually("the script is over", || is_readonly(&master.connect().line("SET key more")));
}
