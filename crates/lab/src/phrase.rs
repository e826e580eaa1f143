//! Phrases: runs of one to three words of a normalized text, hashed, that a person could look for.
//!
//! It only cuts and counts; which phrase explains what is not decided here.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;

use levelhead::features::words;
use levelhead::{Normalized, normalize};
use rayon::prelude::*;

use crate::random::mix;

/// Words of the longest phrase.
const LONGEST: usize = 3;

/// English words that say nothing of what a text is about. Sorted.
#[rustfmt::skip]
const STOP_WORDS: &[&str] = &[
    "about", "after", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be", "been", "before", "being", "but", "by",
    "can", "could", "did", "do", "does", "doing", "don", "for", "from", "had", "has", "have", "he", "her", "here", "hers",
    "him", "his", "how", "if", "in", "into", "is", "it", "its", "just", "let", "ll", "may", "me", "might", "mine", "more",
    "most", "must", "my", "no", "not", "now", "of", "off", "on", "one", "only", "or", "other", "our", "out", "over", "own",
    "please", "re", "same", "shall", "she", "should", "so", "some", "such", "than", "that", "the", "their", "them", "then",
    "there", "these", "they", "this", "those", "to", "too", "under", "until", "up", "us", "ve", "very", "was", "we", "were",
    "what", "when", "where", "which", "while", "who", "whom", "why", "will", "with", "would", "you", "your", "yours",
];

/// English words so common that a frequent one is no surprise. Sorted.
#[rustfmt::skip]
const COMMON_WORDS: &[&str] = &[
    "able", "above", "add", "again", "against", "already", "always", "another", "back", "based", "because", "become", "below",
    "best", "better", "between", "both", "case", "change", "come", "common", "create", "current", "day", "days", "different",
    "down", "each", "end", "even", "ever", "every", "example", "few", "find", "first", "following", "found", "get", "give",
    "given", "go", "going", "good", "got", "great", "group", "help", "however", "including", "instead", "kind", "know", "large",
    "last", "less", "like", "little", "long", "look", "made", "main", "make", "many", "much", "name", "need", "never", "new",
    "next", "number", "often", "old", "order", "part", "people", "place", "possible", "provide", "put", "really", "right",
    "say", "second", "see", "set", "show", "since", "something", "start", "still", "take", "tell", "thing", "things", "think",
    "three", "through", "time", "today", "together", "took", "try", "two", "type", "use", "used", "uses", "using", "value",
    "want", "way", "ways", "well", "went", "whether", "within", "without", "work", "working", "world", "write", "year", "years",
    "yes",
];

/// A text cut into words.
pub(crate) struct Words {
    text: Normalized,
    ranges: Vec<Range<usize>>,
    hashes: Vec<u64>,
}

/// A phrase where it stands in a text.
#[derive(Debug, Clone)]
pub(crate) struct Phrase {
    /// The same for the same words.
    pub hash: u64,
    /// Which words of the text.
    pub words: Range<usize>,
}

impl Words {
    /// Normalizes a text and cuts it.
    pub fn of(text: &str) -> Words {
        let text = normalize(text);
        let ranges = words(&text);
        let hashes = ranges.iter().map(|r| hash(&text.as_str()[r.clone()])).collect();
        Words { text, ranges, hashes }
    }

    /// The hashes of the words, repeats included.
    pub fn hashes(&self) -> &[u64] {
        &self.hashes
    }

    /// Every run of words, repeats and useless ones included.
    pub fn runs(&self) -> impl Iterator<Item = Phrase> {
        (0..self.hashes.len()).flat_map(move |start| {
            let longest = LONGEST.min(self.hashes.len() - start);
            (1..=longest).scan(0, move |hash, n| {
                *hash = mix(*hash ^ self.hashes[start + n - 1]);
                Some(Phrase { hash: *hash, words: start..start + n })
            })
        })
    }

    /// The runs that are phrases: they begin and end with a word, and one of their words says something.
    pub fn phrases(&self) -> impl Iterator<Item = Phrase> {
        self.runs().filter(|phrase| {
            let (first, last) = (self.word(phrase.words.start), self.word(phrase.words.end - 1));
            let several = phrase.words.len() > 1;
            let says_something = |i: usize| is_content(self.word(i)) || several && is_ideograph(self.word(i));
            is_word(first) && is_word(last) && phrase.words.clone().any(says_something)
        })
    }

    /// The hashes of a phrase's words that say something.
    pub fn content(&self, phrase: &Phrase) -> impl Iterator<Item = u64> {
        phrase.words.clone().filter(|i| is_content(self.word(*i)) || is_ideograph(self.word(*i))).map(|i| self.hashes[i])
    }

