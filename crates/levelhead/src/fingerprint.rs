//! Which texts a guard was made from, in five bytes each at most, so that it is never measured on them.
//!
//! A fingerprint is the start of a hash of the normalized text: a text that trained is always recognised, another one is
//! taken for it with a chance of n / 2^40. No text can be read from it; whether a text that is at hand trained can be.

use crate::normalize::Normalized;

/// Bits of a fingerprint.
const BITS: u32 = 40;

/// A set of fingerprints.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fingerprints {
    sorted: Vec<u64>,
}

impl Fingerprints {
    /// The fingerprint of a text.
    pub fn of(text: &Normalized) -> u64 {
        let hash = blake3::hash(text.as_str().trim().as_bytes());
        u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes")) >> (64 - BITS)
    }

    /// Adds fingerprints.
    pub fn extend(&mut self, fingerprints: impl IntoIterator<Item = u64>) {
        self.sorted.extend(fingerprints);
        self.sorted.sort_unstable();
        self.sorted.dedup();
    }

    /// Whether a text is among those that the guard was made from.
    ///
    /// ```
    /// use levelhead::{fingerprint::Fingerprints, normalize};
    /// let mut seen = Fingerprints::default();
    /// seen.extend([Fingerprints::of(&normalize("Hello there"))]);
    /// assert!(seen.contains(&normalize("HELLO there ")) && !seen.contains(&normalize("Hello")));
    /// ```
    pub fn contains(&self, text: &Normalized) -> bool {
        self.sorted.binary_search(&Fingerprints::of(text)).is_ok()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// The distances from each to the next, seven bits a byte, lowest first; the last byte of each is below 128.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.sorted.len() * 3);
        let mut last = 0;
        for value in &self.sorted {
            let mut distance = value - last;
            while distance >= 128 {
                bytes.push(distance as u8 | 128);
                distance >>= 7;
            }
            bytes.push(distance as u8);
            last = *value;
        }
        bytes
    }

    /// Reads what [`Fingerprints::to_bytes`] wrote; nothing where that is not what these bytes are.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Fingerprints> {
        let mut sorted = Vec::with_capacity(bytes.len() / 2);
        let (mut last, mut distance, mut shift) = (0u64, 0u64, 0);
        for byte in bytes {
            distance |= u64::from(byte & 127) << shift;
            if byte & 128 != 0 {
                shift += 7;
                if shift >= BITS {
                    return None;
                }
                continue;
            }
            last += distance;
            if last >> BITS != 0 {
                return None;
            }
            sorted.push(last);
            (distance, shift) = (0, 0);
        }
        (shift == 0).then_some(Fingerprints { sorted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_survive_the_round_trip() {
        let mut all = Fingerprints::default();
        all.extend((0..5000u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24));
        all.extend([0, 1, (1 << 40) - 1, 127, 128]);
        assert_eq!(Fingerprints::from_bytes(&all.to_bytes()), Some(all.clone()));
        assert_eq!(Fingerprints::from_bytes(&[]), Some(Fingerprints::default()));
        for bad in [&[128u8][..], &[255, 255, 255, 255, 255, 255, 1], &[255, 255, 255, 255, 255, 31, 1]] {
            assert_eq!(Fingerprints::from_bytes(bad), None, "{bad:?}");
        }
    }
}
