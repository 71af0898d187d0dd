//! maxmemory and what is told of memory, by real processes.

use crate::support::{Process, Wire, eventually};
use vedette::resp::Reply;

fn field(wire: &mut Wire, section: &str, name: &str) -> u64 {
    let info = wire.line(&format!("INFO {section}"));
    let text = info.as_str().unwrap_or_default().to_owned();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}:")).map(str::to_owned));
    line.and_then(|value| value.trim().parse().ok()).unwrap_or_else(|| panic!("{name} in {text}"))
}

fn number(reply: &Reply) -> i64 {
    match reply {
        Reply::Integer(value) => *value,
        other => panic!("{other:?} is no number"),
    }
}

/// Lets so many bytes be used above what is used now.
fn allow_more(wire: &mut Wire, bytes: u64) -> u64 {
    let max = field(wire, "memory", "used_memory") + bytes;
    assert!(wire.line(&format!("CONFIG SET maxmemory {max}")).is_ok());
    max
}

#[test]
fn evictions_keep_used_memory_at_maxmemory_and_reach_the_replica() {
    let master = Process::vedette(&["--maxmemory-policy", "allkeys-lru"]);
    let replica = Process::vedette(&["--replicaof", &format!("127.0.0.1 {}", master.port)]);
    let (mut wire, mut other) = (master.connect(), replica.connect());
    eventually("the replica is in sync", || {
        other.line("INFO replication").as_str().is_some_and(|text| text.contains("master_link_status:up"))
    });
    let max = allow_more(&mut wire, 4 << 20);
    let value = "v".repeat(400);
    for n in 0..20_000 {
        let reply = wire.ask(&["SET", &format!("key:{n}"), &value]);
        assert!(reply.is_ok(), "{reply:?}");
    }
    let used = field(&mut wire, "memory", "used_memory");
    assert!(used < max + (1 << 20), "{used} of {max}");
    // What is still above it goes at the server's own wakeups.
    let mut size = 0;
    eventually("every key is there or was evicted", || {
        size = number(&wire.line("DBSIZE"));
        let evicted = field(&mut wire, "stats", "evicted_keys");
        size as u64 + evicted == 20_000 && number(&wire.line("DBSIZE")) == size
    });
    assert!((3_000..15_000).contains(&size), "four megabytes hold {size} keys of about 500 bytes");
    assert_eq!(number(&wire.line("EXISTS key:19999")), 1, "the newest stays");
    eventually("the replica has let the same keys go", || number(&other.line("DBSIZE")) == size);
    assert_eq!(field(&mut other, "stats", "evicted_keys"), 0);
    // Less is allowed: more goes soon, though nobody asks for anything.
    assert!(wire.line(&format!("CONFIG SET maxmemory {}", max - (2 << 20))).is_ok());
    eventually("fewer keys are left", || number(&other.line("DBSIZE")) < size * 3 / 4);
}

#[test]
fn without_eviction_commands_that_need_memory_are_refused_inside_multi_too() {
    const OOM: &str = "OOM command not allowed when used memory > 'maxmemory'.";
    let server = Process::vedette(&[]);
    let mut wire = server.connect();
    assert!(wire.line("SET a 1").is_ok());
    assert!(wire.line("MULTI").is_ok());
    assert_eq!(wire.line("SET b 2").as_str(), Some("QUEUED"));
    let mut operator = server.connect();
    assert!(operator.line("CONFIG SET maxmemory 1").is_ok());
    assert_eq!(wire.line("GET a").error(), Some(OOM), "what is queued needs memory too");
    let aborted = wire.line("EXEC");
    assert_eq!(aborted.error(), Some(format!("EXECABORT Transaction discarded because of: {OOM}").as_str()));
    assert_eq!(wire.line("SET c 3").error(), Some(OOM));
    assert_eq!(wire.line("GET a").as_str(), Some("1"));
    assert_eq!(number(&wire.line("DEL a")), 1);
    // Nothing has a time: nothing may go.
    assert!(operator.line("CONFIG SET maxmemory-policy volatile-lru").is_ok());
    assert_eq!(wire.line("SET c 3").error(), Some(OOM));
    assert!(operator.line("CONFIG SET maxmemory 0").is_ok());
    assert!(wire.line("SET c 3").is_ok());
}

