//! Seeded commands over all families: few keys, so that they meet; options, wrong types, wrong
//! counts of words, and numbers that are none.
//!
//! A template is words; `{x}` asks [`Generator::word`], `[..]` may be left out, `(a|b)` chooses,
//! `*(..)` repeats.

use vedette::stdx::Rng;
use vedette::store::{Hash, HashSeed, List, Set, SmallBytes, Str, Value, ZSet};

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
    // bits of strings
    "SETBIT {b} {bi} (0|1)",
    "SETBIT {b} {bi} (0|1)",
    "SETBIT {b} {bo} (1|2|abc)",
    "SETBIT {k} 9 1",
    "GETBIT {b} {bi}",
    "GETBIT {k} {bo}",
    "BITCOUNT {b}",
    "BITCOUNT {b} {i} {i} [(BYTE|BIT)]",
    "BITCOUNT {b} {bj} {bj} BIT",
    "BITCOUNT {k} {n} {i} [(BYTE|BIT|foo)]",
    "BITPOS {b} (0|1)",
    "BITPOS {b} (0|1) {i}",
    "BITPOS {b} (0|1) {i} {i} [(BYTE|BIT)]",
    "BITPOS {b} (0|1) {bj} {bj} BIT",
    "BITPOS {k} (0|1|2) {n} {i} [(BIT|foo)]",
    "BITOP (AND|OR|XOR) {b} *({b})",
    "BITOP NOT {b} {b}",
    "BITOP (AND|OR|XOR|NOT|foo) {b} *({k})",
    "BITFIELD {b} *(GET {bt} {bo}|SET {bt} {bo} {bn}|INCRBY {bt} {bo} {bn}|OVERFLOW {ow})",
    "BITFIELD {b} *(GET {bt2} {bo2}|SET {bt2} {bo2} {bn2}|INCRBY {bt2} {bo2} {bn2}|OVERFLOW {ow})",
    "BITFIELD {b} *(GET {bt2} {bo2}|SET {bt2} {bo2} {bn2}|INCRBY {bt2} {bo2} {bn2}|OVERFLOW {ow})",
    "BITFIELD {k} *(GET {bt2} {bo2})",
    "BITFIELD_RO {b} *(GET {bt2} {bo2})",
    "BITFIELD_RO {k} *(GET {bt} {bo}|SET u8 0 1)",
    "GET {b}",
    "SETRANGE {b} {i} {v}",
    // hyperloglogs
    "PFADD {hl} *({m})",
    "PFADD {hl} *({m})",
    "PFADD {hl}",
    "PFADD {hl} {many}",
    "PFADD {hl} {manyints}",
    "PFADD {k} {m}",
    "PFCOUNT {hl}",
    "PFCOUNT {hl}",
    "PFCOUNT *({hl})",
    "PFCOUNT {hl} {k}",
    "PFMERGE {hl} *({hl})",
    "PFMERGE {hl} {k}",
    "PFDEBUG (ENCODING|DECODE|TODENSE|foo) {hl}",
    "PFDEBUG DECODE {hl}",
    "GET {hl}",
    "GET {hl}",
    "COPY {hl} {hl} REPLACE",
    "OBJECT ENCODING {hl}",
    // places
    "GEOADD {g} *({at2} {m})",
    "GEOADD {g} *({at2} {m})",
    "GEOADD {g} *({at2} {m})",
    "GEOADD {g} [(NX|XX)] [CH] *({at2} {m})",
    "GEOADD {k} [NX] [XX] {d} {d} {m}",
    "GEOPOS {g} *({m})",
    "GEOPOS {k} {m}",
    "GEOHASH {g} *({m})",
    "GEOHASH {k} {m}",
    "GEODIST {g} {m} {m} [{gu}]",
    "GEODIST {k} {m} {m} [m] [km]",
    "GEOSEARCH {g} (FROMMEMBER {m}|FROMLONLAT {at2}) (BYRADIUS {rad} {gu}|BYBOX {rad} {rad} {gu}) [(ASC|DESC)] [COUNT {c}] [WITHDIST] [WITHCOORD] [WITHHASH]",
    "GEOSEARCH {g} (FROMMEMBER {m}|FROMLONLAT {at2}) (BYRADIUS {rad} km|BYBOX {rad} {rad} km) [(ASC|DESC)] [COUNT {c}] [WITHDIST] [WITHCOORD] [WITHHASH]",
    "GEOSEARCH {g} FROMLONLAT {at2} BYRADIUS {rad} km COUNT {c} ANY [(ASC|DESC)]",
    "GEOSEARCH {g} BYRADIUS {rad} km FROMLONLAT {at2} [FROMMEMBER {m}] [BYBOX 1 1 m] [ANY] [STOREDIST]",
    "GEOSEARCH {k} FROMMEMBER {m} BYBOX {rad} {rad} {gu}",
    "GEOSEARCHSTORE {g} {g} (FROMMEMBER {m}|FROMLONLAT {at2}) (BYRADIUS {rad} km|BYBOX {rad} {rad} km) [(ASC|DESC)] [COUNT {c}] [STOREDIST] [WITHDIST]",
    "GEOSEARCHSTORE {z} {k} FROMMEMBER {m} BYRADIUS {rad} m",
    "GEORADIUS {g} {at2} {rad} {gu} [WITHDIST] [WITHCOORD] [WITHHASH] [COUNT {c}] [(ASC|DESC)]",
    "GEORADIUS {g} {at2} {rad} km [COUNT {c}] [(STORE {g}|STOREDIST {g})] [WITHDIST]",
    "GEORADIUS_RO {g} {at2} {rad} {gu} [WITHDIST] [COUNT {c}] [ASC] [STORE {g}]",
    "GEORADIUSBYMEMBER {g} {m} {rad} {gu} [WITHDIST] [COUNT {c}] [ANY] [(STORE {g}|STOREDIST {g})]",
    "GEORADIUSBYMEMBER_RO {g} {m} {rad} km [WITHDIST] [DESC]",
    "GEORADIUSBYMEMBER_RO {k} {m} {d} m",
    "ZRANGE {g} 0 -1 WITHSCORES",
    // sorting, common parts, values as bytes
    "SORT {l} [LIMIT {i} {i}] [(ASC|DESC)] ALPHA",
    "SORT {t} [(ASC|DESC)] ALPHA [LIMIT {i} {i}]",
    "SORT {y} [(ASC|DESC)] ALPHA [LIMIT {i} {i}] [STORE {l}]",
    "SORT {l} [(ASC|DESC)] [LIMIT {i} {i}]",
    "SORT {t} [(ASC|DESC)]",
    "SORT {l} BY {by} [(ASC|DESC)] [LIMIT {i} {i}] [GET {by}] [GET #]",
    "SORT {l} BY nosort [DESC] [LIMIT {i} {i}] [GET {by}] [GET #] [STORE {l}]",
    "SORT {y} BY nosort [DESC] [LIMIT {i} {i}] [GET #]",
    "SORT {y} BY {by} [LIMIT {i} {i}] [STORE {l}]",
    "SORT {t} BY {by} [ALPHA] GET # GET {by}",
    "SORT {t} BY nosort [DESC] [STORE {l}]",
    "SORT {l} BY {by} ALPHA [DESC]",
    "SORT {l} ALPHA GET {by} STORE {l}",
    "SORT ({s}|{l}|{t}|{h}) [ALPHA] [STORE ({s}|{l}|{t}|{h})]",
    "SORT_RO {l} ALPHA [DESC] [GET {by}] [STORE {l}]",
    "SORT_RO ({s}|{l}|{t}|{h}) BY {by} [foo]",
    "RPUSH {l} *({int})",
    "DEL {l}",
    "LCS {s} {s}",
    "LCS {s} {s} [LEN]",
    "LCS {s} {s} [LEN] [IDX] [MINMATCHLEN {c}] [WITHMATCHLEN]",
    "LCS {s} {s} IDX [MINMATCHLEN {c}] [WITHMATCHLEN]",
    "LCS {k} {k} [foo]",
    "DUMP {k}",
    "RESTORE {k} 0 {payload}",
    "RESTORE {k} {pttl} {payload} [REPLACE] [(IDLETIME {i}|FREQ {i})] [FREQ 5]",
    "RESTORE {k} {pat} {payload} REPLACE ABSTTL",
    "RESTORE {k} {nt} {v} [REPLACE] [ABSTTL] [foo]",
    // and room again
    "DEL {b}",
    "DEL {hl}",
    "DEL {g}",
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

