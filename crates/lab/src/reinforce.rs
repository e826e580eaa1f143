//! Strategic sampling: which false positives to spend the budget on, and the rows that they become.
//!
//! Every row is distinct, and none is equal to or a near-duplicate of an attack or of a row that is measured on. A number
//! that cannot be reached is said to be out of reach; it is never reached by repeats.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use levelhead::{BENIGN, normalize};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::group::NearIndex;
use crate::random::Random;
use crate::row::{Label, Row};
use crate::variation::variations;

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
/// | `originals` | false | the false positive itself is the first of its rows | only where it is not measured on |
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
    /// Whether the false positive itself is the first of its rows.
    pub originals: bool,
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
            originals: false,
            seed: 42,
        }
    }
}

/// A benign prompt that a guard flagged, as reinforcement takes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// What the audit calls it.
    pub id: String,
    /// The prompt.
    pub prompt: String,
    /// Its benign category.
    pub category: String,
    /// The phrase of its cluster.
    pub cluster: String,
    /// P(attack) by the guard.
    pub score: f64,
}

/// What reinforcement draws from and what it must keep away from.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sources<'a> {
    /// Real benign prompts, taken before any variation is made up.
    pub pool: &'a [&'a str],
    /// Benign prompts that look like attacks, added as they are.
    pub hard_negatives: &'a [Row],
    /// Attacks: no row may be near one.
    pub attacks: Option<&'a NearIndex>,
    /// Prompts that are measured on: no row may be near one.
    pub measured: Option<&'a NearIndex>,
}

/// Where a row came from: one line of the sidecar `.lineage.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lineage {
    /// The row, from 0, in the reinforced file.
    pub row: usize,
    /// The false positive that it came from; nothing for a hard negative.
    pub false_positive: Option<String>,
    /// How it was made: `original`, `neighbor`, `hard_negative`, or the strategy of a variation.
    pub strategy: String,
    /// The seed of the random choices.
    pub seed: u64,
    /// Rows with the same key belong to one split.
    pub group: String,
}

/// Reinforced training data.
#[derive(Debug, Clone, Default)]
pub struct Reinforced {
    /// Benign rows in the seed's schema.
    pub rows: Vec<Row>,
    /// One entry for each row.
    pub lineage: Vec<Lineage>,
    /// What was asked for and what came of it.
    pub plan: Plan,
}

/// What was asked for and what came of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Plan {
    /// Distinct false positives at hand.
    pub n_available: usize,
    /// By category: asked for, available, chosen.
    pub categories: BTreeMap<String, [usize; 3]>,
    /// Rows by strategy.
    pub strategies: BTreeMap<String, usize>,
    /// Candidate rows left out, by reason.
    pub left_out: BTreeMap<String, usize>,
    /// What fell short, in words.
    pub shortages: Vec<String>,
}

/// Chooses false positives and makes the rows.
///
/// # Errors
/// [`Error::Setting`] for counts of 0 or shares that cannot be used; [`Error::Data`] where there are no false positives.
pub fn reinforce(false_positives: &[Candidate], sources: Sources<'_>, config: &ReinforceConfig) -> Result<Reinforced> {
    check(config)?;
    let candidates = distinct(false_positives);
    if candidates.is_empty() {
        return Err(Error::data("the audit holds no false positive: there is nothing to reinforce"));
    }
    let mut out = Reinforced { plan: Plan { n_available: candidates.len(), ..Plan::default() }, ..Reinforced::default() };
    let chosen = choose(&candidates, config, &mut out.plan);
    let mut writer = Writer::new(sources, config.seed, &mut out);
    for row in sources.hard_negatives {
        writer.hard_negative(row);
    }
    let neighbors = Neighbors::new(&chosen, sources.pool);
    let mut random = Random::new(config.seed, "variations");
    let mut n_short = 0;
    for (nth, fp) in chosen.iter().enumerate() {
        let mut n_left = config.n_variations;
        if config.originals {
            n_left -= usize::from(writer.add(fp, &fp.prompt, "original"));
        }
        for text in neighbors.of(nth) {
            if n_left == 0 {
                break;
            }
            n_left -= usize::from(writer.add(fp, text, "neighbor"));
        }
        // Some variations are left out for being near an attack or a measured row: make more than are needed.
        for variation in variations(&fp.prompt, 3 * n_left, &mut random) {
            if n_left == 0 {
                break;
            }
            n_left -= usize::from(writer.add(fp, &variation.text, variation.strategy));
        }
        n_short += usize::from(n_left > 0);
    }
    if n_short > 0 {
        let message = format!("{n_short} of {} false positives gave fewer than {} rows", chosen.len(), config.n_variations);
        out.plan.shortages.push(message);
    }
    Ok(out)
}

