//! `aof-use-rdb-preamble no`: the base is commands, which Redis reads and its tool passes; and
//! `aof-disable-auto-gc`: what a base took the place of stays.

use super::{check_aof, files, rewrite};
use crate::replication::{ALL_TYPES, content};
use crate::support::{Process, eventually};

/// The first difference, and not all that there is.
#[track_caller]
fn same(found: &[String], wanted: &[String]) {
    for (found, wanted) in found.iter().zip(wanted) {
        assert_eq!(found, wanted);
    }
    assert_eq!(found.len(), wanted.len());
}

const MORE: &[&str] = &[
    "XADD deep 1-1 a 1",
    "XADD deep 2-1 a 2",
    "XADD deep 3-1 b 3 c 4",
    "XDEL deep 2-1",
    "XGROUP CREATE deep readers 0",
    "XREADGROUP GROUP readers one COUNT 1 STREAMS deep >",
    "XGROUP CREATECONSUMER deep readers two",
    "XADD emptied 5-5 a 1",
    "XDEL emptied 5-5",
    "ZADD scores 0.5 a -inf b 1048576 c 3 d",
    "PFADD unique a b c",
    "SELECT 3",
    "SET elsewhere 1",
    "SELECT 0",
];

#[test]
fn a_base_of_commands_is_read_here_and_by_redis() {
    let directives = ["--appendonly", "yes", "--aof-use-rdb-preamble", "no"];
    let mut server = Process::vedette(&directives);
    assert!(files(&server).contains(&"appendonly.aof.1.base.aof".to_owned()), "{:?}", files(&server));
    let mut wire = server.connect();
    for line in ALL_TYPES.iter().chain(MORE) {
        assert!(wire.line(line).error().is_none(), "{line}");
    }
    for number in 0..200 {
        let (member, score) = (format!("member:{number}"), number.to_string());
        wire.ask(&["RPUSH", "long:list", &member]);
        wire.ask(&["HSET", "long:hash", &member, &score]);
        wire.ask(&["ZADD", "long:zset", &score, &member]);
        wire.ask(&["SADD", "long:set", &member]);
    }
    let library = "#!lua name=own\nredis.register_function('f', function() return 'from f' end)";
    assert!(wire.ask(&["FUNCTION", "LOAD", library]).error().is_none());
    rewrite(&mut wire);
    assert!(wire.line("SET after base").is_ok());
    let before = content(&server);
    let manifest = server.path("appendonlydir/appendonly.aof.manifest");
    assert!(files(&server).contains(&"appendonly.aof.2.base.aof".to_owned()), "{:?}", files(&server));
    assert_eq!(server.terminate(), Some(0));
    check_aof(&manifest);
    let mut redis = Process::redis(&directives);
    redis.kill();
    let own = redis.path("appendonlydir");
    let _ = std::fs::remove_dir_all(&own);
    std::fs::create_dir(&own).unwrap();
    for name in files(&server) {
        std::fs::copy(server.path("appendonlydir").join(&name), own.join(&name)).unwrap();
    }
    redis.restart();
    same(&content(&redis), &before);
    assert_eq!(redis.connect().line("FCALL f 0").as_str(), Some("from f"));
    server.restart();
    same(&content(&server), &before);
    let mut wire = server.connect();
    assert_eq!(wire.line("FCALL f 0").as_str(), Some("from f"));
    // And back to a snapshot while it runs.
    assert!(wire.line("CONFIG SET aof-use-rdb-preamble yes").is_ok());
    rewrite(&mut wire);
    assert!(files(&server).contains(&"appendonly.aof.3.base.rdb".to_owned()), "{:?}", files(&server));
    server.kill();
    server.restart();
    same(&content(&server), &before);
}

#[test]
fn history_stays_until_it_need_not() {
    let mut server = Process::vedette(&["--appendonly", "yes", "--aof-disable-auto-gc", "yes"]);
    let mut wire = server.connect();
    assert!(wire.line("SET a 1").is_ok());
    rewrite(&mut wire);
    let old = ["appendonly.aof.1.base.rdb".to_owned(), "appendonly.aof.1.incr.aof".to_owned()];
    let has_old = |server: &Process| old.iter().all(|name| files(server).contains(name));
    assert!(has_old(&server), "{:?}", files(&server));
    check_aof(&server.path("appendonlydir/appendonly.aof.manifest"));
    server.kill();
    server.restart();
    assert!(has_old(&server), "{:?}", files(&server));
    let mut wire = server.connect();
    assert_eq!(wire.line("GET a").as_str(), Some("1"));
    assert!(wire.line("CONFIG SET aof-disable-auto-gc no").is_ok());
    eventually("history goes", || files(&server).len() == 3);
}
