//! Training of the family heads: multinomial logistic regression on the attacks alone, over folded word features.
//!
//! It names what has been flagged; it never decides whether to flag.

use std::collections::BTreeMap;

use levelhead::features::FeatureSpec;
use levelhead::model::{FamilyModel, quantize};

use crate::example::Example;
use crate::random::Random;
use crate::row::Row;

/// log2 of the buckets of a head.
const BITS: u32 = 13;
/// A family with fewer attacks gets no head: it could not be told from noise.
const FEWEST: usize = 20;
const N_EPOCHS: usize = 3;

/// Fits the heads. `examples` are the features of `rows`.
pub(crate) fn fit_family(rows: &[&Row], examples: &[Example], spec: FeatureSpec, seed: u64) -> FamilyModel {
    let mut by_family: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for row in rows.iter().filter(|r| r.is_attack()) {
        *by_family.entry(&row.family).or_default().entry(&row.severity).or_default() += 1;
    }
    by_family.retain(|_, severities| severities.values().sum::<usize>() >= FEWEST);
    let families: Vec<&str> = by_family.keys().copied().collect();
    let n = families.len();
    if n == 0 {
        return FamilyModel::default();
    }
    let mask = (1usize << BITS) - 1;
    let mut weights = vec![0f32; (mask + 1) * n];
    let mut squares = vec![0f32; weights.len()];
    let mut biases = vec![0f32; n];
    let mut targets: Vec<(usize, usize)> = rows
        .iter()
        .enumerate()
        .filter(|(_, row)| row.is_attack())
        .filter_map(|(i, row)| Some((i, families.binary_search(&&*row.family).ok()?)))
        .collect();
    let mut random = Random::new(seed, "order of family rows");
    for _ in 0..N_EPOCHS {
        random.shuffle(&mut targets);
        for &(i, target) in &targets {
            let words: Vec<u32> = examples[i].texts[0].distinct().filter(|bucket| !spec.is_char(*bucket)).collect();
            let value = 1.0 / (words.len().max(1) as f32).sqrt();
            let mut scores = biases.clone();
            for bucket in &words {
                let at = (*bucket as usize & mask) * n;
                scores.iter_mut().zip(&weights[at..at + n]).for_each(|(s, w)| *s += value * w);
            }
            let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            scores.iter_mut().for_each(|s| *s = (*s - top).exp());
            let total: f32 = scores.iter().sum();
            for (k, score) in scores.iter_mut().enumerate() {
                *score = *score / total - f32::from(u8::from(k == target));
                biases[k] -= 0.01 * *score;
            }
            for bucket in &words {
                let at = (*bucket as usize & mask) * n;
                for (k, error) in scores.iter().enumerate() {
                    let gradient = error * value;
                    squares[at + k] += gradient * gradient;
                    weights[at + k] -= 0.5 * gradient / (squares[at + k].sqrt() + 1e-6);
                }
            }
        }
    }
    // A column of weights belongs to one family and shares its scale.
    let mut rounded = vec![0i8; weights.len()];
    let mut scales = Vec::with_capacity(n);
    for k in 0..n {
        let column: Vec<f32> = weights.iter().skip(k).step_by(n).copied().collect();
        let (values, scale) = quantize(&column, column.len());
        scales.extend(scale);
        values.into_iter().enumerate().for_each(|(bucket, v)| rounded[bucket * n + k] = v);
    }
    let most_common =
        |severities: &BTreeMap<&str, usize>| severities.iter().max_by_key(|s| s.1).map_or("high", |s| s.0).to_string();
    FamilyModel {
        severities: by_family.values().map(most_common).collect(),
        families: families.into_iter().map(str::to_string).collect(),
        bits: BITS,
        biases,
        weights: rounded,
        scales,
    }
}
