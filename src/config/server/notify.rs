//! `notify-keyspace-events`: letters that choose what is told of keys, as bits.

/// A set of classes of events, and of the two channels.
pub type Classes = u32;

/// `__keyspace@<db>__:<key>` and `__keyevent@<db>__:<event>`.
pub const KEYSPACE: Classes = 1;
pub const KEYEVENT: Classes = 1 << 1;
pub const GENERIC: Classes = 1 << 2;
pub const STRING: Classes = 1 << 3;
pub const LIST: Classes = 1 << 4;
pub const SET: Classes = 1 << 5;
pub const HASH: Classes = 1 << 6;
pub const ZSET: Classes = 1 << 7;
pub const EXPIRED: Classes = 1 << 8;
pub const EVICTED: Classes = 1 << 9;
pub const STREAM: Classes = 1 << 10;
pub const MISSED: Classes = 1 << 11;
pub const MODULE: Classes = 1 << 12;
pub const NEW: Classes = 1 << 13;
const ALL: Classes = GENERIC | STRING | LIST | SET | HASH | ZSET | EXPIRED | EVICTED | STREAM | MODULE;

/// In the order in which they are shown. Redis does not show `n` beside `A`.
const LETTERS: [(char, Classes); 14] = [
    ('g', GENERIC),
    ('$', STRING),
    ('l', LIST),
    ('s', SET),
    ('h', HASH),
    ('z', ZSET),
    ('x', EXPIRED),
    ('e', EVICTED),
    ('t', STREAM),
    ('d', MODULE),
    ('n', NEW),
    ('K', KEYSPACE),
    ('E', KEYEVENT),
    ('m', MISSED),
];

pub fn parse(text: &str) -> Result<Classes, String> {
    let bit = |letter: char| match letter {
        'A' => Some(ALL),
        _ => LETTERS.iter().find(|(known, _)| *known == letter).map(|(_, bit)| *bit),
    };
    let bits: Option<Vec<Classes>> = text.chars().map(bit).collect();
    let bits = bits.ok_or("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")?;
    Ok(bits.into_iter().fold(0, |all, bit| all | bit))
}

pub fn text(classes: Classes) -> String {
    let has_all = classes & ALL == ALL;
    let shown = |&&(_, bit): &&(char, Classes)| classes & bit != 0 && !(has_all && (ALL | NEW) & bit != 0);
    let letters = LETTERS.iter().filter(shown).map(|(letter, _)| *letter);
    has_all.then_some('A').into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_come_back_in_the_order_of_redis() {
        for (given, shown) in
            [("", ""), ("KEA", "AKE"), ("mEx$", "$xEm"), ("KEg$lshzxetd", "AKE"), ("E", "E")]
        {
            assert_eq!(text(parse(given).unwrap()), shown);
        }
        assert!(parse("KQ").is_err());
    }
}
