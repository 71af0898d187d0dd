//! Words of a request to stream ids, and entries to replies.

use super::CommandError;
use crate::resp::Writer;
use crate::stdx::number::parse_i64;
use crate::store::StreamId;
use crate::store::stream_node::EntryView;
use std::io::Write;

const INVALID: &str = "ERR Invalid stream ID specified as stream command argument";
/// Longer is no id.
const WORD_BYTES_MAX: usize = 127;

/// As Redis' `string2ull`: canonical, or else as C's `strtoull` takes it.
fn number(word: &[u8]) -> Option<u64> {
    if let Some(value) = parse_i64(word) {
        return u64::try_from(value).ok();
    }
    let (negative, digits) = match word.trim_ascii_start() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(if negative { value.wrapping_neg() } else { value })
}

/// `ms`, `ms-seq`; what stands for the missing `seq`. `None` for the sequence of `ms-*`.
fn parts(word: &[u8], missing_seq: u64) -> Option<(u64, Option<u64>)> {
    if word.len() > WORD_BYTES_MAX {
        return None;
    }
    match word.iter().position(|&byte| byte == b'-') {
        None => Some((number(word)?, Some(missing_seq))),
        Some(at) if &word[at + 1..] == b"*" => Some((number(&word[..at])?, None)),
        Some(at) => Some((number(&word[..at])?, Some(number(&word[at + 1..])?))),
    }
}

/// An id in full or without its sequence; `-` and `+` are none.
pub fn parse_strict(word: &[u8]) -> Option<StreamId> {
    let (ms, seq) = parts(word, 0)?;
    Some(StreamId::new(ms, seq?))
}

pub fn strict(word: &[u8]) -> Result<StreamId, CommandError> {
    parse_strict(word).ok_or(INVALID.into())
}

/// What XADD may be told: `ms-seq`, or `ms-*` without a sequence.
pub fn partial(word: &[u8]) -> Result<(u64, Option<u64>), CommandError> {
    parts(word, 0).ok_or(INVALID.into())
}

/// An id, `-` or `+`.
pub fn any(word: &[u8], missing_seq: u64) -> Result<StreamId, CommandError> {
    match word {
        b"-" => Ok(StreamId::ZERO),
        b"+" => Ok(StreamId::MAX),
        _ => match parts(word, missing_seq) {
            Some((ms, Some(seq))) => Ok(StreamId::new(ms, seq)),
            _ => Err(INVALID.into()),
        },
    }
}

/// The word without the parenthesis that leaves the id itself out.
fn exclusive(word: &[u8]) -> Option<&[u8]> {
    word.strip_prefix(b"(").filter(|rest| !rest.is_empty())
}

fn bound(word: &[u8], missing_seq: u64) -> Result<StreamId, CommandError> {
    match exclusive(word) {
        Some(b"-" | b"+") => Err(INVALID.into()),
        Some(rest) => any(rest, missing_seq),
        None => any(word, missing_seq),
    }
}

/// Where an interval begins.
pub fn start(word: &[u8]) -> Result<StreamId, CommandError> {
    let id = bound(word, 0)?;
    if exclusive(word).is_none() {
        return Ok(id);
    }
    id.next().ok_or("ERR invalid start ID for the interval".into())
}

/// Where an interval ends.
pub fn end(word: &[u8]) -> Result<StreamId, CommandError> {
    let id = bound(word, u64::MAX)?;
    if exclusive(word).is_none() {
        return Ok(id);
    }
    id.previous().ok_or("ERR invalid end ID for the interval".into())
}

pub fn reply_id(reply: &mut Writer<'_>, id: StreamId) {
    let mut text = [0; 41];
    let mut rest = &mut text[..];
    // Two numbers of twenty digits and a dash always have room.
    let _ = write!(rest, "{id}");
    let left = rest.len();
    reply.bulk(&text[..41 - left]);
}

pub fn reply_entry(reply: &mut Writer<'_>, entry: &EntryView<'_>) {
    let mut buffer = itoa::Buffer::new();
    reply.array(2);
    reply_id(reply, entry.id);
    reply.array(entry.fields * 2);
    for (field, value) in entry.pairs() {
        reply.bulk(field.bytes(&mut buffer));
        reply.bulk(value.bytes(&mut buffer));
    }
}

pub fn reply_entries<'a>(reply: &mut Writer<'_>, entries: impl Iterator<Item = EntryView<'a>>) {
    let entries: Vec<EntryView<'a>> = entries.collect();
    reply.array(entries.len());
    entries.iter().for_each(|entry| reply_entry(reply, entry));
}

/// COUNT as the readers take it: none and 0 are all there is.
pub fn limit(count: i64) -> usize {
    if count <= 0 { usize::MAX } else { usize::try_from(count).unwrap_or(usize::MAX) }
}

pub fn no_group(key: &[u8], group: &[u8], tail: &str) -> CommandError {
    let (key, group) = (String::from_utf8_lossy(key), String::from_utf8_lossy(group));
    CommandError::Text(format!("NOGROUP No such key '{key}' or consumer group '{group}'{tail}"))
}

/// What containers of subcommands answer to one they do not know, or with words it does not take.
pub fn check_subcommand(
    argv: &[&[u8]],
    known: &[(&str, crate::resp::spec::Arity)],
) -> Result<(), CommandError> {
    let given = String::from_utf8_lossy(argv[1]).to_ascii_lowercase();
    let container = String::from_utf8_lossy(argv[0]).to_ascii_lowercase();
    match known.iter().find(|(name, _)| *name == given) {
        None => {
            let (given, container) =
                (String::from_utf8_lossy(argv[1]).into_owned(), container.to_ascii_uppercase());
            Err(CommandError::Text(format!("ERR unknown subcommand '{given}'. Try {container} HELP.")))
        }
        Some((name, arity)) if !arity.accepts(argv.len()) => {
            Err(CommandError::Arity(format!("{container}|{name}")))
        }
        Some(_) => Ok(()),
    }
}

/// Known, but not with these words.
pub fn subcommand_syntax(argv: &[&[u8]]) -> CommandError {
    let given = String::from_utf8_lossy(argv[1]).into_owned();
    let container = String::from_utf8_lossy(argv[0]).to_ascii_uppercase();
    let text =
        format!("ERR unknown subcommand or wrong number of arguments for '{given}'. Try {container} HELP.");
    CommandError::Text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_ids_as_redis_reads_them() {
        let id = |ms, seq| Ok(StreamId::new(ms, seq));
        assert_eq!(strict(b"5-7"), id(5, 7));
        assert_eq!(strict(b"5"), id(5, 0));
        assert_eq!(strict(b"05-+7"), id(5, 7));
        assert_eq!(strict(b"18446744073709551615-18446744073709551615"), Ok(StreamId::MAX));
        for word in ["", "-", "+", "5-", "-5", "a", "5-*", "5-6-7", "18446744073709551616", "5 ", "$", ">"] {
            assert!(strict(word.as_bytes()).is_err(), "{word}");
        }
        assert_eq!(partial(b"5-*"), Ok((5, None)));
        assert_eq!(start(b"(5-7"), id(5, 8));
        assert_eq!(end(b"(5"), id(5, u64::MAX - 1));
        assert_eq!(end(b"5"), id(5, u64::MAX));
        assert!(end(b"(0-0").is_err() && start(b"(+").is_err() && start(b"(").is_err());
    }
}
