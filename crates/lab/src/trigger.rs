//! Triggers: the phrases, and the languages, that flagged prompts hold more often than passed ones.
//!
//! The weight of a phrase is the log-odds ratio between flagged and passed prompts with an informative Dirichlet prior, as a
//! z-score (Monroe, Colaresi, Quinn, Political Analysis 2008, equations 16 and 22). It departs from the paper in three points:
//! prompts are counted, not words, so repetition carries no weight; the prior is split as the groups are, so that it pulls
//! towards no difference; and what the language of the prompts alone explains is taken off, or a guard that flags German
//! would be found to dislike "und". A language that is flagged more often than others is a trigger itself.
//!
//! A trigger goes with false positives. It is never proof of what the guard looked at.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use rayon::prelude::*;

use crate::language::UNDETERMINED;
use crate::phrase::{Index, Words, common};

/// A trigger of fewer flagged prompts is none.
pub(crate) const FEWEST: usize = 3;
/// Weight of the prior against the data.
const PRIOR: f64 = 0.1;
/// The odds ratio that a trigger must exceed: among many prompts even a trifle is significant.
const LEAST_ODDS_RATIO: f64 = 1.5;
/// The z-score that a trigger must exceed: 95 %, one-sided.
const LEAST_Z: f64 = 1.645;
/// How many of its triggers a prompt keeps, best first.
const N_RANKED: usize = 8;
/// Expected counts are summed in millionths, since a sum of integers does not depend on its order.
const MILLION: f64 = 1e6;

/// A distinct prompt and its language.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prompt<'a> {
    pub text: &'a str,
    pub language: &'a str,
}

/// What may have set the guard off.
#[derive(Debug, Clone)]
pub(crate) struct Trigger {
    /// The phrase's hash; nothing for a language.
    pub phrase: Option<u64>,
    /// Distinct flagged prompts that hold it.
    pub n_flagged: usize,
    /// Distinct passed prompts that hold it.
    pub n_passed: usize,
    z: f64,
}

/// The triggers of the flagged prompts.
#[derive(Debug)]
pub(crate) struct Triggers {
    pub all: Vec<Trigger>,
    /// For each flagged prompt the places of its triggers in `all`, best first.
    pub ranked: Vec<Vec<u32>>,
}

/// Finds the triggers. `passed` is empty where no passed prompts are known.
pub(crate) fn find_triggers(flagged: &[Prompt], passed: &[Prompt]) -> Triggers {
    let phrases = common(flagged, |p| Words::of(p.text).phrases().map(|phrase| phrase.hash).collect(), FEWEST);
    let index: Index = phrases.iter().enumerate().map(|(i, phrase)| (phrase.0, i as u32)).collect();
    let mut by_language: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    flagged.iter().for_each(|p| by_language.entry(p.language).or_default().0 += 1);
    passed.iter().for_each(|p| by_language.entry(p.language).or_default().1 += 1);
    let all = if passed.is_empty() {
        against_words(flagged, &phrases, &index, &by_language)
    } else {
        against_passed(flagged, passed, &phrases, &index, &by_language)
    };
    // The languages follow the phrases.
    let languages: BTreeMap<&str, u32> = by_language.keys().copied().zip(phrases.len() as u32..).collect();
    let ranked = flagged.par_iter().map(|prompt| rank(prompt, &all, &index, languages[prompt.language])).collect();
    Triggers { all, ranked }
}

/// The places of a prompt's triggers, best first.
fn rank(prompt: &Prompt, all: &[Trigger], index: &Index, language: u32) -> Vec<u32> {
    let phrases = Words::of(prompt.text);
    let known = phrases.phrases().filter_map(|p| index.get(&p.hash).map(|place| (*place, p.words.len())));
    let z = |place: u32| all[place as usize].z;
    let mut ranked: Vec<(u32, usize)> = known.chain([(language, 0)]).filter(|r| z(r.0) > LEAST_Z).collect();
    // Of phrases that stand in the same prompts the longest says most.
    ranked.sort_by(|a, b| z(b.0).total_cmp(&z(a.0)).then(b.1.cmp(&a.1)).then(a.0.cmp(&b.0)));
    ranked.dedup();
    ranked.iter().take(N_RANKED).map(|r| r.0).collect()
}

