//! The three compact blobs of Redis: listpack, its elder ziplist, and intset. Each gives its
//! elements as strings; integers come out in decimal.

use super::error::Bad;
use crate::store::listpack::back_length_bytes;

/// The front of a slice, never read past its end.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Bad> {
        let (head, rest) = self.0.split_at_checked(count).ok_or(Bad("packed value ends early"))?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Bad> {
        let (head, rest) = self.0.split_first_chunk().ok_or(Bad("packed value ends early"))?;
        self.0 = rest;
        Ok(*head)
    }

    fn byte(&mut self) -> Result<u8, Bad> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn i24(&mut self) -> Result<i64, Bad> {
        let [a, b, c] = self.array()?;
        Ok(i64::from(i32::from_le_bytes([0, a, b, c]) >> 8))
    }

    /// Ends the blob: the mark 0xFF and nothing after it.
    fn finish(&mut self) -> Result<(), Bad> {
        if self.0 == [0xff] { Ok(()) } else { Err(Bad("packed value does not end where it says")) }
    }
}

fn decimal(value: i64) -> Vec<u8> {
    itoa::Buffer::new().format(value).as_bytes().to_vec()
}

/// Elements of a listpack.
pub(super) fn listpack(blob: &[u8]) -> Result<Vec<Vec<u8>>, Bad> {
    let mut cursor = Cursor(blob);
    let announced = u32::from_le_bytes(cursor.array()?);
    if announced as usize != blob.len() {
        return Err(Bad("listpack length is not its size"));
    }
    let count = u16::from_le_bytes(cursor.array()?);
    let mut items = Vec::new();
    while cursor.0.len() > 1 {
        let before = cursor.0.len();
        let head = cursor.byte()?;
        let item = match head {
            0x00..=0x7f => decimal(i64::from(head)),
            0x80..=0xbf => cursor.take(usize::from(head & 0x3f))?.to_vec(),
            0xc0..=0xdf => {
                // Thirteen bits, signed.
                let bits = u16::from(head & 0x1f) << 8 | u16::from(cursor.byte()?);
                decimal(i64::from(((bits << 3) as i16) >> 3))
            }
            0xe0..=0xef => {
                let length = usize::from(head & 0x0f) << 8 | usize::from(cursor.byte()?);
                cursor.take(length)?.to_vec()
            }
            0xf0 => {
                let length = u32::from_le_bytes(cursor.array()?) as usize;
                cursor.take(length)?.to_vec()
            }
            0xf1 => decimal(i64::from(i16::from_le_bytes(cursor.array()?))),
            0xf2 => decimal(cursor.i24()?),
            0xf3 => decimal(i64::from(i32::from_le_bytes(cursor.array()?))),
            0xf4 => decimal(i64::from_le_bytes(cursor.array()?)),
            _ => return Err(Bad("unknown listpack element")),
        };
        cursor.take(back_length_bytes(before - cursor.0.len()))?;
        items.push(item);
    }
    cursor.finish()?;
    // 65535 means: too many to count there.
    if count != u16::MAX && usize::from(count) != items.len() {
        return Err(Bad("listpack count is not its elements"));
    }
    Ok(items)
}

/// Elements of a ziplist.
pub(super) fn ziplist(blob: &[u8]) -> Result<Vec<Vec<u8>>, Bad> {
    let mut cursor = Cursor(blob);
    let announced = u32::from_le_bytes(cursor.array()?);
    if announced as usize != blob.len() {
        return Err(Bad("ziplist length is not its size"));
    }
    let _tail: [u8; 4] = cursor.array()?;
    let count = u16::from_le_bytes(cursor.array()?);
    let mut items = Vec::new();
    while cursor.0.len() > 1 {
        if cursor.byte()? == 0xfe {
            cursor.take(4)?;
        }
        let head = cursor.byte()?;
        items.push(match head {
            0x00..=0x3f => cursor.take(usize::from(head))?.to_vec(),
            0x40..=0x7f => {
                let length = usize::from(head & 0x3f) << 8 | usize::from(cursor.byte()?);
                cursor.take(length)?.to_vec()
            }
            0x80 => {
                let length = u32::from_be_bytes(cursor.array()?) as usize;
                cursor.take(length)?.to_vec()
            }
            0xc0 => decimal(i64::from(i16::from_le_bytes(cursor.array()?))),
            0xd0 => decimal(i64::from(i32::from_le_bytes(cursor.array()?))),
            0xe0 => decimal(i64::from_le_bytes(cursor.array()?)),
            0xf0 => decimal(cursor.i24()?),
            0xfe => decimal(i64::from(cursor.byte()? as i8)),
            0xf1..=0xfd => decimal(i64::from(head & 0x0f) - 1),
            _ => return Err(Bad("unknown ziplist element")),
        });
    }
    cursor.finish()?;
    if count != u16::MAX && usize::from(count) != items.len() {
        return Err(Bad("ziplist count is not its elements"));
    }
    Ok(items)
}

/// Members of an intset.
pub(super) fn intset(blob: &[u8]) -> Result<Vec<Vec<u8>>, Bad> {
    let mut cursor = Cursor(blob);
    let width = u32::from_le_bytes(cursor.array()?) as usize;
    let count = u32::from_le_bytes(cursor.array()?) as usize;
    if !matches!(width, 2 | 4 | 8) || count.checked_mul(width) != Some(cursor.0.len()) {
        return Err(Bad("intset length is not its size"));
    }
    let mut items = Vec::new();
    while !cursor.0.is_empty() {
        items.push(decimal(match width {
            2 => i64::from(i16::from_le_bytes(cursor.array()?)),
            4 => i64::from(i32::from_le_bytes(cursor.array()?)),
            _ => i64::from_le_bytes(cursor.array()?),
        }));
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listpack_of_every_number_width_reads() {
        let mut body = vec![5, 1]; // 5
        body.extend([0xdf, 0xff, 2]); // -1 in thirteen bits
        body.extend([0xf1, 0x18, 0xfc, 3]); // -1000
        body.extend([0xf2, 0xff, 0xff, 0xff, 4]); // -1 in 24 bits
        body.extend([0x81, b'x', 2]);
        let mut blob = ((body.len() + 7) as u32).to_le_bytes().to_vec();
        blob.extend(5u16.to_le_bytes());
        blob.extend(&body);
        blob.push(0xff);
        let items = listpack(&blob).unwrap();
        assert_eq!(items, [b"5".to_vec(), b"-1".to_vec(), b"-1000".to_vec(), b"-1".to_vec(), b"x".to_vec()]);
        for end in 0..blob.len() {
            assert!(listpack(&blob[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn a_ziplist_reads() {
        let body = [0u8, 1, b'a', 3, 0xf1, 2, 0xfe, 0x80, 3, 0xc0, 0x18, 0xfc];
        let mut blob = ((body.len() + 11) as u32).to_le_bytes().to_vec();
        blob.extend([0; 4]);
        blob.extend(4u16.to_le_bytes());
        blob.extend(body);
        blob.push(0xff);
        let items = ziplist(&blob).unwrap();
        assert_eq!(items, [b"a".to_vec(), b"0".to_vec(), b"-128".to_vec(), b"-1000".to_vec()]);
    }

    #[test]
    fn an_intset_reads_and_its_count_is_not_believed() {
        let mut blob = vec![2, 0, 0, 0, 2, 0, 0, 0, 0xff, 0xff, 7, 0];
        assert_eq!(intset(&blob).unwrap(), [b"-1".to_vec(), b"7".to_vec()]);
        blob[4] = 200;
        assert!(intset(&blob).is_err());
    }
}
