//! What is counted of commands, by subcommand as Redis counts: commandstats, latency histograms, CLIENT
//! LIST; and which events LATENCY knows.

use crate::support::{Process, eventually};
use vedette::resp::Reply;

const LINES: &[&str] = &[
    "CONFIG GET hz",
    "config get hz",
    "CLIENT LIST",
    "OBJECT ENCODING none",
    "XINFO STREAM none",
    "MEMORY USAGE none",
    "GET a",
    "SET a 1",
    "LPUSH a b",
    "COMMAND COUNT",
    "COMMAND",
    "MULTI",
    "CONFIG GET port",
    "EXEC",
    "SLOWLOG LEN",
    "ACL WHOAMI",
    // Rejected before they are called, or unknown and not counted at all.
    "GET",
    "CONFIG GET",
    "CLIENT SETNAME",
    "XGROUP CREATE",
    "OBJECT FREQ",
    "CLIENT NOSUCH",
    "CONFIG NOSUCH x",
    "MULTI",
    "CLIENT NOSUCH",
    "EXEC",
    "MULTI",
    "INCR b",
    "INCR a",
    "EXEC",
];

/// Names and counts of commandstats, sorted.
fn counted(server: &Process) -> Vec<String> {
    let mut wire = server.connect();
    wire.line("CONFIG RESETSTAT");
    for line in LINES {
        wire.line(line);
    }
    let text = wire.line("INFO commandstats");
    let lines = text.as_str().unwrap_or_default().lines().filter(|line| line.starts_with("cmdstat_"));
    let mut all: Vec<String> = lines
        .map(|line| {
            let (name, rest) = line.split_once(":calls=").unwrap();
            let field = |name: &str| {
                let text = rest.split(name).nth(1).unwrap_or_default();
                text.split(',').next().unwrap_or_default().to_owned()
            };
            let calls = rest.split(',').next().unwrap();
            format!("{name} {calls} {} {}", field("rejected_calls="), field("failed_calls="))
        })
        .filter(|line| !line.starts_with("cmdstat_info"))
        .collect();
    all.sort();
    all
}

#[test]
fn subcommands_are_counted_as_redis_counts_them() {
    let (ours, theirs) = (Process::vedette(&[]), Process::redis(&[]));
    assert_eq!(counted(&ours), counted(&theirs));
    let named = |server: &Process, line: &str| -> Vec<String> {
        let reply = server.connect().line(line);
        let words = reply.as_array().unwrap_or_default().iter().filter_map(|word| word.as_str());
        let mut words: Vec<String> = words.map(str::to_owned).collect();
        words.sort();
        words
    };
    for line in
        ["LATENCY HISTOGRAM config", "LATENCY HISTOGRAM config|get", "LATENCY HISTOGRAM OBJECT get nosuch"]
    {
        assert_eq!(named(&ours, line), named(&theirs, line), "{line}");
    }
    for server in [&ours, &theirs] {
        let text = server.connect().line("INFO latencystats");
        let text = text.as_str().unwrap_or_default().to_owned();
        assert!(text.contains("latency_percentiles_usec_config|get:p50="), "{text}");
        let mine = server.connect().line("CLIENT LIST");
        assert!(mine.as_str().is_some_and(|list| list.contains("cmd=client|list")), "{mine:?}");
    }
}

/// A script that read anything has read the keys that it declares, and one that did not has read none.
#[test]
fn keys_of_scripts_are_tracked_as_in_redis() {
    let said = |server: &Process| {
        let (mut client, mut other) = (server.connect(), server.connect());
        let mut said = vec![];
        client.line("HELLO 3");
        client.line("CLIENT TRACKING ON");
        for (number, script) in [
            "return redis.call('GET', KEYS[1])",
            "return redis.call('SET', KEYS[1], 'x')",
            "return redis.call('GET', 'undeclared')",
            "return 1",
        ]
        .iter()
        .enumerate()
        {
            let key = format!("key:{number}");
            client.ask(&["EVAL", script, "1", &key]);
            client.ask(&["EVAL_RO", script, "1", &key]);
            other.ask(&["SET", &key, "changed"]);
            other.ask(&["SET", "undeclared", "changed"]);
            // Pushes stand before the answer.
            client.send(&["PING"]);
            loop {
                let reply = client.next().expect("an answer");
                let is_answer = reply.as_str() == Some("PONG");
                said.push(format!("{number} {reply:?}"));
                if is_answer {
                    break;
                }
            }
        }
        said
    };
    let (ours, theirs) = (Process::vedette(&[]), Process::redis(&[]));
    assert_eq!(said(&ours), said(&theirs));
}

#[test]
fn what_the_disk_and_the_cycles_cost_is_among_the_events() {
    let server = Process::vedette(&["--appendonly", "yes", "--appendfsync", "always"]);
    let mut wire = server.connect();
    assert!(wire.line("CONFIG SET latency-monitor-threshold 1").is_ok());
    let value = "x".repeat(8 << 20);
    eventually("writing it down took a while", || {
        assert!(wire.ask(&["SET", "large", &value]).is_ok());
        let latest = wire.line("LATENCY LATEST");
        let events = latest.as_array().unwrap_or_default().iter();
        let names: Vec<&str> = events.filter_map(|event| event.as_array()?.first()?.as_str()).collect();
        names.contains(&"aof-write") && names.contains(&"aof-fsync-always")
    });
}

/// The shape of what is told of a command, texts aside: summaries and what changed are our own words.
fn shape(docs: &Reply) -> Vec<String> {
    let Some(pairs) = docs.as_array() else { return Vec::new() };
    let mut lines = Vec::new();
    for pair in pairs.chunks_exact(2) {
        let name = pair[0].as_str().unwrap_or_default();
        lines.push(match name {
            "summary" => name.to_owned(),
            "complexity" => {
                let text = pair[1].as_str().unwrap_or_default();
                // As far as it is a formula.
                format!("{name} {}", if text.starts_with("O(") { &text[..4] } else { "" })
            }
            "history" => {
                let changes = pair[1].as_array().unwrap_or_default().iter();
                let versions: Vec<&str> =
                    changes.filter_map(|one| one.as_array()?.first()?.as_str()).collect();
                format!("{name} {versions:?}")
            }
            "subcommands" => {
                let mut all = Vec::new();
                for pair in pair[1].as_array().unwrap_or_default().chunks_exact(2) {
                    let inner = shape(&pair[1]).join(", ");
                    all.push(format!("{} {inner}", pair[0].as_str().unwrap_or_default()));
                }
                all.sort();
                all.join("\n")
            }
            _ => format!("{name} {:?}", pair[1]),
        });
    }
    lines
}

#[test]
fn what_is_told_of_commands_is_what_redis_tells() {
    let (ours, theirs) = (Process::vedette(&[]), Process::redis(&[]));
    for name in [
        "set",
        "get",
        "blpop",
        "hset",
        "client",
        "config",
        "georadius",
        "xadd",
        "lpos",
        "object",
        "zadd",
        "eval",
    ] {
        let docs = |server: &Process| {
            let reply = server.connect().ask(&["COMMAND", "DOCS", name]);
            shape(&reply.as_array().unwrap()[1])
        };
        assert_eq!(docs(&ours), docs(&theirs), "{name}");
    }
    let info = ours.connect().line("INFO memory");
    let theirs = theirs.connect().line("INFO memory");
    for field in ["number_of_functions:0", "number_of_libraries:0"] {
        assert!(theirs.as_str().is_some_and(|text| text.contains(field)));
        assert!(info.as_str().is_some_and(|text| text.contains(field)), "{field}");
    }
}