/// Weighs phrases and languages by how much more often flagged prompts hold them than passed ones.
fn against_passed(
    flagged: &[Prompt],
    passed: &[Prompt],
    phrases: &[(u64, usize)],
    index: &Index,
    by_language: &BTreeMap<&str, (usize, usize)>,
) -> Vec<Trigger> {
    let totals = (flagged.len() as f64, passed.len() as f64);
    let base = totals.0 / (totals.0 + totals.1);
    let rates: BTreeMap<&str, u64> = by_language
        .iter()
        .map(|(language, (a, b))| {
            // A language of few prompts is drawn to the rate of all: it cannot explain itself.
            let rate = (*a as f64 + 10.0 * base) / ((a + b) as f64 + 10.0);
            (*language, (rate * MILLION).round() as u64)
        })
        .collect();
    let (n_passed, expected): (Vec<AtomicUsize>, Vec<AtomicU64>) = phrases.iter().map(|_| Default::default()).unzip();
    let holders = |prompt: &Prompt| {
        let mut places: Vec<u32> = Words::of(prompt.text).runs().filter_map(|run| index.get(&run.hash).copied()).collect();
        places.sort_unstable();
        places.dedup();
        places.iter().for_each(|place| _ = expected[*place as usize].fetch_add(rates[prompt.language], Relaxed));
        places
    };
    flagged.par_iter().for_each(|prompt| _ = holders(prompt));
    passed.par_iter().for_each(|prompt| holders(prompt).iter().for_each(|i| _ = n_passed[*i as usize].fetch_add(1, Relaxed)));
    let trigger = |phrase, n_flagged: usize, n_passed: usize, expected: f64| {
        let z = log_odds_z((n_flagged as f64, n_passed as f64), expected, totals);
        Trigger { phrase, n_flagged, n_passed, z }
    };
    let counts = n_passed.into_iter().zip(expected).map(|(n, e)| (n.into_inner(), e.into_inner() as f64 / MILLION));
    let phrases =
        phrases.iter().zip(counts).map(|((hash, n), (n_passed, expected))| trigger(Some(*hash), *n, n_passed, expected));
    let languages = by_language.iter().map(|(language, (a, b))| match *language {
        UNDETERMINED => Trigger { phrase: None, n_flagged: *a, n_passed: *b, z: 0.0 },
        _ => trigger(None, *a, *b, base * (a + b) as f64),
    });
    phrases.chain(languages).collect()
}

/// How sure it is that the odds of being flagged are raised by more than [`LEAST_ODDS_RATIO`], in standard errors.
///
/// `held` counts the flagged and the passed prompts that hold the trigger, `totals` all of them; of those that hold it
/// `expected` would be flagged if it had no part in it.
fn log_odds_z(held: (f64, f64), expected: f64, totals: (f64, f64)) -> f64 {
    let n = held.0 + held.1;
    let odds = |hits: f64, total: f64| (hits / (total - hits).max(0.5)).ln();
    let (flagged, passed) = (held.0 + PRIOR * expected, held.1 + PRIOR * (n - expected));
    let found = odds(flagged, (1.0 + PRIOR) * totals.0) - odds(passed, (1.0 + PRIOR) * totals.1);
    let explained = odds(expected, totals.0) - odds(n - expected, totals.1);
    (found - explained - LEAST_ODDS_RATIO.ln()) / (1.0 / flagged + 1.0 / passed).sqrt()
}

/// Weighs phrases by how much more often they occur than chance would put their words together, for want of passed prompts.
///
/// A word alone is held against the mean of all words, which says little: it weighs [`LONE`] as much. So does a language;
/// the commonest one, and English, whose idle words are known, are no triggers.
fn against_words(
    flagged: &[Prompt],
    phrases: &[(u64, usize)],
    index: &Index,
    by_language: &BTreeMap<&str, (usize, usize)>,
) -> Vec<Trigger> {
    let n = flagged.len() as f64;
    let words = common(flagged, |p| Words::of(p.text).hashes().to_vec(), 1);
    let mean = words.iter().map(|w| w.1 as f64).sum::<f64>() / words.len().max(1) as f64;
    let share = |hash: &u64| words.binary_search_by_key(hash, |w| w.0).map_or(1.0, |i| words[i].1 as f64 / n);
    let mut weights: Vec<Option<f64>> = vec![None; phrases.len()];
    for prompt in flagged {
        let text = Words::of(prompt.text);
        for phrase in text.phrases() {
            let Some(place) = index.get(&phrase.hash).map(|i| *i as usize) else { continue };
            let count = phrases[place].1 as f64;
            weights[place].get_or_insert_with(|| match phrase.words.len() {
                _ if !text.is_telling(&phrase) => 0.0,
                1 => LONE * surprise(count, mean),
                _ => surprise(count, n * text.hashes()[phrase.words].iter().map(share).product::<f64>()),
            });
        }
    }
    let commonest = by_language.iter().max_by_key(|l| l.1.0).map_or("", |l| l.0);
    let trigger = |phrase, n_flagged, z| Trigger { phrase, n_flagged, n_passed: 0, z };
    let phrases = phrases.iter().zip(weights).map(|((hash, n), z)| trigger(Some(*hash), *n, z.unwrap_or(0.0)));
    let languages = by_language.iter().map(|(language, (n, _))| match *language {
        "en" | UNDETERMINED => trigger(None, *n, 0.0),
        other if other == commonest => trigger(None, *n, 0.0),
        _ => trigger(None, *n, LONE * surprise(*n as f64, mean)),
    });
    phrases.chain(languages).collect()
}

/// Weight of a word alone against a phrase.
const LONE: f64 = 0.5;

/// How far a count stands above its expectation: the signed root of the Poisson deviance (McCullagh, Nelder 1989, 2.4).
fn surprise(count: f64, expected: f64) -> f64 {
    let deviance = 2.0 * (count * (count / expected).ln() - (count - expected));
    if count > expected { deviance.max(0.0).sqrt() } else { 0.0 }
}
