//! Stage 4: hashed n-grams, the classifier's view of a text.
//!
//! Two families share one index space: character n-grams inside word boundaries (buckets from 0), then word n-grams, pairs of
//! words that stand up to [`REACH`] words apart, whatever is between them ("ignore .. instructions"), and concepts: words of one
//! meaning in many languages, alone and in pairs.
//! Hashing follows Weinberger et al. (2009), without signs.
//!
//! A text is cut into segments, about a sentence each. Every n-gram has a slot: segment k has slot 2k, and what reaches from
//! segment k into the next has slot 2k + 1. So any run of segments is a run of slots, and a text is hashed once, however many
//! of its passages are judged.

mod concepts;
mod grams;
mod scan;
mod seen;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::passage::{Text, segments};
use grams::{N_BEHIND, NO_TOKEN};
use scan::{Characters, LONGEST_GRAM, Token, scan};
use seen::Seen;

/// Which n-grams are taken and how many buckets they are hashed into.
///
/// | name | default | purpose | range |
/// |---|---|---|---|
/// | `char_n` | 4 | characters of a character n-gram | 1 to 8 |
/// | `char_bits` | 18 | log2 of the buckets of character n-grams | 8 to 24 |
/// | `word_max` | 3 | longest word n-gram | 1 to 5 |
/// | `word_bits` | 20 | log2 of the buckets of word n-grams | 8 to 24 |
/// | `parts` | true | whether parts of a text are judged, beside the whole | |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureSpec {
    /// Characters of a character n-gram.
    pub char_n: usize,
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
        FeatureSpec { char_n: 4, char_bits: 18, word_max: 3, word_bits: 20, parts: true }
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

/// An n-gram at its first occurrence in a slot of its segment. Presence is what counts: repetition carries no weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feature {
    /// Bucket (25 bits), [`REACHES`], [`NEW`].
    packed: u32,
}

const REACHES: u32 = 1 << 30;
const NEW: u32 = 1 << 31;

impl Feature {
    #[inline(always)]
    fn new(bucket: u32, reaches: bool) -> Feature {
        Feature { packed: bucket | if reaches { REACHES } else { 0 } }
    }

    /// Where its weight stands.
    #[inline(always)]
    pub fn bucket(self) -> u32 {
        self.packed & (REACHES - 1)
    }

    /// Whether it reaches into the next segment, so that it has the slot behind that of its own segment.
    #[inline(always)]
    pub fn reaches(self) -> bool {
        self.packed & REACHES != 0
    }

    /// Whether no earlier slot of the chapter has it.
    #[inline(always)]
    pub fn is_new(self) -> bool {
        self.packed & NEW != 0
    }

    /// Its slot, if it begins in this segment.
    pub fn slot(self, segment: usize) -> usize {
        2 * segment + usize::from(self.reaches())
    }
}

/// Segments whose repeats are known to one another. Beyond it a text is too long for a bag of words to say something of the
/// whole, and the memory for what was seen stays small.
pub const CHAPTER: usize = 32;

