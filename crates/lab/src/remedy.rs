//! Cheap remedies against false positives, tried before any row is made: a threshold, class weights, hard negatives, a little
//! more training, rules.

use serde::{Serialize, Serializer};

/// A remedy that needs no benign traffic, or none but what sets the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The first guard with a threshold set on held-back traffic.
    Recalibrate,
    /// Attacks count a third: a false positive costs three times as much against a miss.
    ClassWeights,
    /// The hard negatives train too.
    HardNegatives,
    /// The first guard trains on, on the hard negatives and as many attacks.
    FineTune,
    /// The classifier without its rules: what the hybrid of the two is worth.
    WithoutRules,
}

impl Remedy {
    /// All, the cheapest and, from there on, those that the seed of the method names first, first.
    pub const ALL: [Remedy; 5] =
        [Remedy::Recalibrate, Remedy::ClassWeights, Remedy::HardNegatives, Remedy::FineTune, Remedy::WithoutRules];

    /// What is done, for tables.
    pub fn name(self) -> &'static str {
        match self {
            Remedy::Recalibrate => "recalibrate",
            Remedy::ClassWeights => "class weights: attacks count a third",
            Remedy::HardNegatives => "train on the hard negatives",
            Remedy::FineTune => "fine-tune on the hard negatives",
            Remedy::WithoutRules => "classifier without rules",
        }
    }
}

impl Serialize for Remedy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
