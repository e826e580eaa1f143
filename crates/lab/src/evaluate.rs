//! How good a guard is on labelled rows: counts at its own threshold, figures over all thresholds, each with its interval.
//!
//! It must never give a rate without its counts, nor a figure that the rows cannot carry: the reason stands in its place.

use std::collections::BTreeMap;

use crate::bootstrap::{N_RESAMPLES, Roc, highest_mean_bound, percentile_interval};
use crate::measure::{Entry, Figures, Measured, Sample, distinct_texts};
use crate::stats::{Count, Interval, threshold_at_fpr};
use crate::words::{number, percent_limit};

pub use crate::evaluation::{CountedFigure, Evaluation, FPRS, Figure, PREVALENCES, RecallAtFpr, Share};

/// Measures a guard. Thresholds for a stated FPR come from the benign rows of `reference_benign`, or else of `data`.
///
/// The same rows, verdicts, groups and seed give the same evaluation, whatever the number of threads. A reference is taken
/// for a set of its own: it is resampled on its own, and its groups have nothing to do with those of `data`.
///
/// # Panics
/// Where rows, verdicts and groups differ in length.
pub fn evaluate(data: Measured, reference_benign: Option<Measured>, seed: u64) -> Evaluation {
    let entries = data.entries();
    let sample = Sample::new(&entries);
    let reference = reference_benign.map(|measured| {
        let benign: Vec<Entry> = measured.entries().into_iter().filter(|e| e.attack_source.is_none()).collect();
        Sample::new(&benign)
    });
    let roc = Roc { data: &sample, reference: reference.as_ref(), fprs: &FPRS };

    let mut by_category: BTreeMap<String, Count> = BTreeMap::new();
    let mut by_source: BTreeMap<String, Count> = BTreeMap::new();
    for entry in entries.iter().filter(|e| e.attack_source.is_none()) {
        let row = &data.rows[entry.row_idx];
        by_category.entry(row.category.to_string()).or_default().add(entry.flagged);
        by_source.entry(row.source.to_string()).or_default().add(entry.flagged);
    }
    let mut harmful_requests = Count::default();
    let judged = data.rows.iter().zip(data.verdicts);
    for (_, verdict) in judged.filter(|(row, _)| row.is_attack() && !row.counts_in_recall()) {
        harmful_requests.add(verdict.flagged);
    }
    let mut caught = Count::default();
    sample.caught.iter().for_each(|c| caught += *c);
    let benign = sample.benign;
    let false_positives = |counts: BTreeMap<String, Count>| {
        counts.into_iter().map(|(name, count)| (name, Share::of_false_positives(count))).collect::<BTreeMap<_, _>>()
    };

    let no_attacks = (caught.n == 0).then(|| "there are no attacks that count in recall".to_string());
    let no_class = no_attacks.clone().or_else(|| (benign.n == 0).then(|| "there are no benign rows".to_string()));
    let no_rows = entries.is_empty().then(|| "there are no labelled rows that count".to_string());
    let no_scores = || unusable_scores(&sample);
    let findings = Findings { point: roc.point(), resamples: roc.resamples(seed), roc: &roc };
    let mut evaluation = Evaluation {
        rows: data.rows.len(),
        distinct_rows: distinct_texts(data.rows).into_iter().max().map_or(0, |last| last as usize + 1),
        groups: sample.n_groups,
        unlabelled: data.rows.iter().filter(|row| row.label.is_none()).count(),
        harmful_requests,
        true_positives: caught.hits,
        false_positives: benign.hits,
        true_negatives: benign.n - benign.hits,
        false_negatives: caught.n - caught.hits,
        false_positive_rate: Share::of_false_positives(benign),
        false_positive_rate_by_category: false_positives(by_category),
        false_positive_rate_by_source: false_positives(by_source),
        recall: Share::of_hits(caught),
        recall_by_source: sample.sources.iter().cloned().zip(sample.caught.iter().map(|c| Share::of_hits(*c))).collect(),
        mean_recall: findings.mean(no_attacks.clone(), |f| f.mean_recall),
        reference_false_positive_rate: reference.as_ref().map(|r| Share::of_false_positives(r.benign)),
        precision_at_prevalence: Vec::new(),
        precision: Share::of_hits(Count { hits: caught.hits, n: caught.hits + benign.hits }),
        f1: findings.figure(no_attacks.clone(), |f| f.f1),
        auc: findings.figure(no_class.or_else(no_scores), |f| f.auc),
        recall_at_fpr: (0..FPRS.len()).map(|k| findings.recall_at_fpr(k, no_attacks.clone())).collect(),
        expected_calibration_error: findings.figure(no_rows.clone().or_else(no_scores), |f| f.calibration_error),
        brier_score: findings.figure(no_rows.or_else(no_scores), |f| f.brier),
        resamples: N_RESAMPLES,
        seed,
    };
    evaluation.set_prevalences(&PREVALENCES);
    evaluation
}

