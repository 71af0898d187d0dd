//! The keyspace to and from RDB bytes: the file on disk, the image of a full sync, DUMP.
//!
//! Promises: what is written here a Redis 7.0 loads (version 10, plain encodings, long strings compressed; streams as the store keeps them). What is read may
//! be anything: lengths are believed only as far as bytes arrived, every fault is a typed error that
//! names the byte where it was found, and a type that is not kept here is refused by its name
//! instead of dropped. Has never heard of a file, a socket or a role.

mod error;
mod functions;
mod load;
mod lzf;
mod output;
mod packed;
mod primitive;
mod read;
mod source;
mod stream;
#[cfg(test)]
mod tests;
mod value;
mod write;
mod zipmap;

pub use error::RdbError;
pub use functions::{dump_functions, restore_functions};
pub use load::{DUMP_FOOT_BYTES, Ground, Loaded, load, load_front, restore};
pub use read::{Entry, Item, Reader};
pub use value::Decoded;
pub use write::{ImageWriter, Manner, PART_BYTES, Packing, Part, Position, dump, plain_length};

/// What we write: the version of Redis 7.0.
pub const VERSION_WRITTEN: u16 = 10;
/// The newest that is read: Redis 7.2.
pub const VERSION_READ_MAX: u16 = 11;

mod opcode {
    pub(super) const SLOT_INFO: u8 = 244;
    pub(super) const FUNCTION: u8 = 245;
    pub(super) const FUNCTION_PRE_RELEASE: u8 = 246;
    pub(super) const MODULE_AUX: u8 = 247;
    pub(super) const IDLE: u8 = 248;
    pub(super) const FREQUENCY: u8 = 249;
    pub(super) const AUX: u8 = 250;
    pub(super) const RESIZE_DB: u8 = 251;
    pub(super) const EXPIRE_MS: u8 = 252;
    pub(super) const EXPIRE_S: u8 = 253;
    pub(super) const SELECT_DB: u8 = 254;
    pub(super) const EOF: u8 = 255;
}

mod kind {
    pub(super) const STRING: u8 = 0;
    pub(super) const LIST: u8 = 1;
    pub(super) const SET: u8 = 2;
    pub(super) const SORTED_SET: u8 = 3;
    pub(super) const HASH: u8 = 4;
    pub(super) const SORTED_SET_2: u8 = 5;
    pub(super) const MODULE: u8 = 6;
    pub(super) const MODULE_2: u8 = 7;
    pub(super) const HASH_ZIPMAP: u8 = 9;
    pub(super) const LIST_ZIPLIST: u8 = 10;
    pub(super) const SET_INTSET: u8 = 11;
    pub(super) const SORTED_SET_ZIPLIST: u8 = 12;
    pub(super) const HASH_ZIPLIST: u8 = 13;
    pub(super) const LIST_QUICKLIST: u8 = 14;
    pub(super) const STREAM: u8 = 15;
    pub(super) const HASH_LISTPACK: u8 = 16;
    pub(super) const SORTED_SET_LISTPACK: u8 = 17;
    pub(super) const LIST_QUICKLIST_2: u8 = 18;
    pub(super) const STREAM_2: u8 = 19;
    pub(super) const SET_LISTPACK: u8 = 20;
    pub(super) const STREAM_3: u8 = 21;
}
