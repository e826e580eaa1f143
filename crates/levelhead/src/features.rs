//! Stage 4: hashed n-grams, the classifier's view of a text.
//!
//! Two families share one index space: character n-grams inside word boundaries (buckets from 0), then word n-grams and pairs
//! of words that stand up to [`REACH`] words apart, whatever is between them ("ignore .. instructions").
//! Hashing follows Weinberger et al. (2009), without signs.
//!
//! A text is cut into segments, about a sentence each. Every n-gram has a slot: segment k has slot 2k, and what reaches from
//! segment k into the next has slot 2k + 1. So any run of segments is a run of slots, and a text is hashed once, however many
//! of its passages are judged.

mod seen;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::hash::step;
use crate::passage::{LONGEST, Text, segments};

/// Which n-grams are taken and how many buckets they are hashed into.
///
/// | name | default | purpose | range |
/// |---|---|---|---|
/// | `char_min`, `char_max` | 3, 5 | lengths of character n-grams | 1 to 8 |
/// | `char_bits` | 20 | log2 of the buckets of character n-grams | 8 to 24 |
/// | `word_max` | 3 | longest word n-gram | 1 to 5 |
/// | `word_bits` | 20 | log2 of the buckets of word n-grams | 8 to 24 |
/// | `parts` | true | whether parts of a text are judged, beside the whole | |
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
    /// Whether parts of a text are judged, beside the whole.
    pub parts: bool,
}

impl Default for FeatureSpec {
    fn default() -> Self {
        FeatureSpec { char_min: 3, char_max: 5, char_bits: 20, word_max: 3, word_bits: 20, parts: true }
    }
}

/// An n-gram of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gram {
    /// Where its weight stands; buckets of words follow all buckets of characters.
    pub bucket: u32,
    /// Twice its segment, and one more where it reaches into the next.
    pub slot: u32,
    /// Where it stands in the text, in bytes.
    pub range: Range<u32>,
}

/// An n-gram at its first occurrence in a slot. Presence is what counts: repetition carries no weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feature {
    /// Where its weight stands.
    pub bucket: u32,
    /// Its slot.
    pub slot: u32,
    /// Whether no earlier slot of the chapter has it.
    pub is_new: bool,
}

/// Segments whose repeats are known to one another. Beyond it a text is too long for a bag of words to say something of the
/// whole, and the memory for what was seen stays small.
pub const CHAPTER: usize = 32;

/// Buffers for extraction, reused from text to text.
#[derive(Debug, Default)]
pub struct Extractor {
    starts: Vec<u32>,
    tokens: Vec<Token>,
    chars: Vec<(u32, u32)>,
    seen: seen::Seen,
}

#[derive(Debug, Clone, Copy)]
struct Token {
    hash: u64,
    range: (u32, u32),
    segment: u32,
}

impl FeatureSpec {
    /// Buckets of both families together.
    pub fn n_buckets(&self) -> usize {
        (1 << self.char_bits) + (1 << self.word_bits)
    }

    /// Whether a bucket belongs to a character n-gram.
    #[inline(always)]
    pub fn is_char(&self, bucket: u32) -> bool {
        bucket < 1 << self.char_bits
    }

    /// Whether every setting is in its range.
    pub fn is_valid(&self) -> bool {
        (1..=8).contains(&self.char_min)
            && (self.char_min..=8).contains(&self.char_max)
            && (1..=5).contains(&self.word_max)
            && (8..=24).contains(&self.char_bits)
            && (8..=24).contains(&self.word_bits)
    }

    /// Calls `f` with each feature of a text; gives the number of its segments.
    ///
    /// ```
    /// use levelhead::features::{Extractor, FeatureSpec};
    /// let (spec, text) = (FeatureSpec::default(), levelhead::normalize("abc abc"));
    /// let mut n = [0, 0];
    /// spec.extract((&text).into(), &mut Extractor::default(), |f| n[usize::from(spec.is_char(f.bucket))] += 1);
    /// assert_eq!(n[1], 6); // " ab" "abc" "bc " " abc" "abc " " abc "
    /// assert_eq!(n[0], 2); // "abc", "abc abc"
    /// ```
    #[inline]
    pub fn extract(&self, text: Text<'_>, extractor: &mut Extractor, mut f: impl FnMut(Feature)) -> usize {
        let mut seen = std::mem::take(&mut extractor.seen);
        // Words and characters are counted apart: the chapters of one are over before the other begins.
        let mut chapter = (false, usize::MAX);
        let n_segments = self.visit(text, extractor, |gram| {
            let now = (self.is_char(gram.bucket), gram.slot as usize / (2 * CHAPTER));
            if chapter != now {
                chapter = now;
                // At most eight n-grams of a family begin at a byte (see `is_valid`), and a segment is a little over its limit at most.
                seen.clear(8 * text.as_str().len().min(CHAPTER * (LONGEST + 64)));
            }
            if let Some(is_new) = seen.insert(gram.bucket, gram.slot) {
                f(Feature { bucket: gram.bucket, slot: gram.slot, is_new });
            }
        });
        extractor.seen = seen;
        n_segments
    }

