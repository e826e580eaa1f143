//! Statistics, defined once: exact bounds, display intervals, thresholds with a guarantee, ROC figures.
//!
//! Scores are P(attack); a prompt is flagged where its score is at least the threshold. No function here gives a rate
//! without its counts, and none gives NaN for too little data: it gives nothing.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};
use statrs::function::beta::{beta_reg, inv_beta_reg};
use statrs::function::factorial::ln_binomial;

/// So many of so many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// How many had the property.
    pub hits: usize,
    /// Out of how many.
    pub n: usize,
}

impl Count {
    /// Counts one more.
    pub fn add(&mut self, hit: bool) {
        self.hits += usize::from(hit);
        self.n += 1;
    }

    /// The share; none of nothing.
    pub fn rate(&self) -> Option<f64> {
        (self.n > 0).then(|| self.hits as f64 / self.n as f64)
    }

    /// Wilson's score interval at 95 %, for display (Wilson, JASA 1927).
    pub fn wilson(&self) -> Option<Interval> {
        let (n, p) = (self.n as f64, self.rate()?);
        let z = 1.959_963_984_540_054_f64;
        let denominator = 1.0 + z * z / n;
        let center = (p + z * z / (2.0 * n)) / denominator;
        let half = z / denominator * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
        // At the ends the formula is exact up to rounding.
        let low = if self.hits == 0 { 0.0 } else { (center - half).max(0.0) };
        let high = if self.hits == self.n { 1.0 } else { (center + half).min(1.0) };
        Some(Interval { low, high })
    }

    /// The one-sided upper Clopper-Pearson bound (Biometrika 1934): the rate is below it with at least this confidence.
    pub fn upper_bound(&self, confidence: f64) -> Option<f64> {
        let (x, n) = (self.hits as f64, self.n as f64);
        match (self.n, self.hits == self.n) {
            (0, _) => None,
            (_, true) => Some(1.0),
            _ => Some(inverse_beta(x + 1.0, n - x, confidence)),
        }
    }

    /// The one-sided lower Clopper-Pearson bound.
    pub fn lower_bound(&self, confidence: f64) -> Option<f64> {
        let (x, n) = (self.hits as f64, self.n as f64);
        match (self.n, self.hits) {
            (0, _) => None,
            (_, 0) => Some(0.0),
            _ => Some(inverse_beta(x, n - x + 1.0, 1.0 - confidence)),
        }
    }
}

impl std::ops::AddAssign for Count {
    fn add_assign(&mut self, other: Count) {
        self.hits += other.hits;
        self.n += other.n;
    }
}

/// An interval at 95 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Student's interval for the mean of values that vary from run to run, at a confidence level between 0 and 1; nothing for
/// fewer than two values.
///
/// ```
/// let interval = levelhead_lab::stats::mean_interval(&[0.1, 0.2, 0.4], 0.95).unwrap();
/// assert!(interval.low < 0.0 && interval.high > 0.6);
/// ```
pub fn mean_interval(values: &[f64], confidence: f64) -> Option<Interval> {
    let n = values.len() as f64;
    let freedom = n - 1.0;
    let student = StudentsT::new(0.0, 1.0, freedom).ok().filter(|_| freedom >= 1.0)?;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / freedom;
    let half = student.inverse_cdf(0.5 + confidence / 2.0) * (variance / n).sqrt();
    Some(Interval { low: mean - half, high: mean + half })
}

/// statrs inverts the incomplete beta function to about 1e-8; bisection carries on to the last bits.
fn inverse_beta(a: f64, b: f64, p: f64) -> f64 {
    let guess = inv_beta_reg(a, b, p);
    let (mut low, mut high) = ((guess - 1e-4).max(0.0), (guess + 1e-4).min(1.0));
    if !(beta_reg(a, b, low) <= p && p <= beta_reg(a, b, high)) {
        (low, high) = (0.0, 1.0);
    }
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if beta_reg(a, b, middle) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// Why no threshold can be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooFew {
    /// Benign scores at hand.
    pub n: usize,
    /// Benign scores needed.
    pub needed: usize,
}

