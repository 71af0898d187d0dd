//! What is known of a command besides its handler: one row each at the foot of its family's file.
//! `COMMAND`, ACL, arity, dispatch and cluster keys read nothing else.

/// Counts the command's own name, as Redis does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    Exactly(usize),
    AtLeast(usize),
}

impl Arity {
    pub const fn accepts(self, argc: usize) -> bool {
        match self {
            Arity::Exactly(n) => argc == n,
            Arity::AtLeast(n) => argc >= n,
        }
    }

    /// As `COMMAND INFO` shows it: negative for a minimum.
    pub const fn as_redis(self) -> i64 {
        match self {
            Arity::Exactly(n) => n as i64,
            Arity::AtLeast(n) => -(n as i64),
        }
    }
}

/// Where the keys stand in argv. `last` counts from the end when negative. `NO_KEYS` has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    pub first: usize,
    pub last: isize,
    pub step: usize,
}

pub const NO_KEYS: Keys = Keys { first: 0, last: 0, step: 0 };
pub const KEY_1: Keys = Keys { first: 1, last: 1, step: 1 };
pub const KEY_1_2: Keys = Keys { first: 1, last: 2, step: 1 };
pub const KEYS_ALL: Keys = Keys { first: 1, last: -1, step: 1 };
pub const KEYS_PAIRS: Keys = Keys { first: 1, last: -1, step: 2 };

impl Keys {
    /// Indexes of the keys in an argv of `argc` words; empty when it has none.
    pub fn positions(self, argc: usize) -> impl Iterator<Item = usize> {
        let last = if self.last < 0 { argc as isize + self.last } else { self.last };
        let end = if self.first == 0 { 0 } else { (last + 1).clamp(0, argc as isize) as usize };
        (self.first..end).step_by(self.step.max(1))
    }
}

/// Flags as bits, with the names `COMMAND INFO` uses.
pub type Flags = u32;
pub const WRITE: Flags = 1;
pub const READONLY: Flags = 1 << 1;
pub const DENYOOM: Flags = 1 << 2;
pub const ADMIN: Flags = 1 << 3;
pub const PUBSUB: Flags = 1 << 4;
pub const FAST: Flags = 1 << 5;
pub const BLOCKING: Flags = 1 << 6;
/// May run while the server loads its data set.
pub const LOADING: Flags = 1 << 7;
/// May run on a replica whose link to the master is down.
pub const STALE: Flags = 1 << 8;
pub const NO_MULTI: Flags = 1 << 9;
/// May run before AUTH.
pub const NO_AUTH: Flags = 1 << 10;
/// For sentinels and operators only; never for the default user off loopback.
pub const SUPERVISOR: Flags = 1 << 11;

/// A read that may leave a change behind (PFCOUNT keeps its count), so a pause of writes holds it too.
pub const MAY_REPLICATE: Flags = 1 << 12;

/// Cannot be called from a script.
pub const NO_SCRIPT: Flags = 1 << 13;
/// Is answered while a script stands in the way of everything else.
pub const ALLOW_BUSY: Flags = 1 << 14;

pub const FLAG_NAMES: &[(Flags, &str)] = &[
    (WRITE, "write"),
    (READONLY, "readonly"),
    (DENYOOM, "denyoom"),
    (ADMIN, "admin"),
    (PUBSUB, "pubsub"),
    (FAST, "fast"),
    (BLOCKING, "blocking"),
    (LOADING, "loading"),
    (STALE, "stale"),
    (NO_MULTI, "no_multi"),
    (NO_AUTH, "no_auth"),
    (MAY_REPLICATE, "may_replicate"),
    (NO_SCRIPT, "noscript"),
    (ALLOW_BUSY, "allow_busy"),
];

#[derive(Clone, Copy, Debug)]
pub struct CommandSpec {
    /// Lower case, as `COMMAND` shows it.
    pub name: &'static str,
    pub arity: Arity,
    pub flags: Flags,
    pub keys: Keys,
    /// One ACL category besides those that follow from flags: `@string`, `@list`, ...
    pub category: &'static str,
    pub summary: &'static str,
}

impl CommandSpec {
    pub const fn has(&self, flag: Flags) -> bool {
        self.flags & flag != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_positions() {
        assert_eq!(KEY_1.positions(3).collect::<Vec<_>>(), [1]);
        assert_eq!(KEYS_ALL.positions(4).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(KEYS_PAIRS.positions(5).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(NO_KEYS.positions(5).count(), 0);
    }
}
