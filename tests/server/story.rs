//! Sessions telling their stories: transactions, subscriptions, waiting, refusals, CLIENT and CONFIG.

use crate::support::{Process, eventually};
use std::time::Duration;
use vedette::resp::Reply;

fn words(reply: &Reply) -> Vec<String> {
    let of = |item: &Reply| match item {
        Reply::Integer(number) => number.to_string(),
        Reply::Null => "nil".to_owned(),
        other => other.as_str().unwrap_or("?").to_owned(),
    };
    reply.as_array().unwrap_or(&[]).iter().map(of).collect()
}

#[test]
fn a_transaction_is_whole_or_nothing() {
    let server = Process::vedette(&[]);
    let (mut a, mut b) = (server.connect(), server.connect());
    a.line("MULTI");
    assert_eq!(a.line("SET x 1").as_str(), Some("QUEUED"));
    a.line("INCR x");
    assert_eq!(b.line("GET x"), Reply::Null, "nothing runs before EXEC");
    assert_eq!(words(&a.line("EXEC")), ["OK", "2"]);

    a.line("MULTI");
    assert!(a.line("NOSUCH").error().unwrap().starts_with("ERR unknown command"));
    a.line("SET x 9");
    assert_eq!(a.line("EXEC").error(), Some("EXECABORT Transaction discarded because of previous errors."));
    assert_eq!(a.line("GET x").as_str(), Some("2"));
    assert_eq!(a.line("EXEC").error(), Some("ERR EXEC without MULTI"));

    a.line("WATCH x");
    b.line("INCR x");
    a.line("MULTI");
    a.line("SET x 100");
    assert_eq!(a.line("EXEC"), Reply::Null, "someone was faster");
    a.line("WATCH x");
    a.line("UNWATCH");
    b.line("INCR x");
    a.line("MULTI");
    a.line("GET x");
    assert_eq!(words(&a.line("EXEC")), ["4"]);
    a.line("WATCH x");
    b.line("FLUSHALL");
    a.line("MULTI");
    a.line("PING");
    assert_eq!(a.line("EXEC"), Reply::Null);
    a.line("MULTI");
    assert!(a.line("DISCARD").is_ok());
}

#[test]
fn messages_reach_channels_and_patterns_in_both_protocols() {
    let server = Process::vedette(&[]);
    let (mut old, mut new, mut speaker) = (server.connect(), server.connect(), server.connect());
    assert_eq!(words(&old.line("SUBSCRIBE news")), ["subscribe", "news", "1"]);
    assert!(old.line("GET a").error().unwrap().starts_with("ERR Can't execute 'get': only"));
    assert_eq!(words(&old.line("PING")), ["pong", ""]);
    new.line("HELLO 3");
    assert!(matches!(new.line("PSUBSCRIBE n*"), Reply::Push(_)));
    assert_eq!(new.line("GET a"), Reply::Null, "RESP3 goes on talking");
    assert_eq!(words(&speaker.line("PUBSUB NUMSUB news other")), ["news", "1", "other", "0"]);
    assert_eq!(speaker.line("PUBSUB NUMPAT"), Reply::Integer(1));
    assert_eq!(speaker.line("PUBLISH news hello"), Reply::Integer(2));
    assert_eq!(words(&old.next().unwrap()), ["message", "news", "hello"]);
    let push = new.next().unwrap();
    assert!(matches!(push, Reply::Push(_)));
    assert_eq!(words(&push), ["pmessage", "n*", "news", "hello"]);
    assert_eq!(words(&old.line("UNSUBSCRIBE")), ["unsubscribe", "news", "0"]);
    assert_eq!(old.line("GET a"), Reply::Null);
    new.close();
    eventually("a closed listener is forgotten", || speaker.line("PUBLISH news again") == Reply::Integer(0));
}

