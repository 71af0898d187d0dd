//! What is fuzzed, and what each reader promises.

use super::bench::{Bench, now};
use super::{Target, Verdict, corpus};
use crc_fast::CrcAlgorithm;
use vedette::config::sentinel_conf::{self, Fleet};
use vedette::config::server::ServerConfig;
use vedette::consensus::codec;
use vedette::disk::aof::manifest::Manifest;
use vedette::rdb;
use vedette::resp::{Batch, Limits, Parser};
use vedette::sentinel::{PeerMessage, peer_codec};
use vedette::server::aof::replay::Replay;
use vedette::server::replication::arrival::{Arrival, Form};
use vedette::server::replication::handshake::{Handshake, Outcome};
use vedette::server::{Action, Input, Server};
use vedette::session::acl::Acl;
use vedette::stdx::{Rng, cursor, glob};
use vedette::store::Keyspace;

const MIB: u64 = 1 << 20;

/// An error says something, and something of this if any is given.
fn says(error: &impl ToString, place: &[&str]) -> Verdict {
    let text = error.to_string();
    let named = place.is_empty() || place.iter().any(|place| text.contains(place));
    if !text.is_empty() && named {
        Ok(())
    } else {
        Err(format!("an error that does not say where: {text:?}"))
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, one: T, other: T) -> Verdict {
    if one == other { Ok(()) } else { Err(format!("{what}: {one:?} and {other:?}")) }
}

/// The requests cut from pieces, and what ended it.
fn cut(pieces: &[&[u8]], limits: &Limits) -> (Vec<Vec<Vec<u8>>>, Option<String>) {
    let (mut parser, mut batch) = (Parser::default(), Batch::default());
    let (mut requests, mut buffer) = (Vec::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        let end = batch.fill(&mut parser, &buffer, limits, usize::MAX);
        for index in 0..batch.len() {
            requests.push(batch.argv(index, &buffer).iter().map(|word| word.to_vec()).collect());
        }
        if let Err(error) = end {
            return (requests, Some(error.to_string()));
        }
        buffer.drain(..batch.bytes_of(batch.len()));
    }
    (requests, None)
}

fn requests(input: &[u8], rng: &mut Rng) -> Verdict {
    for limits in [&Limits::BEFORE_AUTH, &Limits::AFTER_AUTH] {
        let whole = cut(&[input], limits);
        for at in 0..input.len() {
            let (front, back) = input.split_at(at);
            same(&format!("split at {at}"), &cut(&[front, back], limits), &whole)?;
        }
        same("byte by byte", cut(&input.chunks(1).collect::<Vec<_>>(), limits), whole)?;
    }
    let whole = Bench::new().feed(input);
    let (front, back) = input.split_at(rng.usize(..=input.len()));
    let mut bench = Bench::new();
    let mut split = bench.feed(front);
    split.extend(bench.feed(back));
    same("answers", whole.escape_ascii().to_string(), split.escape_ascii().to_string())
}

/// With the checksum that it would have, most of the time: or nothing behind it would be reached.
fn signed(input: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = input.to_vec();
    if let Some(body) = bytes.len().checked_sub(8)
        && rng.u8(..8) > 0
    {
        let sum = crc_fast::checksum(CrcAlgorithm::Crc64Redis, &bytes[..body]);
        bytes[body..].copy_from_slice(&sum.to_le_bytes());
    }
    bytes
}

fn snapshot(input: &[u8], rng: &mut Rng) -> Verdict {
    let bytes = signed(input, rng);
    match rdb::load(&bytes[..], 7, None) {
        Ok(loaded) => {
            let mut server = Server::new(ServerConfig::default(), 7, now());
            server.load(now(), loaded);
            Ok(())
        }
        Err(error) => says(&error, &[]),
    }
}

/// Reads and writes that walk through a value of any type.
const WALK: &[&str] = &[
    "TYPE k",
    "OBJECT ENCODING k",
    "MEMORY USAGE k SAMPLES 0",
    "DEBUG OBJECT k",
    "DUMP k",
    "STRLEN k",
    "GETRANGE k 0 -1",
    "BITCOUNT k",
    "PFCOUNT k",
    "LRANGE k 0 -1",
    "LINSERT k BEFORE a b",
    "LREM k 0 a",
    "SMEMBERS k",
    "SADD k 1 a",
    "SREM k 1",
    "HGETALL k",
    "HSET k a b",
    "HDEL k a",
    "ZRANGE k 0 -1 WITHSCORES",
    "ZADD k 1.5 a",
    "ZRANK k a",
    "ZRANGEBYLEX k - +",
    "ZREM k a",
    "XRANGE k - +",
    "XREVRANGE k + - COUNT 2",
    "XINFO STREAM k FULL COUNT 0",
    "XINFO GROUPS k",
    "XADD k * a b",
    "XGROUP CREATE k other 0",
    "XREADGROUP GROUP g c COUNT 5 STREAMS k >",
    "XPENDING k g",
    "XAUTOCLAIM k g c 0 0",
    "XTRIM k MAXLEN 1",
    "SORT k ALPHA",
    "COPY k other REPLACE",
    "GETDEL k",
    "LPOP k 100",
    "SPOP k 100",
    "ZPOPMIN k 100",
    "DEL k",
];

fn restore(input: &[u8], rng: &mut Rng) -> Verdict {
    let payload = signed(input, rng);
    let keyspace = Keyspace::new(7);
    match rdb::restore(&payload, keyspace.seed()) {
        Err(error) => says(&error, &[])?,
        Ok(value) => {
            let dumped = rdb::dump(&value);
            if let Err(error) = rdb::restore(&dumped, keyspace.seed()) {
                return Err(format!("what was dumped is not read back: {error}"));
            }
        }
    }
    let mut bench = Bench::new();
    bench.ask(&[b"RESTORE", b"k", b"0", &payload]);
    for line in WALK {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        if bench.ask(&words).is_empty() {
            return Err(format!("no answer to {line}"));
        }
    }
    let functions = bench.ask(&[b"FUNCTION", b"RESTORE", &payload]);
    if functions.is_empty() { Err("no answer to FUNCTION RESTORE".into()) } else { Ok(()) }
}

fn replayed(input: &[u8], step: usize) -> (String, u64, usize) {
    let mut server = Server::new(ServerConfig::default(), 7, now());
    let mut replay = Replay::new(now());
    server.replay_begins();
    replay.begin_file(0);
    for piece in input.chunks(step) {
        if let Err(fault) = server.replay(&mut replay, now(), piece) {
            return (fault.to_string(), replay.commands, 0);
        }
    }
    let end = replay.end_file();
    (String::new(), replay.commands, usize::try_from(end.valid_bytes).unwrap())
}

fn log(input: &[u8], rng: &mut Rng) -> Verdict {
    let whole = replayed(input, input.len().max(1));
    let step = 1 + rng.usize(..64);
    same(&format!("pieces of {step}"), &replayed(input, step), &whole)?;
    if whole.0.is_empty() { Ok(()) } else { says(&whole.0, &["at byte"]) }
}

fn manifest(input: &[u8], _: &mut Rng) -> Verdict {
    let text = String::from_utf8_lossy(input);
    match Manifest::parse(&text) {
        Ok(manifest) => same("read back", Manifest::parse(&manifest.text()), Ok(manifest)),
        Err(error) => says(&error, &["line ", "no file"]),
    }
}

fn next_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let all: &'a [u8] = rest;
    let end = all.iter().position(|byte| *byte == b'\n')?;
    *rest = &all[end + 1..];
    Some(all[..end].strip_suffix(b"\r").unwrap_or(&all[..end]))
}

