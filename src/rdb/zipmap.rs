//! The hash of Redis before 2.6: fields and values in one blob, each behind its length, values with
//! room to grow. Read only.

use super::error::Bad;

/// What follows in four bytes.
const LONG: u8 = 254;
const END: u8 = 255;

const EARLY: Bad = Bad("zipmap ends early");

/// Fields and values in turn.
pub(super) fn read(blob: &[u8]) -> Result<Vec<Vec<u8>>, Bad> {
    // The count is not believed: from 254 on it is unknown anyway.
    let mut rest = blob.get(1..).ok_or(EARLY)?;
    let mut items = Vec::new();
    loop {
        match length(&mut rest)? {
            None if rest.is_empty() => return Ok(items),
            None => return Err(Bad("zipmap does not end where it says")),
            Some(bytes) => items.push(take(&mut rest, bytes)?.to_vec()),
        }
        let bytes = length(&mut rest)?.ok_or(Bad("a field without its value"))?;
        let free = take(&mut rest, 1)?[0];
        items.push(take(&mut rest, bytes)?.to_vec());
        take(&mut rest, usize::from(free))?;
    }
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], Bad> {
    let (head, tail) = rest.split_at_checked(count).ok_or(EARLY)?;
    *rest = tail;
    Ok(head)
}

/// `None`: the end.
fn length(rest: &mut &[u8]) -> Result<Option<usize>, Bad> {
    match take(rest, 1)?[0] {
        END => Ok(None),
        LONG => {
            let (bytes, tail) = rest.split_first_chunk().ok_or(EARLY)?;
            *rest = tail;
            Ok(Some(u32::from_le_bytes(*bytes) as usize))
        }
        short => Ok(Some(usize::from(short))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zipmap_reads_and_its_lengths_are_not_believed() {
        let mut blob = b"\x02\x01a\x01\x02x??\xfe\x02\0\0\0bc\x00\x00".to_vec();
        blob.push(END);
        let items = read(&blob).unwrap();
        assert_eq!(items, [b"a".to_vec(), b"x".to_vec(), b"bc".to_vec(), Vec::new()]);
        for end in 0..blob.len() {
            assert!(read(&blob[..end]).is_err(), "{end}");
        }
        blob[9] = 0xff;
        assert!(read(&blob).is_err());
    }
}