/// The figures of the rows as they are and of every resample.
struct Findings<'a> {
    point: Figures,
    resamples: Vec<Figures>,
    roc: &'a Roc<'a>,
}

impl Findings<'_> {
    /// A figure, or the reason why there is none.
    fn figure(&self, reason: Option<String>, pick: impl Fn(&Figures) -> Option<f64>) -> Figure {
        if reason.is_some() {
            return Figure { value: None, interval: None, reason };
        }
        let resampled: Vec<_> = self.resamples.iter().map(&pick).collect();
        // One group is all that is drawn from one group: it tells nothing of another.
        let interval = if self.roc.data.n_groups > 1 { percentile_interval(&resampled) } else { None };
        Figure { value: pick(&self.point), interval, reason: None }
    }

    /// A mean of recalls over sources. Without a miss it has no width under a bootstrap; the few groups set its lower end.
    fn mean(&self, reason: Option<String>, pick: impl Fn(&Figures) -> Option<f64>) -> Figure {
        let mut mean = self.figure(reason, pick);
        let highest = highest_mean_bound(&self.roc.data.n_source_groups, 0.975);
        if let (Some(interval), Some(highest)) = (&mut mean.interval, highest) {
            interval.low = interval.low.min(highest);
        }
        mean
    }

    /// Recall at the `k`-th of [`FPRS`].
    fn recall_at_fpr(&self, k: usize, no_attacks: Option<String>) -> RecallAtFpr {
        let (sample, set) = (self.roc.data, self.roc.benign());
        let reason = no_attacks
            .or_else(|| unusable_scores(sample))
            .or_else(|| unusable_scores(set))
            .or_else(|| too_few_benign(set.benign.n, FPRS[k]));
        let scores = set.benign_scores();
        let threshold = if reason.is_none() { threshold_at_fpr(&scores, FPRS[k]) } else { None };
        let flagged = threshold.map_or(0, |t| scores.iter().filter(|s| **s >= t).count());
        let mut by_source = BTreeMap::new();
        for (i, source) in sample.sources.iter().enumerate().filter(|_| reason.is_none()) {
            let count = self.point.at_fpr[k][i];
            let resampled: Vec<_> = self.resamples.iter().map(|f| f.at_fpr[k][i].rate()).collect();
            let interval = widest(count.wilson(), percentile_interval(&resampled));
            by_source.insert(source.clone(), CountedFigure { count, rate: count.rate(), interval });
        }
        RecallAtFpr {
            fpr: FPRS[k],
            threshold,
            benign: Count { hits: flagged, n: set.benign.n },
            from_reference: self.roc.reference.is_some(),
            by_source,
            mean: self.mean(reason, |f| f.mean_at_fpr[k]),
        }
    }
}

/// Why nothing can be said of the scores: some are not numbers.
pub(crate) fn unusable_scores(sample: &Sample) -> Option<String> {
    (sample.n_nan > 0).then(|| format!("{} scores are not numbers: the guard is faulty", number(sample.n_nan)))
}

/// Why no threshold can be found for an FPR: not one benign row may be flagged among so few.
pub(crate) fn too_few_benign(n_benign: usize, fpr: f64) -> Option<String> {
    let needed = (1.0 / fpr - 1e-9).ceil() as usize;
    (n_benign < needed).then(|| {
        let (n, fpr, needed) = (number(n_benign), percent_limit(fpr), number(needed));
        format!("{n} benign rows are too few to see an FPR of {fpr}: at least {needed} are needed")
    })
}

