//! Two guards on the same rows: what the new one flags and passes that the old one did not, and whether that is more than chance.
//!
//! Rows are counted by distinct text. Rates at each guard's own threshold are compared by exact McNemar tests, slices of them
//! with Holm's correction; recall at a matched FPR by a bootstrap over near-duplicate groups that both guards share.

use std::collections::BTreeMap;

use levelhead::Verdict;
use serde::Serialize;

use crate::bootstrap::{Roc, percentile_interval};
use crate::language::language;
use crate::measure::{Entry, Measured, Sample, distinct_texts};
use crate::row::Row;
use crate::slice::length_bucket;
use crate::stats::{Count, Interval, holm, mcnemar_exact, mcnemar_mid_p};

/// A difference with a smaller p-value is called significant.
pub const LEVEL: f64 = 0.05;

/// The false positive rates at which recall is compared.
pub const FPRS: [f64; 2] = [0.01, 0.005];

/// Rows that two guards have judged; all slices have one entry for each row.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    /// The rows.
    pub rows: &'a [Row],
    /// What the old guard said.
    pub old: &'a [Verdict],
    /// What the new guard said.
    pub new: &'a [Verdict],
    /// The group of near-duplicates that each row belongs to.
    pub groups: &'a [u32],
}

/// The comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Rows given.
    pub rows: usize,
    /// Distinct texts among those that count: labelled, and no plain harmful request.
    pub distinct: usize,
    /// One word.
    pub verdict: Outcome,
    /// What it rests on, in words.
    pub reasons: Vec<String>,
    /// All benign rows: false positives.
    pub benign: Paired,
    /// All attacks: recall.
    pub attacks: Paired,
    /// Benign rows by category, language and length, attacks by source and family.
    pub slices: Vec<Paired>,
    /// Recall at matched false positive rates.
    pub matched: Vec<MatchedRecall>,
    /// Every distinct text whose verdict changed.
    pub changes: Vec<Change>,
}

/// Whether the new guard is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// In something, and in nothing worse.
    Better,
    /// In something, and in nothing better.
    Worse,
    /// In something better, in something worse.
    Mixed,
    /// No difference that these rows could tell from chance.
    TooFewRowsToTell,
}

impl Outcome {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Outcome::Better => "better",
            Outcome::Worse => "worse",
            Outcome::Mixed => "mixed",
            Outcome::TooFewRowsToTell => "too few rows to tell",
        }
    }
}

/// What the two guards flag of the same rows of one class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Paired {
    /// `category`, `language`, `length`, `source`, `family`, or `all`.
    pub by: &'static str,
    /// Which of them.
    pub name: String,
    /// Whether these are attacks.
    pub attacks: bool,
    /// Flagged by the old guard.
    pub old: Count,
    /// Flagged by the new guard.
    pub new: Count,
    /// Rows that only the old guard flags.
    pub only_old: usize,
    /// Rows that only the new guard flags.
    pub only_new: usize,
    /// Exact McNemar test, two-sided.
    pub p: f64,
    /// Its mid-p form, for reading.
    pub mid_p: f64,
    /// `p` after Holm's correction: over the two classes, or over all slices.
    pub corrected_p: f64,
}

impl Paired {
    /// Whether the new guard is better here: fewer benign rows or more attacks flagged. Nothing where that may be chance.
    pub fn better(&self) -> Option<bool> {
        (self.corrected_p < LEVEL).then_some((self.only_new > self.only_old) == self.attacks)
    }
}

/// Mean recall over sources at a matched false positive rate, on the same rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MatchedRecall {
    /// The false positive rate.
    pub fpr: f64,
    /// The old guard's; nothing where there are too few benign rows.
    pub old: Option<f64>,
    /// The new guard's.
    pub new: Option<f64>,
    /// 95 % interval of the new one's less the old one's.
    pub difference: Option<Interval>,
}

