//! What the loop is given and what comes of it.

use levelhead::Guard;
use serde::Serialize;

use crate::audit::Audit;
use crate::calibrate::CalibrateConfig;
use crate::choose::{Plan, ReinforceConfig};
use crate::crossval::Premium;
use crate::curves::Curves;
use crate::error::Error;
use crate::evaluation::Evaluation;
use crate::gate::GateReport;
use crate::recipe::Recipe;
use crate::reinforce::{Lineage, Rejected};
use crate::remedy::Remedy;
use crate::row::Row;
use crate::standing::{Matched, Standing};
use crate::train::TrainConfig;

/// How the loop runs.
///
/// | name | default | purpose | range |
/// |---|---|---|---|
/// | `train` | see [`TrainConfig`] | how each guard is trained | |
/// | `reinforce` | see [`ReinforceConfig`] | how false positives become rows | |
/// | `judges` | true | whether two guards, each without one half of the false positives, judge the rows made of that half | |
/// | `remedies` | true | whether cheap remedies are tried before any row is made | |
/// | `n_rows` | 4790 | reinforced rows of the first round, the seed's number; each later round may add twice as many | 1 up |
/// | `max_rounds` | 5 | rounds, at most | 0 up |
/// | `max_fpr` | 0.005 | the FPR that the threshold keeps on held-back traffic | above 0, below 1 |
/// | `matched_fpr` | 0.01 | where recall is compared from round to round | above 0, below 1 |
/// | `least_gain` | 0.002 | a round that gains less recall than this is the last | |
/// | `max_over_defense` | 1 | share of the harmless rows beside the attacks that a round may flag at the matched FPR, or it is not taken | 0 to 1 |
/// | `premium_folds` | 3 | parts of the cross-validation behind the leakage premium; 0 leaves it out | 0, 2 up |
/// | `near_misses` | 0.02 | share of the mined traffic that counts as false positives, or nearly: the highest scores | 0 to 1 |
#[derive(Debug, Clone)]
pub struct ImproveConfig {
    /// How each guard is trained.
    pub train: TrainConfig,
    /// How false positives become rows.
    pub reinforce: ReinforceConfig,
    /// Whether cheap remedies are tried before any row is made.
    pub remedies: bool,
    /// Whether guards that do not know a row's origin judge it.
    pub judges: bool,
    /// Reinforced rows of the first round.
    pub n_rows: usize,
    /// Rounds, at most.
    pub max_rounds: usize,
    /// The FPR that the threshold keeps on held-back traffic.
    pub max_fpr: f64,
    /// Where recall is compared from round to round.
    pub matched_fpr: f64,
    /// A round that gains less recall than this is the last.
    pub least_gain: f64,
    /// Share of the harmless rows beside the attacks that a round may flag at the matched FPR.
    pub max_over_defense: f64,
    /// Parts of the cross-validation behind the leakage premium.
    pub premium_folds: u32,
    /// Share of the mined traffic that counts as false positives, or nearly.
    pub near_misses: f64,
}

impl Default for ImproveConfig {
    fn default() -> Self {
        ImproveConfig {
            train: TrainConfig::default(),
            reinforce: ReinforceConfig { recipe: Recipe::default().with_originals(5), rest: 0.5, ..ReinforceConfig::default() },
            judges: true,
            remedies: true,
            n_rows: 4790,
            max_rounds: 5,
            max_fpr: 0.005,
            matched_fpr: 0.01,
            least_gain: 0.002,
            max_over_defense: 1.0,
            premium_folds: 3,
            near_misses: 0.02,
        }
    }
}

impl ImproveConfig {
    /// How each guard's threshold is set.
    pub fn calibrate(&self) -> CalibrateConfig {
        CalibrateConfig { max_fpr: self.max_fpr, ..CalibrateConfig::default() }
    }
}

/// One round: how the guard was made and where it stands on the gate half.
#[derive(Debug, Clone, Serialize)]
pub struct Round {
    /// 0 for the first guard, before any reinforcement.
    pub number: usize,
    /// Rows added in this round.
    pub n_added: usize,
    /// Rows that trained this round's guard.
    pub n_trained: usize,
    /// Mined prompts that the guard before this round flagged at its natural threshold.
    pub n_false_positives: usize,
    /// What was asked of reinforcement and what came of it.
    pub plan: Option<Plan>,
    /// Red flags of the trainer, in words.
    pub warnings: Vec<String>,
    /// The guard at its natural threshold, probability 0.5.
    pub natural: Standing,
    /// The guard at its calibrated threshold.
    pub calibrated: Standing,
    /// Recall at the matched FPR; nothing where the gate half is too small to see it.
    pub matched: Option<Matched>,
    /// Recall there without more over-defense than the first guard's.
    pub within: Option<Matched>,
    /// The checks on the gate half.
    pub gate: GateReport,
    /// How long the round took, in seconds.
    pub seconds: f64,
}

impl Round {
    /// Share of the harmless rows beside the attacks that is flagged at the matched FPR; 0 where there are none.
    pub fn over_defense(&self) -> f64 {
        self.matched.as_ref().and_then(|m| m.all_over_defense().rate()).unwrap_or(0.0)
    }
}

/// What came of a remedy, on the gate half.
#[derive(Debug, Clone, Serialize)]
pub struct Tried {
    /// What was done.
    pub remedy: Remedy,
    /// Where the guard stands.
    pub round: Round,
}

/// What came of the loop.
#[derive(Debug)]
pub struct Improved {
    /// The guard of the best round.
    pub guard: Guard,
    /// Which round that is.
    pub best: usize,
    /// Every round.
    pub rounds: Vec<Round>,
    /// Why the loop ended, in words.
    pub ended: String,
    /// What the model's endpoint did in the round after the last, where that ended the loop.
    pub fault: Option<Error>,
    /// All reinforced rows up to the best round.
    pub reinforced: Vec<Row>,
    /// Where each of them came from.
    pub lineage: Vec<Lineage>,
    /// The cheap remedies that were tried on the first guard.
    pub remedies: Vec<Tried>,
    /// Rows that were proposed and may not train, of all rounds.
    pub rejected: Vec<Rejected>,
    /// The false positives of the first guard on the mined traffic.
    pub first_audit: Audit,
    /// The false positives of the best guard on the mined traffic.
    pub last_audit: Audit,
    /// The checks on the holdout half, read once.
    pub holdout: GateReport,
    /// All figures on the holdout half, read once.
    pub evaluation: Evaluation,
    /// The first guard on the holdout half, for comparison.
    pub first_on_holdout: Standing,
    /// The best guard on the holdout half.
    pub best_on_holdout: Standing,
    /// Recall at the matched FPR on the holdout half: first guard, best guard.
    pub matched_on_holdout: [Option<Matched>; 2],
    /// The best guard there without more over-defense than the first guard's.
    pub within_on_holdout: Option<Matched>,
    /// What plots show of the holdout half: first guard, best guard.
    pub curves: [Curves; 2],
    /// The training rows cross-validated under each split; empty where that was not asked.
    pub premium: Vec<Premium>,
    /// Rows by what they were used for.
    pub sizes: Vec<(&'static str, usize)>,
    /// Rows refused, by input and reason.
    pub refused: std::collections::BTreeMap<String, usize>,
}
