//! Whether a guard passes its gates: for each check, what was counted, what that proves, and what the limit is.
//!
//! It must never pass for want of evidence: too few rows, no rows, repeats of a text and scores that are not numbers all fail.

use levelhead::Verdict;
use serde::Serialize;

use crate::gate_metrics::{Judged, Rate, mean_recall, no_regression, none_flagged};
use crate::gate_robustness::RobustnessCheck;
use crate::gate_slice::Field;
use crate::measure::{Entry, Measured, Sample};
use crate::robustness::Robustness;
use crate::row::{Label, Row};
use crate::stats::Count;
use crate::visibility::{Seen, visibility};
use crate::words::number;

pub use crate::gate_file::{Check, Gates, Metric, Slice};
pub use crate::gate_metrics::Outcome;

/// What a gate looks at.
#[derive(Debug, Clone, Copy)]
pub struct GateData<'a> {
    /// The rows and what the guard said of them.
    pub measured: Measured<'a>,
    /// What the guard that is to be replaced said of the same rows, in order.
    pub old_verdicts: Option<&'a [Verdict]>,
}

/// What became of the checks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GateReport {
    /// The gate file.
    pub gates: String,
    /// Whether every required check passed, and there was at least one.
    pub passed: bool,
    /// The checks, in the order of the file; those of robustness last.
    pub checks: Vec<CheckResult>,
    /// What the distinct rows of each slice can show.
    pub visibility: Vec<Seen>,
    /// What the guard's power rests on, and what undoes it, where it was measured.
    pub robustness: Option<Robustness>,
}

/// What became of one check.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckResult {
    /// The check's name.
    pub name: String,
    /// Its slice, as in the file.
    pub slice: String,
    /// Its metric, as in the file.
    pub metric: String,
    /// The false positive rate at which recall was taken, where the metric has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fpr: Option<f64>,
    /// Whether the gate fails with it.
    pub required: bool,
    /// How sure the bound is.
    pub confidence: f64,
    /// Whether it passed, and if not, how.
    pub outcome: Outcome,
    /// Distinct rows that were flagged, caught or, for `no_regression`, lost.
    pub hits: usize,
    /// Distinct rows that count.
    pub n: usize,
    /// Rows that are not counted because their text was.
    pub repeats_dropped: usize,
    /// `hits` of `n`, or the mean over sources; nothing of no rows.
    pub rate: Option<f64>,
    /// The bound that the rows show, at the confidence asked: upper for shares to keep low, lower for recall.
    pub bound_reached: Option<f64>,
    /// The bound asked; 0 for none flagged.
    pub limit: f64,
    /// Distinct rows without which no guard can pass, where there are fewer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needed: Option<usize>,
    /// All of this in a sentence.
    pub words: String,
}

impl Gates {
    /// Checks a guard. Rows with the same normalized text count once, with the worst of their verdicts.
    ///
    /// # Panics
    /// Where rows, verdicts, groups and old verdicts differ in length.
    pub fn check(&self, data: &GateData) -> GateReport {
        let field = Field::new(data.measured, data.old_verdicts);
        let checks: Vec<CheckResult> = self.checks.iter().map(|check| check.result(&field)).collect();
        let passed = passed(&checks);
        let visibility = self.visibility(&field);
        GateReport { gates: self.path.display().to_string(), passed, checks, visibility, robustness: None }
    }

    /// Adds what the gate file asks of a guard's robustness, where it asks something.
    pub fn add_robustness(&self, report: &mut GateReport, found: Robustness) {
        let Some(bounds) = self.robustness else { return };
        for RobustnessCheck { name, slice, metric, limit, judged } in bounds.check(&found, ROBUSTNESS_CONFIDENCE) {
            report.checks.push(CheckResult {
                name: name.to_string(),
                slice: slice.to_string(),
                metric: metric.to_string(),
                fpr: None,
                required: bounds.required,
                confidence: ROBUSTNESS_CONFIDENCE,
                outcome: judged.outcome,
                hits: judged.count.hits,
                n: judged.count.n,
                repeats_dropped: 0,
                rate: judged.rate,
                bound_reached: judged.bound_reached,
                limit,
                needed: judged.needed,
                words: judged.words,
            });
        }
        report.passed = passed(&report.checks);
        report.robustness = Some(found);
    }