#[test]
fn those_who_wait_for_a_list_are_served_in_order() {
    let server = Process::vedette(&[]);
    let (mut first, mut second, mut pusher) = (server.connect(), server.connect(), server.connect());
    let waiting = |pusher: &mut crate::support::Wire, count: usize| {
        let want = format!("blocked_clients:{count}\r\n");
        eventually(&want, || pusher.line("INFO clients").as_str().unwrap_or_default().contains(&want));
    };
    first.send(&["BLPOP", "queue", "other", "0"]);
    waiting(&mut pusher, 1);
    second.send(&["BLPOP", "queue", "0"]);
    waiting(&mut pusher, 2);
    // What a blocked client sends meanwhile is answered afterwards.
    first.send(&["PING"]);
    assert_eq!(pusher.line("RPUSH queue a b c"), Reply::Integer(3));
    assert_eq!(words(&first.next().unwrap()), ["queue", "a"]);
    assert_eq!(first.next().unwrap().as_str(), Some("PONG"));
    assert_eq!(words(&second.next().unwrap()), ["queue", "b"]);
    assert_eq!(pusher.line("LLEN queue"), Reply::Integer(1));

    assert_eq!(first.line("BLPOP nothing 0.05"), Reply::Null);
    assert_eq!(first.line("BLPOP nothing -1").error(), Some("ERR timeout is negative"));
    first.line("MULTI");
    first.line("BLPOP nothing 0");
    assert_eq!(words(&first.line("EXEC")), ["nil"], "no waiting inside a transaction");

    first.send(&["BLMOVE", "from", "to", "LEFT", "RIGHT", "0"]);
    waiting(&mut pusher, 1);
    second.send(&["BLPOP", "to", "0"]);
    waiting(&mut pusher, 2);
    pusher.line("MULTI");
    pusher.line("RPUSH from x");
    pusher.line("EXEC");
    assert_eq!(first.next().unwrap().as_str(), Some("x"));
    assert_eq!(words(&second.next().unwrap()), ["to", "x"], "one move feeds the next");

    first.send(&["BZPOPMIN", "z", "0"]);
    waiting(&mut pusher, 1);
    pusher.line("ZADD z 2 two 1 one");
    assert_eq!(words(&first.next().unwrap()), ["z", "one", "1"]);
    first.send(&["BLMPOP", "0", "2", "a", "b", "RIGHT", "COUNT", "2"]);
    waiting(&mut pusher, 1);
    pusher.line("RPUSH b 1 2 3");
    let reply = first.next().unwrap();
    assert_eq!(words(&reply.as_array().unwrap()[1]), ["3", "2"]);

    first.line("CLIENT SETNAME waiter");
    let id = first.line("CLIENT ID").as_integer().unwrap().to_string();
    first.send(&["BLPOP", "never", "0"]);
    waiting(&mut pusher, 1);
    assert_eq!(pusher.ask(&["CLIENT", "UNBLOCK", &id, "ERROR"]), Reply::Integer(1));
    assert!(first.next().unwrap().error().unwrap().starts_with("UNBLOCKED"));
    first.send(&["BLPOP", "never", "0"]);
    waiting(&mut pusher, 1);
    first.close();
    waiting(&mut pusher, 0);
}

#[test]
fn unknown_words_are_refused_and_never_cost_the_connection() {
    let server = Process::vedette(&[]);
    let mut wire = server.connect();
    for (line, said) in [
        ("FOO bar baz", "ERR unknown command 'FOO', with args beginning with: 'bar' 'baz' "),
        ("GET", "ERR wrong number of arguments for 'get' command"),
        ("CLIENT NOSUCH", "ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP."),
        ("HELLO 4", "NOPROTO unsupported protocol version"),
        ("HELLO x", "ERR Protocol version is not an integer or out of range"),
        ("HELLO 2 WHAT", "ERR Syntax error in HELLO option 'WHAT'"),
        ("AUTH x", "ERR AUTH <password> called without any password configured"),
        ("SELECT 99", "ERR DB index is out of range"),
        ("CONFIG SET nosuch 1", "ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'"),
        (
            "CONFIG SET port 1",
            "ERR CONFIG SET failed (possibly related to argument 'port') - can't set immutable config",
        ),
        (
            "CONFIG SET hz 0",
            "ERR CONFIG SET failed (possibly related to argument 'hz') - argument must be between 1 and 500",
        ),
        ("LATENCY NOSUCH", "ERR unknown subcommand 'NOSUCH'. Try LATENCY HELP."),
        ("CLUSTER INFO", "ERR This instance has cluster support disabled"),
    ] {
        let reply = wire.line(line);
        assert!(reply.error().is_some_and(|error| error.starts_with(said)), "{line}: {reply:?}");
    }
    assert_eq!(words(&wire.line("CONFIG GET appendonly")), ["appendonly", "no"]);
    assert!(wire.line("CONFIG SET maxmemory 1kb").is_ok());
    eventually("memory is measured and above a kilobyte", || {
        let reply = wire.line("SET a 1");
        reply.error() == Some("OOM command not allowed when used memory > 'maxmemory'.")
    });
    assert_eq!(wire.line("GET a").error(), None, "reads go on");
    assert_eq!(wire.line("DEL a").error(), None, "what frees memory goes on");
}

