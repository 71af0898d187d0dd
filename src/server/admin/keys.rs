//! Where a request's keys are: from its spec, or counted out for commands that announce a number.

use crate::resp::spec::CommandSpec;
use crate::stdx::number::parse_i64;

/// Indexes of the keys in `argv`, in order.
pub fn positions(spec: &CommandSpec, argv: &[&[u8]]) -> Vec<usize> {
    // Where the number of keys stands, and whether a destination stands before it.
    let (count_at, destination) = match spec.name {
        "lmpop" | "zmpop" | "sintercard" | "zintercard" | "zunion" | "zinter" | "zdiff" => (1, None),
        "blmpop" | "bzmpop" => (2, None),
        "zunionstore" | "zinterstore" | "zdiffstore" => (2, Some(1)),
        _ => return spec.keys.positions(argv.len()).collect(),
    };
    let count = argv.get(count_at).and_then(|word| parse_i64(word));
    let count = count.and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
    let end = (count_at + 1).saturating_add(count).min(argv.len());
    destination.into_iter().chain(count_at + 1..end).collect()
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
}
