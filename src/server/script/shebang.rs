//! The first line of a script, if it is `#!lua flags=...`: what the script promises and asks for.

/// What a script said of itself. Without a first line of this kind it is judged command by command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags {
    /// No first line: the manners of Redis 6.
    pub compatible: bool,
    pub no_writes: bool,
    pub allow_oom: bool,
    pub allow_stale: bool,
    pub no_cluster: bool,
    pub allow_cross_slot_keys: bool,
}

impl Flags {
    pub const COMPATIBLE: Flags = Flags { compatible: true, ..Flags::NONE };
    pub const NONE: Flags = Flags {
        compatible: false,
        no_writes: false,
        allow_oom: false,
        allow_stale: false,
        no_cluster: false,
        allow_cross_slot_keys: false,
    };

    /// Adds a flag by its name; whether there is one.
    pub fn add(&mut self, name: &[u8]) -> bool {
        let flag = match name {
            b"no-writes" => &mut self.no_writes,
            b"allow-oom" => &mut self.allow_oom,
            b"allow-stale" => &mut self.allow_stale,
            b"no-cluster" => &mut self.no_cluster,
            b"allow-cross-slot-keys" => &mut self.allow_cross_slot_keys,
            _ => return false,
        };
        *flag = true;
        true
    }
}

/// The flags, and the text without its first line's words (its line numbers stay).
pub fn parse(body: &[u8]) -> Result<(Flags, &[u8]), String> {
    if !body.starts_with(b"#!") {
        return Ok((Flags::COMPATIBLE, body));
    }
    let end = memchr::memchr(b'\n', body).ok_or("ERR Invalid script shebang")?;
    let (line, rest) = body.split_at(end);
    let mut words = line.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
    let engine = words.next().unwrap_or_default();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if engine != b"#!lua" {
        return Err(format!("ERR Unexpected engine in script shebang: {}", text(engine)));
    }
    let mut flags = Flags::NONE;
    for word in words {
        let Some(names) = word.strip_prefix(b"flags=") else {
            return Err(format!("ERR Unknown lua shebang option: {}", text(word)));
        };
        if names.is_empty() {
            continue;
        }
        for name in names.split(|&byte| byte == b',') {
            if !flags.add(name) {
                return Err(format!("ERR Unexpected flag in script shebang: {}", text(name)));
            }
        }
    }
    Ok((flags, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_and_lines_keep_their_numbers() {
        assert_eq!(parse(b"return 1"), Ok((Flags::COMPATIBLE, &b"return 1"[..])));
        let (flags, rest) = parse(b"#!lua flags=no-writes,allow-stale flags=allow-oom\nreturn 1").unwrap();
        assert!(flags.no_writes && flags.allow_stale && flags.allow_oom && !flags.compatible);
        assert_eq!(rest, b"\nreturn 1");
        for (body, why) in [
            (&b"#!lua"[..], "ERR Invalid script shebang"),
            (b"#!js\n", "ERR Unexpected engine in script shebang: #!js"),
            (b"#!lua name=x\n", "ERR Unknown lua shebang option: name=x"),
            (b"#!lua flags=a\n", "ERR Unexpected flag in script shebang: a"),
            (b"#!lua flags=no-writes,\n", "ERR Unexpected flag in script shebang: "),
        ] {
            assert_eq!(parse(body).unwrap_err(), why);
        }
    }
}
