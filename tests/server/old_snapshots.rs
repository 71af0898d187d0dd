//! Snapshots as older servers wrote them, made by hand from the description of the format: what we read is
//! what redis-server reads.

use crate::replication::content;
use crate::support::{Process, eventually, free_port};
use std::process::Command;
use vedette::resp::Reply;

/// Seconds were signed numbers of four bytes.
const FAR_S: u32 = 2_000_000_000;

/// A file under construction.
struct File(Vec<u8>);

fn length(out: &mut Vec<u8>, length: usize) {
    match length {
        0..64 => out.push(length as u8),
        64..16_384 => out.extend([0x40 | (length >> 8) as u8, length as u8]),
        _ => {
            out.push(0x80);
            out.extend((length as u32).to_be_bytes());
        }
    }
}

fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    length(out, bytes.len());
    out.extend(bytes);
}

impl File {
    fn new(version: &str) -> File {
        File(format!("REDIS{version}").into_bytes())
    }

    fn db(mut self, db: u8) -> File {
        self.0.extend([254, db]);
        self
    }

    fn key(mut self, kind: u8, name: &str, value: impl FnOnce(&mut Vec<u8>)) -> File {
        self.0.push(kind);
        string(&mut self.0, name.as_bytes());
        value(&mut self.0);
        self
    }

    /// With as many bytes behind it as the version has.
    fn end(mut self, sum: bool) -> Vec<u8> {
        self.0.push(255);
        if sum {
            // No sum, which readers take as said.
            self.0.extend([0; 8]);
        }
        self.0
    }
}

fn ziplist(items: &[&str]) -> Vec<u8> {
    let (mut body, mut previous, mut tail) = (Vec::new(), 0_usize, 10);
    for item in items {
        tail = 10 + body.len();
        if previous < 254 {
            body.push(previous as u8);
        } else {
            body.push(254);
            body.extend((previous as u32).to_le_bytes());
        }
        match item.parse::<i64>() {
            Ok(v @ 0..=12) => body.push(0xf1 + v as u8),
            Ok(v) if i8::try_from(v).is_ok() => body.extend([0xfe, v as u8]),
            Ok(v) if i16::try_from(v).is_ok() => {
                body.push(0xc0);
                body.extend((v as i16).to_le_bytes());
            }
            Ok(v) if (-(1 << 23)..1 << 23).contains(&v) => {
                body.push(0xf0);
                body.extend(&(v as i32).to_le_bytes()[..3]);
            }
            Ok(v) if i32::try_from(v).is_ok() => {
                body.push(0xd0);
                body.extend((v as i32).to_le_bytes());
            }
            Ok(v) => {
                body.push(0xe0);
                body.extend(v.to_le_bytes());
            }
            Err(_) => {
                match item.len() {
                    len @ 0..64 => body.push(len as u8),
                    len @ 64..16_384 => body.extend([0x40 | (len >> 8) as u8, len as u8]),
                    len => {
                        body.push(0x80);
                        body.extend((len as u32).to_be_bytes());
                    }
                }
                body.extend(item.as_bytes());
            }
        }
        previous = 10 + body.len() - tail;
    }
    let mut all = ((body.len() + 11) as u32).to_le_bytes().to_vec();
    all.extend((tail as u32).to_le_bytes());
    all.extend((items.len() as u16).to_le_bytes());
    all.extend(body);
    all.push(255);
    all
}

fn intset(width: u32, values: &[i64]) -> Vec<u8> {
    let mut all = width.to_le_bytes().to_vec();
    all.extend((values.len() as u32).to_le_bytes());
    for value in values {
        all.extend(&value.to_le_bytes()[..width as usize]);
    }
    all
}

/// Lengths that fit one byte, and a value with room to grow.
fn zipmap(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut all = vec![pairs.len() as u8];
    for (index, (field, value)) in pairs.iter().enumerate() {
        all.push(field.len() as u8);
        all.extend(field.as_bytes());
        let free = index % 3;
        all.extend([value.len() as u8, free as u8]);
        all.extend(value.as_bytes());
        all.extend(vec![0; free]);
    }
    all.push(255);
    all
}

