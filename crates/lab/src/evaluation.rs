//! What an evaluation holds: counts, shares with their bounds, figures with their intervals.
//!
//! It must never hold a rate without its counts, nor a missing figure without the reason.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::stats::{Count, Interval, precision_at_prevalence};

/// The false positive rates that recall is given at.
pub const FPRS: [f64; 3] = [0.01, 0.005, 0.001];

/// What is known of a guard on a set of rows.
///
/// Benign rows of every source count in the false positive rate. Rows of the family `harmful_request` count in nothing but
/// [`Evaluation::harmful_requests`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// Rows given.
    pub rows: usize,
    /// Texts among them that differ after normalization.
    pub distinct_rows: usize,
    /// Groups of near-duplicates among the rows that count; the bootstrap draws these.
    pub groups: usize,
    /// Rows without a label; they count in nothing.
    pub unlabelled: usize,
    /// Harmful requests without an injection: flagged of all.
    pub harmful_requests: Count,
    /// Attacks that were flagged.
    pub true_positives: usize,
    /// Benign rows that were flagged.
    pub false_positives: usize,
    /// Benign rows that were not flagged.
    pub true_negatives: usize,
    /// Attacks that were not flagged.
    pub false_negatives: usize,
    /// Benign rows flagged at the guard's own threshold.
    pub false_positive_rate: Share,
    /// The same by category.
    pub false_positive_rate_by_category: BTreeMap<String, Share>,
    /// The same by source.
    pub false_positive_rate_by_source: BTreeMap<String, Share>,
    /// Attacks flagged at the guard's own threshold.
    pub recall: Share,
    /// The same by source.
    pub recall_by_source: BTreeMap<String, Share>,
    /// The mean of these: every source counts the same, whatever its size.
    pub mean_recall: Figure,
    /// Attacks among the flagged rows; it holds for this share of attacks only.
    pub precision: Share,
    /// Benign rows of the reference that are flagged at the guard's own threshold, where there is a reference.
    pub reference_false_positive_rate: Option<Share>,
    /// Precision at stated shares of attacks in the traffic, from recall and the false positive rate of the reference, or else of
    /// these rows.
    pub precision_at_prevalence: Vec<PrecisionAt>,
    /// Harmonic mean of precision and recall.
    pub f1: Figure,
    /// Area under the ROC curve.
    pub auc: Figure,
    /// Recall at each of [`FPRS`].
    pub recall_at_fpr: Vec<RecallAtFpr>,
    /// Expected calibration error over 15 bins of equal width (Guo, Pleiss, Sun, Weinberger, ICML 2017).
    pub expected_calibration_error: Figure,
    /// Mean squared difference of score and label (Brier, 1950).
    pub brier_score: Figure,
    /// Resamples behind each bootstrap interval.
    pub resamples: usize,
    /// Seed of the resamples.
    pub seed: u64,
}

/// The share of alarms that are right where attacks are a stated share of the traffic.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PrecisionAt {
    /// Attacks among all prompts, above 0 and below 1.
    pub prevalence: f64,
    /// The precision there; nothing where nothing would be flagged, or a class is missing.
    pub value: Option<f64>,
    /// From the exact 97.5 % bounds of recall and of the false positive rate, one on each side: at least 95 % by Bonferroni.
    pub interval: Option<Interval>,
}

/// The shares of attacks that are shown where none is asked for.
pub const PREVALENCES: [f64; 3] = [0.01, 0.001, 0.0001];

impl Evaluation {
    /// Gives the precision at these shares of attacks.
    ///
    /// Source: Bayes' rule, [`precision_at_prevalence`].
    pub fn set_prevalences(&mut self, prevalences: &[f64]) {
        let benign = self.reference_false_positive_rate.unwrap_or(self.false_positive_rate).count;
        let recall = self.recall.count;
        let at = |recall: Option<f64>, fpr: Option<f64>, prevalence| precision_at_prevalence(recall?, fpr?, prevalence);
        let precision = |prevalence: &f64| {
            let low = at(recall.lower_bound(0.975), benign.upper_bound(0.975), *prevalence);
            let high = at(recall.upper_bound(0.975), benign.lower_bound(0.975), *prevalence);
            let interval = low.zip(high).map(|(low, high)| Interval { low, high });
            PrecisionAt { prevalence: *prevalence, value: at(recall.rate(), benign.rate(), *prevalence), interval }
        };
        self.precision_at_prevalence = prevalences.iter().map(precision).collect();
    }
}

/// A proportion with its counts and its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Share {
    /// So many of so many.
    pub count: Count,
    /// The share, 0 to 1; nothing of no rows.
    pub rate: Option<f64>,
    /// Wilson's interval at 95 %.
    pub interval: Option<Interval>,
    /// The one-sided Clopper-Pearson bound at 95 % on the bad side: upper for false positives, lower for recall and precision.
    pub bound: Option<f64>,
}

/// A figure that is no plain proportion, with its bootstrap interval.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// Its value; nothing where the rows cannot carry it.
    pub value: Option<f64>,
    /// The percentile interval at 95 % of resampled groups.
    pub interval: Option<Interval>,
    /// Why there is no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Recall where the threshold lets a stated share of benign rows be flagged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecallAtFpr {
    /// The false positive rate allowed, 0 to 1.
    pub fpr: f64,
    /// The lowest threshold that keeps to it; nothing where there are too few benign rows.
    pub threshold: Option<f64>,
    /// Benign rows that it flags, of all that it was found on.
    pub benign: Count,
    /// Whether these are the rows of a reference set, not of the evaluated one.
    pub from_reference: bool,
    /// Recall by source, with counts. The interval also moves the threshold; it is never narrower than Wilson's.
    pub by_source: BTreeMap<String, CountedFigure>,
    /// The mean over sources.
    pub mean: Figure,
}

/// A proportion whose threshold is an estimate too.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CountedFigure {
    /// So many of so many.
    pub count: Count,
    /// The share, 0 to 1.
    pub rate: Option<f64>,
    /// Its interval at 95 %.
    pub interval: Option<Interval>,
}

impl Share {
    /// A share to keep low.
    pub(crate) fn of_false_positives(count: Count) -> Share {
        Share { count, rate: count.rate(), interval: count.wilson(), bound: count.upper_bound(0.95) }
    }

    /// A share to keep high.
    pub(crate) fn of_hits(count: Count) -> Share {
        Share { count, rate: count.rate(), interval: count.wilson(), bound: count.lower_bound(0.95) }
    }
}
