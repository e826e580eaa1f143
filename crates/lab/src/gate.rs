//! Whether a guard passes its gates: for each check, what was counted, what that proves, and what the limit is.
//!
//! It must never pass for want of evidence: too few rows, no rows, repeats of a text and scores that are not numbers all fail.

use std::collections::{BTreeMap, HashMap};

use levelhead::Verdict;
use serde::Serialize;

use crate::gate_metrics::{Distinct, Judged, Rate, mean_recall, no_regression, none_flagged};
use crate::measure::{Entry, Measured, Sample, distinct_texts};
use crate::row::Label;
use crate::stats::Count;
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
    /// The checks, in the order of the file.
    pub checks: Vec<CheckResult>,
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
        let old = data.old_verdicts.map_or(data.measured.rows.len(), <[Verdict]>::len);
        assert_eq!(data.measured.rows.len(), old, "rows and old verdicts differ in length");
        let field = Field { data, entries: data.measured.entries(), texts: distinct_texts(data.measured.rows) };
        let checks: Vec<CheckResult> = self.checks.iter().map(|check| field.check(check)).collect();
        let mut required = checks.iter().filter(|c| c.required).peekable();
        let passed = required.peek().is_some() && required.all(|c| c.outcome == Outcome::Passed);
        GateReport { gates: self.path.display().to_string(), passed, checks }
    }
}

/// The rows that count, with what tells repeats.
struct Field<'a> {
    data: &'a GateData<'a>,
    entries: Vec<Entry<'a>>,
    texts: Vec<u32>,
}

impl<'a> Field<'a> {
    fn check(&self, check: &Check) -> CheckResult {
        let side = check.metric.side();
        let (rows, mut repeats_dropped) = self.distinct(side, |i| check.slice.holds(&self.data.measured.rows[i]));
        let n_nan = rows.iter().filter(|r| r.entry.score.is_nan()).count();
        let flagged = Count { hits: rows.iter().filter(|r| r.entry.flagged).count(), n: rows.len() };
        let judged = match check.metric {
            _ if rows.is_empty() => Judged::new(Outcome::NoRows, flagged, self.no_rows(&check.slice, side)),
            _ if !(check.confidence > 0.5 && check.confidence < 1.0) => {
                let words = format!("confidence {} must be above 0.5 and below 1", check.confidence);
                Judged::new(Outcome::Failed, flagged, words)
            }
            _ if n_nan > 0 => {
                let words = format!("{} of {} scores are not numbers: the guard is faulty", number(n_nan), number(flagged.n));
                Judged::new(Outcome::Failed, flagged, words)
            }
            Metric::FprBelow { bound } => Rate { keep_low: true, bound, confidence: check.confidence }.judge(flagged),
            Metric::RecallAbove { bound } => Rate { keep_low: false, bound, confidence: check.confidence }.judge(flagged),
            Metric::NoneFlagged => none_flagged(flagged, check.confidence),
            Metric::NoRegression { bound } if self.data.old_verdicts.is_some() => no_regression(&rows, bound, check.confidence),
            Metric::NoRegression { .. } => {
                let words = "there are no verdicts of an old guard to compare with: name the guard that is to be replaced";
                Judged { rate: None, ..Judged::new(Outcome::NotApplicable, Count { hits: 0, n: flagged.n }, words.to_string()) }
            }
            Metric::MeanRecallAbove { bound } => {
                let entries: Vec<Entry> = rows.iter().map(|r| r.entry).collect();
                mean_recall(&Sample::new(&entries), None, bound, check.confidence)
            }
            Metric::RecallAtFprAbove { fpr, bound } => {
                let (benign, benign_repeats) = self.distinct(Label::Benign, |_| true);
                repeats_dropped += benign_repeats;
                let entries: Vec<Entry> = rows.iter().chain(&benign).map(|r| r.entry).collect();
                mean_recall(&Sample::new(&entries), Some(fpr), bound, check.confidence)
            }
        };
        let repeats = match repeats_dropped {
            0 => String::new(),
            n => format!(" ({} repeats of a text not counted)", number(n)),
        };
        CheckResult {
            name: check.name.clone(),
            slice: check.slice.to_string(),
            metric: check.metric.to_string(),
            fpr: if let Metric::RecallAtFprAbove { fpr, .. } = check.metric { Some(fpr) } else { None },
            required: check.required,
            confidence: check.confidence,
            outcome: judged.outcome,
            hits: judged.count.hits,
            n: judged.count.n,
            repeats_dropped,
            rate: judged.rate,
            bound_reached: judged.bound_reached,
            limit: check.metric.bound(),
            needed: judged.needed,
            words: judged.words + &repeats,
        }
    }