/// The Neyman-Pearson umbrella threshold: the lowest at which P(FPR > `max_fpr`) is at most `violation`.
///
/// It is an order statistic of held-out benign scores (Tong, Feng, Li, Science Advances 2018, algorithm 1). The guarantee
/// holds for scores drawn as those are: independent, from the traffic to come.
///
/// # Errors
/// [`TooFew`] where even the largest score gives no guarantee; 1 % at 5 % needs 299 scores.
pub fn neyman_pearson_threshold(benign: &mut [f64], max_fpr: f64, violation: f64) -> std::result::Result<f64, TooFew> {
    let n = benign.len();
    // P(Binomial(n, 1 - max_fpr) >= k): the chance that the k-th smallest score lies below the 1 - max_fpr quantile.
    let violated = |k: usize| beta_reg(k as f64, (n - k + 1) as f64, 1.0 - max_fpr);
    if n == 0 || violated(n) > violation {
        return Err(TooFew { n, needed: (violation.ln() / (1.0 - max_fpr).ln()).ceil() as usize });
    }
    let (mut low, mut high) = (0, n);
    while high - low > 1 {
        let middle = (low + high) / 2;
        if violated(middle) <= violation {
            high = middle;
        } else {
            low = middle;
        }
    }
    benign.sort_unstable_by(f64::total_cmp);
    Ok(benign[high - 1].next_up())
}

/// The lowest threshold at which at most this share of the given benign scores is flagged; nothing for no scores.
///
/// It describes these scores and promises nothing of others.
pub fn threshold_at_fpr(benign_sorted: &[f64], fpr: f64) -> Option<f64> {
    let n = benign_sorted.len();
    let allowed = (fpr * n as f64 + 1e-9).floor() as usize;
    (n > 0).then(|| if allowed >= n { f64::NEG_INFINITY } else { benign_sorted[n - 1 - allowed].next_up() })
}

/// The area under the ROC curve: the chance that an attack scores above a benign prompt, ties counting half.
pub fn auc(benign: &[f64], attacks: &[f64]) -> Option<f64> {
    if benign.is_empty() || attacks.is_empty() {
        return None;
    }
    let mut scores: Vec<(f64, bool)> = benign.iter().map(|s| (*s, false)).chain(attacks.iter().map(|s| (*s, true))).collect();
    scores.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut sum) = (0f64, 0f64);
    for group in scores.chunk_by(|a, b| a.0 == b.0) {
        let n_attacks = group.iter().filter(|s| s.1).count() as f64;
        let n_benign = group.len() as f64 - n_attacks;
        sum += n_attacks * (below + 0.5 * n_benign);
        below += n_benign;
    }
    Some(sum / (benign.len() as f64 * attacks.len() as f64))
}

/// The p-value of the exact McNemar test, two-sided: `b` and `c` count the rows that only one of two guards got right.
pub fn mcnemar_exact(b: usize, c: usize) -> f64 {
    let (n, k) = (b + c, b.min(c));
    if n == 0 {
        return 1.0;
    }
    // P(Binomial(n, 1/2) <= k), doubled.
    (2.0 * beta_reg((n - k) as f64, (k + 1) as f64, 0.5)).min(1.0)
}

/// The mid-p McNemar test, two-sided: the exact p-value less half the chance of what was seen (Lancaster, JASA 1961; Fagerland,
/// Lydersen, Laake, BMC Medical Research Methodology 2013). It is less timid than the exact test and rarely above its level.
pub fn mcnemar_mid_p(b: usize, c: usize) -> f64 {
    let (n, k) = (b + c, b.min(c));
    if b == c {
        // Doubling counts the middle of the distribution twice.
        return if n == 0 { 1.0 } else { 1.0 - binomial_half(n, k) };
    }
    (mcnemar_exact(b, c) - binomial_half(n, k)).min(1.0)
}

/// P(Binomial(n, 1/2) = k).
fn binomial_half(n: usize, k: usize) -> f64 {
    (ln_binomial(n as u64, k as u64) - n as f64 * std::f64::consts::LN_2).exp()
}

