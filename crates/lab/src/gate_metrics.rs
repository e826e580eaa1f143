//! What each metric of a gate makes of distinct rows: how it ends, the bound that the rows show, and why, in words.
//!
//! It must never pass for want of evidence; a comparison with NaN is written so that it fails.

use serde::Serialize;

use crate::bootstrap::{Roc, highest_mean_bound, lower_quantile};
use crate::evaluate::{too_few_benign, unusable_scores};
use crate::gate_slice::Distinct;
use crate::measure::{Figures, Sample};
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

/// The smallest number, of at most about a million, from which on something holds; nothing if it does not hold there.
fn smallest(holds: impl Fn(usize) -> bool) -> Option<usize> {
    let (mut low, mut high) = (0, 1);
    while !holds(high) {
        if high >= 1 << 20 {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Entry;

    fn rate(keep_low: bool, bound: f64, hits: usize, n: usize) -> Judged {
        Rate { keep_low, bound, confidence: 0.95 }.judge(Count { hits, n })
    }

    #[test]
    fn the_limit_of_a_rate_is_exact() {
        // scipy.stats.beta.ppf(.95, x + 1, n - x) for rates to keep low, (.05, x, n - x + 1) for recall
        let rows = [
            (true, 0.01, 948, 100_000, Outcome::Passed, 0.009_999_714_212_874_428),
            (true, 0.01, 949, 100_000, Outcome::Failed, 0.010_009_977_114_692_833),
            (true, 0.005, 4, 2_000, Outcome::Passed, 0.004_570_865_405_067_662),
            (true, 0.005, 0, 598, Outcome::Passed, 0.004_997_058_694_246_506),
            (true, 0.005, 0, 597, Outcome::TooFew, 0.005_005_407_993_466_689),
            (true, 0.005, 0, 400, Outcome::TooFew, 0.007_461_355_528_799_602),
            (true, 0.01, 7, 10, Outcome::Failed, 0.912_735_566_085_849_6),
            (false, 0.95, 962, 1_000, Outcome::Passed, 0.950_487_129_744_074),
            (false, 0.95, 961, 1_000, Outcome::Failed, 0.949_365_993_205_112_1),
            (false, 0.95, 59, 59, Outcome::Passed, 0.950_492_390_111_773),
            (false, 0.95, 58, 58, Outcome::TooFew, 0.949_660_661_669_579_9),
            (false, 0.95, 3, 10, Outcome::Failed, 0.087_264_433_914_150_33),
        ];
        for (keep_low, bound, hits, n, outcome, reached) in rows {
            let judged = rate(keep_low, bound, hits, n);
            assert_eq!(judged.outcome, outcome, "{}", judged.words);
            assert!((judged.bound_reached.unwrap() - reached).abs() < 1e-9, "{hits} of {n}: {:?}", judged.bound_reached);
        }
        assert_eq!(rate(true, 0.01, 0, 0).outcome, Outcome::NoRows);
        // 299 and 59 rows: the least that can show 1 % and 95 %.
        assert_eq!((rate(true, 0.01, 0, 298).needed, rate(true, 0.01, 0, 299).needed), (Some(299), None));
        assert_eq!(rate(false, 0.95, 50, 50).needed, Some(59));
    }

    #[test]
    fn the_words_say_what_was_shown_and_what_would_be_needed() {
        let rows = [
            (
                rate(true, 0.01, 948, 100_000),
                "948 of 100,000 flagged (0.95 %): at most 0.99997 % at 95 % confidence, below 1 % as required",
            ),
            (
                rate(true, 0.01, 949, 100_000),
                "949 of 100,000 flagged (0.95 %): at most 1.001 % at 95 % confidence, not below 1 %; of 100,000 rows at most 948 \
                 may be flagged; at this rate about 105,334 rows would show it",
            ),
            (
                rate(true, 0.005, 1, 400),
                "1 of 400 flagged (0.25 %): too few rows to tell; with none flagged, 400 rows show at most 0.75 %, and below \
                 0.5 % needs at least 598 distinct rows",
            ),
            (
                rate(false, 0.95, 900, 1_000),
                "900 of 1,000 caught (90.00 %): at least 88.30 % at 95 % confidence, not above 95 %; of 1,000 rows at most 38 may \
                 be missed",
            ),
        ];
        for (judged, expected) in rows {
            assert_eq!(judged.words, expected);
        }
    }

    /// Attacks of each source, as name, caught and all, each in a group of its own.
    fn attacks(sources: &[(&str, usize, usize)]) -> Sample {
        let mut entries = Vec::new();
        for (source, caught, n) in sources {
            for i in 0..*n {
                let (flagged, group) = (i < *caught, entries.len() as u32);
                entries.push(Entry { row_idx: 0, attack_source: Some(source), score: 0.5, flagged, group });
            }
        }
        Sample::new(&entries)
    }

    #[test]
    fn a_mean_over_sources_needs_rows_of_every_source() {
        let sample = attacks(&[("big", 4_000, 4_000), ("small", 10, 10)]);
        let judged = mean_recall(&sample, None, 0.95, 0.95);
        // The small source may have a recall of .05 ** .1; of three times its rows .05 ** (1 / 30), and (1 + that) / 2 is .9525.
        assert!((judged.bound_reached.unwrap() - 0.870_567_224_553_473_9).abs() < 1e-9, "{:?}", judged.bound_reached);
        assert_eq!((judged.outcome, judged.rate, judged.needed), (Outcome::TooFew, Some(1.0), Some(12_030)));
        assert_eq!(
            judged.words,
            "mean recall over 2 sources is 100.00 %, 4,010 of 4,010 attacks caught: too few rows to tell; with none missed, 4,010 \
             groups of attacks show at least 87.06 %, and above 95 % needs about 12,030 (source small has 10)"
        );
        assert_eq!(mean_recall(&sample, None, 0.87, 0.95).outcome, Outcome::Passed);
        // So far below that no rows are missing to see it.
        assert_eq!(mean_recall(&attacks(&[("a", 5, 40)]), None, 0.95, 0.95).outcome, Outcome::Failed);
    }

    #[test]
    fn a_mean_over_sources_has_the_bound_of_its_spread() {
        // 0.9 and 0.5: the mean is 0.7, its standard deviation about (0.09 / 400 + 0.25 / 300) ** .5 / 2 = 0.0163.
        let sample = attacks(&[("a", 360, 400), ("b", 150, 300)]);
        let judged = mean_recall(&sample, None, 0.7, 0.95);
        assert_eq!((judged.outcome, judged.count), (Outcome::Failed, Count { hits: 510, n: 700 }));
        assert!((judged.rate.unwrap() - 0.7).abs() < 1e-12);
        assert!((judged.bound_reached.unwrap() - (0.7 - 1.645 * 0.0163)).abs() < 0.004, "{:?}", judged.bound_reached);
        assert_eq!(mean_recall(&sample, None, 0.66, 0.95).outcome, Outcome::Passed);
    }
}
