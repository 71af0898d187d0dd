//! Who may speak: users and their passwords, compared in constant time, guessed slowly
//! ([`Guesses`]). `requirepass` is the password of the default user.

use super::acl::Acl;
use super::guesses::Guesses;
use crate::stdx::time::Instant;
use std::net::IpAddr;

#[derive(Default)]
pub struct Auth {
    pub acl: Acl,
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
        let mut auth = Auth::default();
        if password.is_some() {
            auth.set_password(password.as_deref());
        }
        auth
    }

    pub fn set_password(&mut self, password: Option<&[u8]>) {
        self.acl.set_default_password(password);
    }

    /// Whether one who has said nothing yet may do nothing yet.
    pub fn is_required(&self) -> bool {
        self.acl.default_needs_password()
    }

    /// Looks at a guess from `source` (`None`: from this machine, which is never slowed down, so a
    /// neighbour with a wrong password cannot lock a sentinel out).
    pub fn check(&mut self, now: Instant, source: Option<IpAddr>, user: &[u8], password: &[u8]) -> Answer {
        if !self.guesses.may_try(now, source) {
            return Answer::Later;
        }
        let known = std::str::from_utf8(user).ok().and_then(|name| self.acl.user(name));
        // A name that nobody has takes as long as a wrong password.
        let right = match known {
            Some(user) => user.accepts(password),
            None => {
                std::hint::black_box(super::acl::User::new("").accepts(password));
                false
            }
        };
        if right {
            return Answer::Right;
        }
        self.guesses.was_wrong(now, source);
        Answer::Wrong
    }
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
        assert_eq!(auth.check(at(2000), other, b"root", b"secret"), Answer::Wrong, "nobody is called so");
    }
}
