//! Who may speak: one password for the default user, compared in constant time, guessed slowly.
//!
//! Promise: a source off loopback guesses slowly ([`Guesses`]).

use super::guesses::Guesses;
use crate::stdx::time::Instant;
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use subtle::ConstantTimeEq;

pub struct Auth {
    /// Only its hash is kept: equal length makes the comparison's time say nothing.
    password: Option<[u8; 32]>,
    guesses: Guesses,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Right,
    Wrong,
    /// Too many wrong guesses from there; not compared.
    Later,
}

impl Auth {
    pub fn new(password: Option<Vec<u8>>) -> Self {
        Auth { password: password.map(|password| hash(&password)), guesses: Guesses::default() }
    }

    pub fn set_password(&mut self, password: Option<&[u8]>) {
        self.password = password.map(hash);
    }

    pub fn is_required(&self) -> bool {
        self.password.is_some()
    }

    /// Looks at a guess from `source` (`None`: from this machine, which is never slowed down, so a
    /// neighbour with a wrong password cannot lock a sentinel out).
    pub fn check(&mut self, now: Instant, source: Option<IpAddr>, user: &[u8], password: &[u8]) -> Answer {
        if !self.guesses.may_try(now, source) {
            return Answer::Later;
        }
        let right = match &self.password {
            None => user == b"default",
            Some(expected) => bool::from(expected.ct_eq(&hash(password))) & (user == b"default"),
        };
        if right {
            return Answer::Right;
        }
        self.guesses.was_wrong(now, source);
        Answer::Wrong
    }
}

fn hash(password: &[u8]) -> [u8; 32] {
    Sha256::digest(password).into()
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Auth(required: {})", self.is_required())
    }
}

#[cfg(test)]
mod tests {
    use super::super::guesses::BURST;
    use super::*;

    #[test]
    fn a_guesser_is_slowed_down_and_others_are_not() {
        let mut auth = Auth::new(Some(b"secret".to_vec()));
        let (thief, other) = ("10.0.0.9".parse().ok(), "10.0.0.8".parse().ok());
        let at = Instant::from_millis;
        for _ in 0..BURST {
            assert_eq!(auth.check(at(0), thief, b"default", b"guess"), Answer::Wrong);
        }
        assert_eq!(auth.check(at(0), thief, b"default", b"secret"), Answer::Later, "not even looked at");
        assert_eq!(auth.check(at(0), other, b"default", b"secret"), Answer::Right);
        assert_eq!(auth.check(at(1000), thief, b"default", b"guess"), Answer::Wrong, "one a second");
        assert_eq!(auth.check(at(1000), thief, b"default", b"secret"), Answer::Later);
        assert_eq!(auth.check(at(2000), thief, b"default", b"secret"), Answer::Right);
        assert_eq!(auth.check(at(2000), other, b"root", b"secret"), Answer::Wrong, "only one user");
    }
}
