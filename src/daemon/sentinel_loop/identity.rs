//! How clients know a sentinel: forty hex digits that belong to its data directory, so that they are the
//! same after a restart. (Peers also know each life by a number of its own.)

use sha2::{Digest, Sha256};
use std::fmt::Write;

const DIGITS: usize = 40;

pub(super) fn my_id(uuid: &str) -> String {
    let digest = Sha256::new().chain_update(b"vedette sentinel ").chain_update(uuid.as_bytes()).finalize();
    let mut text = String::with_capacity(2 * digest.len());
    for byte in digest {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.truncate(DIGITS);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_stable_and_of_forty_hex_digits() {
        let id = my_id("0123");
        assert_eq!(id, my_id("0123"));
        assert_ne!(id, my_id("0124"));
        assert!(id.len() == 40 && id.bytes().all(|b| b.is_ascii_hexdigit()));
    }
}