    /// The distinct texts of one side for which `holds` says yes to their row, and how many repeats were dropped.
    ///
    /// Of several verdicts on one text the worst counts: a benign text is flagged if any of its rows is, an attack is
    /// caught if all of them are. So the order of the rows decides nothing.
    fn distinct(&self, side: Label, holds: impl Fn(usize) -> bool) -> (Vec<Distinct<'a>>, usize) {
        let mut places: HashMap<u32, usize> = HashMap::new();
        let mut distinct: Vec<Distinct> = Vec::new();
        let mut repeats = 0;
        let attacks = side == Label::Attack;
        for entry in self.entries.iter().filter(|e| e.attack_source.is_some() == attacks && holds(e.row_idx)) {
            let old_caught = self.data.old_verdicts.is_some_and(|old| old[entry.row_idx].flagged);
            let lost = old_caught && !entry.flagged;
            let place = *places.entry(self.texts[entry.row_idx]).or_insert(distinct.len());
            let Some(known) = distinct.get_mut(place) else {
                distinct.push(Distinct { entry: *entry, old_caught, lost });
                continue;
            };
            repeats += 1;
            let (a, b) = (known.entry.score, entry.score);
            known.entry.score = match attacks {
                // `min` and `max` would drop a NaN.
                _ if a.is_nan() || b.is_nan() => f64::NAN,
                true => a.min(b),
                false => a.max(b),
            };
            known.entry.flagged =
                if attacks { known.entry.flagged && entry.flagged } else { known.entry.flagged || entry.flagged };
            known.old_caught |= old_caught;
            known.lost |= lost;
        }
        (distinct, repeats)
    }

