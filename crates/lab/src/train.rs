//! Training of L2: logistic regression over hashed n-grams by averaged stochastic gradient descent in small batches.
//!
//! The weights that are kept are the mean over all steps (Polyak, Juditsky, 1992). Plain steps are on purpose: AdaGrad gives
//! rare n-grams long steps and so learns the training sources by heart.
//!
//! All cores work on one batch at a time: first each takes a share of the rows and computes their errors at the same
//! weights, then each takes a share of the buckets and applies the errors of all rows in the rows' order. No sum depends on
//! how the work is divided, so the same rows and seed give the same weights for any number of threads.

use std::collections::BTreeMap;

use levelhead::calibration::{Calibration, Probability, sigmoid};
use levelhead::features::FeatureSpec;
use levelhead::fingerprint::Fingerprints;
use levelhead::model::LinearModel;
use levelhead::provenance::Provenance;
use levelhead::{Guard, RulePack, normalize};
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::example::{Example, featurize};
use crate::family::fit_family;
use crate::progress::Progress;
use crate::random::{Random, mix};
use crate::row::Row;
use crate::stats::Count;
use crate::transform::Transform;

/// How a guard is trained.
///
/// | name | default | purpose | range |
/// |---|---|---|---|
/// | `features` | see [`FeatureSpec`] | which n-grams, how many buckets | |
/// | `n_epochs` | 6 | passes over the rows, at most | 1 up |
/// | `batch` | 32 | rows whose errors are computed at the same weights | 1 up |
/// | `learning_rate` | 2 | length of a step; falls linearly to 0 | above 0 |
/// | `attack_weight` | 1 | weight of an attack against a benign row | above 0 |
/// | `source_weights` | `ByRow` | how the attack sources share the attacks' weight | |
/// | `transformed` | 0.3 | share of the rows that also train in another form: encoded, wrapped, padded | 0 to 1 |
/// | `patience` | 2 | epochs without a better tuning loss before training stops | 1 up |
/// | `seed` | 42 | order of the rows | |
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainConfig {
    /// Which n-grams, how many buckets.
    pub features: FeatureSpec,
    /// Passes over the rows, at most.
    pub n_epochs: usize,
    /// Rows whose errors are computed at the same weights.
    pub batch: usize,
    /// Length of a step.
    pub learning_rate: f32,
    /// Weight of an attack against a benign row.
    pub attack_weight: f32,
    /// How the attack sources share the attacks' weight.
    pub source_weights: SourceWeights,
    /// Share of the rows that also train in another form.
    pub transformed: f64,
    /// Epochs without a better tuning loss before training stops.
    pub patience: usize,
    /// Order of the rows.
    pub seed: u64,
}

/// How the attack sources share the weight of all attacks, which stays the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceWeights {
    /// Each row counts the same.
    ByRow,
    /// Each source counts as the square root of its rows, so that a large collection does not drown the small ones.
    SquareRoot,
}

impl Default for TrainConfig {
    fn default() -> Self {
        TrainConfig {
            features: FeatureSpec::default(),
            n_epochs: 6,
            batch: 32,
            learning_rate: 2.0,
            attack_weight: 1.0,
            source_weights: SourceWeights::ByRow,
            transformed: 0.3,
            patience: 2,
            seed: 42,
        }
    }
}

impl TrainConfig {
    /// The settings by name, for the provenance.
    pub fn describe(&self) -> BTreeMap<String, String> {
        let f = self.features;
        [
            (
                "features",
                format!(
                    "characters {}-{} in 2^{} buckets, words 1-{} in 2^{}",
                    f.char_min, f.char_max, f.char_bits, f.word_max, f.word_bits
                ),
            ),
            ("n_epochs", self.n_epochs.to_string()),
            ("batch", self.batch.to_string()),
            ("learning_rate", self.learning_rate.to_string()),
            ("attack_weight", self.attack_weight.to_string()),
            ("source_weights", format!("{:?}", self.source_weights)),
            ("transformed", self.transformed.to_string()),
            ("patience", self.patience.to_string()),
        ]
        .map(|(name, value)| (name.to_string(), value))
        .into()
    }

    /// Looks through the settings.
    ///
    /// # Errors
    /// [`Error::Setting`] names the first that makes no sense.
    pub fn check(&self) -> Result<()> {
        let faults = [
            (!self.features.is_valid(), "features", "a setting is out of range"),
            (self.n_epochs == 0, "epochs", "is 0: at least one pass is needed"),
            (self.batch == 0, "batch", "is 0: at least one row is needed"),
            (!(self.learning_rate > 0.0 && self.learning_rate.is_finite()), "learning-rate", "is not above 0"),
            (!(self.attack_weight > 0.0 && self.attack_weight.is_finite()), "attack-weight", "is not above 0"),
            (!(0.0..=1.0).contains(&self.transformed), "transformed", "is not between 0 and 1"),
        ];
        match faults.iter().find(|f| f.0) {
            Some((_, name, reason)) => Err(Error::setting(name, reason)),
            None => Ok(()),
        }
    }
}

