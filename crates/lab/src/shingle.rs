//! A text as the set of its shingles, and how much two sets have in common.
//!
//! Texts are compared as the guard sees them: normalized, white space collapsed. It must never look at a label or a source.

use levelhead::Normalized;
use levelhead::normalize::normalize_into;
use rayon::prelude::*;

use crate::progress::Progress;
use crate::random::mix;

/// A text with fewer words is shingled by characters: a changed word would change nearly all of its word 3-grams.
const FEWEST_WORDS: usize = 8;
const WORD_GRAM: usize = 3;
const CHAR_GRAM: usize = 5;
/// Texts that a thread takes at a time.
const CHUNK: usize = 512;

/// Cuts texts into shingles; holds buffers that are reused from text to text.
#[derive(Debug, Default)]
pub(crate) struct Shingler {
    normalized: Normalized,
    units: Vec<u64>,
    set: Vec<u32>,
}

impl Shingler {
    /// The text's shingles as hashes, ascending, each once; never none, as a text shorter than a shingle is one, even "".
    pub(crate) fn shingles(&mut self, text: &str) -> &[u32] {
        normalize_into(text, &mut self.normalized);
        let text = self.normalized.as_str();
        self.units.clear();
        self.units.extend(text.split_whitespace().map(hash_word));
        let mut n = WORD_GRAM;
        if self.units.len() < FEWEST_WORDS || is_unspaced(text) {
            self.units.clear();
            for (i, word) in text.split_whitespace().enumerate() {
                self.units.extend((i > 0).then_some(u64::from(b' ')));
                self.units.extend(word.chars().map(u64::from));
            }
            n = CHAR_GRAM.min(self.units.len()).max(1);
        }
        self.set.clear();
        self.set.extend(self.units.windows(n).map(hash_units));
        if self.set.is_empty() {
            self.set.push(hash_units(&[]));
        }
        self.set.sort_unstable();
        self.set.dedup();
        &self.set
    }
}

/// Whether at least a quarter of the text's characters belong to scripts that put no spaces between words: Chinese, Japanese,
/// Thai, Lao, Khmer, Burmese, Tibetan. A quarter of the characters is about half of the meaning.
fn is_unspaced(text: &str) -> bool {
    if text.is_ascii() {
        return false;
    }
    let mut n = 0;
    let mut n_unspaced = 0;
    for c in text.chars().filter(|c| !c.is_whitespace()) {
        n += 1;
        n_unspaced += usize::from(matches!(c as u32,
            0xe00..=0xfff | 0x1000..=0x109f | 0x1780..=0x17ff | 0x3040..=0x30ff | 0x3400..=0x9fff | 0x2_0000..=0x3_ffff));
    }
    4 * n_unspaced >= n && n > 0
}

fn hash_word(word: &str) -> u64 {
    word.as_bytes().chunks(8).fold(word.len() as u64, |hash, chunk| {
        let mut bytes = [0; 8];
        bytes[..chunk.len()].copy_from_slice(chunk);
        mix(hash.wrapping_mul(MULTIPLIER) ^ u64::from_le_bytes(bytes))
    })
}

/// The golden ratio's multiplier (Knuth, TAOCP 3, section 6.4).
pub(crate) const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// A polynomial of the units, mixed, cut to 32 bits: two texts of a thousand shingles share one by accident once in 4,000 pairs.
fn hash_units(units: &[u64]) -> u32 {
    (mix(units.iter().fold(1, |hash, unit| hash.wrapping_mul(MULTIPLIER).wrapping_add(*unit))) >> 32) as u32
}

/// The Jaccard similarity of two sets of shingles, where it is at least `threshold`: common shingles over all shingles.
pub(crate) fn jaccard_at_least(a: &[u32], b: &[u32], threshold: f64) -> Option<f64> {
    // |a and b| / |a or b| >= t  <=>  |a and b| >= t / (1 + t) * (|a| + |b|): the merge stops where that is out of reach.
    let total = a.len() + b.len();
    let needed = (threshold / (1.0 + threshold) * total as f64 - 1e-6).ceil().max(0.0) as usize;
    let (mut i, mut j, mut common) = (0, 0, 0);
    while i < a.len() && j < b.len() {
        if common + (a.len() - i).min(b.len() - j) < needed {
            return None;
        }
        let (x, y) = (a[i], b[j]);
        common += usize::from(x == y);
        i += usize::from(x <= y);
        j += usize::from(y <= x);
    }
    let similarity = common as f64 / (total - common) as f64;
    (similarity >= threshold).then_some(similarity)
}