#[test]
fn only_keys_with_a_time_go_by_a_volatile_policy_the_nearest_end_first() {
    let server = Process::vedette(&["--maxmemory-policy", "volatile-ttl"]);
    let mut wire = server.connect();
    let value = "v".repeat(1000);
    for n in 0..500 {
        assert!(wire.ask(&["SET", &format!("stays:{n}"), &value]).is_ok());
    }
    let bytes = 3 << 20;
    allow_more(&mut wire, bytes);
    for n in 0..4000 {
        let (key, ttl) = (format!("goes:{n}"), (10_000 + n).to_string());
        assert!(wire.ask(&["SET", &key, &value, "EX", &ttl]).is_ok(), "{n}");
    }
    let kept = |wire: &mut Wire, range: std::ops::Range<u32>, name: &str| {
        range.filter(|n| number(&wire.line(&format!("EXISTS {name}:{n}"))) == 1).count()
    };
    assert_eq!(kept(&mut wire, 0..500, "stays"), 500);
    let (early, late) = (kept(&mut wire, 0..2000, "goes"), kept(&mut wire, 2000..4000, "goes"));
    assert!(late >= 1980 && early < 1600, "{early} of the earlier and {late} of the later half");
}

/// Reads a few keys often, others once, writes new ones without end; how many of the often read are kept.
fn kept_favourites(start: fn(&[&str]) -> Process, policy: &str) -> usize {
    let server = start(&["--maxmemory-policy", policy]);
    let mut wire = server.connect();
    let value = "v".repeat(200);
    for n in 0..200 {
        assert!(wire.ask(&["SET", &format!("often:{n}"), &value]).is_ok());
    }
    allow_more(&mut wire, 2 << 20);
    for round in 0..40 {
        for n in 0..200 {
            wire.ask(&["GET", &format!("often:{n}")]);
        }
        for n in 0..400 {
            assert!(wire.ask(&["SET", &format!("once:{round}:{n}"), &value]).is_ok());
        }
    }
    assert!(field(&mut wire, "stats", "evicted_keys") > 1000);
    (0..200).filter(|n| number(&wire.line(&format!("EXISTS often:{n}"))) == 1).count()
}

#[test]
fn favourites_are_kept_as_well_as_by_redis() {
    // By their counters; times do not tell them apart within one second, for either.
    let policy = "allkeys-lfu";
    let (ours, theirs) = (kept_favourites(Process::vedette, policy), kept_favourites(Process::redis, policy));
    assert!(ours >= 180 && ours + 15 >= theirs, "{ours} of 200, Redis {theirs}");
}

#[test]
fn idle_times_and_frequencies_are_told_by_the_policy_in_force() {
    let server = Process::vedette(&[]);
    let mut wire = server.connect();
    assert!(wire.line("SET a 1").is_ok());
    assert_eq!(number(&wire.line("OBJECT IDLETIME a")), 0);
    assert!(
        wire.line("OBJECT FREQ a").error().is_some_and(|text| text.contains("LFU maxmemory policy is not"))
    );
    assert!(wire.line("CONFIG SET maxmemory-policy allkeys-lfu").is_ok());
    assert!(wire.line("SET b 1").is_ok());
    assert_eq!(number(&wire.line("OBJECT FREQ b")), 5);
    for _ in 0..300 {
        wire.line("GET b");
    }
    assert!(number(&wire.line("OBJECT FREQ b")) > 6);
    assert!(
        wire.line("OBJECT IDLETIME b")
            .error()
            .is_some_and(|text| text.contains("LFU maxmemory policy is sel"))
    );
}

