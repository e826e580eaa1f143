//! What bounds and thresholds promise, against 10,000 simulated data sets: a bound of 95 % must hold in 95 of 100 of them.

use std::collections::HashMap;

use levelhead_lab::random::Random;
use levelhead_lab::stats::{Count, neyman_pearson_threshold};

const N_SETS: usize = 10_000;

/// Four standard errors of a share that is found in so many data sets.
fn tolerance(share: f64) -> f64 {
    4.0 * (share * (1.0 - share) / N_SETS as f64).sqrt()
}

fn ln_choose(n: usize, k: usize) -> f64 {
    let ln_factorial = |n: usize| (1..=n).map(|i| (i as f64).ln()).sum::<f64>();
    ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
}

fn binomial(n: usize, p: f64, k: usize) -> f64 {
    (ln_choose(n, k) + k as f64 * p.ln() + (n - k) as f64 * (1.0 - p).ln()).exp()
}

/// In what share of the data sets a count of `n` rows, each flagged with the chance `p`, `holds`: by simulation, and exactly.
fn coverage(n: usize, p: f64, holds: impl Fn(Count) -> bool) -> (f64, f64) {
    let mut known: HashMap<usize, bool> = HashMap::new();
    let mut holds = |hits: usize| *known.entry(hits).or_insert_with(|| holds(Count { hits, n }));
    let mut random = Random::new(11, "coverage");
    let found = (0..N_SETS).filter(|_| holds((0..n).filter(|_| random.unit() < p).count())).count();
    let exact = (0..=n).filter(|hits| holds(*hits)).map(|hits| binomial(n, p, hits)).sum();
    (found as f64 / N_SETS as f64, exact)
}

#[test]
fn clopper_pearson_bounds_hold_as_often_as_they_say() {
    for (n, p) in [(299, 0.005), (2_000, 0.004), (1_000, 0.05), (400, 0.95), (60, 0.5)] {
        let upper = coverage(n, p, |count| count.upper_bound(0.95).unwrap() >= p);
        let lower = coverage(n, p, |count| count.lower_bound(0.95).unwrap() <= p);
        for (simulated, exact) in [upper, lower] {
            assert!((simulated - exact).abs() <= tolerance(exact) + 1e-9, "{n} {p}: {simulated} {exact}");
            assert!(exact >= 0.95 - 1e-9, "{n} {p}: exact coverage {exact}");
        }
    }
}

#[test]
fn wilson_intervals_hold_about_as_often_as_they_say() {
    // Not a guarantee: for small rates the coverage swings around 95 % (Brown, Cai, DasGupta, Statistical Science 2001).
    for (n, p) in [(400, 0.05), (1_000, 0.02), (200, 0.8)] {
        let inside = |count: Count| count.wilson().is_some_and(|i| i.low <= p && p <= i.high);
        let (simulated, exact) = coverage(n, p, inside);
        assert!((simulated - exact).abs() <= tolerance(exact), "{n} {p}: {simulated} {exact}");
        assert!((0.93..0.975).contains(&exact), "{n} {p}: exact coverage {exact}");
    }
}

#[test]
fn the_neyman_pearson_threshold_is_violated_as_rarely_as_it_says() {
    for (n, max_fpr, violation) in [(299, 0.01, 0.05), (1_500, 0.01, 0.05), (1_000, 0.05, 0.1)] {
        let mut random = Random::new(12, "violations");
        let mut violated = 0;
        let mut flagged = 0;
        for _ in 0..N_SETS {
            let mut scores: Vec<f64> = (0..n).map(|_| random.unit()).collect();
            let threshold = neyman_pearson_threshold(&mut scores, max_fpr, violation).unwrap();
            // Scores are uniform, so this is the rate on the traffic to come.
            violated += usize::from(1.0 - threshold > max_fpr);
            flagged = scores.iter().filter(|s| **s >= threshold).count();
        }
        // The true rate is above max_fpr where fewer rows than those flagged, and one, would be above its quantile.
        let exact: f64 = (0..=flagged).map(|k| binomial(n, max_fpr, k)).sum();
        let simulated = violated as f64 / N_SETS as f64;
        assert!((simulated - exact).abs() <= tolerance(exact), "{n}: {simulated} {exact}");
        assert!(exact <= violation + 1e-9, "{n}: {exact}");
        // One row more would break the promise: the threshold gives nothing away.
        assert!(exact + binomial(n, max_fpr, flagged + 1) > violation, "{n}: {exact}");
    }
}

#[test]
fn too_few_scores_give_no_threshold() {
    let mut random = Random::new(13, "few");
    let mut scores: Vec<f64> = (0..298).map(|_| random.unit()).collect();
    assert_eq!(neyman_pearson_threshold(&mut scores, 0.01, 0.05).unwrap_err().needed, 299);
}