    /// Calls `f` with every n-gram of a text, repeats included, characters first; gives the number of its segments.
    #[inline]
    pub fn visit(&self, text: Text<'_>, extractor: &mut Extractor, mut f: impl FnMut(Gram)) -> usize {
        let Extractor { starts, tokens, chars, .. } = extractor;
        segments(text.as_str(), starts);
        tokens.clear();
        for (segment, &start) in starts.iter().enumerate() {
            let end = starts.get(segment + 1).copied().unwrap_or(text.as_str().len() as u32);
            let piece = &text.as_str()[start as usize..end as usize];
            tokenize(piece, start, segment as u32, tokens);
            self.visit_chars(piece, start, 2 * segment as u32, chars, &mut f);
        }
        self.visit_words(tokens, f);
        starts.len()
    }

    fn visit_chars(&self, piece: &str, offset: u32, slot: u32, chars: &mut Vec<(u32, u32)>, f: &mut impl FnMut(Gram)) {
        let shift = 64 - self.char_bits;
        let mut start = 0;
        while let Some((from, to)) = next_chunk(piece, start) {
            start = to;
            let at = |i: usize| offset + i as u32;
            chars.clear();
            chars.push((u32::from(b' '), at(from)));
            let chunk = &piece[from..to];
            if chunk.is_ascii() {
                chars.extend(chunk.bytes().enumerate().map(|(i, b)| (u32::from(b), at(from + i))));
            } else {
                chars.extend(chunk.char_indices().map(|(i, c)| (c as u32, at(from + i))));
            }
            chars.push((u32::from(b' '), at(to)));
            for i in 0..chars.len() {
                let mut hash = CHAR_SEED;
                for n in 1..=self.char_max {
                    let Some(c) = chars.get(i + n - 1) else {
                        // A chunk shorter than the shortest n-gram still counts once, whole.
                        if i == 0 && n <= self.char_min {
                            f(Gram { bucket: (hash >> shift) as u32, slot, range: at(from)..at(to) });
                        }
                        break;
                    };
                    hash = step(hash, u64::from(c.0));
                    if n >= self.char_min {
                        let end = chars.get(i + n).map_or(at(to), |c| c.1);
                        f(Gram { bucket: (hash >> shift) as u32, slot, range: chars[i].1..end });
                    }
                }
            }
        }
    }

    fn visit_words(&self, tokens: &[Token], mut f: impl FnMut(Gram)) {
        let (shift, base) = (64 - self.word_bits, 1u32 << self.char_bits);
        for (i, first) in tokens.iter().enumerate() {
            // What reaches over a whole segment belongs to no run of two; it is left out.
            let mut add = |hash: u64, last: &Token| {
                let reach = last.segment - first.segment;
                if reach <= 1 {
                    let slot = 2 * first.segment + reach;
                    f(Gram { bucket: base + (hash >> shift) as u32, slot, range: first.range.0..last.range.1 });
                }
            };
            let mut hash = WORD_SEED;
            for token in &tokens[i..tokens.len().min(i + self.word_max)] {
                hash = step(hash, token.hash);
                add(hash, token);
            }
            for token in tokens.iter().take(i + REACH + 1).skip(i + 2) {
                add(step(step(SKIP_SEED, first.hash), token.hash), token);
            }
        }
    }
}

/// The byte ranges of the words and punctuation marks of a text, as the word n-grams see them.
pub fn words<'a>(text: impl Into<Text<'a>>) -> Vec<Range<usize>> {
    let mut tokens = Vec::new();
    tokenize(text.into().as_str(), 0, 0, &mut tokens);
    tokens.iter().map(|t| t.range.0 as usize..t.range.1 as usize).collect()
}

/// How many words apart the two words of a pair may stand. Adjacent ones are a word n-gram already.
pub const REACH: usize = 4;

const SKIP_SEED: u64 = 0x2545_f491_4f6c_dd1d;
const CHAR_SEED: u64 = 0x51_7c_c1_b7_27_22_0a_95;
const WORD_SEED: u64 = 0x9e_37_79_b9_7f_4a_7c_15;

/// The next run of characters that are not white space, from `start` on.
fn next_chunk(text: &str, start: usize) -> Option<(usize, usize)> {
    let rest = &text[start..];
    let from = start + rest.find(|c: char| !c.is_whitespace())?;
    let to = text[from..].find(char::is_whitespace).map_or(text.len(), |i| from + i);
    Some((from, to))
}

