//! Words that tell a rule's attacks from the harmless prompts that it also matches: near its match, or anywhere in the text.
//!
//! The choice is greedy. It must only ever see the half of the prompts that it chooses on.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use levelhead::Normalized;
use rayon::prelude::*;

/// A required word stands at most this many words from the match.
pub(crate) const REACH: usize = 5;
/// Words of the longest phrase.
const LONGEST: usize = 3;
/// A word that fewer prompts hold is chance.
const FEWEST: usize = 3;
/// Prompts of each class that are looked at, evenly spread, at most.
const MOST_PROMPTS: usize = 4_000;
/// Words that are kept, by the number of prompts that hold them, at most.
const MOST_WORDS: usize = 20_000;

/// What one prompt offers: its words, each once.
pub(crate) type Offer = BTreeSet<String>;

/// The words near a match.
pub(crate) fn words_near(text: &Normalized, found: Range<usize>) -> Offer {
    let (before, after) = (&text.as_str()[..found.start], &text.as_str()[found.end..]);
    let near = before.split_whitespace().rev().take(REACH).chain(after.split_whitespace().take(REACH));
    near.flat_map(words).map(str::to_string).collect()
}

/// The words of a text and its phrases of up to three words with nothing but space between them.
pub(crate) fn phrases(text: &Normalized) -> Offer {
    let mut offer = Offer::new();
    let chunks: Vec<&str> = text.as_str().split_whitespace().collect();
    for (i, chunk) in chunks.iter().enumerate() {
        offer.extend(words(chunk).map(str::to_string));
        let run = chunks[i..].iter().take_while(|chunk| is_word(chunk)).take(LONGEST).count();
        offer.extend((2..=run).map(|n| chunks[i..i + n].join(" ")));
    }
    offer
}

/// Words in ASCII letters and digits: a rule's `\b` knows no others.
fn words(chunk: &str) -> impl Iterator<Item = &str> {
    chunk.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| is_word(word))
}

fn is_word(word: &str) -> bool {
    word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && word.starts_with(|c: char| c.is_ascii_lowercase())
}

/// The prompts of each class that a rule matches, and what its own examples ask of a choice.
pub(crate) struct Choice<'a, T> {
    pub attacks: &'a [T],
    pub benign: &'a [T],
    /// Examples that need one of the words each: those to match where a word is required, those not to match where one excludes.
    pub served: &'a [Offer],
    /// Words that the other examples hold: they are never chosen.
    pub barred: &'a Offer,
    /// How many words are chosen, at most.
    pub most: usize,
}

/// The words of which at least one should stand near a match, best first: each brings the most attacks that have none yet,
/// for each benign prompt that it lets pass.
pub(crate) fn required<T: Sync>(choice: &Choice<T>, offer: impl Fn(&T) -> Offer + Sync) -> Vec<String> {
    let words = Words::of(&spread(choice.attacks), &spread(choice.benign), offer);
    // What tells nothing lets both classes pass alike.
    let least = words.n_wanted as f64 / (words.n_other + 1) as f64;
    words.choose(choice, |new, other, _| Some(new as f64 / (other + 1) as f64).filter(|score| *score > least))
}

/// The phrases that silence a rule, best first: each takes the most benign prompts for each attack, and all together no more
/// than this share of the attacks.
pub(crate) fn excluding<T: Sync>(choice: &Choice<T>, max_lost: f64, offer: impl Fn(&T) -> Offer + Sync) -> Vec<String> {
    let words = Words::of(&spread(choice.benign), &spread(choice.attacks), offer);
    let allowed = (max_lost * words.n_other as f64).floor() as usize;
    words.choose(choice, |new, lost, lost_before| (lost + lost_before <= allowed).then_some(new as f64 / (lost + 1) as f64))
}

fn spread<T>(items: &[T]) -> Vec<&T> {
    items.iter().step_by(items.len() / MOST_PROMPTS + 1).collect()
}

/// Which prompts hold which words: the class that words are wanted of, and the other one.
struct Words {
    names: Vec<String>,
    wanted: Vec<Vec<u32>>,
    other: Vec<Vec<u32>>,
    n_wanted: usize,
    n_other: usize,
}

impl Words {
    fn of<T: Sync>(wanted: &[&T], other: &[&T], offer: impl Fn(&T) -> Offer + Sync) -> Words {
        let offers: Vec<Offer> = wanted.par_iter().map(|item| offer(item)).collect();
        let mut counts: HashMap<&str, usize> = HashMap::new();
        offers.iter().flatten().for_each(|word| *counts.entry(word).or_default() += 1);
        let mut common: Vec<(usize, &str)> =
            counts.into_iter().filter(|(_, n)| *n >= FEWEST).map(|(word, n)| (n, word)).collect();
        common.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        common.truncate(MOST_WORDS);
        let names: Vec<String> = common.iter().map(|(_, word)| word.to_string()).collect();
        let places: HashMap<&str, usize> = names.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
        let mut holders = (vec![Vec::new(); names.len()], vec![Vec::new(); names.len()]);
        let note = |holders: &mut Vec<Vec<u32>>, i: usize, offer: &Offer| {
            offer.iter().filter_map(|word| places.get(word.as_str())).for_each(|place| holders[*place].push(i as u32));
        };
        offers.iter().enumerate().for_each(|(i, offer)| note(&mut holders.0, i, offer));
        // The other class may be long texts: nothing of them is kept but the words that are known.
        let known = |item: &&T| -> Offer { offer(item).into_iter().filter(|word| places.contains_key(word.as_str())).collect() };
        let offers: Vec<Offer> = other.par_iter().map(known).collect();
        offers.iter().enumerate().for_each(|(i, offer)| note(&mut holders.1, i, offer));
        Words { names: names.clone(), wanted: holders.0, other: holders.1, n_wanted: wanted.len(), n_other: other.len() }
    }

