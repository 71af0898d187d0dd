//! Passwords that operators set at run time, sealed before they are agreed on.
//!
//! What the fleet agrees on lies in every log and snapshot, so a password enters it only under a key
//! that is made of the cluster secret, which every sentinel has and no log holds. Sealed without
//! chance: the mark of a password is made of what it says and for whom, so the same one set again is
//! the same text, and agreeing on it twice changes nothing. Anything else than what was sealed here
//! does not open. Has never heard of files.

use crate::config::Secret;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// What stands before a sealed text.
pub const MARK: &str = "sealed:";
const TAG: usize = 16;
/// The longest password.
pub const BYTES_MAX: usize = 512;

pub struct Vault {
    tagging: [u8; 32],
    hiding: [u8; 32],
}

impl Vault {
    pub fn new(cluster_secret: &Secret) -> Self {
        let secret = cluster_secret.expose().trim().as_bytes();
        Vault {
            tagging: prf(secret, &[b"vedette vault: tag"]),
            hiding: prf(secret, &[b"vedette vault: hide"]),
        }
    }

    /// `group` is bound in: a sealed text moved to another group does not open.
    pub fn seal(&self, group: &str, text: &str) -> String {
        let tag = self.tag(group, text.as_bytes());
        let mut bytes = tag.to_vec();
        bytes.extend(self.hide(&tag, text.as_bytes()));
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{MARK}{hex}")
    }

    /// `None`: sealed under another secret or for another group, or damaged.
    pub fn open(&self, group: &str, sealed: &str) -> Option<String> {
        let bytes = unhex(sealed.strip_prefix(MARK)?)?;
        let (tag, hidden) = bytes.split_at_checked(TAG)?;
        let text = self.hide(tag, hidden);
        bool::from(self.tag(group, &text).ct_eq(tag)).then(|| String::from_utf8(text).ok())?
    }

    fn tag(&self, group: &str, text: &[u8]) -> [u8; TAG] {
        let length = (group.len() as u64).to_le_bytes();
        let whole = prf(&self.tagging, &[&length, group.as_bytes(), text]);
        let mut tag = [0; TAG];
        tag.copy_from_slice(&whole[..TAG]);
        tag
    }

    /// There and back: the text with a stream of bytes that only key and tag decide.
    fn hide(&self, tag: &[u8], text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len());
        for (count, piece) in text.chunks(32).enumerate() {
            let stream = prf(&self.hiding, &[tag, &(count as u64).to_le_bytes()]);
            out.extend(piece.iter().zip(stream).map(|(byte, mask)| byte ^ mask));
        }
        out
    }
}

/// Whether a text has the form of a sealed one; what it holds cannot be told without the key.
pub fn is_sealed(text: &str) -> bool {
    let bytes = text.strip_prefix(MARK).and_then(unhex);
    bytes.is_some_and(|bytes| (TAG..=TAG + BYTES_MAX).contains(&bytes.len()))
}

fn prf(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes keys of any length; the error type has no case.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    if !bytes.len().is_multiple_of(2) || bytes.len() > 2 * (TAG + BYTES_MAX) || !text.is_ascii() {
        return None;
    }
    (0..bytes.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

// Keys are inside.
impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_the_same_secret_for_the_same_group_only() {
        let vault = |secret: &str| Vault::new(&Secret::new(secret.to_owned()));
        let ours = vault("0123456789abcdef0123");
        let long = "x".repeat(BYTES_MAX);
        for password in ["", "s3cret", "schlüssel mit ümlaut", &long] {
            let sealed = ours.seal("mymaster", password);
            assert!(is_sealed(&sealed));
            assert!(password.is_empty() || !sealed.contains(password));
            assert_eq!(ours.open("mymaster", &sealed).as_deref(), Some(password));
            assert_eq!(sealed, ours.seal("mymaster", password), "agreeing on it twice changes nothing");
            assert_eq!(ours.open("other", &sealed), None);
            assert_eq!(vault("another secret of ours").open("mymaster", &sealed), None);
            let mut damaged = sealed.clone().into_bytes();
            let last = damaged.len() - 1;
            damaged[last] = if damaged[last] == b'0' { b'1' } else { b'0' };
            assert_eq!(ours.open("mymaster", &String::from_utf8(damaged).unwrap()), None);
        }
        for not in ["s3cret", "sealed:", "sealed:zz", "sealed:00"] {
            assert!(!is_sealed(not) && ours.open("m", not).is_none(), "{not}");
        }
        assert!(!format!("{ours:?}").contains("012345"));
    }
}
