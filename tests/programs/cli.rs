//! Redis' own tools: redis-benchmark's whole default set, and what redis-cli can do besides sending a line.

use super::{on_both, run};
use crate::support::Process;
use std::process::Command;

#[test]
fn redis_benchmark_runs_its_whole_set() {
    let tests = |server: &Process| {
        ["1", "16"].map(|pipeline| {
            let port = server.port.to_string();
            let words = ["-p", &port, "-n", "500", "-c", "10", "-P", pipeline, "--csv"];
            let said = run(Command::new("redis-benchmark").args(words));
            assert!(!said.to_lowercase().contains("error"), "{said}");
            // A line a test: its name, then figures.
            let names = said.lines().map(|line| line.split("\",").next().unwrap_or_default().to_owned());
            names.collect::<Vec<_>>()
        })
    };
    let (ours, theirs) = on_both(&[], tests);
    assert!(theirs[0].len() > 18, "{theirs:?}");
    assert_eq!(ours, theirs);
}

/// A script of redis-cli; `$c` is redis-cli with its port.
const SCRIPT: &str = r#"
exec 2>&1; c="redis-cli -p $1"; cd "$2"
counts() { sed -nE 's/^([0-9]+ [a-z]+ with [0-9]+ (fields|members|entries|items|bytes)).*/\1/p'; }
for i in $(seq 300); do echo "SET key:$i $(printf %0${i}d 7)"; done > lines
for i in $(seq 50); do
    echo "RPUSH list:$i a b c d"; echo "HSET hash:$i f v g w"; echo "ZADD z:$i 1 a 2 b"
    echo "SADD set:$i 1 2 3"; echo "XADD stream:$i 1-1 f v"
done >> lines
echo "== pipe"; $c --pipe < lines | tail -1
echo "== bigkeys"; $c --bigkeys | tail -7 | counts | sort
echo "== memkeys"; $c --memkeys | counts | awk '{print $1, $2}' | sort
echo "== scan"; $c --scan --pattern 'key:1?' | sort
echo "== rdb"; $c --rdb whole.rdb 2>&1 | grep -c 'Transfer finished with success'
redis-check-rdb whole.rdb | grep -oE 'RDB looks OK|.* keys read'
echo "== functions"; printf '#!lua name=own\nredis.register_function("f", function() return 1 end)' > own.lua
$c -x function load < own.lua
$c --functions-rdb functions.rdb 2>&1 | grep -c 'Transfer finished with success'
redis-check-rdb functions.rdb | grep -oE 'RDB looks OK|.* keys read'; grep -c register_function functions.rdb
echo "== latency"; timeout -s INT 3 $c --latency --raw | wc -w
echo "== eval"; printf 'return {KEYS[1], KEYS[2], ARGV[1]}' > own.lua; $c --eval own.lua a b , c
echo "== repeat"; $c -r 3 incr n
echo "== formats"; $c -3 --json hgetall hash:1; $c --csv lrange list:1 0 -1; $c -3 --no-raw lrange list:1 0 -1
echo "== hotkeys"; $c config set maxmemory-policy allkeys-lfu
$c --hotkeys | grep Sampled; $c config set maxmemory-policy noeviction
echo "== help"; $c help getex | grep -v summary; $c help @hyperloglog | grep -v summary
echo "== stdin"; $c -x set big < lines; $c get big | cksum; $c -X TAG set tagged TAG < lines; $c strlen tagged
echo "== errors"; $c nosuch a b; $c -e get; echo $?; $c hget key:1 f
echo "== session"; printf 'MULTI\nSET a 1\nGET a\nEXEC\nSELECT 1\nSET q 1\nSELECT 0\nINFO keyspace\n' | $c
echo "== monitor"; timeout -s INT 20 $c monitor > watched & watcher=$!
until grep -q OK watched; do sleep 0.05; done
$c set seen 'a "b"' > /dev/null
until grep -q seen watched; do sleep 0.05; done
kill -INT $watcher 2> /dev/null; wait
grep -m1 seen watched | sed -E 's/^[0-9.]+ //; s/127.0.0.1:[0-9]+/PEER/'
echo "== end"
"#;

#[test]
fn redis_cli_does_all_it_can() {
    let (ours, theirs) = on_both(&["--repl-diskless-sync-delay", "0"], |server| {
        let dir = tempfile::tempdir().expect("a directory for files");
        let mut bash = Command::new("bash");
        bash.args(["-c", SCRIPT, "script", &server.port.to_string()]).arg(dir.path()).env("LC_ALL", "C");
        run(&mut bash)
    });
    assert!(theirs.contains("== end") && !theirs.contains("command not found"), "{theirs}");
    for (own, other) in ours.split("== ").zip(theirs.split("== ")) {
        assert_eq!(own, other);
    }
    assert_eq!(ours, theirs);
}
