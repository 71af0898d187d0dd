//! What operators and tests of clients ask a server about itself, of ours and of Debian's redis-server: the
//! same fields, the same directives, the same texts.

use crate::support::{Process, Wire};
use std::collections::BTreeSet;

const OPEN: &[&str] = &["--enable-debug-command", "yes"];

fn both() -> [Process; 2] {
    [Process::vedette(OPEN), Process::redis(OPEN)]
}

fn fields(server: &Process) -> BTreeSet<String> {
    let text = server.connect().line("INFO everything");
    let lines = text.as_str().unwrap_or_default().lines();
    let names = lines.filter_map(|line| line.split_once(':')).map(|(name, _)| name.to_owned());
    names.filter(|name| !name.contains("_client") && !name.contains("stat_")).collect()
}

/// Fields of Redis that would say nothing here, and why.
const NOT_TOLD: &[(&str, &str)] = &[
    ("client_recent_max_input_buffer", "buffers are not sampled"),
    ("client_recent_max_output_buffer", "buffers are not sampled"),
    ("current_eviction_exceeded_time", "evictions are bounded by slices, not by a time"),
    ("total_eviction_exceeded_time", "evictions are bounded by slices, not by a time"),
    ("current_save_keys_processed", "a walk is counted in entries of its tables"),
    ("current_save_keys_total", "a walk is counted in entries of its tables"),
    ("dump_payload_sanitizations", "every payload is checked on the way in, none a second time"),
    ("expire_cycle_cpu_milliseconds", "LATENCY tells of cycles that are slow"),
    ("gcc_version", "there is none"),
    ("instantaneous_input_repl_kbps", "replication is counted by its offsets"),
    ("instantaneous_output_repl_kbps", "replication is counted by its offsets"),
    ("total_net_repl_input_bytes", "replication is counted by its offsets"),
    ("total_net_repl_output_bytes", "replication is counted by its offsets"),
    ("io_threaded_reads_processed", "every thread reads and writes for its own connections"),
    ("io_threaded_writes_processed", "every thread reads and writes for its own connections"),
    ("total_reads_processed", "system calls are not counted"),
    ("total_writes_processed", "system calls are not counted"),
    ("monotonic_clock", "there is one"),
    ("reply_buffer_expands", "there are no such buffers"),
    ("reply_buffer_shrinks", "there are no such buffers"),
    ("used_cpu_sys_main_thread", "no thread is the main one"),
    ("used_cpu_user_main_thread", "no thread is the main one"),
];

#[test]
fn info_tells_what_redis_tells() {
    let [ours, theirs] = both();
    let reasons: BTreeSet<&str> = NOT_TOLD.iter().map(|(name, _)| *name).collect();
    let (own, other) = (fields(&ours), fields(&theirs));
    let lacking: Vec<&String> =
        other.difference(&own).filter(|name| !reasons.contains(name.as_str())).collect();
    // Redis tells these of a running save or log alone.
    assert!(lacking.is_empty(), "redis-server tells them, Vedette does not: {lacking:?}");
    let told: Vec<&&str> = reasons.iter().filter(|name| own.contains(**name)).collect();
    assert!(told.is_empty(), "told after all: {told:?}");
    let text = ours.connect().line("INFO server");
    let text = text.as_str().unwrap_or_default().to_owned();
    assert!(text.contains("\nos:Linux ") && text.contains("/vedette\r\n"), "{text}");
}

#[test]
fn every_directive_of_redis_is_known_by_name() {
    let [ours, theirs] = both();
    let names = |server: &Process| -> BTreeSet<String> {
        let reply = server.connect().line("CONFIG GET *");
        let words = reply.as_array().unwrap_or_default().iter().step_by(2);
        words.filter_map(|word| word.as_str().map(str::to_owned)).collect()
    };
    let (own, other) = (names(&ours), names(&theirs));
    let lacking: Vec<&String> = other.difference(&own).collect();
    assert!(lacking.is_empty(), "{lacking:?}");
    // What may be said is said the same way.
    for line in [
        "CONFIG SET maxmemory-clients 5%",
        "CONFIG GET maxmemory-clients",
        "CONFIG SET hash-max-listpack-value 1kb",
        "CONFIG GET hash-max-ziplist-value",
        "CONFIG SET replica-announce-ip 192.0.2.1 replica-announce-port 7",
        "CONFIG GET replica-announce-ip",
        "CONFIG GET replica-announce-port",
        "CONFIG SET dir /tmp",
        "CONFIG SET dbfilename x",
        "CONFIG SET databases 3",
        "CONFIG SET nosuch 1",
        "CONFIG SET maxmemory",
        "CONFIG SET maxmemory 1 maxmemory 2",
        "CONFIG GET",
        "CONFIG RESETSTAT now",
    ] {
        assert_eq!(ours.connect().line(line), theirs.connect().line(line), "{line}");
    }
}

