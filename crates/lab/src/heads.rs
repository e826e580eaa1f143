//! Training of the heads beside the classifier: multinomial logistic regression over folded word features.
//!
//! They name what a prompt is like; they never decide whether to flag it.

use std::collections::{BTreeMap, BTreeSet};

use levelhead::features::FeatureSpec;
use levelhead::head::{Head, Heads};
use levelhead::model::quantize;

use crate::example::Example;
use crate::random::Random;
use crate::row::{Row, UNSPECIFIED};

/// A name that fewer rows have is none that a head could tell from noise.
const FEWEST: usize = 20;
/// Rows that train a head, at most.
const MOST: usize = 60_000;
const N_EPOCHS: usize = 3;

/// Categories that say nothing of what a prompt is about.
const NO_CATEGORY: [&str; 4] = ["", UNSPECIFIED, "hard_negative", "attack"];

/// Fits the heads. `examples` are the features of `rows`.
pub(crate) fn fit_heads(rows: &[&Row], examples: &[Example], spec: FeatureSpec, seed: u64) -> Heads {
    let telling = telling_sources(rows);
    let fit = |named: &'static str, bits: u32, name: &(dyn Fn(&Row) -> Option<String> + Sync)| {
        fit(rows, examples, spec, bits, &mut Random::new(seed, named), name)
    };
    let attack = |row: &Row| row.is_attack();
    let (category, (family, severity)) = rayon::join(
        || {
            fit("order of category rows", 15, &|row| {
                let says = !row.is_attack() && !NO_CATEGORY.contains(&&*row.category);
                says.then(|| row.category.to_string())
            })
        },
        || {
            rayon::join(
                || fit("order of family rows", 13, &|row| attack(row).then(|| row.family.to_string())),
                || {
                    fit("order of severity rows", 13, &|row| {
                        (attack(row) && telling.contains(&*row.source)).then(|| row.severity.to_string())
                    })
                },
            )
        },
    );
    Heads { family, severity, category }
}

/// The sources whose attacks differ in severity; where there are none, all. Of the others the severity says where an attack
/// was found, not what it does.
fn telling_sources<'a>(rows: &[&'a Row]) -> BTreeSet<&'a str> {
    let mut severities: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for row in rows.iter().filter(|r| r.is_attack()) {
        severities.entry(&row.source).or_default().insert(&row.severity);
    }
    let several: BTreeSet<&str> = severities.iter().filter(|s| s.1.len() > 1).map(|s| *s.0).collect();
    if several.is_empty() { severities.into_keys().collect() } else { several }
}

fn fit(
    rows: &[&Row],
    examples: &[Example],
    spec: FeatureSpec,
    bits: u32,
    random: &mut Random,
    name: &(dyn Fn(&Row) -> Option<String> + Sync),
) -> Head {
    let mut named: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (i, row) in rows.iter().enumerate() {
        if let Some(name) = name(row) {
            named.entry(name).or_default().push(i);
        }
    }
    named.retain(|_, members| members.len() >= FEWEST);
    let n = named.len();
    if n == 0 {
        return Head::default();
    }
    let mut targets: Vec<(usize, usize)> =
        named.values().enumerate().flat_map(|(k, is)| is.iter().map(move |i| (*i, k))).collect();
    random.shuffle(&mut targets);
    targets.truncate(MOST);
    let mask = (1usize << bits) - 1;
    let mut weights = vec![0f32; (mask + 1) * n];
    let mut squares = vec![0f32; weights.len()];
    let mut biases = vec![0f32; n];
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
    // A column of weights belongs to one name and shares its scale.
    let mut rounded = vec![0i8; weights.len()];
    let mut scales = Vec::with_capacity(n);
    for k in 0..n {
        let column: Vec<f32> = weights.iter().skip(k).step_by(n).copied().collect();
        let (values, scale) = quantize(&column, column.len());
        scales.extend(scale);
        values.into_iter().enumerate().for_each(|(bucket, v)| rounded[bucket * n + k] = v);
    }
    Head { names: named.into_keys().collect(), bits, biases, weights: rounded, scales }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use levelhead::head::word_buckets;
    use levelhead::normalize;

    use super::*;
    use crate::example::featurize;
    use crate::progress::Silent;
    use crate::row::Label;

    /// Attacks of three sources; only the first knows more than one severity.
    fn rows() -> Vec<Row> {
        let mut rows = Vec::new();
        for i in 0..60 {
            let attack = |text: &str, source: &str, severity: &str, family: &str| Row {
                source: source.into(),
                severity: severity.into(),
                family: family.into(),
                ..Row::new(format!("{text} number {i}"), Label::Attack)
            };
            rows.push(attack("delete every customer record", "ours", "critical", "privilege_escalation"));
            rows.push(attack("talk like a rude pirate", "ours", "medium", "role_persona"));
            rows.push(attack("talk like a rude pirate please", "theirs", "high", "role_persona"));
            for (text, category) in [("sort a list in python", "programming"), ("a poem about rain", "creative"), ("well", "")] {
                rows.push(Row { category: Arc::from(category), ..Row::new(format!("{text} {i}"), Label::Benign) });
            }
        }
        rows
    }

    #[test]
    fn each_head_names_what_its_rows_say() {
        let rows = rows();
        let rows: Vec<&Row> = rows.iter().collect();
        let spec = FeatureSpec { char_bits: 8, word_bits: 16, ..FeatureSpec::default() };
        let examples = featurize(&rows, spec, |_| 1.0, &Silent);
        let heads = fit_heads(&rows, &examples, spec, 1);
        let name = |head: &Head, text: &str| head.name(&word_buckets(spec, (&normalize(text)).into())).unwrap().to_string();
        assert_eq!(heads.category.names, ["creative", "programming"]);
        assert_eq!(heads.severity.names, ["critical", "medium"], "a source that calls all the same says nothing");
        assert_eq!(name(&heads.family, "please delete every record"), "privilege_escalation");
        assert_eq!(name(&heads.severity, "now talk like a rude man"), "medium");
        assert_eq!(name(&heads.severity, "delete the record"), "critical");
        assert_eq!(name(&heads.category, "sort this in python"), "programming");
        assert_eq!(fit_heads(&rows, &examples, spec, 1), heads);
    }
}
