//! Seeded commands over all families: few keys, so that they meet; options, wrong types, wrong
//! counts of words, and numbers that are none.
//!
//! What may be asked is in `templates`.

use super::served;
use super::streams;
use super::templates::TEMPLATES;
use vedette::stdx::Rng;
use vedette::store::{Hash, HashSeed, List, Set, Str, Value, ZSet};

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
    templates: Vec<&'static str>,
    streams: streams::Words,
}

/// Values as DUMP gives them, and bytes that are none.
fn payloads() -> Vec<Vec<u8>> {
    let seed = HashSeed::new(1);
    let (mut list, mut hash) = (List::new(&seed), Hash::default());
    let (mut ints, mut set, mut zset) = (Set::default(), Set::default(), ZSet::default());
    for n in 0..5 {
        let word = format!("m{n}");
        list.push_back(word.as_bytes());
        hash.set(&seed, word.as_bytes(), n.to_string().as_bytes());
        ints.insert(&seed, n.to_string().as_bytes());
        set.insert(&seed, word.as_bytes());
        zset.insert(&seed, f64::from(n) / 4.0, word.as_bytes());
    }
    let values = [
        Value::Str(Str::new(b"12")),
        Value::Str(Str::new(&[b'x'; 60])),
        Value::List(Box::new(list)),
        Value::Hash(hash),
        Value::Set(ints),
        Value::Set(set),
        Value::ZSet(zset),
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
        Self::of(seed, &[TEMPLATES])
    }

    /// Nothing but streams, so that they grow long.
    pub fn streams(seed: u64) -> Self {
        Self::of(seed, &[streams::TEMPLATES, streams::AROUND])
    }

    /// All data commands, streams among them.
    pub fn mixed(seed: u64) -> Self {
        Self::of(seed, &[TEMPLATES, streams::TEMPLATES, streams::AROUND])
    }

    /// What only a whole server answers.
    pub fn served(seed: u64) -> Self {
        Self::of(seed, &[served::TEMPLATES])
    }

    fn of(seed: u64, templates: &[&[&'static str]]) -> Self {
        Generator {
            rng: Rng::with_seed(seed),
            templates: templates.concat(),
            streams: streams::Words::default(),
            payloads: payloads(),
        }
    }

    pub fn next(&mut self) -> Vec<Vec<u8>> {
        let template = self.templates[self.rng.usize(..self.templates.len())];
        let mut words = Vec::new();
        self.expand(template, &mut words);
        // Who is told that it said a word too many, is told so in its own words by some.
        let may_spoil = !self.templates.contains(&"EXEC");
        if self.rng.u32(..30) == 0 && may_spoil {
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
        // Redis adds a time to live to the clock without a look, and loses the key where that overflows.
        if words[0] == b"RESTORE" && at == 2 {
            return;
        }
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
        if let Some(word) = self.streams.word(kind, &mut self.rng) {
            words.push(word.into_bytes());
            return;
        }
        if let Some(word) = served::word(kind, &mut self.rng) {
            words.push(word.into_bytes());
            return;
        }
        let text = match kind {
            "s" | "l" | "h" | "t" | "z" | "y" | "b" | "g" | "r" | "q" => {
                family(&mut self.rng, kind.as_bytes()[0].into())
            }
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
            // Redis counts on beyond its largest number, from below zero.
            "nread" => self.pick(INTEGERS).replace("9223372036854775807", "9223372036854770000"),
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
            // Longer than a run takes on the busiest machine: what ends on the way ends on both sides
            // at its own moment.
            // And no two alike: whether one is greater than the other would be left to the clock.
            "ttl" if self.rng.u32(..3) > 0 => self.rng.u32(10_000..99_999).to_string(),
            "pttl" if self.rng.u32(..3) > 0 => self.rng.u32(10_000_000..99_999_999).to_string(),
            "ttl" => self.pick(&["0", "-1"]),
            "pttl" => self.pick(&["0", "-5"]),
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
