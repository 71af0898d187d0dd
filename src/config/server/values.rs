//! Values of directives as text and back: yes/no, memory sizes, ranges, save points, output limits.

/// Save after `seconds` if at least `changes` were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavePoint {
    pub seconds: u64,
    pub changes: u64,
}

impl SavePoint {
    pub(super) fn defaults() -> Vec<SavePoint> {
        [(3600, 1), (300, 100), (60, 10_000)]
            .map(|(seconds, changes)| SavePoint { seconds, changes })
            .to_vec()
    }
}

/// Of one class of clients. 0: no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimit {
    pub hard_bytes: u64,
    pub soft_bytes: u64,
    pub soft_s: u64,
}

impl OutputLimit {
    /// As Redis; what may wait for a normal client is bounded by its not being read meanwhile.
    pub(super) fn defaults() -> [OutputLimit; 3] {
        let limit = |hard_mb: u64, soft_mb: u64, soft_s| OutputLimit {
            hard_bytes: hard_mb << 20,
            soft_bytes: soft_mb << 20,
            soft_s,
        };
        [limit(0, 0, 0), limit(256, 64, 60), limit(32, 8, 60)]
    }
}

pub(super) const CLASSES: [&str; 3] = ["normal", "replica", "pubsub"];

pub(super) fn one(words: &[String]) -> Result<&str, String> {
    match words {
        [word] => Ok(word),
        _ => Err("wrong number of arguments: expected one value".into()),
    }
}

/// One value that may be empty.
pub(super) fn maybe(words: &[String]) -> Result<Option<String>, String> {
    match words {
        [] => Ok(None),
        [word] => Ok((!word.is_empty()).then(|| word.clone())),
        _ => Err("wrong number of arguments: expected one value".into()),
    }
}

pub(super) fn yes_no(words: &[String]) -> Result<bool, String> {
    match one(words)?.to_ascii_lowercase().as_str() {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("argument must be 'yes' or 'no'".into()),
    }
}

pub(super) fn yes_no_text(value: bool) -> String {
    if value { "yes" } else { "no" }.into()
}

pub(super) fn number(words: &[String], min: i64, max: i64) -> Result<i64, String> {
    let value: i64 = one(words)?.parse().map_err(|_| "argument couldn't be parsed into an integer")?;
    if (min..=max).contains(&value) {
        Ok(value)
    } else {
        Err(format!("argument must be between {min} and {max} inclusive"))
    }
}

/// `100`, `1k` (1000), `1kb` (1024), `2mb`, `3g`, `3gb`.
pub(super) fn bytes(words: &[String]) -> Result<u64, String> {
    let text = one(words)?.to_ascii_lowercase();
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let factor: u64 = match unit {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return Err("argument must be a memory value, as 100mb or 1gb".into()),
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|value| value.checked_mul(factor))
        .ok_or_else(|| "argument must be a memory value, as 100mb or 1gb".into())
}

/// What all clients together may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientsMemory {
    /// 0: no limit.
    Bytes(u64),
    /// Of `maxmemory`; no limit without one.
    Percent(u64),
}

impl ClientsMemory {
    pub(super) fn parse(words: &[String]) -> Result<Self, String> {
        match one(words)?.strip_suffix('%').map(str::parse) {
            Some(Ok(percent @ 0..=100)) => Ok(ClientsMemory::Percent(percent)),
            Some(_) => Err("argument must be a memory or percent value, as 100mb or 5%".into()),
            None => bytes(words)
                .map(ClientsMemory::Bytes)
                .map_err(|_| "argument must be a memory or percent value, as 100mb or 5%".into()),
        }
    }

    pub(super) fn text(self) -> String {
        match self {
            ClientsMemory::Bytes(count) => count.to_string(),
            ClientsMemory::Percent(percent) => format!("{percent}%"),
        }
    }
}

pub(super) fn save_points(words: &[String]) -> Result<Vec<SavePoint>, String> {
    const WANT: &str = "Invalid save parameters: expected pairs of <seconds> <changes>, or \"\" for none";
    let words: Vec<&str> = words.iter().flat_map(|word| word.split_whitespace()).collect();
    if !words.len().is_multiple_of(2) {
        return Err(WANT.into());
    }
    words
        .chunks_exact(2)
        .map(|pair| match (pair[0].parse(), pair[1].parse()) {
            (Ok(seconds), Ok(changes)) if seconds >= 1 => Ok(SavePoint { seconds, changes }),
            _ => Err(WANT.into()),
        })
        .collect()
}

pub(super) fn save_text(points: &[SavePoint]) -> String {
    let words: Vec<String> =
        points.iter().map(|point| format!("{} {}", point.seconds, point.changes)).collect();
    words.join(" ")
}

/// Groups of `class hard soft seconds`.
pub(super) fn output_limits(limits: &mut [OutputLimit; 3], words: &[String]) -> Result<(), String> {
    let mut next = *limits;
    if words.is_empty() || !words.len().is_multiple_of(4) {
        return Err("expected groups of <class> <hard> <soft> <soft seconds>".into());
    }
    for group in words.chunks_exact(4) {
        let name = if group[0] == "slave" { "replica" } else { &group[0] };
        let class = CLASSES
            .iter()
            .position(|class| class.eq_ignore_ascii_case(name))
            .ok_or("Invalid client class specified in buffer limit configuration.")?;
        next[class] = OutputLimit {
            hard_bytes: bytes(&group[1..2])?,
            soft_bytes: bytes(&group[2..3])?,
            soft_s: number(&group[3..4], 0, i64::from(i32::MAX))? as u64,
        };
    }
    *limits = next;
    Ok(())
}

pub(super) fn output_limits_text(limits: &[OutputLimit; 3]) -> String {
    let groups: Vec<String> = CLASSES
        .iter()
        .zip(limits)
        .map(|(class, limit)| {
            let class = if *class == "replica" { "slave" } else { class };
            format!("{class} {} {} {}", limit.hard_bytes, limit.soft_bytes, limit.soft_s)
        })
        .collect();
    groups.join(" ")
}

pub(super) fn choice(words: &[String], allowed: &[&str]) -> Result<String, String> {
    let word = one(words)?.to_ascii_lowercase();
    if allowed.contains(&word.as_str()) {
        Ok(word)
    } else {
        Err(format!("argument(s) must be one of the following: {}", allowed.join(", ")))
    }
}
