//! Clients that ask to be told of planned switchovers, and a script on the master that takes its time: who
//! keeps his role meanwhile, and who hears of it.

use super::fleet::{Fleet, Plan};
use super::wire::Wire;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn redis_py_is_told_of_a_planned_switchover() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/venv/bin/python");
    assert!(python.exists(), "{} is missing: tests/run makes it, with redis-py", python.display());
    let fleet = Fleet::start(&Plan::default());
    let master = fleet.master().unwrap();
    let output = Command::new(python)
        .arg(root.join("tests/clients/redis_py_patience.py"))
        .args([master.to_string(), fleet.sentinels[0].port.to_string()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.starts_with("NodeFailingOverNotification") && said.ends_with("ok\n"), "{said}{complained}");
    fleet.await_switch(master, PATIENCE);
}

/// With a long down-after a script may take long: the lease is renewed under it, so its answer comes and the
/// master stays.
#[test]
fn a_master_whose_script_is_slow_stays_master_for_down_after() {
    let fleet = Fleet::start(&Plan { down_after_ms: 60_000, ..Plan::default() });
    let master = fleet.master().unwrap();
    assert!(Wire::once(master, &["CONFIG", "SET", "busy-reply-threshold", "100"]).is_some());
    let mut client = Wire::connect(master, PATIENCE).unwrap();
    let running = std::thread::spawn(move || {
        let script = "redis.call('SET', KEYS[1], 'x') for n = 1, 100000000 do end return 'over'";
        Wire::call(&mut client, &["EVAL", script, "1", "client:key"])
    });
    // Whoever spoke as a sentinel is answered: here to an order that is too old to change anything.
    let mut sentinel = Wire::connect(master, PATIENCE).unwrap();
    let began = Instant::now();
    let mut leased_while_busy = 0;
    while !running.is_finished() {
        assert!(began.elapsed() < PATIENCE, "the script does not end\n{}", fleet.logs());
        let ping = Wire::once(master, &["PING"]);
        let busy = ping.as_ref().and_then(|reply| reply.error()).is_some_and(|why| why.starts_with("BUSY"));
        let stale = Wire::call(&mut sentinel, &["VEDETTE", "FENCE", "mymaster", "0"]);
        let info = Wire::call(&mut sentinel, &["INFO", "replication"]);
        let info = info.as_ref().and_then(|reply| reply.as_str()).unwrap_or_default();
        if busy {
            let stale = stale.as_ref().and_then(|reply| reply.error()).unwrap_or_default();
            assert!(stale.starts_with("STALEEPOCH"), "{stale}");
            leased_while_busy += u32::from(info.contains("vedette_vouched_by:lease"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let answer = running.join().unwrap();
    assert_eq!(answer.as_ref().and_then(|reply| reply.as_str()), Some("over"), "{}", fleet.logs());
    assert!(leased_while_busy > 0, "{}", fleet.logs());
    assert_eq!(fleet.master(), Some(master));
}
