//! LCS: what two strings have in common, in order.

use super::args::{int, is};
use super::{CommandError, DataCommand, Done, Unit, row};
use crate::resp::Writer;
use crate::resp::spec::{Arity, KEY_1_2, READONLY};
use crate::store::{Str, Value};

/// The table of lengths is no larger, whatever strings may be.
const TABLE_BYTES_MAX: usize = 512 << 20;

#[derive(Default)]
struct Options {
    wants_length: bool,
    wants_places: bool,
    with_length: bool,
    length_min: u64,
}

impl Options {
    fn parse(words: &[&[u8]]) -> Result<Options, CommandError> {
        let (mut options, mut at) = (Options::default(), 0);
        while at < words.len() {
            if is(words[at], "idx") {
                options.wants_places = true;
            } else if is(words[at], "len") {
                options.wants_length = true;
            } else if is(words[at], "withmatchlen") {
                options.with_length = true;
            } else if is(words[at], "minmatchlen") && at + 1 < words.len() {
                options.length_min = int(words[at + 1])?.max(0) as u64;
                at += 1;
            } else {
                return Err(CommandError::Syntax);
            }
            at += 1;
        }
        if options.wants_places && options.wants_length {
            return Err("ERR If you want both the length and indexes, please just use IDX.".into());
        }
        Ok(options)
    }
}

/// Lengths of the longest common subsequence of every two beginnings.
struct Lengths {
    cells: Vec<u32>,
    row: usize,
}

impl Lengths {
    fn new(a: &[u8], b: &[u8], bytes_max: usize) -> Result<Lengths, CommandError> {
        let row = b.len() + 1;
        let cells = (a.len() + 1).checked_mul(row).filter(|cells| cells.saturating_mul(4) <= bytes_max);
        let cells =
            cells.ok_or("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")?;
        let mut lengths = Lengths { cells: vec![0; cells], row };
        for (i, x) in a.iter().enumerate() {
            let (done, next) = lengths.cells.split_at_mut((i + 1) * row);
            let (above, here) = (&done[i * row..], &mut next[..row]);
            for (j, y) in b.iter().enumerate() {
                here[j + 1] = if x == y { above[j] + 1 } else { above[j + 1].max(here[j]) };
            }
        }
        Ok(lengths)
    }

    fn at(&self, i: usize, j: usize) -> u32 {
        self.cells[i * self.row + j]
    }
}

/// A piece that both have, with where it begins in each.
struct Match {
    in_a: usize,
    in_b: usize,
    len: usize,
}

/// From the last to the first, as Redis walks.
fn matches(a: &[u8], b: &[u8], lengths: &Lengths) -> Vec<Match> {
    let (mut i, mut j) = (a.len(), b.len());
    let mut found: Vec<Match> = Vec::new();
    let mut grows = false;
    while i > 0 && j > 0 {
        if a[i - 1] == b[j - 1] {
            (i, j) = (i - 1, j - 1);
            match found.last_mut().filter(|_| grows) {
                Some(last) => *last = Match { in_a: i, in_b: j, len: last.len + 1 },
                None => found.push(Match { in_a: i, in_b: j, len: 1 }),
            }
            grows = true;
        } else {
            grows = false;
            if lengths.at(i - 1, j) > lengths.at(i, j - 1) {
                i -= 1;
            } else {
                j -= 1;
            }
        }
    }
    found
}

fn lcs(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let mut texts = Vec::with_capacity(2);
    for key in &argv[1..3] {
        texts.push(match unit.read(key) {
            None => Some(Vec::new()),
            Some(Value::Str(string)) => Some(Str::to_vec(string)),
            Some(_) => None,
        });
    }
    let [Some(a), Some(b)] = &texts[..] else {
        return Err("ERR The specified keys must contain string values".into());
    };
    let options = Options::parse(&argv[3..])?;
    let lengths = Lengths::new(a, b, unit.string_bytes_max.min(TABLE_BYTES_MAX))?;
    let total = lengths.at(a.len(), b.len());
    if options.wants_length {
        reply.integer(i64::from(total));
        return Ok(());
    }
    let mut found = matches(a, b, &lengths);
    if !options.wants_places {
        let text: Vec<u8> = found.iter().rev().flat_map(|m| &a[m.in_a..m.in_a + m.len]).copied().collect();
        reply.bulk(&text);
        return Ok(());
    }
    found.retain(|one| one.len as u64 >= options.length_min);
    reply.map(2);
    reply.bulk(b"matches");
    reply.array(found.len());
    for Match { in_a, in_b, len } in found {
        reply.array(2 + usize::from(options.with_length));
        for start in [in_a, in_b] {
            reply.array(2);
            reply.integer(start as i64);
            reply.integer((start + len) as i64 - 1);
        }
        if options.with_length {
            reply.integer(len as i64);
        }
    }
    reply.bulk(b"len");
    reply.integer(i64::from(total));
    Ok(())
}

pub(super) const COMMANDS: &[DataCommand] =
    &[row("lcs", Arity::AtLeast(3), READONLY, KEY_1_2, "@string", "What two strings have in common", lcs)];
