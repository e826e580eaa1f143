//! `slots`: what a prompt is about is replaced by something of its kind: another language, tool, person, place.
//!
//! What is of a kind is learned from benign traffic by distribution: words that stand between the same neighbors ("in .. with",
//! "my .. is") can take each other's place (Harris, Distributional structure, Word 1954). The words that set the guard off
//! are never replaced, nor are those that hold a sentence together.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use rayon::prelude::*;

use crate::language::is_latin;
use crate::random::Random;

/// Prompts that are learned from; more say the same.
const MOST_PROMPTS: usize = 60_000;
/// A longer prompt is a document, whose words stand between names and numbers.
const LONGEST_PROMPT: usize = 600;
/// A word that stands in fewer prompts has too few neighbors to compare.
const FEWEST_PROMPTS: usize = 8;
/// The most frequent words hold sentences together.
const N_FUNCTION_WORDS: usize = 220;
/// Two neighbors that stand around more different words say nothing of what is between them.
const WIDEST_CONTEXT: usize = 250;
/// Pairs of neighbors that two words must share.
const FEWEST_SHARED: usize = 4;
/// Least similarity, and how many words are kept for a word. Set by reading what came out for frequent words of English
/// traffic: below 0.06 words of other kinds come in.
const LEAST_SIMILARITY: f64 = 0.06;
const N_SUBSTITUTES: usize = 8;

/// Words that can take each other's place.
#[derive(Debug, Default)]
pub(super) struct Lexicon {
    substitutes: HashMap<String, Vec<String>>,
}

impl Lexicon {
    /// Learns substitutes for the words of `prompts` from `traffic`.
    pub fn learn<'a>(traffic: &[&str], prompts: impl Iterator<Item = &'a str>) -> Lexicon {
        let step = traffic.len().div_ceil(MOST_PROMPTS).max(1);
        let texts: Vec<&str> =
            traffic.iter().step_by(step).copied().filter(|t| t.len() <= LONGEST_PROMPT && is_latin(t)).collect();
        let mut ids: HashMap<&str, u32> = HashMap::new();
        let mut names: Vec<&str> = Vec::new();
        let mut n_prompts: Vec<u32> = Vec::new();
        let cut: Vec<Vec<u32>> = texts
            .iter()
            .map(|text| {
                let of_text: Vec<u32> = words(text)
                    .map(|range| {
                        *ids.entry(&text[range.clone()]).or_insert_with(|| {
                            names.push(&text[range]);
                            n_prompts.push(0);
                            names.len() as u32 - 1
                        })
                    })
                    .collect();
                of_text.iter().collect::<BTreeSet<_>>().into_iter().for_each(|id| n_prompts[*id as usize] += 1);
                of_text
            })
            .collect();
        let mut order: Vec<u32> = (0..names.len() as u32).collect();
        order.sort_by_key(|id| std::cmp::Reverse(n_prompts[*id as usize]));
        let mut is_slot: Vec<bool> = n_prompts.iter().map(|n| *n as usize >= FEWEST_PROMPTS).collect();
        order.iter().take(N_FUNCTION_WORDS).for_each(|id| is_slot[*id as usize] = false);

        // The contexts of each word, and the words of each context.
        let mut contexts: Vec<Vec<u64>> = vec![Vec::new(); names.len()];
        for text in &cut {
            for (i, id) in text.iter().enumerate().filter(|(_, id)| is_slot[**id as usize]) {
                let left = if i == 0 { 0 } else { text[i - 1] + 1 };
                let right = text.get(i + 1).map_or(0, |id| id + 1);
                contexts[*id as usize].push(u64::from(left) << 32 | u64::from(right));
            }
        }
        let mut by_context: HashMap<u64, Vec<u32>> = HashMap::new();
        for (id, list) in contexts.iter_mut().enumerate() {
            list.sort_unstable();
            list.dedup();
            list.iter().for_each(|context| by_context.entry(*context).or_default().push(id as u32));
        }
        let wanted: BTreeSet<u32> = prompts
            .flat_map(|text| words(text).map(move |range| &text[range]))
            .filter_map(|word| ids.get(word).copied())
            .collect();
        let wanted: Vec<u32> = wanted.into_iter().filter(|id| is_slot[*id as usize]).collect();
        let substitutes = wanted
            .par_iter()
            .filter_map(|id| {
                let found = similar(*id, &contexts, &by_context);
                let found: Vec<String> = found.into_iter().map(|id| names[id as usize].to_string()).collect();
                (!found.is_empty()).then(|| (names[*id as usize].to_string(), found))
            })
            .collect();
        Lexicon { substitutes }
    }

    /// At most `n` forms of the prompt with one word replaced; `kept` is the phrase that must stay.
    pub fn replace(&self, prompt: &str, kept: &str, n: usize, random: &mut Random) -> Vec<String> {
        let kept: Vec<&str> = kept.split(' ').collect();
        let mut choices: Vec<(Range<usize>, &str)> = Vec::new();
        for range in words(prompt) {
            let word = &prompt[range.clone()];
            // A prompt that names two of a kind compares them; a word that it says twice would be replaced once.
            let Some(list) = self.substitutes.get(word) else { continue };
            let is_kept = kept.iter().any(|k| word.to_lowercase() == *k);
            if is_kept || list.iter().any(|other| contains(prompt, other)) || prompt.matches(word).count() > 1 {
                continue;
            }
            choices.extend(list.iter().map(|other| (range.clone(), other.as_str())));
        }
        random.shuffle(&mut choices);
        choices.truncate(n);
        choices.into_iter().map(|(range, other)| format!("{}{other}{}", &prompt[..range.start], &prompt[range.end..])).collect()
    }
}

