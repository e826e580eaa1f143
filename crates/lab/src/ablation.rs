//! Ablation: what each part of reinforcement buys. The same loop is run once with one thing changed at a time, several seeds
//! each, and judged by recall at a matched FPR and by over-defense.
//!
//! A difference counts only where its interval leaves out zero. It never reads the holdout half.

use std::collections::BTreeMap;
use std::time::Instant;

use levelhead::RulePack;
use serde::{Deserialize, Serialize};

use crate::choose::ReinforceConfig;
use crate::error::{Error, Result};
use crate::false_positive::Candidate;
use crate::judged::Judged;
use crate::mining::{Mining, false_positives};
use crate::parts::{Inputs, Parts};
use crate::progress::Progress;
use crate::recipe::Recipe;
use crate::reinforce::reinforce;
use crate::row::Row;
use crate::standing::{Matched, matched, mean_recall};
use crate::stats::{Count, Interval, mean_interval};
use crate::strategy::Strategy;
use crate::train::{TrainConfig, train};

/// What is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Factor {
    /// Variations of each of the same false positives, beside itself.
    Variations,
    /// The same with as many rows in all: more variations, fewer false positives.
    VariationsAtBudget,
    /// Hard negatives, and nothing else.
    HardNegatives,
    /// One strategy alone.
    Alone,
    /// Every strategy but one.
    AllBut,
    /// Reinforced rows in all.
    Amount,
}

impl Factor {
    /// All, in the order of the report.
    pub const ALL: [Factor; 6] =
        [Factor::Variations, Factor::VariationsAtBudget, Factor::HardNegatives, Factor::Alone, Factor::AllBut, Factor::Amount];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Factor::Variations => "variations",
            Factor::VariationsAtBudget => "variations-at-budget",
            Factor::HardNegatives => "hard-negatives",
            Factor::Alone => "alone",
            Factor::AllBut => "all-but",
            Factor::Amount => "amount",
        }
    }

    /// What it asks.
    pub fn title(self) -> &'static str {
        match self {
            Factor::Variations => "Variations of each false positive, beside itself; the same false positives",
            Factor::VariationsAtBudget => "The same, as many rows in all: more variations of fewer false positives",
            Factor::HardNegatives => "Hard negatives, and nothing else",
            Factor::Alone => "One strategy alone, as many rows",
            Factor::AllBut => "Every strategy but one, as many rows",
            Factor::Amount => "Reinforced rows in all",
        }
    }
}

/// How an ablation runs.
///
/// | name | default | purpose | range |
/// |---|---|---|---|
/// | `train` | see [`TrainConfig`] | how each guard is trained | |
/// | `reinforce` | see [`ReinforceConfig`] | what is changed one thing at a time | |
/// | `n_rows` | 4790 | the budget, the seed's number | 1 up |
/// | `n_seeds` | 3 | runs of each setting | 2 up |
/// | `matched_fpr` | 0.01 | where recall is compared | above 0, below 1 |
/// | `near_misses` | 0.02 | as in the loop | 0 to 1 |
/// | `factors` | all | what is changed | at least one |
#[derive(Debug, Clone)]
pub struct AblateConfig {
    /// How each guard is trained.
    pub train: TrainConfig,
    /// What is changed one thing at a time.
    pub reinforce: ReinforceConfig,
    /// The budget of reinforced rows.
    pub n_rows: usize,
    /// Runs of each setting.
    pub n_seeds: usize,
    /// Where recall is compared.
    pub matched_fpr: f64,
    /// Share of the mined traffic that counts as false positives, or nearly.
    pub near_misses: f64,
    /// What is changed.
    pub factors: Vec<Factor>,
}

impl AblateConfig {
    /// Looks through the settings.
    ///
    /// # Errors
    /// [`Error::Setting`] names what is out of its range.
    pub fn check(&self) -> Result<()> {
        self.train.check()?;
        let faults = [
            (self.n_seeds < 2, "seeds", "at least two are needed: one run shows no spread"),
            (self.n_rows == 0, "rows", "is 0: at least one is needed"),
            (!(self.matched_fpr > 0.0 && self.matched_fpr < 1.0), "matched-fpr", "is not above 0 and below 1"),
        ];
        match faults.iter().find(|fault| fault.0) {
            Some((_, name, reason)) => Err(Error::setting(name, reason)),
            None => Ok(()),
        }
    }
}

/// One guard of an ablation on the gate half.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// The seed of its training and of its rows.
    pub seed: u64,
    /// Reinforced rows that it trained on.
    pub n_rows: usize,
    /// Mean recall over attack sources at the matched FPR.
    pub mean_recall: f64,
    /// Attacks caught at the matched FPR, by source.
    pub recall: BTreeMap<String, Count>,
    /// Benign rows of attack sources, and hard negatives, flagged at the matched FPR, by source.
    pub over_defense: BTreeMap<String, Count>,
    /// Benign prompts flagged at the natural threshold.
    pub false_positives: Count,
    /// How long it took, in seconds.
    pub seconds: f64,
}

