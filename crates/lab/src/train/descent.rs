//! The steps of training: errors of a batch at the same weights, then changes bucket range by bucket range.

use levelhead::Guard;
use levelhead::calibration::sigmoid;
use levelhead::features::FeatureSpec;
use levelhead::spans::SizeBiases;
use rayon::prelude::*;

use super::{Epoch, TrainConfig};
use crate::example::{Example, Scratch};
use crate::logistic::{Point, fit_line};
use crate::random::mix;
use crate::stats::Count;

/// Weights on their way.
pub(super) struct State {
    spec: FeatureSpec,
    dropout: f32,
    seed: u64,
    /// For each bucket the weight, and the sum of its changes, each times the step at which it was made.
    ///
    /// The mean of the weights over all steps is the weight minus that sum over the number of steps (Daumé, 2006, fig. 2.3).
    weights: Vec<[f32; 2]>,
    /// The same for the bias of the whole text.
    bias: [f32; 2],
    /// How far the bias of each size of passage is from it.
    offsets: SizeBiases,
    /// Steps so far, in units of the whole run, so that the sums stay small.
    time: f32,
}

/// Ranges of buckets that are updated side by side. The result is the same for any number.
const RANGES: usize = 16;

/// What all rows of a batch have in common.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    /// Which pass over the rows.
    pub epoch: usize,
    /// Steps so far, this one included, in units of the whole run.
    pub time: f32,
    /// Length of the step.
    pub rate: f32,
}

/// The features that a row does without in one step: each with the same probability, drawn anew in every pass.
///
/// Those that stay count for more, so that sums keep their expected value and judging needs no correction (Srivastava et al.,
/// 2014, section 10). A row's strongest n-grams may be missing, so its other ones must learn to tell it too; a source that was
/// not seen has some of those at best.
#[derive(Clone, Copy)]
struct Dropout {
    salt: u64,
    /// A draw of 32 bits below it drops.
    threshold: u32,
    /// What the features that stay are multiplied by.
    gain: f32,
}

impl Dropout {
    /// The same for the same row in the same pass, whatever batch and thread it is in.
    fn new(share: f32, seed: u64, row: u32, epoch: usize) -> Dropout {
        let salt = mix(mix(seed ^ epoch as u64) ^ u64::from(row));
        // Rounds down, and a share of 0 drops nothing.
        Dropout { salt, threshold: (f64::from(share) * 2f64.powi(32)) as u32, gain: 1.0 / (1.0 - share) }
    }

    #[inline(always)]
    fn keeps(self, bucket: u32) -> bool {
        (mix(self.salt ^ u64::from(bucket)) >> 32) as u32 >= self.threshold
    }
}

/// What one row asks of the weights.
struct Step {
    /// The features of its passage in ranges of buckets, the end of each range, and the features' values.
    features: (Vec<u32>, Vec<u32>, [f32; 2]),
    dropout: Dropout,
    error: f32,
    loss: f64,
}

/// The bias takes part in every row; a full step would let it swing with each batch.
const BIAS_STEP: f32 = 0.01;

impl State {
    pub(super) fn new(config: &TrainConfig, start: Option<&Guard>) -> State {
        let spec = config.features;
        let n = spec.n_buckets();
        let weights = start.map_or_else(|| vec![[0.0; 2]; n], |g| (0..n as u32).map(|i| [g.model.weight(i), 0.0]).collect());
        let bias = start.map_or(0.0, |g| g.model.biases[0]);
        let offsets = match start {
            Some(guard) => guard.model.biases.map(|b| b - bias),
            None => std::array::from_fn(|size| if size == 0 { 0.0 } else { -config.part_penalty }),
        };
        State { spec, dropout: config.dropout, seed: config.seed, weights, bias: [bias, 0.0], offsets, time: 0.0 }
    }

