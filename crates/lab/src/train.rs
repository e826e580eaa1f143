//! Training of L2: logistic regression over hashed n-grams by averaged stochastic gradient descent in small batches.
//!
//! The weights that are kept are the mean over all steps (Polyak, Juditsky, 1992). Plain steps are on purpose: AdaGrad gives
//! rare n-grams long steps and so learns the training sources by heart.
//!
//! All cores work on one batch at a time: first each takes a share of the rows and computes their errors at the same
//! weights, then each takes a share of the buckets and applies the errors of all rows in the rows' order. No sum depends on
//! how the work is divided, so the same rows and seed give the same weights for any number of threads.

mod config;
mod descent;

use std::collections::BTreeMap;

use levelhead::calibration::{Calibration, Probability};
use levelhead::fingerprint::Fingerprints;
use levelhead::model::LinearModel;
use levelhead::provenance::Provenance;
use levelhead::spans::SizeBiases;
use levelhead::{Guard, RulePack, normalize};
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::example::featurize;
use crate::heads::fit_heads;
use crate::progress::Progress;
use crate::random::{Random, mix};
use crate::row::Row;
use crate::stats::Count;
use crate::transform::Transform;

pub use config::{SourceWeights, TrainConfig};
use descent::{Moment, State, measure};

/// What one pass over the rows came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Epoch {
    /// Mean log loss of the training rows, each before its own update.
    pub loss: f64,
    /// Mean log loss of the tuning rows, with logits calibrated on them.
    pub tune_loss: f64,
    /// Tuning rows that are benign and flagged at the natural threshold.
    pub false_positives: Count,
    /// Tuning rows that are attacks and flagged at the natural threshold.
    pub recall: Count,
}

/// A trained guard and how it came about.
#[derive(Debug)]
pub struct Trained {
    /// The guard, at its natural threshold: probability 0.5, not calibrated.
    pub guard: Guard,
    /// Every pass.
    pub epochs: Vec<Epoch>,
    /// Red flags, in words.
    pub warnings: Vec<String>,
}

/// Trains a guard on `rows`; `tune` decides when to stop. `start` continues from a guard instead of from nothing.
///
/// # Errors
/// [`Error::Data`] where `rows` or `tune` lack one of the two classes; [`Error::Setting`].
pub fn train(
    rows: &[&Row],
    tune: &[&Row],
    rules: RulePack,
    config: TrainConfig,
    start: Option<&Guard>,
    progress: &dyn Progress,
) -> Result<Trained> {
    config.check()?;
    for (name, part) in [("training", rows), ("tuning", tune)] {
        let n_attacks = part.iter().filter(|r| r.is_attack()).count();
        if n_attacks == 0 || n_attacks == part.len() {
            let reason =
                format!("the {name} rows are of one class ({} rows, {n_attacks} attacks): both labels are needed", part.len());
            return Err(Error::data(reason));
        }
    }
    let config = TrainConfig { features: start.map_or(config.features, |g| g.model.spec), ..config };
    progress.begin("features", (rows.len() + tune.len()) as u64);
    let weights = source_weights(rows, &config);
    let weigh =
        |row: &Row| if row.is_attack() { weights.get(&*row.source).copied().unwrap_or(config.attack_weight) } else { 1.0 };
    let changed = transformed(rows, &config);
    let rows: Vec<&Row> = rows.iter().copied().chain(&changed).collect();
    let rows = rows.as_slice();
    let examples = featurize(rows, config.features, weigh, progress);
    let tuning = featurize(tune, config.features, weigh, progress);
    progress.end();
    let mut state = State::new(&config, start);
    let mut best = (f64::INFINITY, Vec::new(), SizeBiases::default());
    let mut epochs: Vec<Epoch> = Vec::new();
    let mut order: Vec<u32> = (0..examples.len() as u32).collect();
    let mut random = Random::new(config.seed, "order of training rows");
    let n_batches = examples.len().div_ceil(config.batch);
    let total_weight: f64 = examples.iter().map(|e| f64::from(e.weight)).sum();
    progress.begin("training", (config.n_epochs * n_batches) as u64);
    let mut since_best = 0;
    for epoch in 0..config.n_epochs {
        random.shuffle(&mut order);
        let mut loss = 0.0;
        for (i, batch) in order.chunks(config.batch).enumerate() {
            let time = (epoch * n_batches + i + 1) as f32 / (config.n_epochs * n_batches) as f32;
            let moment = Moment { epoch, time, rate: config.learning_rate * (1.0 - time) };
            loss += state.learn(&examples, batch, moment);
            progress.advance(1);
        }
        let (weights, biases) = state.average();
        let result = measure(config.features, &weights, &biases, &tuning, loss / total_weight);
        progress.note(&format!("epoch {} loss {:.4} tuning FPR {}", epoch + 1, result.loss, percent(result.false_positives)));
        epochs.push(result);
        if result.tune_loss < best.0 {
            best = (result.tune_loss, weights, biases);
            since_best = 0;
        } else {
            since_best += 1;
            if since_best >= config.patience {
                break;
            }
        }
    }
    progress.end();
    let (_, weights, biases) = best;
    let mut trained = start.map(|guard| guard.trained.clone()).unwrap_or_default();
    let fingerprints: Vec<u64> = rows.par_iter().chain(tune).map(|r| Fingerprints::of(&normalize(&r.text))).collect();
    trained.extend(fingerprints);
    let guard = Guard {
        rules,
        model: LinearModel::quantize(config.features, biases, &weights),
        heads: fit_heads(rows, &examples, config.features, config.seed),
        calibration: Calibration::IDENTITY,
        threshold: Probability(0.5),
        provenance: provenance(rows, &config),
        trained,
    };
    let warnings = red_flags(&epochs);
    Ok(Trained { guard, epochs, warnings })
}

