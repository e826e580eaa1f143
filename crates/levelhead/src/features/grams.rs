//! Where n-grams begin and end, and the buckets they are hashed into.

use std::ops::Range;

use super::scan::{Characters, LONGEST_GRAM, PADDING, SPACE, Token};
use super::{FeatureSpec, REACH, WORD_SEED};
use crate::hash::step;

/// Words that an n-gram may hold behind its first.
pub(super) const N_BEHIND: usize = REACH;
/// What stands behind the last word: no n-gram reaches it.
pub(super) const NO_TOKEN: Token = Token { hash: 0, stem: 0, range: (0, 0), segment: u32::MAX, letters: 0 };

const SKIP_SEED: u64 = 0x2545_f491_4f6c_dd1d;
const CHAR_SEED: u64 = 0x51_7c_c1_b7_27_22_0a_95;

impl FeatureSpec {
    /// Calls `f` for each place of a segment's characters: whether an n-gram begins there, its bucket and its place.
    #[inline(always)]
    pub(super) fn visit_chars(&self, characters: &Characters, f: impl FnMut(bool, u32, Range<usize>)) {
        let shift = 64 - self.char_bits;
        // The compiler unrolls the loop over the usual length.
        match self.char_n {
            4 => visit_chars::<4>(4, shift, &characters.codes, f),
            n => visit_chars::<LONGEST_GRAM>(n, shift, &characters.codes, f),
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

/// See [`FeatureSpec::visit_chars`]; `n` is at most `MOST`, whatever the settings are.
#[inline(always)]
fn visit_chars<const MOST: usize>(n: usize, shift: u32, codes: &[u32], mut f: impl FnMut(bool, u32, Range<usize>)) {
    for (i, near) in codes.windows(LONGEST_GRAM).enumerate() {
        let near: &[u32; LONGEST_GRAM] = near.try_into().expect("windows have one length");
        let mut hash = CHAR_SEED;
        // An n-gram counts if no chunk ends inside it.
        let mut is_whole = true;
        let (mut counts, mut bucket, mut len) = (false, 0, 0);
        for at in 0..MOST {
            let last = near[at];
            hash = step(hash, u64::from(last));
            is_whole &= at < 2 || near[at - 1] != SPACE;
            // A chunk shorter than an n-gram still counts once, whole.
            let is_chunk = at >= 2 && (near[0] == SPACE) & (last == SPACE);
            let ends = is_whole & ((at + 1 == n) | ((at + 1 < n) & is_chunk)) & (last != PADDING);
            // A choice of values, not a branch, which would be guessed wrong.
            (bucket, len) = if ends { ((hash >> shift) as u32, at + 1) } else { (bucket, len) };
            counts |= ends;
        }
        f(counts, bucket, i..i + len);
    }
}