impl Trial {
    /// The mean over sources of harmless rows flagged.
    pub fn mean_over_defense(&self) -> Option<f64> {
        mean_recall(&self.over_defense)
    }
}

/// A setting and its trials, one for each seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Arm {
    /// What is changed; nothing for the guard without reinforcement.
    pub factor: Option<Factor>,
    /// To what.
    pub setting: String,
    /// One for each seed.
    pub trials: Vec<Trial>,
}

/// All settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ablation {
    /// The FPR at which recall is compared.
    pub matched_fpr: f64,
    /// Benign rows of the gate half.
    pub n_benign: usize,
    /// The guard without reinforcement first.
    pub arms: Vec<Arm>,
}

/// A mean over trials with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// Student's interval; nothing for a single trial.
    pub interval: Option<Interval>,
}

impl Arm {
    /// The mean of a figure over the trials; nothing where one lacks it.
    pub fn mean(&self, figure: impl Fn(&Trial) -> Option<f64>) -> Option<Mean> {
        let values: Vec<f64> = self.trials.iter().map(figure).collect::<Option<_>>()?;
        Some(Mean { mean: values.iter().sum::<f64>() / values.len() as f64, interval: mean_interval(&values, 0.95) })
    }

    /// The mean difference to another arm, seed by seed.
    pub fn difference(&self, other: &Arm, figure: impl Fn(&Trial) -> Option<f64>) -> Option<Mean> {
        let pairs = self.trials.iter().zip(&other.trials);
        let values: Vec<f64> = pairs.map(|(a, b)| Some(figure(a)? - figure(b)?)).collect::<Option<_>>()?;
        Some(Mean { mean: values.iter().sum::<f64>() / values.len() as f64, interval: mean_interval(&values, 0.95) })
    }
}

/// What is made in one arm.
struct Setting {
    factor: Option<Factor>,
    name: String,
    reinforce: ReinforceConfig,
    /// Rows, at most; hard negatives count.
    most: usize,
    n_hard_negatives: usize,
}

/// Runs every setting with every seed.
///
/// # Errors
/// [`Error::Setting`]; [`Error::Data`] where the inputs leave nothing to train, mine or measure on.
pub fn ablate(inputs: &Inputs, config: &AblateConfig, progress: &dyn Progress) -> Result<Ablation> {
    config.check()?;
    let parts = inputs.divide(config.train.seed, progress)?;
    let mining = Mining::new(&parts, &inputs.benign.extra);
    let settings = settings(config, parts.hard_negatives.len());
    let mut arms: Vec<Arm> =
        settings.iter().map(|s| Arm { factor: s.factor, setting: s.name.clone(), trials: Vec::new() }).collect();
    for nth in 0..config.n_seeds {
        let seed = config.train.seed + nth as u64;
        let bench = Bench { parts: &parts, train: TrainConfig { seed, ..config.train }, matched_fpr: config.matched_fpr };
        let (guard, first) = bench.trial(&[])?;
        let used = vec![false; parts.mine.len()];
        let found = false_positives(&mining.mine(&guard, &used, config.near_misses, progress).audit);
        if found.is_empty() {
            return Err(Error::data("the first guard flags nothing of --benign: there is nothing to reinforce"));
        }
        for (i, (setting, arm)) in settings.iter().zip(&mut arms).enumerate() {
            progress.say(&format!(
                "seed {} of {}, setting {} of {}: {}",
                nth + 1,
                config.n_seeds,
                i + 1,
                settings.len(),
                setting.label()
            ));
            let trial = match setting.factor {
                None => first.clone(),
                Some(_) => bench.trial(&setting.rows(&mining, &parts, &found, seed, progress)?)?.1,
            };
            arm.trials.push(trial);
        }
    }
    Ok(Ablation { matched_fpr: config.matched_fpr, n_benign: parts.gate.benign.len(), arms })
}

