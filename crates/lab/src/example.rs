//! Rows as the trainer sees them: sorted feature indices, a target and a weight.

use levelhead::features::{Extractor, FeatureSpec, Features};
use levelhead::normalize;
use rayon::prelude::*;

use crate::progress::Progress;
use crate::row::Row;

/// A row as the trainer sees it.
pub(crate) struct Example {
    /// Sorted, so that a range of buckets is a range of entries.
    pub indices: Box<[u32]>,
    /// How many of them belong to character n-grams.
    pub n_chars: usize,
    /// Value of each character feature and of each word feature.
    pub values: (f32, f32),
    /// 1 for an attack, 0 otherwise.
    pub target: f32,
    /// How much the row counts.
    pub weight: f32,
}

impl Example {
    /// The logit under the given weights.
    pub fn logit(&self, bias: f32, weight: impl Fn(u32) -> f32) -> f32 {
        let (chars, words) = self.indices.split_at(self.n_chars);
        let sum = |indices: &[u32]| indices.iter().map(|bucket| weight(*bucket)).sum::<f32>();
        bias + self.values.0 * sum(chars) + self.values.1 * sum(words)
    }
}

/// The examples of the rows, in their order; `weight` says how much a row counts.
pub(crate) fn featurize(
    rows: &[&Row],
    spec: FeatureSpec,
    weight: impl Fn(&Row) -> f32 + Sync,
    progress: &dyn Progress,
) -> Vec<Example> {
    rows.par_chunks(512)
        .flat_map_iter(|chunk| {
            let mut extractor = Extractor::default();
            let examples: Vec<Example> = chunk
                .iter()
                .map(|row| {
                    let features = spec.extract(&normalize(&row.text), &mut extractor);
                    example(features, row, weight(row))
                })
                .collect();
            progress.advance(chunk.len() as u64);
            examples
        })
        .collect()
}

fn example(features: &Features, row: &Row, weight: f32) -> Example {
    let mut indices: Box<[u32]> = features.indices.as_slice().into();
    // Word buckets follow all character buckets, so sorting keeps the families apart.
    indices.sort_unstable();
    Example {
        indices,
        n_chars: features.n_chars,
        values: features.values(),
        target: f32::from(u8::from(row.is_attack())),
        weight,
    }
}