/// Buffers for extraction, reused from text to text.
#[derive(Debug, Default)]
pub struct Extractor {
    starts: Vec<u32>,
    characters: Characters,
    tokens: Vec<Token>,
    /// The n-grams of a segment, of which the features are kept.
    grams: Vec<Feature>,
    seen: Seen,
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
        (1..=LONGEST_GRAM).contains(&self.char_n)
            && (1..=5).contains(&self.word_max)
            && (8..=24).contains(&self.char_bits)
            && (8..=24).contains(&self.word_bits)
    }

    /// Features that begin at one word, at most.
    fn most_of_word(&self) -> usize {
        self.word_max + REACH - 1 + concepts::MOST
    }

    /// Calls `f` with each segment and its features, those of a family at a time, all characters first; gives the number of
    /// segments. An n-gram of words belongs to the segment that it begins in.
    ///
    /// ```
    /// use levelhead::features::{Extractor, FeatureSpec};
    /// let (spec, text) = (FeatureSpec::default(), levelhead::normalize("abc abc"));
    /// let mut n = Vec::new();
    /// spec.extract((&text).into(), &mut Extractor::default(), |_, features| n.push(features.len()));
    /// // " abc" "abc " and "abc", "abc abc".
    /// assert_eq!(n, [2, 2]);
    /// ```
    pub fn extract(&self, text: Text<'_>, extractor: &mut Extractor, mut f: impl FnMut(usize, &[Feature])) -> usize {
        let Extractor { starts, characters, tokens, grams, seen } = extractor;
        let mut flush = |segment: usize, grams: &mut [Feature], seen: &mut Seen| {
            let features = seen.keep_first(segment % CHAPTER, grams);
            if !features.is_empty() {
                f(segment, features);
            }
        };
        segments(text, starts);
        tokens.clear();
        for segment in 0..starts.len() {
            if segment % CHAPTER == 0 {
                seen.clear(segment_range(text, starts, segment, CHAPTER).len() + 2 * CHAPTER);
            }
            let range = segment_range(text, starts, segment, 1);
            scan(&text.as_str()[range.clone()], range.start as u32, segment as u32, characters, tokens);
            // A place is written whether its n-gram counts or not, and written over if not: a branch would be guessed wrong.
            reserve(grams, characters.codes.len() + 1);
            let mut n = 0;
            self.visit_chars(characters, |counts, bucket, _| {
                grams[n] = Feature::new(bucket, false);
                n += usize::from(counts);
            });
            flush(segment, &mut grams[..n], seen);
        }
        let n_tokens = tokens.len();
        tokens.extend([NO_TOKEN; N_BEHIND]);
        let mut from = 0;
        for segment in 0..starts.len() {
            let end = |segment: usize| from + tokens[from..n_tokens].iter().take_while(|t| t.segment <= segment as u32).count();
            if segment % CHAPTER == 0 {
                let chapter = end(segment + CHAPTER - 1) - from;
                seen.clear(chapter * self.most_of_word());
            }
            let to = end(segment);
            reserve(grams, (to - from) * self.most_of_word() + 1);
            let mut n = 0;
            self.visit_words(tokens, from..to, |counts, bucket, reach, _| {
                grams[n] = Feature::new(bucket, reach == 1);
                n += usize::from(counts);
            });
            self.visit_concepts(tokens, from..to, |bucket, _| {
                grams[n] = Feature::new(bucket, false);
                n += 1;
            });
            flush(segment, &mut grams[..n], seen);
            from = to;
        }
        starts.len()
    }

    /// Calls `f` with every n-gram of a text, repeats included, characters first; gives the number of its segments.
    pub fn visit(&self, text: Text<'_>, extractor: &mut Extractor, mut f: impl FnMut(Gram)) -> usize {
        let Extractor { starts, characters, tokens, .. } = extractor;
        segments(text, starts);
        tokens.clear();
        for segment in 0..starts.len() {
            let range = segment_range(text, starts, segment, 1);
            scan(&text.as_str()[range.clone()], range.start as u32, segment as u32, characters, tokens);
            self.visit_chars(characters, |counts, bucket, Range { start, end }| {
                if counts {
                    let range = characters.places[start].0..characters.places[end - 1].1;
                    f(Gram { bucket, slot: 2 * segment as u32, range });
                }
            });
        }
        let n_tokens = tokens.len();
        tokens.extend([NO_TOKEN; N_BEHIND]);
        self.visit_words(tokens, 0..n_tokens, |counts, bucket, reach, Range { start, end }| {
            if counts {
                f(Gram {
                    bucket,
                    slot: 2 * tokens[start].segment + reach,
                    range: tokens[start].range.0..tokens[end - 1].range.1,
                });
            }
        });
        let mut from = 0;
        for of_segment in tokens[..n_tokens].chunk_by(|a, b| a.segment == b.segment) {
            let (to, slot) = (from + of_segment.len(), 2 * of_segment[0].segment);
            self.visit_concepts(tokens, from..to, |bucket, Range { start, end }| {
                f(Gram { bucket, slot, range: tokens[start].range.0..tokens[end - 1].range.1 });
            });
            from = to;
        }
        starts.len()
    }
}

/// The bytes of so many segments.
fn segment_range(text: Text<'_>, starts: &[u32], first: usize, n: usize) -> Range<usize> {
    starts[first] as usize..starts.get(first + n).map_or(text.as_str().len(), |end| *end as usize)
}

