//! What each metric of a gate makes of distinct rows: how it ends, the bound that the rows show, and why, in words.
//!
//! It must never pass for want of evidence; a comparison with NaN is written so that it fails.

use serde::Serialize;

use crate::bootstrap::{Roc, highest_mean_bound, lower_quantile};
use crate::evaluate::{too_few_benign, unusable_scores};
use crate::measure::{Entry, Figures, Sample};
use crate::stats::Count;
use crate::words::{count, number, percent, percent_beside, percent_limit};

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The limit is kept, at the confidence asked.
    Passed,
    /// It is not, or not shown to be.
    Failed,
    /// So few rows could not have passed, whatever the guard did.
    TooFew,
    /// The slice has no rows.
    NoRows,
    /// There is nothing to compare with.
    NotApplicable,
}

/// The bootstrap's seed. It is no setting, so that nobody tries seeds until a gate passes.
const SEED: u64 = 1;

/// A text that counts, with what the old guard said of it.
pub(crate) struct Distinct<'a> {
    pub entry: Entry<'a>,
    pub old_caught: bool,
    /// Caught by the old guard in a row in which it is missed now.
    pub lost: bool,
}

/// What a metric makes of its rows.
pub(crate) struct Judged {
    pub outcome: Outcome,
    pub count: Count,
    pub rate: Option<f64>,
    pub bound_reached: Option<f64>,
    pub needed: Option<usize>,
    pub words: String,
}

impl Judged {
    pub fn new(outcome: Outcome, count: Count, words: String) -> Judged {
        Judged { outcome, count, rate: count.rate(), bound_reached: None, needed: None, words }
    }
}

/// A plain proportion that must be shown to lie on one side of a bound.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    /// Below the bound, not above it.
    pub keep_low: bool,
    pub bound: f64,
    pub confidence: f64,
}

impl Rate {
    fn reached(&self, count: Count) -> Option<f64> {
        if self.keep_low { count.upper_bound(self.confidence) } else { count.lower_bound(self.confidence) }
    }

    fn passes(&self, count: Count) -> bool {
        // A comparison with NaN is false, on either side.
        self.reached(count).is_some_and(|r| if self.keep_low { r < self.bound } else { r > self.bound })
    }

    fn is_refuted(&self, count: Count) -> bool {
        match self.keep_low {
            true => count.lower_bound(self.confidence).is_some_and(|r| r >= self.bound),
            false => count.upper_bound(self.confidence).is_some_and(|r| r <= self.bound),
        }
    }

    /// The counts with so many rows on the wrong side.
    fn with_wrong(&self, wrong: usize, n: usize) -> Count {
        Count { hits: if self.keep_low { wrong } else { n - wrong }, n }
    }

    pub fn judge(&self, counted: Count) -> Judged {
        let Rate { keep_low, bound, confidence } = *self;
        let (Some(rate), Some(reached)) = (counted.rate(), self.reached(counted)) else {
            return Judged::new(Outcome::NoRows, counted, "no rows".to_string());
        };
        let n = counted.n;
        let wrong = if keep_low { counted.hits } else { n - counted.hits };
        let (done, wronged) = if keep_low { ("flagged", "flagged") } else { ("caught", "missed") };
        let (side, limit) = if keep_low { ("at most", "below") } else { ("at least", "above") };
        let begin = format!("{} {done} ({})", count(counted), percent_beside(rate, bound));
        let limit = format!("{limit} {}", percent_limit(bound));
        let shown = format!("{side} {} at {} confidence", percent_beside(reached, bound), percent_limit(confidence));
        let judged = |outcome, words| Judged { bound_reached: Some(reached), ..Judged::new(outcome, counted, words) };
        if self.passes(counted) {
            return judged(Outcome::Passed, format!("{begin}: {shown}, {limit} as required"));
        }
        let needed = smallest(|n| self.passes(self.with_wrong(0, n)));
        if let Some(needed) = needed.filter(|needed| n < *needed && !self.is_refuted(counted)) {
            let best = self.reached(self.with_wrong(0, n)).map_or_else(String::new, |r| percent_beside(r, bound));
            let words = format!(
                "{begin}: too few rows to tell; with none {wronged}, {} rows show {side} {best}, and {limit} needs at least {} distinct rows",
                number(n),
                number(needed)
            );
            return Judged { needed: Some(needed), ..judged(Outcome::TooFew, words) };
        }
        let allowed = match smallest(|wrong| wrong > n || !self.passes(self.with_wrong(wrong, n))) {
            Some(fewest) if self.passes(self.with_wrong(0, n)) => {
                format!("; of {} rows at most {} may be {wronged}", number(n), number(fewest - 1))
            }
            _ => String::new(),
        };
        let share = wrong as f64 / n as f64;
        let more = (if keep_low { rate < bound } else { rate > bound })
            .then(|| smallest(|m| m > n && self.passes(self.with_wrong((share * m as f64).ceil() as usize, m))))
            .flatten()
            .map_or_else(String::new, |m| format!("; at this rate about {} rows would show it", number(m)));
        judged(Outcome::Failed, format!("{begin}: {shown}, not {limit}{allowed}{more}"))
    }
}

