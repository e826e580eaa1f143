//! The settings of the trainer.

use std::collections::BTreeMap;

use levelhead::features::FeatureSpec;

use crate::error::{Error, Result};

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
/// | `dropout` | 0 | share of its features that a row does without in a step, so that no few of them carry the verdict | 0 to below 1 |
/// | `part_penalty` | 0.6 | how far the logit of a part must be above that of the whole text to count for more, in a text of eight segments and more | 0 up |
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
    /// Share of its features that a row does without in a step.
    pub dropout: f32,
    /// How far the logit of a part must be above that of the whole text to count for more.
    pub part_penalty: f32,
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
            dropout: 0.0,
            part_penalty: 0.6,
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
                format!("characters {} in 2^{} buckets, words 1-{} in 2^{}", f.char_n, f.char_bits, f.word_max, f.word_bits),
            ),
            ("n_epochs", self.n_epochs.to_string()),
            ("batch", self.batch.to_string()),
            ("learning_rate", self.learning_rate.to_string()),
            ("attack_weight", self.attack_weight.to_string()),
            ("source_weights", format!("{:?}", self.source_weights)),
            ("dropout", self.dropout.to_string()),
            ("part_penalty", if f.parts { self.part_penalty.to_string() } else { "none: whole texts".to_string() }),
            ("transformed", self.transformed.to_string()),
            ("patience", self.patience.to_string()),
        ]
        .into_iter()
        // A setting that is off leaves no trace, so that guards trained before there was one come out the same.
        .filter(|(name, _)| *name != "dropout" || self.dropout > 0.0)
        .map(|(name, value)| (name.to_string(), value))
        .collect()
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
            (!(0.0..1.0).contains(&self.dropout), "dropout", "is not between 0 and below 1"),
            (!(self.part_penalty >= 0.0 && self.part_penalty.is_finite()), "part-penalty", "is below 0"),
            (!(0.0..=1.0).contains(&self.transformed), "transformed", "is not between 0 and 1"),
        ];
        match faults.iter().find(|f| f.0) {
            Some((_, name, reason)) => Err(Error::setting(name, reason)),
            None => Ok(()),
        }
    }
}
