//! When two replies are the same.

use vedette::resp::Reply;
use vedette::resp::reply::parse;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Byte for byte.
    Exact,
    /// The same elements in any order.
    AnyOrder,
    /// The same shape: which elements is left to chance.
    Shape,
    /// Integers that may differ by what a command takes on its way.
    Time,
    /// Exact but for the times in it, which each side reads off its own clock.
    Clocks,
    /// An error or none: how much a slice holds is everyone's own business.
    Errors,
    /// Byte for byte, but Redis unpacks the sorted sets that SORT looks at, and we do not.
    Encoding,
    /// In order as `strcoll` has it, by which Redis sorts what it does not store: it sees nothing behind a zero
    /// byte, and what looks alike to it has no order.
    Collated,
    /// Redis 7.0 does not know this yet; the scripts say what it does.
    Newer,
    /// Changes data by chance: stock Redis gets what we propagated.
    Chance,
}

pub fn mode_of(argv: &[Vec<u8>]) -> Mode {
    match argv[0].to_ascii_lowercase().as_slice() {
        b"scan" | b"hscan" | b"sscan" | b"zscan" if is_slice(argv) => Mode::Errors,
        b"zrank" | b"zrevrank" if argv.len() == 4 => Mode::Newer,
        // How a value is laid out in it is everyone's own business.
        b"dump" => Mode::Shape,
        b"sort" | b"sort_ro" => mode_of_sort(argv),
        b"spop" => Mode::Chance,
        b"xadd" if argv.iter().any(|word| word == b"*") => Mode::Chance,
        b"xpending" | b"xinfo" => Mode::Clocks,
        b"randomkey" | b"srandmember" | b"hrandfield" | b"zrandmember" => Mode::Shape,
        b"smembers" | b"sinter" | b"sunion" | b"sdiff" | b"hgetall" | b"hkeys" | b"hvals" | b"keys"
        | b"scan" | b"hscan" | b"sscan" | b"zscan" => Mode::AnyOrder,
        b"ttl" | b"pttl" | b"expiretime" | b"pexpiretime" => Mode::Time,
        b"object" if argv.get(1).is_some_and(|word| word.eq_ignore_ascii_case(b"idletime")) => Mode::Time,
        b"object" if argv.get(1).is_some_and(|word| word.eq_ignore_ascii_case(b"encoding")) => Mode::Encoding,
        _ => Mode::Exact,
    }
}

/// Sets have no order, and elements of equal weight have none among each other.
fn mode_of_sort(argv: &[Vec<u8>]) -> Mode {
    let has = |name: &str| argv.iter().any(|word| word.eq_ignore_ascii_case(name.as_bytes()));
    let by = argv.iter().position(|word| word.eq_ignore_ascii_case(b"by")).and_then(|at| argv.get(at + 1));
    let is_sorted = by.is_none_or(|by| by.contains(&b'*'));
    // RENAME and COPY make sets of other families' keys too.
    let may_be_set = argv.get(1).is_some_and(|key| !key.starts_with(b"y"));
    let left_open = by.is_some() && if is_sorted { has("alpha") } else { may_be_set };
    match () {
        () if by.is_none() && has("alpha") && !has("store") && !has("get") => Mode::Collated,
        () if !left_open || has("store") => Mode::Exact,
        () if has("limit") && has("get") => Mode::Errors,
        () if has("limit") => Mode::Shape,
        () => Mode::AnyOrder,
    }
}

/// A slice that is not the whole.
fn is_slice(argv: &[Vec<u8>]) -> bool {
    let at = if argv[0].eq_ignore_ascii_case(b"scan") { 1 } else { 2 };
    argv.len() > at && (argv[at] != b"0" || !argv.iter().any(|word| word == b"100000"))
}

fn canonical(reply: &Reply) -> String {
    match reply {
        // Redis keeps the sign of a zero score or loses it, as its encodings have it.
        Reply::Bulk(text) if text == b"-0" => "$0".into(),
        Reply::Double(value) => format!("{:?}", value + 0.0),
        Reply::Bulk(text) => format!("${}", text.escape_ascii()),
        other => format!("{other:?}"),
    }
}

fn children(reply: &Reply) -> Option<Vec<Reply>> {
    match reply {
        Reply::Map(pairs) => {
            Some(pairs.iter().flat_map(|(key, value)| [key.clone(), value.clone()]).collect())
        }
        other => other.as_array().map(<[Reply]>::to_vec),
    }
}

fn flatten(reply: &Reply, into: &mut Vec<String>) {
    match children(reply) {
        Some(elements) => {
            into.push(format!("*{}", elements.len()));
            elements.iter().for_each(|element| flatten(element, into));
        }
        None => into.push(canonical(reply)),
    }
}

fn shape(reply: &Reply, into: &mut Vec<&'static str>) {
    match children(reply) {
        Some(elements) => {
            into.push("(");
            elements.iter().for_each(|element| shape(element, into));
            into.push(")");
        }
        None => into.push(match reply {
            Reply::Bulk(_) => "bulk",
            Reply::Integer(_) => "integer",
            Reply::Error(_) => "error",
            _ => "other",
        }),
    }
}

