//! Streams for the generator: its templates, and its words for ids. Ids grow with the run, so that
//! most XADDs are taken and most reads meet something; times that a reply counts from now are
//! either past for long or never.

use vedette::stdx::Rng;

pub const TEMPLATES: &[&str] = &[
    "XADD {r} {new} *({f} {v})",
    "XADD {r} {new} *({f} {v})",
    "XADD {r} {new} {f} {v}",
    "XADD {r} {new} f1 {v} f2 {m}",
    "XADD {r} {new} f1 {v} f2 {m}",
    "XADD {r} {new} f1 {int} f2 {n}",
    "XADD {r} {new} f1 {big}",
    "XADD {r} {new} f1 {big} f2 {v}",
    "XADD {r} (MAXLEN|MINID) ~ {c} {new} {f} {v}",
    "XADD {r} MAXLEN [(~|=)] {len} {new} {f} {big}",
    "XADD {r} MINID [(~|=)] {id} {new} {f} {big}",
    "XADD {r} NOMKSTREAM [MAXLEN ~ {len} [LIMIT {len}]] {new} {f} {v}",
    "XADD {any} [NOMKSTREAM] [MAXLEN {n}] [LIMIT {c}] [MINID {id}] {id} {f} {v} [{f}]",
    "XADD {q} * {f} {v}",
    "XLEN {q}",
    "XLEN {r}",
    "XLEN {any}",
    "XDEL {r} *({id})",
    "XDEL {r} {id}",
    "XDEL {any} {id} {n}",
    "XTRIM {r} MAXLEN [(~|=)] {len}",
    "XTRIM {r} MINID [(~|=)] {id}",
    "XTRIM {r} MAXLEN ~ {len} LIMIT {len}",
    "XTRIM {any} [(MAXLEN|MINID|foo)] [~] {n} [LIMIT {n}] [MAXLEN {n}]",
    "XRANGE {r} - + [COUNT {c}]",
    "XRANGE {r} {from} {from} [COUNT {i}]",
    "XREVRANGE {r} + - [COUNT {c}]",
    "XREVRANGE {r} {from} {from} [COUNT {i}]",
    "XRANGE {any} {from} {n} [COUNT {n}] [COUNT]",
    "XREAD [COUNT {c}] STREAMS {r} {id}",
    "XREAD [COUNT {c}] STREAMS {r} {r} {id} {id}",
    "XREAD [COUNT {n}] [NOACK] STREAMS {any} {any} ({id}|$|>|-) ({id}|$|{n})",
    "XSETID {r} {new}",
    "XSETID {r} {new} [ENTRIESADDED {len}] [MAXDELETEDID {id}]",
    "XSETID {any} {id} [ENTRIESADDED {n}] [MAXDELETEDID {id}] [foo]",
    "XGROUP CREATE {r} {grp} ($|0|{id}) [MKSTREAM] [ENTRIESREAD {len}]",
    "XGROUP CREATE {r} {grp} ($|0|{id}) [MKSTREAM]",
    "XGROUP CREATE {any} {grp} {id} [MKSTREAM] [ENTRIESREAD {nread}] [foo]",
    "XGROUP SETID {r} {grp} ($|{id}) [ENTRIESREAD {len}]",
    "XGROUP SETID {any} {grp} {n} [ENTRIESREAD {nread}] [MKSTREAM]",
    "XGROUP DESTROY {r} {grp}",
    "XGROUP CREATECONSUMER {r} {grp} {w}",
    "XGROUP DELCONSUMER {r} {grp} {w}",
    "XGROUP (CREATECONSUMER|DELCONSUMER|DESTROY|foo) {any} {grp} [{w}] [{w}]",
    "XGROUP (HELP|foo) [{any}]",
    "XREADGROUP GROUP {grp} {w} [COUNT {c}] [NOACK] STREAMS {r} >",
    "XREADGROUP GROUP {grp} {w} COUNT {c} STREAMS {r} >",
    "XREADGROUP GROUP {grp} {w} COUNT 3 STREAMS {r} >",
    "XREADGROUP GROUP {grp} {w} [COUNT {c}] STREAMS {r} ({id}|0|>)",
    "XREADGROUP GROUP {grp} {w} [COUNT {c}] STREAMS {r} {r} (0|>) >",
    "XREADGROUP [GROUP {grp} {w}] [COUNT {n}] [NOACK] STREAMS {any} {r} ({id}|>|$|{n}) [>]",
    "XACK {r} {grp} *({id})",
    "XACK {r} {grp} *({id})",
    "XACK {any} {grp} {n}",
    "XCLAIM {r} {grp} {w} {idle} *({id}) [IDLE {idle}] [RETRYCOUNT {c}] [FORCE] [JUSTID]",
    "XCLAIM {r} {grp} {w} {idle} *({id}) [TIME {idle}] [FORCE] [JUSTID] [LASTID {id}]",
    "XCLAIM {any} {grp} {w} {nt} {id} [{id}] [(IDLE|TIME|RETRYCOUNT|foo) {nt}] [LASTID {n}]",
    "XAUTOCLAIM {r} {grp} {w} {idle} {from} [COUNT {c}] [JUSTID]",
    "XAUTOCLAIM {r} {grp} {w} 0 0 [COUNT 2] [JUSTID]",
    "XAUTOCLAIM {any} {grp} {w} {nt} {from} [COUNT {n}] [foo]",
    "XPENDING {r} {grp}",
    "XPENDING {r} {grp} - + {c} [{w}]",
    "XPENDING {r} {grp} [IDLE {idle}] {from} {from} {c} [{w}]",
    "XPENDING {any} {grp} [IDLE {nt}] [{from} {from}] [{n}] [{w}]",
    "XINFO STREAM {r}",
    "XINFO STREAM {r} FULL [COUNT {c}]",
    "XINFO STREAM {any} [FULL] [COUNT {n}]",
    "XINFO GROUPS {r}",
    "XINFO CONSUMERS {r} {grp}",
    "XINFO (GROUPS|CONSUMERS|HELP|foo) {any} [{grp}]",
    "OBJECT ENCODING {r}",
    "TYPE {r}",
    "DEL {q} {r}",
];

