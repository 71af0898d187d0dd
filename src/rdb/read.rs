//! An image item by item, from its magic to its checksum.

use super::error::RdbError;
use super::source::Source;
use super::value::{self, Decoded};
use super::{VERSION_READ_MAX, opcode};
use std::io::Read;

/// A key with all that belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub db: u64,
    pub key: Vec<u8>,
    pub value: Decoded,
    /// On the wall clock.
    pub expires_at_ms: Option<u64>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A fact about the image: `redis-ver`, `repl-id`, ...
    Aux {
        name: Vec<u8>,
        value: Vec<u8>,
    },
    Entry(Entry),
    /// The text of a library of functions.
    Function(Vec<u8>),
    /// The image is whole and its checksum holds. Nothing may be asked after it.
    End,
}

pub struct Reader<R> {
    source: Source<R>,
    version: u16,
    db: u64,
}

impl<R: Read> Reader<R> {
    /// Reads the magic. A version that is too new is refused before anything is read by its rules.
    pub fn new(from: R) -> Result<Self, RdbError> {
        let mut source = Source::new(from);
        let magic: [u8; 9] = source.array()?;
        let version = magic
            .strip_prefix(b"REDIS")
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .ok_or(RdbError::NotRdb)?;
        if version == 0 || version > VERSION_READ_MAX {
            return Err(RdbError::Version(version));
        }
        Ok(Reader { source, version, db: 0 })
    }

    /// Bytes used so far; behind [`Item::End`], of the whole image.
    pub fn offset(&self) -> u64 {
        self.source.offset()
    }

    pub fn next_item(&mut self) -> Result<Item, RdbError> {
        let source = &mut self.source;
        let mut expires_at_ms = None;
        loop {
            let code = source.byte()?;
            match code {
                opcode::EOF => {
                    self.check_sum()?;
                    return Ok(Item::End);
                }
                opcode::SELECT_DB => self.db = source.length()?,
                opcode::RESIZE_DB => {
                    source.length()?;
                    source.length()?;
                }
                opcode::SLOT_INFO => {
                    for _ in 0..3 {
                        source.length()?;
                    }
                }
                opcode::AUX => {
                    let name = source.string()?;
                    return Ok(Item::Aux { name, value: source.string()? });
                }
                opcode::EXPIRE_MS => {
                    // A time before 1970 has long passed; it stays so without a sign.
                    expires_at_ms = Some(i64::from_le_bytes(source.array()?).max(0) as u64);
                }
                opcode::EXPIRE_S => {
                    let seconds = i64::from(i32::from_le_bytes(source.array()?)).max(0) as u64;
                    expires_at_ms = Some(seconds * 1000);
                }
                opcode::IDLE => {
                    source.length()?;
                }
                opcode::FREQUENCY => {
                    source.byte()?;
                }
                opcode::FUNCTION => return Ok(Item::Function(source.string()?)),
                opcode::FUNCTION_PRE_RELEASE => {
                    return Err(source.malformed("functions of a Redis 7 release candidate"));
                }
                opcode::MODULE_AUX => skip_module_aux(source)?,
                kind => {
                    let key = source.string()?;
                    let value = value::read(source, kind, &key)?;
                    if !value.is_empty_aggregate() {
                        return Ok(Item::Entry(Entry { db: self.db, key, value, expires_at_ms }));
                    }
                    expires_at_ms = None;
                }
            }
        }
    }

    fn check_sum(&mut self) -> Result<(), RdbError> {
        // Before version 5 there was none.
        if self.version < 5 {
            return Ok(());
        }
        let computed = self.source.sum();
        let found = u64::from_le_bytes(self.source.array()?);
        // Zero: the writer was told not to sum.
        if found != 0 && found != computed {
            return Err(RdbError::Checksum { found, computed });
        }
        Ok(())
    }
}

/// What a module left behind for itself: self-describing, so it can be passed over.
fn skip_module_aux<R: Read>(source: &mut Source<R>) -> Result<(), RdbError> {
    for _ in 0..3 {
        source.length()?;
    }
    loop {
        match source.length()? {
            0 => return Ok(()),
            1 | 2 => {
                source.length()?;
            }
            3 => {
                source.array::<4>()?;
            }
            4 => {
                source.array::<8>()?;
            }
            5 => {
                source.string()?;
            }
            _ => return Err(source.malformed("unknown module field")),
        }
    }
}