/// Small numbers and short texts only.
fn listpack(items: &[&str]) -> Vec<u8> {
    let mut body = Vec::new();
    for item in items {
        let from = body.len();
        match item.parse::<u8>() {
            Ok(small @ 0..128) => body.push(small),
            _ => {
                body.push(0x80 | item.len() as u8);
                body.extend(item.as_bytes());
            }
        }
        body.push((body.len() - from) as u8);
    }
    let mut all = ((body.len() + 7) as u32).to_le_bytes().to_vec();
    all.extend((items.len() as u16).to_le_bytes());
    all.extend(body);
    all.push(255);
    all
}

fn strings(items: &[&str]) -> impl FnOnce(&mut Vec<u8>) {
    let items: Vec<String> = items.iter().map(|&item| item.to_owned()).collect();
    move |out| {
        length(out, items.len());
        items.iter().for_each(|item| string(out, item.as_bytes()));
    }
}

fn blob(bytes: Vec<u8>) -> impl FnOnce(&mut Vec<u8>) {
    move |out| string(out, &bytes)
}

const MIXED: &[&str] = &[
    "a",
    "0",
    "12",
    "13",
    "-1",
    "127",
    "-32768",
    "70000",
    "-8388608",
    "2000000000",
    "-9000000000000000000",
    "z",
];

/// Before 2.6: no sum at the end, hashes as zipmaps, times in seconds.
fn from_two_four() -> Vec<u8> {
    let mut file = File::new("0003").db(0);
    file.0.push(253);
    file.0.extend(FAR_S.to_le_bytes()[..4].iter());
    file.key(0, "passing", |out| string(out, b"soon over"))
        .key(0, "text", |out| string(out, b"plain"))
        // Numbers in one, two and four bytes.
        .key(0, "n8", |out| out.extend([0xc0, 0x85]))
        .key(0, "n16", |out| out.extend([0xc1, 0x39, 0x30]))
        .key(0, "n32", |out| out.extend([0xc2, 0x00, 0x00, 0x00, 0x80]))
        // Compressed, as it happens without a repetition: "compress"; and with one: ten times "ab".
        .key(0, "lzf", |out| {
            out.extend([0xc3, 9, 8, 7]);
            out.extend(b"compress");
        })
        .key(0, "lzf2", |out| out.extend([0xc3, 6, 20, 1, b'a', b'b', 0xe0, 9, 1]))
        .key(
            9,
            "zipmap",
            blob(zipmap(&[("f", "v"), ("field", "12"), ("long", "value with room"), ("e", "")])),
        )
        .db(3)
        .key(1, "list", strings(&["a", "b", "12", ""]))
        .key(2, "set", strings(&["x", "y", "-5"]))
        .key(3, "zset", |out| {
            length(out, 4);
            for (member, score) in [("a", "1.5"), ("b", "-3"), ("c", "17179869184")] {
                string(out, member.as_bytes());
                out.push(score.len() as u8);
                out.extend(score.as_bytes());
            }
            string(out, b"infinite");
            out.push(254);
        })
        .key(4, "hash", |out| {
            length(out, 2);
            ["f", "v", "g", "12"].iter().for_each(|word| string(out, word.as_bytes()));
        })
        .end(false)
}

/// 2.6 and 2.8: packed collections, times in milliseconds.
fn from_two_six() -> Vec<u8> {
    let long = "x".repeat(300);
    let very_long = "y".repeat(20_000);
    let mut file = File::new("0006").db(0);
    file.0.push(252);
    file.0.extend((u64::from(FAR_S) * 1000 + 7).to_le_bytes());
    file.key(10, "ziplist", blob(ziplist(MIXED)))
        .key(10, "long", blob(ziplist(&["a", &long, "b", &very_long, "c", "5"])))
        .key(11, "set16", blob(intset(2, &[-300, 0, 5, 32767])))
        .key(11, "set32", blob(intset(4, &[-70_000, 1, 2_000_000_000])))
        .key(11, "set64", blob(intset(8, &[i64::MIN, 0, i64::MAX])))
        .key(12, "zset", blob(ziplist(&["a", "-2", "b", "1.5", "c", "3"])))
        .key(13, "hash", blob(ziplist(&["f", "v", "12", "13", "g", &long[..64]])))
        .end(true)
}

