//! Where n-grams begin and end, and the buckets they are hashed into.

use std::ops::Range;

use super::scan::{Characters, LONGEST_GRAM, PADDING, SPACE, Token};
use super::{FeatureSpec, REACH, WORD_SEED};
use crate::hash::step;

/// Words that an n-gram may hold behind its first.
pub(super) const N_BEHIND: usize = REACH;
/// What stands behind the last word: no n-gram reaches it.
pub(super) const NO_TOKEN: Token = Token { hash: 0, range: (0, 0), segment: u32::MAX };

const SKIP_SEED: u64 = 0x2545_f491_4f6c_dd1d;
const CHAR_SEED: u64 = 0x51_7c_c1_b7_27_22_0a_95;

impl FeatureSpec {
    /// Calls `f` with each n-gram of a segment's characters that could be: whether it is one, its bucket and its place.
    #[inline(always)]
    pub(super) fn visit_chars(&self, characters: &Characters, f: impl FnMut(bool, u32, Range<usize>)) {
        let shift = 64 - self.char_bits;
        // The compiler unrolls the loop over the usual lengths.
        match (self.char_min, self.char_max) {
            (3, 5) => visit_chars::<3, 5>(3, 5, shift, &characters.codes, f),
            (min, max) => visit_chars::<1, LONGEST_GRAM>(min, max, shift, &characters.codes, f),
        }
    }

    /// Calls `f` with each n-gram that begins at one of some words and could be: whether it is one, its bucket, how many
    /// segments it reaches on, and its place.
    #[inline(always)]
    pub(super) fn visit_words(&self, tokens: &[Token], firsts: Range<usize>, mut f: impl FnMut(bool, u32, u32, Range<usize>)) {
        let shift = 64 - self.word_bits;
        let base = 1u32 << self.char_bits;
        for i in firsts {
            let near: &[Token; N_BEHIND + 1] = tokens[i..].first_chunk().expect("words are followed by N_BEHIND others");
            let mut add = |hash: u64, last: usize| {
                // What reaches over a whole segment belongs to no run of two; it is left out.
                let reach = near[last].segment - near[0].segment;
                f(reach <= 1, base + (hash >> shift) as u32, reach, i..i + last + 1);
            };
            let mut hash = WORD_SEED;
            for (last, token) in near.iter().enumerate().take(self.word_max) {
                hash = step(hash, token.hash);
                add(hash, last);
            }
            let skip = step(SKIP_SEED, near[0].hash);
            for (last, token) in near.iter().enumerate().skip(2) {
                add(step(skip, token.hash), last);
            }
        }
    }
}

/// See [`FeatureSpec::visit_chars`]; n-grams have at least `MIN` and at most `MAX` characters, whatever the settings are.
#[inline(always)]
fn visit_chars<const MIN: usize, const MAX: usize>(
    min: usize,
    max: usize,
    shift: u32,
    codes: &[u32],
    mut f: impl FnMut(bool, u32, Range<usize>),
) {
    for (i, near) in codes.windows(LONGEST_GRAM).enumerate() {
        let near: &[u32; LONGEST_GRAM] = near.try_into().expect("windows have one length");
        // An n-gram counts if no chunk ends inside it.
        let mut is_whole = true;
        let mut hash = CHAR_SEED;
        for at in 0..MAX {
            let (n, last) = (at + 1, near[at]);
            hash = step(hash, u64::from(last));
            is_whole &= n <= 2 || near[at - 1] != SPACE;
            // A chunk shorter than the shortest n-gram still counts once, whole.
            let is_chunk = n > 2 && near[0] == SPACE && last == SPACE;
            let fits = (n >= min || is_chunk) & (n <= max);
            if n >= MIN {
                f(is_whole & fits & (last != PADDING), (hash >> shift) as u32, i..i + n);
            }
        }
    }
}
