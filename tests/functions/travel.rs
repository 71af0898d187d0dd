//! Functions go where data goes.

use super::*;
use crate::replication::follow;
use crate::support::eventually;

const COUNT: &str = "#!lua name=count|redis.register_function('bump', function(k) return redis.call('incr', k[1]) end)|redis.register_function{function_name='look', flags={'no-writes'}, callback=function(k) return redis.call('get', k[1]) end}";

fn load(wire: &mut Wire) {
    assert_eq!(wire.ask(&["FUNCTION", "LOAD", &library(COUNT)]).as_str(), Some("count"));
    assert_eq!(wire.line("FCALL bump 1 n"), Reply::Integer(1));
}

fn works(wire: &mut Wire, n: i64) {
    assert_eq!(wire.line("FCALL_RO look 1 n").as_str(), Some(n.to_string().as_str()));
    assert_eq!(wire.line("FCALL bump 1 n"), Reply::Integer(n + 1));
    // What travels is the text.
    let listed = all_text(&wire.line("FUNCTION LIST WITHCODE"));
    assert!(listed.contains("library_code") && listed.contains("name=count"), "{listed}");
}

#[test]
fn functions_survive_in_the_snapshot_and_in_the_log() {
    for directives in [&["--save", "3600 100000"][..], &["--appendonly", "yes"]] {
        let mut server = Process::vedette(directives);
        load(&mut server.connect());
        assert!(server.connect().line("FLUSHALL").is_ok(), "which leaves functions alone");
        assert_eq!(server.connect().line("FCALL bump 1 n"), Reply::Integer(1));
        server.terminate();
        server.restart();
        works(&mut server.connect(), 1);
        if directives[0].starts_with("--append") {
            assert!(server.connect().line("BGREWRITEAOF").error().is_none());
            eventually("the new base counts", || {
                let info = server.connect().line("INFO persistence");
                let text = info.as_str().unwrap_or("").to_owned();
                text.contains("aof_rewrite_in_progress:0") && text.contains("aof_rewrite_scheduled:0")
            });
            assert!(server.connect().line("FUNCTION DELETE count").is_ok());
            load_again(&mut server.connect());
            server.kill();
            server.restart();
            works(&mut server.connect(), 2);
        }
    }
}

fn load_again(wire: &mut Wire) {
    assert_eq!(wire.ask(&["FUNCTION", "LOAD", "REPLACE", &library(COUNT)]).as_str(), Some("count"));
}

#[test]
fn functions_reach_replicas_of_either_kind() {
    for (master, replica) in [
        (Process::vedette(&[]), Process::vedette(&[])),
        (Process::vedette(&[]), Process::redis(&[])),
        (Process::redis(&[]), Process::vedette(&[])),
    ] {
        load(&mut master.connect());
        follow(&replica, &master);
        // By the image.
        eventually("the image brings the function", || {
            replica.connect().line("FCALL_RO look 1 n").as_str() == Some("1")
        });
        let refused = replica.connect().line("FCALL bump 1 n");
        assert!(refused.error().is_some_and(|error| error.starts_with("READONLY")), "{refused:?}");
        let refused = replica.connect().line("FUNCTION FLUSH");
        assert!(refused.error().is_some_and(|error| error.starts_with("READONLY")), "{refused:?}");
        // By the stream.
        let more = library(
            "#!lua name=more|redis.register_function{function_name='late', flags={'no-writes'}, callback=function() return 'here' end}",
        );
        assert_eq!(master.connect().ask(&["FUNCTION", "LOAD", &more]).as_str(), Some("more"));
        assert_eq!(master.connect().line("FCALL bump 1 n"), Reply::Integer(2));
        eventually("the stream brings the other one", || {
            replica.connect().line("FCALL_RO late 0").as_str() == Some("here")
                && replica.connect().line("FCALL_RO look 1 n").as_str() == Some("2")
        });
        assert!(master.connect().line("FUNCTION FLUSH").is_ok());
        eventually("and takes them away", || {
            replica.connect().line("FUNCTION LIST").as_array().is_some_and(<[Reply]>::is_empty)
        });
    }
}

#[test]
fn functions_go_to_the_other_kind_in_a_file_and_in_a_dump() {
    let ours = Process::vedette(&[]);
    load(&mut ours.connect());
    assert!(ours.connect().line("SAVE").is_ok());
    let mut theirs = Process::redis(&["--save", "3600 100000"]);
    theirs.kill();
    std::fs::copy(ours.path("dump.rdb"), theirs.path("dump.rdb")).expect("a snapshot");
    theirs.restart();
    works(&mut theirs.connect(), 1);

    assert!(theirs.connect().line("SAVE").is_ok());
    let mut back = Process::vedette(&["--save", "3600 100000"]);
    back.kill();
    std::fs::copy(theirs.path("dump.rdb"), back.path("dump.rdb")).expect("a snapshot");
    back.restart();
    works(&mut back.connect(), 2);

    for (from, to) in [(&ours, &theirs), (&theirs, &ours)] {
        let dump = from.connect().line("FUNCTION DUMP");
        let payload = dump.as_bytes().expect("a payload").to_vec();
        let restore = |policy: &str| {
            let mut wire = to.connect();
            let mut request = Vec::new();
            let words: [&[u8]; 4] = [b"FUNCTION", b"RESTORE", &payload, policy.as_bytes()];
            vedette::resp::encode::command(&mut request, &words);
            wire.send_raw(&request);
            wire.next().expect("a reply")
        };
        let exists = restore("APPEND");
        assert_eq!(exists.error(), Some("ERR Library count already exists"));
        assert!(restore("REPLACE").is_ok());
        assert!(restore("FLUSH").is_ok());
        assert_eq!(to.connect().line("FCALL_RO look 1 n").error(), None);
    }
}
