//! Stage 4: hashed n-grams, the classifier's view of a text.
//!
//! Two families share one index space: character n-grams inside word boundaries (buckets from 0), then word n-grams and pairs
//! of words that stand up to [`REACH`] words apart, whatever is between them ("ignore .. instructions").
//! A feature is present or absent; how often it stands in the text does not count, so repetition carries no weight.
//! Word features are scaled to unit Euclidean length, character features to half of that: they know spellings and endings,
//! but they also see an attack in any text with an attack's words, and weigh less for it. Hashing follows Weinberger et al. (2009), without signs.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::normalize::Normalized;
use crate::passage::Passage;

/// Which n-grams are taken and how many buckets they are hashed into.
///
/// | name | default | purpose | range |
/// |---|---|---|---|
/// | `char_min`, `char_max` | 3, 5 | lengths of character n-grams | 1 to 8 |
/// | `char_bits` | 20 | log2 of the buckets of character n-grams | 8 to 24 |
/// | `word_max` | 3 | longest word n-gram | 1 to 5 |
/// | `word_bits` | 20 | log2 of the buckets of word n-grams | 8 to 24 |
/// | `window` | 800 | length in bytes of a window of a long text; 0 judges the whole only | 0, 64 up |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureSpec {
    /// Shortest character n-gram.
    pub char_min: usize,
    /// Longest character n-gram.
    pub char_max: usize,
    /// log2 of the number of character buckets.
    pub char_bits: u32,
    /// Longest word n-gram.
    pub word_max: usize,
    /// log2 of the number of word buckets.
    pub word_bits: u32,
    /// Length in bytes of a window of a long text.
    pub window: usize,
}

impl Default for FeatureSpec {
    fn default() -> Self {
        FeatureSpec { char_min: 3, char_max: 5, char_bits: 20, word_max: 3, word_bits: 20, window: 800 }
    }
}

/// The distinct buckets of one text: character buckets first, then word buckets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Features {
    /// Bucket indices, each once.
    pub indices: Vec<u32>,
    /// How many of them belong to character n-grams.
    pub n_chars: usize,
}

impl Features {
    /// The value that every feature of a family has: over the square root of their number, half for characters, one for words.
    pub fn values(&self) -> (f32, f32) {
        let unit = |n: usize| if n == 0 { 0.0 } else { 1.0 / (n as f32).sqrt() };
        (CHAR_LENGTH * unit(self.n_chars), unit(self.indices.len() - self.n_chars))
    }
}

/// Buffers for extraction, reused from text to text.
#[derive(Debug, Default)]
pub struct Extractor {
    buffers: Buffers,
    seen: Vec<u64>,
    features: Features,
}

#[derive(Debug, Default)]
struct Buffers {
    tokens: Vec<Token>,
    chars: Vec<(u32, u32)>,
}

#[derive(Debug, Clone, Copy)]
struct Token {
    hash: u64,
    start: u32,
    end: u32,
}

impl FeatureSpec {
    /// Buckets of both families together.
    pub fn n_buckets(&self) -> usize {
        (1 << self.char_bits) + (1 << self.word_bits)
    }

    /// Whether every setting is in its range.
    pub fn is_valid(&self) -> bool {
        (1..=8).contains(&self.char_min)
            && (self.char_min..=8).contains(&self.char_max)
            && (1..=5).contains(&self.word_max)
            && (8..=24).contains(&self.char_bits)
            && (8..=24).contains(&self.word_bits)
            && (self.window == 0 || self.window >= 64)
    }

    /// The features of a text.
    ///
    /// ```
    /// use levelhead::features::{Extractor, FeatureSpec};
    /// let mut extractor = Extractor::default();
    /// let features = FeatureSpec::default().extract((&levelhead::normalize("abc abc")).into(), &mut extractor);
    /// assert_eq!(features.n_chars, 6); // " ab" "abc" "bc " " abc" "abc " " abc "
    /// assert_eq!(features.indices.len() - features.n_chars, 2); // "abc", "abc abc"
    /// ```
    pub fn extract<'a>(&self, passage: Passage<'_>, extractor: &'a mut Extractor) -> &'a Features {
        let Extractor { buffers, seen, features } = extractor;
        seen.resize(self.n_buckets().div_ceil(64), 0);
        features.indices.clear();
        let indices = &mut features.indices;
        self.visit_chars(passage.as_str(), buffers, |bucket, _| insert(seen, indices, bucket));
        features.n_chars = indices.len();
        self.visit_words(passage.as_str(), buffers, |bucket, _| insert(seen, indices, bucket));
        for bucket in indices.iter() {
            seen[*bucket as usize >> 6] = 0;
        }
        features
    }

