//! Keyspace notifications, line by line what Redis tells for the same commands.

use crate::support::{Process, Wire};
use std::time::Duration;

/// Each line is run on both servers; what they published for it must be the same.
const LINES: &str = "
SET s 1
SET s 2 EX 100
SET s 3 KEEPTTL
SET s 4 NX
SET t 1 GET
SETEX s 10 v
PSETEX s 10000 v
SETNX s v
SETNX fresh v
GETSET s new
GETEX s EX 100
GETEX s PERSIST
GETEX s PERSIST
GETEX s EXAT 1
GETDEL s
GETDEL s
MSET a 1 b 2 a 3
MSETNX a 1 new1 2
MSETNX new1 1 new2 2
APPEND a x
APPEND appended x
SETRANGE a 1 zz
SETRANGE none 0 \"\"
INCR n
INCRBY n 5
DECR n
DECRBY n 2
INCRBYFLOAT n 1.5
STRLEN a
GET missing
MGET missing a missing2
SETBIT bits 7 1
SETBIT bits 7 1
BITFIELD bits SET u8 0 255
BITFIELD bits GET u8 0
BITOP NOT flipped bits
BITOP AND flipped missing missing
PFADD h a b c
PFADD h a
PFCOUNT h
PFMERGE h2 h
EXPIRE n 100
EXPIRE missing 100
PERSIST n
PERSIST n
PEXPIREAT n 1
EXPIRE b -1
DEL a missing b2 new1
UNLINK new2 fresh
EXISTS missing missing2
TOUCH missing
TYPE missing
TTL missing
RPUSH l a b c d e f
LPUSH l z
LPUSHX l y
RPUSHX none y
LINSERT l BEFORE a x
LINSERT l BEFORE none x
LSET l 0 first
LREM l 0 x
LREM l 0 none
LTRIM l 0 4
LPOP l
RPOP l 2
LPOP l 0
LMOVE l other LEFT RIGHT
RPOPLPUSH other other
RPOPLPUSH other moved
LMPOP 2 missing l LEFT COUNT 1
LMPOP 2 missing l RIGHT COUNT 10
BLPOP moved 1
RPUSH l 3 1 2
BLMOVE l l2 LEFT LEFT 1
BRPOPLPUSH l l2 1
BLMPOP 1 1 l LEFT
SORT l2 STORE sorted
SORT missing STORE sorted
SADD set a b c
SADD set a
SREM set a none
SREM set none
SMOVE set set2 b
SMOVE set set2 none
SMOVE set2 set2 b
SADD set b
SMOVE set set2 b
SMOVE set set2 c
SADD set a b c
SINTERSTORE out set set2
SUNIONSTORE out set set2
SDIFFSTORE out set set
SPOP set 100
SPOP set2
HSET hash f 1
HSET hash f 1 g 2
HSETNX hash f 3
HSETNX hash k 3
HMSET hash m 1
HINCRBY hash f 2
HINCRBYFLOAT hash f 0.5
HDEL hash f
HDEL hash none
HDEL hash g k m
HGET hash f
ZADD z 1 a 2 b 3 c
ZADD z 1 a
ZADD z XX CH 5 a
ZADD z INCR 5 a
ZADD z XX INCR 5 none
ZINCRBY z 1 a
ZREM z none
ZREM z a
ZADD z 1 a 2 b 3 c 4 d 5 e 6 f
ZREMRANGEBYRANK z 0 0
ZREMRANGEBYSCORE z 2 2
ZREMRANGEBYSCORE z 200 200
ZADD lex 0 a 0 b
ZREMRANGEBYLEX lex [a [a
ZPOPMIN z
ZPOPMAX z 1
ZMPOP 1 z MIN
BZPOPMIN z 1
ZADD z 1 a
ZUNIONSTORE zout 1 z
ZINTERSTORE zout 1 z
ZDIFFSTORE zout 2 z z
ZRANGESTORE zout z 0 -1
ZRANGESTORE zout z 5 9
BZMPOP 1 1 z MIN
GEOADD geo 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
GEOSEARCHSTORE near geo FROMLONLAT 15 37 BYRADIUS 200 km
GEORADIUS geo 15 37 200 km STORE near2
GEORADIUS geo 0 0 1 km STORE near2
XADD x 1-1 a b
XADD x MAXLEN 1 2-1 a b
XADD x NOMKSTREAM 3-1 a b
XADD none NOMKSTREAM 3-1 a b
XTRIM x MAXLEN 1
XTRIM x MAXLEN 1
XADD x 4-1 a b
XDEL x 4-1
XDEL x 4-1
XSETID x 9-9
XGROUP CREATE x g 0
XGROUP CREATE made g $ MKSTREAM
XGROUP CREATECONSUMER x g c1
XGROUP CREATECONSUMER x g c1
XREADGROUP GROUP g c2 STREAMS x >
XREADGROUP GROUP g c2 STREAMS x >
XACK x g 3-1
XCLAIM x g c1 0 2-1
XCLAIM x g c4 0 2-1
XAUTOCLAIM x g c5 0 0
XGROUP DELCONSUMER x g c1
XGROUP DELCONSUMER x g c1
XGROUP SETID x g 0
XGROUP DESTROY x g
XGROUP DESTROY x g
SET from 1
RENAME from to
RENAME to to
SET over 1
RENAME to over
RENAMENX over free
RENAMENX free geo
COPY free copied
COPY free copied
COPY free copied REPLACE
COPY free copied DB 3
MOVE free 3
DUMP missing
RESTORE restored 0 \"\\x00\\x01x\\x0b\\x00\\xbe\\x92v\\xfc\\x86\\x7f\\x97o\"
OBJECT ENCODING missing
SWAPDB 0 3
SWAPDB 0 3
MULTI
SET in 1
DEL in
EXEC
SELECT 2
SET two 2
SELECT 0
PEXPIRE h 1
EXISTS h
FLUSHDB
RPUSH a 1
FLUSHALL
";

fn told(wire: &mut Wire, mark: &str) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        let message = wire.next().expect("a message");
        let words = message.as_array().expect("an array");
        let word = |at: usize| String::from_utf8_lossy(words[at].as_bytes().unwrap_or(b"?")).into_owned();
        if word(words.len() - 1) == mark {
            return all;
        }
        all.push(format!("{} {}", word(words.len() - 2), word(words.len() - 1)));
    }
}