    /// Whether one of a phrase's words is neither a stop word nor a common one.
    pub fn is_telling(&self, phrase: &Phrase) -> bool {
        let telling = |word: &str| is_content(word) && COMMON_WORDS.binary_search(&word).is_err();
        phrase.words.clone().any(|i| telling(self.word(i)) || is_ideograph(self.word(i)))
    }

    /// A phrase as it is written in this text.
    pub fn spelling(&self, phrase: &Phrase) -> String {
        let range = self.ranges[phrase.words.start].start..self.ranges[phrase.words.end - 1].end;
        self.text.as_str()[range].split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn word(&self, i: usize) -> &str {
        &self.text.as_str()[self.ranges[i].clone()]
    }
}

/// Whether a word alone says something: it has two characters, one of them a letter, and is no stop word.
fn is_content(word: &str) -> bool {
    word.chars().nth(1).is_some() && word.chars().any(char::is_alphabetic) && STOP_WORDS.binary_search(&word).is_err()
}

fn is_word(word: &str) -> bool {
    word.chars().any(|c| c.is_alphanumeric() || c == '_')
}

/// Whether it is one sign of a script that is written without spaces, of which several make a word.
fn is_ideograph(word: &str) -> bool {
    let mut chars = word.chars();
    chars.next().is_some_and(|c| c as u32 >= 0xe00 && c.is_alphabetic()) && chars.next().is_none()
}

/// Phrases by their hash. Nothing reads it in its own order.
pub(crate) type Index = HashMap<u64, u32, BuildHasherDefault<Unhashed>>;

/// Takes a number that is a hash already.
#[derive(Debug, Default)]
pub(crate) struct Unhashed(u64);

impl Hasher for Unhashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.0 = mix(self.0 ^ u64::from(*b)));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// The hashes that at least `fewest` of the texts hold, each with the number of texts, by rising hash.
pub(crate) fn common<T: Sync>(texts: &[T], hashes: impl Fn(&T) -> Vec<u64> + Sync, fewest: usize) -> Vec<(u64, usize)> {
    let mut all: Vec<u64> = texts
        .par_iter()
        .flat_map_iter(|text| {
            let mut hashes = hashes(text);
            hashes.sort_unstable();
            hashes.dedup();
            hashes
        })
        .collect();
    all.par_sort_unstable();
    let runs = all.chunk_by(|a, b| a == b);
    runs.filter(|run| run.len() >= fewest).map(|run| (run[0], run.len())).collect()
}

/// FNV-1a, mixed. The hash of a phrase must not change from run to run: it decides between equals.
fn hash(word: &str) -> u64 {
    mix(word.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phrases(text: &str) -> Vec<String> {
        let words = Words::of(text);
        words.phrases().map(|p| words.spelling(&p)).collect()
    }

    #[test]
    fn a_phrase_begins_and_ends_with_a_word_and_says_something() {
        let rows: [(&str, &[&str]); 7] = [
            ("My  Password!", &["my password", "password"]),
            ("what is it", &[]),
            ("the the", &[]),
            ("Don't ask", &["t ask", "ask"]),
            ("rock 'n' 5", &["rock", "rock 'n"]),
            ("我忘了", &["我忘", "我忘了", "忘了"]),
            ("??", &[]),
        ];
        for (text, expected) in rows {
            assert_eq!(phrases(text), expected, "{text}");
        }
    }

    #[test]
    fn the_word_lists_are_sorted_and_apart() {
        assert!(STOP_WORDS.is_sorted() && COMMON_WORDS.is_sorted());
        assert!(COMMON_WORDS.iter().all(|word| STOP_WORDS.binary_search(word).is_err()));
    }

    #[test]
    fn a_text_counts_once_for_each_of_its_phrases() {
        let texts = ["pass word pass", "pass", "word pass"];
        let counts = common(&texts, |t| Words::of(t).phrases().map(|p| p.hash).collect(), 2);
        let count = |phrase: &str| {
            let hash = Words::of(phrase).runs().max_by_key(|p| p.words.len()).unwrap().hash;
            counts.iter().find(|c| c.0 == hash).map(|c| c.1)
        };
        assert_eq!(["pass", "word", "word pass", "pass word"].map(count), [Some(3), Some(2), Some(2), None]);
        assert!(counts.is_sorted());
    }

    #[test]
    fn the_same_words_have_the_same_hash_and_others_another() {
        let hash = |text: &str| Words::of(text).runs().max_by_key(|p| p.words.len()).unwrap().hash;
        assert_eq!(hash("System  PROMPT"), hash("system prompt"));
        assert_ne!(hash("prompt system"), hash("system prompt"));
        assert_ne!(hash("a a"), hash("a"));
    }
}
