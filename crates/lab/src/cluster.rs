//! Clusters of false positives: those that share the trigger that explains them best.
//!
//! Every false positive is in exactly one cluster; what no trigger explains is kept and shown as such.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::false_positive::{EntryId, FalsePositive};
use crate::phrase::Words;
use crate::slice::Tally;
use crate::trigger::{FEWEST, Prompt, find_triggers};

/// What holds a cluster together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClusterKind {
    /// A phrase.
    Phrase,
    /// The language of the prompts.
    Language,
    /// Nothing: the rest.
    Rest,
}

/// False positives that share what explains them best.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cluster {
    /// The phrase in normalized spelling; `(text in de)` for a language, `(no common phrase)` for the rest.
    pub phrase: String,
    /// What holds it together.
    pub kind: ClusterKind,
    /// Entries, repeats included.
    pub entries: usize,
    /// Distinct prompts.
    pub distinct: usize,
    /// Its share of all distinct false positives.
    pub share: f64,
    /// All distinct prompts that hold the phrase, in whatever cluster, and how many of them were flagged.
    pub holding: Tally,
    /// Mean score of the distinct prompts; nothing where a score is missing.
    pub mean_score: Option<f64>,
    /// The commonest categories, at most [`N_CATEGORIES`].
    pub categories: Vec<CategoryCount>,
    /// Ids of distinct prompts, evenly spread from the highest score to the lowest, at most [`N_EXAMPLES`].
    pub examples: Vec<EntryId>,
}

/// A category's part in a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CategoryCount {
    /// The category.
    pub name: String,
    /// Its distinct prompts in the cluster.
    pub distinct: usize,
}

/// How many categories a cluster names.
pub const N_CATEGORIES: usize = 3;
/// How many examples a cluster names.
pub const N_EXAMPLES: usize = 5;

/// Clusters the false positives, largest cluster first and the rest last, and gives each entry its cluster.
///
/// `prompt_of` numbers the distinct prompt of each entry from 0 in the order of the entries.
pub(crate) fn cluster(fps: &mut [FalsePositive], prompt_of: &[usize], passed: &[Prompt]) -> Vec<Cluster> {
    // The first entry of each distinct prompt stands for it.
    let mut n_entries: Vec<usize> = Vec::new();
    let mut first: Vec<usize> = Vec::new();
    for (entry, prompt) in prompt_of.iter().enumerate() {
        if *prompt == first.len() {
            first.push(entry);
            n_entries.push(0);
        }
        n_entries[*prompt] += 1;
    }
    let flagged: Vec<Prompt> = first.iter().map(|i| Prompt { text: &fps[*i].prompt, language: &fps[*i].language }).collect();
    let triggers = find_triggers(&flagged, passed);
    let mut clusters: Vec<(Cluster, Vec<usize>)> = group(triggers.all.len(), &triggers.ranked)
        .into_iter()
        .map(|(trigger, prompts)| {
            let (phrase, kind, holding) = match trigger.map(|i| &triggers.all[i as usize]) {
                None => ("(no common phrase)".to_string(), ClusterKind::Rest, Tally { total: None, fp: prompts.len() }),
                Some(t) => {
                    let total = (!passed.is_empty()).then_some(t.n_flagged + t.n_passed);
                    let one = flagged[prompts[0]];
                    match t.phrase {
                        Some(hash) => (spelling(one.text, hash), ClusterKind::Phrase, Tally { total, fp: t.n_flagged }),
                        None => (format!("(text in {})", one.language), ClusterKind::Language, Tally { total, fp: t.n_flagged }),
                    }
                }
            };
            let scores: Option<Vec<f64>> = prompts.iter().map(|p| fps[first[*p]].score).collect();
            let cluster = Cluster {
                phrase,
                kind,
                entries: prompts.iter().map(|p| n_entries[*p]).sum(),
                distinct: prompts.len(),
                share: prompts.len() as f64 / first.len() as f64,
                holding,
                mean_score: scores.map(|s| s.iter().sum::<f64>() / s.len() as f64),
                categories: categories(prompts.iter().map(|p| fps[first[*p]].category.as_str())),
                examples: spread(&prompts).map(|p| fps[first[p]].id.clone()).collect(),
            };
            (cluster, prompts)
        })
        .collect();
    let order = |c: &Cluster| (c.kind == ClusterKind::Rest, std::cmp::Reverse((c.distinct, c.entries)));
    clusters.sort_by(|(a, _), (b, _)| order(a).cmp(&order(b)).then_with(|| a.phrase.cmp(&b.phrase)));
    let mut cluster_of = vec![0; first.len()];
    for (i, (_, prompts)) in clusters.iter().enumerate() {
        prompts.iter().for_each(|p| cluster_of[*p] = i);
    }
    fps.iter_mut().zip(prompt_of).for_each(|(fp, prompt)| fp.cluster = cluster_of[*prompt]);
    clusters.into_iter().map(|c| c.0).collect()
}