    /// Says that a slice has no rows, and which slices have.
    fn no_rows(&self, slice: &Slice, side: Label) -> String {
        let rows = self.data.measured.rows;
        let what = if side == Label::Attack { "attacks that count in recall" } else { "benign rows" };
        let others = rows.iter().filter(|row| slice.holds(row)).count();
        let others = if others == 0 { String::new() } else { format!(": its {} rows are others", number(others)) };
        let begin = format!("no {what} in slice {slice}{others}");
        let (prefix, names): (&str, fn(&crate::row::Row) -> &str) = match slice {
            Slice::Category(_) => ("category", |row| &row.category),
            Slice::Source(_) => ("source", |row| &row.source),
            Slice::Family(_) => ("family", |row| &row.family),
            Slice::HardNegatives => {
                return format!("{begin}; a hard negative's notes begin with {:?}", crate::row::HARD_NEGATIVE);
            }
            Slice::Benign | Slice::Attacks => return format!("{begin}, among {} rows", number(rows.len())),
        };
        let mut there: BTreeMap<&str, usize> = BTreeMap::new();
        for entry in self.entries.iter().filter(|e| e.attack_source.is_some() == (side == Label::Attack)) {
            *there.entry(names(&rows[entry.row_idx])).or_default() += 1;
        }
        const SHOWN: usize = 20;
        let listed: Vec<String> = there.iter().take(SHOWN).map(|(name, n)| format!("{prefix}:{name} ({})", number(*n))).collect();
        match (listed.is_empty(), there.len().saturating_sub(SHOWN)) {
            (true, _) => format!("{begin}, nor in any other"),
            (_, 0) => format!("{begin}; there are {}", listed.join(", ")),
            (_, more) => format!("{begin}; there are {} and {more} more", listed.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    use crate::row::{HARD_NEGATIVE, HARMFUL_REQUEST, Row};
    use levelhead::{Probability, Severity};

    /// Rows with the verdict of each and of an old guard.
    #[derive(Default)]
    struct Set {
        rows: Vec<Row>,
        verdicts: Vec<Verdict>,
        old: Vec<Verdict>,
    }

    fn verdict(score: f64) -> Verdict {
        let (flagged, family) = (score >= 0.5, "other_attack".to_string());
        Verdict { score: Probability(score), flagged, family, severity: Severity::Info, layer: None, threats: Vec::new() }
    }

    impl Set {
        fn add(&mut self, row: Row, score: f64, old: f64) {
            self.rows.push(row);
            self.verdicts.push(verdict(score));
            self.old.push(verdict(old));
        }

        /// Distinct rows of a category or a source, the first of which are flagged.
        fn fill(mut self, label: Label, name: &str, hits: usize, n: usize) -> Set {
            for i in 0..n {
                let mut row = Row::new(format!("{label:?} {name} {i}"), label);
                (row.category, row.source) = (name.into(), name.into());
                self.add(row, if i < hits { 0.9 } else { 0.1 }, 0.9);
            }
            self
        }

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
    fn the_limit_of_a_rate_is_exact() {
        // scipy.stats.beta.ppf(.95, x + 1, n - x) for rates to keep low, (.05, x, n - x + 1) for recall
        let rows = [
            (Label::Benign, "fpr_below", 0.01, 948, 100_000, Outcome::Passed, 0.009_999_714_212_874_428),
            (Label::Benign, "fpr_below", 0.01, 949, 100_000, Outcome::Failed, 0.010_009_977_114_692_833),
            (Label::Benign, "fpr_below", 0.005, 4, 2_000, Outcome::Passed, 0.004_570_865_405_067_662),
            (Label::Benign, "fpr_below", 0.005, 0, 598, Outcome::Passed, 0.004_997_039_2),
            (Label::Benign, "fpr_below", 0.005, 0, 597, Outcome::TooFew, 0.005_005_388_7),
            (Label::Benign, "fpr_below", 0.005, 0, 400, Outcome::TooFew, 0.007_461_355_528_799_602),
            (Label::Benign, "fpr_below", 0.01, 7, 10, Outcome::Failed, 0.912_735_566_085_849_6),
            (Label::Attack, "recall_above", 0.95, 962, 1_000, Outcome::Passed, 0.950_487_129_744_074),
            (Label::Attack, "recall_above", 0.95, 961, 1_000, Outcome::Failed, 0.949_366_021_8),
            (Label::Attack, "recall_above", 0.95, 59, 59, Outcome::Passed, 0.950_492_390_111_773),
            (Label::Attack, "recall_above", 0.95, 58, 58, Outcome::TooFew, 0.949_660_147_9),
            (Label::Attack, "recall_above", 0.95, 3, 10, Outcome::Failed, 0.087_264_433_9),
        ];
        for (label, metric, bound, hits, n, outcome, reached) in rows {
            let slice = if label == Label::Benign { "benign" } else { "attacks" };
            let check = Set::default().fill(label, "x", hits, n).check(slice, metric, &format!("bound = {bound}"));
            assert_eq!((check.outcome, check.hits, check.n), (outcome, hits, n), "{}", check.words);
            assert!((check.bound_reached.unwrap() - reached).abs() < 1e-9, "{hits} of {n}: {:?}", check.bound_reached);
        }
    }

    #[test]
    fn the_words_say_what_was_shown_and_what_would_be_needed() {
        let words = |label, slice, metric, bound: &str, hits, n| {
            Set::default().fill(label, "x", hits, n).check(slice, metric, bound).words
        };
        let benign = |bound, hits, n| words(Label::Benign, "benign", "fpr_below", bound, hits, n);
        assert_eq!(
            benign("bound = 0.01", 948, 100_000),
            "948 of 100,000 flagged (0.95 %): at most 0.99997 % at 95 % confidence, below 1 % as required"
        );
        assert_eq!(
            benign("bound = 0.01", 949, 100_000),
            "949 of 100,000 flagged (0.95 %): at most 1.001 % at 95 % confidence, not below 1 %; of 100,000 rows at most 948 may \
             be flagged; at this rate about 100,107 rows would show it"
        );
        assert_eq!(
            benign("bound = 0.005", 1, 400),
            "1 of 400 flagged (0.25 %): too few rows to tell; with none flagged, 400 rows show at most 0.75 %, and below 0.5 % \
             needs at least 598 distinct rows"
        );
        assert_eq!(
            words(Label::Attack, "attacks", "recall_above", "bound = 0.95", 900, 1_000),
            "900 of 1,000 caught (90.00 %): at least 88.30 % at 95 % confidence, not above 95 %; of 1,000 rows at most 38 may be \
             missed"
        );
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
    fn a_slice_without_rows_fails_and_names_those_there_are() {
        let mut set = Set::default().fill(Label::Benign, "programming", 0, 1_200).fill(Label::Benign, "creative", 0, 3);
        set = set.fill(Label::Attack, "jailbreaks", 2, 2);
        let mut harmful = Row::new("x", Label::Attack);
        harmful.family = HARMFUL_REQUEST.into();
        set.add(harmful, 0.1, 0.1);
        let rows = [
            (
                "category:programing",
                "fpr_below",
                "no benign rows in slice category:programing; there are category:creative (3), category:programming (1,200)",
            ),
            (
                "source:jailbreaks",
                "fpr_below",
                "no benign rows in slice source:jailbreaks: its 2 rows are others; there are source:c",
            ),
            (
                "family:harmful_request",
                "recall_above",
                "no attacks that count in recall in slice family:harmful_request: its 1 rows are others; there are \
                 family:other_attack (2)",
            ),
            ("hard_negatives", "fpr_below", "slice hard_negatives; a hard negative's notes begin with \"HARD NEGATIVE:\""),
        ];
        for (slice, metric, expected) in rows {
            let check = set.check(slice, metric, "bound = 0.5");
            assert_eq!((check.outcome, check.n, check.rate, check.bound_reached), (Outcome::NoRows, 0, None, None));
            assert!(check.words.contains(expected), "{}", check.words);
        }
        let check = Set::default().fill(Label::Benign, "a", 0, 9).check("attacks", "recall_above", "bound = 0.9");
        assert_eq!(
            (check.outcome, check.words.as_str()),
            (Outcome::NoRows, "no attacks that count in recall in slice attacks, among 9 rows")
        );
        let many = (0..25).fold(Set::default(), |set, i| set.fill(Label::Benign, &format!("c{i:02}"), 0, 1));
        assert!(many.check("category:x", "fpr_below", "bound = 0.9").words.ends_with("category:c19 (1) and 5 more"));
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
            let gates = Gates { path: "g".into(), checks: metrics(bound).map(check).to_vec() };
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
    fn repeats_are_no_evidence_and_the_worst_verdict_counts() {
        let mut set = Set::default().fill(Label::Benign, "b", 0, 10);
        for (text, score) in [("benign B 3", 0.1), ("ｂenign b 4", 0.9), ("BENIGN B 4", 0.1)] {
            set.add(Row::new(text, Label::Benign), score, 0.0);
        }
        let check = set.check("benign", "fpr_below", "bound = 0.9");
        assert_eq!((check.hits, check.n, check.repeats_dropped, check.outcome), (1, 10, 3, Outcome::Passed));
        assert!(check.words.ends_with("(3 repeats of a text not counted)"), "{}", check.words);
        // The same text with the other label is another row, and a repeat in another slice is none.
        set.add(Row::new("benign b 0", Label::Attack), 0.9, 0.9);
        set.add(Row::new("Benign b 0", Label::Attack), 0.2, 0.9);
        let check = set.check("attacks", "recall_above", "bound = 0.1");
        assert_eq!((check.hits, check.n, check.repeats_dropped), (0, 1, 1));
        assert_eq!(
            (set.check("category:b", "none_flagged", "").repeats_dropped, set.check("benign", "none_flagged", "").n),
            (0, 10)
        );
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
    fn a_mean_over_sources_needs_rows_of_every_source() {
        let set = Set::default().fill(Label::Attack, "big", 4_000, 4_000).fill(Label::Attack, "small", 10, 10);
        let check = set.check("attacks", "mean_recall_above", "bound = 0.95");
        // p of the small source is .05 ** .1, so the mean is (1 + .05 ** .1) / 2; 3 times the rows give .9525.
        assert!((check.bound_reached.unwrap() - 0.870_567_224_6).abs() < 1e-9, "{check:?}");
        assert_eq!((check.outcome, check.rate, check.needed), (Outcome::TooFew, Some(1.0), Some(12_030)));
        assert_eq!(
            check.words,
            "mean recall over 2 sources is 100.00 %, 4,010 of 4,010 attacks caught: too few rows to tell; with none missed, 4,010 \
             groups of attacks show at least 87.06 %, and above 95 % needs about 12,030 (source small has 10)"
        );
        assert_eq!(set.check("attacks", "mean_recall_above", "bound = 0.87").outcome, Outcome::Passed);
        assert_eq!(set.check("source:big", "mean_recall_above", "bound = 0.999").outcome, Outcome::Passed);
        // 0.9 and 0.5: the mean is 0.7, its standard deviation about (0.09 / 400 + 0.25 / 300) ** .5 / 2 = 0.0163.
        let set = Set::default().fill(Label::Attack, "a", 360, 400).fill(Label::Attack, "b", 150, 300);
        let check = set.check("attacks", "mean_recall_above", "bound = 0.7");
        assert_eq!((check.outcome, check.hits, check.n), (Outcome::Failed, 510, 700));
        assert!((check.rate.unwrap() - 0.7).abs() < 1e-12);
        assert!((check.bound_reached.unwrap() - (0.7 - 1.645 * 0.0163)).abs() < 0.004, "{check:?}");
        assert_eq!(set.check("attacks", "mean_recall_above", "bound = 0.66").outcome, Outcome::Passed);
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
        assert!(!set(4).report(&Gates { path: "none".into(), checks: Vec::new() }, true).passed);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!((&json["passed"], &json["checks"][5]["outcome"]), (&serde_json::json!(true), &serde_json::json!("failed")));
    }
}