/// Copies of a share of the rows of both classes, each in another form, so that no form speaks for either class.
fn transformed(rows: &[&Row], config: &TrainConfig) -> Vec<Row> {
    let salt = Random::new(config.seed, "transformed training rows").next_u64();
    let chosen = |i: u64| (mix(salt ^ i) >> 11) as f64 / (1u64 << 53) as f64;
    (0..rows.len() as u64)
        .into_par_iter()
        .filter(|i| chosen(*i) < config.transformed)
        .map(|i| {
            let mut random = Random::new(config.seed ^ i, "transform");
            let row = rows[i as usize];
            Row { text: Transform::any(&mut random).apply(&row.text, &mut random), ..row.clone() }
        })
        .collect()
}

fn source_weights<'a>(rows: &[&'a Row], config: &TrainConfig) -> BTreeMap<&'a str, f32> {
    let mut sizes: BTreeMap<&str, f64> = BTreeMap::new();
    for row in rows.iter().filter(|r| r.is_attack()) {
        *sizes.entry(&row.source).or_default() += 1.0;
    }
    let total: f64 = sizes.values().sum();
    let roots: f64 = sizes.values().map(|n| n.sqrt()).sum();
    let weight = |n: f64| match config.source_weights {
        SourceWeights::ByRow => 1.0,
        SourceWeights::SquareRoot => total / roots / n.sqrt(),
    };
    sizes.into_iter().map(|(source, n)| (source, config.attack_weight * weight(n) as f32)).collect()
}

fn provenance(rows: &[&Row], config: &TrainConfig) -> Provenance {
    let mut sources = BTreeMap::new();
    for row in rows {
        *sources.entry(format!("{}/{}", row.source, u8::from(row.is_attack()))).or_default() += 1;
    }
    Provenance {
        levelhead_version: env!("CARGO_PKG_VERSION").to_string(),
        seed: config.seed,
        sources,
        training: config.describe(),
        threshold: "natural: probability 0.5, not calibrated".to_string(),
        ..Provenance::default()
    }
}

/// The seed's red flags, said in words.
fn red_flags(epochs: &[Epoch]) -> Vec<String> {
    let mut warnings = Vec::new();
    let (first, last) = (epochs[0], epochs[epochs.len() - 1]);
    if epochs.len() > 1 && last.loss >= first.loss {
        warnings.push(format!(
            "the loss is not falling ({:.4} in the first epoch, {:.4} in the last): lower --learning-rate, or look for contradicting labels with `levelhead data check`",
            first.loss, last.loss
        ));
    }
    if last.false_positives.rate().is_some_and(|r| r > 0.02) {
        warnings.push(format!(
            "validation FPR is stuck above 2 % ({}): recalibrate, or add reinforced benign rows with `levelhead reinforce`",
            percent(last.false_positives)
        ));
    }
    if last.recall.rate().is_some_and(|r| r < 0.9) {
        warnings.push(format!(
            "recall is under 90 % ({}): the guard is too cautious, raise --attack-weight or add attacks",
            percent(last.recall)
        ));
    }
    warnings
}

fn percent(count: Count) -> String {
    count.rate().map_or_else(|| "no rows".to_string(), |r| format!("{:.2} % ({} of {})", 100.0 * r, count.hits, count.n))
}