    /// Calls `f` with the bucket and the byte range of every n-gram of the text, repeats included.
    pub fn visit(&self, passage: Passage<'_>, extractor: &mut Extractor, mut f: impl FnMut(u32, Range<usize>)) {
        self.visit_chars(passage.as_str(), &mut extractor.buffers, &mut f);
        self.visit_words(passage.as_str(), &mut extractor.buffers, &mut f);
    }

    fn visit_chars(&self, text: &str, buffers: &mut Buffers, mut f: impl FnMut(u32, Range<usize>)) {
        let shift = 64 - self.char_bits;
        let chars = &mut buffers.chars;
        let mut start = 0;
        while let Some((from, to)) = next_chunk(text, start) {
            start = to;
            chars.clear();
            chars.push((u32::from(b' '), from as u32));
            chars.extend(text[from..to].char_indices().map(|(i, c)| (c as u32, (from + i) as u32)));
            chars.push((u32::from(b' '), to as u32));
            let end_of = |i: usize| chars.get(i).map_or(to, |c| c.1 as usize);
            for i in 0..chars.len() {
                let mut hash = CHAR_SEED;
                for n in 1..=self.char_max {
                    let Some(c) = chars.get(i + n - 1) else {
                        // A chunk shorter than the shortest n-gram still counts once, whole.
                        if i == 0 && n <= self.char_min {
                            f((hash >> shift) as u32, from..to);
                        }
                        break;
                    };
                    hash = step(hash, u64::from(c.0));
                    if n >= self.char_min {
                        f((hash >> shift) as u32, chars[i].1 as usize..end_of(i + n));
                    }
                }
            }
        }
    }

    fn visit_words(&self, text: &str, buffers: &mut Buffers, mut f: impl FnMut(u32, Range<usize>)) {
        let (shift, base) = (64 - self.word_bits, 1u32 << self.char_bits);
        tokenize(text, &mut buffers.tokens);
        let tokens = &buffers.tokens;
        for i in 0..tokens.len() {
            let mut hash = WORD_SEED;
            for token in tokens.iter().skip(i).take(self.word_max) {
                hash = step(hash, token.hash);
                f(base + (hash >> shift) as u32, tokens[i].start as usize..token.end as usize);
            }
            for gap in 2..=REACH {
                if let Some(token) = tokens.get(i + gap) {
                    let hash = step(step(SKIP_SEED, tokens[i].hash), token.hash);
                    f(base + (hash >> shift) as u32, tokens[i].start as usize..token.end as usize);
                }
            }
        }
    }
}

/// Adds a bucket that was not seen yet.
#[inline(always)]
fn insert(seen: &mut [u64], indices: &mut Vec<u32>, bucket: u32) {
    let (word, bit) = (&mut seen[bucket as usize >> 6], 1u64 << (bucket & 63));
    if *word & bit == 0 {
        *word |= bit;
        indices.push(bucket);
    }
}

/// The byte ranges of the words and punctuation marks of a normalized text, as the word n-grams see them.
pub fn words(text: &Normalized) -> Vec<Range<usize>> {
    let mut tokens = Vec::new();
    tokenize(text.as_str(), &mut tokens);
    tokens.iter().map(|t| t.start as usize..t.end as usize).collect()
}

/// Euclidean length of the character features, where that of the word features is 1.
const CHAR_LENGTH: f32 = 0.5;

/// How many words apart the two words of a pair may stand. Adjacent ones are a word n-gram already.
pub const REACH: usize = 4;

const SKIP_SEED: u64 = 0x2545_f491_4f6c_dd1d;
const CHAR_SEED: u64 = 0x51_7c_c1_b7_27_22_0a_95;
const WORD_SEED: u64 = 0x9e_37_79_b9_7f_4a_7c_15;

/// One step of the FxHash of rustc; the upper bits are the well-mixed ones.
#[inline(always)]
fn step(hash: u64, value: u64) -> u64 {
    (hash.rotate_left(5) ^ value).wrapping_mul(0x51_7c_c1_b7_27_22_0a_95)
}

/// The next run of characters that are not white space, from `start` on.
fn next_chunk(text: &str, start: usize) -> Option<(usize, usize)> {
    let rest = &text[start..];
    let from = start + rest.find(|c: char| !c.is_whitespace())?;
    let to = text[from..].find(char::is_whitespace).map_or(text.len(), |i| from + i);
    Some((from, to))
}