/// What a master says, from its first word: answers of the handshake, the image, the stream.
fn followed(input: &[u8], rng: &mut Rng) -> Result<Bench, String> {
    let mut bench = Bench::new();
    bench.ask(&[b"REPLICAOF", b"127.0.0.1", b"9"]);
    let followed = bench.tick().into_iter().find_map(|action| match action {
        Action::Follow { generation } => Some(generation),
        _ => None,
    });
    let generation = followed.ok_or("REPLICAOF is not followed")?;
    let terms = bench.server.link_terms(generation).ok_or("no terms")?;
    let mut handshake = Handshake::new(terms);
    let mut rest = input;
    let mut outcome = handshake.start();
    while let Outcome::Send(_) = outcome {
        let Some(answer) = next_line(&mut rest) else { return Ok(bench) };
        outcome = handshake.answer(answer);
    }
    let stream = match outcome {
        Outcome::Failed(fault) => return says(&fault, &[]).map(|()| bench),
        Outcome::Continue { replid } => {
            let _ = bench.server.link_continue(bench.now, generation, replid);
            rest.to_vec()
        }
        Outcome::Full { replid, offset } => {
            let Some(form) = next_line(&mut rest).and_then(Form::parse) else { return Ok(bench) };
            let mut arrival = Arrival::new(form);
            let (mut image, mut stream, mut ended) = (Vec::new(), Vec::new(), false);
            for chunk in rest.chunks(1 + rng.usize(..512)) {
                if ended {
                    stream.extend_from_slice(chunk);
                    continue;
                }
                let took = arrival.take(chunk);
                image.extend(took.image);
                ended = took.rest.is_some();
                stream.extend(took.rest.unwrap_or_default());
            }
            match rdb::load(&signed(&image, rng)[..], 7, None) {
                Err(error) => return says(&error, &[]).map(|()| bench),
                Ok(loaded) => {
                    let db = loaded.position.map_or(0, |position| position.stream_db);
                    let _ =
                        bench.server.link_install(bench.now, generation, loaded.keyspace, db, replid, offset);
                }
            }
            stream
        }
        Outcome::Send(_) => return Ok(bench),
    };
    let mut waiting = Vec::new();
    for chunk in stream.chunks(1 + rng.usize(..256)) {
        waiting.extend_from_slice(chunk);
        match bench.server.link_stream(bench.now, generation, &waiting) {
            Ok(applied) => drop(waiting.drain(..applied.consumed)),
            Err(fault) => return says(&fault, &[]).map(|()| bench),
        }
        bench.tick();
    }
    Ok(bench)
}

