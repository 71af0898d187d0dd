//! Where a request's keys are: from its spec, counted out for commands that announce a number, or
//! behind a STORE.

use crate::resp::spec::CommandSpec;

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
        "memory" => {
            let usage = argv.get(1).is_some_and(|word| word.eq_ignore_ascii_case(b"usage"));
            return if usage && argv.len() > 2 { vec![2] } else { Vec::new() };
        }
        "migrate" => return crate::server::migrate::key_positions(argv),
        "xread" | "xreadgroup" => return crate::commands::stream_read::key_positions(argv).collect(),
        _ => return spec.keys.positions(argv.len()).collect(),
    };
    let count = argv.get(count_at).map_or(0, |word| leading_number(word));
    let end = (count_at + 1).saturating_add(count).min(argv.len());
    destination.into_iter().chain(count_at + 1..end).collect()
}

/// As Redis counts keys, with C's `atoi`: what follows the digits does not matter. The command itself is stricter.
pub(super) fn leading_number(word: &[u8]) -> usize {
    let digits = word.trim_ascii_start();
    let digits = digits.strip_prefix(b"+").unwrap_or(digits);
    let value = digits.iter().take_while(|byte| byte.is_ascii_digit());
    value.fold(0usize, |number, digit| number.saturating_mul(10).saturating_add(usize::from(digit - b'0')))
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
        let argv: [&[u8]; 4] = [b"ZUNION", b"+1x", b"a", b"b"];
        assert_eq!(positions(&spec("zunion"), &argv), [2]);
        let argv: [&[u8]; 4] = [b"LMPOP", b"99999999999", b"a", b"LEFT"];
        assert_eq!(positions(&spec("lmpop"), &argv), [2, 3]);
    }

    /// Found by asking both servers for GETKEYS: rules about keys did not see this one.
    #[test]
    fn memory_usage_names_a_key_and_its_siblings_none() {
        let spec = CommandSpec {
            name: "memory",
            arity: Arity::AtLeast(2),
            flags: 0,
            keys: NO_KEYS,
            category: "",
            summary: "",
        };
        let of = |words: &[&[u8]]| positions(&spec, words);
        assert_eq!(of(&[b"MEMORY", b"Usage", b"k", b"SAMPLES", b"0"]), [2]);
        assert!(of(&[b"MEMORY", b"DOCTOR"]).is_empty() && of(&[b"MEMORY", b"USAGE"]).is_empty());
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
