//! SHA-1: names scripts, as Redis does. Never a protection against anybody.

/// The digest of `bytes` in lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    digest(bytes).iter().map(|word| format!("{word:08x}")).collect()
}

/// The digest of `bytes` as it is.
pub fn bytes(bytes: &[u8]) -> [u8; 20] {
    let mut all = [0; 20];
    for (place, word) in all.chunks_exact_mut(4).zip(digest(bytes)) {
        place.copy_from_slice(&word.to_be_bytes());
    }
    all
}

fn digest(bytes: &[u8]) -> [u32; 5] {
    let mut state = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];
    let whole = bytes.chunks_exact(64);
    let mut tail = whole.remainder().to_vec();
    for block in whole {
        mix(&mut state, block);
    }
    tail.push(0x80);
    let zeros = (64 + 56 - tail.len() % 64) % 64;
    tail.resize(tail.len() + zeros, 0);
    tail.extend((bytes.len() as u64 * 8).to_be_bytes());
    for block in tail.chunks_exact(64) {
        mix(&mut state, block);
    }
    state
}

fn mix(state: &mut [u32; 5], block: &[u8]) {
    let mut words = [0u32; 80];
    for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
        *word = bytes.iter().fold(0, |word, &byte| word << 8 | u32::from(byte));
    }
    for at in 16..80 {
        words[at] = (words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16]).rotate_left(1);
    }
    let [mut a, mut b, mut c, mut d, mut e] = *state;
    for (at, &word) in words.iter().enumerate() {
        let (choice, constant) = match at / 20 {
            0 => ((b & c) | (!b & d), 0x5A82_7999),
            1 => (b ^ c ^ d, 0x6ED9_EBA1),
            2 => ((b & c) | (b & d) | (c & d), 0x8F1B_BCDC),
            _ => (b ^ c ^ d, 0xCA62_C1D6u32),
        };
        let next = a.rotate_left(5).wrapping_add(choice).wrapping_add(e).wrapping_add(constant);
        (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next.wrapping_add(word));
    }
    for (sum, part) in state.iter_mut().zip([a, b, c, d, e]) {
        *sum = sum.wrapping_add(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_of_the_standard() {
        assert_eq!(hex(b""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        assert_eq!(hex(b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(hex(b"return 1"), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
        assert_eq!(hex(&[b'a'; 1_000_000]), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    }
}