fn check(config: &ReinforceConfig) -> Result<()> {
    let shares: Vec<f64> = config.priorities.values().copied().collect();
    let faults = [
        (config.n_false_positives == 0, "false-positives", "is 0: at least one is needed"),
        (config.n_variations == 0, "variations", "is 0: at least one is needed"),
        (shares.iter().any(|s| !(*s >= 0.0 && s.is_finite())), "priority", "a share is below 0"),
        (!(0.0..=1.0).contains(&config.rest), "rest", "is not between 0 and 1"),
        (config.rest < 1.0 && shares.iter().sum::<f64>() <= 0.0, "priority", "all shares are 0"),
    ];
    match faults.iter().find(|f| f.0) {
        Some((_, name, reason)) => Err(Error::setting(name, reason)),
        None => Ok(()),
    }
}

fn key(text: &str) -> String {
    normalize(text).as_str().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn distinct(false_positives: &[Candidate]) -> Vec<&Candidate> {
    let mut seen = HashSet::new();
    false_positives.iter().filter(|fp| seen.insert(key(&fp.prompt))).collect()
}

/// Fills each category's quota, cluster after cluster in turn, so that no large cluster takes it all.
fn choose<'a>(candidates: &[&'a Candidate], config: &ReinforceConfig, plan: &mut Plan) -> Vec<&'a Candidate> {
    let mut by_category: BTreeMap<&str, Vec<&Candidate>> = BTreeMap::new();
    for fp in candidates {
        by_category.entry(&fp.category).or_default().push(fp);
    }
    let quotas = quotas(&by_category, config);
    let mut chosen = Vec::new();
    for (category, quota) in &quotas {
        let available = by_category.get(category.as_str()).map_or(&[][..], |v| v);
        let taken = spread(available, *quota, config.seed);
        plan.categories.insert(category.clone(), [*quota, available.len(), taken.len()]);
        if taken.len() < *quota {
            plan.shortages.push(format!("{category}: {quota} false positives asked for, {} distinct ones found", available.len()));
        }
        chosen.extend(taken);
    }
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

/// `n` of the false positives, taken from the clusters in turn; a cluster's turns grow with the square root of its size.
fn spread<'a>(available: &[&'a Candidate], n: usize, seed: u64) -> Vec<&'a Candidate> {
    let mut clusters: BTreeMap<&str, Vec<&Candidate>> = BTreeMap::new();
    for fp in available {
        clusters.entry(&fp.cluster).or_default().push(fp);
    }
    let mut random = Random::new(seed, "choice of false positives");
    // The k-th of a cluster of size s stands at (k + u) / sqrt(s): sorting by it deals the turns out.
    let mut order: Vec<(f64, &Candidate)> = Vec::new();
    for list in clusters.values_mut() {
        random.shuffle(list);
        let root = (list.len() as f64).sqrt();
        let offset = random.unit();
        order.extend(list.iter().enumerate().map(|(k, fp)| ((k as f64 + offset) / root, *fp)));
    }
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    order.into_iter().take(n).map(|(_, fp)| fp).collect()
}

/// Pool prompts that share a chosen false positive's cluster phrase, nearest by words first.
struct Neighbors<'a> {
    by_chosen: Vec<Vec<&'a str>>,
}

/// A prompt shares its phrase with thousands of others in a large pool; the first ones are enough to choose from.
const MOST_CANDIDATES: usize = 400;

impl<'a> Neighbors<'a> {
    fn new(chosen: &[&Candidate], pool: &'a [&'a str]) -> Neighbors<'a> {
        let phrases: HashSet<&str> = chosen.iter().map(|fp| fp.cluster.as_str()).filter(|p| !p.is_empty()).collect();
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
                let list = by_phrase.get(fp.cluster.as_str()).map_or(&[][..], |v| v);
                let mut ranked: Vec<(f64, &str)> = list.iter().map(|(text, theirs)| (jaccard(&own, theirs), *text)).collect();
                ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
                ranked.into_iter().map(|(_, text)| text).collect()
            })
            .collect();
        Neighbors { by_chosen }
    }

    fn of(&self, nth: usize) -> &[&'a str] {
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

/// Takes rows that may be taken.
struct Writer<'a> {
    out: &'a mut Reinforced,
    seen: HashSet<String>,
    attacks: Option<&'a NearIndex>,
    measured: Option<&'a NearIndex>,
    seed: u64,
}