/// A text whose verdict changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// What it means.
    pub kind: ChangeKind,
    /// The text.
    pub text: String,
    /// Its category, or the family of an attack.
    pub name: String,
    /// Where it comes from.
    pub source: String,
    /// The old guard's score.
    pub old_score: f64,
    /// The new guard's score.
    pub new_score: f64,
}

/// What a changed verdict means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// An attack that the old guard caught and the new one misses.
    Regression,
    /// A benign prompt that only the new guard flags.
    NewFalsePositive,
    /// An attack that only the new guard catches.
    NewlyCaught,
    /// A benign prompt that only the old guard flags.
    FalsePositiveGone,
}

/// Compares two guards. The same rows, verdicts and seed give the same comparison.
///
/// # Panics
/// Where the slices differ in length.
pub fn compare(pair: Pair<'_>, seed: u64) -> Comparison {
    let texts = distinct_texts(pair.rows);
    let mut n_seen = 0;
    // The first row of each text.
    let first: Vec<bool> = texts
        .iter()
        .map(|t| {
            *t == n_seen && {
                n_seen += 1;
                true
            }
        })
        .collect();
    let entries = |verdicts| -> Vec<Entry<'_>> {
        let measured = Measured { rows: pair.rows, verdicts, groups: pair.groups };
        measured.entries().into_iter().filter(|e| first[e.row_idx]).collect()
    };
    let (old, new) = (entries(pair.old), entries(pair.new));
    let mut slices: BTreeMap<(bool, &'static str, String), Paired> = BTreeMap::new();
    let mut changes = Vec::new();
    for (o, n) in old.iter().zip(&new) {
        let row = &pair.rows[o.row_idx];
        let attack = row.is_attack();
        let names: Vec<(&'static str, String)> = if attack {
            vec![("all", "attacks".into()), ("source", row.source.to_string()), ("family", row.family.to_string())]
        } else {
            let (language, length) = (language(&row.text), length_bucket(&row.text));
            vec![
                ("all", "benign".into()),
                ("category", row.category.to_string()),
                ("language", language.into()),
                ("length", length.into()),
            ]
        };
        for (by, name) in names {
            let slice = slices.entry((attack, by, name.clone())).or_insert_with(|| Paired::empty(by, name, attack));
            slice.old.add(o.flagged);
            slice.new.add(n.flagged);
            slice.only_old += usize::from(o.flagged && !n.flagged);
            slice.only_new += usize::from(n.flagged && !o.flagged);
        }
        if o.flagged != n.flagged {
            changes.push(change(row, o, n));
        }
    }
    // Within a kind the largest jumps come first.
    let jump = |c: &Change| (c.new_score - c.old_score).abs();
    changes.sort_by(|a, b| a.kind.cmp(&b.kind).then(jump(b).total_cmp(&jump(a))).then(a.text.cmp(&b.text)));
    let (mut overall, mut parts): (Vec<Paired>, Vec<Paired>) = slices.into_values().partition(|s| s.by == "all");
    test(&mut overall);
    test(&mut parts);
    let mut class = |attacks: bool| {
        let at = overall.iter().position(|s| s.attacks == attacks);
        at.map_or_else(|| Paired::empty("all", if attacks { "attacks" } else { "benign" }.into(), attacks), |i| overall.remove(i))
    };
    let (benign, attacks) = (class(false), class(true));
    let matched = matched(&old, &new, seed);
    let (verdict, reasons) = decide(&benign, &attacks, &parts, &matched);
    Comparison { rows: pair.rows.len(), distinct: old.len(), verdict, reasons, benign, attacks, slices: parts, matched, changes }
}

impl Paired {
    fn empty(by: &'static str, name: String, attacks: bool) -> Paired {
        let (old, new) = Default::default();
        Paired { by, name, attacks, old, new, only_old: 0, only_new: 0, p: 1.0, mid_p: 1.0, corrected_p: 1.0 }
    }
}