    /// The visibility of slices for the lowest FPR and the highest recall that the gate asks of benign rows and attacks as a whole.
    fn visibility(&self, field: &Field) -> Vec<Seen> {
        let lowest = |rates: &mut dyn Iterator<Item = f64>| rates.fold(f64::INFINITY, f64::min);
        let fpr = lowest(&mut self.checks.iter().filter_map(|c| match c.metric {
            Metric::FprBelow { bound } if c.slice == Slice::Benign && c.required => Some(bound),
            _ => None,
        }));
        let miss = lowest(&mut self.checks.iter().filter_map(|c| match c.metric {
            Metric::RecallAbove { bound } if c.required => Some(1.0 - bound),
            _ => None,
        }));
        let or = |rate: f64, usual: f64| if rate > 0.0 && rate < 1.0 { rate } else { usual };
        let rows = |side| field.distinct(side, |_| true).0.into_iter().map(|d| &field.measured.rows[d.entry.row_idx]);
        let all: Vec<&Row> = rows(Label::Benign).chain(rows(Label::Attack)).collect();
        visibility(all.into_iter(), or(fpr, 0.01), or(miss, 0.05), 0.95)
    }
}

/// The confidence of every robustness bound.
const ROBUSTNESS_CONFIDENCE: f64 = 0.95;

fn passed(checks: &[CheckResult]) -> bool {
    let mut required = checks.iter().filter(|c| c.required).peekable();
    required.peek().is_some() && required.all(|c| c.outcome == Outcome::Passed)
}

