//! Clients that cache what they read, that listen to shards, that watch others, and what they are told.

use crate::support::Process;
use vedette::resp::Reply;

fn bulk(reply: &Reply, at: usize) -> String {
    let words = reply.as_array().expect("an array");
    String::from_utf8_lossy(words[at].as_bytes().unwrap_or_default()).into_owned()
}

fn keys(push: &Reply) -> Vec<String> {
    assert!(matches!(push, Reply::Push(_)), "{push:?}");
    assert_eq!(bulk(push, 0), "invalidate");
    match &push.as_array().expect("an array")[1] {
        Reply::Null => vec!["everything".to_owned()],
        list => (0..list.as_array().map_or(0, <[Reply]>::len)).map(|at| bulk(list, at)).collect(),
    }
}

#[test]
fn who_cached_a_key_is_told_once_that_it_changed() {
    let server = Process::vedette(&[]);
    let (mut cache, mut writer) = (server.connect(), server.connect());
    cache.line("HELLO 3");
    assert!(cache.line("CLIENT TRACKING ON").is_ok());
    cache.line("MGET a b");
    writer.line("MSET a 1 b 2 c 3");
    assert_eq!(keys(&cache.next().unwrap()), ["a"]);
    assert_eq!(keys(&cache.next().unwrap()), ["b"]);
    writer.line("SET a 2");
    assert_eq!(cache.line("GET a").as_str(), Some("2"), "told once, then only what was read again counts");
    writer.line("FLUSHALL");
    assert_eq!(keys(&cache.next().unwrap()), ["everything"]);
    assert!(cache.line("CLIENT TRACKING OFF").is_ok());

    assert!(cache.line("CLIENT TRACKING ON BCAST PREFIX user: NOLOOP").is_ok());
    assert!(cache.line("SET user:0 mine").is_ok());
    writer.line("MSET user:1 x item:1 y user:2 z");
    assert_eq!(keys(&cache.next().unwrap()), ["user:1", "user:2"], "of its prefix, and not its own");
    let info = writer.line("INFO stats");
    assert!(info.as_str().unwrap().contains("tracking_total_prefixes:1"), "{info:?}");
}

#[test]
fn the_table_of_cached_keys_is_bounded() {
    let server = Process::vedette(&["--tracking-table-max-keys", "10"]);
    let mut cache = server.connect();
    cache.line("HELLO 3");
    cache.line("CLIENT TRACKING ON");
    for number in 0..10 {
        cache.line(&format!("GET key{number}"));
    }
    cache.line("GET zebra");
    assert_eq!(keys(&cache.next().unwrap()), ["key0"], "the one that was let go counts as changed");
    let info = cache.line("INFO stats");
    assert!(info.as_str().unwrap().contains("tracking_total_keys:10\r\n"), "{info:?}");
}

#[test]
fn old_clients_have_another_connection_told() {
    let server = Process::vedette(&[]);
    let (mut listener, mut cache, mut writer) = (server.connect(), server.connect(), server.connect());
    let Reply::Integer(id) = listener.line("CLIENT ID") else { panic!("an id") };
    listener.line("SUBSCRIBE __redis__:invalidate");
    assert!(cache.line(&format!("CLIENT TRACKING ON REDIRECT {id}")).is_ok());
    assert_eq!(cache.line("CLIENT GETREDIR"), Reply::Integer(id));
    cache.line("GET a");
    writer.line("SET a 1");
    let message = listener.next().unwrap();
    assert_eq!((bulk(&message, 0), bulk(&message, 1)), ("message".into(), "__redis__:invalidate".into()));
}

#[test]
fn shards_have_channels_of_their_own() {
    let server = Process::vedette(&[]);
    let (mut listener, mut speaker) = (server.connect(), server.connect());
    listener.line("SSUBSCRIBE news");
    assert_eq!(speaker.line("PUBLISH news plain"), Reply::Integer(0));
    assert_eq!(speaker.line("SPUBLISH news sharded"), Reply::Integer(1));
    let message = listener.next().unwrap();
    assert_eq!((bulk(&message, 0), bulk(&message, 2)), ("smessage".into(), "sharded".into()));
    assert_eq!(bulk(&speaker.line("PUBSUB SHARDCHANNELS"), 0), "news");
}

#[test]
fn a_monitor_sees_commands_and_no_passwords() {
    let server = Process::vedette(&[]);
    let (mut monitor, mut client) = (server.connect(), server.connect());
    assert!(monitor.line("MONITOR").is_ok());
    client.line("AUTH someone secret");
    client.line("HELLO 3 AUTH someone secret");
    client.line("CONFIG SET requirepass secret");
    client.ask(&["CONFIG", "SET", "requirepass", ""]);
    client.line("ACL SETUSER someone >secret");
    client.ask(&["SET", "a", "quo\"te"]);
    let mut seen = String::new();
    while !seen.contains("\"SET\"") {
        seen.push_str(monitor.next().unwrap().as_str().unwrap());
        seen.push('\n');
    }
    assert!(!seen.contains("secret"), "{seen}");
    assert!(seen.contains("\"AUTH\" \"(redacted)\" \"(redacted)\""), "{seen}");
    assert!(seen.contains("[0 127.0.0.1:") && seen.contains(r#""SET" "a" "quo\"te""#), "{seen}");
}

#[test]
fn what_was_slow_is_remembered() {
    let server = Process::vedette(&["--enable-debug-command", "local"]);
    let mut wire = server.connect();
    assert!(wire.line("CONFIG SET latency-monitor-threshold 5").is_ok());
    wire.line("DEBUG SLEEP 0.01");
    assert_eq!(bulk(&wire.line("LATENCY LATEST").as_array().unwrap()[0], 0), "command");
    assert_eq!(wire.line("LATENCY HISTORY command").as_array().unwrap().len(), 1);
    assert!(wire.line("LATENCY GRAPH command").as_str().unwrap().starts_with("command - high "));
    assert!(wire.line("LATENCY DOCTOR").as_str().unwrap().contains("command: 1 latency spikes"));
    assert_eq!(wire.line("LATENCY RESET"), Reply::Integer(1));
    wire.line("GET a");
    assert_eq!(bulk(&wire.line("LATENCY HISTOGRAM get"), 0), "get");
    let info = wire.line("INFO latencystats");
    assert!(info.as_str().unwrap().contains("latency_percentiles_usec_get:p50="), "{info:?}");
    wire.line("GET");
    assert!(wire.line("INFO errorstats").as_str().unwrap().contains("errorstat_ERR:count=1"));
}
