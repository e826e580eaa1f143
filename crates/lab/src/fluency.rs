//! Fluency: how surprising a text is to a character model of benign traffic, in bits a character.
//!
//! Letters are predicted from up to five before them; counts of each length are interpolated by Witten and Bell's method C
//! (IEEE Transactions on Information Theory 37, 1991; Chen and Goodman 1998, section 2.4). It knows no grammar: it rejects
//! what no one would type, not what is untrue.

use std::collections::{HashMap, HashSet};

use levelhead::normalize;

use crate::language::is_latin;

/// Characters before the one that is predicted, at most.
const ORDER: usize = 5;
/// Prompts that are learned from, and characters of each; more make the model slower and no better at its job.
const MOST_PROMPTS: usize = 12_000;
const MOST_CHARS: usize = 300;
/// One prompt in so many sets the threshold instead of training.
const HELD_BACK: usize = 6;
/// Fewer prompts are too few to say what is not fluent: then everything is.
const FEWEST_PROMPTS: usize = 1_000;
/// Share of the held-back prompts that are as fluent as the threshold.
const SHARE: f64 = 0.99;
/// A variation may be so much less fluent than the prompt that it was made from.
const MARGIN: f64 = 1.1;
/// Characters that a text may hold: letters of all scripts and more. What is left when no context is known.
const ALPHABET: f64 = 4096.0;

/// A character model and the threshold that it sets.
#[derive(Debug, Clone)]
pub struct Fluency {
    /// By hash of a context and the character after it: how often.
    counts: HashMap<u64, u32>,
    /// By hash of a context: characters after it, and distinct ones.
    contexts: HashMap<u64, [u32; 2]>,
    /// 99 % of real prompts in Latin letters that did not train have at most so many bits a character; infinite where there are
    /// too few to say.
    pub threshold: f64,
}

impl Fluency {
    /// Learns from benign prompts. A prompt that stands there twice counts once, or the model would be tested on what it learned.
    pub fn learn(prompts: &[&str]) -> Fluency {
        let mut model = Fluency { counts: HashMap::new(), contexts: HashMap::new(), threshold: f64::INFINITY };
        let mut seen = HashSet::new();
        let distinct: Vec<&str> = prompts.iter().copied().filter(|prompt| seen.insert(*prompt)).collect();
        let step = distinct.len().div_ceil(MOST_PROMPTS).max(1);
        let taken: Vec<&str> = distinct.into_iter().step_by(step).collect();
        for (_, prompt) in taken.iter().enumerate().filter(|(i, _)| i % HELD_BACK != 0) {
            visit(prompt, |contexts, next| {
                for context in contexts {
                    let count = model.counts.entry(with(*context, next)).or_default();
                    *count += 1;
                    let of_context = model.contexts.entry(*context).or_default();
                    of_context[0] += 1;
                    of_context[1] += u32::from(*count == 1);
                }
            });
        }
        let held_back = taken.iter().step_by(HELD_BACK).filter(|prompt| is_latin(prompt));
        let mut bits: Vec<f64> = held_back.filter_map(|prompt| model.bits(prompt)).collect();
        bits.sort_unstable_by(f64::total_cmp);
        if taken.len() >= FEWEST_PROMPTS
            && let Some(threshold) = bits.get((bits.len() as f64 * SHARE) as usize)
        {
            model.threshold = *threshold;
        }
        model
    }

    /// Bits a character; nothing for a text without one.
    pub fn bits(&self, text: &str) -> Option<f64> {
        let (mut bits, mut n) = (0.0, 0usize);
        visit(text, |contexts, next| {
            // From the empty context to the longest; each is mixed with the one before it.
            let mut p = 1.0 / ALPHABET;
            for context in contexts {
                let Some([total, distinct]) = self.contexts.get(context) else { break };
                let count = self.counts.get(&with(*context, next)).copied().unwrap_or(0);
                p = (f64::from(count) + f64::from(*distinct) * p) / f64::from(total + distinct);
            }
            bits -= p.log2();
            n += 1;
        });
        (n > 0).then(|| bits / n as f64)
    }

    /// Whether a text is as fluent as real prompts are, or nearly as fluent as the prompt that it was made from.
    ///
    /// Only the latter says something of scripts whose characters are too many to have been seen.
    pub fn is_fluent(&self, text: &str, made_from: &str) -> bool {
        let own = MARGIN * self.bits(made_from).unwrap_or(0.0);
        let most = if is_latin(text) || self.threshold.is_infinite() { own.max(self.threshold) } else { own };
        self.bits(text).is_some_and(|bits| bits <= most)
    }
}

/// Calls `f` for each character with the hashes of the contexts before it, the empty one first.
fn visit(text: &str, mut f: impl FnMut(&[u64], char)) {
    let normalized = normalize(text);
    // A text begins behind a line break, so that beginnings are learned too.
    let mut before = ['\n'; ORDER];
    for next in normalized.as_str().chars().take(MOST_CHARS) {
        let mut contexts = [0; ORDER + 1];
        let mut hash = 0;
        contexts[0] = with(hash, '\u{0}');
        for (length, c) in before.iter().rev().enumerate() {
            hash = with(hash, *c);
            contexts[length + 1] = with(hash, '\u{0}');
        }
        f(&contexts, next);
        before.rotate_left(1);
        before[ORDER - 1] = next;
    }
}

fn with(hash: u64, c: char) -> u64 {
    crate::random::mix(hash.rotate_left(21) ^ u64::from(c as u32 + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interpolated_probability_is_worked_out_by_hand() {
        // The first prompt of six is held back.
        let model = Fluency::learn(&["zz", "aaab", "aaac"]);
        // Without a context: 8 characters, 3 distinct, 6 of them "a".
        let mut p = (6.0 + 3.0 / 4096.0) / 11.0;
        // Each longer run of line breaks: 2 characters, 1 distinct, 2 "a".
        for _ in 0..5 {
            p = (2.0 + p) / 3.0;
        }
        assert!((model.bits("a").unwrap() + f64::log2(p)).abs() < 1e-12);
        assert_eq!(model.bits(""), None);
    }

    #[test]
    fn word_salad_is_less_fluent_than_what_was_learned() {
        let texts: Vec<String> = (0..1200)
            .map(|i| format!("How do I cook {} in a pan?", ["rice", "soup", "fish"][i % 3]) + &format!(" Dish {i}"))
            .collect();
        let model = Fluency::learn(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(model.is_fluent("How do I cook fish in a pan?", ""));
        assert!(!model.is_fluent("pan? xq How zzv cook do fish I a", "How do I cook fish in a pan?"));
        // A rare language is no less fluent for being rare.
        assert!(model.is_fluent("Wie koche ich Reis", "Wie koche ich Reis"));
    }
}