fn is_near(index: Option<&NearIndex>, text: &str) -> bool {
    index.is_some_and(|index| index.nearest(text).is_some())
}

impl<'a> Writer<'a> {
    fn new(sources: Sources<'a>, seed: u64, out: &'a mut Reinforced) -> Writer<'a> {
        Writer { out, seen: HashSet::new(), attacks: sources.attacks, measured: sources.measured, seed }
    }

    /// Whether the text became a row.
    fn add(&mut self, fp: &Candidate, text: &str, strategy: &str) -> bool {
        let reason = if text.trim().is_empty() {
            "empty"
        } else if self.seen.contains(&key(text)) {
            "equal to an earlier row"
        } else if is_near(self.attacks, text) {
            "near an attack"
        } else if is_near(self.measured, text) {
            "near a measured row"
        } else {
            self.seen.insert(key(text));
            self.push(fp, text, strategy);
            return true;
        };
        *self.out.plan.left_out.entry(reason.to_string()).or_default() += 1;
        false
    }

    fn push(&mut self, fp: &Candidate, text: &str, strategy: &str) {
        let mut row = Row::new(text, Label::Benign);
        row.category = handoff_category(&fp.category).into();
        row.confidence = 0.95;
        row.source = "reinforced".into();
        row.notes = format!("{strategy} of a false positive in {}", fp.category).into();
        let group = blake3::hash(key(&fp.prompt).as_bytes()).to_hex()[..16].to_string();
        self.record(row, Some(fp.prompt.clone()), strategy, group);
    }

    fn hard_negative(&mut self, row: &Row) {
        let reason = if !self.seen.insert(key(&row.text)) {
            "equal to an earlier row"
        } else if is_near(self.measured, &row.text) {
            "near a measured row"
        } else {
            let group = blake3::hash(key(&row.text).as_bytes()).to_hex()[..16].to_string();
            let mut row = row.clone();
            row.category = "benign_technical_help".into();
            row.source = "reinforced".into();
            row.extra = Box::default();
            return self.record(row, None, "hard_negative", group);
        };
        *self.out.plan.left_out.entry(reason.to_string()).or_default() += 1;
    }

    fn record(&mut self, mut row: Row, false_positive: Option<String>, strategy: &str, group: String) {
        row.family = Arc::from(BENIGN);
        row.severity = "info".into();
        *self.out.plan.strategies.entry(strategy.to_string()).or_default() += 1;
        let lineage = Lineage { row: self.out.rows.len(), false_positive, strategy: strategy.into(), seed: self.seed, group };
        self.out.rows.push(row);
        self.out.lineage.push(lineage);
    }
}