fn change(row: &Row, old: &Entry, new: &Entry) -> Change {
    let kind = match (row.is_attack(), new.flagged) {
        (true, false) => ChangeKind::Regression,
        (false, true) => ChangeKind::NewFalsePositive,
        (true, true) => ChangeKind::NewlyCaught,
        (false, false) => ChangeKind::FalsePositiveGone,
    };
    let name = if row.is_attack() { &row.family } else { &row.category };
    Change {
        kind,
        text: row.text.clone(),
        name: name.to_string(),
        source: row.source.to_string(),
        old_score: old.score,
        new_score: new.score,
    }
}

/// Fills in the p-values.
fn test(slices: &mut [Paired]) {
    for slice in slices.iter_mut() {
        slice.p = mcnemar_exact(slice.only_old, slice.only_new);
        slice.mid_p = mcnemar_mid_p(slice.only_old, slice.only_new);
    }
    let corrected = holm(&slices.iter().map(|s| s.p).collect::<Vec<_>>());
    slices.iter_mut().zip(corrected).for_each(|(slice, p)| slice.corrected_p = p);
}

fn matched(old: &[Entry], new: &[Entry], seed: u64) -> Vec<MatchedRecall> {
    let (old, new) = (Sample::new(old), Sample::new(new));
    let roc = |data| Roc { data, reference: None, fprs: &FPRS };
    // Both samples have the same groups, so a resample draws the same rows from both.
    let points = (roc(&old).point(), roc(&new).point());
    let resamples = (roc(&old).resamples(seed), roc(&new).resamples(seed));
    let usable = |fpr: f64| old.n_nan + new.n_nan == 0 && old.benign.n as f64 * fpr >= 1.0 && !old.sources.is_empty();
    (0..FPRS.len())
        .map(|k| {
            let differences: Vec<Option<f64>> =
                resamples.0.iter().zip(&resamples.1).map(|(o, n)| Some(n.mean_at_fpr[k]? - o.mean_at_fpr[k]?)).collect();
            let is_usable = usable(FPRS[k]);
            MatchedRecall {
                fpr: FPRS[k],
                old: points.0.mean_at_fpr[k].filter(|_| is_usable),
                new: points.1.mean_at_fpr[k].filter(|_| is_usable),
                difference: percentile_interval(&differences).filter(|_| is_usable && old.n_groups > 1),
            }
        })
        .collect()
}

/// Recall at a matched FPR speaks for a guard that moved its threshold, the rates at the guards' own thresholds for the one
/// that will run; a slice can only speak against what they say.
fn decide(benign: &Paired, attacks: &Paired, slices: &[Paired], matched: &[MatchedRecall]) -> (Outcome, Vec<String>) {
    let (mut better, mut worse) = (Vec::new(), Vec::new());
    for class in [benign, attacks] {
        let what = if class.attacks { "recall" } else { "false positives" };
        let words = format!("{what} at the guards' own thresholds, p = {:.2e}", class.corrected_p);
        match class.better() {
            Some(true) => better.push(words),
            Some(false) => worse.push(words),
            None => {}
        }
    }
    for recall in matched {
        let Some(interval) = recall.difference else { continue };
        let words = format!("mean recall at {} % FPR, by {:.3} to {:.3}", 100.0 * recall.fpr, interval.low, interval.high);
        if interval.low > 0.0 {
            better.push(words);
        } else if interval.high < 0.0 {
            worse.push(words);
        }
    }
    for slice in slices.iter().filter(|s| s.better() == Some(false)) {
        worse.push(format!("{} {}, corrected p = {:.2e}", slice.by, slice.name, slice.corrected_p));
    }
    let outcome = match (better.is_empty(), worse.is_empty()) {
        (false, true) => Outcome::Better,
        (true, false) => Outcome::Worse,
        (false, false) => Outcome::Mixed,
        (true, true) => Outcome::TooFewRowsToTell,
    };
    let better = better.into_iter().map(|w| format!("better: {w}"));
    let reasons = better.chain(worse.into_iter().map(|w| format!("worse: {w}"))).collect();
    (outcome, reasons)
}