/// 3.2 to 4.0: lists of packed nodes, facts in front, and what 4.0 added.
fn from_three_two() -> Vec<u8> {
    let mut file = File::new("0008");
    for (name, value) in [("redis-ver", "4.0.14"), ("redis-bits", "64"), ("aof-preamble", "0")] {
        file.0.push(250);
        string(&mut file.0, name.as_bytes());
        string(&mut file.0, value.as_bytes());
    }
    let mut file = file.db(0);
    file.0.extend([251, 3, 0]);
    file.key(14, "quicklist", |out| {
        length(out, 2);
        string(out, &ziplist(MIXED));
        string(out, &ziplist(&["second", "node"]));
    })
    .key(5, "zset", |out| {
        length(out, 3);
        for (member, score) in [("a", 0.5_f64), ("b", f64::NEG_INFINITY), ("c", 1e15)] {
            string(out, member.as_bytes());
            out.extend(score.to_le_bytes());
        }
    })
    .end(true)
}

/// 5.0: streams with groups, and how often and when keys were used.
fn from_five() -> Vec<u8> {
    let mut file = File::new("0009").db(0);
    file.0.extend([249, 200]);
    file = file.key(0, "often", |out| string(out, b"used"));
    file.0.extend([248, 40]);
    file.key(15, "stream", |out| {
        length(out, 1);
        let id = |ms: u64, seq: u64| [ms.to_be_bytes(), seq.to_be_bytes()].concat();
        string(out, &id(1000, 1));
        // Count, deleted, fields of the first; then flags, difference of the id, values, and how many words back.
        let node = [
            "2", "1", "2", "f", "g", "0", "2", "0", "0", "v", "w", "5", "3", "1", "0", "gone", "gone", "5",
            "0", "5", "2", "1", "other", "12", "6",
        ];
        string(out, &listpack(&node));
        length(out, 2);
        length(out, 2000);
        length(out, 0);
        length(out, 1);
        string(out, b"group");
        length(out, 1000);
        length(out, 1);
        // Pending: handed out once, at some time.
        length(out, 1);
        out.extend(id(1000, 1));
        out.extend(1_500_000_000_000_u64.to_le_bytes());
        length(out, 3);
        length(out, 1);
        string(out, b"consumer");
        out.extend(1_500_000_000_500_u64.to_le_bytes());
        length(out, 1);
        out.extend(id(1000, 1));
    })
    .end(true)
}

fn with_snapshot(mut server: Process, snapshot: &[u8]) -> Process {
    server.kill();
    std::fs::write(server.path("dump.rdb"), snapshot).unwrap();
    server.restart();
    eventually("it has loaded", || server.connect().line("PING").as_str() == Some("PONG"));
    server
}

#[test]
fn what_older_servers_wrote_is_read_as_redis_reads_it() {
    for (name, snapshot, keys) in [
        ("2.4", from_two_four(), 12),
        ("2.6", from_two_six(), 7),
        ("3.2", from_three_two(), 2),
        ("5.0", from_five(), 2),
    ] {
        let theirs = with_snapshot(Process::redis(&[]), &snapshot);
        let ours = with_snapshot(Process::vedette(&[]), &snapshot);
        for db in ["0", "3"] {
            let (mut own, mut other) = (ours.connect(), theirs.connect());
            for wire in [&mut own, &mut other] {
                assert!(wire.ask(&["SELECT", db]).is_ok());
            }
            assert_eq!(own.line("DBSIZE"), other.line("DBSIZE"), "{name}");
            let all = other.line("KEYS *");
            for key in all.as_array().unwrap() {
                let key = key.as_str().unwrap();
                let reading = match other.ask(&["TYPE", key]).as_str().unwrap() {
                    "string" => vec!["GET", key],
                    "list" => vec!["LRANGE", key, "0", "-1"],
                    "set" => vec!["SORT", key, "ALPHA"],
                    "hash" => vec!["HGETALL", key],
                    "zset" => vec!["ZRANGE", key, "0", "-1", "WITHSCORES"],
                    _ => vec!["XRANGE", key, "-", "+"],
                };
                for words in
                    [&reading[..], &["OBJECT", "ENCODING", key], &["PEXPIRETIME", key], &["TYPE", key]]
                {
                    assert_eq!(own.ask(words), other.ask(words), "{name}: {words:?}");
                }
            }
        }
        // All at once as well: groups of streams among it.
        assert_eq!(content(&ours).len(), content(&theirs).len(), "{name}");
        let count: i64 = ["0", "3"]
            .iter()
            .map(|db| {
                let mut wire = ours.connect();
                wire.ask(&["SELECT", db]);
                wire.line("DBSIZE").as_integer().unwrap()
            })
            .sum();
        assert_eq!(count, keys, "{name}");
    }
    let theirs = with_snapshot(Process::redis(&[]), &from_five());
    let ours = with_snapshot(Process::vedette(&[]), &from_five());
    for line in [
        "XPENDING stream group",
        "XPENDING stream group - + 9 consumer",
        "XINFO GROUPS stream",
        "XLEN stream",
    ] {
        let without_idle = |server: &Process| {
            let reply = format!("{:?}", server.connect().line(line));
            // How long ago is another thing at another time.
            match line.contains(" - ") {
                true => reply.split("Integer").next().unwrap().to_owned(),
                false => reply,
            }
        };
        assert_eq!(without_idle(&ours), without_idle(&theirs), "{line}");
    }
}