const BIT_OFFSETS: &[&str] = &[
    "0",
    "1",
    "7",
    "8",
    "63",
    "65",
    "200",
    "#0",
    "#1",
    "#3",
    "#-1",
    "-1",
    "abc",
    "",
    "#",
    "4294967296",
    "9223372036854775807",
];

pub struct Generator {
    rng: Rng,
    payloads: Vec<Vec<u8>>,
}

/// Values as DUMP gives them, and bytes that are none.
fn payloads() -> Vec<Vec<u8>> {
    let seed = HashSeed::new(1);
    let (mut list, mut hash) = (List::new(), Hash::new(&seed));
    let (mut ints, mut set, mut zset) = (Set::new(&seed), Set::new(&seed), ZSet::new(&seed));
    for n in 0..5 {
        let word = format!("m{n}");
        list.push_back(SmallBytes::new(word.as_bytes()));
        hash.set(word.as_bytes(), n.to_string().as_bytes());
        ints.insert(n.to_string().as_bytes());
        set.insert(word.as_bytes());
        zset.insert(f64::from(n) / 4.0, word.as_bytes());
    }
    let values = [
        Value::Str(Str::new(b"12")),
        Value::Str(Str::new(&[b'x'; 60])),
        Value::List(Box::new(list)),
        Value::Hash(Box::new(hash)),
        Value::Set(Box::new(ints)),
        Value::Set(Box::new(set)),
        Value::ZSet(Box::new(zset)),
    ];
    let mut payloads: Vec<Vec<u8>> = values.iter().map(vedette::rdb::dump).collect();
    let mut damaged = payloads[2].clone();
    damaged[3] ^= 1;
    let mut newer = payloads[0].clone();
    let foot = newer.len() - 10;
    newer[foot] = 99;
    payloads.extend([damaged, newer, payloads[1][..5].to_vec()]);
    payloads
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        Generator { rng: Rng::with_seed(seed), payloads: payloads() }
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
        // And an offset of bits may ask for half a gigabyte.
        if words[0].starts_with(b"FLUSH")
            || words[0] == b"SETBIT"
            || words[0] == b"BITFIELD"
            || words.get(1).is_some_and(|key| key.starts_with(b"y"))
        {
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
            "s" | "l" | "h" | "t" | "z" | "y" | "b" | "g" => family(&mut self.rng, kind.as_bytes()[0].into()),
            "hl" => family(&mut self.rng, 'p'),
            "zt" if self.rng.u32(..4) == 0 => family(&mut self.rng, 't'),
            "zt" => family(&mut self.rng, 'z'),
            "k" => {
                let name = self.pick(&["s", "l", "h", "t", "z", "x", "b"]);
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
            "bi" => self.rng.u32(..160).to_string(),
            "bj" => self.rng.i32(-170..170).to_string(),
            "bo" => self.pick(BIT_OFFSETS),
            "bo2" => match self.rng.bool() {
                true => self.rng.u32(..300).to_string(),
                false => format!("#{}", self.rng.u32(..20)),
            },
            "bt" => self.pick(&["u8", "i8", "u63", "i64", "u1", "i1", "u64", "i65", "u0", "x8", "", "i"]),
            "bt2" => match self.rng.bool() {
                true => format!("i{}", self.rng.u32(1..=64)),
                false => format!("u{}", self.rng.u32(1..=63)),
            },
            "bn" => self.pick(INTEGERS),
            "bn2" => match self.rng.u32(..4) {
                0 => self.rng.i64(..).to_string(),
                1 => self.pick(&["9223372036854775807", "-9223372036854775808", "0", "-1"]),
                _ => self.rng.i32(-300..300).to_string(),
            },
            "ow" if self.rng.u32(..30) == 0 => "foo".into(),
            "ow" => self.pick(&["WRAP", "SAT", "FAIL", "wrap"]),
            "at2" => return self.place(words),
            "rad" if self.rng.u32(..20) == 0 => self.pick(FLOATS),
            "rad" => self.pick(&["0", "1", "50", "120.5", "500", "1500", "4000", "9000", "20000", "100000"]),
            "gu" => self.pick(&["m", "km", "km", "km", "ft", "mi", "KM", "yards"]),
            "by" => self.pick(&["s*", "h*->f1", "h*->f2", "#", "*", "h*->", "s*x", "l*", "b*", "h1->f1"]),
            "payload" => {
                let at = self.rng.usize(..self.payloads.len());
                words.push(self.payloads[at].clone());
                return;
            }
            many => return self.many(many, words),
        };
        words.push(text.into_bytes());
    }

    /// Longitude and latitude; half of them near each other. Many decimals, so that no two places
    /// are equally far from a third: their order would be left to chance.
    fn place(&mut self, words: &mut Vec<Vec<u8>>) {
        let (longitude, latitude) = match self.rng.u32(..20) {
            0 => (self.pick(FLOATS), format!("{:.6}", self.rng.f64() * 180.0 - 90.0)),
            1..9 => (
                format!("{:.6}", self.rng.f64() * 360.0 - 180.0),
                format!("{:.6}", self.rng.f64() * 170.0 - 85.0),
            ),
            _ => {
                (format!("{:.6}", 13.0 + self.rng.f64() * 3.0), format!("{:.6}", 38.0 + self.rng.f64() * 2.0))
            }
        };
        words.extend([longitude.into_bytes(), latitude.into_bytes()]);
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