#[cfg(test)]
mod tests {
    use levelhead::{BENIGN, Probability, Severity};

    use super::*;
    use crate::row::Label;

    fn verdict(score: f64) -> Verdict {
        Verdict {
            score: Probability(score),
            flagged: score >= 0.5,
            family: BENIGN.into(),
            severity: Severity::Info,
            layer: None,
            threats: Vec::new(),
        }
    }

    /// `n` rows of a class, with the old and the new score of the i-th.
    fn rows(n: usize, label: Label, scores: impl Fn(usize) -> (f64, f64)) -> (Vec<Row>, Vec<Verdict>, Vec<Verdict>) {
        let row = |i: usize| Row { source: "s".into(), category: "c".into(), ..Row::new(format!("{label:?} text {i}"), label) };
        let (old, new) = (0..n).map(scores).map(|(o, n)| (verdict(o), verdict(n))).unzip();
        ((0..n).map(row).collect(), old, new)
    }

    fn compared(benign: impl Fn(usize) -> (f64, f64), attacks: impl Fn(usize) -> (f64, f64)) -> Comparison {
        let mut all = rows(400, Label::Benign, benign);
        let more = rows(200, Label::Attack, attacks);
        all.0.extend(more.0);
        all.1.extend(more.1);
        all.2.extend(more.2);
        let groups: Vec<u32> = (0..600).collect();
        compare(Pair { rows: &all.0, old: &all.1, new: &all.2, groups: &groups }, 42)
    }

    #[test]
    fn the_verdict_says_what_the_rows_show() {
        let spread = |i: usize, n: usize| i as f64 / n as f64 / 2.5;
        let same = |i: usize| (spread(i, 400), spread(i, 400));
        let caught = |_: usize| (0.9, 0.9);
        assert_eq!(compared(same, caught).verdict, Outcome::TooFewRowsToTell);
        let fewer = |i: usize| if i < 20 { (0.8, 0.1) } else { same(i) };
        let found = compared(fewer, caught);
        assert_eq!(found.verdict, Outcome::Better, "{:?}", found.reasons);
        // By hand: 20 discordant rows, all one way: 2 / 2^20.
        assert!((found.benign.p - 2f64.powi(-19)).abs() < 1e-12);
        assert_eq!((found.benign.only_old, found.benign.only_new), (20, 0));
        assert_eq!(found.changes.len(), 20);
        assert!(found.changes.iter().all(|c| c.kind == ChangeKind::FalsePositiveGone));
        let loses = |i: usize| if i < 20 { (0.9, 0.2) } else { (0.9, 0.9) };
        assert_eq!(compared(same, loses).verdict, Outcome::Worse);
        assert_eq!(compared(fewer, loses).verdict, Outcome::Mixed);
        assert_eq!(compared(fewer, loses).changes[0].kind, ChangeKind::Regression);
    }

    #[test]
    fn repeats_are_no_evidence() {
        let text = |i: usize| Row::new(format!("benign text {}", i / 100), Label::Benign);
        let rows: Vec<Row> = (0..400).map(text).collect();
        let (old, new) = (vec![verdict(0.9); 400], vec![verdict(0.1); 400]);
        let groups: Vec<u32> = (0..400).map(|i| i / 100).collect();
        let found = compare(Pair { rows: &rows, old: &old, new: &new, groups: &groups }, 42);
        assert_eq!((found.distinct, found.benign.only_old), (4, 4));
        assert_eq!(found.verdict, Outcome::TooFewRowsToTell);
    }

    #[test]
    fn equal_guards_differ_by_nothing_at_a_matched_fpr() {
        let found = compared(|i| (i as f64 / 1000.0, i as f64 / 1000.0), |i| (i as f64 / 300.0, i as f64 / 300.0));
        for recall in &found.matched {
            assert_eq!(recall.old, recall.new);
            assert_eq!(recall.difference, Some(Interval { low: 0.0, high: 0.0 }));
        }
    }
}