fn settings(config: &AblateConfig, n_hard_negatives: usize) -> Vec<Setting> {
    let base = &config.reinforce;
    let n_variations = base.n_variations;
    let n_fps = config.n_rows.div_ceil(n_variations.max(1));
    let setting = |factor, name: String, n_false_positives: usize, n_variations: usize, recipe: Recipe| Setting {
        factor: Some(factor),
        name,
        reinforce: ReinforceConfig { n_false_positives, n_variations, recipe, ..base.clone() },
        most: if factor == Factor::Variations { usize::MAX } else { config.n_rows },
        n_hard_negatives: 0,
    };
    let with_originals =
        |n: usize| if n == 1 { Recipe::alone(Strategy::Original) } else { base.recipe.clone().with_originals(n) };
    let mut all =
        vec![Setting { factor: None, name: "no reinforcement".into(), reinforce: base.clone(), most: 0, n_hard_negatives: 0 }];
    for factor in &config.factors {
        match factor {
            Factor::Variations | Factor::VariationsAtBudget => all.extend([0, 1, 3, 5, 10, 20].map(|n| {
                let n_fps = if *factor == Factor::Variations { n_fps } else { config.n_rows.div_ceil(n + 1) };
                setting(*factor, n.to_string(), n_fps, n + 1, with_originals(n + 1))
            })),
            Factor::HardNegatives => {
                let mut amounts: Vec<usize> = [10, 30, 100, 300].into_iter().map(|n| n.min(n_hard_negatives)).collect();
                amounts.dedup();
                all.extend(
                    amounts
                        .into_iter()
                        .filter(|n| *n > 0)
                        .map(|n| Setting { n_hard_negatives: n, ..setting(*factor, n.to_string(), 1, 1, base.recipe.clone()) }),
                );
            }
            Factor::Alone => all
                .extend(Strategy::OFFLINE.map(|s| setting(*factor, s.name().to_string(), n_fps, n_variations, Recipe::alone(s)))),
            Factor::AllBut => {
                all.push(setting(*factor, "(all)".to_string(), n_fps, n_variations, Recipe::all()));
                all.extend(
                    Strategy::OFFLINE
                        .map(|s| setting(*factor, s.name().to_string(), n_fps, n_variations, Recipe::all().without(s))),
                );
            }
            Factor::Amount => all.extend([1000, 2395, 4790, 9580, 19_160, ALL].map(|n: usize| Setting {
                most: n,
                ..setting(*factor, amount(n), n.div_ceil(n_variations), n_variations, with_originals(n_variations))
            })),
        }
    }
    all
}

/// More rows than the false positives of any traffic give.
const ALL: usize = 100_000;

fn amount(n: usize) -> String {
    if n == ALL { "all".to_string() } else { n.to_string() }
}

impl Setting {
    fn label(&self) -> String {
        match self.factor {
            None => self.name.clone(),
            Some(factor) => format!("{} {}", factor.name(), self.name),
        }
    }

    /// The rows that the setting asks for, or as many of them as can be made.
    fn rows(
        &self,
        mining: &Mining<'_>,
        parts: &Parts<'_>,
        found: &[Candidate],
        seed: u64,
        progress: &dyn Progress,
    ) -> Result<Vec<Row>> {
        if self.factor == Some(Factor::HardNegatives) {
            return Ok(parts.hard_negatives.iter().take(self.n_hard_negatives).map(|row| (*row).clone()).collect());
        }
        let pool: Vec<&str> = found.iter().map(|fp| fp.prompt.as_str()).collect();
        let settings = ReinforceConfig { seed, ..self.reinforce.clone() };
        let mut rows = match reinforce(found, mining.sources(&pool, &[], &[]), &settings, progress) {
            // A strategy that fits none of the prompts is a finding, not a fault.
            Err(Error::Data { .. }) => Vec::new(),
            made => made?.rows,
        };
        rows.truncate(self.most);
        Ok(rows)
    }
}

/// Where guards are trained and measured.
struct Bench<'a> {
    parts: &'a Parts<'a>,
    train: TrainConfig,
    matched_fpr: f64,
}

impl Bench<'_> {
    fn trial(&self, reinforced: &[Row]) -> Result<(levelhead::Guard, Trial)> {
        let started = Instant::now();
        let parts = self.parts;
        let fit: Vec<&Row> = parts.fit.iter().copied().chain(reinforced).collect();
        let tune: Vec<&Row> = parts.tune.iter().chain(&parts.tune_benign).copied().collect();
        let guard = train(&fit, &tune, RulePack::embedded(), self.train, None, &crate::progress::Silent)?.guard;
        let judged = Judged::new(&guard, &parts.gate);
        let rows: Vec<&Row> = parts.gate.attacks.iter().chain(&parts.gate.hard_negatives).copied().collect();
        let verdicts: Vec<levelhead::Verdict> = judged.attacks.iter().chain(&judged.hard_negatives).cloned().collect();
        let at = matched((&parts.gate.benign, &judged.benign), (&rows, &verdicts), self.matched_fpr);
        let too_few = || {
            let n = parts.gate.benign.len();
            Error::data(format!("--gate-benign: {n} rows are too few to see an FPR of {}", self.matched_fpr))
        };
        let Matched { recall, over_defense, .. } = at.ok_or_else(too_few)?;
        let trial = Trial {
            seed: self.train.seed,
            n_rows: reinforced.len(),
            mean_recall: mean_recall(&recall)
                .ok_or_else(|| Error::data("--gate-attacks holds no attack that counts in recall"))?,
            recall,
            over_defense,
            false_positives: Count { hits: judged.benign.iter().filter(|v| v.flagged).count(), n: judged.benign.len() },
            seconds: started.elapsed().as_secs_f64(),
        };
        Ok((guard, trial))
    }
}