/// What else happens to streams, for runs of nothing but them.
pub const AROUND: &[&str] = &[
    "COPY {r} {r} [REPLACE]",
    "RENAME {r} {r}",
    "SET {any} {v}",
    "SADD {any} {m}",
    "GET {any}",
    "LPUSH {any} {m}",
    "ZCARD {any}",
    "SORT {r}",
    "DEL {any}",
    "KEYS *",
    "SCAN 0 COUNT 100000 TYPE stream",
];

#[derive(Default)]
pub struct Words {
    /// The time of the newest entry.
    ms: u64,
}

impl Words {
    /// A word of this kind, if it is one of streams.
    pub fn word(&mut self, kind: &str, rng: &mut Rng) -> Option<String> {
        Some(match kind {
            "new" => {
                self.ms += u64::from(rng.u32(..3));
                match rng.u32(..12) {
                    0 => format!("{}-*", self.ms),
                    1 => self.ms.to_string(),
                    2 => self.some_id(rng),
                    _ => format!("{}-{}", self.ms + 1, rng.u32(..3)),
                }
            }
            "any" => format!("{}{}", ["s", "l", "h", "t", "z", "x", "r"][rng.usize(..7)], rng.u32(..4)),
            "id" => self.some_id(rng),
            "from" => match rng.u32(..6) {
                0 => "-".into(),
                1 => "+".into(),
                2 => format!("({}", self.some_id(rng)),
                _ => self.some_id(rng),
            },
            "grp" => format!("g{}", rng.u32(..2)),
            "w" => format!("w{}", rng.u32(..3)),
            "len" => rng.u32(..40).to_string(),
            "idle" => ["0", "0", "50000000", "99999999"][rng.usize(..4)].into(),
            "big" => "x".repeat(rng.usize(100..900)),
            _ => return None,
        })
    }

    /// Mostly one that an entry may have.
    fn some_id(&self, rng: &mut Rng) -> String {
        const ODD: &[&str] = &[
            "0",
            "0-0",
            "0-1",
            "-",
            "+",
            "(",
            "$",
            "*",
            "abc",
            "5-",
            "-5",
            "5-x",
            "",
            "(0-0",
            "01-+1",
            "99999999999",
            "18446744073709551615",
            "18446744073709551615-18446744073709551615",
            "18446744073709551616",
            "(18446744073709551615-18446744073709551615",
            "1-18446744073709551615",
            "1-2-3",
            " 1",
        ];
        let ms = self.ms.saturating_sub(u64::from(rng.u32(..25)));
        match rng.u32(..24) {
            0 => ODD[rng.usize(..ODD.len())].into(),
            1..5 => ms.to_string(),
            _ => format!("{ms}-{}", rng.u32(..3)),
        }
    }
}