    /// One step on one batch; gives the batch's weighted loss before the step.
    ///
    /// In the first epoch an attack is taken as a whole: no weights tell yet which of its passages is the attack.
    pub(super) fn learn(&mut self, examples: &[Example], batch: &[u32], moment: Moment) -> f64 {
        let Moment { epoch, time, rate } = moment;
        self.time = time;
        let biases = self.biases(self.bias[0]);
        let steps: Vec<Step> = batch
            .par_iter()
            .with_min_len(8)
            .map_init(Scratch::default, |scratch, i| {
                let example = &examples[*i as usize];
                let dropout = Dropout::new(self.dropout, self.seed, *i, epoch);
                let weight = |bucket: u32| {
                    if dropout.keeps(bucket) { dropout.gain * self.weights[bucket as usize][0] } else { 0.0 }
                };
                let chosen = if epoch == 0 && example.target > 0.5 {
                    example.whole(self.spec, scratch, &biases, weight)
                } else {
                    example.strongest(self.spec, scratch, &biases, weight)
                };
                let logit = chosen.as_ref().map_or(biases[0], |c| c.logit);
                Step {
                    error: example.weight * (sigmoid(f64::from(logit)) as f32 - example.target),
                    loss: f64::from(example.weight) * log_loss(logit, example.target),
                    features: chosen.map_or((Vec::new(), vec![0; RANGES], [0.0; 2]), |c| example.gather(&c, self.spec, RANGES)),
                    dropout,
                }
            })
            .collect();
        let (spec, size) = (self.spec, self.weights.len() / RANGES);
        self.weights.par_chunks_mut(size).enumerate().for_each(|(range, weights)| {
            for Step { features: (buckets, ends, values), dropout, error, .. } in &steps {
                let start = if range == 0 { 0 } else { ends[range - 1] };
                let changes = values.map(|value| rate * error * dropout.gain * value);
                let buckets = &buckets[start as usize..ends[range] as usize];
                for bucket in buckets.iter().filter(|bucket| dropout.keeps(**bucket)) {
                    let change = changes[usize::from(!spec.is_char(*bucket))];
                    let [weight, sum] = &mut weights[*bucket as usize - range * size];
                    *weight -= change;
                    *sum -= time * change;
                }
            }
        });
        for step in &steps {
            let change = BIAS_STEP * rate * step.error;
            self.bias[0] -= change;
            self.bias[1] -= time * change;
        }
        steps.iter().map(|s| s.loss).sum()
    }

    /// The mean of the weights and of the bias over all steps so far.
    pub(super) fn average(&self) -> (Vec<f32>, SizeBiases) {
        let mean = |[weight, sum]: [f32; 2]| weight - sum / self.time.max(f32::MIN_POSITIVE);
        (self.weights.par_iter().map(|w| mean(*w)).collect(), self.biases(mean(self.bias)))
    }

    /// The bias of each size of passage, where the whole text has `bias`.
    fn biases(&self, bias: f32) -> SizeBiases {
        self.offsets.map(|offset| bias + offset)
    }
}

/// What a pass came to: the tuning rows under the given weights, beside the training loss.
///
/// The tuning loss is taken after calibration. Logits grow from pass to pass, and on rows unlike the training rows they grow
/// overconfident: that alone would stop the training while the order of the rows still gets better.
pub(super) fn measure(spec: FeatureSpec, weights: &[f32], biases: &SizeBiases, tuning: &[Example], loss: f64) -> Epoch {
    let logit = |scratch: &mut Scratch, e: &Example| {
        e.strongest(spec, scratch, biases, |bucket| weights[bucket as usize]).map_or(biases[0], |c| c.logit)
    };
    let logits: Vec<f32> = tuning.par_iter().map_init(Scratch::default, logit).collect();
    let mut epoch = Epoch { loss, tune_loss: 0.0, false_positives: Count::default(), recall: Count::default() };
    let mut points = Vec::with_capacity(tuning.len());
    for (example, logit) in tuning.iter().zip(logits) {
        let count = if example.target > 0.5 { &mut epoch.recall } else { &mut epoch.false_positives };
        count.add(logit >= 0.0);
        points.push(Point { x: f64::from(logit), target: f64::from(example.target), weight: f64::from(example.weight) });
    }
    epoch.tune_loss = fit_line(&points).loss / points.iter().map(|p| p.weight).sum::<f64>();
    epoch
}

/// ln(1 + exp(-z)) for the logit of the right class, without overflow.
fn log_loss(logit: f32, target: f32) -> f64 {
    let z = f64::from(if target > 0.5 { -logit } else { logit });
    z.max(0.0) + (-z.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropout_keeps_its_share_and_draws_anew_for_each_row_and_pass() {
        let kept = |share: f32, seed, row, epoch| -> Vec<bool> {
            let dropout = Dropout::new(share, seed, row, epoch);
            (0..20_000).map(|bucket| dropout.keeps(bucket)).collect()
        };
        for share in [0.0, 0.3, 0.5, 0.9] {
            let n = kept(share, 42, 7, 1).iter().filter(|k| **k).count() as f32;
            // Four standard deviations of a binomial count are 0.014 of the draws at most.
            assert!((n / 20_000.0 - (1.0 - share)).abs() < 0.015, "{share}: {n}");
            assert!((Dropout::new(share, 42, 7, 1).gain * (1.0 - share) - 1.0).abs() < 1e-6);
        }
        assert!(kept(0.0, 42, 7, 1).iter().all(|k| *k));
        let draw = kept(0.5, 42, 7, 1);
        assert_eq!(kept(0.5, 42, 7, 1), draw);
        for (what, other) in [("seed", (43, 7, 1)), ("row", (42, 8, 1)), ("epoch", (42, 7, 2))] {
            let other = kept(0.5, other.0, other.1, other.2);
            let n = draw.iter().zip(&other).filter(|(a, b)| a == b).count();
            assert!((9_700..10_300).contains(&n), "{what}: {n}");
        }
    }
}
