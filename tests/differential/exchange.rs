//! Values change houses: what we DUMP stock Redis restores, and the other way round, and both still
//! say the same of it.

use super::compare::{self, Mode};
use super::executor::Executor;
use super::stock::Stock;
use vedette::resp::Protocol;
use vedette::resp::reply::parse;

fn words(line: &str) -> Vec<Vec<u8>> {
    line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}

fn ask(stock: &mut Stock, argv: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    vedette::resp::encode::command(&mut out, argv);
    stock.send(&out);
    stock.receive()
}

fn bulk(reply: &[u8]) -> Vec<u8> {
    match parse(reply, 1 << 26).expect("a reply").expect("a whole one").0 {
        vedette::resp::Reply::Bulk(bytes) => bytes.to_vec(),
        other => panic!("not a bulk string: {other:?}"),
    }
}

#[test]
fn values_are_restored_on_the_other_side() {
    let mut stock = Stock::start();
    stock.reset(Protocol::Resp2);
    let mut ours = Executor::new(1);
    let many = |prefix: &str| (0..2500).map(|n| format!(" {prefix}{n}")).collect::<String>();
    let makers = [
        "SET text hello".to_owned(),
        "SET number -129".to_owned(),
        format!("SET long {}", "abc".repeat(400)),
        "SETBIT bits 1000 1".to_owned(),
        "PFADD few a b c d".to_owned(),
        format!("PFADD many{}", many("e")),
        "RPUSH list a b 3 4 a".to_owned(),
        format!("RPUSH longlist{}", many("item")),
        "SADD ints 1 2 70000".to_owned(),
        "SADD words a b 1".to_owned(),
        "HSET hash f v g 12".to_owned(),
        "ZADD zset 1.5 a -2 b inf c".to_owned(),
        "XADD stream 1-1 field value number 12".to_owned(),
        format!("XADD longstream 5-*{}", many("w")),
        "XGROUP CREATE newstream group 0-7 MKSTREAM ENTRIESREAD 3".to_owned(),
        "GEOADD geo 13.361389 38.115556 Palermo 15.087269 37.502669 Catania".to_owned(),
    ];
    for maker in &makers {
        let argv = words(maker);
        let ours_said = ours.execute(&argv, Protocol::Resp2);
        assert_eq!(ours_said, ask(&mut stock, &argv), "{maker}");
        let key = if argv[0] == b"XGROUP" { &argv[2] } else { &argv[1] };
        let dump = [b"DUMP".to_vec(), key.clone()];
        let (from_us, from_them) =
            (bulk(&ours.execute(&dump, Protocol::Resp2)), bulk(&ask(&mut stock, &dump)));
        let restore =
            |payload| [b"RESTORE".to_vec(), b"copy".to_vec(), b"0".to_vec(), payload, b"REPLACE".to_vec()];
        assert_eq!(ours.execute(&restore(from_them), Protocol::Resp2), b"+OK\r\n", "{maker}");
        assert_eq!(ask(&mut stock, &restore(from_us)), b"+OK\r\n", "{maker}");
        let question = match argv[0].as_slice() {
            b"RPUSH" => "LRANGE copy 0 -1",
            b"SADD" => "SMEMBERS copy",
            b"HSET" => "HGETALL copy",
            b"XADD" | b"XGROUP" => "XINFO STREAM copy FULL",
            b"ZADD" | b"GEOADD" => "ZRANGE copy 0 -1 WITHSCORES",
            _ => "GET copy",
        };
        let (a, b) = (ours.execute(&words(question), Protocol::Resp2), ask(&mut stock, &words(question)));
        compare::compare(Mode::AnyOrder, &a, &b).unwrap_or_else(|why| panic!("{maker}: {why}"));
        let kind = words("TYPE copy");
        assert_eq!(ours.execute(&kind, Protocol::Resp2), ask(&mut stock, &kind), "{maker}");
    }
}
