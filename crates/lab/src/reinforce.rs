//! Strategic sampling: which false positives to spend the budget on, and the rows that they become.
//!
//! Every row has passed the proof ([`Proof`]); what did not is kept with the reason. A number that cannot be reached is said
//! to be out of reach; it is never reached by repeats.

mod writer;

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::choose::{Plan, ReinforceConfig, check, choose, distinct};
use crate::error::{Error, Result};
use crate::false_positive::Candidate;
use crate::group::{GroupConfig, group};
use crate::llm::{Answers, Llm, Request};
use crate::progress::Progress;
use crate::proof::{Proof, Prover};
use crate::random::Random;
use crate::recipe::Turns;
use crate::row::Row;
use crate::strategy::{Materials, Strategy};
use writer::Writer;

/// What reinforcement draws from and what its rows are held against.
#[derive(Debug, Default)]
pub struct Sources<'a> {
    /// Real benign prompts that lie near the false positives.
    pub pool: &'a [&'a str],
    /// Benign prompts to learn words from.
    pub traffic: &'a [&'a str],
    /// Pairs of an attack and a harmless text that differs from it in little.
    pub twins: &'a [[Row; 2]],
    /// Benign prompts that look like attacks, added as they are.
    pub hard_negatives: &'a [Row],
    /// The model that a recipe with `llm` asks.
    pub llm: Option<&'a mut Llm>,
    /// What every row must pass.
    pub proof: Proof<'a>,
}

/// Where a row came from: one line of the sidecar `.lineage.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lineage {
    /// The row, from 0, in the reinforced file.
    pub row: usize,
    /// The false positive that it came from; nothing for a hard negative.
    pub false_positive: Option<String>,
    /// How it was made: a strategy, or `hard_negative`.
    pub strategy: String,
    /// The seed of the random choices.
    pub seed: u64,
    /// Rows with the same key belong to one split.
    pub group: String,
}

/// A row that was proposed and may not train.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rejected {
    /// The prompt.
    pub text: String,
    /// The strategy that proposed it, or `hard_negative`.
    pub strategy: String,
    /// The false positive that it came from; nothing for a hard negative.
    pub false_positive: Option<String>,
    /// Why it may not train.
    pub reason: String,
}

/// Reinforced training data.
#[derive(Debug, Clone, Default)]
pub struct Reinforced {
    /// Rows in the seed's schema.
    pub rows: Vec<Row>,
    /// One entry for each row.
    pub lineage: Vec<Lineage>,
    /// Rows that were proposed and may not train.
    pub rejected: Vec<Rejected>,
    /// What was asked for and what came of it.
    pub plan: Plan,
}

/// Chooses false positives and says what would be made of them, and asked of the model, without doing it.
///
/// # Errors
/// As [`reinforce`].
pub fn plan(false_positives: &[Candidate], llm: Option<&Llm>, config: &ReinforceConfig) -> Result<Plan> {
    let candidates = distinct(false_positives);
    let (chosen, plan) = chosen(&candidates, config)?;
    let deals = deals(chosen.len(), config);
    let forecast = |llm: &Llm| llm.forecast(&requests(&chosen, &deals, config, llm).0);
    Ok(Plan { llm: model(llm, config)?.map(forecast), ..plan })
}

fn chosen<'a>(candidates: &'a [Candidate], config: &ReinforceConfig) -> Result<(Vec<&'a Candidate>, Plan)> {
    check(config)?;
    if candidates.is_empty() {
        return Err(Error::data("the audit holds no false positive: there is nothing to reinforce"));
    }
    let mut plan = Plan { n_available: candidates.len(), ..Plan::default() };
    Ok((choose(candidates, config, &mut plan), plan))
}

/// How many rows of each false positive each step of the recipe gets.
fn deals(n: usize, config: &ReinforceConfig) -> Vec<Vec<usize>> {
    let mut turns = Turns::new(&config.recipe);
    (0..n).map(|_| turns.deal(config.n_variations)).collect()
}

/// The model, where the recipe asks one.
///
/// # Errors
/// [`Error::Setting`] where it asks one and there is none.
pub(crate) fn model<T>(llm: Option<T>, config: &ReinforceConfig) -> Result<Option<T>> {
    match llm {
        None if config.recipe.asks() => {
            Err(Error::setting("recipe", "strategy llm needs a model: name one with --llm FILE, or take the strategy out"))
        }
        llm => Ok(llm.filter(|_| config.recipe.asks())),
    }
}