    /// Takes the word with the highest score until none is left, first for each example to serve. A score is made of the wanted
    /// prompts and the others that the word would add, and the others that are taken already.
    fn choose<T>(&self, choice: &Choice<T>, score: impl Fn(usize, usize, usize) -> Option<f64>) -> Vec<String> {
        let mut taken = Taken { wanted: vec![false; self.n_wanted], other: vec![false; self.n_other], n_other: 0 };
        let mut chosen: Vec<String> = Vec::new();
        for example in choice.served {
            if !chosen.iter().any(|word| example.contains(word)) {
                let is_in = |name: &String| example.contains(name) && !choice.barred.contains(name);
                chosen.extend(self.best(&mut taken, 1, is_in, &score));
            }
        }
        while chosen.len() < choice.most {
            let Some(word) = self.best(&mut taken, FEWEST, |name| !choice.barred.contains(name), &score) else { break };
            chosen.push(word);
        }
        chosen
    }

    /// Takes the word with the highest score among those that are allowed and add at least so many wanted prompts.
    fn best(
        &self,
        taken: &mut Taken,
        fewest: usize,
        is_allowed: impl Fn(&String) -> bool,
        score: impl Fn(usize, usize, usize) -> Option<f64>,
    ) -> Option<String> {
        let new = |holders: &[u32], taken: &[bool]| holders.iter().filter(|p| !taken[**p as usize]).count();
        let mut best: Option<(f64, usize, usize)> = None;
        for i in (0..self.names.len()).filter(|i| is_allowed(&self.names[*i])) {
            let n = new(&self.wanted[i], &taken.wanted);
            if n < fewest {
                continue;
            }
            let Some(score) = score(n, new(&self.other[i], &taken.other), taken.n_other) else { continue };
            if best.is_none_or(|b| score > b.0 || score == b.0 && n > b.1) {
                best = Some((score, n, i));
            }
        }
        let (.., i) = best?;
        taken.n_other += new(&self.other[i], &taken.other);
        self.wanted[i].iter().for_each(|p| taken.wanted[*p as usize] = true);
        self.other[i].iter().for_each(|p| taken.other[*p as usize] = true);
        Some(self.names[i].clone())
    }
}

/// Prompts that a chosen word stands in.
struct Taken {
    wanted: Vec<bool>,
    other: Vec<bool>,
    n_other: usize,
}

#[cfg(test)]
mod tests {
    use levelhead::normalize;

    use super::*;

    fn list(offer: Offer) -> Vec<String> {
        offer.into_iter().collect()
    }

    #[test]
    fn words_near_a_match_are_those_within_reach() {
        let text = normalize("zero one, two three don't five: MATCH, a1 1a über b c d e");
        let at = text.as_str().find("match").unwrap();
        // The fifth chunk before is "one,"; behind it stand ",", "a1", "1a", "uber", "b".
        let near = words_near(&text, at..at + 5);
        assert_eq!(list(near), ["a1", "b", "don", "five", "one", "t", "three", "two", "uber"]);
    }

    #[test]
    fn phrases_have_only_space_within() {
        let found = list(phrases(&normalize("How do I, then  forget it")));
        assert_eq!(found, ["do", "forget", "forget it", "how", "how do", "i", "it", "then", "then forget", "then forget it"]);
    }

    #[test]
    fn words_are_chosen_by_what_they_add() {
        let prompts = |texts: &[&str], n: usize| -> Vec<Normalized> {
            texts.iter().flat_map(|text| (0..n).map(move |_| normalize(text))).collect()
        };
        // Of nine attacks six hold "reveal", three "dump"; three of each of the six benign ones hold "my" or "reveal".
        let attacks = prompts(&["reveal now", "reveal print", "dump now"], 3);
        let benign = prompts(&["my own", "reveal own"], 3);
        let offer = |text: &Normalized| phrases(text);
        let none = Offer::new();
        let choice = |most: usize| Choice { attacks: &attacks, benign: &benign, served: &[], barred: &none, most };
        // By hand: "now" 6 / 1, "print" 3 / 1; then "dump" and the phrases add nothing.
        assert_eq!(required(&choice(4), offer), ["now", "print"]);
        assert_eq!(required(&choice(1), offer), ["now"]);
        // "own" takes all six benign prompts and no attack; "reveal" would take six attacks of nine.
        assert_eq!(excluding(&choice(4), 0.5, offer), ["own"]);
        let only = |text: &Normalized| -> Offer { phrases(text).into_iter().filter(|w| w == "reveal" || w == "my").collect() };
        assert_eq!(excluding(&choice(4), 0.5, only), ["my"]);
        assert_eq!(excluding(&choice(4), 0.7, only), ["my", "reveal"]);
        assert!(required(&Choice { attacks: &attacks[..2], ..choice(4) }, offer).is_empty(), "two prompts are chance");
        // An example is served first, with the best of its words; words of the other examples are not taken.
        let served = [phrases(&normalize("dump it"))];
        assert_eq!(required(&Choice { served: &served, ..choice(4) }, offer), ["dump", "now", "print"]);
        let barred = phrases(&normalize("now"));
        assert_eq!(required(&Choice { barred: &barred, ..choice(4) }, offer), ["dump", "print", "reveal now"]);
    }
}
