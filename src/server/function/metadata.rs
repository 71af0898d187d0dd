//! The first line of a library: `#!lua name=...`.

use super::library::{BAD_NAME, is_name};

/// The name, and the code behind the first line with the line's end, so that lines keep their numbers.
pub fn parse(text: &[u8]) -> Result<(String, &[u8]), String> {
    if !text.starts_with(b"#!") {
        return Err("Missing library metadata".into());
    }
    // A zero byte ends what Redis looks for the line's end in.
    let searched = text.iter().position(|&byte| byte == 0).map_or(text, |end| &text[..end]);
    let end = memchr::memchr(b'\n', searched).ok_or("Invalid library metadata")?;
    let (line, code) = text.split_at(end);
    let line = std::str::from_utf8(line).map_err(|_| "Invalid library metadata")?;
    let words = words(line).ok_or("Invalid library metadata")?;
    let mut words = words.iter();
    let engine = words.next().and_then(|word| word.strip_prefix("#!")).unwrap_or_default();
    let mut name = None;
    for word in words {
        match word.split_at_checked(5) {
            Some((mark, value)) if mark.eq_ignore_ascii_case("name=") => {
                if name.replace(value).is_some() {
                    return Err("Invalid metadata value, name argument was given multiple times".into());
                }
            }
            _ => return Err(format!("Invalid metadata value given: {word}")),
        }
    }
    let name = name.ok_or("Library name was not given")?;
    if !is_name(name.as_bytes()) {
        return Err(BAD_NAME.into());
    }
    if !engine.eq_ignore_ascii_case("lua") {
        return Err(format!("Engine '{engine}' not found"));
    }
    Ok((name.to_owned(), code))
}

/// The line's words; quotes hold one together, as in a configuration file.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let mut word = String::new();
        let mut characters = rest.char_indices();
        let mut quote = None;
        let mut end = rest.len();
        while let Some((at, character)) = characters.next() {
            match (quote, character) {
                (None, space) if space.is_ascii_whitespace() => {
                    end = at;
                    break;
                }
                (None, '"' | '\'') => quote = Some(character),
                (Some(open), close) if open == close => {
                    // A quoted part ends its word.
                    quote = None;
                    end = at + 1;
                    if rest[end..].starts_with(|next: char| !next.is_ascii_whitespace()) {
                        return None;
                    }
                    break;
                }
                (Some('"'), '\\') => word.push(characters.next()?.1),
                (_, other) => word.push(other),
            }
        }
        if quote.is_some() {
            return None;
        }
        words.push(word);
        rest = rest[end..].trim_start();
    }
    (!words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_names_the_library() {
        assert_eq!(parse(b"#!lua name=a_1\nreturn 1"), Ok(("a_1".into(), &b"\nreturn 1"[..])));
        assert_eq!(parse(b"#!LUA NAME=\"b\"\n"), Ok(("b".into(), &b"\n"[..])));
        for (text, why) in [
            (&b"return 1"[..], "Missing library metadata"),
            (b"#!lua name=a", "Invalid library metadata"),
            (b"#!lua name=\"a\n", "Invalid library metadata"),
            (b"#!lua\n", "Library name was not given"),
            (b"#!js name=a\n", "Engine 'js' not found"),
            (b"#!lua name=a-b\n", BAD_NAME),
            (b"#!lua name=\n", BAD_NAME),
            (b"#!lua name=a foo\n", "Invalid metadata value given: foo"),
            (b"#!lua name=a name=b\n", "Invalid metadata value, name argument was given multiple times"),
        ] {
            assert_eq!(parse(text).unwrap_err(), why);
        }
    }
}
