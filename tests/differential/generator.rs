//! Seeded commands over all families: few keys, so that they meet; options, wrong types, wrong
//! counts of words, and numbers that are none.
//!
//! A template is words; `{x}` asks [`Generator::word`], `[..]` may be left out, `(a|b)` chooses,
//! `*(..)` repeats.

use vedette::stdx::Rng;

const TEMPLATES: &[&str] = &[
    // strings
    "GET {s}",
    "GET {s}",
    "GET {k}",
    "SET {s} {v}",
    "SET {s} {v}",
    "SET {s} {v}",
    "SET {k} {v}",
    "SET {s} {v} [(NX|XX)] [GET] [(EX {ttl}|PX {pttl}|EXAT {at}|PXAT {pat}|KEEPTTL)]",
    "SET {s} {v} [(EX {nt}|PX {nt})] [(NX|XX|GET|KEEPTTL)] [(NX|XX|GET|KEEPTTL)]",
    "SETNX {s} {v}",
    "SETEX {s} {ttl} {v}",
    "SETEX {s} {nt} {v}",
    "PSETEX {s} {pttl} {v}",
    "PSETEX {s} {nt} {v}",
    "GETSET {s} {v}",
    "GETDEL {s}",
    "GETDEL {k}",
    "GETEX {s} [(EX {ttl}|PX {pttl}|EXAT {at}|PXAT {pat}|PERSIST)]",
    "GETEX {s} [(EX {nt}|NX|PERSIST)] [PERSIST]",
    "MGET *({k})",
    "MSET *({s} {v})",
    "MSET {s} {v} {s}",
    "MSETNX *({s} {v})",
    "APPEND {s} {v}",
    "APPEND {k} {v}",
    "STRLEN {s}",
    "STRLEN {k}",
    "GETRANGE {s} {i} {i}",
    "GETRANGE {s} {n} {i}",
    "SUBSTR {s} {i} {i}",
    "SETRANGE {s} {i} {v}",
    "SETRANGE {s} {n} {v}",
    "INCR {s}",
    "INCR {s}",
    "DECR {s}",
    "INCR {k}",
    "INCRBY {s} {n}",
    "DECRBY {s} {n}",
    "INCRBYFLOAT {s} {d}",
    "INCRBYFLOAT {k} {d}",
    "SET {s} {n}",
    "SET {s} {d}",
    // keys
    "DEL *({k})",
    "DEL {k}",
    "UNLINK {k} {k}",
    "EXISTS *({k})",
    "TOUCH *({k})",
    "TYPE {k}",
    "TYPE {k}",
    "KEYS {p}",
    "SCAN 0 COUNT 100000 [MATCH {p}] [TYPE {type}]",
    "SCAN {n} COUNT {n}",
    "SCAN abc",
    "RANDOMKEY",
    "RENAME {k} {k}",
    "RENAMENX {k} {k}",
    "COPY {k} {k} [REPLACE]",
    "COPY {k} {k} [DB {db}] [REPLACE] [DB {n}]",
    "MOVE {k} {db}",
    "MOVE {k} {n}",
    "EXPIRE {k} {ttl} [(NX|XX|GT|LT)] [(NX|XX|GT|LT)]",
    "PEXPIRE {k} {pttl} [(NX|XX|GT|LT)]",
    "EXPIREAT {k} {at} [(NX|XX|GT|LT)]",
    "PEXPIREAT {k} {pat} [(NX|XX|GT|LT|foo)]",
    "EXPIRE {k} {nt}",
    "PEXPIRE {k} {nt} [(GT|LT)]",
    "EXPIREAT {k} {nt}",
    "TTL {k}",
    "PTTL {k}",
    "EXPIRETIME {k}",
    "PEXPIRETIME {k}",
    "PERSIST {k}",
    "DBSIZE",
    "SWAPDB {db} {db}",
    "SWAPDB {n} {n}",
    "OBJECT ENCODING {k}",
    "OBJECT ENCODING {k}",
    "OBJECT IDLETIME {k}",
    "OBJECT FREQ {k}",
    "OBJECT HELP",
    "OBJECT {v} {k}",
    "FLUSHDB {v}",
    "FLUSHALL {v} {v}",
    // lists
    "LPUSH {l} *({m})",
    "RPUSH {l} *({m})",
    "LPUSH {k} {m}",
    "LPUSHX {l} *({m})",
    "RPUSHX {k} {m}",
    "LPOP {l} [{c}]",
    "RPOP {l} [{c}]",
    "LPOP {k} [{n}]",
    "LLEN {l}",
    "LLEN {k}",
    "LRANGE {l} {i} {i}",
    "LRANGE {l} 0 -1",
    "LRANGE {k} {n} {n}",
    "LINDEX {l} {i}",
    "LINDEX {k} {n}",
    "LSET {l} {i} {m}",
    "LSET {k} {n} {m}",
    "LINSERT {l} (BEFORE|AFTER|foo) {m} {m}",
    "LREM {l} {i} {m}",
    "LREM {k} {n} {m}",
    "LTRIM {l} {i} {i}",
    "LTRIM {k} {n} {n}",
    "LMOVE {l} {l} (LEFT|RIGHT) (LEFT|RIGHT|foo)",
    "LMOVE {k} {k} LEFT RIGHT",
    "RPOPLPUSH {l} {l}",
    "RPOPLPUSH {k} {k}",
    "LPOS {l} {m} [RANK {i}] [COUNT {c}] [MAXLEN {c}]",
    "LPOS {k} {m} [RANK {n}] [COUNT {n}]",
    "LMPOP {c} *({l}) (LEFT|RIGHT) [COUNT {c}]",
    "LMPOP 2 {l} {l} (LEFT|RIGHT) [COUNT {c}]",
    "LMPOP 1 {k} LEFT [COUNT {n}]",
    "RPUSH {l} {many}",
    // hashes
    "HSET {h} *({f} {v})",
    "HSET {h} *({f} {v})",
    "HSET {k} {f} {v}",
    "HSET {h} {f} {v} {f}",
    "HMSET {h} *({f} {v})",
    "HSETNX {h} {f} {v}",
    "HGET {h} {f}",
    "HGET {k} {f}",
    "HMGET {h} *({f})",
    "HMGET {k} {f}",
    "HGETALL {h}",
    "HGETALL {k}",
    "HDEL {h} *({f})",
    "HDEL {k} {f}",
    "HLEN {h}",
    "HEXISTS {h} {f}",
    "HKEYS {h}",
    "HVALS {h}",
    "HINCRBY {h} {f} {n}",
    "HINCRBY {k} {f} 1",
    "HINCRBYFLOAT {h} {f} {d}",
    "HINCRBYFLOAT {k} {f} {d}",
    "HSTRLEN {h} {f}",
    "HSCAN {h} 0 COUNT 100000 [MATCH {p}]",
    "HSCAN {k} {n} [COUNT {n}]",
    "HRANDFIELD {h}",
    "HRANDFIELD {h} {i} [WITHVALUES]",
    "HRANDFIELD {k} {n2} [(WITHVALUES|foo)]",
    "HSET {h} {manypairs}",
    // sets
    "SADD {t} *({m})",
    "SADD {t} *({int})",
    "SADD {k} {m}",
    "SREM {t} *({m})",
    "SREM {k} {m}",
    "SISMEMBER {t} {m}",
    "SMISMEMBER {t} *({m})",
    "SMEMBERS {t}",
    "SMEMBERS {k}",
    "SCARD {t}",
    "SPOP {t}",
    "SPOP {t} {c}",
    "SRANDMEMBER {t} [{i}]",
    "SRANDMEMBER {k} {n2}",
    "SMOVE {t} {t} {m}",
    "SMOVE {k} {k} {m}",
    "SINTER *({t})",
    "SUNION *({t})",
    "SDIFF *({t})",
    "SINTER *({k})",
    "SUNION {t} {k}",
    "SDIFF {k} {t} {k}",
    "SINTERSTORE {t} *({t})",
    "SUNIONSTORE {t} *({t})",
    "SDIFFSTORE {t} *({t})",
    "SUNIONSTORE {k} {t} {k}",
    "SINTERSTORE {k} {k} {k}",
    "SINTERCARD {c} *({t}) [LIMIT {c}]",
    "SINTERCARD 2 {t} {t} [LIMIT {c}]",
    "SINTERCARD 2 {k} {t} [LIMIT {n}]",
    "SSCAN {t} 0 COUNT 100000 [MATCH {p}]",
    "SADD {t} {manyints}",
    "SADD {t} {many}",
    // sorted sets
    "ZADD {z} *({d2} {m})",
    "ZADD {z} *({d2} {m})",
    "ZADD {z} [(NX|XX)] [(GT|LT)] [CH] [INCR] {d2} {m}",
    "ZADD {z} [(NX|XX)] [(GT|LT)] [CH] *({d2} {m})",
    "ZADD {k} {d} {m}",
    "ZADD {z} {m} {d}",
    "ZREM {z} *({m})",
    "ZREM {k} {m}",
    "ZSCORE {z} {m}",
    "ZMSCORE {z} *({m})",
    "ZMSCORE {k} {m}",
    "ZCARD {z}",
    "ZCOUNT {z} {sc} {sc}",
    "ZLEXCOUNT {y} {lx} {lx}",
    "ZINCRBY {z} {d} {m}",
    "ZINCRBY {k} {d2} {m}",
    "ZRANK {z} {m}",
    "ZREVRANK {z} {m}",
    "ZRANGE {z} {i} {i} [REV] [WITHSCORES]",
    "ZRANGE {z} 0 -1 WITHSCORES",
    "ZRANGE {z} {sc} {sc} BYSCORE [REV] [LIMIT {i} {i}] [WITHSCORES]",
    "ZRANGE {y} {lx} {lx} BYLEX [REV] [LIMIT {i} {i}] [WITHSCORES]",
    "ZRANGE {k} {n} {sc} [BYSCORE] [LIMIT {n} {i}]",
    "ZRANGESTORE {z} {z} {i} {i} [REV]",
    "ZRANGESTORE {z} {z} {sc} {sc} BYSCORE [REV] [LIMIT {i} {i}]",
    "ZRANGESTORE {y} {y} {lx} {lx} BYLEX [WITHSCORES]",
    "ZADD {y} *(0 {m})",
    "ZADD {y} *(0 {m})",
    "ZREM {y} {m}",
    "ZADD {y} {manysame}",
    "DEL {y}",
    "ZREVRANGE {z} {i} {i} [WITHSCORES]",
    "ZRANGEBYSCORE {z} {sc} {sc} [WITHSCORES] [LIMIT {i} {i}]",
    "ZREVRANGEBYSCORE {z} {sc} {sc} [WITHSCORES] [LIMIT {i} {i}]",
    "ZRANGEBYLEX {y} {lx} {lx} [LIMIT {i} {i}]",
    "ZREVRANGEBYLEX {y} {lx} {lx} [LIMIT {i} {i}] [foo]",
    "ZREMRANGEBYRANK {z} {i} {i}",
    "ZREMRANGEBYSCORE {z} {sc} {sc}",
    "ZREMRANGEBYLEX {y} {lx} {lx}",
    "ZREMRANGEBYRANK {k} {n} {n}",
    "ZPOPMIN {z} [{c}]",
    "ZPOPMAX {z} [{c}]",
    "ZPOPMIN {k} [{n}]",
    "ZRANDMEMBER {z} [{i}] [WITHSCORES]",
    "ZRANDMEMBER {k} {n2} [WITHSCORES]",
    "ZSCAN {z} 0 COUNT 100000 [MATCH {p}]",
    "ZUNIONSTORE {z} 2 {zt} {zt} [WEIGHTS {d2} {d2}] [AGGREGATE (SUM|MIN|MAX|foo)]",
    "ZINTERSTORE {z} 2 {zt} {zt} [WEIGHTS {d} {d2}] [AGGREGATE (SUM|MIN|MAX)]",
    "ZUNIONSTORE {k} {c} *({k}) [WITHSCORES]",
    "ZUNION 2 {zt} {zt} [WEIGHTS {d2} {d2}] [AGGREGATE (SUM|MIN|MAX)] [WITHSCORES]",
    "ZINTER 2 {zt} {zt} [WEIGHTS {d2} {d2}] [WITHSCORES]",
    "ZINTER {c} *({k}) [WITHSCORES]",
    "ZDIFF 2 {zt} {zt} [WITHSCORES]",
    "ZDIFF {c} *({zt}) [(WITHSCORES|AGGREGATE SUM)]",
    "ZDIFFSTORE {z} 2 {zt} {zt}",
    "ZDIFFSTORE {k} {n} {k}",
    "ZMPOP {c} *({z}) (MIN|MAX|LEFT) [COUNT {c}]",
    "ZMPOP 2 {z} {z} (MIN|MAX) [COUNT {c}]",
    "ZINTERCARD 2 {zt} {zt} [LIMIT {c}]",
    "ZINTERCARD {n} {zt} [LIMIT {n}]",
    "ZADD {z} {manyscored}",
    // and room again
    "DEL {s}",
    "DEL {l}",
    "DEL {h}",
    "DEL {t}",
    "DEL {z}",
    "DEL {k} {k} {k}",
];

const INTEGERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "10",
    "100",
    "-3",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "4611686018427387904",
    "abc",
    "",
    "1.5",
    " 1",
    "1 ",
    "+1",
    "01",
    "-0",
    "0x10",
    "2147483648",
    "99999999999",
];
const FLOATS: &[&str] = &[
    "0.5", "1.25", "-3.75", "1e2", "3", "-7", "0", "200.5", "inf", "-inf", "+inf", "nan", "abc", "", " 1",
    "1 ", "-0",
];
const SCORES: &[&str] = &[
    "0",
    "1",
    "1",
    "2",
    "3.5",
    "-1",
    "-2.25",
    "10",
    "1e3",
    "inf",
    "-inf",
    "0.1",
    "1000000",
    "1e20",
    "123456789.5",
];
const PATTERNS: &[&str] =
    &["*", "s*", "?1", "*[12]", "[^a]*", "f?", "m*1", "\\*", "[a-", "m[0-3]*", "", "h\\1"];

pub struct Generator {
    rng: Rng,
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        Generator { rng: Rng::with_seed(seed) }
    }

    pub fn next(&mut self) -> Vec<Vec<u8>> {
        let template = TEMPLATES[self.rng.usize(..TEMPLATES.len())];
        let mut words = Vec::new();
        self.expand(template, &mut words);
        if self.rng.u32(..30) == 0 {
            self.spoil(&mut words);
        }
        if self.rng.u32(..8) == 0 {
            words[0].make_ascii_lowercase();
        }
        words
    }

    /// One word too many, too few, or another one. The name stays, and FLUSHALL stays spoilt.
    fn spoil(&mut self, words: &mut Vec<Vec<u8>>) {
        // Sets for ranges by bytes keep equal scores: with others Redis promises nothing.
        if words[0].starts_with(b"FLUSH") || words.get(1).is_some_and(|key| key.starts_with(b"y")) {
            return;
        }
        let at = self.rng.usize(..words.len());
        match self.rng.u32(..4) {
            0 if at > 0 => {
                words.remove(at);
            }
            1 => words.push(b"extra".to_vec()),
            2 if at > 0 => words[at] = self.no_soon_time().into(),
            _ => words.truncate(at.max(1)),
        }
    }

    fn expand(&mut self, template: &str, words: &mut Vec<Vec<u8>>) {
        let mut rest = template.trim_start();
        while !rest.is_empty() {
            let (open, repeats) = match rest.strip_prefix('*') {
                Some(inner) if inner.starts_with('(') => (inner, self.rng.usize(1..5)),
                _ => (rest, 1),
            };
            let end = match open.as_bytes()[0] {
                b'(' | b'[' => closing(open),
                _ => open.find(' ').map_or(open.len(), |end| end),
            };
            let (token, after) = open.split_at(end);
            match token.as_bytes()[0] {
                b'[' => {
                    if self.rng.u32(..3) == 0 {
                        self.expand(&token[1..token.len() - 1], words);
                    }
                }
                b'(' => {
                    let inner = &token[1..token.len() - 1];
                    let choices: Vec<&str> = inner.split('|').collect();
                    for _ in 0..repeats {
                        let choice = choices[self.rng.usize(..choices.len())];
                        self.expand(choice, words);
                    }
                }
                b'{' => self.word(&token[1..token.len() - 1], words),
                _ => words.push(token.into()),
            }
            rest = after.trim_start();
        }
    }

    /// An integer that as a time is past or far: what ends meanwhile ends on both sides at its own
    /// moment.
    fn no_soon_time(&mut self) -> String {
        let text = self.pick(INTEGERS);
        if text.trim().trim_start_matches('+').parse().is_ok_and(|n: i64| (1..=100).contains(&n)) {
            "0".into()
        } else {
            text
        }
    }

    fn pick(&mut self, from: &[&str]) -> String {
        from[self.rng.usize(..from.len())].to_owned()
    }

    fn word(&mut self, kind: &str, words: &mut Vec<Vec<u8>>) {
        let family = |rng: &mut Rng, name: char| format!("{name}{}", rng.u32(..4));
        let now_s = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let text = match kind {
            "s" | "l" | "h" | "t" | "z" | "y" => family(&mut self.rng, kind.as_bytes()[0].into()),
            "zt" if self.rng.u32(..4) == 0 => family(&mut self.rng, 't'),
            "zt" => family(&mut self.rng, 'z'),
            "k" => {
                let name = self.pick(&["s", "l", "h", "t", "z", "x"]);
                family(&mut self.rng, name.as_bytes()[0].into())
            }
            "v" => match self.rng.u32(..8) {
                0..3 => self.rng.u32(..200).to_string(),
                3 => "x".repeat(self.rng.usize(..70)),
                4 => self.pick(INTEGERS),
                5 => "a b\r\n\"c\"".into(),
                _ => format!("value{}", self.rng.u32(..10)),
            },
            "n" => self.pick(INTEGERS),
            "nt" => self.no_soon_time(),
            // A large negative count is an answer of as many elements.
            "n2" => self.pick(&[
                "0",
                "1",
                "-1",
                "5",
                "-5",
                "abc",
                "1.5",
                "9223372036854775807",
                "-9223372036854775808",
            ]),
            "i" => (self.rng.i32(-6..9)).to_string(),
            "c" => self.pick(&["0", "1", "1", "2", "2", "3", "4", "-1", "100", "abc"]),
            "f" => format!("f{}", self.rng.u32(..8)),
            "m" => match self.rng.u32(..12) {
                0 => "m".repeat(self.rng.usize(60..70)),
                1..4 => self.rng.u32(..12).to_string(),
                _ => format!("m{}", self.rng.u32(..10)),
            },
            "int" => (self.rng.i32(-20..20)).to_string(),
            "d" => self.pick(FLOATS),
            "d2" if self.rng.u32(..20) == 0 => self.pick(FLOATS),
            "d2" => self.pick(SCORES),
            "sc" => match self.rng.u32(..6) {
                0 => "-inf".into(),
                1 => "+inf".into(),
                2 => format!("({}", self.pick(SCORES)),
                3 if self.rng.u32(..4) == 0 => self.pick(&["(abc", "", "(", "nan"]),
                _ => self.pick(SCORES),
            },
            "lx" => match self.rng.u32(..6) {
                0 => "-".into(),
                1 => "+".into(),
                2 => format!("(m{}", self.rng.u32(..10)),
                3 if self.rng.u32(..4) == 0 => self.pick(&["abc", "", "(", "[", "-x"]),
                _ => format!("[m{}", self.rng.u32(..10)),
            },
            "ttl" => self.pick(&["100", "200", "5000", "77777", "0", "-1"]),
            "pttl" => self.pick(&["100000", "345678", "5000000", "99999999", "0", "-5"]),
            "at" => (now_s + 1000 * u64::from(self.rng.u32(1..9))).to_string(),
            "pat" => (now_s * 1000 + 1_000_000 * u64::from(self.rng.u32(1..9))).to_string(),
            "p" => self.pick(PATTERNS),
            "type" => self.pick(&["string", "list", "hash", "set", "zset", "ZSET", "foo"]),
            "db" => self.pick(&["0", "0", "1", "15", "16", "-1"]),
            many => return self.many(many, words),
        };
        words.push(text.into_bytes());
    }

    /// Enough to outgrow every small representation.
    fn many(&mut self, kind: &str, words: &mut Vec<Vec<u8>>) {
        let count = self.rng.usize(100..700);
        for _ in 0..count {
            let n = self.rng.u32(..2000);
            match kind {
                "many" => words.push(format!("m{n}").into()),
                "manyints" => words.push(n.to_string().into()),
                "manypairs" => words.extend([format!("f{n}").into(), n.to_string().into()]),
                "manysame" => words.extend([b"0".to_vec(), format!("m{n}").into()]),
                "manyscored" => words.extend([(n % 37).to_string().into(), format!("m{n}").into()]),
                unknown => panic!("no such word in a template: {unknown}"),
            }
        }
    }
}

/// Past the bracket that closes the one at the front.
fn closing(text: &str) -> usize {
    let mut depth = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    panic!("unbalanced template {text}");
}
