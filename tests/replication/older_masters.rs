//! The stream of a master before Redis 7, which sends scripts as they were called.

use crate::fuzz::bench::Bench;
use vedette::model::ReplId;
use vedette::resp::encode;
use vedette::server::Action;
use vedette::store::Keyspace;

/// A replica without a socket behind an empty image, and what its link is called.
fn replica() -> (Bench, u64) {
    let mut bench = Bench::new();
    bench.ask(&[b"REPLICAOF", b"127.0.0.1", b"9"]);
    let followed = bench.tick().into_iter().find_map(|action| match action {
        Action::Follow { generation } => Some(generation),
        _ => None,
    });
    let generation = followed.expect("it follows");
    let replid = ReplId::parse("0123456789abcdef0123456789abcdef01234567").expect("a replication id");
    let installed = bench.server.link_install(bench.now, generation, Keyspace::new(1), 0, replid, 0);
    installed.expect("an empty image is taken");
    (bench, generation)
}

fn stream(bench: &mut Bench, generation: u64, lines: &[&[&[u8]]]) {
    let mut bytes = Vec::new();
    lines.iter().for_each(|words| encode::command(&mut bytes, words));
    let applied = bench.server.link_stream(bench.now, generation, &bytes).expect("the link goes on");
    assert_eq!(applied.consumed, bytes.len());
}

#[test]
fn scripts_of_the_stream_run_here_though_clients_may_not_write() {
    let (mut bench, generation) = replica();
    let push: &[u8] = b"redis.call('RPUSH', KEYS[1], ARGV[1], redis.call('GET', 'other') or 'none') return 1";
    let refused = bench.ask(&[b"EVAL", push, b"1", b"list", b"x"]);
    assert!(refused.starts_with(b"-READONLY"), "{}", refused.escape_ascii());
    let digest = vedette::stdx::sha1::hex(push);
    stream(
        &mut bench,
        generation,
        &[
            &[b"SELECT", b"0"],
            &[b"EVAL", push, b"1", b"list", b"a"],
            &[b"SET", b"other", b"b"],
            // By name, as it is known from the one before; and in a transaction.
            &[b"EVALSHA", digest.as_bytes(), b"1", b"list", b"c"],
            &[b"MULTI"],
            &[b"EVAL", push, b"1", b"list", b"d"],
            &[b"EXEC"],
            // One that fails on the way has done what it did before.
            &[b"EVAL", b"redis.call('SET', 'half', '1') error('no')", b"0"],
            &[b"SCRIPT", b"FLUSH"],
            &[b"SET", b"after", b"1"],
        ],
    );
    let held = bench.ask(&[b"LRANGE", b"list", b"0", b"-1"]);
    assert_eq!(
        held.escape_ascii().to_string(),
        r"*6\r\n$1\r\na\r\n$4\r\nnone\r\n$1\r\nc\r\n$1\r\nb\r\n$1\r\nd\r\n$1\r\nb\r\n"
    );
    assert_eq!(bench.ask(&[b"EXISTS", b"half", b"after"]), b":2\r\n");
}
