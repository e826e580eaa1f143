//! Real prompts near a false positive: those of a pool that share its cluster's phrase.

use std::collections::{HashMap, HashSet};

use levelhead::normalize;

use crate::false_positive::Candidate;

/// Pool prompts that share a chosen false positive's cluster phrase, nearest by words first.
pub(crate) struct Neighbors<'a> {
    by_chosen: Vec<Vec<&'a str>>,
}

/// A prompt shares its phrase with thousands of others in a large pool; the first ones are enough to choose from.
const MOST_CANDIDATES: usize = 400;

impl<'a> Neighbors<'a> {
    /// Looks through a pool for the phrases of the chosen false positives.
    pub fn new(chosen: &[&Candidate], pool: &'a [&'a str]) -> Neighbors<'a> {
        let phrases: HashSet<&str> = chosen.iter().filter_map(|fp| fp.phrase.as_deref()).collect();
        let longest = phrases.iter().map(|p| p.split(' ').count()).max().unwrap_or(0);
        let mut by_phrase: HashMap<&str, Vec<(&'a str, HashSet<u64>)>> = HashMap::new();
        if longest > 0 {
            for text in pool {
                let normalized = normalize(text);
                let words = words(&normalized);
                let mut hit: HashSet<&str> = HashSet::new();
                for i in 0..words.len() {
                    for n in 1..=longest.min(words.len() - i) {
                        if let Some(phrase) = phrases.get(words[i..i + n].join(" ").as_str()) {
                            hit.insert(phrase);
                        }
                    }
                }
                for phrase in hit {
                    let list = by_phrase.entry(phrase).or_default();
                    if list.len() < MOST_CANDIDATES {
                        list.push((text, hashes(&words)));
                    }
                }
            }
        }
        let by_chosen = chosen
            .iter()
            .map(|fp| {
                let normalized = normalize(&fp.prompt);
                let own = hashes(&words(&normalized));
                let list = fp.phrase.as_deref().and_then(|phrase| by_phrase.get(phrase)).map_or(&[][..], |v| v);
                let mut ranked: Vec<(f64, &str)> = list.iter().map(|(text, theirs)| (jaccard(&own, theirs), *text)).collect();
                ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
                ranked.into_iter().map(|(_, text)| text).collect()
            })
            .collect();
        Neighbors { by_chosen }
    }

    /// The neighbors of the nth chosen false positive, nearest first.
    pub fn of(&self, nth: usize) -> &[&'a str] {
        &self.by_chosen[nth]
    }
}

fn words(text: &levelhead::Normalized) -> Vec<&str> {
    levelhead::features::words(text).into_iter().map(|r| &text.as_str()[r]).collect()
}

fn hashes(words: &[&str]) -> HashSet<u64> {
    let hash = |w: &&str| u64::from_le_bytes(blake3::hash(w.as_bytes()).as_bytes()[..8].try_into().expect("a hash has 32 bytes"));
    words.iter().map(hash).collect()
}

fn jaccard(a: &HashSet<u64>, b: &HashSet<u64>) -> f64 {
    let common = a.intersection(b).count();
    common as f64 / (a.len() + b.len() - common).max(1) as f64
}
