//! A line to words, as Redis splits inline commands and configuration lines.

/// Splits a line as Redis' `sdssplitargs`: double quotes with escapes, single quotes with `\'`.
/// `None` when a quote is not closed or is followed by a letter.
pub fn split_words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut bytes = line.iter().copied().peekable();
    loop {
        while bytes.next_if(u8::is_ascii_whitespace).is_some() {}
        let Some(&first) = bytes.peek() else { return Some(words) };
        let mut word = Vec::new();
        let mut current = Some(first);
        while let Some(byte) = current.filter(|byte| !byte.is_ascii_whitespace()) {
            bytes.next();
            match byte {
                b'"' => quoted(&mut bytes, &mut word)?,
                b'\'' => single_quoted(&mut bytes, &mut word)?,
                other => word.push(other),
            }
            if matches!(byte, b'"' | b'\'') && bytes.peek().is_some_and(|next| !next.is_ascii_whitespace()) {
                return None;
            }
            current = bytes.peek().copied();
        }
        words.push(word);
    }
}

type Bytes<'a> = std::iter::Peekable<std::iter::Copied<std::slice::Iter<'a, u8>>>;

fn quoted(bytes: &mut Bytes, word: &mut Vec<u8>) -> Option<()> {
    loop {
        match bytes.next()? {
            b'"' => return Some(()),
            b'\\' => match bytes.next()? {
                b'n' => word.push(b'\n'),
                b'r' => word.push(b'\r'),
                b't' => word.push(b'\t'),
                b'b' => word.push(8),
                b'a' => word.push(7),
                b'x' => {
                    let mut ahead = bytes.clone();
                    let hex = |byte: Option<u8>| byte.and_then(|b| (b as char).to_digit(16));
                    match (hex(ahead.next()), hex(ahead.next())) {
                        (Some(high), Some(low)) => {
                            word.push((high * 16 + low) as u8);
                            *bytes = ahead;
                        }
                        _ => word.push(b'x'),
                    }
                }
                other => word.push(other),
            },
            other => word.push(other),
        }
    }
}

fn single_quoted(bytes: &mut Bytes, word: &mut Vec<u8>) -> Option<()> {
    loop {
        match bytes.next()? {
            b'\'' => return Some(()),
            b'\\' if bytes.peek() == Some(&b'\'') => {
                bytes.next();
                word.push(b'\'');
            }
            other => word.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::split_words;

    #[test]
    fn quotes_join_and_escape() {
        let split = |line: &str| split_words(line.as_bytes());
        assert_eq!(
            split("set 'a b' \"c\\x41\\n\" "),
            Some(vec![b"set".to_vec(), b"a b".to_vec(), b"cA\n".to_vec()])
        );
        assert_eq!(split("save \"\""), Some(vec![b"save".to_vec(), vec![]]));
        assert_eq!(split("a 'b"), None);
        assert_eq!(split("a 'b'c"), None);
    }
}