fn reserve(grams: &mut Vec<Feature>, n: usize) {
    if grams.len() < n {
        grams.resize(n, Feature::new(0, false));
    }
}

/// The byte ranges of the words and punctuation marks of a text, as the word n-grams see them.
pub fn words<'a>(text: impl Into<Text<'a>>) -> Vec<Range<usize>> {
    let mut tokens = Vec::new();
    scan(text.into().as_str(), 0, 0, &mut Characters::default(), &mut tokens);
    tokens.iter().map(|t| t.range.0 as usize..t.range.1 as usize).collect()
}

/// How many words apart the two words of a pair may stand. Adjacent ones are a word n-gram already.
pub const REACH: usize = 4;

const WORD_SEED: u64 = 0x9e_37_79_b9_7f_4a_7c_15;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::normalize;

    fn tokens(text: &str) -> Vec<String> {
        let text = normalize(text);
        words(&text).into_iter().map(|r| text.as_str()[r].to_string()).collect()
    }

    fn features(spec: FeatureSpec, text: &str, extractor: &mut Extractor) -> Vec<(usize, Feature)> {
        let mut features = Vec::new();
        spec.extract((&normalize(text)).into(), extractor, |segment, f| features.extend(f.iter().map(|f| (f.slot(segment), *f))));
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
            let n = |chars: bool| features.iter().filter(|(_, f)| f.is_new() && spec.is_char(f.bucket()) == chars).count();
            (n(true), n(false))
        };
        let thrice = n_new("stop now stop now stop now");
        // stop, now, "stop now", "now stop", both three-word windows, and the four pairs of words apart; two concepts, one pair.
        assert_eq!((thrice.1, thrice), (13, n_new(&"stop now ".repeat(50))));
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
        let set = |features: &[(usize, Feature)], slot: usize| -> std::collections::BTreeSet<u32> {
            features.iter().filter(|f| f.0 == slot).map(|f| f.1.bucket()).collect()
        };
        for (slot, part) in [(0, parts[0]), (2, parts[1])] {
            assert_eq!(set(&all, slot), set(&features(spec, part, &mut Extractor::default()), 0));
        }
        // Two words with what follows: 2 n-grams of three words and 1 of two, and the pairs 2, 3 and 4 apart.
        assert_eq!(set(&all, 1).len(), 1 + 2 + 2 + 3 + 4);
        let new = |slot| all.iter().filter(|f| f.0 == slot && !f.1.is_new()).count();
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
        let spec = FeatureSpec { char_n: 5, ..FeatureSpec::default() };
        let features = features(spec, "a", &mut Extractor::default());
        assert_eq!(features.iter().filter(|(_, f)| spec.is_char(f.bucket())).count(), 1);
    }

    #[test]
    fn character_n_grams_are_the_windows_of_each_chunk() {
        let text = normalize("a be sea deep élan  vital\t你好 x internationalization");
        for char_n in 2..=LONGEST_GRAM {
            let spec = FeatureSpec { char_n, ..FeatureSpec::default() };
            let mut found = Vec::new();
            spec.visit((&text).into(), &mut Extractor::default(), |gram| {
                if spec.is_char(gram.bucket) {
                    found.push(text.as_str()[gram.range.start as usize..gram.range.end as usize].trim().to_string());
                }
            });
            let of_chunk = |chunk: &str| -> Vec<String> {
                let padded: Vec<char> = format!(" {chunk} ").chars().collect();
                padded.windows(char_n.min(padded.len())).map(|w| w.iter().collect::<String>().trim().to_string()).collect()
            };
            let expected: Vec<String> = text.as_str().split_whitespace().flat_map(of_chunk).collect();
            assert_eq!(found, expected, "{char_n}");
        }
    }

    #[test]
    fn text_that_is_all_marks_fills_no_table() {
        for text in ["!?".repeat(5000), "你".repeat(3000), "a ".repeat(5000), "\u{1}".repeat(500)] {
            for char_n in 1..=LONGEST_GRAM {
                let spec = FeatureSpec { char_n, word_max: 5, ..FeatureSpec::default() };
                features(spec, &text, &mut Extractor::default());
            }
        }
    }
}