/// The prompts of each trigger, in order; each goes to the best of its triggers that is the best of enough prompts.
fn group(n_triggers: usize, ranked: &[Vec<u32>]) -> BTreeMap<Option<u32>, Vec<usize>> {
    let mut sizes = vec![0; n_triggers];
    ranked.iter().filter_map(|ranked| ranked.first()).for_each(|i| sizes[*i as usize] += 1);
    let mut groups: BTreeMap<Option<u32>, Vec<usize>> = BTreeMap::new();
    for (prompt, ranked) in ranked.iter().enumerate() {
        let trigger = ranked.iter().find(|i| sizes[**i as usize] >= FEWEST).copied();
        groups.entry(trigger).or_default().push(prompt);
    }
    groups
}

fn spelling(text: &str, hash: u64) -> String {
    let words = Words::of(text);
    let phrase = words.phrases().find(|p| p.hash == hash);
    phrase.map(|p| words.spelling(&p)).expect("a prompt holds its triggers")
}

fn categories<'a>(names: impl Iterator<Item = &'a str>) -> Vec<CategoryCount> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    names.for_each(|name| *counts.entry(name).or_default() += 1);
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|c| std::cmp::Reverse(c.1));
    counts.into_iter().take(N_CATEGORIES).map(|(name, distinct)| CategoryCount { name: name.to_string(), distinct }).collect()
}

/// At most [`N_EXAMPLES`] of the prompts, evenly spread, the first and the last among them.
fn spread(prompts: &[usize]) -> impl Iterator<Item = usize> {
    let n = prompts.len().min(N_EXAMPLES);
    (0..n).map(move |i| prompts[i * (prompts.len() - 1) / (n - 1).max(1)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clusters(texts: &[&str], prompt_of: &[usize]) -> (Vec<Cluster>, Vec<usize>) {
        let mut fps: Vec<FalsePositive> = texts
            .iter()
            .enumerate()
            .map(|(i, text)| FalsePositive {
                id: i.into(),
                prompt: text.to_string(),
                category: if i < 4 { "a" } else { "b" }.to_string(),
                threats: vec![],
                score: Some(1.0 - i as f64 / 8.0),
                family: "f".into(),
                source: "s".into(),
                language: "en".into(),
                cluster: usize::MAX,
            })
            .collect();
        let passed: Vec<String> = (0..40).map(|i| format!("tell a story of {i} birds")).collect();
        let passed: Vec<Prompt> = passed.iter().map(|text| Prompt { text, language: "en" }).collect();
        let clusters = cluster(&mut fps, prompt_of, &passed);
        (clusters, fps.iter().map(|fp| fp.cluster).collect())
    }

    #[test]
    fn every_false_positive_is_in_one_cluster_and_the_rest_is_kept() {
        let texts = ["password a1", "b2 password", "password b2", "C3 PASSWORD", "c3 password", "lonely", "the"];
        let (clusters, of) = clusters(&texts, &[0, 1, 2, 3, 3, 4, 5]);
        assert_eq!(of, [0, 0, 0, 0, 0, 1, 1]);
        let [first, rest] = &clusters[..] else { panic!("{clusters:?}") };
        assert_eq!((first.phrase.as_str(), first.kind), ("password", ClusterKind::Phrase));
        assert_eq!((first.entries, first.distinct, first.share), (5, 4, 4.0 / 6.0));
        assert_eq!(first.holding, Tally { total: Some(4), fp: 4 });
        // (1 + 0.875 + 0.75 + 0.625) / 4: the repeat does not count.
        assert_eq!(first.mean_score, Some(0.8125));
        assert_eq!(first.categories, [CategoryCount { name: "a".into(), distinct: 4 }]);
        assert_eq!(first.examples, [0, 1, 2, 3].map(EntryId::from));
        assert_eq!((rest.phrase.as_str(), rest.kind, rest.distinct), ("(no common phrase)", ClusterKind::Rest, 2));
    }

    #[test]
    fn a_prompt_whose_best_trigger_has_too_few_goes_to_its_next() {
        let ranked = vec![vec![0], vec![0, 1], vec![0], vec![1, 2, 0], vec![1], vec![]];
        let groups = group(3, &ranked);
        assert_eq!(groups, BTreeMap::from([(None, vec![4, 5]), (Some(0), vec![0, 1, 2, 3])]));
    }

    #[test]
    fn examples_are_spread_from_first_to_last() {
        let prompts: Vec<usize> = (10..21).collect();
        assert_eq!(spread(&prompts).collect::<Vec<_>>(), [10, 12, 15, 17, 20]);
        assert_eq!(spread(&[7]).collect::<Vec<_>>(), [7]);
        assert_eq!(spread(&[7, 9]).collect::<Vec<_>>(), [7, 9]);
    }
}