#[test]
fn clients_see_name_pause_and_kill_each_other() {
    let server = Process::vedette(&[]);
    let (mut a, mut b) = (server.connect(), server.connect());
    a.line("CLIENT SETNAME alice");
    a.line("CLIENT SETINFO LIB-NAME story");
    let list = b.line("CLIENT LIST");
    let list = list.as_str().unwrap();
    assert!(
        list.contains("name=alice") && list.contains("lib-name=story") && list.lines().count() >= 2,
        "{list}"
    );
    assert!(a.line("CLIENT SETNAME a\u{7f}b").error().is_some());

    assert!(a.line("CLIENT PAUSE 60000 WRITE").is_ok());
    b.send(&["SET", "x", "1"]);
    assert!(b.is_silent_for(Duration::from_millis(100)), "a write waits");
    assert_eq!(a.line("GET x"), Reply::Null, "a read does not, and sees no write");
    assert!(a.line("CLIENT UNPAUSE").is_ok());
    assert!(b.next().unwrap().is_ok());
    a.line("CLIENT PAUSE 50 ALL");
    assert_eq!(b.line("GET x").as_str(), Some("1"), "the pause ends by itself");

    a.send(&["CLIENT", "REPLY", "OFF"]);
    a.send(&["SET", "y", "1"]);
    assert!(a.line("CLIENT REPLY ON").is_ok());
    a.send(&["CLIENT", "REPLY", "SKIP"]);
    a.send(&["SET", "y", "2"]);
    assert_eq!(a.line("GET y").as_str(), Some("2"));

    let id = a.line("CLIENT ID").as_integer().unwrap().to_string();
    assert_eq!(b.ask(&["CLIENT", "KILL", "ID", &id]), Reply::Integer(1));
    assert!(a.next().is_none());
    assert_eq!(b.line("CLIENT KILL 1.2.3.4:5").error(), Some("ERR No such client"));
    assert_eq!(b.line("CLIENT KILL TYPE normal SKIPME yes").error(), None);
    assert_eq!(b.line("PING").as_str(), Some("PONG"));
    assert_eq!(b.line("RESET").as_str(), Some("RESET"));
    assert!(b.line("QUIT").is_ok());
    assert!(b.next().is_none());
}

#[test]
fn slow_commands_are_remembered_without_passwords() {
    let server = Process::vedette(&["--slowlog-log-slower-than", "0"]);
    let mut wire = server.connect();
    wire.line("CONFIG SET requirepass hunter2");
    wire.line("AUTH hunter2");
    wire.ask(&["SET", "a", &"x".repeat(500)]);
    let log = wire.line("SLOWLOG GET 100");
    let entries = log.as_array().unwrap_or(&[]).iter().filter_map(|entry| entry.as_array()?.get(3));
    let log: String = entries.map(|entry| words(entry).join(" ") + "\n").collect();
    assert!(log.contains("CONFIG SET requirepass (redacted)") && !log.contains("hunter2"), "{log}");
    assert!(log.contains("... (372 more bytes)"), "{log}");
    assert!(wire.line("SLOWLOG LEN").as_integer().unwrap() > 2);
    assert!(wire.line("INFO commandstats").as_str().unwrap().contains("cmdstat_set:calls=1,"));
}