/// The words most like this one, the most similar first: by the share of their contexts in common, where a context counts
/// the more the fewer words it has.
fn similar(id: u32, contexts: &[Vec<u64>], by_context: &HashMap<u64, Vec<u32>>) -> Vec<u32> {
    let weight = |context: &u64| 1.0 / (1.0 + by_context[context].len() as f64).ln();
    let mut shared: HashMap<u32, (usize, f64)> = HashMap::new();
    let own = &contexts[id as usize];
    for context in own {
        let list = &by_context[context];
        if list.len() > WIDEST_CONTEXT {
            continue;
        }
        for other in list.iter().filter(|other| **other != id) {
            let entry = shared.entry(*other).or_default();
            entry.0 += 1;
            entry.1 += weight(context);
        }
    }
    let total = |id: u32| contexts[id as usize].iter().map(weight).sum::<f64>();
    let own_total = total(id);
    let mut ranked: Vec<(f64, u32)> = shared
        .into_iter()
        .filter(|(_, (n, _))| *n >= FEWEST_SHARED)
        .map(|(other, (_, common))| (common / (own_total * total(other)).sqrt(), other))
        .filter(|(similarity, _)| *similarity >= LEAST_SIMILARITY)
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    ranked.into_iter().take(N_SUBSTITUTES).map(|(_, id)| id).collect()
}

/// Where the words of a text stand: letters, with marks as in "C++" and "node.js" inside or behind them.
fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    let start_of = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
    text.split_whitespace().filter_map(move |token| {
        let word = token.trim_matches(|c: char| !(c.is_alphanumeric() || c == '+' || c == '#'));
        let is_word = word.chars().any(char::is_alphabetic) && word.len() > 1;
        is_word.then(|| start_of(word)..start_of(word) + word.len())
    })
}

fn contains(text: &str, word: &str) -> bool {
    words(text).any(|range| &text[range] == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lexicon() -> Lexicon {
        let frames = [
            "How do I read a file in {} today?",
            "Is {} easy to learn?",
            "My first program in {} fails.",
            "Which editor suits {} best?",
            "The {} compiler is slow.",
            "They teach {} at school now.",
        ];
        let mut texts: Vec<String> = Vec::new();
        for word in ["Rust", "Python", "Java", "Kotlin"] {
            texts.extend((0..3).flat_map(|i| frames.map(|f| format!("{} {i}", f.replace("{}", word)))));
        }
        for word in ["soup", "bread", "rice"] {
            let meals =
                ["I cook {} on Sunday.", "Warm {} is good.", "Add salt to the {} at once.", "Eat {} slowly.", "No {} left."];
            texts.extend((0..3).flat_map(|i| meals.map(|f| format!("{} {i}", f.replace("{}", word)))));
        }
        // So many words hold sentences together here that none would be left to replace.
        texts.extend((0..N_FUNCTION_WORDS).flat_map(|i| (0..40).map(move |k| format!("word{i} x{k}"))));
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        Lexicon::learn(&texts, ["Is Rust good with soup", "Rust Python"].into_iter())
    }

    #[test]
    fn a_word_is_replaced_by_one_of_its_kind() {
        let mut random = Random::new(1, "test");
        let made = lexicon().replace("How does Rust handle errors?", "errors", 10, &mut random);
        let expected = ["Java", "Kotlin", "Python"].map(|word| format!("How does {word} handle errors?"));
        assert_eq!(made.iter().collect::<BTreeSet<_>>(), expected.iter().collect());
        let made = lexicon().replace("Tomato soup, please", "", 10, &mut random);
        assert_eq!(
            made.iter().collect::<BTreeSet<_>>(),
            ["Tomato bread, please", "Tomato rice, please"].map(String::from).iter().collect()
        );
    }

    #[test]
    fn what_sets_the_guard_off_and_comparisons_stay() {
        let mut random = Random::new(1, "test");
        assert!(lexicon().replace("How does Rust handle errors?", "rust handle", 10, &mut random).is_empty());
        assert_eq!(lexicon().replace("Rust faster than Python?", "", 10, &mut random), [""; 0]);
        assert!(lexicon().replace("Rust, Rust, Rust", "", 10, &mut random).is_empty());
        assert!(lexicon().replace("Learn a trusted way", "", 10, &mut random).is_empty());
    }
}