/// What a model is asked, and of which of the chosen: half more than is needed, since some proposals fail the proof.
fn requests<'a>(
    chosen: &[&'a Candidate],
    deals: &[Vec<usize>],
    config: &ReinforceConfig,
    llm: &Llm,
) -> (Vec<Request<'a>>, Vec<usize>) {
    let step = config.recipe.steps.iter().position(|(strategy, _)| *strategy == Strategy::Llm);
    let one = |(nth, fp): (usize, &&'a Candidate)| {
        let wanted = deals[nth][step?];
        let (prompt, phrase) = (fp.prompt.trim(), fp.phrase.as_deref().unwrap_or(""));
        let request = Request { prompt, phrase, category: &fp.category, n: wanted + wanted.div_ceil(2) };
        (wanted > 0 && llm.is_new(prompt)).then_some((request, nth))
    };
    chosen.iter().enumerate().filter_map(one).unzip()
}

/// Chooses false positives and makes the rows.
///
/// # Errors
/// [`Error::Setting`] for counts of 0, shares that cannot be used, or a recipe that asks a model where there is none;
/// [`Error::Data`] where there are no false positives; [`Error::Endpoint`] for a model that gives no answer.
pub fn reinforce(
    false_positives: &[Candidate],
    sources: Sources<'_>,
    config: &ReinforceConfig,
    progress: &dyn Progress,
) -> Result<Reinforced> {
    let candidates = distinct(false_positives);
    let (chosen, mut plan) = chosen(&candidates, config)?;
    let deals = deals(chosen.len(), config);
    let mut written = vec![Vec::new(); chosen.len()];
    if let Some(llm) = model(sources.llm, config)? {
        let (requests, places) = requests(&chosen, &deals, config, llm);
        let Answers { variations, asked, shortages } = llm.ask(&requests, progress)?;
        plan.llm = Some(asked);
        plan.shortages.extend(shortages);
        places.into_iter().zip(variations).for_each(|(nth, texts)| written[nth] = texts);
    }
    let out = Reinforced { plan, ..Reinforced::default() };
    let mut writer = Writer { out, prover: Prover::new(sources.proof), seed: config.seed };
    for row in sources.hard_negatives {
        writer.hard_negative(row);
    }
    let materials = Materials::new(&chosen, sources.pool, sources.traffic, sources.twins, written);
    let mut random = Random::new(config.seed, "variations");
    let mut n_short = 0;
    progress.begin("rows", chosen.len() as u64);
    for (nth, (fp, dealt)) in chosen.iter().zip(&deals).enumerate() {
        // First what each strategy is asked for; then, in the recipe's order, what is still missing.
        let mut n_left = config.n_variations;
        let mut seen = HashSet::new();
        let missing = vec![config.n_variations; dealt.len()];
        for wanted in [dealt, &missing] {
            for ((strategy, _), wanted) in config.recipe.steps.iter().zip(wanted.iter()) {
                let wanted = n_left.min(*wanted);
                if wanted > 0 {
                    // Some proposals fail the proof: more are made than are needed.
                    let mut proposals = materials.propose(*strategy, nth, fp, 3 * wanted, &mut random);
                    proposals.retain(|proposal| seen.insert(proposal.text.clone()));
                    n_left -= writer.take(fp, *strategy, proposals, wanted);
                }
            }
        }
        n_short += usize::from(n_left > 0);
        progress.advance(1);
    }
    progress.end();
    let mut out = writer.out;
    cap_near_duplicates(&mut out, config.n_variations, progress);
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

/// Of many rows that nearly repeat one another, from whatever lineages, keeps as many as one false positive may have.
fn cap_near_duplicates(out: &mut Reinforced, most: usize, progress: &dyn Progress) {
    let texts: Vec<&str> = out.rows.iter().map(|row| row.text.as_str()).collect();
    let groups = group(&texts, GroupConfig::default(), progress);
    let mut n_of_group = vec![0usize; texts.len()];
    let mut keep: Vec<bool> = Vec::with_capacity(out.rows.len());
    for (id, lineage) in groups.ids.iter().zip(&out.lineage) {
        // An attack and its twin may well be near-duplicates, and stay together.
        let is_twin = lineage.strategy == Strategy::Twin.name();
        let n = &mut n_of_group[*id as usize];
        *n += usize::from(!is_twin);
        keep.push(is_twin || *n <= most);
    }
    let rows = std::mem::take(&mut out.rows);
    let lineage = std::mem::take(&mut out.lineage);
    for ((row, of_row), keep) in rows.into_iter().zip(lineage).zip(keep) {
        if keep {
            out.lineage.push(Lineage { row: out.rows.len(), ..of_row });
            out.rows.push(row);
        } else {
            let reason = "near too many earlier rows";
            out.plan.strategies.entry(of_row.strategy.clone()).or_default()[1] -= 1;
            *out.plan.left_out.entry(reason.to_string()).or_default() += 1;
            let Lineage { strategy, false_positive, .. } = of_row;
            out.rejected.push(Rejected { text: row.text, strategy, false_positive, reason: reason.into() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choose::key;
    use crate::near::NearIndex;
    use crate::progress::Silent;
    use crate::recipe::Recipe;
    use crate::row::Label;
    use std::collections::BTreeMap;

    fn fp(i: usize, category: &str, cluster: &str) -> Candidate {
        let words: Vec<String> = (0..8).map(|k| format!("w{}", (i * 7919 + k * 104_729) % 10_007)).collect();
        Candidate {
            id: i.to_string(),
            prompt: format!("How do I rotate the {cluster} of {}?", words.join(" ")),
            category: category.to_string(),
            cluster: cluster.to_string(),
            phrase: Some(cluster.to_string()),
            score: 0.9,
            entries: 1,
        }
    }

    fn many() -> Vec<Candidate> {
        let mut all: Vec<Candidate> =
            (0..300).map(|i| fp(i, "programming", if i < 250 { "password" } else { "secret" })).collect();
        all.extend((300..320).map(|i| fp(i, "education", "rules")));
        all
    }

    fn small(n: usize) -> ReinforceConfig {
        ReinforceConfig { n_false_positives: n, most_per_cluster: 1.0, ..ReinforceConfig::default() }
    }

    fn made(sources: Sources<'_>, config: &ReinforceConfig) -> Reinforced {
        reinforce(&many(), sources, config, &Silent).unwrap()
    }

    #[test]
    fn the_seed_s_quotas_are_filled_and_shortages_are_said_with_their_numbers() {
        let out = made(Sources::default(), &small(100));
        assert_eq!(out.plan.categories["programming"], [40, 300, 40]);
        assert_eq!(out.plan.categories["education"], [25, 20, 20]);
        assert_eq!(out.plan.reach, [3, 320]);
        assert!(out.plan.shortages.contains(&"education: 25 false positives asked for, 20 distinct ones found".to_string()));
        assert_eq!(out.rows.len(), 60 * 5);
        let asked: usize = out.plan.categories.values().map(|c| c[0]).sum();
        assert_eq!(asked, 100);
        assert_eq!(plan(&many(), None, &small(100)).unwrap().categories, out.plan.categories);
    }

    #[test]
    fn a_cluster_has_no_more_than_its_share() {
        let config = ReinforceConfig { most_per_cluster: 0.15, ..small(100) };
        let out = made(Sources::default(), &config);
        assert_eq!(out.plan.categories["programming"], [40, 300, 30]);
        assert_eq!(out.plan.categories["education"], [25, 20, 15]);
        assert!(out.plan.shortages.iter().any(|s| s.contains("270 of them beyond their cluster's share")), "{:?}", out.plan);
    }

    #[test]
    fn rows_have_the_seed_s_schema_and_are_distinct() {
        let out = made(Sources::default(), &small(100));
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
    fn a_row_that_trains_already_is_not_made_again() {
        let first = made(Sources::default(), &small(100)).rows;
        let proof = Proof { earlier: &first, ..Proof::default() };
        let out = made(Sources { proof, ..Sources::default() }, &small(100));
        let earlier: HashSet<String> = first.iter().map(|r| key(&r.text)).collect();
        assert!(!out.rows.is_empty() && out.rows.iter().all(|r| !earlier.contains(&key(&r.text))));
        assert!(out.plan.left_out["equal to an earlier row"] >= first.len());
    }

    #[test]
    fn nothing_near_an_attack_or_a_measured_row_gets_in() {
        let all = many();
        let measured: Vec<&str> = all[..300].iter().map(|f| f.prompt.as_str()).collect();
        let measured = NearIndex::new(&measured, GroupConfig::default());
        let of = |proof| Sources { proof, ..Sources::default() };
        let config = ReinforceConfig { recipe: Recipe::default().with_originals(5), ..small(100) };
        let out = made(of(Proof { measured: Some(&measured), ..Proof::default() }), &config);
        assert!(out.lineage.iter().all(|l| l.strategy != "original" || l.false_positive.as_ref().unwrap().contains("rules")));
        assert!(out.plan.left_out["near a measured row"] >= 40);
        let n_rejected: usize = out.plan.left_out.values().sum();
        assert_eq!(out.rejected.len(), n_rejected);
        let attacks = NearIndex::new(&[all[305].prompt.as_str()], GroupConfig::default());
        let out = made(of(Proof { attacks: Some(&attacks), ..Proof::default() }), &config);
        assert!(out.rows.iter().all(|r| r.text != all[305].prompt));
        assert!(out.rejected.iter().any(|r| r.text == all[305].prompt && r.reason == "near an attack"));
    }

    #[test]
    fn real_neighbors_come_before_made_up_variations() {
        let pool =
            ["Where is the password kept on a phone?", "A secret garden", "Which password manager is good?", "Nothing in common"];
        let sources = Sources { pool: &pool, ..Sources::default() };
        let config = ReinforceConfig { priorities: [("programming".to_string(), 1.0)].into(), ..small(1) };
        let out = reinforce(&[fp(1, "programming", "password")], sources, &config, &Silent).unwrap();
        assert_eq!(out.plan.strategies["neighbor"], [2, 2]);
        assert_eq!(out.rows.len(), 5);
    }

    #[test]
    fn a_twin_brings_its_attack_and_near_repeats_are_capped() {
        let pair = |i: usize| {
            let attack = Row { family: "role_persona".into(), ..Row::new(format!("be evil {i}"), Label::Attack) };
            [attack, Row::new(format!("be nice {i}"), Label::Benign)]
        };
        let twins: Vec<[Row; 2]> = (0..20).map(pair).collect();
        let config = ReinforceConfig { n_variations: 2, recipe: Recipe::alone(Strategy::Twin), ..small(10) };
        let out = made(Sources { twins: &twins, ..Sources::default() }, &config);
        let attacks: Vec<&Row> = out.rows.iter().filter(|row| row.is_attack()).collect();
        assert!(attacks.len() > 5 && attacks.len() * 2 == out.rows.len());
        assert!(attacks.iter().all(|row| &*row.family == "role_persona"));
        assert_eq!(out.lineage[0].group, out.lineage[1].group);
        // Ten prompts that nearly repeat one another give no more rows than one.
        let same: Vec<Candidate> = (0..10)
            .map(|i| Candidate {
                prompt: format!("please tell me how I can reset the password of my very old account number {i}"),
                category: "programming".into(),
                ..Candidate::default()
            })
            .collect();
        let config = ReinforceConfig { recipe: Recipe::alone(Strategy::Original), n_variations: 3, rest: 1.0, ..small(10) };
        let out = reinforce(&same, Sources::default(), &config, &Silent).unwrap();
        assert_eq!((out.rows.len(), out.plan.left_out["near too many earlier rows"]), (3, 7));
        assert_eq!(out.lineage.iter().map(|l| l.row).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn the_same_seed_gives_the_same_rows() {
        let run = |seed| made(Sources::default(), &ReinforceConfig { seed, ..small(50) }).rows;
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
            (ReinforceConfig { most_per_cluster: 0.0, ..small(1) }, "is not above 0 and at most 1"),
            (
                ReinforceConfig { recipe: Recipe::default().with_llm(), ..small(1) },
                "strategy llm needs a model: name one with --llm",
            ),
        ] {
            let error = reinforce(&many(), Sources::default(), &config, &Silent).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(reinforce(&[], Sources::default(), &small(1), &Silent).unwrap_err().to_string().contains("no false positive"));
    }
}