/// What one pass over the rows came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Epoch {
    /// Mean log loss of the training rows, each before its own update.
    pub loss: f64,
    /// Mean log loss of the tuning rows.
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
    let mut state = State::new(config.features, start);
    let mut best = (f64::INFINITY, Vec::new(), 0.0);
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
            loss += state.learn(&examples, batch, config.learning_rate * (1.0 - time), time, epoch == 0);
            progress.advance(1);
        }
        let (weights, bias) = state.average();
        let result = measure(&weights, bias, &tuning, loss / total_weight);
        progress.note(&format!("epoch {} loss {:.4} tuning FPR {}", epoch + 1, result.loss, percent(result.false_positives)));
        epochs.push(result);
        if result.tune_loss < best.0 {
            best = (result.tune_loss, weights, bias);
            since_best = 0;
        } else {
            since_best += 1;
            if since_best >= config.patience {
                break;
            }
        }
    }
    progress.end();
    let (_, weights, bias) = best;
    let mut trained = start.map(|guard| guard.trained.clone()).unwrap_or_default();
    let fingerprints: Vec<u64> = rows.par_iter().chain(tune).map(|r| Fingerprints::of(&normalize(&r.text))).collect();
    trained.extend(fingerprints);
    let guard = Guard {
        rules,
        model: LinearModel::quantize(config.features, bias, &weights),
        family: fit_family(rows, &examples, config.seed),
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

struct State {
    /// For each bucket the weight, and the sum of its changes, each times the step at which it was made.
    ///
    /// The mean of the weights over all steps is the weight minus that sum over the number of steps (Daumé, 2006, fig. 2.3).
    weights: Vec<[f32; 2]>,
    bias: [f32; 2],
    /// Steps so far, in units of the whole run, so that the sums stay small.
    time: f32,
    n_char_buckets: u32,
}

/// Ranges of buckets that are updated side by side. The result is the same for any number.
const RANGES: usize = 16;

impl State {
    fn new(spec: FeatureSpec, start: Option<&Guard>) -> State {
        let n = spec.n_buckets();
        let weights = start.map_or_else(|| vec![[0.0; 2]; n], |g| (0..n as u32).map(|i| [g.model.weight(i), 0.0]).collect());
        State { weights, bias: [start.map_or(0.0, |g| g.model.bias), 0.0], time: 0.0, n_char_buckets: 1 << spec.char_bits }
    }

    /// One step on one batch; gives the batch's weighted loss before the step.
    fn learn(&mut self, examples: &[Example], batch: &[u32], rate: f32, time: f32, whole: bool) -> f64 {
        self.time = time;
        let outcomes: Vec<(usize, f32, f64)> = batch
            .par_iter()
            .with_min_len(8)
            .map(|i| {
                let example = &examples[*i as usize];
                let weight = |bucket: u32| self.weights[bucket as usize][0];
                let (passage, logit) = if whole && example.target > 0.5 {
                    (0, example.passages[0].logit(self.bias[0], weight))
                } else {
                    example.strongest(self.bias[0], weight)
                };
                let error = example.weight * (sigmoid(f64::from(logit)) as f32 - example.target);
                (passage, error, f64::from(example.weight) * log_loss(logit, example.target))
            })
            .collect();
        let size = self.weights.len() / RANGES;
        let n_char_buckets = self.n_char_buckets;
        self.weights.par_chunks_mut(size).enumerate().for_each(|(range, weights)| {
            let (from, to) = ((range * size) as u32, ((range + 1) * size) as u32);
            for (i, (passage, error, _)) in batch.iter().zip(&outcomes) {
                let example = &examples[*i as usize].passages[*passage];
                let value = if from < n_char_buckets { example.values.0 } else { example.values.1 };
                let change = rate * error * value;
                let start = example.indices.partition_point(|b| *b < from);
                for bucket in example.indices[start..].iter().take_while(|b| **b < to) {
                    let [weight, sum] = &mut weights[(bucket - from) as usize];
                    *weight -= change;
                    *sum -= time * change;
                }
            }
        });
        for (_, error, _) in &outcomes {
            // The bias takes part in every row; a full step would let it swing with each batch.
            let change = 0.01 * rate * error;
            self.bias[0] -= change;
            self.bias[1] -= time * change;
        }
        outcomes.iter().map(|o| o.2).sum()
    }

    /// The mean of the weights and of the bias over all steps so far.
    fn average(&self) -> (Vec<f32>, f32) {
        let mean = |[weight, sum]: [f32; 2]| weight - sum / self.time.max(f32::MIN_POSITIVE);
        (self.weights.par_iter().map(|w| mean(*w)).collect(), mean(self.bias))
    }
}

/// What a pass came to: the tuning rows under the given weights, beside the training loss.
fn measure(weights: &[f32], bias: f32, tuning: &[Example], loss: f64) -> Epoch {
    let logits: Vec<f32> = tuning.par_iter().map(|e| e.strongest(bias, |bucket| weights[bucket as usize]).1).collect();
    let mut epoch = Epoch { loss, tune_loss: 0.0, false_positives: Count::default(), recall: Count::default() };
    let mut total = 0.0;
    for (example, logit) in tuning.iter().zip(logits) {
        let count = if example.target > 0.5 { &mut epoch.recall } else { &mut epoch.false_positives };
        count.add(logit >= 0.0);
        epoch.tune_loss += f64::from(example.weight) * log_loss(logit, example.target);
        total += f64::from(example.weight);
    }
    epoch.tune_loss /= total;
    epoch
}

/// ln(1 + exp(-z)) for the logit of the right class, without overflow.
fn log_loss(logit: f32, target: f32) -> f64 {
    let z = f64::from(if target > 0.5 { -logit } else { logit });
    z.max(0.0) + (-z.abs()).exp().ln_1p()
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