/// Holm's step-down correction: p-values that keep the chance of any false alarm among all tests (Holm, 1979).
///
/// ```
/// assert_eq!(levelhead_lab::stats::holm(&[0.01, 0.04, 0.03]), [0.03, 0.06, 0.06]);
/// ```
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let n = p_values.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut adjusted = vec![0.0; n];
    let mut so_far = 0f64;
    for (rank, i) in order.into_iter().enumerate() {
        so_far = so_far.max((p_values[i] * (n - rank) as f64).min(1.0));
        adjusted[i] = so_far;
    }
    adjusted
}

/// The share of flagged prompts that are attacks, where attacks are this share of the traffic (Bayes): a guard of FPR 1 % and
/// recall 90 % is right in 47 % of its alarms at one attack in a hundred prompts, and in 8 % at one in a thousand.
///
/// Nothing where nothing would be flagged.
pub fn precision_at_prevalence(recall: f64, fpr: f64, prevalence: f64) -> Option<f64> {
    let (right, wrong) = (recall * prevalence, fpr * (1.0 - prevalence));
    (right + wrong > 0.0).then(|| right / (right + wrong))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy.stats.t.interval(0.95, 2, loc=mean, scale=sem(x)) and (0.9, 3, ..), SciPy 1.17.
    #[test]
    fn the_interval_of_a_mean_is_scipy_s() {
        let rows: [(&[f64], f64, [f64; 2]); 2] = [
            (&[0.1, 0.2, 0.4], 0.95, [-0.146_124_970_026, 0.612_791_636_693]),
            (&[0.81, 0.82, 0.79, 0.84], 0.9, [0.790_505_416_767, 0.839_494_583_233]),
        ];
        for (values, confidence, [low, high]) in rows {
            let interval = mean_interval(values, confidence).unwrap();
            assert!((interval.low - low).abs() < 1e-8 && (interval.high - high).abs() < 1e-8, "{interval:?}");
        }
        assert_eq!((mean_interval(&[0.5], 0.95), mean_interval(&[], 0.95)), (None, None));
    }

    #[test]
    fn paired_tests_agree_with_statsmodels() {
        // statsmodels.stats.contingency_tables.mcnemar([[0, b], [c, 0]], exact=True).pvalue;
        // mid-p: 2 * scipy.stats.binom.cdf(min(b, c), b + c, .5) - scipy.stats.binom.pmf(b, b + c, .5), for b == c 1 - pmf / 1
        let rows = [
            (0, 0, 1.0, 1.0),
            (5, 5, 1.0, 0.75390625),
            (1, 9, 0.021484375, 0.011718749999999998),
            (3, 12, 0.03515625, 0.02127075195312501),
            (40, 70, 0.005447429511444476, 0.004195534185394846),
            (0, 6, 0.03125, 0.015624999999999879),
            (200, 260, 0.0058839224731039984, 0.005142986302422611),
        ];
        for (b, c, exact, mid) in rows {
            assert!(near(mcnemar_exact(b, c), exact), "{b} {c} {}", mcnemar_exact(b, c));
            assert!(near(mcnemar_mid_p(b, c), mid), "{b} {c} {}", mcnemar_mid_p(b, c));
        }
    }

    #[test]
    fn holm_agrees_with_statsmodels() {
        // statsmodels.stats.multitest.multipletests(p, method="holm")[1]
        let p = [0.001, 0.2, 0.04, 0.0125, 0.9, 0.04];
        for (found, expected) in holm(&p).iter().zip([0.006, 0.4, 0.16, 0.0625, 0.9, 0.16]) {
            assert!(near(*found, expected), "{:?}", holm(&p));
        }
        assert!(holm(&[]).is_empty());
    }

    #[test]
    fn precision_follows_the_prevalence() {
        // By hand: .9 * .001 / (.9 * .001 + .01 * .999)
        assert!(near(precision_at_prevalence(0.9, 0.01, 0.001).unwrap(), 0.082_644_628_099_173_55));
        assert_eq!(precision_at_prevalence(0.0, 0.0, 0.5), None);
    }

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn clopper_pearson_bounds_agree_with_scipy() {
        // scipy.stats.beta.ppf(.95, x + 1, n - x) and scipy.stats.beta.ppf(.05, x, n - x + 1), scipy 1.17
        let rows = [
            (0, 299, 0.009969146792899269, 0.0),
            (948, 100_000, 0.009999714212874428, 0.00898151327498365),
            (949, 100_000, 0.010009977114692833, 0.008991249803710515),
            (4, 2_000, 0.004570865405067662, 0.0006834384380457396),
            (7, 10, 0.9127355660858496, 0.39337578389458766),
        ];
        for (hits, n, upper, lower) in rows {
            let count = Count { hits, n };
            assert!(near(count.upper_bound(0.95).unwrap(), upper), "{count:?} {}", count.upper_bound(0.95).unwrap());
            assert!(near(count.lower_bound(0.95).unwrap(), lower), "{count:?} {}", count.lower_bound(0.95).unwrap());
        }
        assert_eq!(Count { hits: 5, n: 5 }.upper_bound(0.95), Some(1.0));
        assert_eq!(Count { hits: 0, n: 0 }.upper_bound(0.95), None);
        assert_eq!(Count { hits: 0, n: 0 }.lower_bound(0.95), None);
    }

    #[test]
    fn the_gate_arithmetic_of_the_design_holds() {
        let passes = |hits, n, bound| Count { hits, n }.upper_bound(0.95).unwrap() < bound;
        assert!(passes(948, 100_000, 0.01) && !passes(949, 100_000, 0.01));
        assert!(passes(4, 2_000, 0.005) && !passes(5, 2_000, 0.005));
        assert!(passes(0, 598, 0.005) && !passes(0, 597, 0.005));
    }

    #[test]
    fn wilson_intervals_agree_with_statsmodels() {
        // statsmodels.stats.proportion.proportion_confint(x, n, method="wilson"), statsmodels 0.15
        for (hits, n, low, high) in [
            (3, 50, 0.020614970348973943, 0.16217091688838173),
            (0, 20, 0.0, 0.1611251580528194),
            (20, 20, 0.8388748419471804, 1.0),
        ] {
            let interval = Count { hits, n }.wilson().unwrap();
            assert!(near(interval.low, low) && near(interval.high, high), "{interval:?}");
        }
        assert_eq!(Count::default().wilson(), None);
    }

    #[test]
    fn the_umbrella_threshold_is_the_order_statistic_of_the_paper() {
        // min k with scipy.stats.binom.sf(k - 1, n, .99) <= .05
        for (n, k) in [(299, 299), (1_000, 996), (10_000, 9917)] {
            let mut scores: Vec<f64> = (1..=n).map(|i| i as f64).collect();
            assert_eq!(neyman_pearson_threshold(&mut scores, 0.01, 0.05), Ok((k as f64).next_up()), "{n}");
        }
        let mut few = vec![0.5; 298];
        assert_eq!(neyman_pearson_threshold(&mut few, 0.01, 0.05), Err(TooFew { n: 298, needed: 299 }));
        assert!(neyman_pearson_threshold(&mut [], 0.01, 0.05).is_err());
    }

    #[test]
    fn a_threshold_flags_no_more_than_it_may() {
        let scores = [0.1, 0.2, 0.3, 0.3, 0.9];
        let flagged = |fpr| scores.iter().filter(|s| **s >= threshold_at_fpr(&scores, fpr).unwrap()).count();
        assert_eq!([0.0, 0.2, 0.39, 0.4, 0.6, 1.0].map(flagged), [0, 1, 1, 1, 3, 5]);
        assert_eq!(threshold_at_fpr(&[], 0.01), None);
    }

    #[test]
    fn auc_counts_ties_half() {
        // By hand: 0.4 beats two, ties with one of three; 0.9 beats all. (2.5 + 3) / 6
        assert!(near(auc(&[0.1, 0.3, 0.4], &[0.4, 0.9]).unwrap(), 5.5 / 6.0));
        assert_eq!(auc(&[], &[0.4]), None);
    }

    #[test]
    fn mcnemar_agrees_with_scipy() {
        // scipy.stats.binomtest(k, n, .5).pvalue
        for (b, c, p) in [(0, 0, 1.0), (1, 9, 0.021_484_375), (30, 12, 0.007915897334896727)] {
            assert!(near(mcnemar_exact(b, c), p), "{b} {c}: {}", mcnemar_exact(b, c));
        }
    }
}
