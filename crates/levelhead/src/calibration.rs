//! Stages 4 and 5: from the model's logit to the probability of an attack.
//!
//! The map is strictly increasing, so calibration never changes the order of two prompts and never the ROC curve.

use serde::{Deserialize, Serialize};

/// The model's raw output: log-odds of an attack, before calibration.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Logit(pub f32);

/// P(attack), 0 to 1, after calibration.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Probability(pub f64);

/// Platt scaling: P(attack) = 1 / (1 + exp(-(slope * logit + intercept))) (Platt, 1999).
///
/// ```
/// use levelhead::{Calibration, Logit};
/// assert_eq!(Calibration::IDENTITY.probability(Logit(0.0)).0, 0.5);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Steepness, above 0.
    pub slope: f64,
    /// Shift, in log-odds.
    pub intercept: f64,
}

impl Calibration {
    /// The logit is taken at its word.
    pub const IDENTITY: Calibration = Calibration { slope: 1.0, intercept: 0.0 };

    /// The calibrated probability of a logit.
    pub fn probability(&self, logit: Logit) -> Probability {
        Probability(sigmoid(self.slope * f64::from(logit.0) + self.intercept))
    }
}

/// The logistic function, without overflow.
pub fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_stay_between_0_and_1_and_keep_the_order() {
        let calibration = Calibration { slope: 1.7, intercept: -0.4 };
        let logits = [f32::NEG_INFINITY, -1e30, -800.0, -3.0, 0.0, 0.25, 5.0, 800.0, 1e30, f32::INFINITY];
        let p = logits.map(|x| calibration.probability(Logit(x)).0);
        assert!(p.iter().all(|p| (0.0..=1.0).contains(p)));
        assert!(p.windows(2).all(|w| w[0] <= w[1]));
        // scipy.special.expit(1.7 * 0.25 - 0.4)
        assert!((p[5] - 0.506_249_674_5).abs() < 1e-9, "{}", p[5]);
    }
}
