//! Recalibrate first, retrain second: a threshold that keeps an FPR target, and probabilities to go with it.
//!
//! The rows must be held back from training: on its own training rows every guard looks better than it is.

use std::collections::HashSet;

use levelhead::calibration::Calibration;
use levelhead::fingerprint::Fingerprints;
use levelhead::{Guard, Logit, Scratch, normalize};
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::logistic::{Line, Point, fit_line};
use crate::row::Row;
use crate::stats::{Count, neyman_pearson_threshold};

/// How a guard is calibrated.
///
/// | name | default | purpose | range |
/// |---|---|---|---|
/// | `max_fpr` | 0.01 | the FPR that the threshold keeps | above 0, below 1 |
/// | `violation` | 0.05 | the chance that the FPR on new traffic is above it all the same | above 0, below 1 |
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CalibrateConfig {
    /// The FPR that the threshold keeps.
    pub max_fpr: f64,
    /// The chance that the FPR on new traffic is above it all the same.
    pub violation: f64,
}

impl Default for CalibrateConfig {
    fn default() -> Self {
        CalibrateConfig { max_fpr: 0.01, violation: 0.05 }
    }
}

impl CalibrateConfig {
    /// Looks through the settings.
    ///
    /// # Errors
    /// [`Error::Setting`] names the first that makes no sense.
    pub fn check(&self) -> Result<()> {
        for (name, value) in [("max-fpr", self.max_fpr), ("violation", self.violation)] {
            if !(value > 0.0 && value < 1.0) {
                return Err(Error::setting(name, format!("{value} is not between 0 and 1")));
            }
        }
        Ok(())
    }
}

/// A recalibrated guard and what it rests on.
#[derive(Debug)]
pub struct Calibrated {
    /// The guard with its new calibration and threshold.
    pub guard: Guard,
    /// Benign prompts flagged before, out of the distinct ones.
    pub before: Count,
    /// Benign prompts flagged after.
    pub after: Count,
    /// Benign prompts that rules flag, whatever the threshold.
    pub by_rules: Count,
}

/// Sets the threshold by the Neyman-Pearson umbrella on distinct benign prompts, and fits Platt's probabilities where
/// there are attacks too; without attacks the logit is shifted so that probability 0.5 is the threshold.
///
/// # Errors
/// [`Error::Data`] where there are too few benign prompts for the guarantee, where rules alone go beyond the target, or
/// where attacks do not score above benign prompts; [`Error::Setting`].
pub fn calibrate(guard: &Guard, benign: &[&Row], attacks: &[&Row], config: CalibrateConfig) -> Result<Calibrated> {
    config.check()?;
    let benign = distinct(benign);
    let logits = logits(guard, &benign);
    let ruled: Vec<bool> = benign.par_iter().map(|r| guard.breaks_a_rule(&r.text)).collect();
    // No threshold frees a prompt that a rule flags, so for the order statistic its score is beyond all others.
    let mut scores: Vec<f64> = logits.iter().zip(&ruled).map(|(l, rule)| if *rule { f64::INFINITY } else { *l }).collect();
    let cut = neyman_pearson_threshold(&mut scores, config.max_fpr, config.violation).map_err(|few| {
        Error::data(format!(
            "{} distinct benign prompts are too few to keep an FPR of {} with {:.0} % confidence: {} are needed",
            few.n,
            config.max_fpr,
            100.0 * (1.0 - config.violation),
            few.needed
        ))
    })?;
    let by_rules = Count { hits: ruled.iter().filter(|r| **r).count(), n: ruled.len() };
    if cut == f64::INFINITY {
        return Err(Error::data(format!(
            "rules alone flag {} of {} benign prompts, more than an FPR of {} allows: repair the rules first",
            by_rules.hits, by_rules.n, config.max_fpr
        )));
    }
    let attacks: Vec<&Row> = distinct(attacks).into_iter().filter(|r| r.counts_in_recall()).collect();
    let calibration = if attacks.is_empty() {
        Calibration { slope: 1.0, intercept: -cut }
    } else {
        platt(&logits, &self::logits(guard, &attacks))?
    };
    let mut calibrated = guard.clone();
    calibrated.calibration = calibration;
    // Logits are 32 bits wide: the next one above the cut is the first that is flagged.
    calibrated.threshold = calibration.probability(Logit(smallest_f32_at_least(cut)));
    calibrated.provenance.threshold = format!(
        "Neyman-Pearson umbrella: FPR at most {} with {:.0} % confidence, set on {} distinct benign prompts",
        config.max_fpr,
        100.0 * (1.0 - config.violation),
        benign.len()
    );
    calibrated.trained.extend(benign.iter().chain(&attacks).map(|r| Fingerprints::of(&normalize(&r.text))));
    let flagged = |guard: &Guard| {
        let hit = |(logit, rule): (&f64, &bool)| *rule || guard.calibration.probability(Logit(*logit as f32)) >= guard.threshold;
        Count { hits: logits.iter().zip(&ruled).filter(|x| hit(*x)).count(), n: logits.len() }
    };
    Ok(Calibrated { before: flagged(guard), after: flagged(&calibrated), by_rules, guard: calibrated })
}