/// Adds the words of a segment that begins at byte `offset` of its text.
fn tokenize(piece: &str, offset: u32, segment: u32, tokens: &mut Vec<Token>) {
    let mut open = false;
    for (i, c) in piece.char_indices() {
        let kind = kind(c);
        let (start, end) = (offset + i as u32, offset + (i + c.len_utf8()) as u32);
        match (kind, tokens.last_mut()) {
            (Kind::Letter, Some(token)) if open => {
                token.hash = step(token.hash, u64::from(c as u32));
                token.range.1 = end;
            }
            (Kind::Space, _) => {}
            _ => tokens.push(Token { hash: step(WORD_SEED, u64::from(c as u32)), range: (start, end), segment }),
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

    fn features(spec: FeatureSpec, text: &str, extractor: &mut Extractor) -> Vec<Feature> {
        let mut features = Vec::new();
        spec.extract((&normalize(text)).into(), extractor, |f| features.push(f));
        features
    }

    #[test]
    fn words_are_cut_as_each_script_writes_them() {
        let rows: [(&str, &[&str]); 6] = [
            ("Don't stop_it!", &["don", "'", "t", "stop_it", "!"]),
            ("", &[]),
            ("  \t\n", &[]),
            ("你好 ab", &["你", "好", "ab"]),
            ("नमस्ते दुनिया।", &["नमस्ते", "दुनिया", "।"]),
            ("über-cool", &["uber", "-", "cool"]),
        ];
        for (text, expected) in rows {
            assert_eq!(tokens(text), expected, "{text:?}");
        }
    }

    #[test]
    fn repetition_adds_no_feature_but_its_seam() {
        let spec = FeatureSpec::default();
        let n_new = |text: &str| {
            let features = features(spec, text, &mut Extractor::default());
            let n = |chars: bool| features.iter().filter(|f| f.is_new && spec.is_char(f.bucket) == chars).count();
            (n(true), n(false))
        };
        let thrice = n_new("stop now stop now stop now");
        // stop, now, "stop now", "now stop", both three-word windows, and the four pairs of words apart.
        assert_eq!((thrice.1, thrice), (10, n_new(&"stop now ".repeat(50))));
    }

    #[test]
    fn a_text_has_the_same_features_whatever_was_extracted_before() {
        let spec = FeatureSpec::default();
        let mut used = Extractor::default();
        for text in ["a long first text, with words. And a second sentence, which is longer still", "zwei", ""] {
            features(spec, text, &mut used);
        }
        let text = "x: the very same prompt, 数字 12. It has two sentences, and both of them are seen.";
        assert_eq!(features(spec, text, &mut used), features(spec, text, &mut Extractor::default()));
    }

    #[test]
    fn the_slots_of_a_text_hold_what_its_segments_hold() {
        let spec = FeatureSpec::default();
        let parts = ["the first sentence stands here.", " the second one is the last here"];
        let all = features(spec, &parts.concat(), &mut Extractor::default());
        let set = |features: &[Feature], slot: u32| -> std::collections::BTreeSet<u32> {
            features.iter().filter(|f| f.slot == slot).map(|f| f.bucket).collect()
        };
        for (slot, part) in [(0, parts[0]), (2, parts[1])] {
            assert_eq!(set(&all, slot), set(&features(spec, part, &mut Extractor::default()), 0));
        }
        // Two words with what follows: 2 n-grams of three words and 1 of two, and the pairs 2, 3 and 4 apart.
        assert_eq!(set(&all, 1).len(), 1 + 2 + 2 + 3 + 4);
        let new = |slot| all.iter().filter(|f| f.slot == slot && !f.is_new).count();
        // "the", "here", "sentence"'s pieces and the like are known from the first segment.
        assert!(new(0) == 0 && new(2) > 5);
    }

    #[test]
    fn each_n_gram_knows_where_it_stands() {
        let text = normalize("щé ab");
        let mut seen = Vec::new();
        FeatureSpec::default().visit((&text).into(), &mut Extractor::default(), |gram| {
            assert!((gram.bucket as usize) < FeatureSpec::default().n_buckets() && gram.slot == 0);
            seen.push(text.as_str()[gram.range.start as usize..gram.range.end as usize].to_string());
        });
        for expected in ["щe", "ab", "щe ab"] {
            assert!(seen.iter().any(|s| s == expected), "{expected:?} in {seen:?}");
        }
    }

    #[test]
    fn a_word_shorter_than_the_shortest_n_gram_still_counts() {
        let spec = FeatureSpec { char_min: 5, ..FeatureSpec::default() };
        let features = features(spec, "a", &mut Extractor::default());
        assert_eq!(features.iter().filter(|f| spec.is_char(f.bucket)).count(), 1);
    }

    #[test]
    fn text_that_is_all_marks_fills_no_table() {
        for text in ["!?".repeat(5000), "你".repeat(3000), "a ".repeat(5000), "\u{1}".repeat(500)] {
            let spec = FeatureSpec { char_min: 1, char_max: 8, word_max: 5, ..FeatureSpec::default() };
            features(spec, &text, &mut Extractor::default());
        }
    }
}
