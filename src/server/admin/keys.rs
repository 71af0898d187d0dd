//! Where a request's keys are: from its spec, counted out for commands that announce a number, or
//! behind a STORE.

use crate::resp::spec::CommandSpec;
use crate::stdx::number::parse_i64;

/// Indexes of the keys in `argv`, in order.
pub fn positions(spec: &CommandSpec, argv: &[&[u8]]) -> Vec<usize> {
    // Where the number of keys stands, and whether a destination stands before it.
    let (count_at, destination) = match spec.name {
        "lmpop" | "zmpop" | "sintercard" | "zintercard" | "zunion" | "zinter" | "zdiff" => (1, None),
        "blmpop" | "bzmpop" | "eval" | "evalsha" | "eval_ro" | "evalsha_ro" | "fcall" | "fcall_ro" => {
            (2, None)
        }
        "zunionstore" | "zinterstore" | "zdiffstore" => (2, Some(1)),
        "sort" | "georadius" | "georadiusbymember" => {
            return spec.keys.positions(argv.len()).chain(stored(spec.name, argv)).collect();
        }
        "migrate" => return crate::server::migrate::key_positions(argv),
        "xread" | "xreadgroup" => return crate::commands::stream_read::key_positions(argv).collect(),
        _ => return spec.keys.positions(argv.len()).collect(),
    };
    let count = argv.get(count_at).and_then(|word| parse_i64(word));
    let count = count.and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
    let end = (count_at + 1).saturating_add(count).min(argv.len());
    destination.into_iter().chain(count_at + 1..end).collect()
}

/// The key that a result goes to, as the command itself will read its words: the last one counts.
pub fn stored(name: &str, argv: &[&[u8]]) -> Option<usize> {
    let is = |at: usize, names: &[&str]| {
        argv.get(at).is_some_and(|word| names.iter().any(|name| word.eq_ignore_ascii_case(name.as_bytes())))
    };
    let (mut at, stores): (usize, &[&str]) = match name {
        "sort" => (2, &["store"]),
        "georadius" => (6, &["store", "storedist"]),
        _ => (5, &["store", "storedist"]),
    };
    let mut found = None;
    while at < argv.len() {
        if is(at, stores) && at + 1 < argv.len() {
            found = Some(at + 1);
            at += 1;
        } else if name == "sort" && is(at, &["limit"]) {
            at += 2;
        } else if is(at, &["by", "get", "count"]) {
            at += 1;
        }
        at += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::spec::{Arity, NO_KEYS};

    #[test]
    fn counted_keys_are_bounded_by_the_words_there_are() {
        let spec = |name| CommandSpec {
            name,
            arity: Arity::AtLeast(1),
            flags: 0,
            keys: NO_KEYS,
            category: "",
            summary: "",
        };
        let argv: [&[u8]; 5] = [b"ZUNIONSTORE", b"to", b"2", b"a", b"b"];
        assert_eq!(positions(&spec("zunionstore"), &argv), [1, 3, 4]);
        let argv: [&[u8]; 4] = [b"LMPOP", b"99999999999", b"a", b"LEFT"];
        assert_eq!(positions(&spec("lmpop"), &argv), [2, 3]);
    }

    #[test]
    fn results_of_sorts_and_searches_have_a_key() {
        let spec = |name| CommandSpec {
            name,
            arity: Arity::AtLeast(1),
            flags: 0,
            keys: crate::resp::spec::KEY_1,
            category: "",
            summary: "",
        };
        let find = |name, line: &str| {
            let argv: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            positions(&spec(name), &argv)
        };
        assert_eq!(find("sort", "SORT l BY store LIMIT 0 store store to"), [1, 8]);
        assert_eq!(find("sort", "SORT l STORE a STORE b"), [1, 5]);
        assert_eq!(find("georadius", "GEORADIUS g 1 2 3 km STOREDIST to"), [1, 7]);
        assert_eq!(find("georadiusbymember", "GEORADIUSBYMEMBER g store 3 km COUNT 1"), [1]);
    }
}