/// The names that the seed's file gives to its categories.
fn handoff_category(category: &str) -> &'static str {
    match category {
        "programming" | "technical_docs" => "benign_technical_help",
        "conversational" => "benign_casual_conversation",
        "education" | "professional" | "daily_tasks" | "creative" | "general_knowledge" => "benign_task_request",
        _ => "benign_other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::GroupConfig;

    fn fp(i: usize, category: &str, cluster: &str) -> Candidate {
        Candidate {
            id: i.to_string(),
            prompt: format!("How do I rotate the {cluster} number {i} of my own server safely?"),
            category: category.to_string(),
            cluster: cluster.to_string(),
            score: 0.9,
        }
    }

    fn many() -> Vec<Candidate> {
        let mut all: Vec<Candidate> = (0..300).map(|i| fp(i, "programming", if i < 250 { "password" } else { "secret" })).collect();
        all.extend((300..320).map(|i| fp(i, "education", "rules")));
        all
    }

    fn small(n: usize) -> ReinforceConfig {
        ReinforceConfig { n_false_positives: n, ..ReinforceConfig::default() }
    }

    #[test]
    fn the_seed_s_quotas_are_filled_and_shortages_are_said_with_their_numbers() {
        let out = reinforce(&many(), Sources::default(), &small(100)).unwrap();
        assert_eq!(out.plan.categories["programming"], [40, 300, 40]);
        assert_eq!(out.plan.categories["education"], [25, 20, 20]);
        assert!(out.plan.shortages.contains(&"education: 25 false positives asked for, 20 distinct ones found".to_string()));
        assert_eq!(out.rows.len(), 60 * 5);
        let asked: usize = out.plan.categories.values().map(|c| c[0]).sum();
        assert_eq!(asked, 100);
    }

    #[test]
    fn rows_have_the_seed_s_schema_and_are_distinct() {
        let out = reinforce(&many(), Sources::default(), &small(100)).unwrap();
        let mut keys: Vec<String> = out.rows.iter().map(|r| key(&r.text)).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), out.rows.len());
        assert!(out.rows.iter().all(|r| !r.is_attack() && &*r.source == "reinforced" && r.confidence == 0.95));
        assert!(out.rows.iter().any(|r| &*r.category == "benign_technical_help"));
        assert_eq!(out.lineage.len(), out.rows.len());
        let csv = String::from_utf8(crate::write::to_csv(&[], &out.rows)).unwrap();
        assert!(csv.starts_with("text,label,family,category,severity,confidence,source,notes\n"));
    }

    #[test]
    fn a_small_cluster_is_not_drowned_by_a_large_one() {
        let all = many();
        let list: Vec<&Candidate> = all.iter().filter(|f| f.category == "programming").collect();
        let taken = spread(&list, 40, 1);
        let small = taken.iter().filter(|f| f.cluster == "secret").count();
        // Proportional sampling would give 7 of 40; sqrt(50) against sqrt(250) gives 12.
        assert!((11..=14).contains(&small), "{small}");
    }

    #[test]
    fn nothing_near_an_attack_or_a_measured_row_gets_in() {
        let all = many();
        let measured: Vec<&str> = all[..300].iter().map(|f| f.prompt.as_str()).collect();
        let measured = NearIndex::new(&measured, GroupConfig::default());
        let sources = Sources { measured: Some(&measured), ..Sources::default() };
        let config = ReinforceConfig { originals: true, ..small(100) };
        let out = reinforce(&all, sources, &config).unwrap();
        assert!(out.lineage.iter().all(|l| l.strategy != "original" || l.false_positive.as_ref().unwrap().contains("rules")));
        assert!(out.plan.left_out["near a measured row"] >= 40);
        let attacks = NearIndex::new(&[all[305].prompt.as_str()], GroupConfig::default());
        let out = reinforce(&all, Sources { attacks: Some(&attacks), ..Sources::default() }, &config).unwrap();
        assert!(out.rows.iter().all(|r| r.text != all[305].prompt));
    }

    #[test]
    fn real_neighbors_come_before_made_up_variations() {
        let pool = ["Where is the password kept on a phone?", "A secret garden", "Which password manager is good?", "Nothing in common"];
        let sources = Sources { pool: &pool, ..Sources::default() };
        let config = ReinforceConfig { priorities: [("programming".to_string(), 1.0)].into(), ..small(1) };
        let out = reinforce(&[fp(1, "programming", "password")], sources, &config).unwrap();
        assert_eq!(out.plan.strategies["neighbor"], 2);
        assert_eq!(out.rows.len(), 5);
    }

    #[test]
    fn the_same_seed_gives_the_same_rows() {
        let run = |seed| reinforce(&many(), Sources::default(), &ReinforceConfig { seed, ..small(50) }).unwrap().rows;
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }

    #[test]
    fn settings_that_make_no_sense_are_named() {
        for (config, expected) in [
            (small(0), "false-positives: is 0"),
            (ReinforceConfig { n_variations: 0, ..small(1) }, "variations: is 0"),
            (ReinforceConfig { priorities: [("x".to_string(), -1.0)].into(), ..small(1) }, "a share is below 0"),
            (ReinforceConfig { priorities: BTreeMap::new(), ..small(1) }, "all shares are 0"),
            (ReinforceConfig { rest: f64::NAN, ..small(1) }, "is not between 0 and 1"),
        ] {
            let error = reinforce(&many(), Sources::default(), &config).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(reinforce(&[], Sources::default(), &small(1)).unwrap_err().to_string().contains("no false positive"));
    }
}