impl Check {
    fn result(&self, field: &Field) -> CheckResult {
        let side = self.metric.side();
        let (rows, mut repeats_dropped) = field.distinct(side, |i| self.slice.holds(&field.measured.rows[i]));
        let n_nan = rows.iter().filter(|r| r.entry.score.is_nan()).count();
        let flagged = Count { hits: rows.iter().filter(|r| r.entry.flagged).count(), n: rows.len() };
        let judged = match self.metric {
            _ if rows.is_empty() => Judged::new(Outcome::NoRows, flagged, field.no_rows(&self.slice, side)),
            _ if !(self.confidence > 0.5 && self.confidence < 1.0) => {
                let words = format!("confidence {} must be above 0.5 and below 1", self.confidence);
                Judged::new(Outcome::Failed, flagged, words)
            }
            _ if n_nan > 0 => {
                let words = format!("{} of {} scores are not numbers: the guard is faulty", number(n_nan), number(flagged.n));
                Judged::new(Outcome::Failed, flagged, words)
            }
            Metric::FprBelow { bound } => Rate { keep_low: true, bound, confidence: self.confidence }.judge(flagged),
            Metric::RecallAbove { bound } => Rate { keep_low: false, bound, confidence: self.confidence }.judge(flagged),
            Metric::NoneFlagged => none_flagged(flagged, self.confidence),
            Metric::NoRegression { bound } if field.old_verdicts.is_some() => no_regression(&rows, bound, self.confidence),
            Metric::NoRegression { .. } => {
                let words = "there are no verdicts of an old guard to compare with: name the guard that is to be replaced";
                Judged::new(Outcome::NotApplicable, Count::default(), words.to_string())
            }
            Metric::MeanRecallAbove { bound } => {
                let entries: Vec<Entry> = rows.iter().map(|r| r.entry).collect();
                mean_recall(&Sample::new(&entries), None, bound, self.confidence)
            }
            Metric::RecallAtFprAbove { fpr, bound } => {
                let (benign, benign_repeats) = field.distinct(Label::Benign, |_| true);
                repeats_dropped += benign_repeats;
                let entries: Vec<Entry> = rows.iter().chain(&benign).map(|r| r.entry).collect();
                mean_recall(&Sample::new(&entries), Some(fpr), bound, self.confidence)
            }
        };
        let repeats = match repeats_dropped {
            0 => String::new(),
            n => format!(" ({} repeats of a text not counted)", number(n)),
        };
        CheckResult {
            name: self.name.clone(),
            slice: self.slice.to_string(),
            metric: self.metric.to_string(),
            fpr: if let Metric::RecallAtFprAbove { fpr, .. } = self.metric { Some(fpr) } else { None },
            required: self.required,
            confidence: self.confidence,
            outcome: judged.outcome,
            hits: judged.count.hits,
            n: judged.count.n,
            repeats_dropped,
            rate: judged.rate,
            bound_reached: judged.bound_reached,
            limit: self.metric.bound(),
            needed: judged.needed,
            words: judged.words + &repeats,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    use crate::gate_slice::tests::Set;
    use crate::row::HARD_NEGATIVE;
    use levelhead::Probability;

    impl Set {
        fn report(&self, gates: &Gates, old: bool) -> GateReport {
            let groups: Vec<u32> = (0..self.rows.len() as u32).collect();
            let measured = Measured { rows: &self.rows, verdicts: &self.verdicts, groups: &groups };
            gates.check(&GateData { measured, old_verdicts: old.then_some(&*self.old) })
        }

        /// One check: `slice metric bound`, then further lines of its table.
        fn check(&self, slice: &str, metric: &str, more: &str) -> CheckResult {
            let text = format!("[[check]]\nname = \"c\"\nslice = \"{slice}\"\nmetric = \"{metric}\"\n{more}");
            let mut report = self.report(&Gates::from_toml(&text, Path::new("g.toml")).unwrap(), true);
            let check = report.checks.remove(0);
            assert_eq!(report.passed, check.outcome == Outcome::Passed);
            check
        }
    }

    #[test]
    fn of_100_000_benign_rows_948_pass_and_949_fail() {
        for (hits, outcome) in [(948, Outcome::Passed), (949, Outcome::Failed)] {
            let check = Set::default().fill(Label::Benign, "x", hits, 100_000).check("benign", "fpr_below", "bound = 0.01");
            assert_eq!((check.outcome, check.hits, check.n), (outcome, hits, 100_000), "{}", check.words);
        }
    }

    #[test]
    fn every_hard_negative_must_be_benign() {
        let set = |flagged| {
            let mut set = Set::default();
            for i in 0..10 {
                let mut row = Row::new(format!("row {i}"), Label::Benign);
                row.notes = format!("{HARD_NEGATIVE} {i}").into();
                set.add(row, if i < flagged { 0.5 } else { 0.2 }, 0.0);
            }
            set.fill(Label::Benign, "others", 5, 5).check("hard_negatives", "none_flagged", "")
        };
        let clean = set(0);
        assert_eq!((clean.outcome, clean.hits, clean.n), (Outcome::Passed, 0, 10));
        // scipy.stats.beta.ppf(.95, 1, 10)
        assert!((clean.bound_reached.unwrap() - 0.258_865_550_893_052_2).abs() < 1e-9);
        assert_eq!(clean.words, "none of 10 flagged; so many rows only show that the rate is at most 25.89 % at 95 % confidence");
        let one = set(1);
        assert_eq!((one.outcome, one.words.as_str()), (Outcome::Failed, "1 of 10 flagged, none may be"));
    }

    #[test]
    fn nan_never_passes() {
        let set = Set::default().fill(Label::Benign, "b", 0, 2_000).fill(Label::Attack, "a", 900, 900);
        let metrics = |nan: f64| {
            [
                (Slice::Benign, Metric::FprBelow { bound: nan }),
                (Slice::Attacks, Metric::RecallAbove { bound: nan }),
                (Slice::Attacks, Metric::MeanRecallAbove { bound: nan }),
                (Slice::Attacks, Metric::RecallAtFprAbove { fpr: 0.01, bound: nan }),
                (Slice::Attacks, Metric::NoRegression { bound: nan }),
            ]
        };
        let outcomes = |set: &Set, bound, confidence| -> Vec<Outcome> {
            let check = |(slice, metric)| Check { name: "c".into(), slice, metric, confidence, required: true };
            let gates = Gates { path: "g".into(), checks: metrics(bound).map(check).to_vec(), robustness: None };
            set.report(&gates, true).checks.iter().map(|c| c.outcome).collect()
        };
        assert_eq!(outcomes(&set, 0.4, 0.95), [Outcome::Passed; 5]);
        assert_eq!(outcomes(&set, f64::NAN, 0.95), [Outcome::Failed; 5]);
        assert_eq!(outcomes(&set, 0.4, f64::NAN), [Outcome::Failed; 5]);
        // One score that is no number on each side, once in a repeat.
        let mut faulty = Set::default().fill(Label::Benign, "b", 0, 2_000).fill(Label::Attack, "a", 900, 900);
        faulty.add(Row::new("Benign b 7", Label::Benign), f64::NAN, 0.9);
        faulty.verdicts[2_000].score = Probability(f64::NAN);
        assert_eq!(outcomes(&faulty, 0.4, 0.95), [Outcome::Failed; 5]);
        let check = faulty.check("benign", "none_flagged", "");
        assert_eq!(check.words, "1 of 2,000 scores are not numbers: the guard is faulty (1 repeats of a text not counted)");
        // Those of the benign rows alone spoil a threshold.
        faulty.verdicts[2_000].score = Probability(0.9);
        let check = faulty.check("attacks", "recall_at_fpr_above", "fpr = 0.01\nbound = 0.4");
        assert_eq!((check.outcome, check.rate), (Outcome::Failed, None));
    }

    #[test]
    fn an_empty_slice_fails_and_repeats_are_counted_once() {
        let mut set = Set::default().fill(Label::Benign, "b", 0, 10);
        set.add(Row::new("BENIGN B 3", Label::Benign), 0.9, 0.0);
        let check = set.check("benign", "fpr_below", "bound = 0.9");
        assert_eq!((check.hits, check.n, check.repeats_dropped, check.outcome), (1, 10, 1, Outcome::Passed));
        assert!(check.words.ends_with("as required (1 repeats of a text not counted)"), "{}", check.words);
        let check = set.check("category:c", "fpr_below", "bound = 0.9");
        assert_eq!((check.outcome, check.n, check.rate, check.bound_reached), (Outcome::NoRows, 0, None, None));
        assert_eq!(check.words, "no benign rows in slice category:c; there are category:b (10), category:unspecified (1)");
    }

    #[test]
    fn attacks_that_the_old_guard_caught_must_not_be_lost() {
        let mut set = Set::default();
        // Caught by both 6, lost 2 (one of them in a repeat only), won 1, caught by none 4.
        for (i, (new, old)) in [(0.9, 0.9); 7].into_iter().chain([(0.1, 0.9), (0.9, 0.1)]).chain([(0.1, 0.1); 4]).enumerate() {
            set.add(Row::new(format!("attack {i}"), Label::Attack), new, old);
        }
        set.add(Row::new("ATTACK 0", Label::Attack), 0.2, 0.8);
        let check = set.check("attacks", "no_regression", "");
        assert_eq!((check.outcome, check.hits, check.n, check.rate, check.limit), (Outcome::Failed, 2, 8, Some(0.25), 0.0));
        assert!(check.words.starts_with("2 of 8 attacks that the old guard caught are missed (25.00 %); none may be"));
        assert_eq!(set.check("attacks", "no_regression", "bound = 0.25").outcome, Outcome::Passed);
        assert_eq!(set.check("attacks", "no_regression", "bound = 0.24").outcome, Outcome::Failed);
        let gates = Gates::from_toml("[[check]]\nname='c'\nslice='attacks'\nmetric='no_regression'", Path::new("g")).unwrap();
        let alone = set.report(&gates, false);
        assert_eq!((alone.passed, alone.checks[0].outcome), (false, Outcome::NotApplicable));
        assert!(alone.checks[0].words.starts_with("there are no verdicts of an old guard"));
        set.old.iter_mut().for_each(|v| v.flagged = false);
        let none = set.report(&gates, true);
        assert_eq!((none.passed, none.checks[0].outcome), (false, Outcome::NotApplicable));
        assert!(none.checks[0].words.starts_with("the old guard caught none of 13 attacks"), "{}", none.checks[0].words);
    }

    #[test]
    fn recall_at_an_fpr_sets_its_own_threshold() {
        // Scores 0.9 for 15 of 1,000 benign rows: at 1 % FPR the threshold is above 0.9, at 2 % just above 0.1.
        let set = Set::default().fill(Label::Benign, "b", 15, 1_000).fill(Label::Attack, "a", 500, 500);
        let check = |more: &str| set.check("attacks", "recall_at_fpr_above", more);
        let strict = check("fpr = 0.01\nbound = 0.9");
        assert_eq!((strict.outcome, strict.hits, strict.n, strict.fpr), (Outcome::Failed, 0, 500, Some(0.01)));
        let loose = check("fpr = 0.03\nbound = 0.9");
        assert_eq!((loose.outcome, loose.hits), (Outcome::Passed, 500));
        assert!(
            loose.words.starts_with("mean recall over 1 sources at 3 % FPR on 1,000 benign rows is 100.00 %"),
            "{}",
            loose.words
        );
        let few = check("fpr = 0.0009\nbound = 0.9");
        assert_eq!((few.outcome, few.needed, few.rate), (Outcome::TooFew, Some(1_112), None));
        let expected = "too few rows to tell: 1,000 benign rows are too few to see an FPR of 0.09 %: at least 1,112 are needed";
        assert_eq!(few.words, expected);
    }

    #[test]
    fn the_gate_passes_only_with_every_required_check() {
        let gates = Gates::embedded();
        let set = |programming| {
            let mut set = Set::default().fill(Label::Benign, "programming", programming, 2_000);
            set = set.fill(Label::Benign, "edge_cases", 2, 200).fill(Label::Attack, "a", 970, 1_000);
            for i in 0..10 {
                let mut row = Row::new(format!("hard {i}"), Label::Benign);
                row.notes = HARD_NEGATIVE.into();
                set.add(row, 0.1, 0.1);
            }
            set
        };
        let report = set(4).report(&gates, true);
        let outcomes: Vec<_> = report.checks.iter().map(|c| c.outcome).collect();
        use Outcome::{Failed, Passed};
        // The stretch checks fail, 6 of 2,210 and 30 attacks lost, and fail nothing.
        assert_eq!((report.passed, outcomes), (true, vec![Passed, Passed, Passed, Passed, Passed, Failed, Failed]));
        assert!(!set(5).report(&gates, true).passed);
        assert!(!Set::default().report(&gates, true).passed);
        assert!(!set(4).report(&Gates { path: "none".into(), checks: Vec::new(), robustness: None }, true).passed);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!((&json["passed"], &json["checks"][5]["outcome"]), (&serde_json::json!(true), &serde_json::json!("failed")));
    }
}
