//! Which false positives to spend the budget on: by category priority, spread over the clusters, and inside a cluster by how
//! many entries of the traffic a prompt stands for and how sure the guard is of it.

use std::collections::{BTreeMap, HashMap, HashSet};

use levelhead::normalize;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::false_positive::Candidate;
use crate::llm::Asked;
use crate::random::Random;
use crate::recipe::Recipe;

/// The seed's priorities: where users meet the most false positives.
pub const PRIORITIES: [(&str, f64); 5] =
    [("programming", 0.40), ("education", 0.25), ("technical_docs", 0.20), ("edge_cases", 0.10), ("conversational", 0.05)];

/// How false positives are chosen and multiplied.
///
/// | name | default | purpose | range |
/// |---|---|---|---|
/// | `n_false_positives` | 1000 | false positives to start from | 1 up |
/// | `n_variations` | 5 | rows made from each | 1 up |
/// | `priorities` | the seed's | share of each category | 0 up, not all 0 |
/// | `rest` | 0 | share given to all categories by their number of false positives | 0 to 1 |
/// | `most_per_cluster` | 0.2 | share of the false positives that one cluster may have | above 0, to 1 |
/// | `recipe` | see [`Recipe`] | the strategies that make the rows | |
/// | `seed` | 42 | every random choice | |
#[derive(Debug, Clone, PartialEq)]
pub struct ReinforceConfig {
    /// False positives to start from.
    pub n_false_positives: usize,
    /// Rows made from each.
    pub n_variations: usize,
    /// Share of each category.
    pub priorities: BTreeMap<String, f64>,
    /// Share given to all categories by their number of false positives.
    pub rest: f64,
    /// Share of the false positives that one cluster may have.
    pub most_per_cluster: f64,
    /// The strategies that make the rows.
    pub recipe: Recipe,
    /// Every random choice.
    pub seed: u64,
}

impl Default for ReinforceConfig {
    fn default() -> Self {
        ReinforceConfig {
            n_false_positives: 1000,
            n_variations: 5,
            priorities: PRIORITIES.iter().map(|(name, share)| (name.to_string(), *share)).collect(),
            rest: 0.0,
            most_per_cluster: 0.2,
            recipe: Recipe::default(),
            seed: 42,
        }
    }
}

/// What was asked for and what came of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Plan {
    /// Distinct false positives at hand.
    pub n_available: usize,
    /// Clusters that the chosen ones come from, and the distinct false positives of those clusters: what can be expected to go,
    /// at most.
    pub reach: [usize; 2],
    /// Entries of the traffic that those stand for, and that all false positives stand for.
    pub entries: [usize; 2],
    /// By category: asked for, available, chosen.
    pub categories: BTreeMap<String, [usize; 3]>,
    /// By strategy: rows proposed, rows kept.
    pub strategies: BTreeMap<String, [usize; 2]>,
    /// Proposed rows left out, by reason.
    pub left_out: BTreeMap<String, usize>,
    /// What a model was asked, or would be, where the recipe asks one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub llm: Option<Asked>,
    /// What fell short, in words.
    pub shortages: Vec<String>,
}

/// Looks through the settings.
pub(crate) fn check(config: &ReinforceConfig) -> Result<()> {
    let shares: Vec<f64> = config.priorities.values().copied().collect();
    let faults = [
        (config.n_false_positives == 0, "false-positives", "is 0: at least one is needed"),
        (config.n_variations == 0, "variations", "is 0: at least one is needed"),
        (shares.iter().any(|s| !(*s >= 0.0 && s.is_finite())), "priority", "a share is below 0"),
        (!(0.0..=1.0).contains(&config.rest), "rest", "is not between 0 and 1"),
        (!(config.most_per_cluster > 0.0 && config.most_per_cluster <= 1.0), "most-per-cluster", "is not above 0 and at most 1"),
        (config.rest < 1.0 && shares.iter().sum::<f64>() <= 0.0, "priority", "all shares are 0"),
    ];
    match faults.iter().find(|f| f.0) {
        Some((_, name, reason)) => Err(Error::setting(name, reason)),
        None => Ok(()),
    }
}