fn widest(a: Option<Interval>, b: Option<Interval>) -> Option<Interval> {
    match (a, b) {
        (Some(a), Some(b)) => Some(Interval { low: a.low.min(b.low), high: a.high.max(b.high) }),
        _ => a.or(b),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::row::{HARMFUL_REQUEST, Label, Row};
    use levelhead::{Probability, Severity, Verdict};

    /// Rows with their verdicts, each row in a group of its own.
    #[derive(Default)]
    pub(crate) struct Set {
        rows: Vec<Row>,
        verdicts: Vec<Verdict>,
    }

    impl Set {
        fn add(&mut self, label: Option<Label>, family: &str, name: &str, scores: &[f64]) {
            for score in scores {
                let mut row = Row::new(format!("text {}", self.rows.len()), label.unwrap_or(Label::Benign));
                (row.label, row.family, row.category, row.source) = (label, family.into(), name.into(), name.into());
                let (flagged, family) = (*score >= 0.5, String::new());
                let (score, severity) = (Probability(*score), Severity::Info);
                self.rows.push(row);
                self.verdicts.push(Verdict { score, flagged, family: family.into(), severity, layer: None, threats: Vec::new() });
            }
        }

        pub(crate) fn evaluate(&self, reference: Option<&Set>) -> Evaluation {
            let groups: Vec<u32> = (0..2_000).collect();
            fn of<'a>(set: &'a Set, groups: &'a [u32]) -> Measured<'a> {
                Measured { rows: &set.rows, verdicts: &set.verdicts, groups: &groups[..set.rows.len()] }
            }
            evaluate(of(self, &groups), reference.map(|set| of(set, &groups)), 7)
        }
    }

    /// 7 benign rows with 2 false alarms, 8 attacks with 3 caught, 2 harmful requests, 1 row without a label, 1 repeat.
    pub(crate) fn small() -> Set {
        let mut set = Set::default();
        set.add(Some(Label::Benign), "BENIGN", "web", &[0.1, 0.2, 0.3, 0.6]);
        set.add(Some(Label::Benign), "BENIGN", "edge|case", &[0.4, 0.8, 0.1]);
        set.add(Some(Label::Attack), "other_attack", "s1", &[0.9, 0.7, 0.2]);
        set.add(Some(Label::Attack), "role_persona", "s2", &[0.95, 0.3, 0.1, 0.05, 0.02]);
        set.add(Some(Label::Attack), HARMFUL_REQUEST, "s3", &[0.9, 0.1]);
        set.add(None, "BENIGN", "?", &[0.99]);
        set.rows[1].text = "TEXT 0".into();
        set
    }

    /// 1,000 benign rows: 995 spread from 0 to 0.5964 and 5 at 0.92.
    pub(crate) fn reference() -> Set {
        let mut set = Set::default();
        let scores: Vec<f64> = (0..1_000).map(|i| if i < 995 { f64::from(i) * 0.0006 } else { 0.92 }).collect();
        set.add(Some(Label::Benign), "BENIGN", "traffic", &scores);
        set.add(Some(Label::Attack), "other_attack", "none of these counts", &[0.99]);
        set
    }

    fn near(a: Option<f64>, b: f64) -> bool {
        (a.unwrap() - b).abs() < 1e-12
    }

    #[test]
    fn what_counts_is_counted_where_it_counts() {
        let e = small().evaluate(None);
        assert_eq!((e.rows, e.distinct_rows, e.groups, e.unlabelled), (18, 17, 15, 1));
        assert_eq!(e.harmful_requests, Count { hits: 1, n: 2 });
        assert_eq!((e.true_positives, e.false_positives, e.true_negatives, e.false_negatives), (3, 2, 5, 5));
        let counts = |shares: &BTreeMap<String, Share>| -> Vec<(String, usize, usize)> {
            shares.iter().map(|(name, s)| (name.clone(), s.count.hits, s.count.n)).collect()
        };
        assert_eq!(counts(&e.false_positive_rate_by_category), [("edge|case".into(), 1, 3), ("web".into(), 1, 4)]);
        assert_eq!(counts(&e.recall_by_source), [("s1".into(), 2, 3), ("s2".into(), 1, 5)]);
        assert!(near(e.false_positive_rate.rate, 2.0 / 7.0) && near(e.recall.rate, 3.0 / 8.0) && near(e.precision.rate, 0.6));
        assert!(near(e.mean_recall.value, (2.0 / 3.0 + 0.2) / 2.0));
        // Upper for false positives, lower for recall.
        assert_eq!(e.false_positive_rate.bound, Count { hits: 2, n: 7 }.upper_bound(0.95));
        assert_eq!(e.recall.bound, Count { hits: 3, n: 8 }.lower_bound(0.95));
        // sklearn.metrics: roc_auc_score(y, s), brier_score_loss(y, s), f1_score(y, s >= .5); the error as in measure.rs
        assert!(
            near(e.auc.value, 0.482_142_857_142_857_1)
                && near(e.brier_score.value, 0.347_693_333_333_333_35)
                && near(e.f1.value, 6.0 / 13.0),
            "{e:?}"
        );
        assert!(near(e.expected_calibration_error.value, 0.392), "{e:?}");
        for figure in [&e.auc, &e.f1, &e.mean_recall, &e.brier_score, &e.expected_calibration_error] {
            let interval = figure.interval.unwrap();
            assert!(interval.low < figure.value.unwrap() && figure.value.unwrap() < interval.high, "{figure:?}");
        }
    }

    #[test]
    fn recall_is_given_only_at_rates_that_the_benign_rows_can_show() {
        let e = small().evaluate(None);
        let reason = "7 benign rows are too few to see an FPR of 0.5 %: at least 200 are needed";
        assert_eq!(e.recall_at_fpr[1].mean.reason.as_deref(), Some(reason));
        assert_eq!((e.recall_at_fpr[1].threshold, e.recall_at_fpr[1].by_source.len()), (None, 0));
        assert_eq!((too_few_benign(1_000, 0.001), too_few_benign(999, 0.001).is_some()), (None, true));

        let e = small().evaluate(Some(&reference()));
        let at: Vec<_> = e
            .recall_at_fpr
            .iter()
            .map(|at| (at.benign.hits, at.benign.n, at.by_source["s1"].count.hits, at.by_source["s2"].count.hits))
            .collect();
        // By hand: at 1 % the threshold is just above 0.5934, at 0.5 % above 0.5964, at 0.1 % above 0.92, where five tie.
        assert_eq!(at, [(10, 1_000, 2, 1), (5, 1_000, 2, 1), (0, 1_000, 0, 1)]);
        assert!(e.recall_at_fpr.iter().all(|at| at.from_reference));
        assert!(near(e.recall_at_fpr[2].mean.value, 0.1));
        // Wide as they are for three and five rows, the intervals hold Wilson's.
        let s1 = &e.recall_at_fpr[0].by_source["s1"];
        assert!(s1.interval.unwrap().low <= Count { hits: 2, n: 3 }.wilson().unwrap().low);
        // A reference moves thresholds and nothing else.
        assert_eq!(
            (e.auc.value, e.false_positive_rate),
            (small().evaluate(None).auc.value, small().evaluate(None).false_positive_rate)
        );
    }

    #[test]
    fn a_figure_that_the_rows_cannot_carry_has_a_reason() {
        let reasons = |set: &Set| {
            let e = set.evaluate(None);
            [e.auc, e.f1, e.mean_recall, e.brier_score, e.recall_at_fpr[0].mean.clone()].map(|f| f.reason.unwrap_or_default())
        };
        let none = "there are no attacks that count in recall";
        let rows = "there are no labelled rows that count";
        assert_eq!(reasons(&Set::default()), [none, none, none, rows, none]);
        let mut benign = Set::default();
        benign.add(Some(Label::Benign), "BENIGN", "b", &[0.1; 300]);
        assert_eq!(reasons(&benign), [none, none, none, "", none]);
        let mut attacks = Set::default();
        attacks.add(Some(Label::Attack), "other_attack", "a", &[0.9; 4]);
        let few = "0 benign rows are too few to see an FPR of 1 %: at least 100 are needed";
        assert_eq!(reasons(&attacks), ["there are no benign rows", "", "", "", few]);
        // Four attacks without a miss: the mean recall is 1, and its interval says that four show little.
        let low = attacks.evaluate(None).mean_recall.interval.unwrap().low;
        assert!((low - 0.025f64.powf(0.25)).abs() < 1e-9, "{low}");
        attacks.add(Some(Label::Benign), "BENIGN", "b", &[f64::NAN]);
        let nan = "1 scores are not numbers: the guard is faulty";
        assert_eq!(reasons(&attacks), [nan, "", "", nan, nan]);
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let with = |n| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
            pool.install(|| serde_json::to_string(&small().evaluate(Some(&reference()))).unwrap())
        };
        assert_eq!(with(1), with(2));
    }
}