#[test]
fn heavy_values_are_freed_out_of_the_way_and_the_memory_comes_back() {
    let server = Process::vedette(&[]);
    let mut wire = server.connect();
    let before = field(&mut wire, "memory", "used_memory");
    let member = "m".repeat(100);
    for part in 0..100 {
        let names: Vec<String> = (0..200).map(|n| format!("{member}{part}:{n}")).collect();
        let mut words = vec!["SADD", "large"];
        words.extend(names.iter().map(String::as_str));
        assert_eq!(number(&wire.ask(&words)), 200);
    }
    let usage = number(&wire.line("MEMORY USAGE large SAMPLES 0")) as u64;
    let grown = field(&mut wire, "memory", "used_memory") - before;
    assert!(usage > grown / 2 && usage < grown * 2, "{usage} told of {grown}");
    assert_eq!(number(&wire.line("UNLINK large")), 1);
    eventually("the memory is free", || {
        field(&mut wire, "memory", "used_memory") < before + grown / 4
            && field(&mut wire, "memory", "lazyfreed_objects") == 1
            && field(&mut wire, "memory", "lazyfree_pending_objects") == 0
    });
    for command in ["FLUSHALL", "FLUSHALL ASYNC", "FLUSHDB SYNC"] {
        assert!(wire.line("MSET a 1 b 2").is_ok());
        assert!(wire.line(command).is_ok());
        assert_eq!(number(&wire.line("DBSIZE")), 0);
    }
    eventually("what was flushed is freed", || field(&mut wire, "memory", "lazyfreed_objects") == 7);
}

/// The order of CONFIG GET is nobody's promise.
fn sort_pairs(line: &str, reply: &mut Reply) {
    if let Reply::Array(items) = reply
        && line.starts_with("CONFIG GET")
    {
        items.sort_by_key(|item| format!("{item:?}"));
    }
}

#[test]
fn memory_commands_answer_as_redis_answers() {
    let (ours, theirs) = (Process::vedette(&[]), Process::redis(&[]));
    let (mut ours, mut theirs) = (ours.connect(), theirs.connect());
    for line in [
        "SET a 1",
        "MEMORY USAGE nothing",
        "MEMORY USAGE a SAMPLES -1",
        "MEMORY USAGE a SAMPLES",
        "MEMORY USAGE a SAMPLES x",
        "MEMORY USAGE a FOO 1",
        "MEMORY USAGE",
        "MEMORY PURGE",
        "MEMORY STATS 1",
        "MEMORY NONSENSE",
        "MEMORY HELP",
        "OBJECT HELP",
        "OBJECT FREQ a",
        "CONFIG SET maxmemory-samples 0",
        "CONFIG SET maxmemory-policy none",
        "CONFIG SET maxmemory-eviction-tenacity 101",
        "CONFIG SET hash-max-ziplist-entries -1",
        "CONFIG SET hash-max-ziplist-entries 9999999999999",
        "CONFIG GET hash-max-*-entries",
        "CONFIG SET stream-node-max-bytes 5mb",
        "CONFIG GET stream-node-max-bytes",
    ] {
        let (mut a, mut b) = (ours.line(line), theirs.line(line));
        sort_pairs(line, &mut a);
        sort_pairs(line, &mut b);
        assert_eq!(a, b, "{line}");
    }
    let names = |wire: &mut Wire| -> Vec<String> {
        match wire.line("MEMORY STATS") {
            Reply::Array(items) => {
                items.iter().step_by(2).filter_map(|item| item.as_str().map(str::to_owned)).collect()
            }
            other => panic!("{other:?}"),
        }
    };
    let known = names(&mut theirs);
    assert!(names(&mut ours).iter().all(|name| known.contains(name)), "{known:?}");
    assert!(ours.line("MEMORY DOCTOR").as_str().is_some());
    assert!(ours.line("MEMORY MALLOC-STATS").as_str().is_some_and(|text| text.contains("mimalloc")));
}