/// Two prompts with the same key are the same prompt.
pub(crate) fn key(text: &str) -> String {
    normalize(text).as_str().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The candidates with distinct prompts; the first of equals stands for the entries of all.
pub(crate) fn distinct(false_positives: &[Candidate]) -> Vec<Candidate> {
    let mut place_of: HashMap<String, usize> = HashMap::new();
    let mut merged: Vec<Candidate> = Vec::new();
    for fp in false_positives {
        let place = *place_of.entry(key(&fp.prompt)).or_insert(merged.len());
        match merged.get_mut(place) {
            Some(first) => first.entries += fp.entries,
            None => merged.push(fp.clone()),
        }
    }
    merged
}

/// Fills each category's quota, cluster after cluster in turn, so that no large cluster takes it all.
pub(crate) fn choose<'a>(candidates: &'a [Candidate], config: &ReinforceConfig, plan: &mut Plan) -> Vec<&'a Candidate> {
    let mut by_category: BTreeMap<&str, Vec<&Candidate>> = BTreeMap::new();
    for fp in candidates {
        by_category.entry(&fp.category).or_default().push(fp);
    }
    let quotas = quotas(&by_category, config);
    let mut chosen = Vec::new();
    let cap = (config.most_per_cluster * config.n_false_positives as f64).ceil() as usize;
    let mut n_of_cluster: HashMap<&str, usize> = HashMap::new();
    for (category, quota) in &quotas {
        let available = by_category.get(category.as_str()).map_or(&[][..], |v| v);
        let mut taken = Vec::new();
        let mut n_capped = 0;
        for fp in spread(available, config.seed) {
            if taken.len() == *quota {
                break;
            }
            let n = n_of_cluster.entry(&fp.cluster).or_default();
            // Prompts without a phrase have nothing in common that could take too much.
            if *n < cap || fp.cluster.is_empty() {
                *n += 1;
                taken.push(fp);
            } else {
                n_capped += 1;
            }
        }
        plan.categories.insert(category.clone(), [*quota, available.len(), taken.len()]);
        if taken.len() < *quota {
            let of_them = if n_capped > 0 { format!(", {n_capped} of them beyond their cluster's share") } else { String::new() };
            plan.shortages
                .push(format!("{category}: {quota} false positives asked for, {} distinct ones found{of_them}", available.len()));
        }
        chosen.extend(taken);
    }
    let clusters: HashSet<&str> = chosen.iter().map(|fp| fp.cluster.as_str()).collect();
    let within = || candidates.iter().filter(|fp| clusters.contains(fp.cluster.as_str()));
    plan.reach = [clusters.len(), within().count()];
    plan.entries = [within().map(|fp| fp.entries).sum(), candidates.iter().map(|fp| fp.entries).sum()];
    chosen
}

fn quotas(by_category: &BTreeMap<&str, Vec<&Candidate>>, config: &ReinforceConfig) -> BTreeMap<String, usize> {
    let total: f64 = config.priorities.values().sum();
    let n_all: usize = by_category.values().map(Vec::len).sum();
    let mut shares: BTreeMap<String, f64> = BTreeMap::new();
    for (category, share) in &config.priorities {
        *shares.entry(category.clone()).or_default() += (1.0 - config.rest) * share / total.max(f64::MIN_POSITIVE);
    }
    for (category, list) in by_category {
        *shares.entry(category.to_string()).or_default() += config.rest * list.len() as f64 / n_all as f64;
    }
    // Running totals are rounded, so that the quotas add up to the number asked for.
    let (mut sum, mut given) = (0.0, 0);
    shares.retain(|_, share| *share > 0.0);
    shares
        .into_iter()
        .map(|(category, share)| {
            sum += share * config.n_false_positives as f64;
            let quota = sum.round() as usize - given;
            given += quota;
            (category, quota)
        })
        .collect()
}