/// Keys of a module cannot be had without it; what it kept besides is passed over.
#[test]
fn a_key_of_a_module_stops_the_start_and_is_named() {
    let module = |out: &mut Vec<u8>| {
        // Its name and version in one number.
        out.push(0x81);
        out.extend(0x4242_4242_4242_4001_u64.to_be_bytes());
    };
    let mut file = File::new("0009");
    file.0.push(247);
    module(&mut file.0);
    // When it was written, a number, the end.
    file.0.extend([2, 1, 2, 7, 0]);
    let file = file.db(0).key(0, "behind", |out| string(out, b"it"));
    let server = with_snapshot(Process::vedette(&[]), &file.end(true));
    assert_eq!(server.connect().line("GET behind").as_str(), Some("it"));

    let home = tempfile::tempdir().unwrap();
    let file = File::new("0009").db(0).key(7, "module:key", |out| {
        module(out);
        out.push(0);
    });
    std::fs::write(home.path().join("dump.rdb"), file.end(true)).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_vedette"))
        .args(["server", "--bind", "127.0.0.1", "--port", &free_port().to_string(), "--dir"])
        .arg(home.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("module"), "{said}");
}

/// What was in one piece stays in one, as in Redis: only the number of its members counts when it is loaded.
/// What we write is not in pieces: there our own limits count.
#[test]
fn encodings_outlive_a_restart_and_a_full_sync() {
    const WIDE: &[&str] = &[
        "--hash-max-listpack-value",
        "200",
        "--hash-max-listpack-entries",
        "600",
        "--zset-max-listpack-value",
        "200",
        "--repl-diskless-sync-delay",
        "0",
    ];
    let long = "x".repeat(150);
    let fill = |server: &Process| {
        let mut wire = server.connect();
        assert_eq!(wire.ask(&["HSET", "long", "f", &long]), Reply::Integer(1));
        for number in 0..550 {
            wire.line(&format!("HSET many f{number} v"));
        }
        assert_eq!(wire.ask(&["ZADD", "members", "1", &long]), Reply::Integer(1));
    };
    let encodings = |server: &Process| {
        ["long", "many", "members"].map(|key| {
            let reply = server.connect().line(&format!("OBJECT ENCODING {key}"));
            reply.as_str().unwrap_or_default().to_owned()
        })
    };
    let (mut server, master) = (Process::vedette(WIDE), Process::redis(WIDE));
    fill(&server);
    fill(&master);
    assert_eq!(encodings(&server), ["listpack"; 3]);
    assert!(server.connect().line("SAVE").is_ok());
    server.kill();
    server.restart();
    assert_eq!(encodings(&server), ["listpack"; 3]);
    let replicas = [Process::vedette(&[]), Process::redis(&[])];
    for replica in &replicas {
        assert!(replica.connect().line(&format!("REPLICAOF 127.0.0.1 {}", master.port)).is_ok());
        eventually("the replica has all of it", || !encodings(replica)[2].is_empty());
    }
    // 550 fields are many where nobody said otherwise.
    assert_eq!(encodings(&replicas[0]), ["listpack", "hashtable", "listpack"]);
    assert_eq!(encodings(&replicas[0]), encodings(&replicas[1]));
}
