//! The heads beside the classifier: they name what a prompt is like, and never decide whether to flag it.

use crate::features::{Extractor, FeatureSpec};
use crate::passage::Text;

/// Multinomial logistic regression over the word n-grams of a text, folded into few buckets. It ranks names, no more.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Head {
    /// What it can name.
    pub names: Vec<String>,
    /// log2 of the buckets.
    pub bits: u32,
    /// Log-odds of each name before anything is read.
    pub biases: Vec<f32>,
    /// Weights, bucket by bucket: one for each name, in units of the name's scale.
    pub weights: Vec<i8>,
    /// One scale for each name.
    pub scales: Vec<f32>,
}

/// The heads of a guard.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Heads {
    /// The attack family of what is flagged.
    pub family: Head,
    /// How bad it would be.
    pub severity: Head,
    /// What a harmless prompt is about.
    pub category: Head,
}

impl Heads {
    /// All of them, in the order of the artifact.
    pub fn all(&self) -> [&Head; 3] {
        [&self.family, &self.severity, &self.category]
    }
}

impl Head {
    /// The most likely name for a text with these distinct word buckets; none where the head has nothing to name.
    pub fn name(&self, words: &[u32]) -> Option<&str> {
        let n = self.names.len();
        let mask = (1usize << self.bits) - 1;
        let mut scores = self.biases.clone();
        let value = 1.0 / (words.len().max(1) as f32).sqrt();
        for &bucket in words {
            let at = (bucket as usize & mask) * n;
            for ((score, &weight), scale) in scores.iter_mut().zip(&self.weights[at..at + n]).zip(&self.scales) {
                *score += value * f32::from(weight) * scale;
            }
        }
        (0..n).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).map(|i| self.names[i].as_str())
    }
}

/// The distinct word buckets of a text, in order.
pub fn word_buckets(spec: FeatureSpec, text: Text<'_>) -> Vec<u32> {
    let mut buckets = Vec::new();
    spec.visit(text, &mut Extractor::default(), |gram| {
        if !spec.is_char(gram.bucket) {
            buckets.push(gram.bucket);
        }
    });
    buckets.sort_unstable();
    buckets.dedup();
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_with_the_highest_score_is_given() {
        let mut head = Head {
            names: vec!["a".into(), "b".into()],
            bits: 2,
            biases: vec![0.1, 0.0],
            weights: vec![0; 8],
            scales: vec![1.0, 1.0],
        };
        assert_eq!(head.name(&[4 + 3]), Some("a"));
        head.weights[3 * 2 + 1] = 1;
        assert_eq!(head.name(&[4 + 3]), Some("b"));
        assert_eq!(Head::default().name(&[7]), None);
    }
}
