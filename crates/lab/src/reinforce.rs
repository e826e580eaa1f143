//! Strategic sampling: which false positives to spend the budget on, and the rows that they become.
//!
//! Every row is distinct, and none is equal to or a near-duplicate of an attack or of a row that is measured on. A number
//! that cannot be reached is said to be out of reach; it is never reached by repeats.

use std::collections::HashSet;
use std::sync::Arc;

use levelhead::BENIGN;
use serde::{Deserialize, Serialize};

use crate::choose::{Candidate, Plan, ReinforceConfig, check, choose, distinct, key};
use crate::error::{Error, Result};
use crate::near::NearIndex;
use crate::neighbor::Neighbors;
use crate::random::Random;
use crate::row::{Label, Row};
use crate::variation::variations;

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
    if out.rows.is_empty() {
        let asked: Vec<&str> = out.plan.categories.keys().map(String::as_str).collect();
        let reason = format!("no row could be made: no false positive in {} gave one; choose other priorities", asked.join(", "));
        return Err(Error::data(reason));
    }
    if n_short > 0 {
        let message = format!("{n_short} of {} false positives gave fewer than {} rows", chosen.len(), config.n_variations);
        out.plan.shortages.push(message);
    }
    Ok(out)
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
    use std::collections::BTreeMap;

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
        let mut all: Vec<Candidate> =
            (0..300).map(|i| fp(i, "programming", if i < 250 { "password" } else { "secret" })).collect();
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
        let pool =
            ["Where is the password kept on a phone?", "A secret garden", "Which password manager is good?", "Nothing in common"];
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
