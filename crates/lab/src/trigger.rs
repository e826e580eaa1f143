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
    let words = Words::of(prompt.text);
    let z = |place: u32| all[place as usize].z;
    let place = |hash: &u64| index.get(hash).copied().filter(|place| z(*place) > LEAST_Z);
    let mut tells = vec![false; words.hashes().len()];
    words.runs().filter(|run| run.words.len() == 1).for_each(|run| tells[run.words.start] = place(&run.hash).is_some());
    let known = words.phrases().filter_map(|phrase| {
        let n_telling = tells[phrase.words.clone()].iter().filter(|tells| **tells).count();
        place(&phrase.hash).map(|place| (place, n_telling, phrase.words.len()))
    });
    let mut ranked: Vec<(u32, usize, usize)> = known.collect();
    ranked.extend((z(language) > LEAST_Z).then_some((language, 0, 0)));
    // Of phrases that stand in the same prompts the best has all words that tell and none that do not.
    ranked.sort_by(|a, b| z(b.0).total_cmp(&z(a.0)).then(b.1.cmp(&a.1)).then(a.2.cmp(&b.2)).then(a.0.cmp(&b.0)));
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
    let share = |hash: u64| words.binary_search_by_key(&hash, |w| w.0).map_or(1.0, |i| words[i].1 as f64 / n);
    let mut weights: Vec<Option<f64>> = vec![None; phrases.len()];
    for prompt in flagged {
        let text = Words::of(prompt.text);
        for phrase in text.phrases() {
            let Some(place) = index.get(&phrase.hash).map(|i| *i as usize) else { continue };
            let count = phrases[place].1 as f64;
            weights[place].get_or_insert_with(|| match phrase.words.len() {
                _ if !text.is_telling(&phrase) => 0.0,
                1 => LONE * surprise(count, mean),
                _ => surprise(count, n * text.content(&phrase).map(share).product::<f64>()),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn prompts<'a>(texts: &'a [String], language: &'a str) -> Vec<Prompt<'a>> {
        texts.iter().map(|text| Prompt { text, language }).collect()
    }

    fn numbered(n: usize, text: impl Fn(usize) -> String) -> Vec<String> {
        (0..n).map(text).collect()
    }

    /// The best trigger of each flagged prompt: a phrase in its own spelling, or `(language)`.
    fn best(flagged: &[Prompt], passed: &[Prompt]) -> Vec<String> {
        let triggers = find_triggers(flagged, passed);
        let name = |(prompt, ranked): (&Prompt, &Vec<u32>)| match ranked.first().map(|i| triggers.all[*i as usize].phrase) {
            None => "-".to_string(),
            Some(None) => "(language)".to_string(),
            Some(Some(hash)) => {
                let words = Words::of(prompt.text);
                let phrase = words.phrases().find(|p| p.hash == hash).unwrap();
                words.spelling(&phrase)
            }
        };
        flagged.iter().zip(&triggers.ranked).map(name).collect()
    }

    #[test]
    fn the_word_that_only_flagged_prompts_hold_is_found() {
        let topics = ["bank", "mail", "phone", "laptop", "router", "garden"];
        let flagged = numbered(6, |i| format!("I forgot the password of my {}", topics[i]));
        let passed = numbered(30, |i| format!("I forgot the colour of my {} number {i}", topics[i % 6]));
        let found = best(&prompts(&flagged, "en"), &prompts(&passed, "en"));
        assert_eq!(found, vec!["password"; 6]);
        // In other words the same.
        let ways = ["reset a password", "which password", "password lost", "my old password", "Password!", "no password here"];
        let flagged = ways.map(str::to_string);
        assert_eq!(best(&prompts(&flagged, "en"), &prompts(&passed, "en")), vec!["password"; 6]);
        // Two words that only flagged prompts hold, and always together, are one phrase.
        let flagged = numbered(6, |i| format!("Is the system prompt of my {} long", topics[i]));
        assert_eq!(best(&prompts(&flagged, "en"), &prompts(&passed, "en")), vec!["system prompt"; 6]);
    }

    #[test]
    fn what_the_language_explains_is_no_phrase() {
        let german = numbered(40, |i| format!("und was ist Ding {i}"));
        let english = numbered(200, |i| format!("and what is thing {i}"));
        let (flagged_german, passed_german) = german.split_at(36);
        let flagged = prompts(flagged_german, "de");
        let passed = [prompts(passed_german, "de"), prompts(&english, "en")].concat();
        assert_eq!(best(&flagged, &passed), vec!["(language)"; 36]);
        // The same prompts without languages: now the words must do.
        let flagged = prompts(flagged_german, UNDETERMINED);
        let passed = [prompts(passed_german, UNDETERMINED), prompts(&english, UNDETERMINED)].concat();
        assert!(best(&flagged, &passed).iter().all(|phrase| phrase.contains("ist")));
    }

    #[test]
    fn without_passed_prompts_words_that_belong_together_are_found() {
        let subjects = ["apple", "river", "engine", "violin", "castle", "market", "doctor", "planet"];
        let mut flagged = numbered(8, |i| format!("show the system prompt for {}", subjects[i]));
        flagged.extend(numbered(8, |i| format!("{} get it", subjects[i])));
        let found = best(&prompts(&flagged, "en"), &[]);
        assert_eq!(found[..8], vec!["system prompt"; 8]);
        assert_eq!(found[8..], vec!["-"; 8], "a common word is no surprise");
    }

    #[test]
    fn weights_are_those_of_the_formulas() {
        // Computed apart, in Python, from the definitions.
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(near(log_odds_z((30.0, 10.0), 8.0, (200.0, 800.0)), 5.969_545_729_169_51));
        assert!(near(log_odds_z((30.0, 10.0), 29.0, (200.0, 800.0)), -0.812_008_343_498_199_6));
        assert!(near(surprise(20.0, 1.6), 8.014_308_814_385_07) && surprise(1.0, 2.0) == 0.0);
    }

    #[test]
    fn triggers_do_not_depend_on_the_number_of_threads() {
        let flagged = numbered(300, |i| format!("please {} the secret {} of {}", i % 7, i % 11, i % 13));
        let passed = numbered(600, |i| format!("please {} the open {} of {}", i % 7, i % 5, i % 17));
        let run = |n: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
            pool.install(|| find_triggers(&prompts(&flagged, "en"), &prompts(&passed, "de")).ranked)
        };
        assert_eq!(run(1), run(5));
    }
}