fn master(input: &[u8], rng: &mut Rng) -> Verdict {
    followed(input, rng).map(drop)
}

/// What a replica says to its master.
fn replica(input: &[u8], _: &mut Rng) -> Verdict {
    let mut bench = Bench::new();
    bench.ask(&[b"SET", b"key", b"value"]);
    bench.feed(input);
    for _ in 0..3 {
        for action in bench.tick() {
            if let Action::SnapshotPart { .. } = action {
                let mut more = Vec::new();
                bench.server.handle(bench.now, Input::SnapshotPartWritten, &mut more);
            }
        }
        bench.feed(b"");
    }
    Ok(())
}

fn scripts(input: &[u8], _: &mut Rng) -> Verdict {
    // One that never ends takes its server with it.
    let requests: [&[&[u8]]; 3] = [
        &[b"EVAL", input, b"1", b"key", b"argument"],
        &[b"FUNCTION", b"LOAD", b"REPLACE", input],
        &[b"SCRIPT", b"LOAD", input],
    ];
    for head in requests {
        let mut bench = Bench::new();
        let reply = bench.ask(head);
        if reply.is_empty() && !bench.closed {
            return Err("no answer".into());
        }
        bench.tick();
        bench.ask(&[b"FCALL", b"f", b"0"]);
        bench.ask(&[b"FUNCTION", b"LIST"]);
        bench.ask(&[b"FUNCTION", b"DUMP"]);
    }
    Ok(())
}

fn acl(input: &[u8], _: &mut Rng) -> Verdict {
    let mut acl = Acl::default();
    let text = String::from_utf8_lossy(input);
    let words: Vec<Vec<u8>> = input.split(|byte| byte.is_ascii_whitespace()).map(<[u8]>::to_vec).collect();
    if let Err(error) = acl.set_user("someone", &words) {
        says(&error, &[])?;
    }
    match acl.load(&text, "users.acl") {
        Err(error) => says(&error, &["users.acl"]),
        Ok(()) => {
            let written = acl.text();
            let mut again = Acl::default();
            again
                .load(&written, "again")
                .map_err(|error| format!("what was written is not read: {error}"))?;
            same("read back", again.text(), written)
        }
    }
}

fn pattern(input: &[u8], _: &mut Rng) -> Verdict {
    let (pattern, text) = input.split_at(input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len()));
    let text = text.strip_prefix(b"\n").unwrap_or(text);
    let matched = glob::matches(pattern, text);
    if glob::matches(&[b"*", pattern].concat(), text) || !matched {
        return Ok(());
    }
    Err("a star in front unmatches".into())
}