/// The rows with distinct normalized texts, first come first kept: a repeat is no further evidence.
pub fn distinct<'a>(rows: &[&'a Row]) -> Vec<&'a Row> {
    let mut seen = HashSet::new();
    rows.iter().filter(|r| seen.insert(normalize(&r.text).as_str().to_string())).copied().collect()
}

/// The classifier's logits, in the rows' order.
pub fn logits(guard: &Guard, rows: &[&Row]) -> Vec<f64> {
    rows.par_chunks(256)
        .flat_map_iter(|chunk| {
            let mut scratch = Scratch::default();
            chunk.iter().map(|r| f64::from(guard.logit(&r.text, &mut scratch).0)).collect::<Vec<_>>()
        })
        .collect()
}

/// Platt scaling with his smoothed targets (Platt, 1999).
///
/// Both classes get the same total weight, so the probabilities hold where attacks and benign prompts are equally common;
/// a real attack rate has to be brought in afterwards.
fn platt(benign: &[f64], attacks: &[f64]) -> Result<Calibration> {
    let (n_benign, n_attacks) = (benign.len() as f64, attacks.len() as f64);
    let total = n_benign + n_attacks;
    let low = benign.iter().map(|x| Point { x: *x, target: 1.0 / (n_benign + 2.0), weight: total / (2.0 * n_benign) });
    let hit = (n_attacks + 1.0) / (n_attacks + 2.0);
    let high = attacks.iter().map(|x| Point { x: *x, target: hit, weight: total / (2.0 * n_attacks) });
    let Line { slope, intercept, .. } = fit_line(&low.chain(high).collect::<Vec<Point>>());
    if !(slope > 0.0 && slope.is_finite() && intercept.is_finite()) {
        return Err(Error::data("attacks do not score above benign prompts: this guard has to be retrained, not recalibrated"));
    }
    Ok(Calibration { slope, intercept })
}

fn smallest_f32_at_least(x: f64) -> f32 {
    let near = x as f32;
    if f64::from(near) >= x { near } else { near.next_up() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platt_agrees_with_scikit_learn() {
        // X = [-2, -1, -.5, .3, -1.2] benign, [.2, 1.5, 2.5] attacks, each row twice with weights t and 1 - t, times the class weight:
        // sklearn.linear_model.LogisticRegression(C=1e12, tol=1e-12).fit(X, y, sample_weight=w), scikit-learn 1.9
        let calibration = platt(&[-2.0, -1.0, -0.5, 0.3, -1.2], &[0.2, 1.5, 2.5]).unwrap();
        assert!((calibration.slope - 0.918149552).abs() < 1e-5, "{calibration:?}");
        assert!((calibration.intercept - (-0.369564030)).abs() < 1e-5, "{calibration:?}");
    }

    #[test]
    fn scores_that_run_the_wrong_way_are_refused() {
        assert!(platt(&[1.0, 2.0, 3.0], &[-1.0, -2.0]).unwrap_err().to_string().contains("retrained"));
    }

    #[test]
    fn the_next_32_bit_number_is_never_below() {
        for x in [0.1, -0.1, 1.0, 1e-30, -7.3, 0.1f64.next_up()] {
            let y = smallest_f32_at_least(x);
            assert!(f64::from(y) >= x && f64::from(y.next_down()) < x, "{x}");
        }
    }
}