#[test]
fn encodings_change_at_the_limits_that_are_set_as_in_redis() {
    let (ours, theirs) = (Process::vedette(&[]), Process::redis(&[]));
    let (mut ours, mut theirs) = (ours.connect(), theirs.connect());
    let long = "x".repeat(20);
    let lines = [
        "CONFIG SET hash-max-ziplist-entries 3 hash-max-listpack-value 10",
        "HSET h a 1 b 2 c 3",
        "OBJECT ENCODING h",
        "HSET h d 4",
        "OBJECT ENCODING h",
        "HDEL h a b",
        "OBJECT ENCODING h",
        "HSET h2 a LONG",
        "OBJECT ENCODING h2",
        "CONFIG SET zset-max-listpack-entries 2 zset-max-ziplist-value 10",
        "ZADD z 1 a 2.5 b",
        "OBJECT ENCODING z",
        "ZADD z 3 c",
        "OBJECT ENCODING z",
        "ZADD z2 1 LONG",
        "OBJECT ENCODING z2",
        "CONFIG SET zset-max-listpack-entries 128",
        "ZUNIONSTORE z3 1 z",
        "OBJECT ENCODING z3",
        "ZRANGE z3 0 -1 WITHSCORES",
        "CONFIG SET set-max-intset-entries 2",
        "SADD s 1 70000",
        "OBJECT ENCODING s",
        "SADD s 5000000000",
        "OBJECT ENCODING s",
        "SINTERSTORE s2 s",
        "OBJECT ENCODING s2",
        "CONFIG SET list-max-listpack-size 2",
        "RPUSH l 1 2 3 4 5 LONG",
        "LPUSH l 0",
        "OBJECT ENCODING l",
        "LRANGE l 0 -1",
        "CONFIG SET hll-sparse-max-bytes 30",
        "PFADD p a b c d e f g h",
        "PFDEBUG ENCODING p",
        "PFCOUNT p",
        "CONFIG SET stream-node-max-entries 2",
        "XADD x 1-1 f v",
        "XADD x 1-2 f v",
        "XADD x 1-3 f v",
        "XADD x 1-4 f v",
        "XADD x MAXLEN ~ 2 1-5 f v",
        "XLEN x",
        "CONFIG SET stream-node-max-bytes 1",
        "XADD x MAXLEN ~ 1 1-6 f v",
        "XLEN x",
        "CONFIG GET *max-listpack*",
    ];
    for line in lines {
        let line = line.replace("LONG", &long);
        let (mut a, mut b) = (ours.line(&line), theirs.line(&line));
        sort_pairs(&line, &mut a);
        sort_pairs(&line, &mut b);
        assert_eq!(a, b, "{line}");
    }
}

#[test]
fn what_a_flushed_data_set_took_goes_back_to_the_machine() {
    let server = Process::vedette(&[]);
    let mut wire = server.connect();
    let resident = |wire: &mut Wire| field(wire, "memory", "used_memory_rss");
    let at_rest = resident(&mut wire);
    // By another connection, which then is idle: nothing it asks for makes its thread look again.
    let mut writer = server.connect();
    for slice in 0..4 {
        let script = "for n = 1, 15000 do redis.call('SET', KEYS[1] .. n, ARGV[1]) end";
        writer.ask(&["EVAL", script, "1", &format!("key:{slice}:"), &"v".repeat(500)]);
    }
    assert_eq!(number(&wire.line("DBSIZE")), 60_000);
    let mut full = 0;
    eventually("thirty megabytes show", || {
        full = resident(&mut wire);
        full > at_rest + (24 << 20)
    });
    assert!(wire.line("FLUSHALL").is_ok());
    eventually("most of it was given back", || resident(&mut wire) < at_rest + (full - at_rest) / 3);
}