/// The shingles of many texts, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Sets {
    shingles: Vec<u32>,
    ends: Vec<usize>,
}

impl Sets {
    /// Cuts every text, on all threads.
    pub(crate) fn new(texts: &[&str], progress: &dyn Progress) -> Sets {
        let parts: Vec<(Vec<u32>, Vec<u32>)> = texts
            .par_chunks(CHUNK)
            .map_init(Shingler::default, |shingler, texts| {
                let mut shingles = Vec::new();
                let lengths = texts.iter().map(|text| {
                    let set = shingler.shingles(text);
                    shingles.extend_from_slice(set);
                    set.len() as u32
                });
                let lengths = lengths.collect();
                shingles.shrink_to_fit();
                progress.advance(texts.len() as u64);
                (shingles, lengths)
            })
            .collect();
        let mut sets = Sets::default();
        sets.shingles.reserve_exact(parts.iter().map(|p| p.0.len()).sum());
        sets.ends.reserve_exact(texts.len());
        for (shingles, lengths) in parts {
            let mut end = sets.shingles.len();
            sets.shingles.extend(shingles);
            sets.ends.extend(lengths.iter().map(|n| {
                end += *n as usize;
                end
            }));
        }
        sets
    }

    /// The shingles of one text.
    pub(crate) fn get(&self, i: u32) -> &[u32] {
        let start = if i == 0 { 0 } else { self.ends[i as usize - 1] };
        &self.shingles[start..self.ends[i as usize]]
    }

    /// Number of texts.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;

    fn n_shingles(text: &str) -> usize {
        Shingler::default().shingles(text).len()
    }

    #[test]
    fn the_kind_of_shingle_follows_the_text() {
        let rows = [
            ("nothing is one", "", 1),
            ("shorter than a shingle", "abcd", 1),
            ("five characters", "abcde", 1),
            ("white space is collapsed", " ab \n cd ", 1),
            ("seven words by characters: 13 - 4", "a b c d e f g", 9),
            ("eight words by 3-grams: 8 - 2", "a b c d e f g h", 6),
            ("each once", "a b c a b c a b c", 3),
            ("Chinese by characters, with and without spaces: 15 - 4", "你 好 吗 我 很 好 谢 谢", 11),
            ("Thai", "สวัสดีครับ", 6),
            ("Korean has spaces", "가 나 다 라 마 바 사 아", 6),
        ];
        for (name, text, expected) in rows {
            assert_eq!(n_shingles(text), expected, "{name}");
        }
    }

    #[test]
    fn similarity_is_common_over_all() {
        let (a, b) = ([1, 2, 3, 4, 5, 6, 7], [1, 3, 4, 5, 6, 7, 8, 9, 10]);
        // 6 common, 10 in all.
        assert_eq!(jaccard_at_least(&a, &b, 0.6), Some(0.6));
        assert_eq!(jaccard_at_least(&b, &a, 0.6), Some(0.6));
        assert_eq!(jaccard_at_least(&a, &b, 0.61), None);
        assert_eq!(jaccard_at_least(&a, &a, 1.0), Some(1.0));
        // 7 of 10 is at the threshold of 0.7, rounding or not.
        assert_eq!(jaccard_at_least(&[1, 2, 3, 4, 5, 6, 7], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 0.7), Some(0.7));
    }

    #[test]
    fn many_texts_are_cut_as_each_alone() {
        let texts: Vec<String> = (0..1_200).map(|i| format!("text number {i} of a few in {} words", i % 7)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let sets = Sets::new(&texts, &Silent);
        assert_eq!(sets.len(), 1_200);
        for i in [0, 511, 512, 1_199] {
            assert_eq!(sets.get(i), Shingler::default().shingles(texts[i as usize]));
        }
    }
}