#[test]
fn every_command_tells_what_redis_tells() {
    let (ours, theirs) = (Process::vedette(&[]), Process::redis(&["--enable-debug-command", "local"]));
    let mut sides = [&ours, &theirs].map(|server| {
        let (mut speaker, mut listener) = (server.connect(), server.connect());
        assert!(speaker.line("CONFIG SET notify-keyspace-events KEAmn").is_ok());
        assert!(speaker.line("DEBUG SET-ACTIVE-EXPIRE 0").error().is_none());
        listener.line("PSUBSCRIBE __key* mark");
        (speaker, listener)
    });
    let mut differences = Vec::new();
    for (index, line) in LINES.lines().filter(|line| !line.is_empty()).enumerate() {
        let mark = format!("mark{index}");
        let heard: Vec<(vedette::resp::Reply, Vec<String>)> = sides
            .iter_mut()
            .map(|(speaker, listener)| {
                let reply = speaker.line(line);
                if line.starts_with("PEXPIRE ") {
                    std::thread::sleep(Duration::from_millis(5));
                }
                let in_multi = line == "MULTI" || reply.as_str() == Some("QUEUED");
                let words = if in_multi {
                    Vec::new()
                } else {
                    speaker.line(&format!("PUBLISH mark {mark}"));
                    told(listener, &mark)
                };
                (reply, words)
            })
            .collect();
        if heard[0].1 != heard[1].1 {
            differences.push(format!(
                "{line}\n  ours   {:?}\n  theirs {:?} {:?}",
                heard[0].1, heard[1].1, heard[1].0
            ));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