/// Lines of a HELP that only one of both has.
fn help(wire: &mut Wire, name: &str) -> BTreeSet<String> {
    let reply = wire.line(&format!("{name} HELP"));
    let lines = reply.as_array().unwrap_or_default().iter();
    lines.filter_map(|line| line.as_str().map(str::to_owned)).collect()
}

#[test]
fn help_is_the_same_where_the_subcommands_are() {
    let [ours, theirs] = both();
    let (mut own, mut other) = (ours.connect(), theirs.connect());
    for name in
        ["ACL", "COMMAND", "FUNCTION", "LATENCY", "MEMORY", "OBJECT", "PUBSUB", "SLOWLOG", "XGROUP", "XINFO"]
    {
        assert_eq!(help(&mut own, name), help(&mut other, name), "{name}");
    }
    for name in ["CLIENT", "CONFIG", "DEBUG", "MODULE", "SCRIPT"] {
        let (own, other) = (help(&mut own, name), help(&mut other, name));
        assert!(own.intersection(&other).count() >= 5, "{name}: {own:?}");
    }
}

#[test]
fn debug_answers_what_tests_of_clients_ask() {
    let [ours, theirs] = both();
    let said = |server: &Process| {
        let mut wire = server.connect();
        let mut said = Vec::new();
        let data = [
            "SET number 12345",
            "SET text hello",
            "PEXPIREAT text 99999999999999",
            "RPUSH list a b 3 -70000 a",
            "SADD ints 1 2 3",
            "SADD words x y z",
            "HSET hash f v g 12",
            "ZADD zset 1.5 a -inf b 0.1 c 1e20 d",
            "XADD stream 1-1 field value number 12",
            "XADD stream 2-0 another field",
            "XDEL stream 1-1",
            "SELECT 3",
            "SET elsewhere 1",
            "SELECT 0",
        ];
        let asked = [
            "DEBUG DIGEST",
            "DEBUG DIGEST-VALUE number text list ints words hash zset stream none",
            "DEBUG RELOAD",
            "DEBUG DIGEST",
            "DEBUG POPULATE 3 number 10",
            "DEBUG POPULATE 2",
            "MGET number:0 number:2 key:1",
            "DEBUG POPULATE x",
            "DEBUG POPULATE -1",
            "DEBUG ERROR boom",
            "DEBUG ERROR",
            "DEBUG LOG text",
            "DEBUG NOSUCH",
            "DEBUG OBJECT none",
        ];
        let kinds = "string integer double bignum null array set map attrib push verbatim true false nosuch";
        let kinds: Vec<String> = kinds.split(' ').map(|kind| format!("DEBUG PROTOCOL {kind}")).collect();
        let lines = data.iter().chain(&asked).map(|line| (*line).to_owned());
        for line in lines.chain(kinds.iter().cloned()).chain(["HELLO 3".to_owned()]) {
            said.push(format!("{line}: {:?}", wire.line(&line)));
        }
        said.retain(|line| !line.starts_with("HELLO"));
        // An attribute comes before its reply.
        for line in kinds.iter().filter(|line| !line.ends_with("attrib")) {
            said.push(format!("{line}: {:?}", wire.line(line)));
        }
        said
    };
    let (own, other) = (said(&ours), said(&theirs));
    for (own, other) in own.iter().zip(&other) {
        assert_eq!(own, other);
    }
    let object = ours.connect().line("DEBUG OBJECT list");
    let object = object.as_str().unwrap_or_default().to_owned();
    assert!(object.contains(" encoding:quicklist serializedlength:") && object.contains(" lru:"), "{object}");
}

#[test]
fn flushed_and_deleted_data_give_their_memory_back() {
    let server = Process::vedette(&["--enable-debug-command", "yes", "--lazyfree-lazy-user-flush", "no"]);
    let mut wire = server.connect();
    let status = std::path::PathBuf::from(format!("/proc/{}/status", server.pid()));
    let resident_mib = || {
        let text = std::fs::read_to_string(&status).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    };
    for clear in ["FLUSHALL", "FLUSHALL ASYNC", "one by one"] {
        let before = resident_mib();
        assert!(wire.line("DEBUG POPULATE 150000 key 200").is_ok());
        let full = resident_mib();
        assert!(full > before + 20, "{before} MiB, then {full} MiB");
        if clear == "one by one" {
            let script = "for i = 0, 149999 do redis.call('DEL', 'key:' .. i) end";
            assert!(wire.ask(&["EVAL", script, "0"]).error().is_none());
        } else {
            assert!(wire.line(clear).is_ok());
        }
        // Pages that still hold something stay.
        let goal = before + (full - before) / 2;
        let told = || format!("{clear}: {before} MiB, then {full}, now {}", resident_mib());
        crate::support::eventually_telling("the machine has its memory back", told, || {
            resident_mib() <= goal
        });
    }
}