/// Times in the replies of XPENDING and XINFO made alike: idle times, and when an entry was
/// delivered.
fn without_clocks(reply: &Reply) -> Reply {
    let is_time = |reply: &Reply| matches!(reply, Reply::Integer(time) if *time >= 0);
    let mut parts = match (children(reply), reply) {
        (Some(parts), _) => parts.iter().map(without_clocks).collect::<Vec<_>>(),
        (None, other) => return other.clone(),
    };
    let named = |name: &Reply| matches!(name, Reply::Bulk(name) if name == b"idle" || name == b"seen-time");
    for at in 1..parts.len() {
        if named(&parts[at - 1]) && is_time(&parts[at]) {
            parts[at] = Reply::Integer(0);
        }
    }
    // `id consumer time count` and `id time count`.
    let time_at = match parts.as_slice() {
        [Reply::Bulk(_), Reply::Bulk(_), Reply::Integer(_), Reply::Integer(_)] => Some(2),
        [Reply::Bulk(_), Reply::Integer(_), Reply::Integer(_)] => Some(1),
        _ => None,
    };
    if let Some(at) = time_at.filter(|&at| is_time(&parts[at])) {
        parts[at] = Reply::Integer(0);
    }
    Reply::Array(parts)
}

pub fn compare(mode: Mode, ours: &[u8], theirs: &[u8]) -> Result<(), String> {
    if ours == theirs || mode == Mode::Newer {
        return Ok(());
    }
    let (a, used) = parse(ours, 1 << 26)
        .map_err(|_| "ours is no reply".to_owned())?
        .ok_or("ours is cut off".to_owned())?;
    if used != ours.len() {
        return Err("ours has more than one reply".into());
    }
    let (b, _) = parse(theirs, 1 << 26)
        .map_err(|_| "theirs is no reply".to_owned())?
        .ok_or("theirs is cut off".to_owned())?;
    if mode == Mode::Encoding && ours == b"$8\r\nlistpack\r\n" && theirs == b"$8\r\nskiplist\r\n" {
        return Ok(());
    }
    // SDIFFSTORE of Redis may go through more members than stay, and its result remembers the most.
    if mode == Mode::Encoding && ours == b"$6\r\nintset\r\n" && theirs == b"$9\r\nhashtable\r\n" {
        return Ok(());
    }
    if mode == Mode::Errors {
        return if a.error() == b.error() { Ok(()) } else { Err("another error".into()) };
    }
    // A double is written in one way.
    if mode == Mode::Exact && matches!((&a, &b), (Reply::Double(_), Reply::Double(zero)) if *zero != 0.0) {
        return Err("another double".into());
    }
    // An array is no set and no map, though the elements may agree; a double is no bulk string.
    if ours.first() != theirs.first() {
        return Err("another type".into());
    }
    let (a, b) = if mode == Mode::Clocks { (without_clocks(&a), without_clocks(&b)) } else { (a, b) };
    let same = match (mode, &a, &b) {
        (Mode::Time, Reply::Integer(a), Reply::Integer(b)) => *a >= 0 && *b >= 0 && a.abs_diff(*b) <= 2000,
        (Mode::Shape, ..) => {
            let (mut left, mut right) = (Vec::new(), Vec::new());
            shape(&a, &mut left);
            shape(&b, &mut right);
            left == right && a.error() == b.error()
        }
        _ => {
            let (mut left, mut right) = (Vec::new(), Vec::new());
            flatten(&a, &mut left);
            flatten(&b, &mut right);
            if mode == Mode::Collated {
                let cut = |text: &mut String| text.truncate(text.find("\\x00").unwrap_or(text.len()));
                left.iter_mut().chain(&mut right).for_each(cut);
            }
            if mode == Mode::AnyOrder {
                left.sort();
                right.sort();
            }
            if let Some(at) = (0..left.len().max(right.len())).find(|&at| left.get(at) != right.get(at)) {
                return Err(format!("element {at}: {:?}, {:?}", left.get(at), right.get(at)));
            }
            true
        }
    };
    if same { Ok(()) } else { Err("another reply".into()) }
}

#[test]
fn differences_are_seen() {
    assert!(compare(Mode::Exact, b"*2\r\n:1\r\n:2\r\n", b"*2\r\n:2\r\n:1\r\n").is_err());
    assert!(compare(Mode::AnyOrder, b"*2\r\n:1\r\n:2\r\n", b"*2\r\n:2\r\n:1\r\n").is_ok());
    assert!(compare(Mode::AnyOrder, b"*1\r\n:1\r\n", b"~1\r\n:1\r\n").is_err());
    assert!(compare(Mode::Exact, b"$3\r\n0.1\r\n", b"$19\r\n0.10000000000000001\r\n").is_err());
    assert!(compare(Mode::Exact, b",0.1\r\n", b",0.10000000000000001\r\n").is_err());
    assert!(compare(Mode::Exact, b"$3\r\n0.1\r\n", b"$3\r\n0.2\r\n").is_err());
    let (one, other) = (b"*2\r\n$0\r\n\r\n$2\r\n\0a\r\n", b"*2\r\n$2\r\n\0a\r\n$0\r\n\r\n");
    assert!(compare(Mode::Collated, one, other).is_ok() && compare(Mode::Exact, one, other).is_err());
    assert!(
        compare(Mode::Collated, b"*2\r\n$1\r\na\r\n$1\r\nb\r\n", b"*2\r\n$1\r\nb\r\n$1\r\na\r\n").is_err()
    );
    assert!(compare(Mode::Time, b":100\r\n", b":101\r\n").is_ok());
    assert!(compare(Mode::Time, b":-1\r\n", b":-2\r\n").is_err());
}
