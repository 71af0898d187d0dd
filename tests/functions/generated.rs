//! Scripts made by a seeded dice cup: values through cjson, cmsgpack, struct and bit, on both servers.

use super::*;
use vedette::stdx::Rng;

/// Shows what a script returns, byte for byte.
const SHOW: &str = include_str!("../../src/server/script/libraries/show.lua");

struct Dice(Rng);

impl Dice {
    fn number(&mut self) -> String {
        match self.0.usize(0..9) {
            0 => self.0.i64(-300..300).to_string(),
            1 => self.0.i64(i64::MIN..i64::MAX).to_string(),
            2 => format!("{:e}", self.0.f64() * 10f64.powi(self.0.i32(-320..308))),
            3 => format!("2^{}", self.0.i32(-10..70)),
            4 => format!("-2^{}-{}", self.0.i32(0..66), self.0.i32(0..3)),
            5 => format!("{}/{}", self.0.i32(-50..50), self.0.i32(-9..9)),
            6 => format!("{}.{}", self.0.i32(-99999..99999), self.0.u32(0..99999)),
            7 => self.0.u32(0..70_000).to_string(),
            _ => "-0".to_owned(),
        }
    }

    fn string(&mut self) -> String {
        let length = if self.0.u8(0..20) == 0 { self.0.usize(0..400) } else { self.0.usize(0..40) };
        let bytes = (0..length).map(|_| match self.0.usize(0..6) {
            0 => format!("\\{:03}", self.0.u8(..)),
            1 => "/".to_owned(),
            _ => char::from(self.0.u8(b'a'..=b'z')).to_string(),
        });
        format!("\"{}\"", bytes.collect::<String>())
    }

    fn value(&mut self, depth: usize) -> String {
        match self.0.usize(0..if depth > 3 { 5 } else { 8 }) {
            0 => "true".to_owned(),
            1 => "false".to_owned(),
            2 | 3 => self.number(),
            4 => self.string(),
            5 => {
                let items: Vec<String> = (0..self.0.usize(0..20)).map(|_| self.value(depth + 1)).collect();
                format!("{{{}}}", items.join(","))
            }
            // One entry: the order of more is the hash function's affair, the same in both, yet
            // numbers that are equal would be one key.
            6 => format!("{{[{}]={}}}", self.key(), self.value(depth + 1)),
            _ => {
                let items: Vec<String> = (0..self.0.usize(0..18))
                    .map(|n| format!("k{n}_{}={}", self.0.u8(..), self.value(depth + 1)))
                    .collect();
                format!("{{{}}}", items.join(","))
            }
        }
    }

    fn key(&mut self) -> String {
        match self.0.usize(0..4) {
            0 => self.0.i32(-3..20).to_string(),
            1 => format!("{}.5", self.0.i32(-3..2000)),
            2 => "true".to_owned(),
            _ => self.string(),
        }
    }

    fn json(&mut self, depth: usize) -> String {
        let space = ["", "", " ", "\\n"][self.0.usize(0..4)];
        let inner = match self.0.usize(0..if depth > 3 { 7 } else { 10 }) {
            0 => "null".to_owned(),
            1 => ["true", "false", "nan", "tru", "-inf", "Infinity", "+1", "0x1F"][self.0.usize(0..8)]
                .to_owned(),
            2 => self.0.i64(..).to_string(),
            3 => format!("{:e}", self.0.f64() * 10f64.powi(self.0.i32(-30..30))),
            4 => format!("{}.{}", self.0.i32(-9..9), self.0.u32(0..999)),
            5 => "\\\"a\\\\u00e9\\\\n\\\\ud83d\\\\ude00\\\\/x\\\"".to_owned(),
            6 => format!("\\\"{}\\\"", self.0.u32(..)),
            7 | 8 => {
                let items: Vec<String> = (0..self.0.usize(0..6)).map(|_| self.json(depth + 1)).collect();
                format!("[{}]", items.join(","))
            }
            _ => {
                let items: Vec<String> = (0..self.0.usize(0..5))
                    .map(|n| format!("\\\"k{n}\\\":{}", self.json(depth + 1)))
                    .collect();
                format!("{{{}}}", items.join(","))
            }
        };
        let mut text = format!("{space}{inner}{space}");
        // Now and then a byte is lost: complaints are compared, too.
        if self.0.u8(0..25) == 0 && text.is_ascii() && text.len() > 2 && !text.contains('\\') {
            text.remove(self.0.usize(0..text.len()));
        }
        text
    }