fn sentinel_conf(input: &[u8], _: &mut Rng) -> Verdict {
    let text = String::from_utf8_lossy(input);
    if let Err(errors) = sentinel_conf::import(&text, &Fleet::default()) {
        errors.iter().try_for_each(|error| says(error, &[]))?;
    }
    match sentinel_conf::read(&text, &Fleet::default(), None) {
        Err(errors) => errors.iter().try_for_each(|error| says(error, &[])),
        Ok(_) => Ok(()),
    }
}

fn sentinel_yaml(input: &[u8], _: &mut Rng) -> Verdict {
    match vedette::config::sentinel::parse(&String::from_utf8_lossy(input)) {
        Err(errors) if errors.is_empty() => Err("refused without a word".into()),
        Err(errors) => errors.iter().try_for_each(|error| says(error, &[])),
        Ok(_) => Ok(()),
    }
}

fn server_conf(input: &[u8], _: &mut Rng) -> Verdict {
    match ServerConfig::default().apply_text(&String::from_utf8_lossy(input), "redis.conf") {
        Err(error) => says(&error, &["redis.conf line "]),
        Ok(()) => Ok(()),
    }
}

fn peers(input: &[u8], _: &mut Rng) -> Verdict {
    let mut reader = cursor::Reader::new(input);
    let _ = codec::read_entry(&mut reader).is_ok() && codec::read_snapshot(&mut reader).is_ok();
    codec::describe(input);
    match peer_codec::decode(input) {
        Err(error) => says(&error, &[]),
        Ok(message) => {
            if let PeerMessage::Raft(bytes) = &message {
                codec::describe(bytes);
            }
            let again =
                peer_codec::decode(&peer_codec::encode(&message)).map_err(|error| error.to_string())?;
            same("read back", format!("{again:?}"), format!("{message:?}"))
        }
    }
}

macro_rules! targets {
    ($($name:ident: $judge:ident, $mutations:literal, $mib:literal;)*) => { $(
        #[test]
        fn $name() {
            let name = stringify!($name);
            Target { name, mutations: $mutations, memory_max: $mib * MIB, judge: $judge }.run();
        }
    )* };
}

// The cap is flat: no corpus file is larger than some kilobytes, and a server of its own takes about
// one or two megabytes.
targets! {
    resp_requests: requests, 40, 16;
    rdb_snapshots: snapshot, 100, 32;
    restore_payloads: restore, 25, 32;
    append_only_files: log, 60, 32;
    manifests: manifest, 1500, 4;
    hostile_masters: master, 60, 32;
    hostile_replicas: replica, 60, 32;
    script_sources: scripts, 20, 32;
    acl_rules: acl, 500, 4;
    globs: pattern, 2000, 4;
    sentinel_confs: sentinel_conf, 300, 8;
    sentinel_yamls: sentinel_yaml, 150, 8;
    server_confs: server_conf, 300, 8;
    peer_frames: peers, 1500, 16;
}

/// Or the mutations would begin where nobody listens.
#[test]
fn the_corpus_reaches_what_it_is_for() {
    for (name, bytes) in corpus("rdb_snapshots") {
        assert!(rdb::load(&bytes[..], 7, None).is_ok(), "{name}");
    }
    for (name, bytes) in corpus("restore_payloads") {
        let known =
            rdb::restore(&bytes, Keyspace::new(7).seed()).is_ok() || rdb::restore_functions(&bytes).is_ok();
        assert!(known, "{name}");
    }
    for (name, bytes) in corpus("append_only_files") {
        let (fault, commands, valid_bytes) = replayed(&bytes, 64);
        assert_eq!((fault.as_str(), commands > 1, valid_bytes), ("", true, bytes.len()), "{name}");
    }
    let mut reached = 0;
    for (_, bytes) in corpus("hostile_masters") {
        let mut bench = followed(&bytes, &mut Rng::with_seed(1)).unwrap();
        let list = bench.ask(&[b"LRANGE", b"l", b"0", b"-1"]);
        reached += usize::from(list.windows(3).any(|word| word == b"\nx\r"));
    }
    assert!(reached >= 3, "full, marked and partial: {reached}");
    let framed = corpus("peer_frames").iter().filter(|(_, bytes)| peer_codec::decode(bytes).is_ok()).count();
    assert!(framed >= 8, "{framed}");
    for (name, bytes) in corpus("acl_rules").iter().filter(|(name, _)| name == "file") {
        assert_eq!(Acl::default().load(&String::from_utf8_lossy(bytes), "f"), Ok(()), "{name}");
    }
}
