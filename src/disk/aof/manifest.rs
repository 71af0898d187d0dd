//! The manifest of the append-only file: which files it consists of, in which order. The text is
//! Redis 7's, line by line, so either server reads what the other wrote.

use crate::stdx::words::split_words;

/// More than the manifest of any log; Redis reads lines of 1024 bytes.
pub const BYTES_MAX: u64 = 1 << 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub name: String,
    pub seq: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    pub base: Option<Part>,
    /// In the order of their numbers.
    pub increments: Vec<Part>,
    /// Of an earlier time, to be deleted.
    pub history: Vec<Part>,
}

impl Manifest {
    pub fn parse(text: &str) -> Result<Manifest, String> {
        let mut manifest = Manifest::default();
        for (index, line) in text.lines().enumerate() {
            let bad = |what: &str| Err(format!("line {} {what}", index + 1));
            if line.starts_with('#') {
                continue;
            }
            let Some(words) = split_words(line.trim().as_bytes()) else { return bad("has an open quote") };
            let words: Vec<String> =
                words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
            let (mut name, mut seq, mut kind) = (None, None, None);
            for pair in words.chunks(2) {
                match pair {
                    [key, value] if key.eq_ignore_ascii_case("file") => name = Some(value.clone()),
                    [key, value] if key.eq_ignore_ascii_case("seq") => seq = value.parse::<u64>().ok(),
                    [key, value] if key.eq_ignore_ascii_case("type") => kind = Some(value.clone()),
                    [_, _] => {}
                    _ => return bad("is not made of pairs of words"),
                }
            }
            let (Some(name), Some(seq), Some(kind)) = (name, seq.filter(|&seq| seq > 0), kind) else {
                return bad("is not `file <name> seq <number> type <b|i|h>`");
            };
            if name.is_empty() || name.contains('/') || name == ".." {
                return bad("names a file outside the directory");
            }
            let part = Part { name, seq };
            match kind.as_str() {
                "b" if manifest.base.is_some() => return bad("is a second base"),
                "b" => manifest.base = Some(part),
                "i" if manifest.increments.last().is_some_and(|last| last.seq >= part.seq) => {
                    return bad("has a number that is not greater than the one before it");
                }
                "i" => manifest.increments.push(part),
                "h" => manifest.history.push(part),
                _ => return bad("has a type other than b, i and h"),
            }
        }
        if manifest.base.is_none() && manifest.increments.is_empty() {
            return Err("names no file of a log".into());
        }
        Ok(manifest)
    }

    pub fn text(&self) -> String {
        let mut text = String::new();
        let base = self.base.iter().map(|part| (part, 'b'));
        let history = self.history.iter().map(|part| (part, 'h'));
        for (part, kind) in base.chain(history).chain(self.increments.iter().map(|part| (part, 'i'))) {
            let name = quoted(&part.name);
            text.push_str(&format!("file {name} seq {} type {kind}\n", part.seq));
        }
        text
    }

    pub fn next_base(&self) -> u64 {
        self.base.as_ref().map_or(0, |base| base.seq) + 1
    }

    pub fn next_increment(&self) -> u64 {
        self.increments.last().map_or(0, |last| last.seq) + 1
    }

    /// The manifest once a base stands for all up to the increment `kept`, exclusive.
    pub fn with_base(&self, base: Part, kept: u64) -> Manifest {
        let mut history = self.history.clone();
        history.extend(self.base.clone());
        let (old, increments): (Vec<Part>, _) =
            self.increments.iter().cloned().partition(|part| part.seq < kept);
        history.extend(old);
        Manifest { base: Some(base), increments, history }
    }
}

/// As a word of a line; in quotes where it needs them.
fn quoted(name: &str) -> String {
    if !name.contains(|c: char| c.is_ascii_whitespace() || c.is_ascii_control() || "\"\\'".contains(c)) {
        return name.to_owned();
    }
    let mut text = String::from("\"");
    for c in name.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            // It would end the line, or be lost at its end.
            c if c.is_ascii_control() => text.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "file appendonly.aof.2.base.rdb seq 2 type b\nfile appendonly.aof.1.incr.aof seq 1 type h\nfile appendonly.aof.4.incr.aof seq 4 type i\nfile \"a b.5.incr.aof\" seq 5 type i\n";

    #[test]
    fn reads_what_it_writes_and_what_redis_writes() {
        let manifest = Manifest::parse(TEXT).unwrap();
        assert_eq!(manifest.text(), TEXT);
        assert_eq!((manifest.next_base(), manifest.next_increment()), (3, 6));
        assert!(Manifest::parse("# by hand\nfile appendonly.aof seq 1 type b\n").is_ok());
    }

    #[test]
    fn a_new_base_makes_history_of_all_before_it() {
        let part = |seq| Part { name: format!("{seq}"), seq };
        let old =
            Manifest { base: Some(part(1)), increments: vec![part(1), part(2), part(3)], history: vec![] };
        let new = old.with_base(part(2), 3);
        assert_eq!(
            new,
            Manifest {
                base: Some(part(2)),
                increments: vec![part(3)],
                history: vec![part(1), part(1), part(2)]
            }
        );
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        for (text, what) in [
            ("", "names no file"),
            ("file a seq 0 type b", "line 1"),
            ("file a seq 1 type x", "type other"),
            ("file ../a seq 1 type b", "outside"),
            ("file a seq 1 type b\nfile b seq 2 type b", "line 2 is a second base"),
            ("file a seq 2 type i\nfile b seq 1 type i", "not greater"),
            ("file a seq 1 type", "pairs"),
            ("file \"a seq 1 type b", "quote"),
        ] {
            let error = Manifest::parse(text).unwrap_err();
            assert!(error.contains(what), "{text}: {error}");
        }
    }
}