fn tokenize(text: &str, tokens: &mut Vec<Token>) {
    tokens.clear();
    let mut open = false;
    for (i, c) in text.char_indices() {
        let kind = kind(c);
        let end = (i + c.len_utf8()) as u32;
        match (kind, tokens.last_mut()) {
            (Kind::Letter, Some(token)) if open => {
                token.hash = step(token.hash, u64::from(c as u32));
                token.end = end;
            }
            (Kind::Space, _) => {}
            _ => tokens.push(Token { hash: step(WORD_SEED, u64::from(c as u32)), start: i as u32, end }),
        }
        open = kind == Kind::Letter;
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Space,
    /// Joins its neighbors to a word.
    Letter,
    /// Stands alone: punctuation, symbols, and scripts that are written without spaces.
    Single,
}

fn kind(c: char) -> Kind {
    if c.is_ascii_alphanumeric() || c == '_' {
        return Kind::Letter;
    }
    if c.is_ascii() {
        return if c.is_ascii_whitespace() || c.is_ascii_control() { Kind::Space } else { Kind::Single };
    }
    match c as u32 {
        // Dandas end a sentence in the Indic scripts; their vowel signs and viramas belong to the word.
        0x964 | 0x965 => Kind::Single,
        0x900..=0xdff => Kind::Letter,
        // Thai, Lao, Khmer, Myanmar, kana, Han.
        0xe00..=0xeff | 0x1000..=0x109f | 0x1780..=0x17ff => Kind::Single,
        0x3040..=0x30ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0x20000..=0x3ffff => Kind::Single,
        _ if c.is_whitespace() => Kind::Space,
        _ if c.is_alphanumeric() => Kind::Letter,
        _ => Kind::Single,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::normalize;

    fn tokens(text: &str) -> Vec<String> {
        let text = normalize(text);
        words(&text).into_iter().map(|r| text.as_str()[r].to_string()).collect()
    }

    #[test]
    fn words_are_cut_as_each_script_writes_them() {
        let rows: [(&str, &[&str]); 6] = [
            ("Don't stop_it!", &["don", "'", "t", "stop_it", "!"]),
            ("", &[]),
            ("  \t\n", &[]),
            ("你好 ab", &["你", "好", "ab"]),
            ("नमस्ते दुनिया।", &["नमस्ते", "दुनिया", "।"]),
            ("über-cool", &["über", "-", "cool"]),
        ];
        for (text, expected) in rows {
            assert_eq!(tokens(text), expected, "{text:?}");
        }
    }

    #[test]
    fn repetition_adds_no_feature_but_its_seam() {
        let spec = FeatureSpec::default();
        let mut extractor = Extractor::default();
        let thrice = spec.extract((&normalize("stop now stop now stop now")).into(), &mut extractor).clone();
        let often = spec.extract((&normalize(&"stop now ".repeat(50))).into(), &mut extractor).clone();
        assert_eq!(thrice.n_chars, often.n_chars);
        // stop, now, "stop now", "now stop", both three-word windows, and the four pairs of words apart.
        assert_eq!((thrice.indices.len() - thrice.n_chars, often.indices.len() - often.n_chars), (10, 10));
    }

    #[test]
    fn a_text_has_the_same_features_whatever_was_extracted_before() {
        let spec = FeatureSpec::default();
        let mut used = Extractor::default();
        for text in ["a long first text, with words", "zwei", ""] {
            spec.extract((&normalize(text)).into(), &mut used);
        }
        let text = normalize("x: the very same prompt, 数字 12");
        assert_eq!(spec.extract((&text).into(), &mut used), spec.extract((&text).into(), &mut Extractor::default()));
    }

    #[test]
    fn each_n_gram_knows_where_it_stands() {
        let text = normalize("né ab");
        let mut seen = Vec::new();
        FeatureSpec::default().visit((&text).into(), &mut Extractor::default(), |bucket, range| {
            assert!((bucket as usize) < FeatureSpec::default().n_buckets());
            seen.push(text.as_str()[range].to_string());
        });
        for expected in ["né", "ab", "né ab"] {
            assert!(seen.iter().any(|s| s == expected), "{expected:?} in {seen:?}");
        }
    }

    #[test]
    fn a_word_shorter_than_the_shortest_n_gram_still_counts() {
        let spec = FeatureSpec { char_min: 5, ..FeatureSpec::default() };
        assert_eq!(spec.extract((&normalize("a")).into(), &mut Extractor::default()).n_chars, 1);
    }
}
