//! Hashing and comparing texts. Most are short, and then a call for each costs more than its work.

use xxhash_rust::xxh3::xxh3_64;

const PRIME_1: u64 = 0x9fb2_1c65_1e98_df25;
const PRIME_2: u64 = 0xc2b2_ae3d_27d4_eb4f;
const PRIME_3: u64 = 0x1656_67b1_9e37_79f9;

/// XXH3 with 64 bits and seed 0; texts of at most 16 bytes inline. The constants are words of XXH3's secret, combined.
#[inline]
pub(crate) fn hash(text: &[u8]) -> u64 {
    let len = text.len();
    match len {
        0 => avalanche_of_xxh64(0x8726_f910_5dc2_1ddc),
        1..=3 => {
            let (first, middle, last) = (u64::from(text[0]), u64::from(text[len / 2]), u64::from(text[len - 1]));
            avalanche_of_xxh64((first << 16 | middle << 24 | last | (len as u64) << 8) ^ 0x8727_5a9b)
        }
        4..=8 => {
            let word = u64::from(word_32(text, len - 4)).wrapping_add(u64::from(word_32(text, 0)) << 32);
            let word = word ^ 0xc73a_b174_c5ec_d5a2;
            let mixed = (word ^ word.rotate_left(49) ^ word.rotate_left(24)).wrapping_mul(PRIME_1);
            let mixed = (mixed ^ (mixed >> 35).wrapping_add(len as u64)).wrapping_mul(PRIME_1);
            mixed ^ (mixed >> 28)
        }
        9..=16 => {
            let (low, high) =
                (word_64(text, 0) ^ 0x6782_737b_ea42_39b9, word_64(text, len - 8) ^ 0xaf56_bc3b_0996_523a);
            let product = u128::from(low) * u128::from(high);
            let sum = (len as u64).wrapping_add(low.swap_bytes()).wrapping_add(high);
            let sum = sum.wrapping_add(product as u64 ^ (product >> 64) as u64);
            let mixed = (sum ^ (sum >> 37)).wrapping_mul(0x1656_6791_9e37_79f9);
            mixed ^ (mixed >> 32)
        }
        _ => xxh3_64(text),
    }
}

#[inline]
fn avalanche_of_xxh64(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 33)).wrapping_mul(PRIME_2);
    let hash = (hash ^ (hash >> 29)).wrapping_mul(PRIME_3);
    hash ^ (hash >> 32)
}

#[inline]
fn word_32(text: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(text[at..at + 4].try_into().expect("four bytes"))
}

#[inline]
fn word_64(text: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(text[at..at + 8].try_into().expect("eight bytes"))
}

/// True when two texts are equal.
#[inline]
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    let len = a.len();
    if len != b.len() {
        return false;
    }
    match len {
        0 => true,
        1..=3 => a[0] == b[0] && a[len / 2] == b[len / 2] && a[len - 1] == b[len - 1],
        4..=8 => word_32(a, 0) == word_32(b, 0) && word_32(a, len - 4) == word_32(b, len - 4),
        9..=16 => word_64(a, 0) == word_64(b, 0) && word_64(a, len - 8) == word_64(b, len - 8),
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_texts_are_hashed_alike() {
        let text: Vec<u8> = (0..300_u32).map(|at| (at * 167 + at / 7) as u8).collect();
        for start in 0..20 {
            for len in 0..200 {
                let part = &text[start..start + len];
                assert_eq!(hash(part), xxh3_64(part), "{len} bytes");
                let mut other = part.to_vec();
                assert!(equal(part, &other));
                if let Some(byte) = other.get_mut(len / 3) {
                    *byte ^= 1;
                    assert!(!equal(part, &other), "{len} bytes");
                }
                assert!(!equal(part, &text[start..=start + len]));
            }
        }
    }
}