    fn format(&mut self) -> String {
        let options = [
            "b", "B", "h", "H", "l", "L", "T", "i", "I", "i2", "I3", "i8", "i16", "s", "c0", "c3", "f", "d",
            "x", " ", "<", ">", "!", "!4", "!8", "!16", "z", "i33", "c",
        ];
        (0..self.0.usize(1..8)).map(|_| options[self.0.usize(0..options.len())]).collect()
    }

    fn script(&mut self) -> String {
        match self.0.usize(0..12) {
            0 | 1 => format!("return cjson.encode({})", self.value(0)),
            2 => format!("local t = {} return cjson.decode(cjson.encode(t))", self.value(0)),
            3 | 4 => format!("return cjson.decode(\"{}\")", self.json(0)),
            5 | 6 => format!("return cmsgpack.pack({},{})", self.value(0), self.value(0)),
            7 => format!("return cmsgpack.unpack(cmsgpack.pack({},{}))", self.value(0), self.value(1)),
            8 => format!("return cmsgpack.unpack({})", self.string()),
            9 => {
                let values: Vec<String> = (0..self.0.usize(0..6))
                    .map(|_| if self.0.bool() { self.number() } else { self.string() })
                    .collect();
                let values = values.iter().map(|value| format!(",{value}")).collect::<String>();
                format!("return struct.pack(\"{}\"{values})", self.format())
            }
            10 => {
                let data: String =
                    (0..self.0.usize(0..60)).map(|_| format!("\\{:03}", self.0.u8(..))).collect();
                format!(
                    "return struct.size(\"bhd\"), struct.unpack(\"{}\",\"{data}\",{})",
                    self.format(),
                    self.0.i32(0..9)
                )
            }
            _ => {
                let names = [
                    "tobit", "bnot", "band", "bor", "bxor", "lshift", "rshift", "arshift", "rol", "ror",
                    "bswap", "tohex",
                ];
                let name = names[self.0.usize(0..names.len())];
                let values: Vec<String> = (0..self.0.usize(1..4)).map(|_| self.number()).collect();
                format!("return bit.{name}({})", values.join(","))
            }
        }
    }
}

#[test]
fn libraries_of_scripts_answer_alike_whatever_they_are_given() {
    let (ours, theirs) = (Process::vedette(&[]), Process::redis(&[]));
    let (mut us, mut them) = (ours.connect(), theirs.connect());
    let show = SHOW.trim_end();
    let mut different = Vec::new();
    let seed = std::env::var("VEDETTE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(7);
    let mut dice = Dice(Rng::with_seed(seed));
    for _ in 0..6000 {
        let script = dice.script();
        let text =
            format!("{show} return show(pcall(function() return {{(function() {script} end)()}} end))");
        let (mine, other) = (us.ask(&["EVAL", &text, "0"]), them.ask(&["EVAL", &text, "0"]));
        // A NaN has no sign that anybody promised.
        let plain = |reply: &Reply| format!("{reply:?}").replace("-nan", "nan");
        if plain(&mine) != plain(&other) {
            different.push(format!("{script}\n  Redis   {other:?}\n  Vedette {mine:?}"));
        }
    }
    different.truncate(20);
    assert!(different.is_empty(), "seed {seed}:\n{}", different.join("\n"));
}