/// The smallest number from 1 to a thousand million from which on something holds; nothing if it does not hold there.
fn smallest(holds: impl Fn(usize) -> bool) -> Option<usize> {
    let (mut low, mut high) = (0, 1);
    while !holds(high) {
        if high >= 1_000_000_000 {
            return None;
        }
        (low, high) = (high, high * 2);
    }
    while high - low > 1 {
        let middle = (low + high) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(high)
}

/// Whether no benign row is flagged; so few rows still leave room, and the words say how much.
pub(crate) fn none_flagged(flagged: Count, confidence: f64) -> Judged {
    let outcome = if flagged.hits == 0 { Outcome::Passed } else { Outcome::Failed };
    let reached = flagged.upper_bound(confidence);
    let bound = reached.map_or_else(|| "nothing".to_string(), percent);
    let words = match outcome {
        Outcome::Passed => format!(
            "none of {} flagged; so many rows only show that the rate is at most {bound} at {} confidence",
            number(flagged.n),
            percent_limit(confidence)
        ),
        _ => format!("{} flagged, none may be", count(flagged)),
    };
    Judged { bound_reached: reached, ..Judged::new(outcome, flagged, words) }
}

/// Whether few enough of the attacks that the old guard caught are missed now.
pub(crate) fn no_regression(rows: &[Distinct], bound: f64, confidence: f64) -> Judged {
    let mut lost = Count::default();
    rows.iter().filter(|r| r.old_caught).for_each(|r| lost.add(r.lost));
    let Some(rate) = lost.rate() else {
        let words = format!("the old guard caught none of {} attacks: there is nothing to hold on to", number(rows.len()));
        return Judged::new(Outcome::NotApplicable, lost, words);
    };
    let outcome = if rate <= bound { Outcome::Passed } else { Outcome::Failed };
    let allowed = if bound == 0.0 { "none may be".to_string() } else { format!("at most {} may be", percent_limit(bound)) };
    let words =
        format!("{} attacks that the old guard caught are missed ({}); {allowed}", count(lost), percent_beside(rate, bound));
    Judged { bound_reached: lost.upper_bound(confidence), ..Judged::new(outcome, lost, words) }
}

/// The mean recall over sources: at the guard's own threshold, or at the one that flags a share of the benign rows.
pub(crate) fn mean_recall(sample: &Sample, fpr: Option<f64>, bound: f64, confidence: f64) -> Judged {
    let fprs: Vec<f64> = fpr.into_iter().collect();
    let roc = Roc { data: sample, reference: None, fprs: &fprs };
    let pick = |f: &Figures| if fpr.is_some() { f.mean_at_fpr[0] } else { f.mean_recall };
    let point = roc.point();
    let mut caught = Count::default();
    point.at_fpr.first().unwrap_or(&sample.caught).iter().for_each(|c| caught += *c);
    if let Some(words) = unusable_scores(sample) {
        return Judged { rate: None, ..Judged::new(Outcome::Failed, Count { hits: 0, n: caught.n }, words) };
    }
    if let Some((fpr, words)) = fpr.and_then(|fpr| Some((fpr, too_few_benign(sample.benign.n, fpr)?))) {
        let needed = Some((1.0 / fpr - 1e-9).ceil() as usize);
        let count = Count { hits: 0, n: caught.n };
        return Judged { needed, rate: None, ..Judged::new(Outcome::TooFew, count, format!("too few rows to tell: {words}")) };
    }
    let resampled: Vec<Option<f64>> = roc.resamples(SEED).iter().map(pick).collect();
    let highest = highest_mean_bound(&sample.n_source_groups, confidence).expect("a slice with attacks has sources");
    let rate = pick(&point).expect("a slice with attacks has a mean recall");
    // A resample without attacks counts as the worst, and where there are many of them nothing is shown.
    let reached = lower_quantile(resampled.clone(), 1.0 - confidence).unwrap_or(0.0).min(highest);
    let at =
        fpr.map_or_else(String::new, |fpr| format!(" at {} FPR on {} benign rows", percent_limit(fpr), number(sample.benign.n)));
    let begin = format!(
        "mean recall over {} sources{at} is {}, {} attacks caught",
        sample.sources.len(),
        percent_beside(rate, bound),
        count(caught)
    );
    let shown = format!("at least {} at {} confidence", percent_beside(reached, bound), percent_limit(confidence));
    let limit = percent_limit(bound);
    let judged =
        |outcome, words| Judged { rate: Some(rate), bound_reached: Some(reached), ..Judged::new(outcome, caught, words) };
    if reached > bound {
        return judged(Outcome::Passed, format!("{begin}: {shown}, above {limit} as required"));
    }
    let negated = resampled.iter().map(|v| v.map(|v| -v)).collect();
    let refuted = lower_quantile(negated, 1.0 - confidence).is_some_and(|upper| -upper < bound);
    let times = |m: usize| -> Vec<usize> { sample.n_source_groups.iter().map(|n| n * m).collect() };
    let enough = smallest(|m| highest_mean_bound(&times(m), confidence).is_some_and(|highest| highest > bound));
    if let Some(enough) = enough.filter(|m| *m > 1 && !refuted) {
        let (fewest, source) = sample.n_source_groups.iter().zip(&sample.sources).min().expect("a mean has sources");
        let n_groups: usize = sample.n_source_groups.iter().sum();
        let words = format!(
            "{begin}: too few rows to tell; with none missed, {} groups of attacks show at least {}, and above {limit} \
             needs about {} (source {source} has {fewest})",
            number(n_groups),
            percent_beside(highest, bound),
            number(n_groups * enough)
        );
        return Judged { needed: Some(n_groups * enough), ..judged(Outcome::TooFew, words) };
    }
    judged(Outcome::Failed, format!("{begin}: {shown}, not above {limit}"))
}