/// The false positives, taken from the clusters in turn; a cluster's turns grow with the square root of its entries.
///
/// Inside a cluster they come at random, one of twice the entries or twice the score twice as likely first (Efraimidis,
/// Spirakis, 2006: the least of -ln(u) / weight).
fn spread<'a>(available: &[&'a Candidate], seed: u64) -> Vec<&'a Candidate> {
    let mut clusters: BTreeMap<&str, Vec<&Candidate>> = BTreeMap::new();
    for fp in available {
        clusters.entry(&fp.cluster).or_default().push(fp);
    }
    let mut random = Random::new(seed, "choice of false positives");
    // The k-th of a cluster of s entries stands at (k + u) / sqrt(s): sorting by it deals the turns out.
    let mut order: Vec<(f64, &Candidate)> = Vec::new();
    for list in clusters.values() {
        let weight = |fp: &Candidate| fp.entries.max(1) as f64 * fp.score.clamp(0.01, 1.0);
        let mut drawn: Vec<(f64, &Candidate)> = list.iter().map(|fp| (-(1.0 - random.unit()).ln() / weight(fp), *fp)).collect();
        drawn.sort_by(|a, b| a.0.total_cmp(&b.0));
        let root = (list.iter().map(|fp| fp.entries.max(1)).sum::<usize>() as f64).sqrt();
        let offset = random.unit();
        order.extend(drawn.iter().enumerate().map(|(k, (_, fp))| ((k as f64 + offset) / root, *fp)));
    }
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    order.into_iter().map(|(_, fp)| fp).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_cluster_is_not_drowned_by_a_large_one() {
        let candidate = |i: usize| Candidate {
            id: i.to_string(),
            prompt: format!("prompt {i}"),
            category: "programming".into(),
            cluster: if i < 250 { "password" } else { "secret" }.into(),
            ..Candidate::default()
        };
        let all: Vec<Candidate> = (0..300).map(candidate).collect();
        let list: Vec<&Candidate> = all.iter().collect();
        let order = spread(&list, 1);
        let small = order[..40].iter().filter(|f| f.cluster == "secret").count();
        // Proportional sampling would give 7 of 40; sqrt(50) against sqrt(250) gives 12.
        assert!((11..=14).contains(&small), "{small}");
    }

    #[test]
    fn what_many_entries_say_and_the_guard_is_sure_of_comes_first() {
        let candidate = |i: usize, entries: usize, score: f64| Candidate {
            id: i.to_string(),
            prompt: format!("prompt {i}"),
            cluster: "password".into(),
            entries,
            score,
            ..Candidate::default()
        };
        let all: Vec<Candidate> =
            (0..300).map(|i| candidate(i, if i % 3 == 0 { 9 } else { 1 }, if i % 3 == 1 { 0.1 } else { 0.9 })).collect();
        let order = spread(&all.iter().collect::<Vec<_>>(), 1);
        let first = |rest: usize| order[..100].iter().filter(|fp| fp.id.parse::<usize>().unwrap() % 3 == rest).count();
        // Weights 8.1, 0.1 and 0.9: the first hundred are nearly all of the first kind, hardly any of the second.
        assert!(first(0) > 70 && first(1) < 8 && first(2) > first(1), "{} {} {}", first(0), first(1), first(2));
    }

    #[test]
    fn a_prompt_that_comes_again_is_one_candidate_of_more_entries() {
        let fp = |prompt: &str| Candidate { prompt: prompt.into(), entries: 1, ..Candidate::default() };
        let merged = distinct(&[fp("Reset my password"), fp("Other"), fp("reset  my password")]);
        assert_eq!(merged.iter().map(|fp| fp.entries).collect::<Vec<_>>(), [2, 1]);
    }
}
